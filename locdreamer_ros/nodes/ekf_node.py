# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The baseline: a tracker that asks nothing and lives on the ranges another one asked for."""

from __future__ import annotations

from dataclasses import dataclass

from locdreamer_ros import loop
from locdreamer_ros.config import parameter
from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import TRACKERS
from locdreamer_ros.msg import RangeArray
from locdreamer_ros.nodes.conversions import from_ranges
from locdreamer_ros.nodes.lifecycle import run_node
from locdreamer_ros.nodes.tracking import TrackingConfig, TrackingNode
from locdreamer_ros.stamps import SECOND_NS, nanoseconds, to_seconds
from locdreamer_ros.types import Anchors, Ranges

MAX_JUMP_NS = 60 * SECOND_NS
"""One stamp this far from the last is a mistake; a second one like it is a new time."""


@dataclass(frozen=True)
class ListeningTrackerConfig(TrackingConfig):
    """Parameters of `ekf_node`."""

    tracker: str = parameter("ekf", "which tracker", choices=TRACKERS)


@dataclass(frozen=True)
class Gathered:
    """What was answered for one fix, up to the answer `sequence`, which came at `received`."""

    ns: int
    ranges: Ranges
    sequence: int
    received: float


class EkfNode(TrackingNode):
    """A passive tracker, by default the paper's EKF."""

    def __init__(self) -> None:
        super().__init__("ekf_node", ListeningTrackerConfig)
        self._last: int | None = None
        self._strange: int | None = None
        self._gathered: Gathered | None = None

    def begin(self) -> None:
        """Listen, with no memory of an earlier time."""
        self._last = self._strange = self._gathered = None
        super().begin()

    def on_ranges(self, message: RangeArray, received: float) -> None:
        """Take in whatever was answered for one fix, when it is complete."""
        ranges = from_ranges(message, self.known_site.anchors)
        ns = nanoseconds(message.header.stamp)
        self._check_time(ns)
        before, self._gathered = self._gathered, None
        if before is not None and before.ns == ns:
            ranges = before.ranges.joined(ranges)
        elif before is not None:  # the tracker did without the rest
            self._take_in(before)
        gathered = Gathered(ns, ranges, message.sequence, received)
        if message.more:
            self._gathered = gathered
        else:
            self._take_in(gathered)

    def _take_in(self, gathered: Gathered) -> None:
        ns, ranges = gathered.ns, gathered.ranges
        motion = self.motion_to(to_seconds(ns))
        plan, spent = self.compute(
            lambda: loop.plan(
                self.tracker,
                self.scheduler,
                self.known_site,
                time=to_seconds(ns),
                budget=len(ranges),
                motion=motion,
            )
        )
        if plan is not None:
            self.turn(
                loop.Plan(plan.time, plan.prediction, ranges.anchor),
                ranges,
                ns=ns,
                sequence=gathered.sequence,
                received=gathered.received,
                spent=spent,
                budget=len(ranges),
            )

    def _check_time(self, ns: int) -> None:
        """Let the time jump only where two messages agree on it. Raises InputError."""
        if self._last is not None and abs(ns - self._last) > MAX_JUMP_NS:
            if self._strange is None or abs(ns - self._strange) > MAX_JUMP_NS:
                self._strange = ns
                raise InputError(
                    f"uwb/ranges: stamp is {(ns - self._last) * 1e-9:.3f} s from the last"
                )
            self._gathered = None
            self.restart("the time jumped")
        self._last, self._strange = ns, None

    def _use(self, anchors: Anchors) -> None:
        """Forget what other anchors answered."""
        self._gathered = None
        super()._use(anchors)


def main() -> int:
    """Run the node."""
    return run_node(EkfNode)


if __name__ == "__main__":
    raise SystemExit(main())
