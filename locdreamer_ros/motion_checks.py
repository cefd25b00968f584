# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry and gyros whose numbers cannot be in m and rad: of a recording, and live."""

from __future__ import annotations

import math

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.motion import LEAST_STEP_S, MAX_GAP_S, MAX_SPEED_M_S
from locdreamer_ros.scales import FEWEST_EPOCHS
from locdreamer_ros.types import FloatArray

FAST_TURN = 8.0
"""rad/s, more than a turn a second: for a moment in a hand, not for a tenth of the time."""
SLOW_M_S, STOOD_M = 0.05, 1.0
"""A twist that is no noise; so far it goes while the pose is to the last bit the same."""
JUMPS = 5
"""So many in a row, and nobody sets odometry anew."""
SPUN_S, SPUN_PART = 1.0, 0.1
"""So long, and in so much of the time, nothing that carries a tag turns faster than `FAST_TURN`."""


def check_turning(rates: FloatArray, table: str, what: str = "gyro_z: expected rad/s") -> None:
    """Raises InputError where turn rates (T,) are of nothing that carries a tag, in rad/s."""
    known = np.abs(rates[np.isfinite(rates)])
    if known.size >= FEWEST_EPOCHS and (fast := float(np.percentile(known, 90.0))) > FAST_TURN:
        raise InputError(
            f"{table}: {what}, got {fast:.3g} and more in a tenth of the rows: are they degrees?"
        )


def check_odometry(times: FloatArray, odometry: FloatArray, table: str) -> None:
    """Raises InputError where odometry (T, 3) x, y, yaw at times (T,) s is not in m and rad."""
    step = np.diff(times)
    goes = np.flatnonzero(step > 0.0)
    rates = np.diff(odometry, axis=0)[goes] / step[goes, None]
    check_turning(rates[:, 2], table, "odom_yaw: expected rad")
    speed = np.linalg.norm(rates[np.isfinite(rates).all(axis=1), :2], axis=1)
    if speed.size >= FEWEST_EPOCHS and (fast := float(np.median(speed))) > MAX_SPEED_M_S:
        raise InputError(
            f"{table}: odom_x, odom_y: expected metres, got {fast:.3g} m/s in the median: are they "
            "mm or cm? then call them odom_x_mm, odom_y_mm"
        )


class MotionJudge:
    """Looks at what a robot says of its motion, message by message."""

    def __init__(self) -> None:
        self._pose: tuple[float, tuple[float, float, float]] | None = None
        """Time s and pose of the last odometry."""
        self._stood = 0.0
        """m that its twist went while the pose stayed."""
        self._jumps = 0
        self._gyro_at = math.nan
        self._heard = self._spun = 0.0
        """s that the gyro was heard, and that it turned too fast."""

    def wheels(self, time: float, pose: tuple[float, float, float], speed: float) -> None:
        """Odometry at `time` s: pose m, m, rad; speed m/s of its twist. Raises InputError."""
        before, self._pose = self._pose, (time, pose)
        if before is None or not time > before[0]:
            return
        step, last = time - before[0], before[1]
        moves = speed > SLOW_M_S  # not where it is NaN
        if pose == last:
            self._stood += min(step, MAX_GAP_S) * speed if moves else 0.0
        else:
            self._stood = 0.0
        if self._stood > STOOD_M:
            raise InputError("its pose stands still while its twist moves; a pose is needed")
        gone = math.hypot(pose[0] - last[0], pose[1] - last[1])
        self._jumps = self._jumps + 1 if gone > MAX_SPEED_M_S * max(step, LEAST_STEP_S) else 0
        if self._jumps >= JUMPS:
            raise InputError(f"it goes {gone:.3g} m in {step:.2g} s, again and again: is it in m?")

    def gyro(self, time: float, rate: float) -> None:
        """A gyro's rad/s at `time` s. Raises InputError."""
        step = min(time - self._gyro_at, MAX_GAP_S)
        self._gyro_at = time
        if step > 0.0:
            self._heard += step
            self._spun += step if abs(rate) > FAST_TURN else 0.0
        if self._spun > max(SPUN_S, SPUN_PART * self._heard):
            raise InputError(
                f"it turns by more than {FAST_TURN:g} rad/s again and again: are they degrees?"
            )
