# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TF as far as the nodes need it: the latest transform between two frames, and sending one.

Read from `/tf` and `/tf_static` themselves, so that it works where tf2_ros is not installed. What
is asked for stands still (anchors in a frame of the building, a tag on its robot): nothing is
interpolated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import Transform, TransformStamped
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage
from transforms3d.affines import compose
from transforms3d.quaternions import quat2mat

from locdreamer_ros.errors import InputError
from locdreamer_ros.motion import QUATERNION_SLACK
from locdreamer_ros.nodes.lifecycle import LATCHED, UwbNode
from locdreamer_ros.nodes.listening import hear
from locdreamer_ros.types import FloatArray

TF = QoSProfile(depth=100)
"""As tf2_ros has it, which listeners expect."""
STATIC = QoSProfile(depth=100, reliability=LATCHED.reliability, durability=LATCHED.durability)
MAX_FRAMES = 10_000
ONES = np.ones(3)


def matrix(transform: Transform) -> FloatArray:
    """(4, 4) of a transform. Raises InputError: not finite, or not a unit quaternion."""
    place, turn = transform.translation, transform.rotation
    offset = np.array([place.x, place.y, place.z])
    quaternion = np.array([turn.w, turn.x, turn.y, turn.z])
    if not (np.isfinite(offset).all() and abs(quaternion @ quaternion - 1.0) <= QUATERNION_SLACK):
        raise InputError("tf: expected finite numbers and a unit quaternion")
    return np.asarray(compose(offset, quat2mat(quaternion), ONES))


def plain(frame: str) -> str:
    """A frame's name without the slash that ROS 1 wrote before it; tf2 takes it off, too."""
    return frame.lstrip("/")


class Frames:
    """The tree of frames that has been heard of."""

    def __init__(self, node: UwbNode) -> None:
        self._node = node
        self._listening = False
        self._above: dict[str, tuple[str, FloatArray]] = {}

    def _listen(self) -> None:
        """From the first question on: a robot's TF is much to hear, and few need it."""
        self._listening = True
        for topic, qos in (("/tf", TF), ("/tf_static", STATIC)):
            hear(self._node, TFMessage, topic, self._on_transforms, qos, always=True)

    def _on_transforms(self, message: TFMessage) -> None:
        wrong = ""
        for each in message.transforms:
            child, above = plain(each.child_frame_id), plain(each.header.frame_id)
            if child in self._above or len(self._above) < MAX_FRAMES:
                try:
                    self._above[child] = (above, matrix(each.transform))
                except InputError as reason:  # the others of the message are right
                    wrong = f"{reason}; {above} -> {child} is not"
        if wrong:
            raise InputError(wrong)

    def between(self, target: str, source: str) -> FloatArray | None:
        """(4, 4) that takes points from `source` to `target`; None where TF does not join them."""
        target, source = plain(target), plain(source)
        if target == source:
            return np.eye(4)
        if not self._listening:
            self._listen()
        up, down = self._chain(source), self._chain(target)
        common = next((frame for frame in up if frame in down), None)
        return None if common is None else np.asarray(np.linalg.solve(down[common], up[common]))

    def _chain(self, frame: str) -> dict[str, FloatArray]:
        """Each frame above, the frame itself first, with what takes points there."""
        found = {frame: np.eye(4)}
        while frame in self._above:
            above, step = self._above[frame]
            if above in found:  # a loop: somebody's mistake
                break
            found[above] = step @ found[frame]
            frame = above
        return found


def sender(node: UwbNode) -> Callable[[TransformStamped], None]:
    """What sends a transform."""
    publisher = node.advertise(TFMessage, "/tf", TF)
    return lambda transform: publisher.publish(TFMessage(transforms=[transform]))


def moved(transform: FloatArray, points: FloatArray) -> FloatArray:
    """Points (N, 3) taken through a transform (4, 4)."""
    return np.asarray(points @ transform[:3, :3].T + transform[:3, 3])
