# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TF as far as the nodes need it: the latest transform between two frames, and sending one.

Read from `/tf` and `/tf_static` themselves, so that it works where tf2_ros is not installed. What
is asked for stands still (anchors in a frame of the building, a tag on its robot): nothing is
interpolated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

from locdreamer_ros.frames import FrameTree, plain
from locdreamer_ros.nodes.lifecycle import LATCHED, UwbNode
from locdreamer_ros.nodes.listening import hear
from locdreamer_ros.types import FloatArray

TF = QoSProfile(depth=100)
"""As tf2_ros has it, which listeners expect."""
STATIC = QoSProfile(depth=100, reliability=LATCHED.reliability, durability=LATCHED.durability)


class Frames:
    """The tree of frames that has been heard of."""

    def __init__(self, node: UwbNode) -> None:
        self._node = node
        self._listening = False
        self._tree = FrameTree()

    def _listen(self) -> None:
        """From the first question on: a robot's TF is much to hear, and few need it."""
        self._listening = True
        for topic, qos in (("/tf", TF), ("/tf_static", STATIC)):
            hear(self._node, TFMessage, topic, self._tree.add, qos, always=True)

    def between(self, target: str, source: str) -> FloatArray | None:
        """(4, 4) that takes points from `source` to `target`; None where TF does not join them."""
        if not self._listening and plain(target) != plain(source):
            self._listen()
        return self._tree.between(target, source)


def sender(node: UwbNode) -> Callable[[TransformStamped], None]:
    """What sends a transform, once for each stamp: tf2 complains of a second one."""
    publisher = node.advertise(TFMessage, "/tf", TF)
    last: Any = None

    def send(transform: TransformStamped) -> None:
        nonlocal last
        if transform.header.stamp != last:
            last = transform.header.stamp
            publisher.publish(TFMessage(transforms=[transform]))

    return send
