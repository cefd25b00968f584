# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What drivers do to stamps: clocks that are set, other units, late messages; for `times.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from locdreamer_ros.recording import Recording
from locdreamer_ros.types import FloatArray, IntArray

NOW_S = 1_700_000_000.0


@dataclass(frozen=True)
class Sent:
    """One message: when it was sent and measured (s of the walk), its stamps, and its ranges."""

    sent: float
    measured: float
    stamp: float
    own: FloatArray
    anchor: IntArray
    value: FloatArray
    place: FloatArray


Walk = list[Sent]


@dataclass(frozen=True)
class Fault:
    """What it makes of a walk, and when it is over (s of the walk); infinite: never."""

    make: Callable[[Walk, np.random.Generator], Walk]
    ends: float = 0.0
    live: bool = False
    """Whether it is sent at its own pace, with stamps of today: where the node's clock matters."""


def walk_of(recording: Recording, *, in_turn: bool) -> Walk:
    """The messages of an honest driver."""
    found = []
    for row, (at, place) in enumerate(zip(recording.times, recording.truth, strict=True)):
        known = np.flatnonzero(np.isfinite(recording.ranges[row]))
        if in_turn:
            known = known[known == row % len(recording.anchors)]
        if known.size:
            own = np.full(known.size, NOW_S + at)
            value = recording.ranges[row, known]
            found.append(Sent(at, at, NOW_S + at, own, known, value, place[:2]))
    return found


def restamped(each: Sent, by: float) -> Sent:
    """The same message by a clock that is so much ahead."""
    return replace(each, stamp=each.stamp + by, own=each.own + by)


def stamped(each: Sent, at: float) -> Sent:
    """The same message of another time."""
    return restamped(each, at - each.stamp)


FROM_S = 20.0
"""When faults begin."""


def step(by: float) -> Fault:
    """From then on the clock is so much ahead."""
    return Fault(lambda w, _: [restamped(x, by if x.sent >= FROM_S else 0.0) for x in w], FROM_S)


def one(by: float, many: int = 1) -> Fault:
    """So many messages are stamped so much ahead."""

    def made(walk: Walk, _: np.random.Generator) -> Walk:
        first = next(i for i, x in enumerate(walk) if x.sent >= FROM_S)
        return [restamped(x, by if first <= i < first + many else 0.0) for i, x in enumerate(walk)]

    return Fault(made, FROM_S + 1e-6)


def between(change: Callable[[Sent], Sent | None], begin: float, end: float) -> Fault:
    """Each message of a time is changed, or not sent."""

    def made(walk: Walk, _: np.random.Generator) -> Walk:
        changed = [change(x) if begin <= x.sent < end else x for x in walk]
        return [x for x in changed if x is not None]

    return Fault(made, end)


def always(change: Callable[[Sent], Sent]) -> Fault:
    """Each message is changed."""
    return Fault(lambda w, _: [change(x) for x in w])


def mapped(change: Callable[[float], float]) -> Fault:
    """Each stamp is a function of the walk's time."""
    return always(lambda x: stamped(x, change(x.measured)))


def again(after: float, share: float = 1.0) -> Fault:
    """A share of the messages is sent again so much later, as it was."""

    def made(walk: Walk, rng: np.random.Generator) -> Walk:
        more = [replace(x, sent=x.sent + after) for x in walk if rng.random() < share]
        return sorted([*walk, *more], key=lambda x: x.sent)

    return Fault(made)


def late(by: float, share: float, burst: int = 1) -> Fault:
    """A share of the messages, so many in a row, comes so much later."""

    def made(walk: Walk, rng: np.random.Generator) -> Walk:
        found = list(walk)
        for first in np.flatnonzero(rng.random(len(walk)) < share / burst):
            for i in range(first, min(first + burst, len(walk))):
                found[i] = replace(walk[i], sent=walk[i].measured + by)
        return sorted(found, key=lambda x: x.sent)

    return Fault(made)


def slow(by: float, anchors: int) -> Fault:
    """Ranges of the first so many anchors come so much later, in messages of their own."""

    def made(walk: Walk, _: np.random.Generator) -> Walk:
        found = []
        for x in walk:
            late = x.anchor < anchors
            for rows, sent in ((~late, x.sent), (late, x.sent + by)):
                for row in np.flatnonzero(rows):
                    one = slice(row, row + 1)
                    own, anchor, value = x.own[one], x.anchor[one], x.value[one]
                    found.append(replace(x, sent=sent, own=own, anchor=anchor, value=value))
        return sorted(found, key=lambda x: x.sent)

    return Fault(made)


def held_back(by: float, anchors: int) -> Fault:
    """Ranges of the first so many anchors come all at once, after each such time."""

    def made(walk: Walk, _: np.random.Generator) -> Walk:
        found = []
        for x in walk:
            late = x.anchor < anchors
            then = (np.floor(x.sent / by) + 1.0) * by
            for rows, sent in ((~late, x.sent), (late, then)):
                if rows.any():
                    mine = {"own": x.own[rows], "anchor": x.anchor[rows], "value": x.value[rows]}
                    found.append(replace(x, sent=sent, **mine))
        end = walk[-1].sent
        return sorted((x for x in found if x.sent <= end), key=lambda x: x.sent)

    return Fault(made)


def some(share: float, change: Callable[[Sent], Sent]) -> Fault:
    """A share of the messages is changed."""
    return Fault(lambda w, rng: [change(x) if rng.random() < share else x for x in w])


def jitter(sigma: float, *, ordered: bool) -> Fault:
    """Stamps are off by chance; messages come as they were measured, or as stamped."""

    def made(walk: Walk, rng: np.random.Generator) -> Walk:
        found = [restamped(x, rng.normal(0.0, sigma)) for x in walk]
        return sorted(found, key=lambda x: x.stamp) if ordered else found

    return Fault(made)


def looped(times: int) -> Fault:
    """The walk's first minute again and again, with the same stamps."""

    def made(walk: Walk, _: np.random.Generator) -> Walk:
        part = [x for x in walk if x.sent < 20.0]
        return [replace(x, sent=x.sent + 20.0 * turn) for turn in range(times) for x in part]

    return Fault(made, 20.0 * (times - 1))


def own(by: float, *, spread: bool = False) -> Fault:
    """The ranges' own stamps are so much ahead of the header's; spread: one of them alone."""

    def change(x: Sent) -> Sent:
        mine = x.own + by
        if spread:
            mine = np.where(np.arange(x.own.size) == 0, mine, x.own)
        return replace(x, own=mine)

    return always(change)


def zero(x: Sent) -> Sent:
    """Without a time."""
    return stamped(x, 0.0)


APART_S = (-3600.0, -10.0, -2.0, -0.7, -0.3, 0.3, 0.7, 2.0, 10.0)
LIVE_S = 20.0
FAULTS: dict[str, Fault] = {
    "none": always(lambda x: x),
    **{f"step {by:+g} s": step(by) for by in (-0.2, -0.9, -2, -20, -59, -61, -3600)},
    **{f"step {by:+g} s": step(by) for by in (0.5, 5, 9, 20, 600, 86400.0 * 30)},
    "looped 3": looped(3),
    "1970, then now": between(lambda x: restamped(x, -NOW_S), 0.0, FROM_S),
    "now, then 1970": step(-NOW_S),
    **{f"one {by:+g} s": one(by) for by in (0.5, 0.9, 2, 5, 9, 30, 3600, 3.2e8)},
    **{f"one {by:+g} s": one(by) for by in (-0.5, -2, -30)},
    **{f"three {by:+g} s": one(by, 3) for by in (0.9, 5, 30, 3600, -0.5, -2, -30)},
    "equal stamps of 5": mapped(lambda t: NOW_S + np.floor(t * 2.0) / 2.0),
    "whole seconds": mapped(lambda t: NOW_S + np.floor(t)),
    **{f"all again {by:g} s later": again(by) for by in (0.0, 0.15, 0.5, 0.95, 3)},
    **{f"a fifth {by:g} s late": late(by, 0.2) for by in (0.3, 0.95, 3)},
    **{f"bursts of 5 {by:g} s late": late(by, 0.2, 5) for by in (0.3, 0.95, 3, 12)},
    **{f"{n} anchors {by:g} s late": slow(by, n) for n in (1, 2) for by in (0.3, 0.95, 3, 12)},
    **{f"{n} anchors held back 3 s": held_back(3.0, n) for n in (1, 2, 4)},
    "ms as s": mapped(lambda t: 5000.0 + 1000.0 * t),
    "ns as s": mapped(lambda t: (5.0 + t) * 1e9 % 2**31),
    "s as ms": mapped(lambda t: (5000.0 + t) / 1000.0),
    "s as ns": mapped(lambda t: (5000.0 + t) / 1e9),
    "1 s of zero": between(zero, FROM_S, FROM_S + 1.0),
    **{f"own {by:+g} s": own(by) for by in (-0.7, 0.7, -1.5, 1.5, 5, -5, 20)},
    **{f"one's own {by:+g} s": own(by, spread=True) for by in (-0.7, 0.7, -1.5, 5)},
    "own zero": always(lambda x: replace(x, own=np.zeros_like(x.own))),
    "jitter .1 s": jitter(0.1, ordered=False),
    "jitter .1 s, in order": jitter(0.1, ordered=True),
    **{f"silence {s:g} s": between(lambda x: None, FROM_S, FROM_S + s) for s in (1, 10, 60)},
    "drift 1 ms/s": mapped(lambda t: NOW_S + t * 1.001),
    "drift 10 %": mapped(lambda t: NOW_S + t * 1.1),
}
LIVE = {
    "live": always(lambda x: x),
    "live, zero": always(zero),
    "live, a tenth zero": some(0.1, zero),
    "live, half zero": some(0.5, zero),
    "live, header zero": always(lambda x: replace(x, stamp=0.0)),
    "live, s as ms": FAULTS["s as ms"],
    "live, s as ns": FAULTS["s as ns"],
    "live, ms as s": FAULTS["ms as s"],
    **{f"live, {by:+g} s": always(lambda x, by=by: restamped(x, by)) for by in APART_S},
    "live, drift .1 s/s": mapped(lambda t: NOW_S + t * 1.1),
}
FAULTS |= {name: replace(fault, live=True) for name, fault in LIVE.items()}
