# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Family `walls`: loose walls, and waves of place pushed through quantile functions.

Shape legend: B dreams, T steps, A anchors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr, ndtri

from locdreamer_ros.zero_shot.training.dreams.rooms import (
    Doubles,
    Room,
    delays,
    lateness,
    log_uniform,
    meeting,
    waves,
)

DISTRIBUTIONS = ("exponential", "weibull", "lognormal", "gamma")
"""Of the excess of a blocked range over places."""
MOVED_SHARE = 0.15
"""Share of the sites where furniture is moved once: what belonged to a place is another there."""


def errors(room: Room, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
    """Errors (B, T, A) m, NaN where a range is lost; what a device guesses of it."""
    clear, excess, blocked = _place_bound(room, rng)
    distance = room.distance
    calm, rough = room.calm, np.maximum(room.calm, 1.0)
    error = calm * (clear + excess + _along_the_way(distance, rng)) + lateness(room, rng)
    error = error + rough * (delays(room, rng) + _fresh(distance.shape, rng))
    lost = rng.random(distance.shape) < rng.uniform(0.0, 0.1, room.site)
    return np.where(lost, np.nan, error), guess(blocked, calm * excess, rng)


def _place_bound(room: Room, rng: np.random.Generator) -> tuple[Doubles, Doubles, Doubles]:
    """Errors (B, T, A) m that come back with the place: clear, excess; how often it is blocked."""
    site, count = room.site, room.link[2]

    def each(low: float, high: float) -> Doubles:
        return log_uniform(rng, low, high, site)

    length = log_uniform(rng, 0.15, 2.5, (site[0],))
    place = room.truth[..., :2]
    field = _moved_once(room, waves(place, count, length, rng), length, rng.spawn(1)[0])
    ripple = each(0.01, 0.15) * waves(place, count, length, rng)
    crossed = _crossed(room, rng).astype(np.float64)
    # A body carries the tag: anchors behind its back are blocked too.
    bearing = -room.offset[..., :2]
    velocity = room.velocity[:, :, None, :2]
    ahead = (bearing * velocity).sum(-1) / (
        np.linalg.norm(bearing, axis=-1) * np.linalg.norm(velocity, axis=-1) + 1e-6
    )
    body = (rng.random(site) < 0.25) & (ahead < -0.5)
    # Where nobody can say why: cupboards, people, metal.
    bare = rng.random(site) < 0.3
    odd = waves(place, count, 2.0 * length, rng) > rng.uniform(1.0, 3.0, site)
    blocked = np.where(bare, 0.0, crossed) + body + odd
    share = ndtr(field).clip(1e-6, 1.0 - 1e-6)
    amount = np.empty_like(share)
    kind = rng.integers(len(DISTRIBUTIONS), size=site[0])
    shape = rng.uniform(0.5, 1.2, site)
    for index, distribution in enumerate(DISTRIBUTIONS):
        here = kind == index
        amount[here] = quantile(distribution, share[here], shape[here])
    scale = each(0.02, 0.5) * np.sqrt(blocked)
    delay = rng.uniform(0.0, 0.15, site) * np.where(bare, 0.0, crossed)
    clear = np.where(blocked > 0, 0.0, ripple)
    return clear, scale * amount + delay, blocked


def _moved_once(room: Room, field: Doubles, length: Doubles, rng: np.random.Generator) -> Doubles:
    """The field (B, T, A), in some sites that of half of the anchors another from a moment on."""
    here = rng.random(len(field)) < MOVED_SHARE
    place, count = room.truth[here, :, :2], room.link[2]
    time = np.cumsum(room.dt[here], axis=1)
    since = time > time[:, -1:] * rng.uniform(0.1, 0.9, (len(time), 1))
    moved = since[..., None] & (rng.random((len(time), 1, count)) < 0.5)
    field = field.copy()
    field[here] = np.where(moved, waves(place, count, length[here], rng), field[here])
    return field


def quantile(distribution: str, share: Doubles, shape: Doubles) -> Doubles:
    """Quantiles of an excess of scale 1."""
    if distribution == "exponential":
        return -np.log1p(-share)
    if distribution == "weibull":
        return np.asarray((-np.log1p(-share)) ** (1.0 / shape))
    if distribution == "lognormal":
        return np.asarray(np.exp(1.2 * shape * ndtri(share)))
    return np.asarray(gammaincinv(shape, share) / shape)


def _crossed(room: Room, rng: np.random.Generator) -> NDArray[np.intp]:
    """How many of some random wall segments lie between tag and anchor, (B, T, A)."""
    size, extent = len(room.extent), room.extent
    crossed = np.zeros((size, room.truth.shape[1], room.link[2]), dtype=np.intp)
    walls = rng.integers(0, 13, size)
    upright = rng.random(size) < 0.8
    start, line = room.truth[:, :, None, :2], -room.offset[..., :2]
    for number in range(int(walls.max())):
        middle = rng.random((size, 2)) * extent
        angle = np.where(
            upright, rng.integers(2, size=size) * np.pi / 2, rng.uniform(0, np.pi, size)
        )
        half = 0.5 * log_uniform(rng, 1.0, 8.0, (size, 1))
        along = half * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        wall, edge = (middle - along)[:, None, None], (2.0 * along)[:, None, None]
        t, u = meeting(start, line, wall, edge)
        hit = (t > 0) & (t < 1) & (u > 0) & (u < 1)
        crossed += hit & np.less(number, walls)[:, None, None]
    return crossed


def _along_the_way(distance: Doubles, rng: np.random.Generator) -> Doubles:
    """Errors (B, T, A) m that depend on the distance: of scale, and of the power received."""
    site = (distance.shape[0], 1, 1)
    bend = np.tanh((distance - rng.uniform(1.0, 8.0, site)) / rng.uniform(1.0, 5.0, site))
    amount = rng.uniform(-0.12, 0.12, site) + 0.02 * rng.standard_normal(
        (distance.shape[0], 1, distance.shape[2])
    )
    return np.asarray(amount * bend + 0.004 * rng.standard_normal(site) * distance)


def _fresh(shape: tuple[int, ...], rng: np.random.Generator) -> Doubles:
    """What is drawn anew at each range (B, T, A) m: noise, lateness, outliers."""

    def each(low: float, high: float) -> Doubles:
        return log_uniform(rng, low, high, (shape[0], 1, 1))

    error = each(0.02, 0.15) * rng.standard_normal(shape)
    late = rng.random(shape) < rng.uniform(0.0, 0.1, (shape[0], 1, 1))
    error += late * rng.exponential(1.0, shape) * each(0.1, 1.0)
    wild = rng.random(shape) < each(0.0003, 0.03)
    return np.where(wild, rng.uniform(-1.0, 1.0, shape) * each(2.0, 12.0), error)


def guess(blocked: Doubles, excess: Doubles, rng: np.random.Generator) -> Doubles:
    """What a device says of first-path and receive power: each site has its own thresholds."""
    site = (blocked.shape[0], 1, 1)
    gap = 3.5 + rng.uniform(1.0, 6.0, site) * blocked + rng.uniform(0.0, 8.0, site) * excess
    gap += rng.uniform(1.0, 4.0, site) * rng.standard_normal(blocked.shape)
    found = np.clip((gap - 6.0) / 4.0, 0.0, 1.0)
    return np.where(rng.random(site) < 0.5, found, np.nan)
