# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording as messages of a bag: topics, types, and the messages themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from locdreamer_ros.datasets.rosbag2 import message
from locdreamer_ros.recording import Recording
from locdreamer_ros.stamps import SECOND_NS, to_nanoseconds
from locdreamer_ros.types import Anchors, FloatArray, RangeStatus

ANCHORS = ("/uwb/anchors", "locdreamer_ros/msg/AnchorArray")
RANGES = ("/uwb/ranges", "locdreamer_ros/msg/RangeArray")
TRUTH = ("/ground_truth/pose", "geometry_msgs/msg/PoseStamped")
ODOMETRY = ("/odometry", "nav_msgs/msg/Odometry")
IMU = ("/imu", "sensor_msgs/msg/Imu")
ODOMETRY_FRAME, BASE_FRAME = "odom", "base_link"
"""Frames of a robot (REP-105)."""
NOT_MEASURED = -1.0
"""First element of a covariance in `Imu`: the message does not hold that quantity."""


def time_of(stamp: int) -> Any:
    """Of `stamp` ns."""
    seconds, rest = divmod(stamp, SECOND_NS)
    return message("builtin_interfaces/msg/Time", sec=seconds, nanosec=rest)


def header_of(stamp: int, frame: str) -> Any:
    """In `frame`, of `stamp` ns."""
    return message("std_msgs/msg/Header", stamp=time_of(stamp), frame_id=frame)


def point_of(position: FloatArray) -> Any:
    """Of (3,) m."""
    x, y, z = map(float, position)
    return message("geometry_msgs/msg/Point", x=x, y=y, z=z)


def vector(z: float = 0.0) -> Any:
    """Along z, or none."""
    return message("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=z)


def rotated(position: FloatArray, yaw: float) -> Any:
    """A pose at (3,) m turned by `yaw` rad."""
    turn = message(
        "geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=math.sin(yaw / 2), w=math.cos(yaw / 2)
    )
    return message("geometry_msgs/msg/Pose", position=point_of(position), orientation=turn)


def pose_of(position: FloatArray, header: Any) -> Any:
    """The truth (3,) m."""
    return message(TRUTH[1], header=header, pose=rotated(position, 0.0))


def odometry_of(pose: FloatArray, header: Any) -> Any:
    """Wheels: x m, y m, yaw rad."""
    x, y, yaw = map(float, pose)
    unknown = np.zeros(36)
    twist = message("geometry_msgs/msg/Twist", linear=vector(), angular=vector())
    return message(
        ODOMETRY[1],
        header=header,
        child_frame_id=BASE_FRAME,
        pose=message(
            "geometry_msgs/msg/PoseWithCovariance",
            pose=rotated(np.array([x, y, 0.0]), yaw),
            covariance=unknown,
        ),
        twist=message("geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=unknown),
    )


def imu_of(rate: float, header: Any) -> Any:
    """A gyro alone, rad/s about z."""
    absent = np.array([NOT_MEASURED, *np.zeros(8)])
    return message(
        IMU[1],
        header=header,
        orientation=message("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
        orientation_covariance=absent,
        angular_velocity=vector(rate),
        angular_velocity_covariance=np.zeros(9),
        linear_acceleration=vector(),
        linear_acceleration_covariance=absent,
    )


def anchor_array(anchors: Anchors, header: Any) -> Any:
    """The anchors, whose places are exact."""
    rows = [
        message("locdreamer_ros/msg/Anchor", id=anchor, position=point_of(position))
        for anchor, position in zip(anchors.ids, anchors.positions, strict=True)
    ]
    return message(ANCHORS[1], header=header, anchors=rows)


def range_array(recording: Recording, epoch: int, stamp: int, header: Any, tag: str) -> Any:
    """An epoch of all anchors; nobody asked for it."""

    def value(values: FloatArray | None, row: int) -> float:
        return math.nan if values is None else float(values[epoch, row])

    ranges = []
    for row, anchor in enumerate(recording.anchors.ids):
        metres, at = value(recording.ranges, row), value(recording.stamps, row)
        ranges.append(
            message(
                "locdreamer_ros/msg/AnchorRange",
                anchor=anchor,
                stamp=time_of(stamp if math.isnan(at) else to_nanoseconds(at)),
                range=metres,
                variance=value(recording.variance, row),
                status=int(RangeStatus.TIMEOUT if math.isnan(metres) else RangeStatus.OK),
                rx_power=value(recording.rx_power, row),
                first_path_power=value(recording.first_path_power, row),
                nlos_probability=value(recording.nlos, row),
            )
        )
    asked = {"session": 0, "sequence": 0}  # nobody did
    return message(RANGES[1], header=header, tag=tag, **asked, ranges=ranges, more=False)
