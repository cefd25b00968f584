# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ground truth of tables: what its columns are called, where it was lost, and a file of its own."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from locdreamer_ros.datasets.cells import (
    HIGHEST_OF_COLUMN,
    ODOMETRY,
    TRUTH,
    TimeCells,
    check_count,
    check_width,
    find_columns,
    number,
    plain_header,
)
from locdreamer_ros.datasets.clock import at_epochs
from locdreamer_ros.datasets.columns import (
    TIME,
    joined_stamps,
    note,
    read_times,
    some,
    together,
    with_usual,
    without_unit,
)
from locdreamer_ros.datasets.rows import read_rows
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import open_text
from locdreamer_ros.scales import FEWEST_EPOCHS
from locdreamer_ros.stamps import to_nanoseconds
from locdreamer_ros.types import BoolArray, FloatArray

TRULY = "(?:gt|ground_?truth|truth|true|actual|mocap|vicon|optitrack)"
NAMED_TRUTH = re.compile(
    rf"{TRULY}[ _.]*(?:(?:pose[ _.]+)?(?:p|pos|position)[ _.]+)?([xyz])|([xyz])[ _.]*{TRULY}",
    re.IGNORECASE,
)
PLACE = re.compile(r"([xyz])", re.IGNORECASE)
OWN_PLACE = re.compile(r"(?:t|p|(?:pos|position)[ _.]+)?([xyz])", re.IGNORECASE)
"""In a file of its own."""
LOST_M, LOST_STEPS = 0.5, 5.0
"""A tag does not jump so far, in m and in usual steps, to 0, 0 and back: a motion capture writes
that where it lost it."""
LOST = (0.0, -1.0, *(sign * (10.0**digits - 1.0) for digits in (2, 3, 4, 5) for sign in (-1, 1)))
"""Or one of these twice."""


def with_truth(
    path: Path,
    header: Sequence[str],
    mapping: Mapping[str, str],
    ids: Sequence[str] = (),
    place: re.Pattern[str] = PLACE,
) -> tuple[dict[str, str], dict[str, float]]:
    """The mapping with the columns of the truth, and the units (m) of places that are not in m.

    Where none is called `gt_x` or mapped: `true_x`, `mocap_x` and the like, else `x, y, z` (which
    are no anchors' ids), each with `_mm`, ` [cm]` or the like behind it, in one unit. Says what it
    took. Raises InputError.
    """
    found, others = dict(mapping), {*ids}
    for said in (NAMED_TRUTH, place):
        if {*TRUTH[:2]} & {*header, *found}:
            break
        there: dict[str, list[str]] = {}
        for name in header:
            axis = said.fullmatch(without_unit(name)[0])
            if axis and name not in found.values() and name not in others:
                there.setdefault(f"gt_{axis[axis.lastindex or 0].lower()}", []).append(name)
        if {*TRUTH[:2]} <= {*there} and all(len(names) == 1 for names in there.values()):
            taken = {role: names[0] for role, names in sorted(there.items())}
            found |= taken
            note(path, f"columns {', '.join(taken.values())} are taken for the truth")
    units: dict[str, float] = {}
    for group in (TRUTH, ODOMETRY[:2]):
        named = {role: found.get(role, role) for role in group}
        of_group = {role: without_unit(name)[1] for role, name in named.items() if name in header}
        if len({*of_group.values()}) > 1:
            raise InputError(f"{path}: row 1: expected {', '.join(group)} in one unit")
        units |= of_group
    return found, {role: unit for role, unit in units.items() if unit != 1.0}


def without_lost(path: Path, truth: FloatArray | None) -> FloatArray | None:
    """The truth (T, 3) with NaN for 0, 0 and its like where it jumps there and back; says so."""
    if truth is None:
        return None
    for value in LOST:
        lost = _jumps_to(truth, value)
        if lost.any():
            said = f"the truth jumps to {value:g}, {value:g} in {int(lost.sum())} rows"
            note(path, f"{said}: taken as unknown there")
            truth = np.where(lost[:, None], np.nan, truth)
    return truth


def _jumps_to(truth: FloatArray, value: float) -> BoolArray:
    """Where (T,) the truth (T, 3) leaps to a value, twice (its height the same, 0 or unknown)."""
    height = truth[:, 2]
    there = (truth[:, :2] == value).all(axis=1)
    there &= np.isnan(height) | (height == 0.0) | (height == value)
    known = np.flatnonzero(np.isfinite(truth[:, :2]).all(axis=1) & ~there)
    rows = np.flatnonzero(there)
    lost = np.zeros(len(truth), dtype=np.bool_)
    if not rows.size or known.size < FEWEST_EPOCHS:
        return lost
    step = float(np.median(np.linalg.norm(np.diff(truth[known, :2], axis=0), axis=1)))
    far = np.linalg.norm(truth[:, :2] - value, axis=1) > max(LOST_M, LOST_STEPS * step)
    after = np.searchsorted(known, rows)
    # Before the first and after the last known place one row may be a walk that begins there.
    alone = np.bincount(after)[after] == 1
    jumps: BoolArray = ~(alone & ((after == 0) | (after == known.size)))
    for near, exists in ((after - 1, after > 0), (after, after < known.size)):
        jumps &= ~exists | far[known[near.clip(0, known.size - 1)]]
    lost[rows[jumps]] = True
    return lost


def read_truth(path: Path, times: FloatArray) -> FloatArray:
    """Truth (T, 3) m of a file of its own, at times (T,) s: interpolated over short gaps.

    Raises InputError naming the file and row, also where it shares no time with the ranges.
    """
    mapping: dict[str, str] = {}
    with open_text(path) as stream:
        rows = read_rows(path, stream, logged=True)
        header = plain_header(next(rows)[1], (TIME, *TRUTH))
        header, rows = joined_stamps(path, header, rows, mapping)
        mapping = with_usual(path, header, mapping)
        mapping, scales = with_truth(path, header, mapping, place=OWN_PLACE)
        roles = {role: mapping.get(role, role) for role in (TIME, *TRUTH)}
        if not {roles[role] for role in (TIME, *TRUTH[:2])} <= {*header}:
            raise InputError(f"{path}: row 1: expected the header t_s,x,y,z; it has {some(header)}")
        found = find_columns(path, header, (TIME, *TRUTH), mapping)
        names = [role for role in found if role != TIME]
        clock, numbers = TimeCells(), array("d")
        for at, row in rows:
            where = f"{path}: row {at}"
            check_width(where, row, header)
            numbers.append(clock.stamp(row[found[TIME]], f"{where}, column {header[found[TIME]]}"))
            for role in names:
                what = f"{where}, column {header[found[role]]}"
                value = number(row[found[role]], what, missing=True, most=HIGHEST_OF_COLUMN[role])
                numbers.append(value * scales.get(role, 1.0))
            check_count(path, len(numbers))
    values = np.array(numbers).reshape(-1, 1 + len(names))
    if not len(values):
        raise InputError(f"{path}: no rows below the header")
    stamps, order = read_times(path, values[:, 0], header[found[TIME]], whole=clock.whole)
    values = values if order is None else values[order]
    places = together(dict(zip(names, values[:, 1:].T, strict=True)), TRUTH)
    places = without_lost(path, places)
    assert places is not None
    truth = interpolated(stamps, places, times)
    if not np.isfinite(truth[:, 0]).any():
        raise InputError(
            f"{path}: its times, {stamps.min():.3f} to {stamps.max():.3f} s, are not those of the "
            f"ranges, {times.min():.3f} to {times.max():.3f} s: expected one clock for both"
        )
    return truth


def interpolated(stamps: FloatArray, places: FloatArray, times: FloatArray) -> FloatArray:
    """Places (T, 3) at times (T,) s of those known at stamps (S,) s, NaN where none is near."""
    known = {
        to_nanoseconds(float(stamp)): place
        for stamp, place in zip(stamps, places, strict=True)
        if np.isfinite(place[:2]).all()
    }
    if not known:
        return np.full((times.size, 3), np.nan)
    when = sorted(known)
    wanted = [to_nanoseconds(float(time)) for time in times]
    return at_epochs(when, np.array([known[stamp] for stamp in when]), wanted)
