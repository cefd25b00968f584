# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loaders: each file format becomes a `Recording`, and nothing downstream knows which it was.

Tables are `range_table` (a row per epoch) and `long_table` (a row per range); `rows`, `columns`,
`cells`, `range_cells`, `clock` and `truth` read them as people write them. Bags are read by `bag`
and written by `bag_writer`, over `rosbag2`, `mcap` and `sqlite_bag`; `foreign_bag` takes the
messages of other packages. `bregar` is a data set of ranges at points, and `point_survey` draws
walks from such. A new format is a function that returns a `Recording`, called in `_load`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import anchors_of, truth_of
from locdreamer_ros.motion_checks import check_odometry, check_turning
from locdreamer_ros.recording import Recording
from locdreamer_ros.units import check_places, check_time, check_truth, check_units


def load_recording(
    path: Path,
    anchors: Path | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    height: float = 0.0,
    differences: bool = False,
) -> Recording:
    """Load a range table (.csv), a rosbag2 (folder, .mcap, .db3) or a point survey (.json, .npz).

    A table (.txt and .tsv are tables too) needs its anchors: `anchors`, else `<stem>_anchors.csv`
    beside it; truth that it does not hold is read from `<stem>_truth.csv`. The others know their
    anchors; there, `anchors` picks those it names and corrects their places. Of a point survey one
    walk is drawn (seed 0).

    columns: how a table calls its columns, see `load_range_table`, or a bag its topics and fields,
    see `read_bag`; height: of anchors without z, m; differences: whether the caller can use time
    differences in place of ranges. Raises InputError naming the file and what was expected, also
    where anchors and ranges cannot both be in metres.
    """
    recording = dataclasses.replace(_load(path, anchors, columns, height), file=str(path))
    where = str(path if anchors is None else anchors)
    if is_table(path) and anchors is None:
        where = str(anchors_of(path))
    check_places(recording.anchors, where)
    check_time(recording.times, str(path))
    if recording.turn_rate is not None:
        check_turning(recording.turn_rate, str(path))
    if recording.odometry is not None:
        check_odometry(recording.times, recording.odometry, str(path))
    if recording.differences:
        if not differences:
            recording.check_ranges()
        return recording
    check_units(recording.anchors, recording.times, recording.ranges, where, str(path))
    if recording.truth is not None:
        beside = truth_of(path) if is_table(path) and truth_of(path).is_file() else path
        check_truth(recording.anchors, recording.ranges, recording.truth, str(beside))
    return recording


def holds_differences(path: Path, anchors: Path | None = None) -> bool:
    """Whether a recording holds time differences in place of ranges, without reading it all.

    anchors: of a table, else those beside it. Raises InputError where it is no recording.
    """
    if is_table(path):
        from locdreamer_ros.datasets.range_table import holds_differences, load_anchors

        return holds_differences(path, load_anchors(anchors or _beside(path)))
    if path.is_dir() or path.suffix in (".mcap", ".db3"):
        from locdreamer_ros.datasets.bag import holds_blinks
        from locdreamer_ros.datasets.rosbag2 import open_bag

        return holds_blinks(open_bag(path))
    if path.suffix in (".json", ".npz"):
        return False
    raise not_read(path)


def _beside(table: Path) -> Path:
    """The anchors file beside a table. Raises InputError: there is none."""
    found = anchors_of(table)
    if not found.is_file():
        raise InputError(f"{table}: needs an anchors file (id,x,y,z); there is no {found.name}")
    return found


FOREIGN = {
    ".gz": "packed: unpack it, as with gunzip",
    ".zip": "packed: unpack it",
    ".xlsx": "an Excel file: save it as CSV",
    ".xls": "an Excel file: save it as CSV",
    ".ods": "a spreadsheet: save it as CSV",
    ".bag": "a bag of ROS 1: rosbags-convert --src X.bag --dst X makes a rosbag2 of it",
    ".jsonl": "JSON: write a table t_s,anchor,range",
    ".ndjson": "JSON: write a table t_s,anchor,range",
    ".mat": "of MATLAB: writetable makes a CSV of it",
    ".parquet": "of pandas: to_csv makes a CSV of it",
    ".pkl": "of pandas: to_csv makes a CSV of it",
    ".h5": "HDF5: write a table t_s,anchor,range",
}
"""What is not read, by its name's end, and what to do."""


def not_read(path: Path) -> InputError:
    """The complaint about a file that is no recording by its name."""
    what = FOREIGN.get(path.suffix.lower())
    return InputError(
        f"{path}: expected a range table (.csv), a rosbag2 (folder, .mcap, .db3) "
        f"or a point survey (.json, .npz){f'; it is {what}' if what else ''}"
    )


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name."""
    return path.suffix.lower() in (".csv", ".tsv", ".txt")


def _load(
    path: Path, anchors: Path | None, columns: Mapping[str, str] | None, height: float
) -> Recording:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_file() and path.suffix.lower() in FOREIGN:
        raise not_read(path)
    if is_table(path):
        from locdreamer_ros.datasets.range_table import load_anchors, load_range_table

        site = load_anchors(anchors or _beside(path), height)
        recording = load_range_table(path, site, columns)
        if recording.truth is None and truth_of(path).is_file():
            from locdreamer_ros.datasets.truth import read_truth

            truth = read_truth(truth_of(path), recording.times)
            return dataclasses.replace(recording, truth=truth)
        return recording
    known = None
    if anchors is not None:
        from locdreamer_ros.datasets.range_table import load_anchors

        known = load_anchors(anchors, height)
    if path.is_dir() or path.suffix in (".mcap", ".db3"):
        from locdreamer_ros.datasets.bag import read_bag

        return read_bag(path, known, columns)
    if columns:
        raise InputError(f"{path}: names of columns are for range tables (.csv) and bags")
    if path.suffix in (".json", ".npz"):
        from locdreamer_ros.datasets.bregar import load_survey
        from locdreamer_ros.datasets.point_survey import draw_walk

        recording = draw_walk(load_survey(path))
        if known is None:
            return recording
        return dataclasses.replace(recording.only(known.ids), anchors=known)
    raise not_read(path)
