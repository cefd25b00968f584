# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings as rosbag2: `uwb/anchors`, `uwb/ranges`, `ground_truth/pose`, `odometry` and `imu`.

Of time differences: `uwb/range_differences` in place of `uwb/ranges`.

MCAP and sqlite3 are written and read. A time that is a whole number of nanoseconds below
100 days comes back exactly; later ones (time of day) to the float's resolution, 0.24 us.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros.datasets.bag_anchors import holds, read_anchors
from locdreamer_ros.datasets.bag_messages import (
    ANCHORS,
    BASE_FRAME,
    IMU,
    NOT_MEASURED,
    ODOMETRY,
    ODOMETRY_FRAME,
    RANGES,
    TRUTH,
    anchor_array,
    header_of,
    imu_of,
    odometry_of,
    pose_of,
    range_array,
)
from locdreamer_ros.datasets.bag_tags import OneTag
from locdreamer_ros.datasets.bag_writer import VERSIONS, BagWriter
from locdreamer_ros.datasets.blink_bag import DIFFERENCES, difference_array, read_differences
from locdreamer_ros.datasets.cells import LeftOut
from locdreamer_ros.datasets.clock import BEGINS_S, at_epochs, dated, pace_of, row_order
from locdreamer_ros.datasets.columns import ANCHOR, RANGE_UNITS, TIME, VARIANCE, note
from locdreamer_ros.datasets.foreign_bag import ids_heard, read_places, read_ranges, topic_named
from locdreamer_ros.datasets.long_table import say_shared
from locdreamer_ros.datasets.range_cells import RangeCells
from locdreamer_ros.datasets.rosbag2 import (
    Bag,
    find_topic,
    open_bag,
    read_messages,
    received_messages,
    typestore,
)
from locdreamer_ros.errors import InputError
from locdreamer_ros.motion import wrapped, yaw_of
from locdreamer_ros.recording import Recording
from locdreamer_ros.stamps import nanoseconds, to_nanoseconds, to_seconds
from locdreamer_ros.types import Anchors, FloatArray, RangeStatus

__all__ = ["BagWriter", "read_bag", "typestore", "write_bag"]

TOPICS = ("anchors", "ranges", "truth", "odometry", "imu")
ROLES = (*TOPICS, "tag", "time", ANCHOR, *RANGE_UNITS, VARIANCE)
QUALITY = ("nlos_probability", "rx_power", "first_path_power", "variance")
LAST_S = 2.0**31
"""builtin_interfaces/Time counts seconds in an int32."""


def write_bag(
    path: Path,
    recording: Recording,
    *,
    frame: str = "map",
    tag: str = "",
    storage: str = "mcap",
    version: int = VERSIONS[-1],
) -> None:
    """Write a recording as a rosbag2 folder: all anchors in each epoch, TIMEOUT where NaN.

    storage, version: see `BagWriter`. Raises InputError where a time does not fit a ROS time,
    `path` is taken or cannot be written.
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
    with BagWriter(path, storage=storage, version=version) as bag:

        def write(what: tuple[str, str], stamp: int, body: Any) -> None:
            topic, name = what
            bag.write(topic, name, stamp, store.serialize_cdr(body, name), latched=what is ANCHORS)

        write(ANCHORS, stamps[0], anchor_array(recording.anchors, header_of(stamps[0], frame)))
        for epoch, stamp in enumerate(tqdm(stamps, "writing bag", leave=False, delay=3)):
            header = header_of(stamp, frame)
            if recording.truth is not None and not np.isnan(recording.truth[epoch]).all():
                write(TRUTH, stamp, pose_of(recording.truth[epoch], header))
            if recording.odometry is not None and np.isfinite(recording.odometry[epoch]).all():
                write(
                    ODOMETRY,
                    stamp,
                    odometry_of(recording.odometry[epoch], header_of(stamp, ODOMETRY_FRAME)),
                )
            if recording.turn_rate is not None and np.isfinite(recording.turn_rate[epoch]):
                rate = float(recording.turn_rate[epoch])
                write(IMU, stamp, imu_of(rate, header_of(stamp, BASE_FRAME)))
            if not recording.differences:
                write(RANGES, stamp, range_array(recording, epoch, stamp, header, tag))
            elif (blink := difference_array(recording, epoch, header, tag)) is not None:
                write(DIFFERENCES, stamp, blink)


def read_bag(
    path: Path, anchors: Anchors | None = None, topics: Mapping[str, str] | None = None
) -> Recording:
    """Read a rosbag2 folder, or its single .mcap or .db3 file.

    anchors: those to read, at their places; else all of the bag, where they were published last.
    topics: what a topic is called in this bag, by what it is: anchors, ranges, truth, odometry,
    imu; for ranges of other types their fields too, see `foreign_bag`. A range without status OK is
    NaN. Raises InputError naming the file and what is missing or wrong in it.
    """
    bag = open_bag(path)
    named = _checked(dict(topics or {}))
    picked = anchors is not None
    where = named.get("anchors", ANCHORS[0])
    if anchors is None:
        anchors = read_anchors(bag, where)
    elif find_topic(bag, where) is not None:
        read_anchors(bag, where).rows(anchors.ids)  # complains of one that is not there
    foreign = _is_foreign(bag, named)
    usual = (
        DIFFERENCES[0] if holds_blinks(bag) and not foreign and "ranges" not in named else RANGES[0]
    )
    tag = OneTag(named.get("tag"))
    if usual == DIFFERENCES[0]:
        recording = read_differences(bag, usual, anchors, picked, tag)
    elif foreign:
        recording = read_ranges(bag, named, anchors)
    else:
        topic = named.get("ranges", RANGES[0])
        recording = _read_range_arrays(bag, topic, anchors, picked, tag)
    times = [to_nanoseconds(float(time)) for time in recording.times]
    odometry = _read_odometry(path, named.get("odometry"), times, usual)
    turn_rate = _read_gyro(path, named.get("imu"), times, usual)
    for role, found, (_, kind) in (("odometry", odometry, ODOMETRY), ("imu", turn_rate, IMU)):
        if found is None and role not in named:
            _say_unread(bag, role, kind)
    return dataclasses.replace(
        recording,
        truth=_read_truth(bag, named.get("truth"), times, tag),
        odometry=odometry,
        turn_rate=turn_rate,
    )


def holds_blinks(bag: Bag) -> bool:
    """Whether it holds time differences, and no ranges of our own type."""
    return find_topic(bag, RANGES[0]) is None and find_topic(bag, DIFFERENCES[0]) is not None


def _say_unread(bag: Bag, role: str, kind: str) -> None:
    """A robot's topics have names of their own: what could be meant is said, not guessed."""
    topics = {channel.topic for channel in bag.channels}
    meant = [
        channel.topic
        for channel in sorted(bag.channels)
        if channel.type == kind
        and channel.total
        and f"{channel.topic.rpartition('/')[0]}/status" not in topics  # not a tracker's own
    ]
    if meant:
        note(bag.path, f"not read: {', '.join(meant)} ({kind}); --columns {role}={meant[0]} does")


def foreign_ids(path: Path, topics: Mapping[str, str]) -> tuple[str, ...]:
    """Ids of the anchors whose ranges another's bag holds; none where the ranges are our own type.

    topics: see `read_bag`. Raises InputError.
    """
    bag, named = open_bag(path), _checked(dict(topics))
    return ids_heard(bag, named) if _is_foreign(bag, named) else ()


def _is_foreign(bag: Bag, named: Mapping[str, str]) -> bool:
    """Whether ranges are of other types than ours."""
    if any(role.startswith("r_") for role in named):
        return True
    return "ranges" in named and topic_named(bag, named["ranges"]).type != RANGES[1]


def _checked(named: dict[str, str]) -> dict[str, str]:
    """The mapping with `time` as `t_s`. Raises InputError for what is no role."""
    for role in named:
        if role not in ROLES and not role.startswith("r_"):
            raise InputError(f"columns: unknown {role!r}; a bag has {', '.join(ROLES)}, r_<id>")
    if "time" in named:
        named[TIME] = named.pop("time")
    return named


def _read_range_arrays(
    bag: Bag, topic: str, anchors: Anchors, picked: bool, tag: OneTag
) -> Recording:
    """Ranges of our own type; picked: of other anchors than `anchors` there may be some too."""
    path = bag.path
    row_of = {anchor: row for row, anchor in enumerate(anchors.ids)}
    times: list[int] = []
    # Per epoch and anchor: stamp s, range m, and `QUALITY`.
    rows: list[FloatArray] = []
    arrived: list[int] = []
    asked = goes_on = False
    cells = RangeCells(no_answer=(math.inf,))  # a status says what 65.535 says in a table
    number, left_out = 0, LeftOut()
    messages = received_messages(path, topic, RANGES[1])
    for number, (received, body) in enumerate(messages, start=1):
        where = f"{path}: {topic}: message {number}"
        time = nanoseconds(body.header.stamp)
        if not tag.takes(getattr(body, "tag", ""), where):
            continue
        again = goes_on and time == times[-1]
        try:
            epoch = _epoch(body, row_of, where, cells, None if picked else left_out)
            if again:  # the tracker asked on for the same fix
                rows[-1] = _both(rows[-1], epoch, anchors, where)
        except InputError as reason:
            left_out.add(reason)
            continue
        goes_on = getattr(body, "more", False)
        asked = asked or bool(getattr(body, "session", 0) or getattr(body, "sequence", 0))
        if not again:
            times.append(time)
            rows.append(epoch)
            arrived.append(received)
    for said in left_out.notes(number, anchors.ids):
        note(path, said)
    if not times:
        kind = f"{RANGES[1]}){tag.missing()}"
        raise InputError(f"{path}: no message on {topic} ({kind}; {holds(bag)}")
    note(path, cells.note())
    epochs, came = (np.array([to_seconds(time) for time in x]) for x in (times, arrived))
    table = np.array(rows)
    if not asked:  # else stamps are of the time of who asked
        epochs, why = dated(epochs, np.nan_to_num(table[:, :, 0]).max(axis=1), came)
        note(path, why)
        note(path, pace_of(epochs, came))
    order, why = row_order(epochs)
    note(path, why)
    if order is not None:
        epochs, table = epochs[order], table[order]
    both = np.isfinite(table[1:, :, 1]) & np.isfinite(table[:-1, :, 1])
    other = (both & (table[1:, :, 1] != table[:-1, :, 1])).any(axis=1)
    shared = int(np.count_nonzero((np.diff(epochs) == 0.0) & other))
    say_shared(path, shared, epochs.size, "the row before")
    stamps, ranges, *rest = np.moveaxis(table, 2, 0)
    nlos, rx_power, first_path_power, variance = (None if np.isnan(v).all() else v for v in rest)
    none = np.isnan(stamps) | ((stamps == 0.0) & (epochs[:, None] > BEGINS_S))
    stamps = np.where(none, epochs[:, None], stamps)
    return Recording(
        path.stem,
        anchors,
        epochs,
        ranges,
        stamps=None if (stamps == epochs[:, None]).all() else stamps,
        nlos=nlos,
        rx_power=rx_power,
        first_path_power=first_path_power,
        variance=variance,
    )


def _epoch(
    body: Any, row_of: dict[str, int], where: str, cells: RangeCells, left_out: LeftOut | None
) -> FloatArray:
    """One RangeArray as (A, 6): stamp, range and `QUALITY`; NaN: not there.

    left_out: counts other anchors than those of the site; None: they are meant to be left out.
    """
    epoch = np.full((len(row_of), 2 + len(QUALITY)), np.nan)
    others = [entry.anchor for entry in body.ranges if entry.anchor not in row_of]
    if left_out is not None and others:
        left_out.strangers(others, row_of, where, useless=len(others) == len(body.ranges))
    for entry in body.ranges:
        row = row_of.get(entry.anchor)
        if row is None:
            continue
        if not np.isnan(epoch[row, 0]):
            raise InputError(f"{where}: anchor {entry.anchor!r} appears twice")
        good = entry.status == RangeStatus.OK
        epoch[row] = (
            to_seconds(nanoseconds(entry.stamp)),
            cells.metres(entry.range, f"{where}: anchor {entry.anchor}") if good else np.nan,
            *(getattr(entry, name, np.nan) for name in QUALITY),
        )
    return epoch


def _both(before: FloatArray, more: FloatArray, anchors: Anchors, where: str) -> FloatArray:
    """Two answers for one epoch as one."""
    twice = ~np.isnan(before[:, 0]) & ~np.isnan(more[:, 0])
    if twice.any():
        raise InputError(f"{where}: anchor {anchors.ids[int(np.argmax(twice))]!r} appears twice")
    return np.where(np.isnan(before[:, :1]), more, before)


def _read_truth(bag: Bag, topic: str | None, times: list[int], tag: OneTag) -> FloatArray | None:
    """Ground truth (T, 3) m at the epochs' times, NaN where unknown; None where there is none.

    Where there are several tags it is of nobody knows whom, unless its topic is named.
    """
    poses: dict[int, tuple[float, float, float]] = {}
    if topic is None and tag.others:
        return None
    if topic is not None:
        poses.update(read_places(bag, topic))
    else:
        for body in read_messages(bag.path, *TRUTH):
            place = body.pose.position
            poses[nanoseconds(body.header.stamp)] = (place.x, place.y, place.z)
    if not poses:
        return None
    known = sorted(poses)
    return at_epochs(known, np.array([poses[time] for time in known]), times)


def _motion(path: Path, topic: str | None, standard: tuple[str, str], beside: str) -> Iterator[Any]:
    """Messages of the topic named, else of the robot whose ranges are on the topic `beside`."""
    if topic is None:
        return read_messages(path, *standard, beside=beside)
    return read_messages(path, topic, standard[1])


def _read_odometry(
    path: Path, topic: str | None, times: list[int], beside: str
) -> FloatArray | None:
    """Odometry (T, 3) x m, y m, yaw rad at the epochs' times; None where there is none."""
    poses: dict[int, tuple[float, float, float]] = {}
    for number, body in enumerate(_motion(path, topic, ODOMETRY, beside), start=1):
        place, turn = body.pose.pose.position, body.pose.pose.orientation
        try:
            yaw = yaw_of(turn.x, turn.y, turn.z, turn.w)
        except InputError as reason:
            raise InputError(f"{path}: {ODOMETRY[0]}: message {number}: {reason}") from None
        _check_finite(path, ODOMETRY[0], number, place.x, place.y)
        poses[nanoseconds(body.header.stamp)] = (place.x, place.y, yaw)
    if not poses:
        return None
    known = sorted(poses)
    values = np.array([poses[time] for time in known])
    values[:, 2] = np.unwrap(values[:, 2])
    odometry = at_epochs(known, values, times)
    odometry[:, 2] = wrapped(odometry[:, 2])
    return odometry


def _read_gyro(path: Path, topic: str | None, times: list[int], beside: str) -> FloatArray | None:
    """The turn rate (T,) rad/s at the epochs' times; None where there is none."""
    rates: dict[int, float] = {}
    for number, body in enumerate(_motion(path, topic, IMU, beside), start=1):
        if body.angular_velocity_covariance[0] != NOT_MEASURED:
            _check_finite(path, IMU[0], number, body.angular_velocity.z)
            rates[nanoseconds(body.header.stamp)] = body.angular_velocity.z
    if not rates:
        return None
    known = sorted(rates)
    return at_epochs(known, np.array([[rates[time]] for time in known]), times)[:, 0]


def _check_finite(path: Path, topic: str, number: int, *values: float) -> None:
    if not all(map(math.isfinite, values)):
        raise InputError(f"{path}: {topic}: message {number}: expected finite numbers")
