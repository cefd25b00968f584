# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads what a survey begins with: ranges of anchors without places, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from locdreamer_ros.datasets.cells import MAX_RANGE_M, find_columns, number, plain_header
from locdreamer_ros.datasets.columns import (
    RANGE_UNITS,
    ROLES,
    AnchorIds,
    missing,
    plain_places,
    roles_of,
    without_unit,
)
from locdreamer_ros.datasets.range_table import load_range_table
from locdreamer_ros.datasets.rows import read_rows
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import open_text
from locdreamer_ros.recording import Recording
from locdreamer_ros.survey.problem import Between
from locdreamer_ros.types import Anchors, FloatArray


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
    else:
        ids = _ids(path, roles_of(columns))
        recording = load_range_table(path, _nowhere(ids), columns)
    replace(recording, file=str(path)).check_ranges()
    heard = np.isfinite(recording.ranges).any(axis=0)
    recording = recording.only(tuple(np.array(recording.anchors.ids)[heard].tolist()))
    return replace(recording, anchors=_nowhere(recording.anchors.ids), truth=None, file=str(path))


def _nowhere(ids: tuple[str, ...]) -> Anchors:
    return Anchors(ids, np.zeros((len(ids), 3)))


def _ids(path: Path, mapping: Mapping[str, str]) -> tuple[str, ...]:
    """Ids of the anchors that a table has ranges of."""
    with open_text(path) as stream:
        rows = read_rows(path, stream, logged=True)
        header = plain_header(next(rows)[1], ROLES, {*mapping.values()})
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
        raise InputError(f"{path}: row 1: expected columns r_<id>, or anchor and range")
    return tuple(found)


def _only(mapping: Mapping[str, str], role: str) -> dict[str, str]:
    return {key: value for key, value in mapping.items() if key == role}


def load_places(path: Path, ids: tuple[str, ...]) -> FloatArray:
    """Places (A, 3) m of an anchors CSV `id,x,y,z`, NaN where a cell is empty or an anchor missing.

    Raises InputError naming file and row, also for an anchor that the recording does not have.
    """
    names = AnchorIds(Anchors(ids, np.zeros((len(ids), 3))))
    places = np.full((len(ids), 3), np.nan)
    with open_text(path) as stream:
        rows = read_rows(path, stream)
        header, unit = plain_places(path, plain_header(next(rows)[1], ("id",)))
        columns = find_columns(path, header, ("id", "x", "y", "z"), {})
        if "id" not in columns or not {"x", "y", "z"} & {*columns}:
            raise InputError(f"{path}: row 1: expected the header id,x,y,z")
        for at, row in rows:
            if len(row) != len(header):
                raise InputError(f"{path}: row {at}: expected {','.join(header)}")
            a = _row(path, at, names, row[columns["id"]])
            for axis, name in enumerate("xyz"):
                if name in columns:
                    where = f"{path}: row {at}, column {name}"
                    places[a, axis] = unit * number(row[columns[name]], where, missing=True)
    if (np.isnan(places[:, 0]) != np.isnan(places[:, 1])).any():
        a = int(np.argmax(np.isnan(places[:, 0]) != np.isnan(places[:, 1])))
        raise InputError(f"{path}: anchor {ids[a]!r}: expected x and y, or neither")
    return places


def between_path(recording: Path) -> Path:
    """Where the lengths between anchors of a recording are."""
    return recording.with_name(f"{recording.stem}_between.csv")


def load_between(path: Path, ids: tuple[str, ...]) -> Between:
    """Lengths between anchors: CSV `anchor,other,distance` (taped) or `anchor,other,range`.

    Both columns may be there, a cell of a row empty. Raises InputError naming file and row.
    """
    names = AnchorIds(Anchors(ids, np.zeros((len(ids), 3))))
    found: list[tuple[int, int, float, float]] = []
    with open_text(path) as stream:
        rows = read_rows(path, stream)
        _, header = next(rows)
        columns = find_columns(path, header, ("anchor", "other", "distance", "range"), {})
        if not {"anchor", "other"} <= {*columns} or not {"distance", "range"} & {*columns}:
            raise InputError(f"{path}: row 1: expected anchor,other,distance or anchor,other,range")
        for at, row in rows:
            if len(row) != len(header):
                raise InputError(f"{path}: row {at}: expected {','.join(header)}")
            one, other = (_row(path, at, names, row[columns[n]]) for n in ("anchor", "other"))
            if one == other:
                raise InputError(f"{path}: row {at}: expected two anchors, got {ids[one]!r} twice")
            for name in ("distance", "range"):
                if name not in columns:
                    continue
                where = f"{path}: row {at}, column {name}"
                length = number(row[columns[name]], where, missing=True)
                if np.isfinite(length):
                    if not 0.0 < length <= MAX_RANGE_M:
                        raise InputError(f"{where}: expected metres > 0, got {length:g}")
                    found.append((one, other, length, float(name == "distance")))
    if not found:
        raise InputError(f"{path}: no lengths below the header")
    table = np.array(found)
    pair = table[:, :2].astype(np.intp)
    return Between(pair[:, 0], pair[:, 1], table[:, 2], table[:, 3])


def load_walls(path: Path) -> FloatArray:
    """Walls (W, 2, 2) m of a CSV `x1,y1,x2,y2`. Raises InputError naming file and row."""
    with open_text(path) as stream:
        rows = read_rows(path, stream)
        _, header = next(rows)
        names = ("x1", "y1", "x2", "y2")
        columns = find_columns(path, header, names, {})
        if len(columns) != len(names):
            raise InputError(f"{path}: row 1: expected the header {','.join(names)}")
        found = []
        for at, row in rows:
            if len(row) != len(header):
                raise InputError(f"{path}: row {at}: expected {','.join(header)}")
            where = f"{path}: row {at}, column"
            found.append([number(row[columns[n]], f"{where} {n}") for n in names])
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
