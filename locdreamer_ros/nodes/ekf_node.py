# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The baseline: a tracker that asks nothing and lives on the ranges another one asked for."""

from __future__ import annotations

from dataclasses import dataclass

from locdreamer_ros.config import parameter
from locdreamer_ros.methods import TRACKERS
from locdreamer_ros.nodes.estimate_publisher import BROADCASTS
from locdreamer_ros.nodes.passive import PassiveConfig, PassiveNode
from locdreamer_ros.nodes.running import run_node


@dataclass(frozen=True)
class ListeningTrackerConfig(PassiveConfig):
    """Parameters of `ekf_node`."""

    tracker: str = parameter("ekf", "which tracker", choices=TRACKERS)
    broadcast: str = parameter(
        "none", "what goes to TF; a frame has one parent", choices=BROADCASTS
    )


class EkfNode(PassiveNode):
    """A passive tracker, by default the paper's EKF."""

    def __init__(self) -> None:
        super().__init__("ekf_node", ListeningTrackerConfig)


def main() -> int:
    """Run the node."""
    return run_node(EkfNode)


if __name__ == "__main__":
    raise SystemExit(main())
