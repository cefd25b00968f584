# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many tags on one radio channel: who has it when, and what that does to the error.

A hundred tags in the hall: half are things that mostly stand, a third people who walk and stop, the
rest trucks at 2.5 times their pace. Their radios are those of `driver/devices` in turn, each range
has the channel as long as its device says. A channel can be had in turn, by information
(`airtime.grant`), or by nobody's leave: then ranges that overlap are lost, both of them.
Strangers on the channel, whom nobody coordinates, run over some ranges of all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from locdreamer_ros.airtime import grant, slot_ms
from locdreamer_ros.benchmarks.methods import BUDGET
from locdreamer_ros.driver.devices import all_devices
from locdreamer_ros.fleet import Fleet
from locdreamer_ros.loop import Plan
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.simulation import draw_ranges, draw_walk, make_world
from locdreamer_ros.types import BoolArray, FloatArray, IntArray, Ranges, Site

ENVIRONMENT, RATE_HZ = "hall", 5.0
TAGS, DURATION_S, SKIP_S = 100, 40.0, 8.0
"""Tags on one channel, how long they are about, and how long is not scored."""
PERIOD_MS = 1e3 / RATE_HZ
STRANGERS_HZ = 10.0
"""Ranges a second by tags that nobody coordinates, in all."""
GOING_S = 8.0
"""How long one goes before one stops, on average."""
PATH_S = 300.0
"""Length of the walk along which all go, each from somewhere."""


@dataclass(frozen=True)
class Kind:
    """share: of the tags; rest: of the time that they stand; pace: of a walker's."""

    share: float
    rest: float
    pace: float


KINDS = {
    "things": Kind(0.5, 0.95, 1.0),
    "people": Kind(0.35, 0.3, 1.0),
    "trucks": Kind(0.15, 0.2, 2.5),
}


@dataclass(frozen=True)
class Population:
    """Tags by name: what they are, their walks with all ranges, ms that a range of theirs takes."""

    site: Site
    kinds: Mapping[str, str]
    walks: Mapping[str, Recording]
    slots: Mapping[str, float]


def going(kind: Kind, epochs: int, rng: np.random.Generator) -> BoolArray:
    """Whether one goes, at each epoch (T,): spells of going and of standing."""
    found = np.empty(epochs, dtype=bool)
    goes, at = bool(rng.random() > kind.rest), 0
    while at < epochs:
        mean = GOING_S if goes else GOING_S * kind.rest / (1.0 - kind.rest)
        last = at + max(1, round(rng.exponential(mean) * RATE_HZ))
        found[at:last] = goes
        at, goes = last, not goes
    return found


def populate(seed: int) -> Population:
    """The tags of a seed, each with a walk of its own."""
    world, rng = make_world(ENVIRONMENT, seed), np.random.default_rng([seed, 7])
    path = draw_walk(world, duration=PATH_S, rate=RATE_HZ, rng=rng)
    devices, epochs = all_devices(), round(DURATION_S * RATE_HZ)
    counts = [round(TAGS * kind.share) for kind in KINDS.values()]
    kinds: dict[str, str] = {}
    walks: dict[str, Recording] = {}
    slots: dict[str, float] = {}
    for number, name in enumerate(rng.permutation(np.repeat(list(KINDS), counts)).tolist()):
        tag, kind = f"tag{number}", KINDS[name]
        gone = kind.pace * np.cumsum(going(kind, epochs, rng)) + rng.integers(len(path))
        back = np.abs((gone % (2 * len(path) - 2)) - (len(path) - 1))  # to its end and back again
        rows = np.arange(len(path))
        truth = np.stack([np.interp(back, rows, path[:, axis]) for axis in range(3)], axis=1)
        drawn = draw_ranges(world, truth, rng)
        kinds[tag] = name
        walks[tag] = Recording(
            world.name,
            world.anchors,
            np.arange(epochs) / RATE_HZ,
            drawn.ranges,
            truth,
            nlos=drawn.nlos,
        )
        slots[tag] = slot_ms(devices[number % len(devices)])
    return Population(Site.of(world.anchors, "2", world.tag_height), kinds, walks, slots)


@dataclass(frozen=True)
class Shared:
    """What one way to share the channel gave: errors m by kind, and the share of time asked for."""

    errors: Mapping[str, FloatArray]
    busy: float

    @property
    def mean(self) -> float:
        """Over all tags and times."""
        return float(np.mean(np.concatenate(list(self.errors.values()))))


Asked = dict[str, IntArray]
"""Rows of the anchors that each tag ranges with in an epoch."""


def in_turn(tags: Population, plans: Mapping[str, Plan], ms: float, last: int) -> tuple[Asked, int]:
    """One tag after the other has a fix of the budget; and whose turn comes then."""
    order, given = list(plans), dict[str, IntArray]()
    while len(given) < len(order):
        tag = order[last % len(order)]
        if BUDGET * tags.slots[tag] > ms:
            break
        ms -= BUDGET * tags.slots[tag]
        given[tag] = plans[tag].anchor[:BUDGET]
        last += 1
    return given, last


def by_information(tags: Population, plans: Mapping[str, Plan], ms: float) -> Asked:
    """Those whose ranges are worth most for their time."""
    given, _ = grant(plans, tags.slots, ms, tags.site.anchors, most=BUDGET, blind=())
    return {tag: plan.anchor for tag, plan in given.items()}


def collided(starts: FloatArray, ends: FloatArray) -> BoolArray:
    """Which of the intervals (N,) overlap with another one."""
    order = np.argsort(starts, kind="stable")
    reach = np.maximum.accumulate(ends[order])
    into = np.append(False, starts[order][1:] < reach[:-1])
    # Who began before and still was on air: it ends after the next one's start.
    under = np.append(starts[order][1:] < ends[order][:-1], False)
    found = np.empty(len(starts), dtype=bool)
    found[order] = into | under
    return found


def at_random(
    tags: Population, plans: Mapping[str, Plan], load: float, rng: np.random.Generator
) -> tuple[Asked, dict[str, BoolArray]]:
    """Each tag has fixes when it likes, all of them for `load` of the time; and what collided."""
    whole = BUDGET * sum(tags.slots.values())
    given = {tag: plans[tag].anchor[:BUDGET] for tag in plans}
    given = {tag: rows for tag, rows in given.items() if rng.random() < load * PERIOD_MS / whole}
    if not given:
        return {}, {}
    slots = np.array([tags.slots[tag] for tag in given])
    begin = rng.uniform(0.0, PERIOD_MS, len(given))[:, None]
    starts = begin + slots[:, None] * np.arange(BUDGET)  # (N, K)
    hit = collided(starts.ravel(), (starts + slots[:, None]).ravel()).reshape(starts.shape)
    return given, dict(zip(given, hit, strict=True))


def without(ranges: Ranges, gone: BoolArray) -> Ranges:
    """The ranges, some of them lost."""
    return Ranges.of(ranges.anchor, np.where(gone, np.nan, ranges.value), ranges.stamp)


def share(tags: Population, how: str, seed: int, *, load: float = 1.0) -> Shared:
    """The channel shared by all tags: how is "in turn", "by information" or "at random".

    load: at random only, the share of the time that is asked for.
    """
    sources = {tag: RecordingSource(walk) for tag, walk in tags.walks.items()}
    fleet, rng = Fleet(tags.site, Method(budget=BUDGET)), np.random.default_rng([seed, 1])
    everybody = np.arange(len(tags.site.anchors))
    mean_slot = float(np.mean(list(tags.slots.values())))
    # A stranger's frame that begins while ours is on air, or before and lasts into it.
    chance = {
        tag: 1.0 - math.exp(-STRANGERS_HZ * 1e-3 * (slot + mean_slot))
        for tag, slot in tags.slots.items()
    }
    errors: dict[str, list[float]] = {kind: [] for kind in KINDS}
    last, saved, used = 0, 0.0, 0.0
    times = next(iter(tags.walks.values())).times.tolist()
    for epoch, time in enumerate(times):
        plans = fleet.plan(dict.fromkeys(sources, time))
        hit: dict[str, BoolArray] = {}
        if any(plan.prediction is None for plan in plans.values()):  # the first fixes are free
            asked: Asked = dict.fromkeys(sources, everybody)
        else:
            saved = min(saved + PERIOD_MS, 2.0 * PERIOD_MS)
            if how == "in turn":
                asked, last = in_turn(tags, plans, saved, last)
            elif how == "by information":
                asked = by_information(tags, plans, saved)
            else:
                asked, hit = at_random(tags, plans, load, rng)
            spent = sum(tags.slots[tag] * rows.size for tag, rows in asked.items())
            saved -= spent
            used += spent
        answers: dict[str, tuple[Plan, Ranges]] = {}
        for tag, rows in asked.items():
            gone = rng.random(rows.size) < chance[tag]
            gone |= hit.get(tag, np.zeros(rows.size, dtype=bool))
            answers[tag] = (
                replace(plans[tag], anchor=rows),
                without(sources[tag].answer(epoch, rows), gone),
            )
        if time >= SKIP_S:
            for tag, kind in tags.kinds.items():
                errors[kind].append(off(fleet, tag, tags.walks[tag].truth, epoch))
        fleet.absorb(answers)
    fleet.close()
    return Shared(
        {kind: np.array(found) for kind, found in errors.items()},
        used / (1e3 * (times[-1] - times[0])),
    )


def off(fleet: Fleet, tag: str, truth: FloatArray | None, epoch: int) -> float:
    """How far a tag is thought to be from where it is, before this epoch's ranges, m."""
    estimate = fleet.loop(tag).estimate
    assert truth is not None, "a simulated walk"
    if estimate is None:
        return math.nan
    return float(np.linalg.norm(estimate.position[:2] - truth[epoch, :2]))
