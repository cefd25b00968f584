# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Asks for the ranges it needs and publishes where the tag is: tracker and scheduler in the loop.

With `rate` 0 each tick of `/clock` is one turn, which gives exactly what `locdreamer track` gives;
with `rate` above 0 the node's own timer sets the pace.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from rosgraph_msgs.msg import Clock

from locdreamer_ros import loop
from locdreamer_ros.config import parameter
from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import Method
from locdreamer_ros.msg import AnchorSchedule, RangeArray
from locdreamer_ros.nodes.conversions import MAX_OFFSET_NS, from_ranges, to_schedule
from locdreamer_ros.nodes.lifecycle import LOSSLESS, run_node
from locdreamer_ros.nodes.tracking import TrackingConfig, TrackingNode
from locdreamer_ros.stamps import nanoseconds, to_seconds
from locdreamer_ros.types import Anchors, IntArray, Ranges

DEADLINE = 0.9
"""Part of a period that the source has for its answers; the rest is for computing."""
NOBODY: IntArray = np.empty(0, dtype=np.intp)


@dataclass(frozen=True)
class TrackerConfig(TrackingConfig, Method):
    """Parameters of `tracker_node`."""

    rate: float = parameter(
        0.0,
        "fixes per second; 0: one for each tick of /clock (replay, simulator)",
        low=0.0,
        high=1000.0,
    )


@dataclass(frozen=True)
class Pending:
    """The schedule that waits for its answer, and what there is of its fix."""

    plan: loop.Plan
    message: AnchorSchedule
    ns: int
    spent: float
    """Seconds computed for this fix."""
    ranges: Ranges | None = None
    """The answers to earlier schedules for this fix."""


class TrackerNode(TrackingNode):
    """Tracker and scheduler in closed loop with a range source."""

    def __init__(self) -> None:
        super().__init__("tracker_node", TrackerConfig)
        self._pending: Pending | None = None
        self._closing: AnchorSchedule | None = None
        """The last schedule that asked nobody; its fix did not wait for the answer."""
        self._last: int | None = None
        self._held: int | None = None
        self._sequence = 0

    def configure(self) -> None:
        """Make the publisher of schedules too."""
        super().configure()
        self._schedule = self.advertise(AnchorSchedule, "uwb/schedule")

    def begin(self) -> None:
        """Let the clock or the timer turn the loop, then listen to ranges."""
        self._pending = self._closing = self._last = self._held = None
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
        latest = self._closing if pending is None else pending.message
        if latest is not None and ns == nanoseconds(latest.header.stamp):
            self._schedule.publish(latest)  # offered again: the schedule was lost
        elif pending is not None and self._held is None:
            self._held = ns
        elif ns != self._last:
            self._held = None
            self._ask(ns)

    def _ask(self, ns: int) -> None:
        if self._pending is not None:
            self._give_up(self._pending)
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
        if plan is not None:
            message = self._publish(plan.anchor, ns, more=self._may_ask_on(plan))
            self._pending = Pending(plan, message, ns, spent)

    def _may_ask_on(self, plan: loop.Plan) -> bool:
        return loop.may_ask_on(
            self.scheduler, self.known_site, plan=plan, budget=self.config.budget
        )

    def _deadline(self, ns: int) -> int:
        """When all answers for the fix at `ns` are due; with `rate` 0 there is no such time."""
        rate = self.config.rate
        return ns + (round(DEADLINE / rate * 1e9) if rate > 0.0 else 0)

    def _publish(self, anchor: IntArray, ns: int, *, more: bool) -> AnchorSchedule:
        message = to_schedule(
            anchor,
            self.known_site.anchors,
            ns=ns,
            deadline=self._deadline(ns),
            sequence=self._sequence,
            tag=self.config.tag,
            frame=self.config.frame,
            more=more,
        )
        self._sequence += 1
        self.counts["schedules"] += 1
        self._schedule.publish(message)
        return message

    def _give_up(self, pending: Pending) -> None:
        """Wait no longer: the fix is made of the answers there are."""
        self._pending = None
        self.counts["unanswered"] += 1
        if pending.ranges is not None:
            self._make_fix(pending, pending.ranges, perf_counter())

    def on_ranges(self, message: RangeArray, received: float) -> None:
        """Take in the answer to the pending schedule."""
        pending, closing = self._pending, self._closing
        if closing is not None and message.sequence == closing.sequence:
            return
        if pending is None or message.sequence != pending.message.sequence:
            raise InputError(f"uwb/ranges: sequence {message.sequence} was not asked, or is late")
        ranges = from_ranges(message, self.known_site.anchors)
        offset = nanoseconds(message.header.stamp) - pending.ns
        if abs(offset) > MAX_OFFSET_NS:
            raise InputError(f"uwb/ranges: stamp is {offset * 1e-9:.3f} s from the schedule's")
        self._pending = None
        if pending.ranges is not None:
            ranges = pending.ranges.joined(ranges)
        if pending.message.more:
            self._ask_on(pending, ranges, received)
        else:
            self._make_fix(pending, ranges, received)
        if self._pending is None and self._held is not None:
            held, self._held = self._held, None
            self._ask(held)

    def _ask_on(self, pending: Pending, ranges: Ranges, received: float) -> None:
        """Ask whom the scheduler wants now, or tell that it wants nobody, and make the fix."""
        plan = pending.plan
        rate, now = self.config.rate, self.get_clock().now().nanoseconds
        more: IntArray | None = NOBODY
        spent = 0.0
        if rate == 0.0 or now < self._deadline(pending.ns):
            more, spent = self.compute(
                lambda: loop.further(
                    self.tracker,
                    self.scheduler,
                    self.known_site,
                    plan=plan,
                    ranges=ranges,
                    budget=self.config.budget,
                )
            )
        if more is None:  # the tracker has begun anew, and knows nothing of the prediction
            plan, more = replace(plan, prediction=None), NOBODY
        plan = plan.asking(more)
        asks = more.size > 0
        message = self._publish(more, pending.ns, more=asks and self._may_ask_on(plan))
        now_pending = Pending(plan, message, pending.ns, pending.spent + spent, ranges)
        if asks:
            self._pending = now_pending
        else:
            self._closing = message
            self._make_fix(now_pending, ranges, received)

    def _make_fix(self, pending: Pending, ranges: Ranges, received: float) -> None:
        self.turn(
            pending.plan,
            ranges,
            ns=pending.ns,
            sequence=pending.message.sequence,
            received=received,
            spent=pending.spent,
            budget=self.config.budget,
        )

    def _use(self, anchors: Anchors) -> None:
        """Forget what was asked of other anchors; the tick may be offered again."""
        self._pending = self._closing = self._last = None
        super()._use(anchors)


def main() -> int:
    """Run the node."""
    return run_node(TrackerNode)


if __name__ == "__main__":
    raise SystemExit(main())
