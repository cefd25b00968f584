# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dreams of rooms nobody has seen: random places, walks and range errors, many at a time.

This is not `simulation`, and shares no code with it: a model trained here is tested there and on
real recordings. Walls are loose segments the walker does not know of, the place-bound errors are
sums of plane waves pushed through quantile functions of several families.

Shape legend: B dreams, T steps, A anchors, W walls, M waves.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float32]

SUBSTEP_S = 0.1
WAVES = 24
FAMILIES = ("exponential", "weibull", "lognormal", "gamma")
"""Distributions of the excess of a blocked range over places."""
HELD_OUT = "gamma"
"""Never trained on: the validation dreams have it."""
TRAINED = tuple(family for family in FAMILIES if family != HELD_OUT)


@dataclass(frozen=True, eq=False)
class Dreams:
    """Places, walks and what was measured there.

    anchor (B, A, 3) m relative to the tag's height; truth (B, T, 2) m; velocity (B, T, 2) m/s; dt
    (B, T) s before each step; distance (B, T, A) m measured, NaN where lost; blocked (B, T, A)
    what a device would guess of it, 0 to 1, NaN where the device has no such guess.
    """

    anchor: Floats
    truth: Floats
    velocity: Floats
    dt: Floats
    distance: Floats
    blocked: Floats

    def __len__(self) -> int:
        return int(self.anchor.shape[0])

    def rows(self, which: NDArray[np.intp] | slice) -> Dreams:
        """Only these dreams."""
        return replace(self, **{f.name: getattr(self, f.name)[which] for f in fields(self)})


def log_uniform(
    rng: np.random.Generator, low: float, high: float, size: tuple[int, ...]
) -> NDArray[np.float64]:
    """Draws with a uniform logarithm."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def dream(
    size: int,
    steps: int,
    anchors: int,
    rng: np.random.Generator,
    *,
    families: tuple[str, ...] = TRAINED,
) -> Dreams:
    """`size` dreams of `steps` steps with `anchors` anchors, each in a place of its own."""
    extent = log_uniform(rng, 4.0, 25.0, (size, 2))
    anchor = _anchors(extent, anchors, rng)
    rate = np.where(
        rng.random(size) < 0.3,
        log_uniform(rng, 0.8, 2.0, (size,)),
        log_uniform(rng, 2, 20, (size,)),
    )
    dt = (1.0 / rate)[:, None] * np.clip(
        1.0 + 0.1 * rng.standard_normal((size, steps)) * (rng.random((size, 1)) < 0.5), 0.5, 2.0
    )
    truth, velocity = _walks(extent, dt, rng)
    clear, excess, blocked = _place_bound(extent, anchor, truth, velocity, families, rng)
    surveyed = anchor + _survey_errors(anchor.shape, rng)
    delta = truth[:, :, None, :] - surveyed[:, None, :, :2]  # (B, T, A, 2)
    distance = np.sqrt((delta**2).sum(-1) + surveyed[:, None, :, 2] ** 2)
    measured = distance + clear + excess + _along_the_way(distance, rng)
    measured += _fresh(distance.shape, rng)
    lost = rng.random(distance.shape) < rng.uniform(0.0, 0.1, (size, 1, 1))
    measured[lost | (measured < 0.05)] = np.nan
    guess = _guess(blocked, excess, rng)
    return Dreams(*(x.astype(np.float32) for x in (anchor, truth, velocity, dt, measured, guess)))


def _anchors(
    extent: NDArray[np.float64], count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Places (B, A, 3) m: the best spread of a few draws; heights alike or not."""
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
    height = rng.uniform(-0.5, 2.0, (size, 1)) + rng.uniform(0.0, 0.7, (size, 1)) * (
        rng.standard_normal((size, count))
    )
    height[rng.random(size) < 0.2] = 0.0
    return np.concatenate([best * extent[:, None, :], height[..., None]], axis=-1)


def _walks(
    extent: NDArray[np.float64], dt: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions and velocities (B, T, 2): from goal to goal, turning no faster than one can."""
    size, steps = dt.shape
    margin = 0.3
    place = rng.uniform(margin, 1.0, (size, 2)) * (extent - 2 * margin) + margin
    heading = rng.uniform(-np.pi, np.pi, size)
    cruise = log_uniform(rng, 0.2, 2.5, (size,))
    agility = log_uniform(rng, 0.7, 4.0, (size,))  # rad/s at most
    wander = log_uniform(rng, 0.05, 1.0, (size,))
    roaming = rng.random(size) < 0.35  # without goals: only turned back at the edge
    stops = rng.random(size) < 0.4
    goal = rng.random((size, 2)) * extent
    speed, turn = cruise.copy(), np.zeros(size)
    pause = np.zeros(size)
    truth, velocity = np.empty((size, steps, 2)), np.empty((size, steps, 2))
    for t in range(steps):
        count = np.maximum(1, np.ceil(dt[:, t] / SUBSTEP_S).astype(int))
        step = dt[:, t] / count
        moved = place.copy()
        for i in range(int(count.max())):
            h = np.where(i < count, step, 0.0)
            toward = goal - place
            reached = (np.linalg.norm(toward, axis=1) < 0.5) | (rng.random(size) < 0.02 * h)
            goal = np.where(reached[:, None], rng.random((size, 2)) * extent, goal)
            pause = np.where(
                reached & stops & (rng.random(size) < 0.5), rng.exponential(3.0, size), pause - h
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
            place = place + (h * speed)[:, None] * np.stack(
                [np.cos(heading), np.sin(heading)], axis=-1
            )
        truth[:, t] = place
        velocity[:, t] = (place - moved) / dt[:, t, None]
    return truth, velocity


def waves(
    truth: NDArray[np.float64], count: int, length: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """A standard normal field of place for each of `count` anchors, at (B, T, A)."""
    size = truth.shape[0]
    # A chi-square mixture of Gaussian spectra: rough fields have heavier tails of wave numbers.
    rough = np.sqrt(rng.chisquare(4.0, (size, count, WAVES, 1)) / 4.0)
    wave = rng.standard_normal((size, count, WAVES, 2)) / rough / length[:, None, None, None]
    phase = rng.uniform(0.0, 2.0 * np.pi, (size, count, WAVES))
    angle = np.einsum("btd,bamd->btam", truth.astype(np.float32), wave.astype(np.float32))
    return np.asarray(
        np.cos(angle + phase[:, None].astype(np.float32)).sum(-1) * np.sqrt(2.0 / WAVES),
        dtype=np.float64,
    )


def _place_bound(
    extent: NDArray[np.float64],
    anchor: NDArray[np.float64],
    truth: NDArray[np.float64],
    velocity: NDArray[np.float64],
    families: tuple[str, ...],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Errors (B, T, A) m that come back with the place: clear, excess; how often it is blocked."""
    size, count = anchor.shape[:2]

    def each(low: float, high: float) -> NDArray[np.float64]:
        return log_uniform(rng, low, high, (size, 1, 1))

    common = np.where(rng.random((size, 1, 1)) < 0.3, 0.0, rng.uniform(-0.15, 0.35, (size, 1, 1)))
    own = each(0.01, 0.12) * rng.standard_normal((size, 1, count))
    length = log_uniform(rng, 0.15, 2.5, (size,))
    field = waves(truth, count, length, rng)
    ripple = each(0.01, 0.15) * waves(truth, count, length, rng)
    crossed = _crossed(extent, anchor, truth, rng).astype(np.float64)
    # A body carries the tag: anchors behind its back are blocked too.
    bearing = anchor[:, None, :, :2] - truth[:, :, None]
    ahead = (bearing * velocity[:, :, None]).sum(-1) / (
        np.linalg.norm(bearing, axis=-1) * np.linalg.norm(velocity, axis=-1)[..., None] + 1e-6
    )
    body = (rng.random((size, 1, 1)) < 0.25) & (ahead < -0.5)
    # Where nobody can say why: cupboards, people, metal.
    bare = rng.random((size, 1, 1)) < 0.3
    odd = waves(truth, count, 2.0 * length, rng) > rng.uniform(1.0, 3.0, (size, 1, 1))
    blocked = np.where(bare, 0.0, crossed) + body + odd
    share = ndtr(field).clip(1e-6, 1.0 - 1e-6)
    amount = np.empty_like(share)
    kind = rng.integers(len(families), size=size)
    shape = rng.uniform(0.5, 1.2, (size, 1, 1))
    for index, family in enumerate(families):
        here = kind == index
        amount[here] = _quantile(family, share[here], shape[here])
    scale = each(0.02, 0.5) * np.sqrt(blocked)
    delay = rng.uniform(0.0, 0.15, (size, 1, 1)) * np.where(bare, 0.0, crossed)
    clear = common + own + np.where(blocked > 0, 0.0, ripple)
    return clear, scale * amount + delay, blocked


def _quantile(
    family: str, share: NDArray[np.float64], shape: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Quantiles of an excess of scale 1."""
    if family == "exponential":
        return -np.log1p(-share)
    if family == "weibull":
        return np.asarray((-np.log1p(-share)) ** (1.0 / shape))
    from scipy.special import gammaincinv, ndtri

    if family == "lognormal":
        return np.asarray(np.exp(1.2 * shape * ndtri(share)))
    return np.asarray(gammaincinv(shape, share) / shape)


def _crossed(
    extent: NDArray[np.float64],
    anchor: NDArray[np.float64],
    truth: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """How many of some random wall segments lie between tag and anchor, (B, T, A)."""
    size = anchor.shape[0]
    crossed = np.zeros((size, truth.shape[1], anchor.shape[1]), dtype=np.intp)
    walls = rng.integers(0, 13, size)
    upright = rng.random(size) < 0.8
    start, line = truth[:, :, None], anchor[:, None, :, :2] - truth[:, :, None]
    for number in range(int(walls.max())):
        middle = rng.random((size, 2)) * extent
        angle = np.where(
            upright, rng.integers(2, size=size) * np.pi / 2, rng.uniform(0, np.pi, size)
        )
        half = 0.5 * log_uniform(rng, 1.0, 8.0, (size, 1))
        along = half * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        a, edge = (middle - along)[:, None, None], (2.0 * along)[:, None, None]
        across = line[..., 0] * edge[..., 1] - line[..., 1] * edge[..., 0]
        across = np.where(np.abs(across) < 1e-9, 1e-9, across)
        offset = a - start
        t = (offset[..., 0] * edge[..., 1] - offset[..., 1] * edge[..., 0]) / across
        u = (offset[..., 0] * line[..., 1] - offset[..., 1] * line[..., 0]) / across
        hit = (t > 0) & (t < 1) & (u > 0) & (u < 1)
        crossed += hit & np.less(number, walls)[:, None, None]
    return crossed


def _survey_errors(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """By how much the anchors stand elsewhere than believed (B, A, 3) m, and the tag's height."""
    site = (shape[0], 1, 1)
    off = log_uniform(rng, 0.003, 0.1, site) * rng.standard_normal(shape)
    off[..., 2:] += 0.1 * rng.standard_normal(site)
    return np.asarray(off)


def _along_the_way(distance: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Errors (B, T, A) m that depend on the distance: of scale, and of the power received."""
    site = (distance.shape[0], 1, 1)
    bend = np.tanh((distance - rng.uniform(1.0, 8.0, site)) / rng.uniform(1.0, 5.0, site))
    amount = rng.uniform(-0.12, 0.12, site) + 0.02 * rng.standard_normal(
        (distance.shape[0], 1, distance.shape[2])
    )
    return np.asarray(amount * bend + 0.004 * rng.standard_normal(site) * distance)


def _fresh(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """What is drawn anew at each range (B, T, A) m: noise, lateness, outliers."""

    def each(low: float, high: float) -> NDArray[np.float64]:
        return log_uniform(rng, low, high, (shape[0], 1, 1))

    error = each(0.02, 0.15) * rng.standard_normal(shape)
    late = rng.random(shape) < rng.uniform(0.0, 0.1, (shape[0], 1, 1))
    error += late * rng.exponential(1.0, shape) * each(0.1, 1.0)
    wild = rng.random(shape) < each(0.0003, 0.03)
    return np.where(wild, rng.uniform(-1.0, 1.0, shape) * each(2.0, 12.0), error)


def _guess(
    blocked: NDArray[np.float64], excess: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """What a device says of first-path and receive power: each site has its own thresholds."""
    site = (blocked.shape[0], 1, 1)
    gap = 3.5 + rng.uniform(1.0, 6.0, site) * blocked + rng.uniform(0.0, 8.0, site) * excess
    gap += rng.uniform(1.0, 4.0, site) * rng.standard_normal(blocked.shape)
    guess = np.clip((gap - 6.0) / 4.0, 0.0, 1.0)
    return np.where(rng.random(site) < 0.5, guess, np.nan)
