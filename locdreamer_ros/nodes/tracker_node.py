# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Asks for the ranges it needs and publishes where the tag is: tracker and scheduler in the loop.

With `rate` 0 each tick of `uwb/tick` is one turn, which gives exactly what `locdreamer track`
gives; with `rate` above 0 the node's own timer sets the pace, by ROS time. A passive one asks
nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from rosgraph_msgs.msg import Clock

from locdreamer_ros.config import parameter
from locdreamer_ros.errors import InputError
from locdreamer_ros.loop import Plan
from locdreamer_ros.methods import Method
from locdreamer_ros.msg import AnchorSchedule, RangeArray
from locdreamer_ros.nodes import foreign
from locdreamer_ros.nodes.answers import (
    check_answer,
    check_session,
    date_answer,
    is_forgotten,
    not_asked,
)
from locdreamer_ros.nodes.conversions import from_ranges, to_schedule
from locdreamer_ros.nodes.lifecycle import new_session
from locdreamer_ros.nodes.listening import hear, not_asked_for
from locdreamer_ros.nodes.passive import PassiveConfig, PassiveNode
from locdreamer_ros.nodes.patience import Patience
from locdreamer_ros.nodes.running import run_node
from locdreamer_ros.stamps import nanoseconds, to_seconds
from locdreamer_ros.types import IntArray, Ranges, Site

DEADLINE_SHARE = 0.9
"""Part of a period that the source has for its answers; the rest is for computing."""
NOBODY: IntArray = np.empty(0, dtype=np.intp)


REMEMBERED = 100
"""Schedules given up whose answers are still taken in."""
MANY_IN_VAIN = 3
"""Schedules in a row that nobody answered: the source does not, rather than the anchors."""


@dataclass(frozen=True)
class TrackerConfig(PassiveConfig, Method):
    """Parameters of `tracker_node`."""

    rate: float = parameter(
        0.0,
        "fixes per second of ROS time; 0: one for each uwb/tick (replay, simulator)",
        low=0.0,
        high=1000.0,
    )
    passive: bool = parameter(False, "ask nobody, live on the ranges that come by themselves")

    def check_values(self) -> None:
        """A mapping needs a passive tracker, too."""
        super().check_values()
        if self.ranges_from.strip(" ;") and not self.passive:
            raise InputError(foreign.UNASKED)


@dataclass(frozen=True)
class Pending:
    """The schedule that waits for its answer, and what there is of its fix."""

    plan: Plan
    message: AnchorSchedule
    ns: int
    spent: float
    """Seconds computed for this fix."""
    since: float
    """When it was published (perf_counter)."""
    ranges: Ranges | None = None
    """The answers to earlier schedules for this fix."""


class TrackerNode(PassiveNode):
    """Tracker and scheduler in closed loop with a range source."""

    live = frozenset({"budget", "accuracy", "price", "rate", "display_period"})

    def __init__(self) -> None:
        super().__init__("tracker_node", TrackerConfig)
        self._pending: Pending | None = None
        self._closing: AnchorSchedule | None = None
        """The last schedule that asked nobody; its fix did not wait for the answer."""
        self._asked_at: int | None = None
        """Time of the last fix asked for."""
        self._patience = Patience()
        self._given_up: dict[int, Pending] = {}
        """The schedules that were waited for in vain, by sequence."""
        self._in_vain = 0
        """How many in a row were, up to now."""
        self._timer: Any = None
        self._held: int | None = None
        self._session, self._sequence = new_session(), 0
        self._forgotten = 0
        """Answers to schedules up to this sequence are of no use any more."""

    def configure(self) -> None:
        """Make the publisher of schedules too."""
        self.asking = not self.config.passive
        super().configure()
        if self.asking:
            self._schedule = self.advertise(AnchorSchedule, "uwb/schedule")

    def begin(self) -> None:
        """Let ticks or the timer turn the loop, then listen to ranges."""
        self._asked_at = self._held = None
        self._forget()
        self._patience = Patience()
        self._timer = None
        if self.asking:
            self._set_pace()
            hear(self, Clock, "uwb/tick", self._on_tick)
        super().begin()

    def _set_pace(self) -> None:
        """The timer of the present `rate`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.config.rate > 0.0:
            self._timer = self.every(1.0 / self.config.rate, self._due, ros=True)

    def change(self, config: TrackerConfig) -> None:
        """Take in budget, accuracy, price, rate or display period."""
        method = replace(
            self.method, budget=config.budget, accuracy=config.accuracy, price=config.price
        )
        method.check_names()
        paced = config.rate != self.config.rate
        self.config, self.method, self.output.config = config, method, config
        if self.site is not None and self.asking:
            self.loop.budget = method.budget
            if not self.instead:
                self.loop.scheduler = method.make_scheduler(self.site)
        if paced and self.active and self.site is not None:
            self._set_pace()

    def _on_tick(self, message: Clock) -> None:
        if self.config.rate == 0.0:
            self._tick(nanoseconds(message.clock))

    def _due(self) -> None:
        """Ask, unless an answer is on its way: then as soon as it is in."""
        now = self.get_clock().now().nanoseconds
        if self._on_its_way(now):
            self._held = now
        else:
            self._held = None
            self._ask(now)

    def _on_its_way(self, ns: int) -> bool:
        """Whether the answer to the last schedule may still come, and the fix at `ns` can wait."""
        pending = self._pending
        if pending is None or ns < pending.ns:
            return False
        first = self.config.rate == 0.0 and self._held is None
        return first or self._patience.lasts(pending.since)

    def _tick(self, ns: int) -> None:
        """Ask, unless an answer is still out: a tick can overtake it on its way here.

        Such a tick is held until the answer is in, or a later tick in its place. One that comes
        after the patience is over, or goes back, means that no answer will come.
        """
        pending = self._pending
        latest = self._closing if pending is None else pending.message
        if latest is not None and ns == nanoseconds(latest.header.stamp):
            self._schedule.publish(latest)  # offered again: the schedule was lost
        elif self._on_its_way(ns):
            self._held = ns
        elif ns != self._asked_at:
            self._held = None
            self._ask(ns)

    def _ask(self, ns: int) -> None:
        if self._pending is not None:
            self._give_up(self._pending)
        if self._asked_at is not None and ns < self._asked_at:
            self._forget()
        self._asked_at, self._pending = ns, None
        motion = self.motion_to(to_seconds(ns))
        plan, spent = self.compute(lambda: self.loop.plan(to_seconds(ns), motion))
        self.note_times()
        if plan is not None:
            message = self._publish(plan.anchor, ns, more=self.loop.may_ask_on(plan))
            self._pending = Pending(plan, message, ns, spent, perf_counter())

    def _deadline(self, ns: int) -> int:
        """When all answers for the fix at `ns` are due; with `rate` 0 there is no such time."""
        rate = self.config.rate
        return ns + (round(DEADLINE_SHARE / rate * 1e9) if rate > 0.0 else 0)

    def _publish(self, anchor: IntArray, ns: int, *, more: bool) -> AnchorSchedule:
        message = to_schedule(
            anchor,
            self.known_site.anchors,
            ns=ns,
            deadline=self._deadline(ns),
            session=self._session,
            sequence=self._sequence + 1,
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
        self._in_vain += 1
        self._given_up[pending.message.sequence] = pending
        if len(self._given_up) > REMEMBERED:
            self._forgotten = next(iter(self._given_up))
            del self._given_up[self._forgotten]
        if pending.ranges is not None:
            self._make_fix(pending, pending.ranges, perf_counter())

    def on_ranges(self, message: RangeArray, received: float) -> None:
        """Take in the answer to the pending schedule, or one that is late."""
        if not self.asking:
            super().on_ranges(message, received)
            return
        if is_forgotten(message, self._session, self._forgotten):
            return
        check_session(message, self._session)
        pending, closing = self._pending, self._closing
        if closing is not None and message.sequence == closing.sequence:
            return
        if pending is None or message.sequence != pending.message.sequence:
            self._take_late(message, received)
            return
        ranges = self._ranges_for(message, pending)
        self._pending = None
        if pending.ranges is not None:
            ranges = pending.ranges.joined(ranges)
        if pending.message.more:
            self._ask_on(pending, ranges, received)
        else:
            self._make_fix(pending, ranges, received)
        if self._pending is None and self._held is not None:
            held, self._held = self._held, None
            self._ask(held if self.config.rate == 0.0 else self.get_clock().now().nanoseconds)

    def _ranges_for(self, message: RangeArray, asked: Pending) -> Ranges:
        """The ranges of the answer to a schedule. Raises InputError."""
        date_answer(message, asked.ns)
        ranges = from_ranges(message, self.known_site.anchors, self.drop)
        check_answer(message, asked.ns)
        self._patience.answered(asked.since)
        self._in_vain = 0
        return ranges

    def _take_late(self, message: RangeArray, received: float) -> None:
        """Use an answer whose fix was made without it: a range is used at its own stamp."""
        asked = self._given_up.get(message.sequence)
        if asked is None:
            raise not_asked(message)
        ranges = self._ranges_for(message, asked)
        del self._given_up[message.sequence]
        self.counts["late"] += 1
        plan = self.loop.late(ranges.anchor)
        if plan is not None and len(ranges.usable()):
            self.turn(
                lambda: self.loop.absorb(plan, ranges),
                ranges,
                asked=len(ranges),
                ns=asked.ns,
                answered=(self._session, message.sequence),
                received=received,
                spent=0.0,
                late=True,
            )

    def _ask_on(self, pending: Pending, ranges: Ranges, received: float) -> None:
        """Ask whom the scheduler wants now, or tell that it wants nobody, and make the fix."""
        plan = pending.plan
        rate, now = self.config.rate, self.get_clock().now().nanoseconds
        more: IntArray | None = NOBODY
        spent = 0.0
        if rate == 0.0 or now < self._deadline(pending.ns):
            more, spent = self.compute(lambda: self.loop.further(plan, ranges))
        if more is None:  # the tracker has begun anew, and knows nothing of the prediction
            plan, more = replace(plan, prediction=None), NOBODY
        plan = plan.asking(more)
        asks = more.size > 0
        message = self._publish(more, pending.ns, more=asks and self.loop.may_ask_on(plan))
        spent += pending.spent
        now_pending = Pending(plan, message, pending.ns, spent, perf_counter(), ranges)
        if asks:
            self._pending = now_pending
        else:
            self._closing = message
            self._make_fix(now_pending, ranges, received)

    def _make_fix(self, pending: Pending, ranges: Ranges, received: float) -> None:
        self.turn(
            lambda: self.loop.absorb(pending.plan, ranges),
            ranges,
            asked=pending.plan.anchor.size,
            ns=pending.ns,
            answered=(self._session, pending.message.sequence),
            received=received,
            spent=pending.spent,
        )

    def make(self, site: Site) -> None:
        """Forget what was asked of other anchors; the tick may be offered again."""
        self._asked_at = None
        self._forget()
        super().make(site)

    def _forget(self) -> None:
        """Wait for nothing that was asked before now."""
        self._pending = self._closing = None
        self._given_up.clear()
        self._forgotten = self._sequence

    def _missed(self, quiet: float) -> str:
        in_vain = self._in_vain >= MANY_IN_VAIN
        return super()._missed(quiet) or ("; its schedules are not answered" if in_vain else "")

    @property
    def lives_on(self) -> str:
        """Ticks, where they set the pace."""
        return "uwb/tick" if self.asking and self.config.rate == 0.0 else super().lives_on

    def health(self) -> tuple[str, dict[str, object]]:
        """And whether there is a clock to ask by."""
        warning, values = super().health()
        if self.site is None or not self.asking or self._asked_at is not None:
            return warning, values
        if differ := not_asked_for(self):
            return differ, values
        if self._heard_ranges and self.drops_now():  # more telling than that nobody ticks
            return f"no schedules yet, messages are dropped: {self.problem}", values
        if self.config.rate == 0.0:
            remedy = "or set rate for a source that does not tick"
            return self.awaiting("ticks (rate is 0)", "uwb/tick", remedy), values
        if self.get_parameter("use_sim_time").value:
            return self.awaiting("simulated time", "/clock", "or unset use_sim_time"), values
        return warning, values


def main() -> int:
    """Run the node."""
    return run_node(TrackerNode)


if __name__ == "__main__":
    raise SystemExit(main())
