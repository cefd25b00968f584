# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The range source that is a real device: asks whom it is told to ask, answers for each of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from locdreamer_ros.driver.codec import CycleEvent, Event, FailEvent, Failure, RangeEvent
from locdreamer_ros.driver.quality import nlos_probability
from locdreamer_ros.driver.session import Session
from locdreamer_ros.types import Anchors, IntArray, Ranges, RangeStatus

MAX_RANGE_M = 1000.0
"""No UWB module ranges farther: what says so is garbage that looks like a frame."""
STRIKES = 2
"""Failures in a row after which an anchor is asked only now and then."""
FIRST_REST_S = 0.2
LONGEST_REST_S = 2.0
LONGEST_WAIT_S = 5.0
"""A deadline farther away is a mistake of clocks."""
FRESH_S = 1.0
"""A cycle of a passive device older than this is not handed out."""


@dataclass
class AnchorStatistics:
    """What became of the exchanges with one anchor since the start."""

    asked: int = 0
    ok: int = 0
    timeouts: int = 0
    invalid: int = 0
    rested: int = 0
    """Schedules it was left out of, because it had been silent."""
    strikes: int = 0
    """Failures in a row, up to now."""
    rest_until: float = field(default=0.0, repr=False)


class Spent(NamedTuple):
    """Exchanges of the radio for one answer, wanted or not; s waited in those that failed."""

    good: int = 0
    failed: int = 0
    waited: float = 0.0

    def plus(self, more: Spent) -> Spent:
        """Both together."""
        return Spent(self.good + more.good, self.failed + more.failed, self.waited + more.waited)


@dataclass
class _Exchange:
    row: int
    begun: float
    gone_at: float
    """Monotonic time when it has surely failed."""


NOTHING = (float("nan"),) * 5


class _Answer(NamedTuple):
    status: RangeStatus
    stamp: float
    numbers: tuple[float, float, float, float, float] = NOTHING
    """Range m, variance m^2, RX power and first-path power dBm, NLOS probability."""


def _blocked(rx_power: float, first_path_power: float) -> float:
    """NLOS probability; NaN without both powers, as with most devices: not worth an array."""
    if math.isnan(rx_power) or math.isnan(first_path_power):
        return math.nan
    return float(nlos_probability(np.array([rx_power]), np.array([first_path_power]))[0])


class Ranger:
    """RangeSource over a session. Not thread-safe: one thread measures, or idles between.

    offsets: m to take off each range by anchor id (`locdreamer calibrate`). clock: the time of
    deadlines and stamps, s; time-outs inside use the monotonic clock.
    """

    def __init__(
        self,
        anchors: Anchors,
        session: Session,
        *,
        offsets: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.session = session
        self.statistics = [AnchorStatistics() for _ in anchors.ids]
        self.unexpected = 0
        """Late, duplicate and wrong-id answers, and failures nobody waited for."""
        self.foreign = 0
        """Ranges to anchors that are not of this site (passive devices choose for themselves)."""
        self.spent = Spent()
        """What the last answer took."""
        self._anchors = anchors
        self._rows = {anchor.upper(): row for row, anchor in enumerate(anchors.ids)}
        self._offset = np.array([(offsets or {}).get(anchor, 0.0) for anchor in anchors.ids])
        self._clock = clock
        self._exchange: _Exchange | None = None
        self._spending = Spent()
        self._cycle: dict[int, _Answer] = {}
        self._complete: tuple[float, dict[int, _Answer], Spent] | None = None
        self._handed_out: dict[int, _Answer] | None = None

    @property
    def anchors(self) -> Anchors:
        """The anchors of the site."""
        return self._anchors

    def idle(self, wait: float) -> None:
        """Keep the device going for up to `wait` s, or until the transport is woken."""
        self._take(self.session.events(time.monotonic() + wait), None)

    def measure(self, anchor: IntArray, deadline: float, *, again: bool = False) -> Ranges:
        """Range with anchors (rows) by `deadline` s of the clock; one entry each, in order.

        again: more of the last fix, which a device that chooses by itself has measured already.

        OK, TIMEOUT (no answer, or silent before and left out), INVALID (no possible range),
        NOT_OFFERED (the device cannot be asked for this anchor).
        """
        wait = min(deadline - self._clock(), LONGEST_WAIT_S)
        end = time.monotonic() + max(wait, 0.0)
        self.spent = Spent()
        if self.session.codec.capabilities.schedulable:
            answers = self._ask_each(anchor, end)
        else:
            answers = self._from_cycle(anchor, end, again)
        silent = _Answer(RangeStatus.TIMEOUT, self._clock())
        given = [answers.get(int(row), silent) for row in anchor]
        columns = np.array([a.numbers for a in given], dtype=np.float64).reshape(-1, 5).T
        return Ranges(
            anchor,
            columns[0],
            np.array([a.stamp for a in given], dtype=np.float64),
            np.array([a.status for a in given], dtype=np.uint8),
            columns[1],
            *columns[2:],
        )

    # A device that is asked: one exchange in flight.

    def _ask_each(self, anchor: IntArray, end: float) -> dict[int, _Answer]:
        answers: dict[int, _Answer] = {}
        self._spending = Spent()
        waiting = self._in_turn(anchor)
        # What already lies here is late, and must not be taken for the answer to a request.
        self._take(self.session.events(time.monotonic()), None)
        while waiting:
            if time.monotonic() >= end:
                break
            if self._exchange is None and self.session.ready:
                row = waiting[0]
                request = self.session.codec.request(self._anchors.ids[row])
                if not request:
                    answers[row] = _Answer(RangeStatus.NOT_OFFERED, self._clock())
                    waiting.pop(0)
                    continue
                if self.session.send(request):
                    limit = self.session.codec.capabilities.range_timeout
                    now = time.monotonic()
                    self._exchange = _Exchange(row, now, now + limit)
                    self.statistics[row].asked += 1
            gone = end if self._exchange is None else min(end, self._exchange.gone_at)
            asked = None if self._exchange is None else self._exchange.row
            self._take(self.session.events(gone), answers)
            if self._exchange is None and asked in waiting and asked in answers:
                waiting.remove(asked)
        self.spent = self._spending
        return answers

    def _in_turn(self, anchor: IntArray) -> list[int]:
        """Rows in the order to ask; silent anchors rest, and are tried again one at a time, last.

        One whose trial is long overdue goes first: otherwise a schedule that leaves no time at its
        end would keep it out for ever.
        """
        now = time.monotonic()
        healthy, due = [], []
        for row in dict.fromkeys(int(r) for r in anchor):
            if self.statistics[row].strikes < STRIKES:
                healthy.append(row)
            elif self.statistics[row].rest_until <= now:
                due.append(row)
            else:
                self.statistics[row].rested += 1
        if not due:
            return healthy
        trial = min(due, key=lambda row: self.statistics[row].rest_until)
        for row in due:
            self.statistics[row].rested += row != trial
        if now - self.statistics[trial].rest_until > LONGEST_REST_S:
            return [trial, *healthy]
        return [*healthy, trial]

    def _take(self, events: list[Event], answers: dict[int, _Answer] | None) -> None:
        """Sort what came. `answers` None: nothing is waited for (but an old exchange may end)."""
        if not self.session.codec.capabilities.schedulable:
            self._take_reports(events)
            return
        for event in events:
            if not isinstance(event, (RangeEvent, FailEvent)):
                continue
            asked = self._exchange
            if asked is None or not self._is_about(event, asked.row):
                self.unexpected += 1
                continue
            self._exchange = None
            waited = time.monotonic() - asked.begun
            answer = self._answer(event, asked.row, waited)
            if answers is None:
                self.unexpected += 1
            else:
                answers[asked.row] = answer
        if self._exchange is not None:
            lost = not self.session.ready
            now, row = time.monotonic(), self._exchange.row
            if lost or now >= self._exchange.gone_at:
                waited, self._exchange = now - self._exchange.begun, None
                self.session.cancel()
                timeout = FailEvent(self._anchors.ids[row], "timeout")
                failed = self._answer(timeout, row, waited, lost)
                if answers is not None:
                    answers[row] = failed

    def _is_about(self, event: RangeEvent | FailEvent, row: int) -> bool:
        # Some firmware does not say whose exchange failed: it is the one in flight.
        about = self._rows.get(event.anchor.upper())
        return about == row or (isinstance(event, FailEvent) and not event.anchor)

    # A device that chooses by itself: its cycles are filtered.

    def _from_cycle(self, anchor: IntArray, end: float, again: bool) -> dict[int, _Answer]:
        if not again:
            self._handed_out = None
        if self._handed_out is None and not self._wait_for_cycle(end):
            return {}
        cycle = self._handed_out or {}
        absent = _Answer(RangeStatus.NOT_OFFERED, self._clock())
        return {int(row): cycle.get(int(row), absent) for row in anchor}

    def _wait_for_cycle(self, end: float) -> bool:
        """Whether there is a fresh cycle by monotonic `end` to hand out."""
        self._take(self.session.events(time.monotonic()), None)
        while self._complete is None or time.monotonic() - self._complete[0] > FRESH_S:
            now = time.monotonic()
            if now >= end:
                return False
            self._take(self.session.events(end), None)
        (_, self._handed_out, self.spent), self._complete = self._complete, None
        return True

    def _take_reports(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, CycleEvent):
                self._complete = (time.monotonic(), self._cycle, self._spending)
                self._cycle, self._spending = {}, Spent()
            elif isinstance(event, (RangeEvent, FailEvent)):
                row = self._rows.get(event.anchor.upper())
                if row is None:
                    self.foreign += 1
                    self._spend(isinstance(event, RangeEvent), 0.0)
                elif row in self._cycle:
                    self.unexpected += 1
                else:
                    self.statistics[row].asked += 1
                    self._cycle[row] = self._answer(event, row, 0.0)

    def _spend(self, good: bool, waited: float) -> None:
        before = self._spending
        if good:
            self._spending = before._replace(good=before.good + 1)
        else:
            self._spending = Spent(before.good, before.failed + 1, before.waited + waited)

    def _answer(
        self, event: RangeEvent | FailEvent, row: int, waited: float, port_lost: bool = False
    ) -> _Answer:
        """The answer an event is, entered into the statistics of its anchor."""
        mine = self.statistics[row]
        now = self._clock()
        if isinstance(event, RangeEvent):
            metres = event.range - float(self._offset[row])
            mine.strikes = 0
            self._spend(True, waited)
            if not 0.0 < metres <= MAX_RANGE_M:  # nor for NaN
                mine.invalid += 1
                return _Answer(RangeStatus.INVALID, now)
            mine.ok += 1
            powers = (event.rx_power, event.first_path_power)
            unknown = float("nan")  # no device says how sure it is
            numbers = (metres, unknown, *powers, _blocked(*powers))
            return _Answer(RangeStatus.OK, now, numbers)
        if event.kind is Failure.UNUSABLE:
            mine.strikes = 0
            self._spend(True, waited)
            mine.invalid += 1
            return _Answer(RangeStatus.INVALID, now)
        mine.timeouts += 1
        self._spend(False, waited)
        if not port_lost:  # no fault of the anchor's
            mine.strikes += 1
            rest = FIRST_REST_S * 2.0 ** min(mine.strikes - STRIKES, 10)
            mine.rest_until = time.monotonic() + min(rest, LONGEST_REST_S)
        return _Answer(RangeStatus.TIMEOUT, now)
