# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one loop: predict -> select -> measure -> update.

`Loop.step` is the whole of it. A ROS node cannot wait inside `measure`, so it calls the two halves,
`plan` before the schedule goes out and `absorb` when the answer is in; a tracker that asks nobody
calls `hear` instead of `plan`. A sequential scheduler looks at each answer and may ask on
(`further`) before the update. The tracker is under watch (`integrity.watch`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.asking import Asking
from locdreamer_ros.differences import as_ranges
from locdreamer_ros.integrity.status import Status
from locdreamer_ros.integrity.times import BACK_S, Leaps
from locdreamer_ros.integrity.track import NOBODY, Held
from locdreamer_ros.integrity.watch import Watch
from locdreamer_ros.roles import RangeSource, Scheduler, Stepped, Tracker
from locdreamer_ros.types import (
    MOST_HEARD,
    BoolArray,
    Estimate,
    IntArray,
    Motion,
    Ranges,
    Site,
)
from locdreamer_ros.unchanging import unchanging


@unchanging
class Plan:
    """One schedule: the time the fix is for, the prior (None before the first fix), whom to ask."""

    time: float
    prediction: Estimate | None
    anchor: IntArray

    def asking(self, more: IntArray) -> Plan:
        """The same with `more` anchors asked besides."""
        return replace(self, anchor=np.concatenate([self.anchor, more]))


@unchanging
class Step:
    """One turn of the loop. `estimate` is None until a first fix was found."""

    time: float
    plan: Plan
    ranges: Ranges
    estimate: Estimate | None
    status: Status


class Loop:
    """Tracker, scheduler and site, with a budget of ranges for each fix."""

    def __init__(self, tracker: Tracker, scheduler: Scheduler, site: Site, *, budget: int) -> None:
        self.scheduler = scheduler
        self.site = site
        self.budget = budget
        self.watch = Watch(site, tracker)
        self.counts: Counter[str] = Counter()
        """What was odd about times: `time_back`, `time_strange`."""
        self._keeps_all = type(scheduler).keep is Scheduler.keep
        self._seat: Any = None
        """What the kernel keeps for ordinary turns; None: to be made, as after any other turn."""
        self._stepped: Stepped
        """Whose state it steps."""
        self._quiet = True
        self._asking = Asking(self.watch)
        self._time: float | None = None
        self._leaps = Leaps()

    @property
    def tracker(self) -> Tracker:
        """The tracker that answers; after a mirrored first fix it may be another than at first."""
        return self.watch.tracker

    @property
    def estimate(self) -> Estimate | None:
        """The current estimate; None before the first fix."""
        return self.watch.estimate

    @property
    def restarts(self) -> int:
        """How often it began anew: the watch overruled the tracker, or the time went back."""
        return self.watch.restarts + self.counts["time_back"]

    def status(self, quiet: float = 0.0) -> Status:
        """How far the estimate can be trusted; quiet: s since the last turn."""
        return self.watch.status(quiet)

    def close(self) -> None:
        """The tracker's life ends."""
        self.tracker.close()

    def restart(self) -> None:
        """Begin again from a new first fix."""
        self._seat = None
        self.watch.reset()
        self._time = None
        self._leaps.settle()
        self._asking.begin()

    def step(self, source: RangeSource, time: float, motion: Motion | None = None) -> Step:
        """One turn at `time` s, after `motion` since the last."""
        schedule = self.plan(time, motion)
        ranges = source.measure(schedule.anchor, time)
        while self.scheduler.sequential and (more := self.further(schedule, ranges)).size > 0:
            ranges = ranges.joined(source.measure(more, time))
            schedule = schedule.asking(more)
        estimate = self.absorb(schedule, ranges)
        return Step(time, schedule, ranges, estimate, self.status())

    # The two halves of a turn; `plan_by_parts` and `absorb_by_parts` are to be read.

    def plan(self, time: float, motion: Motion | None = None) -> Plan:
        """Predict to `time` and choose at most the budget; all anchors while there is no fix.

        `time` is the caller's own clock: where it goes back, the track begins anew. motion: from
        the tracker's time to `time`, where wheels or gyro know it.
        """
        plan = plan_all([(self, time)])[0] if motion is None else None
        return self.plan_by_parts(time, motion) if plan is None else plan

    def plan_by_parts(self, time: float, motion: Motion | None = None) -> Plan:
        """`plan` as it reads; of an ordinary turn the kernel makes the same at once."""
        self._seat = None
        self.watch.gate.times.looks_back = False
        if self._time is not None and time < self._time:
            self.counts["time_back"] += 1
            self.restart()
        self._time = time
        prediction = self.watch.predict(time, motion)
        if prediction is None or self.watch.seeking:
            return Plan(time, prediction, np.arange(len(self.site.anchors)))
        chosen = self._chosen(prediction, time)
        return Plan(time, prediction, self._corrected(chosen, time))

    def _chosen(self, prediction: Estimate, time: float) -> IntArray:
        """Whom the scheduler asks at a prediction, of those who answer."""
        self._pass_over_silent(time)
        known = self.watch.chosen_by(prediction)
        return self.scheduler.select(known, self.site.anchors, self.budget)

    def _pass_over_silent(self, time: float) -> None:
        """Tell the scheduler who does not answer; what the kernel knew of that is no more."""
        silent = self._asking.silent(time, self.budget)
        if not _alike(silent, self.scheduler.silent):
            self.scheduler.silent = silent
            self._seat = None

    def _corrected(self, chosen: IntArray, time: float) -> IntArray:
        """See `Asking.corrected`."""
        return self._asking.corrected(chosen, time, self.scheduler.silent)

    def may_ask_on(self, plan: Plan) -> bool:
        """Whether the answer to `plan` is looked at: not before a fix, nor at the budget."""
        left = min(self.budget, len(self.site.anchors)) - plan.anchor.size
        return self.scheduler.sequential and plan.prediction is not None and left > 0

    def further(self, plan: Plan, ranges: Ranges) -> IntArray:
        """Whom a sequential scheduler asks next, having looked at `ranges`; nobody: it is due."""
        if not self.may_ask_on(plan):
            return NOBODY
        looked = self.watch.look(ranges, plan.time)
        more = self.scheduler.more(looked, plan.anchor, self.site.anchors, self.budget)
        if more.size == 0:
            return NOBODY
        asked, chosen = set(plan.anchor.tolist()), self._corrected(more, plan.time)
        return chosen[[a not in asked for a in chosen.tolist()]]

    def absorb(self, plan: Plan, ranges: Ranges) -> Estimate | None:
        """Update with the answer to `plan`; None until the answers so far give a first fix."""
        posterior = absorb_all([(self, plan, ranges)])[0]
        return self.absorb_by_parts(plan, ranges) if posterior is None else posterior

    def absorb_by_parts(self, plan: Plan, ranges: Ranges) -> Estimate | None:
        """`absorb` as it reads; of an ordinary turn the kernel makes the same at once."""
        self._seat = None
        self._asking.answered(plan.anchor, ranges.usable().anchor, plan.time)
        ranges = nearest(ranges)
        if ranges.differences:
            known = None if self.watch.seeking else self.tracker.estimate
            ranges = as_ranges(self.site, ranges, known, self.tracker.offset)
        if plan.prediction is None or self.watch.seeking:
            return self.watch.update(ranges, plan.time)
        kept = self.scheduler.keep(plan.prediction, ranges, self.budget)
        posterior = self.watch.update(kept, plan.time)
        if posterior is not None:
            self.scheduler.observe(plan.prediction, ranges, posterior)
        return posterior

    # Ranges that come late, or that nobody here asked for.

    def late(self, anchor: IntArray) -> Plan | None:
        """What `absorb` takes with ranges of `anchor` that come after the fix they were asked for.

        They are used at their own stamps, now. None before the first fix.
        """
        now, estimate = self.tracker.estimate, self.estimate
        return None if now is None or estimate is None else Plan(now.time, estimate, anchor)

    def hear(self, time: float, motion: Motion | None = None) -> Plan | None:
        """`plan` for ranges that nobody here asked for, of about `time` s by somebody's clock.

        A time that leaps is believed when others agree with it (`integrity.times.Leaps`); until
        then None. Ranges from a little before are taken as late.
        """
        plan = plan_all([(self, time)], choose=False)[0] if motion is None else None
        return self.hear_by_parts(time, motion) if plan is None else plan

    def hear_by_parts(self, time: float, motion: Motion | None = None) -> Plan | None:
        """`hear` as it reads; of an ordinary turn the kernel makes the same at once."""
        self._seat = None
        last, times = self._time, self.watch.gate.times
        if last is not None and not self._leaps.believe(time, last, times.lately(last)):
            self.counts["time_strange"] += 1
            return None
        if last is not None and time < last - BACK_S:
            self.counts["time_back"] += 1
            self.restart()
        times.remembers, times.looks_back = True, self._time is not None and time <= self._time
        now = time if self._time is None else max(time, self._time)
        self._time = now
        prediction = self.watch.predict(now, motion)
        return Plan(now, prediction, NOBODY)

    def pass_over(self, time: float, ranges: Ranges) -> None:
        """Take note of ranges that come with a time which `hear` does not believe."""
        self._leaps.passed(ranges.anchor.tolist())
        if self._time is not None:
            self.watch.gate.times.pass_over(ranges, self._time, past=time < self._time)

    # Ordinary turns: see `plan_all` and `absorb_all`.

    def _take_seat(self) -> bool:
        """Take a seat at the kernel; false: the next turn is no ordinary one."""
        found, watched = self.tracker.seat(), self.watch.seat()
        if found is None or watched is None:
            return False
        self._stepped, kept = found
        choice = self.scheduler.choice(self.budget)
        self._seat = compiled.kernel.seat(kept, choice, watched, self._stepped.standing())
        self._quiet = self.watch.quiet and self.scheduler.silent is None
        return True

    def _plan_request(self, time: float, choose: bool) -> tuple[Any, ...] | None:
        """What the kernel's `plan` takes; None: it is no ordinary turn."""
        last = self._time
        if last is not None and (time < last or (time == last and not choose)):
            return None
        if self._leaps.looks and not choose:
            return None
        if choose:
            self._pass_over_silent(time)
        if self._seat is None and not self._take_seat():
            return None
        return self._seat, time

    def _finish_plan(
        self, time: float, result: tuple[Any, ...] | None, choose: bool
    ) -> Plan | None:
        """The plan of the kernel's result: a `Standing`, and the rows chosen or None."""
        if result is None:
            return None
        prior = self.watch.publish(self._stepped.stepped(result[:4]))
        self._time = time
        if not choose:
            self._leaps.settle()
            return Plan(time, prior, NOBODY)
        rows = result[4]
        if rows is None:
            rows = self._chosen(prior, time)
        return Plan(time, prior, rows if self._quiet else self._corrected(rows, time))

    def _absorb_request(self, plan: Plan, ranges: Ranges) -> tuple[Any, ...] | None:
        """What the kernel's `absorb` takes; None: it is no ordinary turn."""
        if ranges.differences or plan.prediction is None or not self._keeps_all:
            return None
        if self._seat is None and not self._take_seat():
            return None
        measured = (ranges.anchor, ranges.value, ranges.stamp, ranges.status)
        return self._seat, plan.time, *measured, ranges.nlos_probability, ranges.variance

    def _finish_absorb(
        self, plan: Plan, ranges: Ranges, result: tuple[Any, ...] | None
    ) -> Estimate | None:
        """The posterior of the kernel's result: a `Standing`, and how many ranges it used.

        Or these and what `Held` has, where the watch has to look.
        """
        if result is None or plan.prediction is None:
            return None
        self.watch.gate.times.remember(ranges, plan.time)
        posterior, outcome = self._stepped.stepped(result[:4]), result[4]
        # Not a number alone: the track is not explained as it should be, or not held yet.
        tests = not isinstance(outcome, int)
        used, *costs = outcome if tests else (outcome,)
        if self._asking.missing or used < plan.anchor.size:
            self._asking.answered(plan.anchor, ranges.usable().anchor, plan.time)
        held = Held(*costs) if costs else None
        posterior = self.watch.conclude(posterior, used, plan.time, tests, held)
        if tests or self.watch.seeking:
            self._seat = None
        self.scheduler.observe(plan.prediction, ranges, posterior)
        return posterior


def _alike(one: BoolArray | None, other: BoolArray | None) -> bool:
    """Whether two masks are the same."""
    if one is None or other is None or one is other:
        return one is other
    return bool(np.array_equal(one, other))


def nearest(ranges: Ranges) -> Ranges:
    """The ranges of the `MOST_HEARD` anchors with the shortest ones that may be used."""
    if len(ranges) <= MOST_HEARD:
        return ranges
    usable = ranges.usable()
    order = np.argsort(usable.value, kind="stable")
    anchors, first = np.unique(usable.anchor[order], return_index=True)
    if anchors.size <= MOST_HEARD:
        return ranges
    kept = anchors[np.argsort(first)[:MOST_HEARD]]
    return usable[np.flatnonzero(np.isin(usable.anchor, kept))]


def plan_all(asked: Sequence[tuple[Loop, float]], *, choose: bool = True) -> list[Plan | None]:
    """`Loop.plan` at its time s of each loop whose turn is ordinary, in one call of the kernel.

    None where it is not, or the kernel was not built: nothing has changed then. Not choose:
    `Loop.hear`.
    """
    if compiled.kernel is None:
        return [None] * len(asked)
    turns = [loop._plan_request(time, choose) for loop, time in asked]
    results = compiled.kernel.plan(turns, choose)
    return [
        loop._finish_plan(time, result, choose)
        for (loop, time), result in zip(asked, results, strict=True)
    ]


def absorb_all(answered: Sequence[tuple[Loop, Plan, Ranges]]) -> list[Estimate | None]:
    """`Loop.absorb` of each loop's answer where its turn is ordinary, in one call of the kernel.

    None where it is not, or the kernel was not built: nothing has changed then.
    """
    if compiled.kernel is None:
        return [None] * len(answered)
    answered = [(loop, plan, nearest(ranges)) for loop, plan, ranges in answered]
    turns = [loop._absorb_request(plan, ranges) for loop, plan, ranges in answered]
    results = compiled.kernel.absorb(turns)
    return [
        loop._finish_absorb(plan, ranges, result)
        for (loop, plan, ranges), result in zip(answered, results, strict=True)
    ]


def predict_together(asked: Sequence[tuple[Loop, float]]) -> None:
    """Make the predictions that `plan` or `hear` at each time s is about to ask trackers for.

    Of trackers of one batch; whatever is asked otherwise each makes itself, so nothing is changed.
    """
    batch = asked[0][0].tracker.batch if asked else None
    now = [(loop.tracker, loop.tracker.estimate, time) for loop, time in asked] if batch else []
    due = [(x, time - at.time) for x, at, time in now if at is not None and time > at.time]
    if batch and due:
        batch.predict(*zip(*due, strict=True))


def update_together(answered: Sequence[tuple[Loop, Plan, Ranges]]) -> None:
    """Make the updates that `absorb` is about to ask trackers for, in the same way."""
    batch = answered[0][0].tracker.batch if answered else None
    due = [
        (loop.tracker, loop.watch.foreseen(ranges, plan.time))
        for loop, plan, ranges in (answered if batch else ())
        if not (ranges.differences or loop.watch.seeking)
    ]
    if batch and due:
        batch.update(*zip(*due, strict=True))


def run(
    tracker: Tracker,
    scheduler: Scheduler,
    source: RangeSource,
    site: Site,
    *,
    times: Iterable[float],
    budget: int,
    motions: Iterable[Motion | None] = repeat(None),
) -> Iterator[Step]:
    """Turn a loop at each of `times` s, in order; `motions`: before each of them."""
    loop = Loop(tracker, scheduler, site, budget=budget)
    for time, motion in zip(times, motions, strict=False):
        yield loop.step(source, float(time), motion)
