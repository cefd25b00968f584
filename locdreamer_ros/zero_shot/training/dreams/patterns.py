# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Family `patterns`: errors of either sign, by direction, motion and time rather than by walls.

Antennas of tag and anchors, the body that carries the tag, people who walk between, late stamps,
bursts, one anchor worse than the others.

Shape legend: B dreams, T steps, A anchors.
"""

from __future__ import annotations

import numpy as np

from locdreamer_ros.zero_shot.training.dreams.rooms import (
    STANDING_SHARE,
    Doubles,
    Room,
    delays,
    lateness,
    log_uniform,
    sometimes,
    waves,
)
from locdreamer_ros.zero_shot.training.dreams.walls import guess

PERSON_M = 0.3
"""A person this near to the line of sight is in it."""


def errors(room: Room, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
    """Errors (B, T, A) m, NaN where a range is lost; what a device guesses of it."""
    site, link = room.site, room.link
    distance = room.distance
    direction = room.offset / np.maximum(distance, 0.05)[..., None]
    calm, rough = room.calm, np.maximum(room.calm, 1.0)
    lasting = sometimes(rng, 0.3, 0.012 * rng.standard_normal(site)) * distance
    lasting = lasting + _antennas(room, direction, rng)
    length = log_uniform(rng, 0.5, 4.0, (site[0],))
    field = sometimes(rng, 0.8, log_uniform(rng, 0.02, 0.2, site)) * log_uniform(rng, 0.4, 2, link)
    lasting = lasting + field * waves(room.truth, link[2], length, rng)
    blocked = _people(room, rng)
    excess = blocked * log_uniform(rng, 0.05, 0.6, site) * log_uniform(rng, 0.5, 2.0, link)
    fresh = log_uniform(rng, 0.015, 0.12, site) * log_uniform(rng, 0.7, 1.5, link)
    error = calm * (lasting + excess) + lateness(room, rng)
    error = error + rough * (delays(room, rng) + fresh * rng.standard_normal(distance.shape))
    error = error + _bursts(room, rng)
    share = sometimes(rng, 0.7, rng.uniform(0.0, 0.08, site)) + sometimes(
        rng, 0.3, 0.6 * (rng.random(link) < 0.15)
    )
    return np.where(rng.random(distance.shape) < share, np.nan, error), guess(blocked, excess, rng)


def _heading(room: Room) -> Doubles:
    """Which way (B, T) rad a body faces: where it last walked."""
    velocity = room.velocity[..., :2]
    angle = np.arctan2(velocity[..., 1], velocity[..., 0])
    steps = np.arange(angle.shape[1])
    last = np.where(np.linalg.norm(velocity, axis=-1) > STANDING_SHARE, steps, 0)
    return np.take_along_axis(angle, np.maximum.accumulate(last, axis=1), axis=1)


def _antennas(room: Room, direction: Doubles, rng: np.random.Generator) -> Doubles:
    """Errors (B, T, A) m by elevation, by the side of tag and anchor, behind the body."""
    site, link = room.site, room.link

    def amount(share: float, low: float, high: float) -> Doubles:
        return sometimes(rng, share, log_uniform(rng, low, high, site))

    def phase(shape: tuple[int, ...]) -> Doubles:
        return rng.uniform(0.0, 2.0 * np.pi, shape)

    up = direction[..., 2]
    bearing = np.arctan2(direction[..., 1], direction[..., 0])  # from the anchor
    side = bearing + np.pi - _heading(room)[..., None]  # from the tag
    error = amount(0.4, 0.03, 0.3) * rng.standard_normal(link) * up**2
    error = error + amount(0.4, 0.03, 0.2) * rng.standard_normal(link) * up
    for order in (1, 2):
        error = error + amount(0.4, 0.02, 0.15) * np.cos(order * side + phase(site))
        error = error + amount(0.4, 0.02, 0.1) * np.cos(order * bearing + phase(link))
    behind = np.maximum(-np.cos(side) + rng.uniform(-0.3, 0.3, site), 0.0)
    return error + amount(0.35, 0.05, 0.6) * rng.uniform(0.2, 1.0, link) * behind


def _people(room: Room, rng: np.random.Generator) -> Doubles:
    """How many people are between tag and anchor, (B, T, A)."""
    size, steps = room.dt.shape
    number = np.where(rng.random(size) < 0.5, 0, rng.integers(1, 5, size))
    tag, line = room.truth[:, :, None, :2], -room.offset[..., :2]
    square = np.maximum((line**2).sum(-1), 1e-6)
    time = np.cumsum(room.dt, axis=1)
    blocked = np.zeros((size, steps, room.link[2]))
    for person in range(int(number.max(initial=0))):
        turn = rng.uniform(0.0, 2.0 * np.pi, (size, 1, 2))
        pace = log_uniform(rng, 0.05, 0.5, (size, 1, 2))
        swing = 0.5 * (1.0 + np.sin(pace * time[..., None] + turn))
        place = (swing * room.extent[:, None])[:, :, None]
        along = np.clip(((place - tag) * line).sum(-1) / square, 0.0, 1.0)
        off = np.linalg.norm(place - tag - along[..., None] * line, axis=-1)
        blocked += (off < PERSON_M) & (person < number)[:, None, None]
    return blocked


def _bursts(room: Room, rng: np.random.Generator) -> Doubles:
    """Errors (B, T, A) m that come, stay for a while and go; some anchors have many."""
    size, steps = room.dt.shape
    link = (size, room.link[2])
    share = np.where(
        rng.random(link) < 0.08,
        rng.uniform(0.03, 0.15, link),
        sometimes(rng, 0.5, rng.uniform(0.0, 0.02, (size, 1))),
    )
    stay = log_uniform(rng, 0.1, 8.0, (size, 1))
    scale = log_uniform(rng, 0.4, 3.0, (size, 1))
    on, size_m = np.zeros(link, dtype=bool), np.zeros(link)
    found = np.zeros((size, steps, link[1]))
    for t in range(steps):
        leave = -np.expm1(-room.dt[:, t, None] / stay)
        new = ~on & (rng.random(link) < share * leave)
        on = (on & (rng.random(link) > leave)) | new
        sign = np.where(rng.random(link) < 0.8, 1.0, -1.0)
        size_m = np.where(new, scale * sign * rng.exponential(1.0, link), size_m)
        found[:, t] = on * size_m * (1.0 + 0.1 * rng.standard_normal(link))
    return found
