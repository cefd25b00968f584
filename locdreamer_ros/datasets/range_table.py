# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The range table: a CSV with one row per epoch, and the anchors beside it in a second CSV.

Header `t_s,gt_x,gt_y,gt_z,odom_x,odom_y,odom_yaw,gyro_z,r_<id>,...` (ground truth, odometry and
gyro optional; empty or `nan`: unknown, no range), metres, seconds, rad and rad/s. Anchors:
`id,x,y,z`.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import IO

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import open_text, write_atomically
from locdreamer_ros.recording import Recording
from locdreamer_ros.stamps import to_nanoseconds, to_seconds
from locdreamer_ros.types import Anchors

TRUTH = ("gt_x", "gt_y", "gt_z")
ODOMETRY = ("odom_x", "odom_y", "odom_yaw")
GYRO = ("gyro_z",)
MAX_RANGE_M = 1000.0
"""No UWB module ranges farther: a larger value is a unit mistake (millimetres), not a range."""


def _number(text: str, where: str, *, missing: bool = False) -> float:
    if missing and text.strip().lower() in ("", "nan"):
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{where}: expected a number, got {text!r}") from None
    if not np.isfinite(value):
        raise InputError(f"{where}: expected a finite number, got {text!r}")
    return value


def _rows(path: Path, stream: IO[str]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header, and the other rows that are not blank with their number in the file."""
    try:
        rows = [
            (number, [cell.strip() for cell in row])
            for number, row in enumerate(csv.reader(stream, strict=True), start=1)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as reason:
        raise InputError(f"{path}: not CSV: {reason}") from None
    if not rows:
        raise InputError(f"{path}: empty file")
    return rows[0][1], rows[1:]


def load_anchors(path: Path) -> Anchors:
    """Read an anchors CSV. Raises InputError naming the file and row."""
    with open_text(path) as stream:
        header, rows = _rows(path, stream)
    if header != ["id", "x", "y", "z"]:
        raise InputError(f"{path}: row 1: expected the header id,x,y,z")
    ids: list[str] = []
    positions: list[list[float]] = []
    for number, row in rows:
        if len(row) != 4:
            raise InputError(f"{path}: row {number}: expected id,x,y,z, got {len(row)} columns")
        if not row[0]:
            raise InputError(f"{path}: row {number}, column id: expected an anchor id")
        ids.append(row[0])
        positions.append(
            [
                _number(text, f"{path}: row {number}, column {axis}")
                for axis, text in zip("xyz", row[1:], strict=True)
            ]
        )
    if not ids:
        raise InputError(f"{path}: no anchors below the header")
    try:
        return Anchors(tuple(ids), np.array(positions, dtype=np.float64))
    except InputError as reason:
        raise InputError(f"{path}: {reason}") from None


def save_anchors(path: Path, anchors: Anchors) -> None:
    """Write an anchors CSV."""
    with write_atomically(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["id", "x", "y", "z"])
        for anchor, place in zip(anchors.ids, anchors.positions, strict=True):
            writer.writerow([anchor, *map(_cell, place)])


def _range_column(path: Path, header: list[str], anchors: Anchors) -> list[int]:
    """Column of each anchor (A,), checked."""
    columns = {name: i for i, name in enumerate(header)}
    if len(columns) != len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise InputError(f"{path}: row 1: column {twice} appears twice")
    if "t_s" not in columns:
        raise InputError(f"{path}: row 1: missing column t_s")
    for name in header:
        known = name in ("t_s", *TRUTH, *ODOMETRY, *GYRO)
        if not known and not name.startswith("r_"):
            raise InputError(
                f"{path}: row 1: unknown column {name!r}; "
                "expected t_s, gt_*, odom_*, gyro_z, r_<id>"
            )
    recorded = [name[2:] for name in header if name.startswith("r_")]
    for anchor in recorded:
        if anchor not in anchors.ids:
            raise InputError(
                f"{path}: column r_{anchor}: no anchor {anchor!r} in the anchors file; "
                f"it has {', '.join(anchors.ids)}"
            )
    for anchor in anchors.ids:
        if anchor not in recorded:
            raise InputError(f"{path}: row 1: missing column r_{anchor} of anchor {anchor!r}")
    for what, names in (("ground truth", TRUTH), ("odometry", ODOMETRY)):
        if len({*names} & {*columns}) not in (0, len(names)):
            raise InputError(f"{path}: row 1: {what} needs all of {', '.join(names)}")
    return [columns[f"r_{anchor}"] for anchor in anchors.ids]


def load_range_table(path: Path, anchors: Anchors) -> Recording:
    """Read a range table. Raises InputError naming the file, row and column."""
    with open_text(path) as stream:
        header, rows = _rows(path, stream)
        column = _range_column(path, header, anchors)
        time_column = header.index("t_s")
        known = [
            [header.index(name) for name in names] if names[0] in header else []
            for names in (TRUTH, ODOMETRY, GYRO)
        ]
        times: list[float] = []
        ranges: list[list[float]] = []
        others: list[list[list[float]]] = []
        for number, row in rows:
            where = f"{path}: row {number}"
            if len(row) != len(header):
                raise InputError(f"{where}: expected {len(header)} columns, got {len(row)}")
            # To the nanosecond, as a ROS stamp: so that replayed epochs are found by their stamp.
            time = to_seconds(to_nanoseconds(_number(row[time_column], f"{where}, column t_s")))
            if times and time <= times[-1]:
                raise InputError(
                    f"{where}, column t_s: times must increase, got {time!r} after {times[-1]!r}"
                )
            times.append(time)
            ranges.append([_range(row[c], f"{where}, column {header[c]}") for c in column])
            others.append(
                [
                    [_number(row[c], f"{where}, column {header[c]}", missing=True) for c in columns]
                    for columns in known
                ]
            )
    if not times:
        raise InputError(f"{path}: no epochs below the header")
    truth, odometry, gyro = (
        np.array(rows) if columns else None
        for rows, columns in zip(zip(*others, strict=True), known, strict=True)
    )
    return Recording(
        path.stem,
        anchors,
        np.array(times),
        np.array(ranges),
        truth,
        odometry=odometry,
        turn_rate=None if gyro is None else gyro[:, 0],
    )


def _range(text: str, where: str) -> float:
    value = _number(text, where, missing=True)
    if value <= 0.0 or value > MAX_RANGE_M:
        raise InputError(f"{where}: expected a range in (0, {MAX_RANGE_M:g}] m, got {text!r}")
    return value


def save_range_table(path: Path, recording: Recording) -> None:
    """Write a range table (epoch times only; stamps and powers do not fit this format)."""
    rate = recording.turn_rate
    blocks = [
        (("t_s",), recording.times[:, None]),
        (TRUTH, recording.truth),
        (ODOMETRY, recording.odometry),
        (GYRO, None if rate is None else rate[:, None]),
        (tuple(f"r_{anchor}" for anchor in recording.anchors.ids), recording.ranges),
    ]
    names = [name for block, values in blocks if values is not None for name in block]
    columns = [values for _, values in blocks if values is not None]
    with write_atomically(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(value) for value in row] for row in np.hstack(columns).tolist())


def _cell(value: float) -> str:
    """The shortest text that reads back as the same float; empty for NaN."""
    return "" if value != value else repr(float(value))
