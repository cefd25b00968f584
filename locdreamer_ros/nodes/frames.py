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

from locdreamer_ros.frames import MAX_FRAMES, FrameTree, plain
from locdreamer_ros.nodes.lifecycle import LATCHED, UwbNode
from locdreamer_ros.nodes.listening import hear
from locdreamer_ros.types import FloatArray

TF = QoSProfile(depth=100)
"""As tf2_ros has it, which listeners expect."""
STATIC = QoSProfile(depth=100, reliability=LATCHED.reliability, durability=LATCHED.durability)


class Frames:
    """The tree of frames that others told, and what this node sends itself."""

    def __init__(self, node: UwbNode) -> None:
        self._node = node
        self._heard: set[str] = set()
        """Topics that are listened to."""
        self._tree = FrameTree()
        self._fixed: set[str] = set()
        """Frames of `/tf_static`: of others, for this node sends none there."""
        self._sent: dict[str, str] = {}
        """What this node places, and in which frame."""
        self.refused = ""
        """Why a transform is not sent; empty: all are."""

    def _listen(self, topic: str, add: Callable[[TFMessage], None], qos: QoSProfile) -> None:
        if topic not in self._heard:
            self._heard.add(topic)
            hear(self._node, TFMessage, topic, add, qos, always=True)

    def _listen_static(self) -> None:
        self._listen("/tf_static", self._add_static, STATIC)

    def _add_static(self, message: TFMessage) -> None:
        if len(self._fixed) < MAX_FRAMES:
            self._fixed.update(plain(each.child_frame_id) for each in message.transforms)
        self._tree.add(message)

    def _add(self, message: TFMessage) -> None:
        """What others say: our own word on a frame must not hide theirs."""
        message.transforms = [
            each
            for each in message.transforms
            if self._sent.get(plain(each.child_frame_id)) != plain(each.header.frame_id)
        ]
        self._tree.add(message)

    def between(self, target: str, source: str, *, below: str = "") -> FloatArray | None:
        """(4, 4) that takes points from `source` to `target`; None where TF does not join them.

        It is listened to from the first question on: a robot's TF is much to hear, and few need it.
        below: see `FrameTree.between`.
        """
        if plain(target) != plain(source):
            self._listen("/tf", self._add, TF)
            self._listen_static()
        return self._tree.between(target, source, below=below)

    def sender(self) -> Callable[[TransformStamped], None]:
        """What sends a transform, once for each stamp: tf2 complains of a second one.

        Nothing is sent of a frame that others place: it has one parent, else tf2's tree breaks.
        """
        publisher = self._node.advertise(TFMessage, "/tf", TF)
        self._listen_static()
        last: Any = None

        def send(transform: TransformStamped) -> None:
            nonlocal last
            child, above = plain(transform.child_frame_id), plain(transform.header.frame_id)
            theirs = self._tree.above(child)
            if theirs is not None and (theirs != above or child in self._fixed):
                self.refused = (
                    f"{above} -> {child} is not sent: TF has {theirs} -> {child}, and a frame has "
                    "one parent; set broadcast to none, or name another frame"
                )
            elif transform.header.stamp != last:
                last = transform.header.stamp
                self._sent[child] = above
                publisher.publish(TFMessage(transforms=[transform]))

        return send
