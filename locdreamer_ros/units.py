# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Units and heights that cannot be: anchors or ranges in something other than metres.

From the triangle inequality alone, so without a position: two ranges and the line between their
anchors close a triangle, whatever the tag does. Slack and quartiles leave room for one bad anchor,
an offset that all ranges share, and reflections.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.scales import (
    CLEARLY,
    FEWEST_ANCHORS,
    FEWEST_EPOCHS,
    HAND_M,
    MOST_LOOKED_AT,
    RANGE_UNITS_M,
    UNITS_M,
    WORST_FIT_M,
    fitting,
    held_of,
    in_feet,
)
from locdreamer_ros.types import Anchors, FloatArray, IntArray, Site

HOW_TO_NAME = "then call them r_<id>_mm, r_<id>_ft, r_<id>_ticks, range_cm and so on"
SLACK_M = 3.0
"""What offsets and reflections may add to a range or take from it."""
TOO_FAR_APART = 1.5
"""Anchors farther apart than the two ranges together reach, by this factor: not metres."""
TOO_UNEQUAL = 8.0
"""Ranges that differ by more than this many times the anchors' distance: not metres."""
UNEQUAL_QUARTER, UNEQUAL_HALF = 0.3, 0.9
"""Feet are only 3 times too long: so many times the distance in a quarter and in half of the pairs.
In metres a bad anchor brings one of them so far, not both."""
LEAST_M = 0.25
"""Anchors of one site are farther apart; all at one place are those of a survey, without any."""
REACH_M = 1000.0
"""No radio of these ranges farther."""
SHORTEST_M = 0.2
"""No tag is so near to its anchors in half of the ranges."""
FAR_M, FASTEST_M = 100.0, 20.0
"""Anchors so far apart, and ranges that change so much in a second: a walk written in cm."""

QUICKEST_S = 1e-4
"""No radio ranges more often."""
REACH_SLACK_M = 0.5
"""What ranges may be too short by before a height is impossible."""
FARTHEST_M = 1e9
"""A coordinate beyond this is no place on Earth in any map projection."""
STRAY_M, STRAY_HIGH_M, STRAY_TIMES, STRAY_SLOPE = 500.0, 200.0, 10.0, 3.0
"""An anchor so far from all others along x or y, or in height, and so many times their extent: at
what stands for an unknown coordinate (-999, 9999, or 0 among those of a map). In height also so
many times what they are apart along x and y: else all is in millimetres."""


def check_time(times: FloatArray, where: str) -> None:
    """Raises InputError, naming `where`, for many epochs (T,) s of one time or next to none."""
    if len(times) < FEWEST_EPOCHS:
        return
    if (span := float(np.ptp(times))) == 0.0:
        raise InputError(
            f"{where}: all {len(times)} epochs are of the time {times[0]:g} s: its clock stood"
        )
    if span < QUICKEST_S * len(times):
        raise InputError(
            f"{where}: {len(times)} epochs within {span:.2g} s: expected times in seconds; are "
            "they days, as spreadsheets count?"
        )


def check_places(anchors: Anchors, where: str) -> None:
    """Raises InputError, naming `where`, for a coordinate that is no place of this site."""
    far = np.abs(anchors.positions) > FARTHEST_M
    if far.any():
        row, axis = np.argwhere(far)[0]
        raise InputError(
            f"{where}: anchor {anchors.ids[row]!r}: expected metres, got "
            f"{'xyz'[axis]} = {anchors.positions[row, axis]:g}"
        )
    for axis, least in enumerate((STRAY_M, STRAY_M, STRAY_HIGH_M)):
        if (row := _stray(anchors.positions, axis, least)) is not None:
            raise InputError(
                f"{where}: anchor {anchors.ids[row]!r}: {'xyz'[axis]} = "
                f"{anchors.positions[row, axis]:g} m is far from all others: does it stand for "
                "unknown?"
            )


def _stray(places: FloatArray, axis: int, least: float) -> int | None:
    """The row of an anchor that cannot be where it is along an axis; None: all can.

    The fewer beyond the widest gap: one, or all at one place (in height, however many).
    """
    order = np.argsort(places[:, axis], kind="stable")
    gaps = np.diff(places[order, axis])
    if len(places) < FEWEST_ANCHORS or not gaps.max() > least:
        return None
    cut = int(gaps.argmax()) + 1
    few, many = sorted((order[:cut], order[cut:]), key=len)
    x, y, z = np.ptp(places[many], axis=0)
    if axis == 2:
        least = max(STRAY_TIMES * z, STRAY_SLOPE * x, STRAY_SLOPE * y)
    else:
        least = STRAY_TIMES * max(x, y)
    together = axis == 2 or not np.ptp(places[few, :2], axis=0).any()
    return int(few[0]) if len(few) < len(many) and together and gaps.max() > least else None


def check_units(
    anchors: Anchors, times: FloatArray, ranges: FloatArray, where: str, table: str
) -> None:
    """Raises InputError, naming the file and the unit, where anchors do not fit the ranges.

    times (T,) s, ranges (T, A) m; where, table: the files of anchors and of ranges. A pair of
    ranges need not be of one epoch, but lie within TOGETHER_S.
    """
    check_closeness(anchors, where)
    held = held_of(times, ranges)
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
        check_shortness(ranges, table)
        # A triangle in metres has about 0.7 here: the tag is somewhere among the anchors.
        unit = _nearest(0.7 / factor)
        raise InputError(
            f"{where}: the anchors are not in metres but, by the ranges, in {unit}: "
            f"{np.median(apart):.6g} between two of them, ranges of {np.nanmedian(held):.3g} m; "
            "then call them x_mm, x_cm or x_ft, and so on"
        )
    if np.median(apart) > FAR_M:
        check_pace(times, ranges, table)
    if (fits := in_feet(anchors, held, CLEARLY)) and fits.as_metres > WORST_FIT_M:
        raise InputError(
            f"{table}: the ranges are not in metres but, by the anchors, in feet: so they fit "
            f"a place to {fits.in_feet:.2g} m, as metres to {fits.as_metres:.2g} m; {HOW_TO_NAME}"
        )
    unequal = np.where(known, (np.abs(one - other) - SLACK_M) / np.where(known, apart, 1.0), np.nan)
    factor, half = _middle(unequal, 25.0), _middle(unequal, 50.0)
    if factor > TOO_UNEQUAL or (factor > UNEQUAL_QUARTER and half > UNEQUAL_HALF):
        unit = fitting(places, held) or _nearest(0.3 / factor, RANGE_UNITS_M)
        raise InputError(
            f"{table}: the ranges are not in metres but, by the anchors, in {unit}: two of them "
            f"differ by {half:.3g} times the distance between their anchors; {HOW_TO_NAME}"
        )


def check_pace(times: FloatArray, ranges: FloatArray, table: str) -> None:
    """Raises InputError where ranges (T, A) m change as no tag goes: written in cm, anchors too."""
    heard = ranges[np.isfinite(ranges)]
    if heard.size and np.median(heard) > FAR_M and (gone := _gone(times, ranges)) > FASTEST_M:
        raise InputError(
            f"{table}: ranges of {np.median(heard):.3g} m change by {gone:.3g} m in a second: "
            "anchors and ranges are both in centimetres, it seems, or ranges are ticks (15.65 ps); "
            f"{HOW_TO_NAME}"
        )


def _gone(times: FloatArray, ranges: FloatArray) -> float:
    """By how much (m) a range (T, A) changes in about a second, in the median; 0: unknown."""
    found = [np.empty(0)]
    for column in ranges.T:
        heard = np.flatnonzero(np.isfinite(column))
        when, metres = times[heard], column[heard]
        later = np.searchsorted(when, when + 1.0)
        here = np.flatnonzero(later < when.size)
        there = later[here]
        near = np.abs(when[there] - when[here] - 1.0) < 0.5
        found.append(np.abs(metres[there] - metres[here])[near])
    changes = np.concatenate(found)
    return float(np.median(changes)) if changes.size else 0.0


def check_closeness(anchors: Anchors, where: str) -> None:
    """Raises InputError, naming `where`, for anchors that are all nearer than those of one site."""
    spread = float(np.ptp(anchors.positions, axis=0).max())
    if len(anchors) >= FEWEST_ANCHORS and 0.0 < spread < LEAST_M:
        raise InputError(
            f"{where}: the anchors are all within {spread:.2g} m: expected places in metres; are "
            "they latitude and longitude, or metres under names that say cm or mm?"
        )


def check_site(anchors: Anchors, where: str) -> None:
    """Raises InputError, naming `where`, for anchors without ranges that cannot be in metres.

    A tag hears two of them at once: so most have another within reach.
    """
    check_closeness(anchors, where)
    some = np.arange(0, len(anchors), max(1, len(anchors) // MOST_LOOKED_AT))
    apart = np.linalg.norm(anchors.positions[some, None] - anchors.positions, axis=2)
    apart[np.arange(some.size), some] = np.inf
    if len(anchors) >= FEWEST_ANCHORS and (near := float(np.median(apart.min(axis=1)))) > REACH_M:
        raise InputError(
            f"{where}: the anchors are {near:.6g} m from the next: are they in millimetres? then "
            "call them x_mm, y_mm and z_mm"
        )


def check_lengths(
    ids: Sequence[str],
    times: FloatArray,
    ranges: FloatArray,
    pairs: IntArray,
    lengths: FloatArray,
    where: str,
) -> None:
    """Raises InputError, naming `where`, for lengths (P,) m that ranges cannot span.

    times (T,) s, ranges (T, A) m of the anchors `ids`; pairs (P, 2): between which anchors.
    """
    held = held_of(times, ranges)
    if not len(pairs) or len(held) < FEWEST_EPOCHS:
        return
    together = held[:, pairs[:, 0]] + held[:, pairs[:, 1]]
    heard = np.flatnonzero(np.isfinite(together).any(axis=0))
    reach = np.nanmedian(together[:, heard], axis=0)
    factor = (lengths[heard] - SLACK_M) / reach
    far = factor > TOO_FAR_APART
    if far.all() and far.size:
        raise InputError(
            f"{where}: the lengths are not in metres but, by the ranges, in "
            f"{_nearest(0.7 / float(np.median(factor)))}: {np.median(lengths):.6g} between two "
            f"anchors, ranges of {np.nanmedian(held):.3g} m; then call them x_mm, distance_cm and "
            "so on"
        )
    if far.any():
        worst = int(np.argmax(factor))
        one, other = (ids[row] for row in pairs[heard[worst]])
        raise InputError(
            f"{where}: {one} and {other} are {lengths[heard[worst]]:.6g} m apart there, and ranges "
            f"of both together reach {reach[worst]:.3g} m: is that right?"
        )


def check_shortness(ranges: FloatArray, table: str) -> None:
    """Raises InputError, naming the table, for ranges (T, A) m too short to be metres."""
    heard = ranges[np.isfinite(ranges)]
    if heard.size >= FEWEST_EPOCHS and (middle := float(np.median(heard))) < SHORTEST_M:
        raise InputError(
            f"{table}: expected ranges in metres, got {middle:.2g} m in the median: are they "
            "metres under a name that says cm or mm?"
        )


def check_truth(anchors: Anchors, ranges: FloatArray, truth: FloatArray, table: str) -> None:
    """Raises InputError, naming the table and the unit, for truth (T, 3) that is not in metres.

    By the ranges (T, A) m: so much nearer to them in that unit that it cannot be chance.
    """
    known = np.flatnonzero(np.isfinite(truth[:, :2]).all(axis=1) & np.isfinite(ranges).any(axis=1))
    known = known[:: max(1, math.ceil(known.size / MOST_LOOKED_AT))]
    if known.size < FEWEST_EPOCHS:
        return
    rise = anchors.positions[:, 2] - min(HAND_M, float(anchors.positions[:, 2].mean()))

    def misfit(metres: float) -> float:
        away = metres * truth[known, None] - anchors.positions
        away[..., 2] = np.where(np.isnan(away[..., 2]), rise, away[..., 2])
        distance = np.linalg.norm(away, axis=2)
        return float(np.nanmedian(np.abs(ranges[known] - distance)))

    misfits = {unit: misfit(metres) for unit, metres in UNITS_M.items()}
    unit, as_metres = min(misfits, key=lambda name: misfits[name]), misfit(1.0)
    if misfits[unit] < min(WORST_FIT_M, 0.15 * as_metres):
        raise InputError(
            f"{table}: the truth is not in metres but, by the ranges, in {unit}: so it fits them "
            f"to {misfits[unit]:.2g} m, as metres to {as_metres:.3g} m; call it gt_x_mm, "
            "gt_x_cm or gt_x_ft"
        )


def hang(anchors: Anchors) -> str:
    """How high anchors hang, in words."""
    heights = anchors.positions[:, 2]
    return f"the anchors hang at {heights.min():.6g} to {heights.max():.6g} m"


def out_of_reach(site: Site, ranges: FloatArray) -> bool:
    """Whether the tag cannot be as high as the site says: ranges (T, A) m are shorter than that.

    Of most anchors, in a quarter of their ranges: a tag right beneath one is beneath no other.
    """
    rise = np.abs(site.anchors.positions[:, 2] - site.tag_height) - REACH_SLACK_M
    heard = np.isfinite(ranges)
    counts = np.count_nonzero(heard, axis=0)
    shorter = np.count_nonzero(np.where(heard, ranges, np.inf) < rise, axis=0)
    known = counts >= FEWEST_EPOCHS
    return int((shorter[known] > 0.25 * counts[known]).sum()) > 0.5 * max(int(known.sum()), 1)


def _pairs(anchors: int) -> IntArray:
    """Pairs of anchors (P, 2), at most MOST_LOOKED_AT."""
    step = max(1, math.ceil(anchors * (anchors - 1) / 2 / MOST_LOOKED_AT))
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


def _nearest(metres: float, units: Mapping[str, float] = UNITS_M) -> str:
    return min(units, key=lambda unit: abs(math.log(units[unit] / metres)))
