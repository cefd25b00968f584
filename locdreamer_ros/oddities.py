# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What in a recording's times and ranges is odd, whatever the anchors' places, in sentences.

Nothing here is impossible, so nothing is refused (`units` does that): it is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from locdreamer_ros.types import FloatArray

WENT_M, OVER_NOISE = 0.5, 3.0
"""A change of ranges is the tag's way where it is so long, and so many times that of one step."""
RATE_HZ, MOST_HASTE = 30.0, 900.0
"""Ranges that come more often, and change by so many m/s times so many a second: not in seconds.

A walk at 10 Hz has 5, a drone at 8 m/s and 100 Hz 800, minutes read as seconds 3600 times more.
"""
FEWEST_RANGES = 10
"""Ranges: with less there is too little to judge by."""
REPEATED_S = 2.0
"""An anchor that does not answer is not missed for a second."""
MOVED_M, COARSE_M = 1.0, 0.2
"""A tag that moved changes the ranges of two others by so much; ranges in larger steps tell
nothing."""
MOST_NAMED = 4
"""Anchors that a sentence names."""


def oddities(times: FloatArray, ranges: FloatArray, ids: Sequence[str]) -> list[str]:
    """Sentences on times (T,) s and ranges (T, A) m of the anchors `ids`; none: nothing is odd."""
    sentences = []
    speed, rate = _pace(times, ranges)
    if rate > RATE_HZ and speed * rate > MOST_HASTE:
        sentences.append(
            f"the ranges change by {speed:.3g} m in a second, and come {rate:.3g} times a second: "
            "is the time in minutes? then call its column t_min"
        )
    lasting = [(ids[a], longest) for a, longest in enumerate(_repeated(times, ranges)) if longest]
    if lasting:
        lasting.sort(key=lambda each: -each[1])
        names = ", ".join(f"{name} (for {longest:.3g} s)" for name, longest in lasting[:MOST_NAMED])
        more = f" and {len(lasting) - MOST_NAMED} more" if len(lasting) > MOST_NAMED else ""
        sentences.append(
            f"ranges stay the same to the last digit while the tag moves: {names}{more}; is the "
            "last one repeated where an anchor does not answer? such cells should be empty"
        )
    return sentences


def _pace(times: FloatArray, ranges: FloatArray) -> tuple[float, float]:
    """How fast ranges change (m/s), beyond their noise, and how often they come (Hz); 0: unknown.

    The median over anchors of the shortest steps in which a range changes by more than noise does.
    """
    found = []
    for stamps, metres in _heard(times, ranges):
        first = _change(stamps, metres, 1)
        step = 1
        while step < metres.size // 2:
            gone, taken = _change(stamps, metres, step)
            if gone > max(WENT_M, OVER_NOISE * first[0]):
                if taken > 0.0 and first[1] > 0.0:
                    found.append((gone / taken, 1.0 / first[1]))
                break
            step *= 2
    if not found:
        return 0.0, 0.0
    speed, rate = np.median(np.array(found), axis=0)
    return float(speed), float(rate)


def _heard(times: FloatArray, ranges: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Times and ranges of each anchor with enough of them."""
    for column in ranges.T:
        known = np.isfinite(column)
        if np.count_nonzero(known) >= FEWEST_RANGES:
            yield times[known], column[known]


def _change(stamps: FloatArray, metres: FloatArray, step: int) -> tuple[float, float]:
    """By how much (m) a range changes in so many steps, and in how long (s), in the median."""
    return (
        float(np.median(np.abs(metres[step:] - metres[:-step]))),
        float(np.median(stamps[step:] - stamps[:-step])),
    )


def _repeated(times: FloatArray, ranges: FloatArray) -> FloatArray:
    """For how long (A,) s at most an anchor's range was the same while others' changed."""
    longest = np.zeros(ranges.shape[1])
    for a, column in enumerate(ranges.T):
        known = np.flatnonzero(np.isfinite(column))
        steps = np.diff(np.unique(column[known]))
        if known.size < FEWEST_RANGES or not steps.size or steps.min() > COARSE_M:
            continue
        changed = np.flatnonzero(np.diff(column[known]) != 0.0)
        begin, end = np.append(0, changed + 1), np.append(changed, known.size - 1)
        lasted = times[known[end]] - times[known[begin]]
        long = (end - begin + 1 >= FEWEST_RANGES) & (lasted >= REPEATED_S) & (lasted > longest[a])
        for run in np.flatnonzero(long):
            rows = np.arange(known[begin[run]], known[end[run]] + 1)
            if _moved(np.delete(ranges[rows], a, axis=1)):
                longest[a] = max(longest[a], lasted[run])
    return longest


def _moved(ranges: FloatArray) -> bool:
    """Whether two of ranges (R, A) m changed as of a tag that moved; some may be outliers."""
    known = np.count_nonzero(np.isfinite(ranges), axis=0) >= FEWEST_RANGES
    if np.count_nonzero(known) < 2:
        return False
    low, high = np.nanpercentile(ranges[:, known], [10.0, 90.0], axis=0)
    return int(np.count_nonzero(high - low > MOVED_M)) >= 2
