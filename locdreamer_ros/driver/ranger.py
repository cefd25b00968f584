# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The range source that is a real device: asks whom it is told to ask, answers for each of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from locdreamer_ros.driver.answers import AnchorStatistics, Answer, Exchange, Spent, blocked
from locdreamer_ros.driver.codec import (
    BetweenEvent,
    CycleEvent,
    Event,
    FailEvent,
    Failure,
    RangeEvent,
)
from locdreamer_ros.driver.complaints import no_ranges
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
STRANGERS = 10
"""Cycles in a row of another tag after which that one is followed: ours is gone."""
CHANGE_FACTOR = 10.0
"""A session is changed no more often than after so many times what a change costs."""
KEPT_BETWEEN = 1000
MOST_REMEMBERED = 16
"""Ids of other sites' anchors, and tags, that are remembered, to be named."""
USELESS_ANSWERS = 5
"""So many that come late, or cannot be used, and none that can: that is said."""
BESIDES_S = 0.25
"""A device is not silent before so long after an anchor is."""
QUIET_S = 5.0
"""Without any range for so long, the ids are to be looked at."""


class Ranger:
    """RangeSource over a session. Not thread-safe: one thread measures, or idles between.

    names: the anchors' ids as the device prints them, by row; "" where it has no such id. offsets:
    m to take off each range by anchor id (`locdreamer calibrate`). tag: whose ranges to take where
    a passive device reports several; "": the first heard. range_timeout: s after which a silent
    anchor has failed; 0: the device's own. clock: the time of deadlines and stamps, s; time-outs
    inside use the monotonic clock.
    """

    def __init__(
        self,
        anchors: Anchors,
        session: Session,
        *,
        names: Sequence[str] | None = None,
        tag: str = "",
        range_timeout: float = 0.0,
        offsets: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.session = session
        self.statistics = [AnchorStatistics() for _ in anchors.ids]
        self.unexpected = 0
        """Late, duplicate and wrong-id answers, and failures nobody waited for."""
        self.foreign = 0
        """Ranges to anchors that are not of this site (passive devices choose for themselves)."""
        self.other_tags = 0
        """Cycles of tags that are not followed."""
        self.tag = tag
        """The tag that is followed; "" until one is heard."""
        self.heard: list[str] = []
        """Ids of other sites' anchors, the first few."""
        self.heard_tags: list[str] = []
        """Tags that are not followed, the first few."""
        self.spent = Spent()
        """What the last answer took."""
        self.between: dict[tuple[str, str], deque[float]] = {}
        """The last ranges m that anchors of this site measured between them, by their ids."""
        able = session.codec.capabilities
        self._anchors = anchors
        self._names = tuple(anchors.ids if names is None else names)
        self._rows = {name.upper(): row for row, name in enumerate(self._names) if name}
        self._limit = range_timeout or able.range_timeout
        session.silence = max(session.silence, self._limit + BESIDES_S)
        self._settle = able.settle
        self._any_tag = not tag
        self._strangers = 0
        # Monotonic times: of the last range, the last asking, and since when asking goes on.
        self._last_ok = self._asked_at = self._asking_since = float("-inf")
        self._late_ok = 0  # answers that had come late at the last range
        self._unusable, self._why = 0, ""  # since the last range
        self._change = able.session_change
        self._changed_at = float("-inf")
        self._choice = tuple(name for name in self._names if name)[: able.max_anchors]
        if self._change:
            session.codec.choose(self._choice)
        self._late: dict[int, Answer] = {}  # came after the deadline of their schedule
        self._offset = np.array([(offsets or {}).get(anchor, 0.0) for anchor in anchors.ids])
        self._clock = clock
        self._exchange: Exchange | None = None
        self._spending = Spent()
        self._cycle: dict[int, Answer] = {}
        self._complete: tuple[float, dict[int, Answer], Spent] | None = None
        self._handed_out: dict[int, Answer] | None = None

    @property
    def anchors(self) -> Anchors:
        """The anchors of the site."""
        return self._anchors

    @property
    def problem(self) -> str:
        """Why no ranges come, in words; empty where they do, or nobody asked for any."""
        now = time.monotonic()
        if now - self._asked_at > QUIET_S or not self.session.ready:
            return ""
        if now - max(self._last_ok, self._asking_since) < QUIET_S:
            return ""
        return no_ranges(
            self._anchors.ids,
            strangers=self.heard,
            tags=[] if self._any_tag else self.heard_tags,
            tag=self.tag,
            lacks=self.session.codec.lacks,
            unusable=self._why if self._unusable >= USELESS_ANSWERS else "",
            late_s=self._limit if self.session.late - self._late_ok >= USELESS_ANSWERS else 0.0,
            quiet_s=QUIET_S,
        )

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
        now = time.monotonic()
        if now - self._asked_at > QUIET_S:
            self._asking_since = now
        self._asked_at = now
        if self.session.codec.capabilities.schedulable:
            answers = self._ask_each(anchor, end)
        else:
            answers = self._from_cycle(anchor, end, again)
        silent = Answer(RangeStatus.TIMEOUT, self._clock())
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

    def _ask_each(self, anchor: IntArray, end: float) -> dict[int, Answer]:
        answers: dict[int, Answer] = {}
        self._spending = Spent()
        waiting = self._in_turn(anchor)
        # What already lies here is late, and must not be taken for the answer to a request.
        self._take(self.session.events(time.monotonic()), None)
        for row in [row for row in waiting if row in self._late]:
            late = self._late[row]
            if self._clock() - late.stamp < self._limit:  # measured after the schedule before
                answers[row] = late
                waiting.remove(row)
        self._late.clear()
        while waiting:
            if time.monotonic() >= end:
                break
            if self._exchange is None and self.session.ready:
                row = waiting[0]
                name = self._names[row]
                request = self.session.codec.request(name) if name else b""
                if not request:
                    answers[row] = Answer(RangeStatus.NOT_OFFERED, self._clock())
                    waiting.pop(0)
                    continue
                if self.session.send(request):
                    now = time.monotonic()
                    self._exchange = Exchange(row, now, now + self._limit)
                    self.statistics[row].asked += 1
                    self.statistics[row].asked_at = now
            gone = end if self._exchange is None else min(end, self._exchange.gone_at)
            asked = None if self._exchange is None else self._exchange.row
            self._take(self.session.events(gone), answers)
            if self._exchange is None and asked in waiting and asked in answers:
                waiting.remove(asked)
        self.spent = self._spending
        return answers

    def _in_turn(self, anchor: IntArray) -> list[int]:
        """Rows in the order to ask; silent anchors rest, and are tried again one at a time, last.

        Who was asked longest ago goes first: where the time is too short for all, each gets its
        turn. Before them goes one whose trial is long overdue: otherwise a schedule that leaves no
        time at its end would keep it out for ever.
        """
        now = time.monotonic()
        healthy, due = [], []
        for row in dict.fromkeys(int(r) for r in anchor):
            if self.statistics[row].strikes < STRIKES and not self._is_unsettled(row, now):
                healthy.append(row)
            elif self.statistics[row].rest_until <= now:
                due.append(row)
            else:
                self.statistics[row].rested += 1
        healthy.sort(key=lambda row: self.statistics[row].asked_at)
        if not due:
            return healthy
        trial = min(due, key=lambda row: self.statistics[row].rest_until)
        for row in due:
            self.statistics[row].rested += row != trial
        if now - self.statistics[trial].rest_until > LONGEST_REST_S:
            return [trial, *healthy]
        return [*healthy, trial]

    def _is_unsettled(self, row: int, now: float) -> bool:
        """Whether an old answer may still come that could not be told from a new one."""
        return self._settle > 0.0 and self.statistics[row].rest_until > now

    def _take(self, events: list[Event], answers: dict[int, Answer] | None) -> None:
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
            if answers is not None:
                answers[asked.row] = answer
            elif answer.status == RangeStatus.OK:
                self._late[asked.row] = answer
            else:
                self.unexpected += 1
        if self._exchange is not None:
            lost = not self.session.ready
            now, row = time.monotonic(), self._exchange.row
            if lost or now >= self._exchange.gone_at:
                waited, self._exchange = now - self._exchange.begun, None
                self.session.cancel()
                timeout = FailEvent(self._names[row], "timeout")
                failed = self._answer(timeout, row, waited, lost)
                mine = self.statistics[row]
                mine.rest_until = max(mine.rest_until, now + self._settle)
                if answers is not None:
                    answers[row] = failed

    def _is_about(self, event: RangeEvent | FailEvent, row: int) -> bool:
        # Some firmware does not say whose exchange failed: it is the one in flight.
        about = self._rows.get(event.anchor.upper())
        return about == row or (isinstance(event, FailEvent) and not event.anchor)

    # A device that chooses by itself: its cycles are filtered.

    def _from_cycle(self, anchor: IntArray, end: float, again: bool) -> dict[int, Answer]:
        if not again:
            self._handed_out = None
        if self._change:
            self._choose(anchor)
        if self._handed_out is None and not self._wait_for_cycle(end):
            return {}
        cycle = self._handed_out or {}
        absent = Answer(RangeStatus.NOT_OFFERED, self._clock())
        return {int(row): cycle.get(int(row), absent) for row in anchor}

    def _choose(self, anchor: IntArray) -> None:
        """Have those asked in the device's session, at the cost of a pause, so not often."""
        wanted = [self._names[int(row)] for row in anchor if self._names[int(row)]]
        now = time.monotonic()
        if (
            set(wanted) <= set(self._choice)
            or now - self._changed_at < CHANGE_FACTOR * self._change
        ):
            return
        most = self.session.codec.capabilities.max_anchors
        self._choice = tuple(dict.fromkeys([*wanted, *self._choice]))[:most]
        self._changed_at = now
        if self.session.codec.choose(self._choice):
            self.session.restart()

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
            if isinstance(event, BetweenEvent):
                self._take_between(event)
            if not isinstance(event, (CycleEvent, RangeEvent, FailEvent)):
                continue
            if not self._is_followed(event):
                continue
            if isinstance(event, CycleEvent):
                self._complete = (time.monotonic(), self._cycle, self._spending)
                self._cycle, self._spending = {}, Spent()
            else:
                row = self._rows.get(event.anchor.upper())
                if row is None:
                    self.foreign += 1
                    if event.anchor not in self.heard and len(self.heard) < MOST_REMEMBERED:
                        self.heard.append(event.anchor)
                    self._spend(isinstance(event, RangeEvent), 0.0)
                elif row in self._cycle:
                    self.unexpected += 1
                else:
                    self.statistics[row].asked += 1
                    self._cycle[row] = self._answer(event, row, 0.0)

    def _take_between(self, event: BetweenEvent) -> None:
        ends = [self._rows.get(name.upper()) for name in (event.anchor, event.other)]
        if ends[0] is not None and ends[1] is not None:
            pair = self._anchors.ids[ends[0]], self._anchors.ids[ends[1]]
            self.between.setdefault(pair, deque(maxlen=KEPT_BETWEEN)).append(event.range)

    def _is_followed(self, event: CycleEvent | RangeEvent | FailEvent) -> bool:
        """Whether the event is about our tag; ours may change where none was named."""
        gone = self._any_tag and (not self.tag or self._strangers >= STRANGERS)
        if event.tag != self.tag and gone:
            self.tag, self._strangers = event.tag, 0
            self._cycle, self._spending = {}, Spent()
        if event.tag == self.tag:
            self._strangers = 0
            return True
        if isinstance(event, CycleEvent):
            self._strangers += 1
            self.other_tags += 1
            if event.tag not in self.heard_tags and len(self.heard_tags) < MOST_REMEMBERED:
                self.heard_tags.append(event.tag)
        return False

    def _spend(self, good: bool, waited: float) -> None:
        before = self._spending
        if good:
            self._spending = before._replace(good=before.good + 1)
        else:
            self._spending = Spent(before.good, before.failed + 1, before.waited + waited)

    def _answer(
        self, event: RangeEvent | FailEvent, row: int, waited: float, port_lost: bool = False
    ) -> Answer:
        """The answer an event is, entered into the statistics of its anchor."""
        mine = self.statistics[row]
        now = self._clock()
        if isinstance(event, RangeEvent):
            metres = event.range - float(self._offset[row])
            mine.strikes = 0
            self._spend(True, waited)
            if not 0.0 < metres <= MAX_RANGE_M:  # nor for NaN
                return self._invalid(mine, f"{metres:g} m")
            mine.ok += 1
            self._last_ok, self._late_ok = time.monotonic(), self.session.late
            self._unusable = 0
            powers = (event.rx_power, event.first_path_power)
            unknown = float("nan")  # no device says how sure it is
            numbers = (metres, unknown, *powers, blocked(*powers))
            return Answer(RangeStatus.OK, now, numbers)
        if event.kind is Failure.UNUSABLE:
            mine.strikes = 0
            self._spend(True, waited)
            return self._invalid(mine, event.reason)
        mine.timeouts += 1
        self._spend(False, waited)
        if not port_lost:  # no fault of the anchor's
            mine.strikes += 1
            rest = FIRST_REST_S * 2.0 ** min(mine.strikes - STRIKES, 10)
            mine.rest_until = time.monotonic() + min(rest, LONGEST_REST_S)
        return Answer(RangeStatus.TIMEOUT, now)

    def _invalid(self, mine: AnchorStatistics, why: str) -> Answer:
        mine.invalid += 1
        self._unusable, self._why = self._unusable + 1, why
        return Answer(RangeStatus.INVALID, self._clock())
