# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A method's turns along a walk as the loop makes them, without its watch, each of them timed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from time import process_time_ns
from typing import Any

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.roles import Scheduler, Stepped, Tracker
from locdreamer_ros.types import Anchors, Estimate, IntArray, Ranges, Site

ANCHORS_HEARD = 8
"""Of a site of more the first ones."""
Step = Callable[[int], int]
"""An epoch's row -> nanoseconds of processor time spent in its step."""


def first_fix(recording: Recording, site: Site) -> Estimate:
    """Where the walk begins; its speed unknown."""
    d = site.dimensions
    assert recording.truth is not None, "a simulated walk"
    mean = np.concatenate([recording.truth[0, :d], np.zeros(d)])
    return Estimate(float(recording.times[0]), mean, np.diag([0.3] * d + [0.5] * d))


def answer(recording: Recording, row: int, asked: IntArray) -> Ranges:
    """What anchors say in an epoch; where one is not heard, another answers in its place."""
    heard = np.where(asked < ANCHORS_HEARD, asked, asked % ANCHORS_HEARD)
    return Ranges.of(heard, recording.ranges[row, heard], float(recording.times[row]))


class Turns:
    """Turns as `Loop` makes them, unwatched: two calls of the kernel, where they are its own."""

    def __init__(
        self, tracker: Tracker, scheduler: Scheduler, anchors: Anchors, budget: int
    ) -> None:
        self._tracker, self._scheduler, self._anchors = tracker, scheduler, anchors
        self._budget = budget
        self._seat: Any = None
        """Kept from turn to turn, as the loop keeps it; None: the last one was Python's."""
        self._stepped: Stepped
        self._now = 0.0
        self._keeps_all = type(scheduler).keep is Scheduler.keep

    def _take_seat(self) -> bool:
        found = self._tracker.seat()
        if compiled.kernel is None or found is None or not self._keeps_all:
            return False
        self._stepped, kept = found
        choice = self._scheduler.choice(self._budget)
        standing = self._stepped.standing()
        self._seat, self._now = compiled.kernel.seat(kept, choice, None, standing), standing[-1]
        return True

    def plan(self, dt: float) -> tuple[Estimate, IntArray]:
        """Predict dt s ahead, and choose."""
        if self._seat is not None or self._take_seat():
            made = compiled.kernel.plan([(self._seat, self._now + dt)], True)[0]
            if made is not None:
                self._now, rows = made[3:]
                prior = self._stepped.stepped(made[:4])
                if rows is None:
                    rows = self._scheduler.select(prior, self._anchors, self._budget)
                return prior, rows
        self._seat = None
        prior = self._tracker.predict(dt)
        return prior, self._scheduler.select(prior, self._anchors, self._budget)

    def absorb(self, prior: Estimate, ranges: Ranges) -> Estimate:
        """Update."""
        if self._seat is not None:
            measured = (ranges.anchor, ranges.value, ranges.stamp, ranges.status)
            more = (ranges.nlos_probability, ranges.variance)
            made = compiled.kernel.absorb([(self._seat, self._now, *measured, *more)])[0]
            if made is not None:
                posterior = self._stepped.stepped(made[:4])
                self._scheduler.observe(prior, ranges, posterior)
                return posterior
        self._seat = None
        posterior = self._tracker.update(self._scheduler.keep(prior, ranges, self._budget))
        self._scheduler.observe(prior, ranges, posterior)
        return posterior


def stepper(method: Method, recording: Recording, site: Site, lives: ExitStack) -> Step:
    """A method's steps along a walk; its tracker's life ends with `lives`."""
    tracker, scheduler = method.make_tracker(site), method.make_scheduler(site)
    lives.callback(tracker.close)
    tracker.start(first_fix(recording, site))
    anchors, budget = site.anchors, method.budget
    turns = Turns(tracker, scheduler, anchors, budget)

    def step(row: int) -> int:
        dt = float(recording.times[row] - recording.times[row - 1])
        begin = process_time_ns()
        prior, asked = turns.plan(dt)
        spent = process_time_ns() - begin
        ranges = answer(recording, row, asked)
        while scheduler.sequential and asked.size < budget:
            begin = process_time_ns()
            more = scheduler.more(tracker.look(ranges), asked, anchors, budget)
            spent += process_time_ns() - begin
            if more.size == 0:
                break
            asked = np.concatenate([asked, more])
            ranges = ranges.joined(answer(recording, row, more))
        begin = process_time_ns()
        turns.absorb(prior, ranges)
        return spent + process_time_ns() - begin

    return step
