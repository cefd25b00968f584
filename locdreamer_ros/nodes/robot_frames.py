# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot that carries the tag (REP-105): its base in the map, and `map -> odom`."""

from __future__ import annotations

from time import monotonic

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from nav_msgs.msg import Odometry

from locdreamer_ros.alignment import Aligner, Alignment, turned
from locdreamer_ros.errors import InputError
from locdreamer_ros.frames import plain
from locdreamer_ros.nodes.conversions import header, point, to_quaternion
from locdreamer_ros.nodes.estimate_publisher import EstimateConfig
from locdreamer_ros.nodes.frames import Frames
from locdreamer_ros.nodes.lifecycle import UwbNode
from locdreamer_ros.nodes.saying import SAY_AFTER_S
from locdreamer_ros.types import LONGEST_ID, Estimate, FloatArray


def read_lever_arm(text: str) -> FloatArray | None:
    """(3,) m of the parameter `lever_arm`; None where it is empty. Raises InputError."""
    if not text.strip():
        return None
    try:
        lever = np.array([float(part) for part in text.split(",")])
    except ValueError:
        lever = np.empty(0)
    if lever.shape != (3,) or not np.isfinite(lever).all():
        raise InputError(f"lever_arm: expected 'x, y, z' in m, got {text!r}")
    return lever


class RobotFrames:
    """Publishes `~/base_pose` and, with `broadcast: odom`, TF, once the heading is known."""

    def __init__(self, node: UwbNode, config: EstimateConfig, frames: Frames) -> None:
        self._config, self._frames, self._node = config, frames, node
        self._lever = read_lever_arm(config.lever_arm)
        self._aligner = Aligner()
        self._asked_at: float | None = None
        """When TF was first asked for the lever arm (monotonic)."""
        self._names: tuple[str, str] | None = None
        """The odometry's frame and its child."""
        self._pose = node.advertise(PoseWithCovarianceStamped, "~/base_pose")
        self._send = frames.sender() if config.broadcast == "odom" else None

    def hear(self, message: Odometry) -> None:
        """Learn the odometry's frames."""
        names = (message.header.frame_id, message.child_frame_id)
        if names != self._names:
            self._names, self._asked_at = names, None
            self.begin_anew()
            self._lever_arm()  # asked early: TF is listened to from the first question on

    def begin_anew(self) -> None:
        """The tracker or the odometry has: the way so far says nothing of the way to come."""
        self._aligner = Aligner()

    def publish(
        self, tag: PoseWithCovarianceStamped, estimate: Estimate, pose: FloatArray | None, ns: int
    ) -> None:
        """Where the robot is. tag: its pose; pose (3,) m, m, rad: odometry at the stamp `ns`."""
        if self._names is None or pose is None:
            return
        lever, flat = self._lever_arm(), estimate.position_covariance[:2, :2]
        sigma = float(np.sqrt(np.trace(flat) / 2))
        known = self._aligner.add(estimate.position[:2], sigma, pose, lever[:2])
        if known is None:
            return
        self._pose.publish(self._base(tag, known, pose, lever, ns))
        if self._send is not None and self._has_frame():
            self._send(self._transform(known, ns))

    def _has_frame(self) -> bool:
        """Whether the odometry has a frame of its own, which can be told where it lies."""
        frame = plain(self._names[0]) if self._names is not None else ""
        if frame in ("", plain(self._config.frame)):
            self._node.get_logger().warning(
                f"broadcast odom: odometry is in frame {frame[:LONGEST_ID]!r}; expected a frame of "
                "its own, as odom: nothing is sent",
                once=True,
            )
            return False
        return True

    def _lever_arm(self) -> FloatArray:
        """(3,) m: the parameter's, else what TF says by now, else 0."""
        if self._lever is not None:
            return self._lever
        if self._names is None:
            return np.zeros(3)
        # Not by way of the map: there the tag hangs on its own estimate.
        frame, child = self._config.frame, self._names[1]
        found = self._frames.between(child, self._config.tag_frame, below=frame)
        if found is not None:
            return found[:3, 3]
        if self._asked_at is None:
            self._asked_at = monotonic()
        elif monotonic() - self._asked_at > SAY_AFTER_S:
            self._node.get_logger().warning(
                f"no lever arm: TF has no {child[:LONGEST_ID]} -> {self._config.tag_frame} and the "
                "parameter lever_arm is empty; the tag is taken to be at the base",
                once=True,
            )
        return np.zeros(3)

    def _base(
        self,
        tag: PoseWithCovarianceStamped,
        known: Alignment,
        pose: FloatArray,
        lever: FloatArray,
        ns: int,
    ) -> PoseWithCovarianceStamped:
        """The robot's base; lever (3,) m: the tag seen from it."""
        message = PoseWithCovarianceStamped(header=header(ns, self._config.frame))
        height = tag.pose.pose.position.z - float(lever[2])
        message.pose.pose.position = point(known.placed(pose[:2]), height)
        heading = known.yaw + float(pose[2])
        message.pose.pose.orientation = to_quaternion(heading)
        covariance = np.array(tag.pose.covariance).reshape(6, 6)
        # The heading's error moves the base about the tag.
        arm = turned(lever[:2], heading)
        swing = np.array([arm[1], -arm[0]])
        covariance[:2, :2] += known.sigma**2 * np.outer(swing, swing)
        covariance[5, 5] = known.sigma**2
        message.pose.covariance = covariance.ravel()
        return message

    def _transform(self, known: Alignment, ns: int) -> TransformStamped:
        assert self._names is not None
        message = TransformStamped(
            header=header(ns, self._config.frame), child_frame_id=plain(self._names[0])
        )
        offset = message.transform.translation
        offset.x, offset.y = map(float, known.offset)
        offset.z = 0.0  # the odometry is in the plane of the floor, as the map is
        message.transform.rotation = to_quaternion(known.yaw)
        return message
