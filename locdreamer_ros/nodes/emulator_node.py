# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An emulated UWB module for `driver_node` to find, and where its tag really is, for scoring.

The module is on a pseudo-terminal and known to the driver by the port only. The tag's true place
goes out on `ground_truth/pose`, which no tracker listens to, at the stamp of each schedule: an
evaluator then finds it by the same stamp as in a replay. The first is that of the first schedule
once whoever is to hear it is there and the driver has had a range: how long nodes take to come up
does not count.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from geometry_msgs.msg import PoseStamped

from locdreamer_ros.config import parameter
from locdreamer_ros.driver.devices import NAMES
from locdreamer_ros.driver.emulator import Emulator, emulate
from locdreamer_ros.errors import InputError
from locdreamer_ros.msg import AnchorSchedule, RangeArray
from locdreamer_ros.nodes.conversions import to_pose_stamped
from locdreamer_ros.nodes.lifecycle import KEPT_QOS, NodeConfig, UwbNode
from locdreamer_ros.nodes.listening import hear
from locdreamer_ros.nodes.running import run_node
from locdreamer_ros.simulation import ENVIRONMENTS
from locdreamer_ros.stamps import nanoseconds
from locdreamer_ros.types import RangeStatus


@dataclass(frozen=True)
class EmulatorConfig(NodeConfig):
    """Parameters of `emulator_node`."""

    device: str = parameter("decar", "which module", choices=NAMES)
    environment: str = parameter("house", "the place", choices=tuple(ENVIRONMENTS))
    seed: int = parameter(0, "seed of walk and errors", low=0, high=2**31 - 1)
    link: str = parameter("", "name that points to the pseudo-terminal; needed")
    epochs: int = parameter(300, "schedules after which it is complete", low=1, high=10**9)
    listeners: int = parameter(
        0, "how many listeners to the ground truth to wait for", low=0, high=1000
    )
    tag: str = parameter("", "id of the tag")
    frame: str = parameter("map", "frame of the ground truth (REP-105)")


class EmulatorNode(UwbNode):
    """A module on a pseudo-terminal from configure to cleanup, and the truth while active."""

    def __init__(self) -> None:
        self._emulator: Emulator | None = None
        super().__init__("emulator_node", EmulatorConfig)

    def configure(self) -> None:
        """Plug the module in."""
        if not self.config.link:
            raise InputError("emulator_node: needs the parameter link, a name for the port")
        self._truth = self.advertise(PoseStamped, "ground_truth/pose")
        hear(self, AnchorSchedule, "uwb/schedule", self._on_schedule, KEPT_QOS)
        hear(self, RangeArray, "uwb/ranges", self._on_ranges, KEPT_QOS)
        self._emulator, self._tag = emulate(
            self.config.device,
            environment=self.config.environment,
            seed=self.config.seed,
            link=Path(self.config.link),
        )

    def activate(self) -> None:
        """Count from the first schedule that everybody knows of."""
        self.counts["epochs"] = 0
        self._ranged = False
        self._last_ns: int | None = None

    def close(self) -> None:
        """Unplug it."""
        if self._emulator is not None:
            self._emulator.close()
            self._emulator = None

    @property
    def complete(self) -> bool:
        """Whether the truth of all epochs is out."""
        return self.counts["epochs"] >= int(self.config.epochs)

    def _on_ranges(self, message: RangeArray) -> None:
        self._ranged = self._ranged or any(
            entry.status == RangeStatus.OK for entry in message.ranges
        )

    def _on_schedule(self, message: AnchorSchedule) -> None:
        if message.tag != self.config.tag or self.complete:
            return
        if self.counts["epochs"] == 0 and not (
            self._ranged and self._truth.get_subscription_count() >= self.config.listeners
        ):
            return
        ns = nanoseconds(message.header.stamp)
        if ns == self._last_ns:  # the tracker asks on for the same fix
            return
        self._last_ns = ns
        # The walk goes by the monotonic clock, stamps by the system's.
        age = (time.time_ns() - ns) * 1e-9
        place = self._tag.truth(time.monotonic() - age)
        self._truth.publish(to_pose_stamped(place, ns, self.config.frame))
        self.counts["epochs"] += 1
        if self.complete:
            self.report()

    def health(self) -> tuple[str, dict[str, object]]:
        """How far it has come; a parent ends the graph when it is complete."""
        return "", {
            "device": self.config.device,
            "epochs_total": self.config.epochs,
            "truths": self.counts["epochs"],
            "complete": self.complete,
        }


def main() -> int:
    """Run the node."""
    return run_node(EmulatorNode)


if __name__ == "__main__":
    raise SystemExit(main())
