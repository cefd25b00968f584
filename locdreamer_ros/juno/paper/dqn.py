# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Deep Q-learning over the user's place, the family of JUNO's forerunner DQLEL: numpy, one layer.

A net interpolates between places, a table does not: it gains where obstacles shade whole regions,
and cannot where every zone's links are drawn independently.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from locdreamer_ros.juno.paper.learning import THRESHOLD_M
from locdreamer_ros.juno.paper.room import Room
from locdreamer_ros.juno.paper.surrogate import RangingError, draw_arrivals
from locdreamer_ros.juno.paper.tdoa import REFERENCE, locate_each
from locdreamer_ros.juno.paper.walk import START_M
from locdreamer_ros.types import FloatArray, IntArray

WAVES = 64
WAVE_M = 1.5
"""Random Fourier features of the place, and the distance over which they change."""


@dataclass(frozen=True)
class DeepLearning:
    """How the net is trained."""

    updates: int = 1500
    users: int = 32
    """That walk side by side; each adds a step between two updates."""
    hidden: int = 96
    batch: int = 192
    memory: int = 20_000
    rate: float = 1e-3
    epsilon_last: float = 0.05
    """Epsilon falls linearly from 1 to this over the first half."""


class _Net:
    """Two layers trained by Adam (Kingma and Ba 2015) on the squared error of chosen outputs."""

    def __init__(self, inputs: int, hidden: int, outputs: int, rng: np.random.Generator) -> None:
        self.weights = [
            rng.standard_normal((inputs, hidden)) * np.sqrt(2.0 / inputs),
            np.zeros(hidden),
            rng.standard_normal((hidden, outputs)) * np.sqrt(1.0 / hidden),
            np.zeros(outputs),
        ]
        self._first = [np.zeros_like(w) for w in self.weights]
        self._second = [np.zeros_like(w) for w in self.weights]
        self._count = 0

    def __call__(self, x: FloatArray) -> FloatArray:
        a, b, c, d = self.weights
        return np.asarray(np.maximum(x @ a + b, 0.0) @ c + d)

    def fit(self, x: FloatArray, action: IntArray, target: FloatArray, rate: float) -> None:
        """A step of Adam down the squared error of outputs `action` (B,) for x (B, inputs)."""
        a, b, c, d = self.weights
        hidden = np.maximum(x @ a + b, 0.0)
        row = np.arange(action.size)
        out = np.zeros((action.size, d.size))
        out[row, action] = ((hidden @ c + d)[row, action] - target) / action.size
        back = (out @ c.T) * (hidden > 0.0)
        self._count += 1
        gradients = [x.T @ back, back.sum(axis=0), hidden.T @ out, out.sum(axis=0)]
        for w, m, v, g in zip(self.weights, self._first, self._second, gradients, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            scale = np.sqrt(v / (1.0 - 0.999**self._count)) + 1e-8
            w -= rate * m / (1.0 - 0.9**self._count) / scale


def learn_deep(room: Room, rng: np.random.Generator) -> FloatArray:
    """Values (Z, M) that the net learns from the same walks and rewards as the table, gamma = 0."""
    how = DeepLearning()
    error = RangingError().array
    wave = rng.standard_normal((2, WAVES)) / WAVE_M
    phase = rng.uniform(0.0, 2.0 * np.pi, WAVES)
    features = np.sqrt(2.0) * np.cos(room.centres @ wave + phase)  # (Z, WAVES)
    net = _Net(WAVES, how.hidden, len(room.actions), rng)
    zones = rng.integers(len(features), size=how.users)
    priors = room.centres[zones] + START_M * rng.standard_normal((how.users, 2))
    seen = np.zeros((how.memory, 2), dtype=np.intp)
    earned = np.zeros(how.memory)
    for update in range(how.updates):
        epsilon = max(how.epsilon_last, 1.0 - 2.0 * update / how.updates)
        action = np.argmax(net(features[zones]), axis=1)
        explore = rng.random(how.users) < epsilon
        action[explore] = rng.integers(len(room.actions), size=int(explore.sum()))
        times = draw_arrivals(room.distances[zones], room.nlos[zones], error, rng)
        rows = room.actions[action]
        priors, _ = locate_each(REFERENCE, room.beacons, times, rows, priors, room.size)
        miss = np.linalg.norm(priors - room.centres[zones], axis=1)
        at = (update * how.users + np.arange(how.users)) % how.memory
        seen[at, 0], seen[at, 1] = zones, action
        earned[at] = np.where(miss <= THRESHOLD_M, 1.0, -1.0)
        pick = rng.integers(min((update + 1) * how.users, how.memory), size=how.batch)
        net.fit(features[seen[pick, 0]], seen[pick, 1], earned[pick], how.rate)
        zones = _moved(zones, room, rng)
    return net(features)


def _moved(zones: IntArray, room: Room, rng: np.random.Generator) -> IntArray:
    """Equations (7) and (8) for several users (U,)."""
    way = rng.integers(8, size=zones.size)
    way += way >= 4
    x = np.clip(zones % room.columns + way % 3 - 1, 0, room.columns - 1)
    y = np.clip(zones // room.columns + way // 3 - 1, 0, room.rows - 1)
    return np.asarray(y * room.columns + x)
