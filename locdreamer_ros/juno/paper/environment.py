# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Section III-B as a gymnasium environment: state a zone, action a set of beacons, reward (12)."""

from __future__ import annotations

from math import hypot
from typing import Any

import gymnasium
import numpy as np

from locdreamer_ros.juno.paper.learning import THRESHOLD_M
from locdreamer_ros.juno.paper.room import Room
from locdreamer_ros.juno.paper.surrogate import RangingError, draw_arrivals
from locdreamer_ros.juno.paper.tdoa import READINGS, locate
from locdreamer_ros.juno.paper.walk import START_M, next_zone


class NodeSelection(gymnasium.Env[int, int]):
    """The user walks on whatever is chosen; an episode is cut off after `horizon` steps.

    `info` holds the fix (2,) m, its error m, and whether there was a root. Q-learning for real work
    is `learning.learn`, the same steps compiled: this one is for other people's agents.
    """

    def __init__(
        self,
        room: Room,
        *,
        reading: str = "reference",
        threshold: float = THRESHOLD_M,
        horizon: int = 100,
        error: RangingError | None = None,
    ) -> None:
        self.room = room
        self.observation_space = gymnasium.spaces.Discrete(room.nlos.shape[0])
        self.action_space = gymnasium.spaces.Discrete(room.actions.shape[0])
        self._reading = READINGS[reading]
        self._threshold = threshold
        self._horizon = horizon
        self._error = (error or RangingError()).array
        self._zone = 0
        self._step = 0
        self._prior = np.zeros(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Begin in a random zone."""
        super().reset(seed=seed)
        self._zone = int(self.np_random.integers(self.room.nlos.shape[0]))
        self._prior = self.room.centres[self._zone] + START_M * self.np_random.standard_normal(2)
        self._step = 0
        return self._zone, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Locate the user with the action's beacons, then let him walk on."""
        room, zone = self.room, self._zone
        here = slice(zone, zone + 1)
        times = draw_arrivals(room.distances[here], room.nlos[here], self._error, self.np_random)[0]
        rows, prior = room.actions[int(action)], (self._prior[0], self._prior[1])
        x, y, found = locate(self._reading, room.beacons, times, rows, prior, room.size)
        self._prior = np.array([x, y])
        error = hypot(x - room.centres[zone, 0], y - room.centres[zone, 1])
        self._zone = int(next_zone(zone, room.columns, room.rows, self.np_random))
        self._step += 1
        reward = 1.0 if error <= self._threshold else -1.0
        info = {"fix": self._prior.copy(), "error": error, "found": bool(found)}
        return self._zone, reward, False, self._step >= self._horizon, info
