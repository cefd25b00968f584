# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Equations (5) to (13) and the jump start, as one compiled loop over epochs and steps.

The choice of beacons does not move the user, so no action has consequences beyond its own reward:
the problem is a contextual bandit, and gamma = 0 is the default. With gamma > 0 equation (6) is
the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import hypot

import numpy as np
from numba import njit

from locdreamer_ros.juno.paper.jump_start import jump_start_steps
from locdreamer_ros.juno.paper.room import Room
from locdreamer_ros.juno.paper.surrogate import RangingError, draw_arrival
from locdreamer_ros.juno.paper.tdoa import READINGS, locate
from locdreamer_ros.juno.paper.walk import START_M, next_zone
from locdreamer_ros.types import BoolArray, FloatArray, IntArray

THRESHOLD_M = 0.5
"""e_th of equation (12)."""


@dataclass(frozen=True)
class Learning:
    """How an agent learns. The paper's values are lost; docs/juno.md says how these were chosen.

    epsilon of epoch n is max(`epsilon_last`, `epsilon` * `epsilon_fall` ** n).
    """

    epochs: int = 8000
    horizon: int = 100
    """Steps of an epoch, and H where there is a guide."""
    alpha: float = 0.2
    gamma: float = 0.0
    epsilon: float = 0.02
    epsilon_fall: float = 1.0
    epsilon_last: float = 0.02
    guide_horizon: int = 100
    """H: steps that the guide leads at first."""
    guide_epochs: int = 300
    """Epochs until it has withdrawn."""
    threshold: float = THRESHOLD_M
    reading: str = "reference"
    error: RangingError = field(default_factory=RangingError)

    def epsilons(self) -> FloatArray:
        """(epochs,)."""
        fallen = self.epsilon * self.epsilon_fall ** np.arange(self.epochs)
        return np.asarray(np.maximum(self.epsilon_last, fallen))


@dataclass(frozen=True, eq=False)
class Learnt:
    """q (Z, M); errors (epochs,) mean e of each epoch, m; rewards (epochs,) their sums."""

    q: FloatArray
    errors: FloatArray
    rewards: FloatArray

    @property
    def table(self) -> IntArray:
        """(Z,) the best action of each zone."""
        return np.asarray(np.argmax(self.q, axis=1))


@njit(cache=True)
def greedy(values: FloatArray) -> int:
    """The first action of the largest value."""
    best = 0
    for action in range(1, values.size):
        if values[action] > values[best]:
            best = action
    return best


@njit(cache=True)
def _learn(
    q: FloatArray,
    nlos: BoolArray,
    beacons: FloatArray,
    centres: FloatArray,
    distances: FloatArray,
    actions: IntArray,
    columns: int,
    size: FloatArray,
    reading: int,
    error: FloatArray,
    threshold: float,
    alpha: float,
    gamma: float,
    epsilon: FloatArray,
    guide: IntArray,
    guide_steps: IntArray,
    horizon: int,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Q-learning, equation (6), into q (Z, M) in place; mean e and sum of rewards of each epoch.

    nlos, distances (Z, A + 1), beacons (A + 1, 2), centres (Z, 2), actions (M, K), size (2,): of a
    `Room`; reading: of `tdoa`; error (5,): `RangingError.array`; epsilon, guide_steps (epochs,);
    guide (Z,): its action in each zone, taken in the first guide_steps[n] steps of epoch n.
    """
    zones, last = centres.shape[0], beacons.shape[0] - 1
    rows = zones // columns
    times = np.zeros(last + 1)
    errors, rewards = np.empty(epsilon.size), np.empty(epsilon.size)
    for epoch in range(epsilon.size):
        zone = int(rng.random() * zones)
        x = centres[zone, 0] + START_M * rng.standard_normal()
        y = centres[zone, 1] + START_M * rng.standard_normal()
        total_error, total_reward = 0.0, 0.0
        for step in range(horizon):
            if step < guide_steps[epoch]:
                action = guide[zone]
            elif rng.random() < epsilon[epoch]:
                action = int(rng.random() * actions.shape[0])
            else:
                action = greedy(q[zone])
            chosen = actions[action]
            for row in chosen:
                times[row] = draw_arrival(distances[zone, row], nlos[zone, row], error, rng)
            times[last] = draw_arrival(distances[zone, last], nlos[zone, last], error, rng)
            x, y, _ = locate(reading, beacons, times, chosen, (x, y), size)
            miss = hypot(x - centres[zone, 0], y - centres[zone, 1])  # (13)
            reward = 1.0 if miss <= threshold else -1.0  # (12)
            following = next_zone(zone, columns, rows, rng)
            target = reward
            if gamma > 0.0:
                target += gamma * q[following, greedy(q[following])]
            q[zone, action] += alpha * (target - q[zone, action])  # (6)
            total_error += miss
            total_reward += reward
            zone = following
        errors[epoch], rewards[epoch] = total_error / horizon, total_reward
    return errors, rewards


def learn(
    room: Room,
    rng: np.random.Generator,
    settings: Learning | None = None,
    *,
    guide: IntArray | None = None,
    start: FloatArray | None = None,
) -> Learnt:
    """Learn in `room` with the true zone as state, as the paper does.

    guide (Z,): its action in each zone, followed for the first h steps of an epoch, h falling from
    H to 0; None: plain Q-learning. start (Z, M): Q to begin with (warm start); None: zeros.
    """
    how = settings or Learning()
    shape = (room.nlos.shape[0], room.actions.shape[0])
    q = np.zeros(shape) if start is None else np.array(start, dtype=np.float64)
    led = 0 if guide is None else how.guide_horizon
    steps = [jump_start_steps(epoch, how.guide_epochs, led) for epoch in range(how.epochs)]
    errors, rewards = _learn(
        q,
        room.nlos,
        room.beacons,
        room.centres,
        room.distances,
        room.actions,
        room.columns,
        room.size,
        READINGS[how.reading],
        how.error.array,
        how.threshold,
        how.alpha,
        how.gamma,
        how.epsilons(),
        np.zeros(shape[0], dtype=np.intp) if guide is None else guide,
        np.array(steps, dtype=np.intp),
        how.horizon,
        rng,
    )
    return Learnt(q, errors, rewards)
