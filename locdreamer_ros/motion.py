# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motion from wheels and gyro, which come at their own rates, between any two times.

The nodes and `Recording.motion` ask the same buffer, so that both know the same.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TypeVar

import numpy as np
from transforms3d.euler import quat2euler

from locdreamer_ros.errors import InputError
from locdreamer_ros.types import FloatArray, Motion

MAX_GAP_S = 0.5
"""Samples farther apart say nothing of the time between, nor the last one of later times."""
LOOK_BACK_S = 2.0 * MAX_GAP_S
"""Older samples do not matter: two, each at most a gap before the next, say what goes on."""
SAME_S = 1e-6
"""Times this close are one stamp; a time of day in seconds is no finer than 0.24 us."""
MAX_SPEED_M_S = 20.0
"""Odometry that moves faster did not move: it was set anew."""
LEAST_STEP_S = 0.02
"""Stamps jitter: for speeds, time steps are taken to be at least this long."""
QUATERNION_SLACK = 0.1
"""How far the square of a unit quaternion's norm may be from 1: some are rounded a lot."""
SAMPLES_KEPT = 1000
"""Samples kept: five seconds of a fast gyro, far more than a tracker looks back."""


Angle = TypeVar("Angle", float, FloatArray)


def wrapped(angle: Angle) -> Angle:
    """The angle in rad, or angles, brought into [-pi, pi)."""
    return (angle + math.pi) % (2.0 * math.pi) - math.pi


def yaw_of(x: float, y: float, z: float, w: float) -> float:
    """Yaw in rad of a unit quaternion. Raises InputError where it is none."""
    norm = x * x + y * y + z * z + w * w
    if not abs(norm - 1.0) <= QUATERNION_SLACK:  # written so that NaN is refused too
        raise InputError(f"expected a unit quaternion, got ({x:g}, {y:g}, {z:g}, {w:g})")
    return float(quat2euler((w, x, y, z), "rzyx")[0])


class _Samples:
    """Stamped vectors (D,) in time order, the last `SAMPLES_KEPT` of them, read at any time."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=SAMPLES_KEPT)
        self._values: deque[FloatArray] = deque(maxlen=SAMPLES_KEPT)
        self._refused = math.inf

    def last(self) -> tuple[float, FloatArray] | None:
        """Time and value of the newest sample."""
        return (self._times[-1], self._values[-1]) if self._times else None

    def begin_anew(self) -> None:
        """Forget all samples."""
        self._times.clear()
        self._values.clear()
        self._refused = math.inf

    def admit(self, time: float) -> bool:
        """Make sure that a sample at `time` may follow. Raises InputError: it is late or repeated.

        Where a second one in a row is, and after the first, the time itself has gone back: True.
        """
        anew = False
        if self._times and time <= self._times[-1]:
            if time <= self._refused:
                self._refused = time
                raise InputError(f"stamp is {self._times[-1] - time:.3f} s before the last")
            self.begin_anew()
            anew = True
        self._refused = math.inf
        return anew

    def add(self, time: float, value: FloatArray) -> None:
        """Append a sample that was admitted."""
        self._times.append(time)
        self._values.append(value)

    def at(self, time: float) -> FloatArray | None:
        """The value (D,) at `time` s: interpolated, or carried on from the last two samples.

        None before the first sample, within a gap, and later than `MAX_GAP_S` after the last.
        """
        after = len(self._times)  # the place of the first sample later than `time`
        while after > 0 and self._times[after - 1] > time + SAME_S:
            after -= 1
        if after == 0:
            return None
        if time - self._times[after - 1] <= SAME_S:
            return self._values[after - 1]
        if after == len(self._times):
            if time - self._times[-1] > MAX_GAP_S:
                return None
            after -= 1
        if after == 0 or self._times[after] - self._times[after - 1] > MAX_GAP_S + SAME_S:
            return None
        start, end = self._times[after - 1], self._times[after]
        first, second = self._values[after - 1], self._values[after]
        return first + (time - start) / (end - start) * (second - first)


class MotionBuffer:
    """The last odometry poses and gyro rates, and the motion between two times."""

    def __init__(self) -> None:
        self._poses = _Samples()
        self._headings = _Samples()
        """What the gyro has turned since the first sample (1,) rad."""
        self._rate = 0.0

    def add_pose(self, time: float, x: float, y: float, yaw: float) -> bool:
        """Odometry at `time` s: m and rad. Returns whether it was set anew, or its time went back.

        Raises InputError: not finite, late or repeated.
        """
        if not all(map(math.isfinite, (x, y, yaw))):
            raise InputError("expected finite numbers")
        anew = self._poses.admit(time)
        pose, last = np.array([x, y, yaw]), self._poses.last()
        if last is not None:
            moved = math.hypot(x - last[1][0], y - last[1][1])
            if moved > MAX_SPEED_M_S * max(time - last[0], LEAST_STEP_S):
                self._poses.begin_anew()
                anew = True
            else:  # kept continuous, so that it can be interpolated
                pose[2] = last[1][2] + wrapped(yaw - float(last[1][2]))
        self._poses.add(time, pose)
        return anew

    def add_rate(self, time: float, rate: float) -> None:
        """A gyro's rad/s about the vertical at `time` s. Raises InputError as `add_pose`."""
        if not math.isfinite(rate):
            raise InputError("expected finite numbers")
        self._headings.admit(time)
        last = self._headings.last()
        if last is not None and time - last[0] > MAX_GAP_S + SAME_S:
            self._headings.begin_anew()
            last = None
        heading = 0.0 if last is None else float(last[1][0])
        heading += 0.0 if last is None else 0.5 * (self._rate + rate) * (time - last[0])
        self._headings.add(time, np.array([heading]))
        self._rate = rate

    def pose_at(self, time: float) -> FloatArray | None:
        """The odometry's pose (3,) x m, y m, yaw rad at `time` s; None where it is not known."""
        return self._poses.at(time)

    def missing(self, time: float) -> str:
        """Why nothing that came says anything of `time` s, in words; empty: nothing came."""
        for name, samples in (("odometry", self._poses), ("imu", self._headings)):
            last = samples.last()
            if last is None:
                continue
            apart = time - last[0]
            if abs(apart) > MAX_GAP_S:
                way = "before" if apart > 0.0 else "after"
                return f"{name} is not used: it is stamped {abs(apart):.1f} s {way} the ranges"
            return f"{name} is not used: it comes less often than every {MAX_GAP_S:g} s"
        return ""

    def between(self, start: float, end: float) -> Motion | None:
        """The motion from `start` to `end` s; None where it is not known or end <= start.

        The turn is the odometry's where that is known, else the gyro's rate, integrated.
        """
        if end <= start:
            return None
        before, after = self._poses.at(start), self._poses.at(end)
        if before is not None and after is not None:
            moved = after - before
            return Motion(moved[:2], wrapped(float(moved[2])))
        first, last = self._headings.at(start), self._headings.at(end)
        if first is not None and last is not None:
            return Motion(None, float(last[0] - first[0]))
        return None
