# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings as rosbag2: `uwb/anchors`, `uwb/ranges` and `ground_truth/pose`.

MCAP is written; MCAP and sqlite3 are read. A time that is a whole number of nanoseconds below
100 days comes back exactly; later ones (time of day) to the float's resolution, 0.24 us.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros.datasets.range_table import MAX_RANGE_M
from locdreamer_ros.datasets.rosbag2 import (
    SECOND_NS,
    BagWriter,
    message,
    read_messages,
    to_nanoseconds,
    to_seconds,
    typestore,
)
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Anchors, FloatArray, RangeStatus

__all__ = ["BagWriter", "read_bag", "typestore", "write_bag"]

ANCHORS = ("/uwb/anchors", "locdreamer_ros/msg/AnchorArray")
RANGES = ("/uwb/ranges", "locdreamer_ros/msg/RangeArray")
TRUTH = ("/ground_truth/pose", "geometry_msgs/msg/PoseStamped")
TRUTH_GAP_S = 0.5
"""Ground truth that has other stamps than the epochs is interpolated over gaps up to this."""
LAST_S = 2.0**31
"""builtin_interfaces/Time counts seconds in an int32."""


def write_bag(path: Path, recording: Recording, *, frame: str = "map", tag: str = "") -> None:
    """Write a recording as a rosbag2 folder: all anchors in each epoch, TIMEOUT where NaN.

    Raises InputError where a time does not fit a ROS time, or `path` is taken.
    """
    from tqdm import tqdm

    for times in (recording.times, recording.stamps):
        if times is not None and not (np.nanmin(times) >= 0.0 and np.nanmax(times) < LAST_S):
            raise InputError(
                f"{recording.name}: a bag needs times in [0, 2^31) s, "
                f"got {np.nanmin(times):g} .. {np.nanmax(times):g}"
            )
    store = typestore()
    stamps = [to_nanoseconds(float(time)) for time in recording.times]
    with BagWriter(path) as bag:

        def write(what: tuple[str, str], stamp: int, body: Any) -> None:
            topic, name = what
            bag.write(topic, name, stamp, store.serialize_cdr(body, name), latched=what is ANCHORS)

        write(ANCHORS, stamps[0], _anchor_array(recording.anchors, _header(stamps[0], frame)))
        for epoch, stamp in enumerate(tqdm(stamps, "writing bag", leave=False, delay=3)):
            header = _header(stamp, frame)
            if recording.truth is not None and not np.isnan(recording.truth[epoch]).all():
                write(TRUTH, stamp, _pose(recording.truth[epoch], header))
            write(RANGES, stamp, _range_array(recording, epoch, stamp, header, tag))


def _time(stamp: int) -> Any:
    seconds, rest = divmod(stamp, SECOND_NS)
    return message("builtin_interfaces/msg/Time", sec=seconds, nanosec=rest)


def _header(stamp: int, frame: str) -> Any:
    return message("std_msgs/msg/Header", stamp=_time(stamp), frame_id=frame)


def _point(position: FloatArray) -> Any:
    x, y, z = map(float, position)
    return message("geometry_msgs/msg/Point", x=x, y=y, z=z)


def _pose(position: FloatArray, header: Any) -> Any:
    upright = message("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    pose = message("geometry_msgs/msg/Pose", position=_point(position), orientation=upright)
    return message(TRUTH[1], header=header, pose=pose)


def _anchor_array(anchors: Anchors, header: Any) -> Any:
    surveyed = np.zeros(9)
    rows = [
        message(
            "locdreamer_ros/msg/Anchor", id=anchor, position=_point(position), covariance=surveyed
        )
        for anchor, position in zip(anchors.ids, anchors.positions, strict=True)
    ]
    return message(ANCHORS[1], header=header, anchors=rows)


def _range_array(recording: Recording, epoch: int, stamp: int, header: Any, tag: str) -> Any:
    def value(values: FloatArray | None, row: int) -> float:
        return math.nan if values is None else float(values[epoch, row])

    ranges = []
    for row, anchor in enumerate(recording.anchors.ids):
        metres, at = value(recording.ranges, row), value(recording.stamps, row)
        ranges.append(
            message(
                "locdreamer_ros/msg/AnchorRange",
                anchor=anchor,
                stamp=_time(stamp if math.isnan(at) else to_nanoseconds(at)),
                range=metres,
                variance=math.nan,
                status=int(RangeStatus.TIMEOUT if math.isnan(metres) else RangeStatus.OK),
                rx_power=value(recording.rx_power, row),
                first_path_power=value(recording.first_path_power, row),
                nlos_probability=value(recording.nlos, row),
            )
        )
    return message(RANGES[1], header=header, tag=tag, sequence=epoch, ranges=ranges)


def read_bag(path: Path) -> Recording:
    """Read a rosbag2 folder, or its single .mcap or .db3 file.

    The anchors are the last ones published. A range without status OK is NaN. Raises InputError
    naming the file and what is missing or wrong in it.
    """
    anchors = _read_anchors(path)
    times: list[int] = []
    # Per epoch and anchor: stamp s, range m, nlos, rx power, first-path power.
    rows: list[FloatArray] = []
    tag = None
    row_of = {anchor: row for row, anchor in enumerate(anchors.ids)}
    for body in read_messages(path, *RANGES):
        where = f"{path}: {RANGES[0]}: message {len(times) + 1}"
        time = _nanoseconds(body.header.stamp)
        if tag is not None and body.tag != tag:
            raise InputError(f"{where}: expected one tag, got {tag!r} and {body.tag!r}")
        tag = body.tag
        if times and time <= times[-1]:
            raise InputError(
                f"{where}: times must increase, got {to_seconds(time):.9f} "
                f"after {to_seconds(times[-1]):.9f}"
            )
        times.append(time)
        rows.append(_epoch(body, row_of, where))
    if not times:
        raise InputError(f"{path}: no message on {RANGES[0]} ({RANGES[1]})")
    stamps, ranges, *rest = np.moveaxis(np.array(rows), 2, 0)
    nlos, rx_power, first_path_power = (None if np.isnan(v).all() else v for v in rest)
    epochs = np.array([to_seconds(time) for time in times])
    stamps = np.where(np.isnan(stamps), epochs[:, None], stamps)
    return Recording(
        path.stem,
        anchors,
        epochs,
        ranges,
        _read_truth(path, times),
        None if (stamps == epochs[:, None]).all() else stamps,
        nlos,
        rx_power,
        first_path_power,
    )


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * SECOND_NS + int(stamp.nanosec)


def _read_anchors(path: Path) -> Anchors:
    published = list(read_messages(path, *ANCHORS))
    if not published or not published[-1].anchors:
        raise InputError(f"{path}: no anchors on {ANCHORS[0]} ({ANCHORS[1]})")
    last = published[-1]
    places = [(a.position.x, a.position.y, a.position.z) for a in last.anchors]
    try:
        return Anchors(tuple(a.id for a in last.anchors), np.array(places, dtype=np.float64))
    except InputError as reason:
        raise InputError(f"{path}: {ANCHORS[0]}: {reason}") from None


def _epoch(body: Any, row_of: dict[str, int], where: str) -> FloatArray:
    """One RangeArray as (A, 5): stamp, range, nlos, rx power, first-path power; NaN: not there."""
    epoch = np.full((len(row_of), 5), np.nan)
    for entry in body.ranges:
        row = row_of.get(entry.anchor)
        if row is None:
            raise InputError(
                f"{where}: unknown anchor {entry.anchor!r}; {ANCHORS[0]} has {', '.join(row_of)}"
            )
        if not np.isnan(epoch[row, 0]):
            raise InputError(f"{where}: anchor {entry.anchor!r} appears twice")
        good = entry.status == RangeStatus.OK
        if good and not 0.0 < entry.range <= MAX_RANGE_M:
            raise InputError(
                f"{where}: anchor {entry.anchor}: expected a range in (0, {MAX_RANGE_M:g}] m, "
                f"got {entry.range:g}"
            )
        epoch[row] = (
            to_seconds(_nanoseconds(entry.stamp)),
            entry.range if good else np.nan,
            entry.nlos_probability,
            entry.rx_power,
            entry.first_path_power,
        )
    return epoch


def _read_truth(path: Path, times: list[int]) -> FloatArray | None:
    """Ground truth (T, 3) m at the epochs' times, NaN where unknown; None where there is none."""
    poses: dict[int, tuple[float, float, float]] = {}
    for body in read_messages(path, *TRUTH):
        place = body.pose.position
        poses[_nanoseconds(body.header.stamp)] = (place.x, place.y, place.z)
    if not poses:
        return None
    unknown = (np.nan, np.nan, np.nan)
    if poses.keys() <= set(times):
        return np.array([poses.get(time, unknown) for time in times])
    known, wanted = np.array(sorted(poses)), np.array(times)  # ns
    places = np.array([poses[time] for time in known.tolist()])
    start = known[0]
    truth = np.stack(
        [
            np.interp(wanted - start, known - start, places[:, axis], left=np.nan, right=np.nan)
            for axis in range(3)
        ],
        axis=1,
    )
    after = np.searchsorted(known, wanted).clip(max=known.size - 1)
    before = (np.searchsorted(known, wanted, side="right") - 1).clip(min=0)
    truth[known[after] - known[before] > TRUTH_GAP_S * SECOND_NS] = np.nan
    return truth
