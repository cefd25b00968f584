# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `evaluator_node` and `recorder_node` share: they hear trackers and must miss nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from locdreamer_ros.config import parameter
from locdreamer_ros.nodes.lifecycle import NodeConfig, UwbNode

READY_PERIOD_S = 0.05


@dataclass(frozen=True)
class ListeningConfig(NodeConfig):
    """Parameters of a node that listens to trackers."""

    trackers: str = parameter(
        "tracker_node,ekf_node", "nodes whose estimates to listen to, separated by commas"
    )


def names(trackers: str) -> list[str]:
    """The node names in the parameter `trackers`."""
    return [name.strip() for name in trackers.split(",") if name.strip()]


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
