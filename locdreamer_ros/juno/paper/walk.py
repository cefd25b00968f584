# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Walks that every method is given alike, and the fixes a policy makes on one. Compiled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from locdreamer_ros.juno.paper.room import Room
from locdreamer_ros.juno.paper.surrogate import RangingError, draw_arrivals
from locdreamer_ros.juno.paper.tdoa import READINGS, locate
from locdreamer_ros.types import BoolArray, FloatArray, IntArray

START_M = 0.3
"""Sigma of the first prior of a walk, each way."""


@njit(cache=True)
def next_zone(zone: int, columns: int, rows: int, rng: np.random.Generator) -> int:
    """Equations (7) and (8): one zone on in one of eight directions; a wall stops the user."""
    way = int(rng.random() * 8.0)
    way = way if way < 4 else way + 1  # 4 of 0..8 would be standing still
    x = min(max(zone % columns + way % 3 - 1, 0), columns - 1)
    y = min(max(zone // columns + way // 3 - 1, 0), rows - 1)
    return int(y * columns + x)


@njit(cache=True)
def _zones(steps: int, columns: int, rows: int, rng: np.random.Generator) -> IntArray:
    zones = np.empty(steps, dtype=np.intp)
    zone = int(rng.random() * columns * rows)
    for step in range(steps):
        zones[step] = zone
        zone = next_zone(zone, columns, rows, rng)
    return zones


@dataclass(frozen=True, eq=False)
class Walk:
    """zones (T,) where the user stood; times (T, A + 1) m of all beacons; start (2,) m, a prior."""

    zones: IntArray
    times: FloatArray
    start: FloatArray


def measure_walk(
    room: Room, zones: IntArray, rng: np.random.Generator, error: RangingError | None = None
) -> Walk:
    """The walk through `zones` (T,) with arrival times drawn for it."""
    model = (error or RangingError()).array
    times = draw_arrivals(room.distances[zones], room.nlos[zones], model, rng)
    return Walk(zones, times, room.centres[zones[0]] + START_M * rng.standard_normal(2))


def draw_walk(
    room: Room, steps: int, rng: np.random.Generator, error: RangingError | None = None
) -> Walk:
    """A random walk of `steps` steps."""
    return measure_walk(room, _zones(steps, room.columns, room.rows, rng), rng, error)


def rectangle(room: Room) -> IntArray:
    """Zones (T,) of a walk round a rectangle, a fifth of the area's size from its walls: Fig. 4."""
    left, low = round(0.2 * room.columns), round(0.2 * room.rows)
    right, high = room.columns - 1 - left, room.rows - 1 - low
    x = np.concatenate(
        [
            np.arange(left, right),
            np.full(high - low, right),
            np.arange(right, left, -1),
            np.full(high - low + 1, left),
        ]
    )
    y = np.concatenate(
        [
            np.full(right - left, low),
            np.arange(low, high),
            np.full(right - left, high),
            np.arange(high, low - 1, -1),
        ]
    )
    return np.asarray(y * room.columns + x, dtype=np.intp)


@njit(cache=True)
def _follow(
    chosen: IntArray,
    reading: int,
    beacons: FloatArray,
    times: FloatArray,
    start: FloatArray,
    size: FloatArray,
) -> tuple[FloatArray, BoolArray]:
    """`follow`, compiled; chosen (T, K): rows of beacons; start (2,) m: the first prior."""
    fixes = np.empty((chosen.shape[0], 2))
    found = np.empty(chosen.shape[0], dtype=np.bool_)
    x, y = start[0], start[1]
    for t in range(chosen.shape[0]):
        x, y, root = locate(reading, beacons, times[t], chosen[t], (x, y), size)
        fixes[t, 0], fixes[t, 1], found[t] = x, y, root
    return fixes, found


def follow(
    room: Room, walk: Walk, actions: IntArray, reading: str = "reference"
) -> tuple[FloatArray, BoolArray]:
    """Fixes (T, 2) m and whether each had a root, by actions (T,); the last fix is the prior.

    A policy that is a table (Z,) acts by `table[walk.zones]`.
    """
    return _follow(
        room.actions[actions], READINGS[reading], room.beacons, walk.times, walk.start, room.size
    )


def fix_errors(room: Room, walk: Walk, fixes: FloatArray) -> FloatArray:
    """Equation (13): e (T,) m of fixes (T, 2)."""
    return np.asarray(np.linalg.norm(fixes - room.centres[walk.zones], axis=1))
