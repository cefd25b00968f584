# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What scale ranges have by the anchors: how well they fit a place, in one unit and in another."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from locdreamer_ros.types import Anchors, FloatArray

UNITS_M = {"feet": 0.3048, "centimetres": 0.01, "millimetres": 0.001}
TICKS_PER_S = 128 * 499.2e6
"""Of the clock of a DW1000 and its successors, in which they count times of flight, 15.65 ps."""
TICK_M = 299_702_547.0 / TICKS_PER_S
"""How far light goes in one, in air."""
RANGE_UNITS_M = {**UNITS_M, "ticks of a DW1000 (15.65 ps)": TICK_M}
"""Ranges are written in these; places and lengths in UNITS_M."""
FEWEST_ANCHORS, FEWEST_EPOCHS = 3, 10
"""With less there is too little to judge by."""
TOGETHER_S = 2.0
"""Ranges this close in time are of one place, give or take the slack."""
MOST_LOOKED_AT = 200
"""Epochs and pairs of anchors that are looked at, evenly spread, at most."""
OUTSIDE_FACTOR = 1.5
"""Farthest ranges beyond the anchors' extent: of a tag outside, or in feet."""
HAND_M = 1.0
"""How high a tag is carried, where nobody says."""

WORST_FIT_M, BEST_FIT_M = 0.5, 0.3
"""So badly ranges fit in a wrong unit, and so well in the right one, in the median."""
FITTED, GAUSS_NEWTON = 40, 6
CLEARLY, LIKELY = 0.25, 0.5
"""A fit that is so much better than that in metres: nothing else can be; or it is worth a word."""
OFFSET_STEP_M, OFFSET_TIMES = 0.5, 2.0
"""Offsets that all ranges share are tried so far apart, at first; a fit with one rivals that in
feet where it is no more than so many times worse."""


class Fits(NamedTuple):
    """How badly ranges fit a place in the median, m."""

    in_feet: float
    as_metres: float


def in_feet(anchors: Anchors, held: FloatArray, better: float) -> Fits | None:
    """How ranges held (E, A) m fit where feet explain them and metres do not; None: not so.

    better: by how much. Nor do metres with an offset that all ranges share.
    """
    places = anchors.positions
    if len(anchors) < FEWEST_ANCHORS or len(held) < FEWEST_EPOCHS:
        return None
    wide = OUTSIDE_FACTOR * np.linalg.norm(np.ptp(places, axis=0))
    farthest = np.fmax.reduce(held, axis=1)
    if not np.nanmedian(farthest) > wide:
        return None
    fits, as_metres = misfit(places, held, UNITS_M["feet"]), misfit(places, held, 1.0)
    if not 0.0 < fits < min(BEST_FIT_M, better * as_metres):
        return None
    if _misfit_with_offset(places, held) <= OFFSET_TIMES * fits:
        return None
    return Fits(fits, as_metres)


def _misfit_with_offset(places: FloatArray, held: FloatArray) -> float:
    """How badly ranges (E, A) m fit a place less an offset of all, in the median, m."""
    most = float(np.nanpercentile(held, 5.0))
    found, middle, step = math.inf, 0.5 * most, OFFSET_STEP_M
    offsets = np.arange(0.0, most, step)
    for _ in range(3):
        fits = [misfit(places, held - offset, 1.0) for offset in offsets.tolist()]
        if fits and min(fits) < found:
            found, middle = min(fits), float(offsets[int(np.argmin(fits))])
        step /= 4.0
        offsets = middle + step * np.arange(-3.0, 4.0)
    return found


def twofold(anchors: Anchors, held: FloatArray) -> float:
    """2 where ranges held (E, A) m are half of what fits the anchors, 0.5 where twice that.

    As a way there and back that was halved twice, or never. 0: neither, or too little to tell by.
    """
    if len(anchors) < FEWEST_ANCHORS or len(held) < FEWEST_EPOCHS:
        return 0.0
    as_they_are = misfit(anchors.positions, held, 1.0)
    for factor in (2.0, 0.5):
        fits = misfit(anchors.positions, held, factor)
        if 0.0 < fits < min(BEST_FIT_M, CLEARLY * as_they_are):
            return factor
    return 0.0


def misfit(places: FloatArray, held: FloatArray, unit: float) -> float:
    """How badly ranges (E, A), in units of m, fit a place at hand height, in the median, m."""
    height = min(HAND_M, float(places[:, 2].mean()))
    found = []
    for row in held[:: max(1, len(held) // FITTED)] * unit:
        known = np.isfinite(row)
        if known.sum() < FEWEST_ANCHORS:
            continue
        at, rise = places[known, :2], places[known, 2] - height
        flat = np.sqrt(np.maximum(row[known] ** 2 - rise**2, 0.0))
        # Differences of squares are linear in the place; from there Gauss-Newton.
        square = (at**2).sum(axis=1) - flat**2
        place = np.linalg.lstsq(2.0 * (at[1:] - at[0]), square[1:] - square[0], rcond=None)[0]
        for _ in range(GAUSS_NEWTON):
            away = place - at
            distance = np.maximum(np.linalg.norm(away, axis=1), 0.01)
            step = np.linalg.lstsq(away / distance[:, None], flat - distance, rcond=None)[0]
            place = place + step
        found.append(np.median(np.abs(flat - np.linalg.norm(place - at, axis=1))))
    return float(np.median(found)) if found else 0.0


def fitting(places: FloatArray, held: FloatArray) -> str:
    """The unit in which ranges (E, A) fit a place best; empty: too few at a time to tell."""
    misfits = {unit: misfit(places, held, metres) for unit, metres in RANGE_UNITS_M.items()}
    return min(misfits, key=lambda unit: misfits[unit]) if any(misfits.values()) else ""


def held_of(times: FloatArray, ranges: FloatArray) -> FloatArray:
    """Each anchor's last range (E, A) m at MOST_LOOKED_AT epochs; NaN: older than TOGETHER_S."""
    rows = np.where(np.isfinite(ranges), np.arange(len(ranges))[:, None], -1)
    # Looked at where a range arrived, for what is held.
    heard = np.flatnonzero((rows >= 0).any(axis=1))
    chosen = heard[:: max(1, math.ceil(heard.size / MOST_LOOKED_AT))]
    last = np.maximum.accumulate(rows, axis=0)[chosen]
    fresh = (last >= 0) & (np.abs(times[chosen, None] - times[last]) <= TOGETHER_S)
    return np.where(fresh, ranges[last, np.arange(ranges.shape[1])], np.nan)
