# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a robot's odometry lies in the map, from the way its tag went in both.

A tag has no heading of its own. But the odometry knows the robot's in its own frame, and the same
way seen in both frames says how they are turned against each other.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from locdreamer_ros.motion import wrapped
from locdreamer_ros.types import FloatArray

STEP_M = 0.1
"""Points closer to the last say little new."""
POINTS = 200
"""Points kept: the last 20 m or more, over which good odometry has not drifted much."""
LEAST_M = 1.0
"""The way must spread (root mean square) so far before anything is said of the heading."""
ENOUGH_RAD = 0.3
"""The heading is told once its standard deviation is below this."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """The odometry's frame in the map's: a point p of it is at `offset` + R(yaw) p.

    offset (2,) m, yaw rad, sigma rad of the yaw.
    """

    offset: FloatArray
    yaw: float
    sigma: float

    def placed(self, point: FloatArray) -> FloatArray:
        """A point (2,) m of the odometry's frame, in the map."""
        return self.offset + turned(point, self.yaw)


def turned(vector: FloatArray, yaw: float) -> FloatArray:
    """A vector (2,) turned by `yaw` rad, counter-clockwise."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1]])


def carried(lever: FloatArray, poses: FloatArray) -> FloatArray:
    """Where the tag at `lever` (2,) m of the base is, (..., 2) m, at poses (..., 3) m, m, rad."""
    cos, sin = np.cos(poses[..., 2]), np.sin(poses[..., 2])
    x, y = lever
    return np.stack([poses[..., 0] + cos * x - sin * y, poses[..., 1] + sin * x + cos * y], axis=-1)


class Aligner:
    """Gathers the tag's way in both frames."""

    def __init__(self) -> None:
        self._ways: deque[tuple[FloatArray, FloatArray, float]] = deque(maxlen=POINTS)

    def add(
        self, place: FloatArray, sigma: float, pose: FloatArray, lever: FloatArray
    ) -> Alignment | None:
        """What is known now. None: not enough way yet.

        place (2,) m: the tag in the map, known to `sigma` m; pose (3,) m, m, rad: the robot at the
        same time in the odometry's frame; lever (2,) m: from the robot's base to its tag, which may
        become known late and holds for the whole way.
        """
        seen = carried(lever, pose)
        if not self._ways or np.hypot(*(seen - carried(lever, self._ways[-1][1]))) >= STEP_M:
            self._ways.append((place, pose, sigma))
        there, poses, sigmas = (np.array(column) for column in zip(*self._ways, strict=True))
        here = carried(lever, poses)
        there, here = there - there.mean(axis=0), here - here.mean(axis=0)
        spread = float((here**2).sum())
        if spread < LEAST_M**2 * len(here):
            return None
        dot = float((here * there).sum())
        cross = float((here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0]).sum())
        # Errors of neighbouring fixes are alike: the whole way counts as one measurement of its
        # root mean square spread, not as so many.
        off = math.sqrt(float((sigmas**2).mean()) / (spread / len(here)))
        if off > ENOUGH_RAD:
            return None
        yaw = wrapped(math.atan2(cross, dot))
        return Alignment(place - turned(seen, yaw), yaw, off)
