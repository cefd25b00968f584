# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Asks for the ranges it needs and publishes where the tag is: tracker and scheduler in the loop.

With `rate` 0 each tick of `/clock` is one turn, which gives exactly what `locdreamer track` gives;
with `rate` above 0 the node's own timer sets the pace.
"""

from __future__ import annotations

from dataclasses import dataclass

from rosgraph_msgs.msg import Clock

from locdreamer_ros import loop
from locdreamer_ros.config import parameter
from locdreamer_ros.datasets.rosbag2 import to_seconds
from locdreamer_ros.errors import InputError
from locdreamer_ros.msg import AnchorSchedule, RangeArray
from locdreamer_ros.nodes.conversions import MAX_OFFSET_NS, from_ranges, nanoseconds, to_schedule
from locdreamer_ros.nodes.lifecycle import LOSSLESS, run_node
from locdreamer_ros.nodes.tracking import TrackingConfig, TrackingNode
from locdreamer_ros.schedulers import LEARNED as LEARNED_SCHEDULERS
from locdreamer_ros.schedulers import NAMES as SCHEDULERS
from locdreamer_ros.trackers import LEARNED as LEARNED_TRACKERS
from locdreamer_ros.trackers import NAMES as TRACKERS

DEADLINE = 0.9
"""Part of a period that the source has for its answer; the rest is for computing."""


@dataclass(frozen=True)
class TrackerConfig(TrackingConfig):
    """Parameters of `tracker_node`."""

    tracker: str = parameter("zero-shot", "which tracker", choices=(*TRACKERS, *LEARNED_TRACKERS))
    scheduler: str = parameter(
        "gdop", "who chooses the anchors to ask", choices=(*SCHEDULERS, *LEARNED_SCHEDULERS)
    )
    budget: int = parameter(3, "anchors to ask for each fix", low=1, high=255)
    rate: float = parameter(
        0.0,
        "fixes per second; 0: one for each tick of /clock (replay, simulator)",
        low=0.0,
        high=1000.0,
    )


@dataclass(frozen=True)
class Pending:
    """The schedule that waits for its answer, and the seconds its plan took."""

    plan: loop.Plan
    message: AnchorSchedule
    ns: int
    spent: float


class TrackerNode(TrackingNode):
    """Tracker and scheduler in closed loop with a range source."""

    def __init__(self) -> None:
        super().__init__("tracker_node", TrackerConfig, scheduler="")
        self._pending: Pending | None = None
        self._last: int | None = None
        self._held: int | None = None
        self._sequence = 0

    def configure(self) -> None:
        """Make the publisher of schedules too."""
        super().configure()
        self._schedule = self.advertise(AnchorSchedule, "uwb/schedule")

    def begin(self) -> None:
        """Let the clock or the timer turn the loop, then listen to ranges."""
        self._pending = self._last = self._held = None
        if self.config.rate > 0.0:
            self.every(
                1.0 / self.config.rate, lambda: self._ask(self.get_clock().now().nanoseconds)
            )
        else:
            self.listen(Clock, "/clock", lambda tick: self._tick(nanoseconds(tick.clock)), LOSSLESS)
        super().begin()

    def _tick(self, ns: int) -> None:
        """Ask, unless an answer is still out: a tick can overtake it on its way here.

        Such a tick is held until the answer is in. A further tick means that none will come.
        """
        pending = self._pending
        if pending is not None and ns == pending.ns:  # offered again: the schedule was lost
            self._schedule.publish(pending.message)
        elif pending is not None and self._held is None:
            self._held = ns
        elif ns != self._last:
            self._held = None
            self._ask(ns)

    def _ask(self, ns: int) -> None:
        if self._pending is not None:
            self.counts["unanswered"] += 1
        if self._last is not None and ns < self._last:
            self.restart(f"time went back by {(self._last - ns) * 1e-9:.3f} s")
        self._last, self._pending = ns, None
        motion = self.motion_to(to_seconds(ns))
        plan, spent = self.compute(
            lambda: loop.plan(
                self.tracker,
                self.scheduler,
                self.known_site,
                time=to_seconds(ns),
                budget=self.config.budget,
                motion=motion,
            )
        )
        if plan is None:
            return
        rate = self.config.rate
        message = to_schedule(
            plan.anchor,
            self.known_site.anchors,
            ns=ns,
            deadline=ns + (round(DEADLINE / rate * 1e9) if rate > 0.0 else 0),
            sequence=self._sequence,
            tag=self.config.tag,
            frame=self.config.frame,
        )
        self._sequence += 1
        self._pending = Pending(plan, message, ns, spent)
        self.counts["schedules"] += 1
        self._schedule.publish(message)

    def on_ranges(self, message: RangeArray, received: float) -> None:
        """Take in the answer to the pending schedule."""
        pending = self._pending
        if pending is None or message.sequence != pending.message.sequence:
            raise InputError(f"uwb/ranges: sequence {message.sequence} was not asked, or is late")
        ranges = from_ranges(message, self.known_site.anchors)
        offset = nanoseconds(message.header.stamp) - pending.ns
        if abs(offset) > MAX_OFFSET_NS:
            raise InputError(f"uwb/ranges: stamp is {offset * 1e-9:.3f} s from the schedule's")
        self._pending = None
        self.turn(
            pending.plan,
            ranges,
            ns=pending.ns,
            sequence=message.sequence,
            received=received,
            spent=pending.spent,
            budget=self.config.budget,
        )
        if self._held is not None:
            held, self._held = self._held, None
            self._ask(held)


def main() -> int:
    """Run the node."""
    return run_node(TrackerNode)


if __name__ == "__main__":
    raise SystemExit(main())
