# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`random`: another building, other anchors and another kind of radio with every seed.

Rooms come from cutting a rectangle in two again and again, each cut a wall with one door; no later
wall ends in a door, so every room can be reached from every other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from locdreamer_ros.simulation.world import ErrorModel, World, box, wall
from locdreamer_ros.types import Anchors, FloatArray

ANCHORS = (3, 12)
MOST_TRIES = 12
BESIDE_DOOR_M = 0.4
SPACING_M = 1.0
OFF_WALL_M = 0.06
SPREAD_M = 0.7
"""Least standard deviation of the anchors along their narrowest direction: not all in one line."""


@dataclass
class _Building:
    """Walls so far, and doors as (axis across the wall, where on it, from, to)."""

    smallest: float
    walls: list[FloatArray] = field(default_factory=list)
    doors: list[tuple[int, float, float, float]] = field(default_factory=list)

    def cut(self, low: FloatArray, high: FloatArray, rng: np.random.Generator) -> None:
        """Divide the room low (2,) - high (2,) and then its parts, until they are small."""
        size = high - low
        axis = int(np.argmax(size * rng.uniform(0.7, 1.0, 2)))
        room_enough = size[axis] - 2.0 * self.smallest
        if room_enough <= 0.0:
            return
        for _ in range(MOST_TRIES):
            at = low[axis] + self.smallest + room_enough * rng.random()
            if not self._ends_in_door(axis, at, low, high):
                break
        else:
            return
        along = 1 - axis
        width = min(rng.uniform(0.85, 1.5), size[along] - 1.0)
        start = rng.uniform(0.4, size[along] - width - 0.4)
        ends = np.array([low, high])
        ends[:, axis] = at
        (x0, y0), (x1, y1) = ends
        self.walls += wall((x0, y0), (x1, y1), start, start + width)
        self.doors.append((axis, at, low[along] + start, low[along] + start + width))
        below, above = high.copy(), low.copy()
        below[axis] = above[axis] = at
        self.cut(low, below, rng)
        self.cut(above, high, rng)

    def _ends_in_door(self, axis: int, at: float, low: FloatArray, high: FloatArray) -> bool:
        """Whether a wall across `axis` at `at` in this room would end in or beside a door."""
        along = 1 - axis
        return any(
            across == along
            and (np.isclose(where, low[along]) or np.isclose(where, high[along]))
            and begin - BESIDE_DOOR_M < at < end + BESIDE_DOOR_M
            for across, where, begin, end in self.doors
        )


def _distance_to_walls(position: FloatArray, walls: FloatArray) -> FloatArray:
    """Distance (N,) m of positions (N, 2) to the nearest wall."""
    start, edge = walls[:, 0], walls[:, 1] - walls[:, 0]
    offset = position[:, None, :] - start
    share = np.clip((offset * edge).sum(-1) / (edge**2).sum(-1), 0.0, 1.0)
    gap = offset - share[..., None] * edge
    return np.asarray(np.linalg.norm(gap, axis=-1).min(axis=1))


def _anchors(
    count: int, size: FloatArray, walls: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Places (count, 2) m: apart from each other, not all in a line, half at the outer walls."""
    spacing = SPACING_M
    while True:
        places = rng.uniform(0.0, 1.0, (count, 2))
        outer = rng.random(count) < 0.5
        side = rng.integers(2, size=count)
        places[outer, side[outer]] = np.round(places[outer, side[outer]])
        places = np.clip(places * size, 0.1, size - 0.1)
        gaps = np.linalg.norm(places[:, None] - places, axis=-1) + 1e3 * np.eye(count)
        narrow = np.linalg.svd(places - places.mean(axis=0), compute_uv=False)[-1]
        if (
            gaps.min() >= spacing
            and narrow >= SPREAD_M * np.sqrt(count)
            and (_distance_to_walls(places, walls) >= OFF_WALL_M).all()
        ):
            return places
        spacing *= 0.99  # twelve anchors in a small flat cannot all be far apart


def _radio(rng: np.random.Generator) -> ErrorModel:
    """An error model anywhere between a calibrated room and a brick house full of people."""

    def scale(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    return ErrorModel(
        common_offset=rng.uniform(-0.1, 0.25),
        anchor_offset=scale(0.02, 0.12),
        ripple=scale(0.02, 0.12),
        wall_delay=rng.uniform(0.0, 0.15),
        multipath=scale(0.03, 0.3),
        tail=rng.uniform(0.45, 1.1),
        correlation=scale(0.3, 2.5),
        noise=scale(0.02, 0.12),
        late=rng.uniform(0.0, 0.1),
        late_mean=scale(0.15, 1.0),
        outlier=scale(0.0005, 0.03),
        outlier_span=rng.uniform(3.0, 12.0),
        lost=rng.uniform(0.0, 0.05),
        wall_loss=rng.uniform(1.5, 6.0),
        shadowing=rng.uniform(1.0, 4.0),
        sensitivity=rng.uniform(-105.0, -98.0),
    )


def random_world(rng: np.random.Generator) -> World:
    """A building of 5-20 x 5-15 m, 3 to 12 anchors 0.3-2.8 m high, and a radio, from `rng`."""
    size = np.array([rng.uniform(5.0, 20.0), rng.uniform(5.0, 15.0)])
    building = _Building(smallest=rng.uniform(2.0, 5.0))
    building.cut(np.zeros(2), size, rng)
    walls = np.array([*box((0.0, 0.0), (size[0], size[1])), *building.walls])
    count = int(rng.integers(ANCHORS[0], ANCHORS[1] + 1))
    places = _anchors(count, size, walls, rng)
    return World.furnish(
        "random",
        bounds=np.stack([np.zeros(2), size]),
        walls=walls,
        anchors=Anchors(
            tuple(f"A{i}" for i in range(1, count + 1)),
            np.column_stack([places, rng.uniform(0.3, 2.8, count)]),
        ),
        tag_height=float(rng.uniform(0.3, 1.6)),
        errors=_radio(rng),
        rng=rng,
    )
