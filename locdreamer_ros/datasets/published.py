# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Public recordings, each from the files that its authors publish. The package ships none of them.

A reader per data set, all of one form: `source` (a file or folder of the data set), and the anchors
where the data set has no file of them. Times begin at 0; ranges keep their own stamps.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from locdreamer_ros.datasets.cells import (
    ODOMETRY,
    TRUTH,
    check_count,
    number,
)
from locdreamer_ros.datasets.columns import note
from locdreamer_ros.datasets.long_table import recording_of_rows
from locdreamer_ros.datasets.range_cells import RangeCells
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import open_text, read_yaml
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Anchors, FloatArray

LONGEST_LINE = 1 << 20


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Cells of each line with its number; comma or white space; `#` and `%` begin a comment."""
    found = []
    with open_text(path) as stream:
        at = 0
        while line := stream.readline(LONGEST_LINE):
            at += 1
            if len(line) == LONGEST_LINE:
                raise InputError(f"{path}: line {at}: longer than {LONGEST_LINE} characters")
            text = line.split("#")[0].strip()
            if text and not text.startswith("%"):
                cells = text.split(",") if "," in text else text.split()
                found.append((at, [cell.strip() for cell in cells]))
                check_count(path, len(found))
    if not found:
        raise InputError(f"{path}: empty file")
    return found


def _columns(path: Path, count: int, *, skip: int = 0) -> FloatArray:
    """The first `count` numbers of each line after `skip` lines: (N, count)."""
    values = array("d")
    for at, cells in _lines(path)[skip:]:
        if len(cells) < count:
            raise InputError(f"{path}: line {at}: expected {count} numbers, got {len(cells)}")
        values.extend(number(cell, f"{path}: line {at}") for cell in cells[:count])
    if not values:
        raise InputError(f"{path}: no rows")
    return np.array(values).reshape(-1, count)


def _recording(
    path: Path,
    anchors: Anchors,
    rows: FloatArray,
    truth: FloatArray | None,
    odometry: FloatArray | None = None,
) -> Recording:
    """From rows (N, 3): stamp s, anchor's row, range m; truth and odometry (M, 4), stamp first."""
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    stamps = rows[:, 0]
    columns, names = [rows], []
    for samples, what in ((truth, TRUTH), (odometry, ODOMETRY)):
        if samples is not None:
            at = samples[:, 0]
            columns.append(
                np.column_stack(
                    [np.interp(stamps, at, x, left=np.nan, right=np.nan) for x in samples[:, 1:].T]
                )
            )
            names += list(what)
    # Nanoseconds, as in every loader.
    times = np.round(stamps - stamps[0], 9)
    return recording_of_rows(path, anchors, times, np.hstack(columns), names)


def _ranges(path: Path, values: FloatArray) -> FloatArray:
    """Ranges in m, NaN where there was none, said."""
    cells = RangeCells()
    flat = [cells.metres(value, str(path)) for value in values.ravel().tolist()]
    ranges = cells.settled(np.array(flat))
    note(path, cells.note())
    return ranges.reshape(values.shape)


def _rotated(quaternion: FloatArray, vector: FloatArray) -> FloatArray:
    """A vector (3,) turned by quaternions (N, 4), x y z w: (N, 3)."""
    xyz, w = quaternion[:, :3], quaternion[:, 3:]
    cross = 2.0 * np.cross(xyz, vector)
    return np.asarray(vector + w * cross + np.cross(xyz, cross))


def read_inrol(source: Path, _: Anchors | None) -> Recording:
    """`parsed_dataset` of one example: `uwb.txt`, `anchor.txt` and a pose file.

    The antennas' places on IMU, camera and anchors are those of `example/config/parameter.yaml`.
    """
    folder = source / "parsed_dataset" if (source / "parsed_dataset").is_dir() else source
    body = next((b for b in ("imu", "cam", "tag") if (folder / f"{b}_pose.txt").is_file()), None)
    if body is None:
        raise InputError(f"{folder}: no imu_pose.txt, cam_pose.txt or tag_pose.txt")
    ways = _extrinsics(folder.parents[1] / "config" / "parameter.yaml")
    tag = {
        "imu": np.linalg.inv(ways["T_mocap_cam"] @ ways["T_cam_imu"]) @ ways["T_mocap_tag"],
        "cam": np.linalg.inv(ways["T_mocap_cam"]) @ ways["T_mocap_tag"],
        "tag": np.eye(4),
    }[body]
    surveyed = _columns(folder / "anchor.txt", 8)
    places = surveyed[:, 1:4]
    if body != "cam":  # there the anchors' antennas are given, not their bodies
        places = places + _rotated(surveyed[:, 4:], ways["T_mocap_anchor"][:3, 3])
    anchors = Anchors(tuple(f"{row:.0f}" for row in surveyed[:, 0]), places)
    heard = _columns(folder / "uwb.txt", 4)
    rows = np.column_stack([heard[:, 1], anchors.rows([f"{a:.0f}" for a in heard[:, 2]]),
                            _ranges(folder / "uwb.txt", heard[:, 3])])  # fmt: skip
    poses = _columns(folder / f"{body}_pose.txt", 8)
    truth = poses[:, 1:4] + _rotated(poses[:, 4:], tag[:3, 3])
    return _recording(folder.parent, anchors, rows, np.column_stack([poses[:, 0], truth]))


def _extrinsics(path: Path) -> Mapping[str, FloatArray]:
    tree = read_yaml(path)
    names = ("T_mocap_tag", "T_mocap_anchor", "T_mocap_cam", "T_cam_imu")
    try:
        ways = {name: np.array(tree["extrinsics"][name], dtype=np.float64) for name in names}
    except (TypeError, KeyError, ValueError):
        ways = {}
    if any(way.shape != (4, 4) for way in ways.values()) or not ways:
        raise InputError(f"{path}: extrinsics: expected 4 x 4 matrices {', '.join(names)}")
    return ways


def read_librsf(source: Path, _: Anchors | None) -> Recording:
    """Labyrinth: `Indoor_UWB_Input.txt` with `Indoor_UWB_GT.txt` beside it, or their folder."""
    path = source / "Indoor_UWB_Input.txt" if source.is_dir() else source
    places: dict[str, list[float]] = {}
    heard: list[tuple[float, str, float]] = []
    wheels: list[list[float]] = []
    for at, cells in _lines(path):
        where = f"{path}: line {at}"
        values = [number(cell, where) for cell in cells[1:]]
        if cells[0] == "range2" and len(values) >= 6:
            time, distance, _variance, x, y, anchor = values[:6]
            places.setdefault(f"{anchor:.0f}", [x, y, 0.0])
            heard.append((time, f"{anchor:.0f}", distance))
        elif cells[0] == "odom2diff" and len(values) >= 5:
            wheels.append(values[:5])
        elif cells[0] not in ("range2", "odom2diff"):
            continue
        else:
            raise InputError(f"{where}: too few numbers for {cells[0]}")
    if not heard:
        raise InputError(f"{path}: no lines of range2")
    anchors = Anchors(tuple(places), np.array(list(places.values())))
    metres = _ranges(path, np.array([row[2] for row in heard]))
    rows = np.column_stack(
        [[row[0] for row in heard], anchors.rows([row[1] for row in heard]), metres]
    )
    truth = [
        [*(number(cell, str(path)) for cell in cells[1:4]), np.nan]
        for _, cells in _lines(path.with_name(path.name.replace("_Input", "_GT")))
        if cells[0] == "point2" and len(cells) >= 4
    ]
    odometry = _integrated(np.array(wheels)) if wheels else None
    return _recording(path, anchors, rows, np.array(truth) if truth else None, odometry)


def _integrated(wheels: FloatArray) -> FloatArray:
    """Stamp, x, y, yaw (N, 4) of rows (N, 5): stamp, velocities of two wheels, sideways, base m.

    The readme calls the first wheel the right one and the base whole. Against the truth that is
    .9 m off in the labyrinth's 2.4 m; with the first as the left one and half a base it is .07 m.
    """
    time, left, right, sideways, half = wheels.T
    step = np.diff(time, prepend=time[0])
    base = np.where(half > 0.0, 2.0 * half, np.inf)
    turn = (right - left) / base
    yaw = np.cumsum(turn * step)
    ahead = 0.5 * (right + left)
    x = np.cumsum((ahead * np.cos(yaw) - sideways * np.sin(yaw)) * step)
    y = np.cumsum((ahead * np.sin(yaw) + sideways * np.cos(yaw)) * step)
    return np.column_stack([time, x, y, yaw])


LEIRIA_POINTS = {"pos1": (12.861, 2.983, 1.658), "pos2": (2.091, 0.989, 0.727)}
LEIRIA_BELT = {
    "slow": ((6.757, 2.346, 0.884), (12.093, 2.382, 0.890)),
    "fast": ((6.703, 2.354, 0.888), (12.210, 2.371, 0.894)),
}
"""Places of the tag, and begin and end of the conveyor, as the authors' scripts state them, m."""


def read_leiria(source: Path, _: Anchors | None) -> Recording:
    """A file of `software/dataset`; anchors and encoder are found in the repository around it.

    Truth is the point, or on the conveyor the way between its ends by the encoder's pulses.
    """
    root = source.resolve().parents[1]
    corners = _columns(root / "anchor_coordinates", 3) / 1000.0
    anchors = Anchors(tuple(f"A{row + 1}" for row in range(len(corners))), corners)
    wide = "move" not in source.name  # with the impulse response's figures besides
    block = 14 if wide else 4
    stamps, values = [], []
    for at, cells in _lines(source):
        if len(cells) < 5 + block * (len(anchors) - 1):
            raise InputError(f"{source}: line {at}: expected {len(anchors)} ranges")
        stamps.append(_day(cells[0], f"{source}: line {at}"))
        values.append(
            [
                number(c, f"{source}: line {at}", missing=True) / 1000.0
                for c in cells[4 : 5 + 7 * block : block]
            ]
        )
    metres = _ranges(source, np.array(values))
    time = np.array(stamps)
    rows = np.column_stack(
        [
            np.repeat(time, len(anchors)),
            np.tile(np.arange(len(anchors)), time.size),
            metres.ravel(),
        ]
    )
    known = source.name.rpartition("_")[2]
    if known in LEIRIA_BELT:
        file = root / "movement_test" / "encoder_dataset" / f"Pos_encoder_{known}"
        pulses = np.array([_day(c[0], f"{file}: line {at}") for at, c in _lines(file)])
        begin, end = map(np.array, LEIRIA_BELT[known])
        way = np.linspace(0.0, 1.0, pulses.size)[:, None]
        truth = np.column_stack([pulses, begin + way * (end - begin)])
        rows = rows[(rows[:, 0] >= pulses[0]) & (rows[:, 0] <= pulses[-1])]
    elif known in LEIRIA_POINTS:
        truth = np.array([[stamp, *LEIRIA_POINTS[known]] for stamp in (time[0], time[-1])])
    else:
        raise InputError(f"{source}: expected a name ending in {', '.join(LEIRIA_POINTS)}, "
                         f"{' or '.join(LEIRIA_BELT)}: the place is known by it")  # fmt: skip
    if not len(rows):
        raise InputError(f"{source}: no range while the encoder ran")
    return _recording(source, anchors, rows, truth)


def _day(text: str, where: str) -> float:
    """Seconds of the day of `22:31:53.054377`."""
    try:
        found = datetime.strptime(text, "%H:%M:%S.%f")
    except ValueError:
        raise InputError(f"{where}: expected a time of day, got {text[:40]!r}") from None
    return found.hour * 3600.0 + found.minute * 60.0 + found.second + found.microsecond / 1e6


def read_hanyang(source: Path, _: Anchors | None) -> Recording:
    """A case: `A*.csv` of each anchor and `trajectory.csv`. Heights are relative: left unknown."""
    places: dict[str, FloatArray] = {}
    parts = []
    files = sorted(source.glob("A[0-9]*.csv"), key=lambda file: int(file.stem[1:] or 0))
    if not files:
        raise InputError(f"{source}: no A<number>.csv")
    for file in files:
        # time, stamp (ns), id, x, y, z, distance, two powers; its header begins with %.
        table = _columns(file, 7)
        metres = _ranges(file, table[:, 6])
        stamps = table[:, 1] / 1e9
        parts.append(np.column_stack([stamps, np.full(len(table), len(places)), metres]))
        places[file.stem] = np.median(table[:, 3:6], axis=0)
    anchors = Anchors(tuple(places), np.array(list(places.values())))
    truth = _columns(source / "trajectory.csv", 3, skip=1)
    truth = np.column_stack([truth[:, 0] / 1e9, truth[:, 1:], np.full(len(truth), np.nan)])
    return _recording(source, anchors, np.vstack(parts), truth)


LIAS_TAGS = np.array([[-0.0689, -0.1423, 0.0011], [-0.0750, 0.1402, 0.0016],
                      [0.2034, 0.1451, -0.0008]])  # fmt: skip
"""Antennas in the trolley's frame, m."""


def read_lias(source: Path, anchors: Anchors | None) -> Recording:
    """`UWB_*.csv` with `motion_capture_*.csv` beside it: tag 0; anchors in the columns' order.

    24 ranges a row: a0-t0, a0-t1, a0-t2, a1-t0, ... The plate hangs upside down in the capture.
    """
    if anchors is None or len(anchors) != 8:
        raise InputError(f"{source}: needs --anchors FILE with the eight anchors in their order")
    capture = source.with_name(source.name.replace("UWB_", "motion_capture_"))
    stamps, values = _dated(source, 24)
    when, pose = _dated(capture, 7)
    metres = _ranges(source, values[:, 0::3])
    rows = np.column_stack([np.repeat(stamps, 8), np.tile(np.arange(8), stamps.size),
                            metres.ravel()])  # fmt: skip
    yaw = 2.0 * np.arctan2(pose[:, 5], pose[:, 4])
    x, y, z = LIAS_TAGS[0]
    arm = np.column_stack(
        [np.cos(yaw) * x - np.sin(yaw) * y, np.sin(yaw) * x + np.cos(yaw) * y, np.full(yaw.size, z)]
    )
    return _recording(source, anchors, rows, np.column_stack([when, pose[:, :3] + arm]))


def _dated(path: Path, count: int) -> tuple[FloatArray, FloatArray]:
    """Stamps (N,) s and values (N, count) of lines `2022-08-15 9:42:24.766,1.5,...`."""
    stamps, values = [], []
    for at, cells in _lines(path):
        where = f"{path}: line {at}"
        if cells[0] == "time":
            continue
        if len(cells) < 1 + count:
            raise InputError(f"{where}: expected a date with a time and {count} numbers")
        try:
            date = datetime.strptime(cells[0], "%Y-%m-%d %H:%M:%S.%f")
        except ValueError:
            raise InputError(f"{where}: expected a date and a time, got {cells[0]!r}") from None
        stamps.append(date.replace(tzinfo=timezone.utc).timestamp())
        values.append([number(cell, where, missing=True) for cell in cells[1 : 1 + count]])
    if not stamps:
        raise InputError(f"{path}: no rows")
    return np.array(stamps), np.array(values)


READERS: Mapping[str, Callable[[Path, Anchors | None], Recording]] = {
    "inrol": read_inrol,
    "leiria": read_leiria,
    "librsf": read_librsf,
    "hanyang": read_hanyang,
    "lias": read_lias,
}


def thinned(recording: Recording, rate: float) -> Recording:
    """At most `rate` epochs a second, each as it was recorded."""
    kept = np.zeros(len(recording), dtype=np.bool_)
    last = -np.inf
    for row, time in enumerate(recording.times.tolist()):
        if time >= last + 1.0 / rate - 1e-6 or time < last:
            kept[row], last = True, time
    return recording.rows(kept)
