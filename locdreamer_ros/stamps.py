# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Times as seconds (a float), as whole nanoseconds (an int) and as ROS stamps."""

from __future__ import annotations

import math
from typing import Protocol

SECOND_NS = 1_000_000_000
MOST_PACE = 20.0
"""Stamps that go on so many times as fast as time does, or as slowly, are in another unit."""


class Stamp(Protocol):
    """What builtin_interfaces/msg/Time has, from rclpy or from a bag."""

    sec: int
    nanosec: int


def to_nanoseconds(seconds: float) -> int:
    """The nearest whole nanosecond; the split keeps times of day (1.7e9 s) to their last bit."""
    whole = math.floor(seconds)
    return whole * SECOND_NS + round((seconds - whole) * SECOND_NS)


def to_seconds(ns: int) -> float:
    """The nearest float: Python divides integers with a single rounding."""
    return ns / SECOND_NS


def nanoseconds(stamp: Stamp) -> int:
    """A stamp as one integer, which keeps it exact."""
    return int(stamp.sec) * SECOND_NS + int(stamp.nanosec)
