# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node in the test's own process, spoken to over real topics by a second one beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import Any

import numpy as np
import pytest
import rclpy
from locdreamer_ros.msg import AnchorArray, AnchorSchedule, RangeArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.domain import own_domain
from locdreamer_ros.nodes.lifecycle import LATCHED, LOSSLESS, UwbNode
from locdreamer_ros.types import Anchors, Ranges, Site

ANCHORS = Anchors(
    ("a", "b", "c", "d"),
    np.array([[0.0, 0.0, 2.0], [8.0, 0.0, 2.5], [8.0, 6.0, 2.0], [0.0, 6.0, 2.5]]),
)
TRUTH = np.array([3.0, 2.0])
PATIENCE_S = 60.0
"""So long a busy machine may take."""


def ranges_at(place: np.ndarray, rows: list[int], time: float) -> Ranges:
    """What a perfect source measures."""
    anchor = np.array(rows, dtype=np.intp)
    return Ranges.of(anchor, Site.of(ANCHORS, "2").expected(place, anchor), time)


def answer_to(schedule: AnchorSchedule, place: np.ndarray = TRUTH) -> RangeArray:
    """What a perfect source says."""
    time = c.nanoseconds(schedule.header.stamp) / 1e9
    rows = ANCHORS.rows(schedule.anchors).tolist()
    return RangeArray(
        header=schedule.header,
        session=schedule.session,
        sequence=schedule.sequence,
        ranges=c.to_ranges(ranges_at(place, rows, time), ANCHORS),
        more=schedule.more,
    )


class Hosted:
    """The node, configured and active, and a peer that speaks and listens."""

    def __init__(self, make: Callable[[], UwbNode]) -> None:
        self.node: Any = make()
        self.peer = Node("peer", use_global_arguments=False)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.peer)
        self.node.trigger_configure()
        assert self.node.trigger_activate().name == "SUCCESS", self.node.problem

    def hear(self, kind: type, topic: str, qos: Any = LOSSLESS) -> list[Any]:
        """A list that fills with what is published."""
        heard: list[Any] = []
        self.peer.create_subscription(kind, topic, heard.append, qos)
        return heard

    def say(self, kind: type, topic: str, qos: Any = LOSSLESS) -> Any:
        """A publisher that the node hears."""
        publisher = self.peer.create_publisher(kind, topic, qos)
        self.until(publisher.get_subscription_count, f"a listener to {topic}")
        return publisher

    def until(self, reached: Callable[[], Any], what: str, timeout: float = PATIENCE_S) -> None:
        """Spin until something is so."""
        deadline = monotonic() + timeout
        while not reached():
            assert monotonic() < deadline, f"waited for {what}: {dict(self.node.counts)}"
            self.executor.spin_once(timeout_sec=0.02)

    def rest(self, seconds: float) -> None:
        """Spin for a while."""
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.01)

    def place(self, frame: str = "map") -> None:
        """Tell it the anchors."""
        self.say(AnchorArray, "uwb/anchors", LATCHED).publish(c.to_anchors(ANCHORS, 0, frame))

    def set(self, name: str, value: Any) -> Any:
        """Set a parameter; whether and why not."""
        return self.node.set_parameters([Parameter(name, value=value)])[0]


@contextmanager
def hosting(make: Callable[[], UwbNode], *arguments: str, **parameters: Any) -> Iterator[Hosted]:
    """The node in a domain of its own, with these parameters and ROS arguments."""
    given = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    with pytest.MonkeyPatch.context() as patch, ExitStack() as held:
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        patch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
        patch.delenv("ROS_DOMAIN_ID", raising=False)  # before a free one is looked for
        domain = held.enter_context(own_domain())
        rclpy.init(domain_id=domain, args=["--ros-args", *given, *arguments])
        try:
            hosted = Hosted(make)
            yield hosted
            hosted.node.close()
            hosted.node.destroy_node()
            hosted.peer.destroy_node()
        finally:
            rclpy.try_shutdown()
