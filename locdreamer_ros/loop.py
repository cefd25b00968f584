# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one loop: predict -> select -> measure -> update.

A sequential scheduler looks at each answer and may ask on (`further`) before the update. `step` is
the whole of it. A ROS node cannot wait inside `measure`, so it calls the two halves, `plan` before
the schedule goes out and `absorb` when the answer is in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np

from locdreamer_ros.first_fix import first_fix
from locdreamer_ros.roles import RangeSource, Scheduler, Tracker
from locdreamer_ros.types import Estimate, IntArray, Motion, Ranges, Site


@dataclass(frozen=True, eq=False)
class Plan:
    """One schedule: the time the fix is for, the prior (None before the first fix), whom to ask."""

    time: float
    prediction: Estimate | None
    anchor: IntArray

    def asking(self, more: IntArray) -> Plan:
        """The same with `more` anchors asked besides."""
        return replace(self, anchor=np.concatenate([self.anchor, more]))


@dataclass(frozen=True, eq=False)
class Step:
    """One turn of the loop. `estimate` is None until a first fix was found."""

    time: float
    plan: Plan
    ranges: Ranges
    estimate: Estimate | None


def plan(
    tracker: Tracker,
    scheduler: Scheduler,
    site: Site,
    *,
    time: float,
    budget: int,
    motion: Motion | None = None,
) -> Plan:
    """Predict to `time` and choose at most `budget` anchors; all of them while there is no fix.

    motion: from the tracker's time to `time`, where wheels or gyro know it.
    """
    before = tracker.estimate
    if before is None:
        return Plan(time, None, np.arange(len(site.anchors)))
    prediction = tracker.predict(max(time - before.time, 0.0), motion)
    return Plan(time, prediction, scheduler.select(prediction, site.anchors, budget))


def may_ask_on(scheduler: Scheduler, site: Site, *, plan: Plan, budget: int) -> bool:
    """Whether the answer to `plan` is looked at: not before the first fix, nor at the budget."""
    left = min(budget, len(site.anchors)) - plan.anchor.size
    return scheduler.sequential and plan.prediction is not None and left > 0


def further(
    tracker: Tracker, scheduler: Scheduler, site: Site, *, plan: Plan, ranges: Ranges, budget: int
) -> IntArray:
    """Whom a sequential scheduler asks next, having looked at `ranges`; nobody: the fix is due."""
    if not may_ask_on(scheduler, site, plan=plan, budget=budget):
        return np.empty(0, dtype=np.intp)
    looked = tracker.fork().update(ranges)
    return scheduler.more(looked, plan.anchor, site.anchors, budget)


def absorb(
    tracker: Tracker, scheduler: Scheduler, site: Site, *, plan: Plan, ranges: Ranges, budget: int
) -> Estimate | None:
    """Update with the answer to `plan`; the first answer that suffices becomes the first fix."""
    if plan.prediction is None:
        if tracker.estimate is None:
            fix = first_fix(site, ranges, time=plan.time)
            if fix is not None:
                tracker.start(fix)
        return tracker.estimate
    posterior = tracker.update(scheduler.keep(plan.prediction, ranges, budget))
    scheduler.observe(plan.prediction, ranges, posterior)
    return posterior


def step(
    tracker: Tracker,
    scheduler: Scheduler,
    source: RangeSource,
    site: Site,
    *,
    time: float,
    budget: int,
    motion: Motion | None = None,
) -> Step:
    """One turn at `time` s with `budget` ranges, after `motion` since the last."""
    schedule = plan(tracker, scheduler, site, time=time, budget=budget, motion=motion)
    ranges = source.measure(schedule.anchor, time)
    while True:
        more = further(tracker, scheduler, site, plan=schedule, ranges=ranges, budget=budget)
        if more.size == 0:
            break
        ranges = ranges.joined(source.measure(more, time))
        schedule = schedule.asking(more)
    estimate = absorb(tracker, scheduler, site, plan=schedule, ranges=ranges, budget=budget)
    return Step(time, schedule, ranges, estimate)


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
    """Turn the loop at each of `times` s, in order; `motions`: before each of them."""
    for time, motion in zip(times, motions, strict=False):
        yield step(tracker, scheduler, source, site, time=float(time), budget=budget, motion=motion)
