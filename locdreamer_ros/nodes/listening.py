# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What nodes that listen share: they must miss nothing, and hear sensors however they speak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Imu

from locdreamer_ros.config import names_in, parameter
from locdreamer_ros.nodes.foreign import check_topic
from locdreamer_ros.nodes.lifecycle import LOSSLESS, NodeConfig, UwbNode

READY_PERIOD_S = 0.05
MOTION = {"odometry": Odometry, "imu": Imu}
"""What a robot says of its motion; topics that need not be there."""
RANGES = ("uwb/ranges", "uwb/range_differences")
"""What a tracker lives on: either of them."""
WEAK, FORGETFUL = ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE
BEST_EFFORT = QoSProfile(depth=LOSSLESS.depth, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass(frozen=True)
class ListeningConfig(NodeConfig):
    """Parameters of a node that listens to trackers."""

    trackers: str = parameter(
        "tracker_node,ekf_node", "nodes whose estimates to listen to, separated by commas"
    )


def names(trackers: str) -> list[str]:
    """The node names in the parameter `trackers`. Raises InputError for what is no name."""
    found = list(names_in(trackers))
    for name in found:
        check_topic("trackers", name)
    return found


def when_published(node: UwbNode, topics: list[str], act: Callable[[], Any]) -> None:
    """Act once each of the topics has a publisher.

    A source starts when its listeners are there, so a node that subscribes to `uwb/ranges` only
    then misses nothing of the other topics either.
    """
    waiting = True

    def look() -> None:
        nonlocal waiting
        if waiting and all(node.count_publishers(topic) for topic in topics):
            waiting = False
            timer.cancel()
            act()

    timer = node.every(READY_PERIOD_S, look)


def spoken_of(node: UwbNode, topics: Sequence[str]) -> str:
    """The first of the topics that somebody publishes; the first of all where nobody does any."""
    return next((topic for topic in topics if node.count_publishers(topic)), topics[0])


def not_asked_for(node: UwbNode) -> str:
    """Where ranges are asked for and only time differences come: what to do; else empty."""
    ranges, differences = RANGES
    if node.count_publishers(ranges) or not node.count_publishers(differences):
        return ""
    name = node.resolve_topic_name(differences)
    return f"waiting for ranges: {name} are time differences, which nobody asks for: set passive"


def hear(
    node: UwbNode,
    kind: type,
    topic: str,
    callback: Callable[[Any], None],
    qos: QoSProfile = LOSSLESS,
    *,
    always: bool = False,
    raw: bool = False,
) -> Callable[[], Any]:
    """Listen to a topic of anybody, however it is published; gives the subscription of now.

    Where a publisher offers less than `qos` asks for (best effort, or no memory for who comes
    late), the subscription is made anew within a second so that it matches.
    """
    heard = node.listen(kind, topic, callback, qos, always=always, raw=raw)

    def look() -> None:
        nonlocal heard, qos
        offered = [s.qos_profile for s in node.get_publishers_info_by_topic(heard.topic_name)]
        least = QoSProfile(
            depth=qos.depth,
            reliability=_least(qos.reliability, [o.reliability for o in offered], WEAK),
            durability=_least(qos.durability, [o.durability for o in offered], FORGETFUL),
        )
        if (least.reliability, least.durability) != (qos.reliability, qos.durability):
            qos = least
            heard = node.listen(
                kind, topic, callback, qos, always=always, raw=raw, instead_of=heard
            )
            _say_heard(node, topic)

    node.look_each_second(look, always=always)
    return lambda: heard


def _say_heard(node: UwbNode, topic: str) -> None:
    """After rclpy warned that nothing would be received, which is over."""
    name = node.resolve_topic_name(topic)
    node.get_logger().info(f"{name}: is heard with the quality of service of its publisher now")


def _least(wanted: Any, offered: list[Any], weakest: Any) -> Any:
    return weakest if weakest in offered else wanted


def hear_motion(node: UwbNode, hear: Callable[[str, QoSProfile], Any]) -> None:
    """Let `hear` subscribe to each topic of `MOTION`.

    Many sensors publish best effort, which a reliable subscription does not hear: where such a
    publisher shows up, `hear` is called once more for its topic.
    """
    reliable = list(MOTION)
    for topic in reliable:
        hear(topic, LOSSLESS)

    def look() -> None:
        for topic in list(reliable):
            speakers = node.get_publishers_info_by_topic(topic)
            if any(s.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for s in speakers):
                reliable.remove(topic)
                hear(topic, BEST_EFFORT)
                _say_heard(node, topic)

    node.look_each_second(look)
