# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rooms, anchors and walks in them: what all families of dreams share.

Shape legend: B dreams, T steps, A anchors, M waves.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

SUBSTEP_S, SUBSTEPS = 0.1, 12
"""How finely walks are drawn; at most so many between two fixes."""
SLOWEST_HZ, FASTEST_HZ = 0.2, 100.0
"""Fixes a second."""
SPREAD_S, SPREAD_SHARE = 0.1, 0.5
"""Ranges of one fix are measured within so long, in this share of the places."""
LEVER_M, LEVER_SHARE = 0.5, 0.4
"""How far a tag is mounted from what turns, at most; in this share of the places."""
WAVES = 24
OUTSIDE_SHARE = 0.2
"""Share of the places where the tag is mostly outside of its anchors."""
FIELD_SHARE = 0.15
"""Share of the places that are fields outdoors: far ways, anchors round about or in one corner."""
RESTING_SHARE = 0.08
"""Share of the tags that mostly stand."""
CALM, ROUGH = 0.4, 0.06
"""Shares of the sites where anchors were calibrated and most is in sight; where all is worse."""
PARALLEL = 1e-9
"""m^2: a line and a wall that span less never meet."""
STANDING_SHARE = 0.1
"""Slower than this, m/s, a body keeps the way it faces."""


@dataclass(frozen=True, eq=False)
class Room:
    """Places and walks.

    extent (B, 2) m; anchor (B, A, 3) m where it stands, surveyed where it is believed; dt (B, T) s;
    ahead (B, T, A) s after the step each range is measured; truth (B, T, 3) m, velocity (B, T, 3)
    m/s; height (B,) m as believed of the tag, known (B,);
    calm (B, 1, 1) how large errors are beside those of other sites.
    """

    extent: Doubles
    anchor: Doubles
    surveyed: Doubles
    dt: Doubles
    ahead: Doubles
    truth: Doubles
    velocity: Doubles
    height: Doubles
    known: NDArray[np.bool_]
    calm: Doubles

    def rows(self, which: NDArray[np.bool_]) -> Room:
        """Only these rooms."""
        return Room(*(getattr(self, f.name)[which] for f in fields(self)))

    @property
    def offset(self) -> Doubles:
        """(B, T, A, 3) m from anchor to tag."""
        return np.asarray(self.truth[:, :, None] - self.anchor[:, None])

    @property
    def distance(self) -> Doubles:
        """(B, T, A) m."""
        return np.asarray(np.linalg.norm(self.offset, axis=-1))

    @property
    def when_measured(self) -> Doubles:
        """(B, T, A) m: as `distance`, where the tag is when each range is measured."""
        onward = np.concatenate([self.velocity[:, 1:], self.velocity[:, -1:]], axis=1)
        gone = self.ahead[..., None] * onward[:, :, None]
        return np.asarray(np.linalg.norm(self.offset + gone, axis=-1))

    @property
    def site(self) -> tuple[int, int, int]:
        """The shape of what a whole site shares."""
        return (len(self.extent), 1, 1)

    @property
    def link(self) -> tuple[int, int, int]:
        """The shape of what belongs to an anchor of a site."""
        return (len(self.extent), 1, self.anchor.shape[1])


def log_uniform(
    rng: np.random.Generator, low: float, high: float, size: tuple[int, ...]
) -> Doubles:
    """Draws with a uniform logarithm."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def sometimes(rng: np.random.Generator, share: float, values: NDArray[np.floating[Any]]) -> Doubles:
    """The values in a share of the sites, nothing in the others."""
    here = rng.random((len(values), *(1,) * (values.ndim - 1))) < share
    return np.where(here, np.asarray(values, dtype=np.float64), 0.0)


def delays(room: Room, rng: np.random.Generator) -> Doubles:
    """What antenna delays nobody calibrated add, (B, 1, A) m: to all ranges, to those of an anchor.

    They say nothing of how good the rest of a site is. Means and spreads as on recordings of
    several makers' modules: all ranges too long by -.05 to .3 m, anchors apart by .01 to .1 m.
    """
    common = sometimes(rng, 0.6, 0.1 + 0.12 * rng.standard_normal(room.site))
    own = sometimes(rng, 0.85, log_uniform(rng, 0.01, 0.12, room.site))
    return common + own * rng.standard_normal(room.link)


def lateness(room: Room, rng: np.random.Generator) -> Doubles:
    """Errors (B, T, A) m of stamps and truth that are late or early: the tag was elsewhere."""
    late = sometimes(rng, 0.5, 0.07 * rng.standard_normal(room.site))
    late = late + sometimes(rng, 0.3, rng.uniform(-0.05, 0.05, room.link))
    direction = room.offset / np.maximum(room.distance, 0.05)[..., None]
    return np.asarray((room.velocity[:, :, None] * direction).sum(-1) * late)


def room(
    size: int,
    steps: int,
    anchors: int,
    rng: np.random.Generator,
    *,
    rate: float | None = None,
    plain: bool = False,
) -> Room:
    """Random rooms, anchors and walks; at paces of their own where no rate Hz is given.

    plain: nothing out of doors, anchors of one height, the tag's height known, .8 to 20 fixes a
    second without gaps, errors of full size. There, and at a given rate, all ranges of a fix are
    measured at once.
    """
    more = rng.spawn(1)[0]
    extent, field = _extents(size, rng, plain=plain)
    flat = (rng.random(size) < 0.5) | plain
    base = rng.uniform(0.05, 1.8, size)
    anchor = _anchors(extent, base, flat, field, anchors, rng)
    surveyed = anchor + log_uniform(rng, 0.003, 0.1, (size, 1, 1)) * rng.standard_normal(
        anchor.shape
    )
    known = (rng.random(size) < np.where(flat, 0.9, 0.3)) | plain
    if rate is None:
        dt = _steps(size, steps, rng, plain=plain)
    else:
        dt = np.full((size, steps), 1.0 / rate)
    lever = sometimes(more, 0.0 if plain else LEVER_SHARE, more.uniform(0.0, LEVER_M, (size, 1)))
    truth, velocity = _walks(extent, dt, np.where(field[:, 0], 2.0, 1.0), lever, rng)
    z = _heights(base, known, dt, rng)
    climb = np.diff(z, axis=1, prepend=z[:, :1]) / dt
    truth = np.concatenate([truth, z[..., None]], axis=-1)
    velocity = np.concatenate([velocity, climb[..., None]], axis=-1)
    height = base + log_uniform(rng, 0.01, 0.2, (size,)) * rng.standard_normal(size)
    calm = np.ones((size, 1, 1)) if plain else _calmness(size, rng)
    at_once = plain or rate is not None
    ahead = _spread(dt, anchors, more, share=0.0 if at_once else SPREAD_SHARE)
    return Room(extent, anchor, surveyed, dt, ahead, truth, velocity, height, known, calm)


def _extents(
    size: int, rng: np.random.Generator, *, plain: bool
) -> tuple[Doubles, NDArray[np.bool_]]:
    """How large places are, (B, 2) m; whether they are fields outdoors, (B, 1)."""
    if plain:
        return log_uniform(rng, 4.0, 25.0, (size, 2)), np.zeros((size, 1), dtype=np.bool_)
    extent = log_uniform(rng, 3.0, 25.0, (size, 2))
    extent = np.where(rng.random((size, 1)) < 0.1, 2.0 * extent, extent)
    field = rng.random((size, 1)) < FIELD_SHARE
    return np.where(field, log_uniform(rng, 20.0, 100.0, (size, 2)), extent), field


def _calmness(size: int, rng: np.random.Generator) -> Doubles:
    """How large the errors of a site are beside those of others, (B, 1, 1)."""
    site = (size, 1, 1)
    kind = rng.random(site)
    calm = np.where(kind < CALM, log_uniform(rng, 0.05, 1.0, site), 1.0)
    return np.where(kind > 1.0 - ROUGH, log_uniform(rng, 1.5, 8.0, site), calm)


def _steps(size: int, steps: int, rng: np.random.Generator, *, plain: bool) -> Doubles:
    """Time (B, T) s before each step: paces of .2 to 100 a second, some unsteady or with gaps."""
    slowest, fastest, gaps = (0.8, 0.8, 0.0) if plain else (SLOWEST_HZ, 1.0, 0.2)
    kind = fastest * rng.random(size)
    ends = ((slowest, 2.0), (2.0, 20.0), (20.0, FASTEST_HZ))
    slow, usual, fast = (log_uniform(rng, low, high, (size,)) for low, high in ends)
    rate = np.where(kind < 0.25, slow, np.where(kind < 0.8, usual, fast))
    unsteady = 1.0 + 0.1 * rng.standard_normal((size, steps)) * (rng.random((size, 1)) < 0.5)
    dt = np.clip(unsteady, 0.5, 2.0) / rate[:, None]
    gap = rng.random((size, steps)) < 0.01 * (rng.random((size, 1)) < gaps)
    return np.where(gap, dt + rng.exponential(2.0, (size, steps)), dt)


def _spread(dt: Doubles, anchors: int, rng: np.random.Generator, *, share: float) -> Doubles:
    """When each range is measured (B, T, A) s after its step: one after the other, in any order."""
    size, steps = dt.shape
    turn = rng.random((size, steps, anchors)).argsort(axis=-1) / anchors
    whole = sometimes(rng, share, log_uniform(rng, 0.1 * SPREAD_S, SPREAD_S, (size, 1, 1)))
    following = np.concatenate([dt[:, 1:], dt[:, -1:]], axis=1)
    return turn * np.minimum(whole, 0.8 * following[..., None])


def _anchors(
    extent: Doubles,
    base: Doubles,
    flat: NDArray[np.bool_],
    field: NDArray[np.bool_],
    count: int,
    rng: np.random.Generator,
) -> Doubles:
    """Places (B, A, 3) m: the best spread of a few draws; of one height where `flat`, or of many.

    base (B,) m: the height of the tag; field (B, 1).
    """
    size = extent.shape[0]
    tries = rng.random((size, 4, count, 2))
    edge = rng.random((size, 4, count)) < rng.choice([0.2, 0.6, 1.0], (size, 1, 1))
    side = rng.integers(2, size=(size, 4, count))
    for axis in (0, 1):
        at = edge & (side == axis)
        tries[..., axis] = np.where(at, np.round(tries[..., axis]), tries[..., axis])
    spread = tries - tries.mean(axis=2, keepdims=True)
    narrow = np.linalg.eigvalsh(np.swapaxes(spread, 2, 3) @ spread)[..., 0]  # (B, tries)
    best = tries[np.arange(size), narrow.argmax(axis=1)]
    # Or all in one part of the place: a tag outdoors, or one that leaves the room.
    part = np.where(rng.random((size, 1)) < OUTSIDE_SHARE, rng.uniform(0.1, 0.6, (size, 1)), 1.0)
    corner = field & (rng.random((size, 1)) < 0.6)
    part = np.where(corner, log_uniform(rng, 0.03, 0.3, (size, 1)), part)
    best = best * part[..., None] + (rng.random((size, 2)) * (1.0 - part))[:, None]
    level = (
        base[:, None]
        + rng.uniform(-0.5, 2.0, (size, 1))
        + rng.uniform(0.0, 0.3, (size, 1)) * (rng.standard_normal((size, count)))
    )
    level = np.where(rng.random((size, 1)) < 0.2, base[:, None], level)
    ceiling = rng.uniform(1.5, 4.0, (size, 1))
    high = rng.random((size, count)) < 0.5
    two = ceiling * np.where(
        high, rng.uniform(0.75, 1.0, (size, count)), rng.uniform(0.0, 0.25, (size, count))
    )
    any_height = ceiling * rng.random((size, count))
    uneven = np.where(rng.random((size, 1)) < 0.6, two, any_height)
    height = np.where(flat[:, None], level, uneven)
    return np.concatenate([best * extent[:, None, :], height[..., None]], axis=-1)


def _heights(
    base: Doubles, known: NDArray[np.bool_], dt: Doubles, rng: np.random.Generator
) -> Doubles:
    """The tag's height (B, T) m: level, carried by hand, up a stair or ramp, or flying."""
    size, steps = dt.shape
    time = np.cumsum(dt, axis=1)

    each = (size, 1)

    def swing(low: float, high: float, slow: float, fast: float) -> Doubles:
        turn = rng.uniform(0.0, 2.0 * np.pi, each)
        pace = log_uniform(rng, slow, fast, each)
        return log_uniform(rng, low, high, each) * np.sin(pace * time + turn)

    kind = rng.random(each)
    middle = rng.uniform(0.1, 0.9, each) * time[:, -1:]
    since = (time - middle) / rng.uniform(0.5, 2.0, each)
    ramp = rng.uniform(-1.0, 1.5, each) * expit(since)
    moved = np.select(
        [kind < 0.4, kind < 0.7, kind < 0.82],
        [np.zeros((size, steps)), swing(0.02, 0.4, 0.2, 1.5), ramp],
        swing(0.2, 0.8, 0.2, 1.2),
    )
    moved = np.where(known[:, None], 0.02 * np.tanh(moved / 0.02), moved)
    z = base[:, None] + moved
    return np.where(z < 0.03, 0.06 - z, z)


def _walks(
    extent: Doubles, dt: Doubles, haste: Doubles, lever: Doubles, rng: np.random.Generator
) -> tuple[Doubles, Doubles]:
    """Positions and velocities (B, T, 2): from goal to goal, turning no faster than one can.

    haste (B,): how many times as fast as in rooms; lever (B, 1) m: how far ahead of what turns.
    """
    size, steps = dt.shape
    margin = 0.3
    place = rng.uniform(margin, 1.0, (size, 2)) * (extent - 2 * margin) + margin
    heading: Doubles = rng.uniform(-np.pi, np.pi, (size,))
    cruise = log_uniform(rng, 0.15, 2.5, (size,)) * np.where(rng.random(size) < 0.1, 2.0, haste)
    agility = log_uniform(rng, 0.7, 4.0, (size,))  # rad/s at most
    wander = log_uniform(rng, 0.05, 1.0, (size,))
    roaming = rng.random(size) < 0.35  # without goals: only turned back at the edge
    resting = rng.random(size) < RESTING_SHARE
    stops = (rng.random(size) < 0.4) | resting
    rest = np.where(resting, 40.0, 3.0)
    goal = rng.random((size, 2)) * extent
    speed, turn = cruise.copy(), np.zeros(size)
    pause = np.zeros(size)
    truth, velocity = np.empty((size, steps, 2)), np.empty((size, steps, 2))
    tag = place + lever * _toward(heading)
    for t in range(steps):
        count = np.clip(np.ceil(dt[:, t] / SUBSTEP_S).astype(int), 1, SUBSTEPS)
        step = dt[:, t] / count
        for i in range(int(count.max())):
            h = np.where(i < count, step, 0.0)
            toward = goal - place
            reached = (np.linalg.norm(toward, axis=1) < 0.5) | (rng.random(size) < 0.02 * h)
            goal = np.where(reached[:, None], rng.random((size, 2)) * extent, goal)
            pause = np.where(
                reached & stops & (rng.random(size) < 0.5), rng.exponential(rest), pause - h
            )
            outside = ((place < margin) | (place > extent - margin)).any(axis=1)
            wish = np.arctan2(toward[:, 1], toward[:, 0])
            inward = np.arctan2(*(0.5 * extent - place).T[::-1])
            want = np.where(roaming & ~outside, heading, np.where(roaming, inward, wish))
            error = np.angle(np.exp(1j * (want - heading)))
            turn += -turn * np.minimum(h / 0.5, 1.0) + wander * np.sqrt(h) * (
                rng.standard_normal(size)
            )
            rate = np.clip(2.0 * error, -agility, agility) + turn
            heading = heading + rate * h
            aim = np.where(pause > 0.0, 0.0, cruise * np.clip(1.0 - 0.4 * np.abs(error), 0.2, 1.0))
            speed = speed + (aim - speed) * np.minimum(h / 0.6, 1.0)
            speed += 0.15 * cruise * np.sqrt(h) * rng.standard_normal(size) * (pause <= 0.0)
            speed = np.maximum(speed, 0.0)
            place = place + (h * speed)[:, None] * _toward(heading)
        before, tag = tag, place + lever * _toward(heading)
        truth[:, t] = tag
        velocity[:, t] = (tag - before) / dt[:, t, None]
    return truth, velocity


def _toward(heading: Doubles) -> Doubles:
    """Of headings (B,) rad the directions (B, 2)."""
    return np.stack([np.cos(heading), np.sin(heading)], axis=-1)


def meeting(start: Doubles, line: Doubles, wall: Doubles, edge: Doubles) -> tuple[Doubles, Doubles]:
    """Where lines (..., 2) from start meet walls `edge` long from `wall`, in parts of either."""
    across = line[..., 0] * edge[..., 1] - line[..., 1] * edge[..., 0]
    across = np.where(np.abs(across) < PARALLEL, PARALLEL, across)
    offset = wall - start
    t = (offset[..., 0] * edge[..., 1] - offset[..., 1] * edge[..., 0]) / across
    u = (offset[..., 0] * line[..., 1] - offset[..., 1] * line[..., 0]) / across
    return np.asarray(t), np.asarray(u)


def waves(truth: Doubles, count: int, length: Doubles, rng: np.random.Generator) -> Doubles:
    """A standard normal field of place (B, T, D) for each of `count` anchors, at (B, T, A)."""
    size = truth.shape[0]
    # A chi-square mixture of Gaussian spectra: rough fields have heavier tails of wave numbers.
    rough = np.sqrt(rng.chisquare(4.0, (size, count, WAVES, 1)) / 4.0)
    wave = (
        rng.standard_normal((size, count, WAVES, truth.shape[-1]))
        / rough
        / length[:, None, None, None]
    )
    phase = rng.uniform(0.0, 2.0 * np.pi, (size, count, WAVES))
    angle = np.einsum("btd,bamd->btam", truth.astype(np.float32), wave.astype(np.float32))
    return np.asarray(
        np.cos(angle + phase[:, None].astype(np.float32)).sum(-1) * np.sqrt(2.0 / WAVES),
        dtype=np.float64,
    )
