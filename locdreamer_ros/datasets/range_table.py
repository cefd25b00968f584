# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The range table: a CSV with one row per epoch, and the anchors beside it in a second CSV.

Header `t_s,gt_x,gt_y,gt_z,odom_x,odom_y,odom_yaw,gyro_z,r_<id>,...` (ground truth, its height,
odometry and gyro optional; empty or `nan`: unknown, no range), metres, seconds, rad and rad/s.
With `d_<id>` in place of `r_<id>` each row is a blink: what its values share means nothing (TDoA).
Anchors: `id,x,y,z`. What other people's tables do otherwise is read and said (logged): no z, units
of time, columns of other names, values that stand for no answer. A table with a column `anchor` is
a long one: see `long_table`.
"""

from __future__ import annotations

import csv
import math
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from locdreamer_ros.datasets.anchor_tree import ENDS, tree_rows
from locdreamer_ros.datasets.cells import (
    GYRO,
    HIGHEST_OF_COLUMN,
    ODOMETRY,
    TRUTH,
    TimeCells,
    check_count,
    check_width,
    find_columns,
    number,
    plain_header,
    write_header,
    write_number,
)
from locdreamer_ros.datasets.columns import (
    ANCHOR,
    LONGEST_NAME,
    RANGE_UNITS,
    ROLES,
    SIZE_OF_SITE,
    TIME,
    AnchorIds,
    anchors_header,
    check_groups,
    joined_stamps,
    note,
    note_unused,
    read_times,
    roles_of,
    some,
    together,
    unknown_anchor,
    with_usual,
    without_unit,
)
from locdreamer_ros.datasets.long_table import (
    SENDER,
    TAG,
    check_sender,
    of_tag,
    read_long,
    save_long_table,
    say_shared,
)
from locdreamer_ros.datasets.range_cells import MAX_RANGE_M, RangeCells
from locdreamer_ros.datasets.rows import read_rows
from locdreamer_ros.datasets.truth import (
    interpolated,
    with_truth,
    without_lost,
)
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import anchors_of, open_text, replaced, write_atomically
from locdreamer_ros.recording import Recording
from locdreamer_ros.scales import FEWEST_EPOCHS
from locdreamer_ros.types import Anchors, BoolArray, FloatArray
from locdreamer_ros.units import check_places

__all__ = [
    "MAX_RANGE_M",
    "load_anchors",
    "load_range_table",
    "save_anchors",
    "save_range_table",
    "save_recording",
]

DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
OTHER_RANGE_NAMES = re.compile(
    r"(?:d(?=\d)|(?:range|distance|dist)[ _.]*(?:to[ _.]*)?)(.+)"
    r"|(.+?)[ _.]*(?:range|distance|dist)",
    re.IGNORECASE,
)
"""Other names of a column of ranges: `dist_A1`, `range 3`, `A1_distance`."""
RANGE_OF, DIFFERENCE = "r_", "d_"
"""How a column of ranges begins, and one of differences."""


def load_anchors(path: Path, height: float = 0.0) -> Anchors:
    """Read anchors from CSV, YAML or JSON; those without z are at `height` m.

    Raises InputError naming file and row.
    """
    rows = tree_rows(path) if path.suffix.lower() in ENDS else _table_rows(path)
    written = next(rows)[1]
    header, columns, unit = anchors_header(path, written)
    if not {"x", "y"} <= {*columns}:
        raise InputError(f"{path}: row 1: expected the header id,x,y,z; it has {some(written)}")
    ids: list[str] = []
    positions: list[list[float]] = []
    unknown = 0
    for at, row in rows:
        where = f"{path}: {at}"
        check_width(where, row, header)
        if not row[columns["id"]]:
            raise InputError(f"{where}, column {header[columns['id']]}: expected an anchor id")
        ids.append(row[columns["id"]])
        place = [number(row[columns[a]], f"{where}, column {a}") for a in "xy"]
        z = float("nan")
        if "z" in columns:
            z = number(row[columns["z"]], f"{where}, column z", missing=True)
        unknown += z != z
        positions.append([unit * place[0], unit * place[1], height if z != z else unit * z])
        if len(ids) > SIZE_OF_SITE:
            raise InputError(f"{path}: more than {SIZE_OF_SITE} anchors")
    if not ids:
        raise InputError(f"{path}: no anchors below the header")
    if unknown:
        note(path, f"{unknown} anchors without z: taken as {height:g} m")
    try:
        anchors = Anchors(tuple(ids), np.array(positions, dtype=np.float64))
    except InputError as reason:
        raise InputError(f"{path}: {reason}") from None
    check_places(anchors, str(path))
    first: dict[tuple[float, ...], str] = {}
    surveyed = np.ptp(anchors.positions, axis=0).any()  # all at one place: their places are wanted
    for anchor, place in zip(anchors.ids, anchors.positions.tolist(), strict=True):
        if surveyed and (other := first.setdefault(tuple(place), anchor)) != anchor:
            note(path, f"anchors {other} and {anchor} are at one place")
            break
    return anchors


def _table_rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Header and rows of a CSV, each with where it is."""
    with open_text(path) as stream:
        for at, row in read_rows(path, stream):
            yield f"row {at}", row


def save_anchors(path: Path, anchors: Anchors) -> None:
    """Write an anchors CSV."""
    with write_atomically(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["id", "x", "y", "z"])
        for anchor, place in zip(anchors.ids, anchors.positions, strict=True):
            writer.writerow([anchor, *map(write_number, place)])


def load_range_table(
    path: Path, anchors: Anchors, columns: Mapping[str, str] | None = None
) -> Recording:
    """Read a range table, wide or long. Raises InputError naming the file, row and column.

    columns: what a column is called in this file, by what it is: `time`, `anchor`, `range`,
    `gt_x` and so on, `r_<id>`; `tag`: whose rows, where they are of several.
    """
    mapping = roles_of(columns)
    with open_text(path) as stream:
        rows = read_rows(path, stream, logged=True)
        header = plain_header(next(rows)[1], (*ROLES, *TAG), {*mapping.values()})
        if (tag := mapping.pop("tag", None)) is not None:
            rows = of_tag(path, header, rows, tag)
        header, rows = joined_stamps(path, header, rows, mapping)
        mapping = with_usual(path, header, mapping)
        if TIME not in {*header, *mapping} and any(DECIMAL.fullmatch(name) for name in header):
            raise InputError(f"{path}: row 1: expected a header: t_s and r_<id>, or anchor, range")
        mapping, scales = with_truth(path, header, mapping, anchors.ids)
        if {ANCHOR, *RANGE_UNITS} & {*header, *mapping}:
            return read_long(path, anchors, header, rows, mapping, scales)
        ids = AnchorIds(anchors)
        header = _in_small(header)
        roles = (TIME, *TRUTH, *ODOMETRY, *GYRO)
        found = find_columns(path, header, roles, {k: v for k, v in mapping.items() if k in roles})
        kind = _kind(header, ids)
        column, unit = _range_columns(path, header, ids, mapping, {*found.values()}, kind)
        check_groups(path, header, found)
        used = {*found.values(), *column}
        note_unused(path, [name for i, name in enumerate(header) if i not in used])
        senders = [i for i, name in enumerate(header) if i not in used and SENDER.fullmatch(name)]
        tags: dict[int, str] = {}
        numbers = array("d")
        cells, clock = RangeCells(unit, signed=kind == DIFFERENCE), TimeCells()
        others = [
            (i, f"column {header[i]}", HIGHEST_OF_COLUMN.get(role, math.inf), scales.get(role, 1.0))
            for role, i in found.items()
            if role != TIME
        ]
        for at, row in rows:
            where = f"{path}: row {at}"
            check_width(where, row, header)
            for i in senders:
                check_sender(f"{where}, column {header[i]}", tags.setdefault(i, row[i]), row[i])
            numbers.append(clock.stamp(row[found[TIME]], f"{where}, column {header[found[TIME]]}"))
            numbers.extend(
                number(row[i], f"{where}, {what}", missing=True, most=most) * scale
                for i, what, most, scale in others
            )
            numbers.extend(cells.metres(row[c], f"{where}, column {header[c]}") for c in column)
            check_count(path, len(numbers))
    table = np.array(numbers).reshape(-1, 1 + len(others) + len(column))
    if not len(table):
        raise InputError(f"{path}: no epochs below the header")
    times, order = read_times(path, table[:, 0], header[found[TIME]], whole=clock.whole)
    ranged = slice(1 + len(others), None)
    table[:, ranged] = cells.settled(table[:, ranged])
    note(path, cells.note())
    if order is not None:
        table = table[order]
    times, table = _once(path, times, table)
    names = [role for role in found if role != TIME]
    values = dict(zip(names, table[:, 1 : 1 + len(names)].T, strict=True))
    ranges = table[:, 1 + len(names) :]
    recording = Recording(
        path.stem,
        anchors,
        times,
        ranges,
        without_lost(path, together(values, TRUTH)),
        odometry=together(values, ODOMETRY),
        turn_rate=values.get(GYRO[0]),
        differences=kind == DIFFERENCE,
    )
    if kind == DIFFERENCE and not (ranges <= 0.0).any():
        note(path, "columns d_<id> are read as time differences (TDoA); ranges are called r_<id>")
    return _with_truth_between(path, recording)


def holds_differences(path: Path, anchors: Anchors) -> bool:
    """Whether a table's ranges are time differences, by its header. Raises InputError."""
    with open_text(path) as stream:
        (_, header) = next(read_rows(path, stream, logged=True))
        return _kind(_in_small(header), AnchorIds(anchors)) == DIFFERENCE


def _once(path: Path, times: FloatArray, table: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Times and rows without those that repeat the one before, which is said; also of one stamp."""
    same = (table[1:] == table[:-1]) | (np.isnan(table[1:]) & np.isnan(table[:-1]))
    kept = np.append(True, ~same.all(axis=1))
    if not kept.all():
        note(path, f"{int((~kept).sum())} rows are there twice and count once")
        times, table = times[kept], table[kept]
    shared = int((np.diff(times) == 0.0).sum())
    say_shared(path, shared, times.size, "the row before")
    return times, table


def _with_truth_between(path: Path, recording: Recording) -> Recording:
    """The recording with the truth of rows that hold no range, where no other row has one."""
    if recording.truth is None:
        return recording
    known = np.isfinite(recording.truth[:, :2]).all(axis=1)
    heard: BoolArray = np.asarray(np.isfinite(recording.ranges).any(axis=1))
    if min(known.sum(), heard.sum()) < FEWEST_EPOCHS or (known & heard).any():
        return recording
    note(path, f"{int(known.sum())} rows without a range: their truth is interpolated")
    truth = interpolated(recording.times[known], recording.truth[known], recording.times[heard])
    return replace(recording.rows(heard), truth=truth)


def _in_small(header: Sequence[str]) -> list[str]:
    """`R_A1` and `D_A1` as we write them, where there is none of those."""
    if any(name.startswith((RANGE_OF, DIFFERENCE)) for name in header):
        return list(header)
    kinds = {kind.upper(): kind for kind in (RANGE_OF, DIFFERENCE)}
    return [kinds.get(name[:2], name[:2]) + name[2:] for name in header]


def _kind(header: Sequence[str], ids: AnchorIds) -> str:
    """How the columns of ranges begin: `DIFFERENCE` where the table has those and no others."""
    if any(name.startswith(RANGE_OF) for name in header):
        return RANGE_OF
    found = [name for name in header if name.startswith(DIFFERENCE)]
    known = any(_anchor_of(name.removeprefix(DIFFERENCE), ids)[0] is not None for name in found)
    return DIFFERENCE if known else RANGE_OF


def _range_columns(
    path: Path,
    header: Sequence[str],
    ids: AnchorIds,
    mapping: Mapping[str, str],
    taken: set[int],
    kind: str,
) -> tuple[list[int], float]:
    """Column of each anchor (A,), and the ranges' unit in m.

    Named by the mapping, `r_<id>` (or another `kind`), by the id alone, or as OTHER_RANGE_NAMES
    has it, each with `_mm` or `_cm` behind it or not.
    """
    columns: dict[int, int] = {}
    units: dict[float, str] = {}
    for role, name in mapping.items():
        if not role.startswith("r_"):
            continue
        row, unit = _anchor_of(role[2:], ids)
        if row is None:
            raise unknown_anchor(path, f"--columns {role}", role[2:], ids)
        if name not in header:
            raise InputError(f"{path}: row 1: no column {name!r} for {role}")
        columns[row] = header.index(name)
        units[min(unit, without_unit(name)[1])] = name
    bare = not any(name.startswith(kind) for name in header)
    free = [i for i in range(len(header)) if i not in taken and i not in columns.values()]
    said = bare and not any(_anchor_of(header[i], ids)[0] is not None for i in free)
    for i in free:
        name = header[i]
        if not (bare or name.startswith(kind)):
            continue
        row, unit = _anchor_of(name.removeprefix(kind), ids, said=said)
        if row is None:
            if name.startswith(kind):
                raise unknown_anchor(path, f"column {name}", name[2:], ids)
        elif row in columns:
            raise InputError(
                f"{path}: row 1: columns {header[columns[row]]} and {name} are both of anchor "
                f"{ids.anchors.ids[row]!r}"
            )
        else:
            columns[row] = i
            units[unit] = name
    if not columns:
        raise InputError(
            f"{path}: row 1: no ranges: expected columns r_<id> of the anchors "
            f"{some(ids.anchors.ids)}, or anchor and range; it has "
            f"{some([*filter(None, header)])}; --columns says what is what"
        )
    for row, anchor in enumerate(ids.anchors.ids):
        if row not in columns:
            raise InputError(f"{path}: row 1: missing column {kind}{anchor} of anchor {anchor!r}")
    if len(units) > 1:
        columns_of_each = " and ".join(units.values())
        raise InputError(f"{path}: row 1: columns {columns_of_each}: expected one unit")
    return [columns[row] for row in range(len(ids.anchors))], next(iter(units))


def _anchor_of(name: str, ids: AnchorIds, *, said: bool = False) -> tuple[int | None, float]:
    """Row of the anchor that a column is of, None: of none; and the unit of its ranges in m.

    said: the name also says that it is a range.
    """
    row = ids.row(name)
    if row is not None:
        return row, 1.0
    stem, unit = without_unit(name)
    said = said and len(stem) <= LONGEST_NAME
    if said and (found := OTHER_RANGE_NAMES.fullmatch(stem)) is not None:
        stem = found[1] or found[2]
    return ids.row(stem), unit


def save_range_table(path: Path, recording: Recording) -> None:
    """Write a range table (epoch times only; stamps and powers do not fit this format)."""
    rate = recording.turn_rate
    kind = DIFFERENCE if recording.differences else RANGE_OF
    blocks = [
        (("t_s",), recording.times[:, None]),
        (TRUTH, recording.truth),
        (ODOMETRY, recording.odometry),
        (GYRO, None if rate is None else rate[:, None]),
        (tuple(f"{kind}{anchor}" for anchor in recording.anchors.ids), recording.ranges),
    ]
    names = [name for block, values in blocks if values is not None for name in block]
    columns = [values for _, values in blocks if values is not None]
    with write_atomically(path) as stream:
        write_header(stream, names)
        csv.writer(stream, lineterminator="\n").writerows(
            [write_number(value) for value in row] for row in np.hstack(columns).tolist()
        )


def save_recording(path: Path, recording: Recording, *, long: bool = False) -> Path:
    """Write a table, and its anchors beside it: both or neither. Returns where the anchors are.

    long: a row per range, which keeps the ranges' stamps.
    """
    beside = anchors_of(path)
    with replaced(beside) as place:
        save_anchors(place, recording.anchors)
        (save_long_table if long else save_range_table)(path, recording)
    return beside
