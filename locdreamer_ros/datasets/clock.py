# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a column of time stamps means: its unit, and the order of its rows."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from locdreamer_ros.scales import TICKS_PER_S
from locdreamer_ros.stamps import MOST_PACE, SECOND_NS
from locdreamer_ros.types import FloatArray, IntArray
from locdreamer_ros.units import QUICKEST_S

PER_SECOND = {
    "s": 1.0,
    "ms": 1e3,
    "us": 1e6,
    "ns": 1e9,
    "min": 1.0 / 60.0,
    "ticks": TICKS_PER_S,
}
NAMES = {
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "min": "minutes",
    "ticks": "ticks of a DW1000 (15.65 ps), which begin anew every 17 s",
}
BY_STEP = ("ms", "us", "ns")
"""What may be told by the step from one stamp to the next."""
ENDING = re.compile(
    r"(?:.*[_ (\[])?(?:(ms|msecs?|millis|milliseconds)|(us|usecs?|micros|microseconds)"
    r"|(ns|nsecs?|nanos|nanoseconds)|(mins?|minutes)|(ticks))[)\]]?",
    re.IGNORECASE,
)
"""A column's name that says its unit: those of NAMES, in their order."""
SLOWEST_S, USUAL_S = 20.0, 0.1
"""Fixes farther apart than the first are not in seconds; the unit is the one nearest the second."""
MANY_ROWS = 20
DAYS_S = (1e8, 4e9)
"""Times of day from 1973 to 2096."""
SET_BACK_S = 1.0
"""A clock set back or a bag begun anew; below, rows are only out of order."""
LATE_ROWS = 3
"""So many rows may be late by more than that without the clock having been set back."""
LAST_TICK = 2.0**40
"""At which the clock of a DW1000 begins anew."""
OVERFLOWS = (2.0**32, 2.0**32 / 1e6, 2.0**32 / 1e3, 2.0**16)
"""Where counters of 32 and 16 bits begin anew, in what they count; micro- or milliseconds in s."""
USUAL_STEPS = 10.0
"""Between two stamps there are at most so many usual steps where one ran over."""
BEGUN_ANEW = 0.8
"""And from there to 0 its stamps go back by more than this share."""
RARE_S = 3.0
"""Ticks below LAST_TICK, taken for nanoseconds, are of so rare fixes."""
TRIMMED = 0.05
"""Of the pace of stamps the longest steps, as large a share, do not count."""
BEGINS_S, MOST_BEGINNINGS = 10.0, 2
"""A time after 0 that is nearer than this goes on from there; so few others may be of that time."""
GAP_S = 0.5
"""What has other stamps than the epochs is interpolated over gaps up to this."""


def unit_of(stamps: FloatArray, column: str, whole: bool) -> str:
    """The unit of stamps (N,), one of PER_SECOND. whole: none was written with a decimal point.

    By the ending of the column's name where that is `_ms`, ` [us]` or the like, else by the size of
    a time of day, else by the step from one stamp to the next; a few with a point are seconds.
    Ticks also by where they begin anew.
    """
    size = float(np.median(np.abs(stamps))) if stamps.size else 0.0
    steps = np.diff(np.unique(stamps))
    step = float(np.median(steps)) if steps.size else 0.0
    if (found := ENDING.fullmatch(column)) is not None:
        unit = [*NAMES][(found.lastindex or 1) - 1]
        if unit != "ticks" or step > QUICKEST_S * TICKS_PER_S:  # other clocks have ticks, too
            return unit
    for unit in BY_STEP:
        per_second = PER_SECOND[unit]
        if DAYS_S[0] < size / per_second < DAYS_S[1] and step <= SLOWEST_S * per_second:
            return unit
    if step <= SLOWEST_S or not (whole or stamps.size >= MANY_ROWS):
        return "s"
    if whole and stamps.min() >= 0.0 and stamps.max() < LAST_TICK:
        anew = (np.diff(stamps) < -BEGUN_ANEW * LAST_TICK).any()
        if anew or step > RARE_S * PER_SECOND["ns"]:
            return "ticks"
    return min(BY_STEP, key=lambda unit: abs(math.log(step / PER_SECOND[unit] / USUAL_S)))


def without_overflow(stamps: FloatArray) -> FloatArray:
    """Stamps (N,) that go on where a counter of 32 or 16 bits ran over, whatever it counts.

    One that was begun anew is not at its end before: the stamps would not go on in their usual
    steps.
    """
    steps = np.diff(stamps)
    if not (steps < 0.0).any():
        return stamps
    usual = float(np.median(steps[steps > 0.0])) if (steps > 0.0).any() else 0.0
    for period in OVERFLOWS:
        over = steps < -BEGUN_ANEW * period
        on = steps[over] + period
        if over.any() and (on >= 0.0).all() and (on <= USUAL_STEPS * usual).all():
            return np.asarray(stamps + period * np.append(0, np.cumsum(over)))
    return stamps


def counted_on(ticks: FloatArray) -> FloatArray:
    """Ticks (N,) that go on where the clock began anew; gaps are shorter than half a turn, 9 s."""
    return np.asarray(np.unwrap(ticks, period=LAST_TICK))


def row_order(times: FloatArray, group: IntArray | None = None) -> tuple[IntArray | None, str]:
    """The order (N,) in which rows at `times` s were recorded, None: as they are; and a note on it.

    group (N,): what a row belongs to (its anchor). Rows sorted by group, shuffled rows and rows a
    little late are put in order of time. Where the clock was set back the rows stay as they are.
    """
    steps = np.diff(times)
    if not (steps < 0.0).any():
        return None, ""
    back = np.flatnonzero(steps <= -SET_BACK_S) + 1
    if group is not None and _in_blocks(group, back):
        return np.argsort(times, kind="stable"), "rows come anchor by anchor; put in order of time"
    if back.size > max(LATE_ROWS, 0.1 * times.size):
        return np.argsort(times, kind="stable"), "rows are in no order; put in order of time"
    anew = [row for row in back if not (times[row : row + LATE_ROWS + 1] >= times[row - 1]).any()]
    part = np.zeros(times.size, dtype=np.intp)
    part[anew] = 1
    order = np.lexsort((times, np.cumsum(part)))
    notes = []
    late = int((steps < 0.0).sum()) - len(anew)
    if late:
        notes.append(f"{late} rows are late and were put in order of time")
    if anew:
        notes.append(f"the clock goes back {len(anew)} times; the rows stay in the file's order")
    return order if late else None, "; ".join(notes)


def _in_blocks(group: IntArray, back: IntArray) -> bool:
    """Whether each group's rows lie together and time goes back only where one follows another."""
    changes = np.flatnonzero(np.diff(group)) + 1
    return changes.size == np.unique(group).size - 1 > 0 and bool(np.isin(back, changes).all())


def dated(times: FloatArray, latest: FloatArray, received: FloatArray) -> tuple[FloatArray, str]:
    """Times (N,) s of messages that nobody asked for, with one for those stamped 0; and a note.

    latest s: the last stamp of its ranges, 0 where they have none; received s: when it was
    recorded. One or two are a clock's beginning, and so are those after which time goes on.
    """
    known = np.flatnonzero(times != 0.0)
    after = np.append(times[known], np.inf)[np.searchsorted(known, np.arange(times.size))]
    bare = (times == 0.0) & (after > BEGINS_S)
    if np.count_nonzero(bare) <= MOST_BEGINNINGS:
        return times, ""
    told = np.where(latest > 0.0, latest, received)
    said = "they have that of their last range, or of their arrival"
    return np.where(bare, told, times), f"{np.count_nonzero(bare)} messages have no stamp; {said}"


def pace_of(times: FloatArray, received: FloatArray) -> str:
    """A note where times (N,) s, in the order they were received s, are in another unit."""
    if times.size < MANY_ROWS:
        return ""
    kept = math.ceil((1.0 - TRIMMED) * (times.size - 1))
    went, took = (float(np.sort(np.abs(np.diff(x)))[:kept].sum()) for x in (times, received))
    if took <= 0.0 or took / MOST_PACE < went < MOST_PACE * took:
        return ""
    return f"stamps go on by {went / took:.1g} s in a second of the bag: are they in another unit?"


def at_epochs(stamps: Sequence[int], values: FloatArray, times: Sequence[int]) -> FloatArray:
    """Values (S, D) known at increasing stamps (S) ns, at the epochs' times (T) ns: (T, D).

    NaN where unknown. Where all stamps are epochs' they stay there; else they are interpolated
    over gaps up to GAP_S.
    """
    if set(times) >= set(stamps):
        row = {stamp: number for number, stamp in enumerate(stamps)}
        placed = np.vstack([values, np.full(values.shape[1], np.nan)])
        return placed[[row.get(time, -1) for time in times]]
    known, wanted = np.array(stamps), np.array(times)
    start = known[0]
    placed = np.stack(
        [
            np.interp(wanted - start, known - start, column, left=np.nan, right=np.nan)
            for column in values.T
        ],
        axis=1,
    )
    after = np.searchsorted(known, wanted).clip(max=known.size - 1)
    before = (np.searchsorted(known, wanted, side="right") - 1).clip(min=0)
    placed[known[after] - known[before] > GAP_S * SECOND_NS] = np.nan
    return placed
