# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stands beside a tracker and writes a line for each of its fixes: when, of what time, how far off.

`python test/contract/probe.py FILE`; times are those of the monotonic clock and of the stamp, s.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path

import rclpy
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from locdreamer_ros.nodes.lifecycle import LOSSLESS


def main(path: Path) -> None:
    """Listen until ended."""
    rclpy.init()
    node = Node("probe")
    with path.open("w", buffering=1, encoding="utf-8") as file:

        def heard(pose: PoseWithCovarianceStamped) -> None:
            stamp = pose.header.stamp.sec + pose.header.stamp.nanosec * 1e-9
            place = pose.pose.pose.position
            file.write(f"{time.monotonic():.4f} {stamp:.4f} {place.x:.4f} {place.y:.4f}\n")

        node.create_subscription(PoseWithCovarianceStamped, "tracker_node/pose", heard, LOSSLESS)
        with suppress(ExternalShutdownException):  # ended
            rclpy.spin(node)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
