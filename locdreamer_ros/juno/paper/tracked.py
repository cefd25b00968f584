# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The honest state: nobody tells the agent its zone, it has a belief over zones.

The same Bayes filter serves every method. A policy that is a table acts on the mean's zone; the
agent averages Q over the belief. Ground truth enters only the reward, while training.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, hypot

import numpy as np
from numba import njit

from locdreamer_ros.juno.paper.learning import greedy
from locdreamer_ros.juno.paper.room import Room
from locdreamer_ros.juno.paper.tdoa import REFERENCE, locate
from locdreamer_ros.juno.paper.walk import Walk
from locdreamer_ros.types import FloatArray, IntArray

FIX_SIGMA_M = 0.35
FIX_OUTLIER = 0.3
"""A fix is within this sigma of the zone's centre, or (with this probability) says nothing."""
START_SIGMA_M = 0.5
NEGLIGIBLE = 1e-6
"""A zone of less belief is passed over."""
CLIP = 5.0
"""1 / e counts up to here: what is better than 20 cm is good enough."""


@dataclass(frozen=True, eq=False)
class Tracked:
    """fixes (T, 2) m and estimates (T, 2) m, the belief's mean after each fix; actions (T,)."""

    fixes: FloatArray
    estimates: FloatArray
    actions: IntArray


@njit(cache=True)
def _move(belief: FloatArray, moved: FloatArray, columns: int, rows: int) -> None:
    """Belief (Z,) after one step in one of eight directions, into `moved`."""
    moved[:] = 0.0
    for zone in range(belief.size):
        if belief[zone] < NEGLIGIBLE:
            continue
        for way in range(9):
            if way != 4:
                x = min(max(zone % columns + way % 3 - 1, 0), columns - 1)
                y = min(max(zone // columns + way // 3 - 1, 0), rows - 1)
                moved[y * columns + x] += belief[zone] / 8.0


@njit(cache=True)
def _weigh(
    belief: FloatArray, centres: FloatArray, x: float, y: float, sigma: float, floor: float
) -> None:
    """Belief (Z,) after a fix, in place; floor: density, 1/m^2, of a fix that says nothing."""
    scale = (1.0 - FIX_OUTLIER) / (2.0 * np.pi * sigma**2)
    for zone in range(belief.size):
        if belief[zone] < NEGLIGIBLE:
            belief[zone] = 0.0
            continue
        square = (centres[zone, 0] - x) ** 2 + (centres[zone, 1] - y) ** 2
        belief[zone] *= scale * exp(-0.5 * square / sigma**2) + floor
    belief /= belief.sum()


@njit(cache=True)
def _mean(belief: FloatArray, centres: FloatArray) -> tuple[float, float]:
    x, y = 0.0, 0.0
    for zone in range(belief.size):
        x += belief[zone] * centres[zone, 0]
        y += belief[zone] * centres[zone, 1]
    return x, y


@njit(cache=True)
def _track(
    q: FloatArray,
    average: bool,
    alpha: float,
    epsilon: FloatArray,
    zones: IntArray,
    times: FloatArray,
    start: FloatArray,
    beacons: FloatArray,
    centres: FloatArray,
    actions: IntArray,
    columns: int,
    size: FloatArray,
    reading: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, IntArray]:
    """`track`, compiled: fixes and estimates (T, 2) m, actions (T,); learns into q where alpha > 0.

    zones (T,): the true ones; times (T, A + 1) m; start (2,) m; epsilon (T,); others of a `Room`.
    """
    rows = centres.shape[0] // columns
    floor = FIX_OUTLIER / (size[0] * size[1])
    belief, moved = np.ones(centres.shape[0]), np.empty(centres.shape[0])
    _weigh(belief, centres, start[0], start[1], START_SIGMA_M, 0.0)
    values = np.empty(actions.shape[0])
    fixes, estimates = np.empty((zones.size, 2)), np.empty((zones.size, 2))
    taken = np.empty(zones.size, dtype=np.intp)
    for t in range(zones.size):
        x, y = _mean(belief, centres)
        if epsilon[t] > 0.0 and rng.random() < epsilon[t]:
            action = int(rng.random() * actions.shape[0])
        elif average:
            values[:] = 0.0
            for zone in range(belief.size):
                if belief[zone] > NEGLIGIBLE:
                    values += belief[zone] * q[zone]
            action = greedy(values)
        else:
            column = min(max(int(x / size[0] * columns), 0), columns - 1)
            row = min(max(int(y / size[1] * rows), 0), rows - 1)
            action = greedy(q[row * columns + column])
        x, y, root = locate(reading, beacons, times[t], actions[action], (x, y), size)
        if alpha > 0.0:
            truth = centres[zones[t]]
            near = min(1.0 / max(hypot(x - truth[0], y - truth[1]), 1e-3), CLIP)
            reward = 2.0 * near / CLIP - 1.0
            q[zones[t], action] += alpha * (reward - q[zones[t], action])
        if root:
            _weigh(belief, centres, x, y, FIX_SIGMA_M, floor)
        fixes[t, 0], fixes[t, 1], taken[t] = x, y, action
        estimates[t, 0], estimates[t, 1] = _mean(belief, centres)
        _move(belief, moved, columns, rows)
        belief, moved = moved, belief
    return fixes, estimates, taken


def track(
    room: Room,
    walk: Walk,
    q: FloatArray,
    *,
    average: bool,
    alpha: float = 0.0,
    epsilon: FloatArray | None = None,
    rng: np.random.Generator | None = None,
) -> Tracked:
    """Follow a walk by the values q (Z, M), averaged over the belief or those of its mean's zone.

    alpha > 0 learns on the way: `q` changes in place, by a reward of clipped 1 / e. epsilon (T,).
    """
    never = np.zeros(walk.zones.size)
    answer = _track(
        q,
        average,
        alpha,
        never if epsilon is None else epsilon,
        walk.zones,
        walk.times,
        walk.start,
        room.beacons,
        room.centres,
        room.actions,
        room.columns,
        room.size,
        REFERENCE,
        rng or np.random.default_rng(0),
    )
    return Tracked(*answer)


def as_values(table: IntArray, actions: int) -> FloatArray:
    """Values (Z, M) whose greedy policy is the table (Z,)."""
    return np.asarray(np.eye(actions)[table])
