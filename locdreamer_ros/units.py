# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Units that cannot be: anchors or ranges written in something other than metres.

From the triangle inequality alone, so without a position: two ranges and the line between their
anchors close a triangle, whatever the tag does. Slack and quartiles leave room for one bad anchor,
an offset that all ranges share, and reflections.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.types import Anchors, FloatArray, IntArray

UNITS_M = {"feet": 0.3048, "centimetres": 0.01, "millimetres": 0.001}
SLACK_M = 3.0
"""What offsets and reflections may add to a range or take from it."""
TOO_FAR_APART = 1.5
"""Anchors farther apart than the two ranges together reach, by this factor: not metres."""
TOO_UNEQUAL = 8.0
"""Ranges that differ by more than this many times the anchors' distance: not metres."""
UNEQUAL_QUARTER, UNEQUAL_HALF = 0.3, 0.9
"""Feet are only 3 times too long: so many times the distance in a quarter and in half of the pairs.
In metres a bad anchor brings one of them so far, not both."""
FEWEST_ANCHORS, FEWEST_EPOCHS = 3, 10
"""With less there is too little to judge by."""
TOGETHER_S = 2.0
"""Ranges this close in time are of one place, give or take the slack."""
LOOKED_AT = 200
"""Epochs and pairs of anchors that are looked at, evenly spread, at most."""
LEAST_M = 0.05
"""Anchors of one site are farther apart; all at one place are those of a survey, without any."""
FARTHEST_M = 1e9
"""A coordinate beyond this is no place on Earth in any map projection."""


def check_places(anchors: Anchors, where: str) -> None:
    """Raises InputError, naming `where`, for a coordinate that is no place."""
    far = np.abs(anchors.positions) > FARTHEST_M
    if far.any():
        row, axis = np.argwhere(far)[0]
        raise InputError(
            f"{where}: anchor {anchors.ids[row]!r}: expected metres, got "
            f"{'xyz'[axis]} = {anchors.positions[row, axis]:g}"
        )


def check_units(
    anchors: Anchors, times: FloatArray, ranges: FloatArray, where: str, table: str
) -> None:
    """Raises InputError, naming the file and the unit, where anchors do not fit the ranges.

    times (T,) s, ranges (T, A) m; where, table: the files of anchors and of ranges. A pair of
    ranges need not be of one epoch, but lie within TOGETHER_S.
    """
    spread = float(np.ptp(anchors.positions, axis=0).max())
    if len(anchors) >= FEWEST_ANCHORS and 0.0 < spread < LEAST_M:
        raise InputError(
            f"{where}: the anchors are all within {spread:.2g} m: expected places in metres, "
            "not latitude and longitude"
        )
    held = _held(times, ranges)
    pairs = _pairs(len(anchors))
    if len(anchors) < FEWEST_ANCHORS or len(held) < FEWEST_EPOCHS:
        return
    one, other = held[:, pairs[:, 0]], held[:, pairs[:, 1]]  # (E, P)
    places = anchors.positions
    apart = np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1)  # (P,)
    known = np.isfinite(one) & np.isfinite(other) & (apart > 0.0)
    if not known.any():
        return
    reach = np.where(known, (apart - SLACK_M) / (one + other), np.nan)
    factor = _middle(reach, 50.0)
    if factor > TOO_FAR_APART:
        # A triangle in metres has about 0.7 here: the tag is somewhere among the anchors.
        unit = _nearest(0.7 / factor)
        raise InputError(
            f"{where}: the anchors are not in metres but, by the ranges, in {unit}: "
            f"{np.median(apart):.6g} between two of them, ranges of {np.nanmedian(held):.3g} m"
        )
    unequal = np.where(known, (np.abs(one - other) - SLACK_M) / np.where(known, apart, 1.0), np.nan)
    factor, half = _middle(unequal, 25.0), _middle(unequal, 50.0)
    if factor > TOO_UNEQUAL or (factor > UNEQUAL_QUARTER and half > UNEQUAL_HALF):
        unit = _nearest(0.3 / factor)
        raise InputError(
            f"{table}: the ranges are not in metres but, by the anchors, in {unit}: two of them "
            f"differ by {half:.3g} times the distance between their anchors"
        )


def _held(times: FloatArray, ranges: FloatArray) -> FloatArray:
    """Each anchor's last range (E, A) m at up to LOOKED_AT epochs; NaN: older than TOGETHER_S."""
    rows = np.where(np.isfinite(ranges), np.arange(len(ranges))[:, None], -1)
    # Looked at where a range arrived, for what is held.
    heard = np.flatnonzero((rows >= 0).any(axis=1))
    chosen = heard[:: max(1, math.ceil(heard.size / LOOKED_AT))]
    last = np.maximum.accumulate(rows, axis=0)[chosen]
    fresh = (last >= 0) & (np.abs(times[chosen, None] - times[last]) <= TOGETHER_S)
    return np.where(fresh, ranges[last, np.arange(ranges.shape[1])], np.nan)


def _pairs(anchors: int) -> IntArray:
    """Pairs of anchors (P, 2), at most LOOKED_AT."""
    step = max(1, math.ceil(anchors * (anchors - 1) / 2 / LOOKED_AT))
    chosen = itertools.islice(itertools.combinations(range(anchors), 2), 0, None, step)
    return np.array(list(chosen), dtype=np.intp).reshape(-1, 2)


def _middle(ratio: FloatArray, percentile: float) -> float:
    """The median over epochs (E, P) of a percentile over the pairs."""
    known = np.isfinite(ratio).sum(axis=1)
    some = np.sort(ratio[known > 0], axis=1)  # what is not known comes last
    if len(some) == 0:
        return 0.0
    below = ((known[known > 0] - 1) * percentile / 100.0).astype(np.intp)
    return float(np.median(some[np.arange(len(some)), below]))


def _nearest(metres: float) -> str:
    return min(UNITS_M, key=lambda unit: abs(math.log(UNITS_M[unit] / metres)))
