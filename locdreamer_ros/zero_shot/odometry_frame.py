# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The heading of wheel odometry's own frame against the map: found from a walk, watched after.

Odometry says how far and which way in a frame of its own. Two tracks of the same walk, its and the
tracker's, differ by a rotation; once that is known it is a state of the filter like any other, and
so is the error of odometry's scale.
"""

from __future__ import annotations

import math
from collections import deque
from copy import copy

import numpy as np

from locdreamer_ros.types import FloatArray
from locdreamer_ros.zero_shot.layout import VX

APART_M = 0.25
"""The two tracks are compared at points this far apart."""
POINTS = 60
CORRELATED = 6.0
"""Errors of so many points in a row are one and the same."""
LEAST_SIGMA_M = 0.15
UNEXPLAINED = 0.2
"""Most of the spread of one track that the other may leave unexplained."""
SURE_RAD = 0.2
"""The heading is used once it is known this well."""
LENGTHS = (0.6, 1.6)
"""The tracker's track over the odometry's: else one of them is somewhere else."""

SHARE = 0.015
"""Sigma of odometry's error per distance moved, beyond its scale."""
SCALE = 0.03
"""Sigma of the scale (worn tyres), which is learned."""
FLOOR_M = 0.004
WALK_RAD = 0.0164
"""Sigma of the frame's heading after one metre; it grows with the square root of the distance."""

STATES = 2
"""At the end of the state: the error of the scale, and the frame's heading, rad."""

WATCH_S = 8.0
DISAGREE = 18.0
"""Squared sum of corrections over its variance beyond which odometry is not believed."""
DISAGREE_M = 0.7


class FrameFinder:
    """Finds the rotation from odometry's frame to the map's."""

    def __init__(self) -> None:
        self._at = np.zeros(2)
        self._pairs: deque[tuple[FloatArray, FloatArray]] = deque(maxlen=POINTS)

    @property
    def searches(self) -> bool:
        """Whether anything was added since it began."""
        return bool(self._pairs)

    def clear(self) -> None:
        """Begin anew."""
        if self._pairs:
            self._at = np.zeros(2)
            self._pairs.clear()

    def fork(self) -> FrameFinder:
        """One in the same state that goes its own way."""
        other = copy(self)
        other._part()
        return other

    def _part(self) -> None:
        self._pairs = self._pairs.copy()

    def add(self, position: FloatArray, displacement: FloatArray) -> None:
        """The tracker's position (2,) m, and what odometry (2,) m moved from there on."""
        if not self._pairs or math.dist(self._pairs[-1][0], self._at) >= APART_M:
            self._pairs.append((self._at, position.copy()))
        self._at = self._at + displacement

    def heading(self) -> tuple[float, float] | None:
        """The rotation (rad) and its variance; None while it is too badly known."""
        if len(self._pairs) < 6:
            return None
        pairs = np.array(self._pairs)
        own, other = (pairs - pairs.mean(axis=0)).transpose(1, 0, 2)  # (P, 2) each
        dot = float((own * other).sum())
        cross = float((own[:, 0] * other[:, 1] - own[:, 1] * other[:, 0]).sum())
        square = float((own * own).sum())
        psi = math.atan2(cross, dot)
        cos, sin = math.cos(psi), math.sin(psi)
        rotated = own @ np.array([[cos, sin], [-sin, cos]])
        error = float(((other - rotated) ** 2).sum(axis=1).mean())
        variance = CORRELATED * max(0.5 * error, LEAST_SIGMA_M**2) / square
        if variance > SURE_RAD**2 or error > UNEXPLAINED * float((other**2).sum(axis=1).mean()):
            return None
        if not LENGTHS[0] <= math.hypot(dot, cross) / square <= LENGTHS[1]:
            return None
        return psi, variance


class SlipWatch:
    """Whether updates pull the track the same way again and again: odometry then is wrong.

    A filter's corrections are white, of variance prior less posterior. `drag` is their sum over
    about `WATCH_S` seconds.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.drag = np.zeros(2)
        self._variance = np.zeros((2, 2))

    def add(self, correction: FloatArray, variance: FloatArray, dt: float) -> None:
        """A correction (2,) m of the position, its expected variance (2, 2), after dt s."""
        keep = math.exp(-dt / WATCH_S)
        self.drag = keep * self.drag + correction
        self._variance = keep**2 * self._variance + variance

    @property
    def slips(self) -> bool:
        """Whether odometry and ranges disagree lastingly."""
        if float(self.drag @ self.drag) < DISAGREE_M**2:
            return False
        variance = self._variance + 1e-4 * np.eye(2)
        return float(self.drag @ np.linalg.solve(variance, self.drag)) > DISAGREE


def step_of(mean: FloatArray, moved: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What moved (2,) m is on the map, and its gradient (2, 2) in odometry's states."""
    scale, heading = 1.0 + mean[-2], mean[-1]
    cos, sin = math.cos(heading), math.sin(heading)
    plain = np.array([cos * moved[0] - sin * moved[1], sin * moved[0] + cos * moved[1]])
    step = scale * plain
    return step, np.array([[plain[0], -step[1]], [plain[1], step[0]]])


def carry(rows: FloatArray, gradient: FloatArray, dt: float) -> None:
    """Apply odometry's step to the rows (N, M) of a covariance, in place."""
    pushed = gradient @ rows[-STATES:]
    rows[:2] += pushed
    rows[VX : VX + 2] = pushed / dt


def ride(
    mean: FloatArray,
    covariance: FloatArray,
    diagonal: FloatArray,
    moved: FloatArray,
    dt: float,
    density: float,
) -> float:
    """Go where odometry says, in place; returns the noise that position and velocity share.

    mean (N,), covariance (N, N), what is added to its diagonal (N,); moved (2,) m in dt s;
    density m^2/s^3 of the acceleration within them.
    """
    step, gradient = step_of(mean, moved)
    for rows in (covariance, covariance.T):
        carry(rows, gradient, dt)
    mean[:2] += step
    mean[VX : VX + 2] = step / dt
    gone = float(moved @ moved)
    noise = SHARE**2 * gone + FLOOR_M**2
    diagonal[:2] += noise
    diagonal[VX : VX + 2] += noise / dt**2 + density * dt / 3.0
    diagonal[-1] += WALK_RAD**2 * math.sqrt(gone)
    return noise / dt


def steer(mean: FloatArray, covariance: FloatArray, turn: float) -> None:
    """Turn the velocity by `turn` rad, in place."""
    cos, sin = math.cos(turn), math.sin(turn)
    rotation = np.array([[cos, -sin], [sin, cos]])
    level = slice(VX, VX + 2)
    mean[level] = rotation @ mean[level]
    for rows in (covariance, covariance.T):
        rows[level] = rotation @ rows[level]
