# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Degrees and millimetres are named; what a robot can do is not refused."""

from __future__ import annotations

import numpy as np
import pytest

from locdreamer_ros.errors import InputError
from locdreamer_ros.motion_checks import MotionJudge, check_odometry, check_turning

TIMES = np.arange(200) / 10


def test_a_gyro_in_degrees() -> None:
    turning = np.concatenate([np.full(100, 0.3), np.full(20, -3.0), [7.0], np.full(20, np.nan)])
    check_turning(turning, "t.csv")
    with pytest.raises(InputError, match=r"t.csv: gyro_z: expected rad/s, .* are they degrees"):
        check_turning(np.degrees(turning), "t.csv")


def test_odometry_in_other_units() -> None:
    turn = 0.5 * TIMES
    odometry = np.column_stack([np.cos(turn), np.sin(turn), np.angle(np.exp(1j * turn))])
    check_odometry(TIMES, odometry, "t.csv")
    with pytest.raises(InputError, match=r"t.csv: odom_yaw: expected rad, .* are they degrees"):
        check_odometry(TIMES, odometry * [1, 1, 180 / np.pi], "t.csv")
    with pytest.raises(InputError, match=r"t.csv: odom_x, odom_y: expected metres, got 5"):
        check_odometry(TIMES, odometry * [1000, 1000, 1], "t.csv")


def test_odometry_that_stands_or_was_set_anew_is_possible() -> None:
    judge = MotionJudge()
    for tick in range(1000):  # noise of a twist; a speed that is none
        judge.wheels(0.02 * tick, (1.0, 2.0, 0.0), 0.01 if tick % 2 else float("nan"))
    for tick in range(1000, 1100):  # set anew now and then
        judge.wheels(0.02 * tick, (100.0 * (tick // 10), 2.0, 0.0), 0.0)
    for tick in range(2000):  # a hand that shakes
        judge.gyro(0.01 * tick, 20.0 if tick % 20 == 0 else 1.0)
