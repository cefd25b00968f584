# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads what a survey begins with: ranges of anchors without places, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from locdreamer_ros.datasets import is_table, not_read
from locdreamer_ros.datasets.cells import (
    check_width,
    find_columns,
    number,
    plain_header,
)
from locdreamer_ros.datasets.columns import (
    RANGE_UNITS,
    ROLES,
    AnchorIds,
    anchors_header,
    missing,
    plain_lengths,
    roles_of,
    some,
    usual,
    without_unit,
)
from locdreamer_ros.datasets.range_cells import MAX_RANGE_M
from locdreamer_ros.datasets.range_table import load_range_table
from locdreamer_ros.datasets.rows import read_rows
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import open_text
from locdreamer_ros.motion_checks import check_odometry
from locdreamer_ros.recording import Recording
from locdreamer_ros.survey.problem import Between
from locdreamer_ros.types import Anchors, FloatArray
from locdreamer_ros.units import (
    check_lengths,
    check_pace,
    check_shortness,
    check_time,
    check_units,
)


def load_unplaced(path: Path, columns: Mapping[str, str] | None = None) -> Recording:
    """A range table (wide or long) or a bag, its anchors all at the origin but for their ids.

    Anchors that were never heard are left out. Raises InputError naming the file.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_dir() or path.suffix in (".mcap", ".db3"):
        from locdreamer_ros.datasets.bag import foreign_ids, read_bag

        ids = foreign_ids(path, columns or {})
        recording = read_bag(path, _nowhere(ids) if ids else None, columns)
    elif not is_table(path):
        raise not_read(path)
    else:
        ids = _ids(path, roles_of(columns))
        recording = load_range_table(path, _nowhere(ids), columns)
    replace(recording, file=str(path)).check_ranges()
    heard = np.isfinite(recording.ranges).any(axis=0)
    recording = recording.only(tuple(np.array(recording.anchors.ids)[heard].tolist()))
    return replace(recording, anchors=_nowhere(recording.anchors.ids), truth=None, file=str(path))


def _nowhere(ids: tuple[str, ...]) -> Anchors:
    """Anchors whose places are not known: all at the origin."""
    return Anchors(ids, np.zeros((len(ids), 3)))


def _ids(path: Path, mapping: Mapping[str, str]) -> tuple[str, ...]:
    """Ids of the anchors that a table has ranges of."""
    with open_text(path) as stream:
        rows = read_rows(path, stream, logged=True)
        header = plain_header(next(rows)[1], ROLES, {*mapping.values()})
        mapping = {**mapping, **usual(header, mapping)}
        if {*RANGE_UNITS} & {*header, *mapping}:
            column = find_columns(path, header, ("anchor",), _only(mapping, "anchor")).get("anchor")
            if column is None:
                raise missing(path, header, "anchor")
            found = dict.fromkeys(row[column] for _, row in rows if len(row) == len(header))
            if not found:
                raise InputError(f"{path}: no ranges below the header")
        else:
            named = [role for role in mapping if role.startswith("r_")]
            found = dict.fromkeys(
                without_unit(name[2:])[0]
                for name in [*named, *header]
                if name.startswith("r_") and name[2:]
            )
    if not found:
        raise InputError(
            f"{path}: row 1: expected columns r_<id>, or anchor and range; it has {some(header)}; "
            "--columns says what is what"
        )
    return tuple(found)


def _only(mapping: Mapping[str, str], role: str) -> dict[str, str]:
    return {key: value for key, value in mapping.items() if key == role}


def load_places(path: Path, ids: tuple[str, ...]) -> FloatArray:
    """Places (A, 3) m of an anchors CSV `id,x,y,z`, NaN where a cell is empty or an anchor missing.

    Anchors with the same y alone hang on a wall along x.
    Raises InputError naming file and row, also for an anchor that the recording does not have.
    """
    names = AnchorIds(_nowhere(ids))
    places = np.full((len(ids), 3), np.nan)
    with open_text(path) as stream:
        rows = read_rows(path, stream)
        header, columns, unit = anchors_header(path, next(rows)[1])
        for at, row in rows:
            check_width(f"{path}: row {at}", row, header)
            a = _row(path, at, names, row[columns["id"]])
            for axis, name in enumerate("xyz"):
                if name in columns:
                    where = f"{path}: row {at}, column {name}"
                    places[a, axis] = unit * number(row[columns[name]], where, missing=True)
    return places


def between_path(recording: Path) -> Path:
    """Where the lengths between anchors of a recording are."""
    return recording.with_name(f"{recording.stem}_between.csv")


def load_between(path: Path, ids: tuple[str, ...]) -> Between:
    """Lengths between anchors: CSV `anchor,other,distance` (taped) or `anchor,other,range`.

    Both columns may be there, a cell of a row empty. Raises InputError naming file and row.
    """
    names = AnchorIds(_nowhere(ids))
    found: list[tuple[int, int, float, float]] = []
    with open_text(path) as stream:
        rows = read_rows(path, stream)
        lengths = ("distance", "range")
        written = plain_header(next(rows)[1], ("anchor", "other"))
        header, unit = plain_lengths(path, written, lengths)
        columns = find_columns(path, header, ("anchor", "other", *lengths), {})
        if not {"anchor", "other"} <= {*columns} or not {*lengths} & {*columns}:
            raise InputError(
                f"{path}: row 1: expected anchor,other,distance or anchor,other,range; it has "
                f"{some(written)}"
            )
        for at, row in rows:
            check_width(f"{path}: row {at}", row, header)
            one, other = (_row(path, at, names, row[columns[n]]) for n in ("anchor", "other"))
            if one == other:
                raise InputError(f"{path}: row {at}: expected two anchors, got {ids[one]!r} twice")
            for name in ("distance", "range"):
                if name not in columns:
                    continue
                where = f"{path}: row {at}, column {name}"
                length = unit * number(row[columns[name]], where, missing=True)
                if np.isfinite(length):
                    if not 0.0 < length <= MAX_RANGE_M:
                        raise InputError(f"{where}: expected metres > 0, got {length:g}")
                    found.append((one, other, length, float(name == "distance")))
    if not found:
        raise InputError(f"{path}: no lengths below the header")
    table = np.array(found)
    pair = table[:, :2].astype(np.intp)
    return Between(pair[:, 0], pair[:, 1], table[:, 2], table[:, 3])


def check_given(
    recording: Recording,
    places: FloatArray,
    anchors: Path | None,
    between: Between,
    lengths: Path | None,
) -> None:
    """Raises InputError, naming the file, where ranges cannot span what is given, or be in metres.

    places (A, 3) m of the file `anchors`, NaN where unknown; lengths: the file of `between`.
    """
    times, ranges = recording.times, recording.ranges
    check_time(times, recording.where)
    if recording.odometry is not None:
        check_odometry(times, recording.odometry, recording.where)
    check_shortness(ranges, recording.where)
    known = np.flatnonzero(np.isfinite(places[:, :2]).all(axis=1))
    pairs = known[np.stack(np.triu_indices(known.size, 1), axis=1)]
    apart = np.linalg.norm(places[pairs[:, 0], :2] - places[pairs[:, 1], :2], axis=1)
    check_lengths(recording.anchors.ids, times, ranges, pairs, apart, str(anchors))
    if known.size:
        held = np.where(np.isfinite(places[known]), places[known], 0.0)
        site = Anchors(tuple(recording.anchors.ids[a] for a in known), held)
        check_units(site, times, ranges[:, known], str(anchors), recording.where)
    check_pace(times, ranges, recording.where)
    pairs = np.stack([between.start, between.end], axis=1)
    check_lengths(recording.anchors.ids, times, ranges, pairs, between.length, str(lengths))


def load_walls(path: Path) -> FloatArray:
    """Walls (W, 2, 2) m of a CSV `x1,y1,x2,y2`. Raises InputError naming file and row."""
    with open_text(path) as stream:
        rows = read_rows(path, stream)
        names = ("x1", "y1", "x2", "y2")
        written = next(rows)[1]
        header, unit = plain_lengths(path, written, names)
        columns = find_columns(path, header, names, {})
        if len(columns) != len(names):
            raise InputError(
                f"{path}: row 1: expected the header {','.join(names)}; it has {some(written)}"
            )
        found = []
        for at, row in rows:
            check_width(f"{path}: row {at}", row, header)
            where = f"{path}: row {at}, column"
            found.append([unit * number(row[columns[n]], f"{where} {n}") for n in names])
    if not found:
        raise InputError(f"{path}: no walls below the header")
    return np.array(found).reshape(-1, 2, 2)


def _row(path: Path, at: int, names: AnchorIds, text: str) -> int:
    row = names.row(text)
    if row is None:
        raise InputError(
            f"{path}: row {at}: no anchor {text!r} in the recording; it has "
            f"{', '.join(names.anchors.ids)}"
        )
    return row
