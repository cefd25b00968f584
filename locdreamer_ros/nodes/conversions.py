# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Between ROS messages and the core's types; needs no running graph.

Every number is cast: rclpy aborts the process on np.float32, np.bool_ or an int for a float. What
comes in is checked: a malformed message raises InputError, and the node that reads it drops it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    Point,
    PoseStamped,
    PoseWithCovarianceStamped,
    Quaternion,
    TransformStamped,
    Vector3,
)
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Imu
from std_msgs.msg import Header
from transforms3d.euler import euler2quat

from locdreamer_ros.datasets.bag_messages import BASE_FRAME, NOT_MEASURED, ODOMETRY_FRAME
from locdreamer_ros.datasets.range_table import MAX_RANGE_M
from locdreamer_ros.errors import InputError
from locdreamer_ros.motion import yaw_of
from locdreamer_ros.msg import (
    Anchor,
    AnchorArray,
    AnchorRange,
    AnchorSchedule,
    RangeArray,
    RangeDifference,
    RangeDifferenceArray,
)
from locdreamer_ros.stamps import SECOND_NS, nanoseconds, to_nanoseconds, to_seconds
from locdreamer_ros.types import (
    LONGEST_ID,
    Anchors,
    Estimate,
    FloatArray,
    IntArray,
    Ranges,
    RangeStatus,
)
from locdreamer_ros.units import check_places

UNKNOWN_VARIANCE = 1e6
"""Variance of what is not estimated (height in 2-D, orientation), m^2 or rad^2."""
MAX_OFFSET_NS = 10 * SECOND_NS
"""A range this far from its epoch does not belong to it."""
MAX_ANCHORS = 1000
"""No message names more: what is done for a message grows with it."""
QUALITY = {
    "variance": (0.0, MAX_RANGE_M**2),
    "rx_power": (-300.0, 100.0),
    "first_path_power": (-300.0, 100.0),
    "nlos_probability": (0.0, 1.0),
}
"""Least and greatest value of what a device says of a range."""
Say = Callable[[str], None]
"""Who is told of what is not used."""


def to_stamp(ns: int) -> Time:
    """The stamp of `ns` nanoseconds."""
    sec, nanosec = divmod(ns, SECOND_NS)
    return Time(sec=sec, nanosec=nanosec)


def header(ns: int, frame: str) -> Header:
    """A header at `ns` in `frame`."""
    return Header(stamp=to_stamp(ns), frame_id=frame)


def point(position: FloatArray, height: float = 0.0) -> Point:
    """A point from (2,) or (3,) m; a 2-D position lies at `height` m."""
    z = position[2] if position.size == 3 else height
    return Point(x=float(position[0]), y=float(position[1]), z=float(z))


def to_anchors(anchors: Anchors, ns: int, frame: str) -> AnchorArray:
    """The site's anchors, surveyed exactly."""
    entries = [
        Anchor(id=anchor, position=point(position))
        for anchor, position in zip(anchors.ids, anchors.positions, strict=True)
    ]
    return AnchorArray(header=header(ns, frame), anchors=entries)


def from_anchors(message: AnchorArray) -> Anchors:
    """The anchors of a message.

    Raises InputError: none, more than 1000, an empty, long or repeated id, a position that is not
    finite or cannot be of the site.
    """
    if not 0 < len(message.anchors) <= MAX_ANCHORS:
        raise InputError(
            f"uwb/anchors: expected 1 to {MAX_ANCHORS} anchors, got {len(message.anchors)}"
        )
    for anchor in message.anchors:
        if not 0 < len(anchor.id) <= LONGEST_ID:
            raise InputError(f"uwb/anchors: expected ids of 1 to {LONGEST_ID} letters")
    places = np.array([(a.position.x, a.position.y, a.position.z) for a in message.anchors])
    try:
        anchors = Anchors(tuple(a.id for a in message.anchors), places)
    except InputError as reason:
        raise InputError(f"uwb/anchors: {reason}") from None
    check_places(anchors, "uwb/anchors")
    return anchors


def check_schedule(message: AnchorSchedule) -> None:
    """Raises InputError: more than 1000 anchors, a long id, an anchor asked twice."""
    where = f"uwb/schedule: sequence {message.sequence}"
    if len(message.anchors) > MAX_ANCHORS:
        raise InputError(f"{where}: expected at most {MAX_ANCHORS} anchors")
    if any(len(anchor) > LONGEST_ID for anchor in message.anchors):
        raise InputError(f"{where}: expected ids of at most {LONGEST_ID} letters")
    if len(set(message.anchors)) != len(message.anchors):
        raise InputError(f"{where}: an anchor is asked twice")


def to_schedule(
    anchor: IntArray,
    anchors: Anchors,
    *,
    ns: int,
    deadline: int,
    sequence: int,
    tag: str,
    frame: str,
    session: int = 0,
    more: bool = False,
) -> AnchorSchedule:
    """Ask the anchors of these rows (K,) for the fix at `ns`, to be answered by `deadline` ns.

    more: another schedule for this fix follows the answer.
    """
    return AnchorSchedule(
        header=header(ns, frame),
        tag=tag,
        session=session,
        sequence=sequence,
        anchors=[anchors.ids[row] for row in anchor],
        deadline=to_stamp(deadline),
        more=more,
    )


def not_offered(anchor: str, ns: int) -> AnchorRange:
    """The answer for an anchor that the source does not know."""
    nan = float("nan")
    return AnchorRange(
        anchor=anchor,
        stamp=to_stamp(ns),
        range=nan,
        variance=nan,
        status=int(RangeStatus.NOT_OFFERED),
        rx_power=nan,
        first_path_power=nan,
        nlos_probability=nan,
    )


def to_ranges(ranges: Ranges, anchors: Anchors) -> list[AnchorRange]:
    """One entry per range, in order."""
    columns = (
        ranges.anchor,
        ranges.stamp,
        ranges.value,
        ranges.variance,
        ranges.status,
        ranges.rx_power,
        ranges.first_path_power,
        ranges.nlos_probability,
    )
    return [
        AnchorRange(
            anchor=anchors.ids[row],
            stamp=to_stamp(to_nanoseconds(stamp)),
            range=value,
            variance=variance,
            status=status,
            rx_power=rx_power,
            first_path_power=first_path_power,
            nlos_probability=nlos,
        )
        for row, stamp, value, variance, status, rx_power, first_path_power, nlos in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def _column(entries: Sequence[AnchorRange], name: str) -> FloatArray:
    return np.array([getattr(entry, name) for entry in entries], dtype=np.float64)


def _poor_quality(entry: AnchorRange | RangeDifference, names: Iterable[str]) -> str:
    """Which quality is neither NaN nor within its bounds, in words; empty: none."""
    for name in names:
        value, (low, high) = getattr(entry, name), QUALITY[name]
        if not (math.isnan(value) or low <= value <= high):
            return f"{name}: expected NaN or a value in [{low:g}, {high:g}], got {value:g}"
    return ""


def _impossible(entry: AnchorRange, offset: int) -> str:
    """What a range cannot be, in words; empty: it can. offset: of its stamp to the header's, ns."""
    if entry.status > max(RangeStatus):
        return f"unknown status {entry.status}"
    if entry.status == RangeStatus.OK and not 0.0 < entry.range <= MAX_RANGE_M:
        return f"expected a range in (0, {MAX_RANGE_M:g}] m, got {entry.range}"
    if abs(offset) > MAX_OFFSET_NS:
        return (
            f"stamp is {offset * 1e-9:.3f} s from the header's: do the clocks of driver and "
            "tracker agree?"
        )
    return _poor_quality(entry, QUALITY)


def _complain(problems: Mapping[str, str], of: int, where: str, say: Say | None) -> None:
    """Tell what is wrong with some of a message's entries, by anchor.

    Raises InputError where nobody is to be told, or all `of` them are wrong.
    """
    if not problems:
        return
    anchor, problem = next(iter(problems.items()))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    complaint = f"{where}: anchor {anchor[:LONGEST_ID]!r}: {problem}{more}"
    if say is None or len(problems) == of:
        raise InputError(complaint)
    say(complaint)


def from_ranges(message: RangeArray, anchors: Anchors, say: Say | None = None) -> Ranges:
    """The ranges of an answer.

    Raises InputError: more than 1000, an unknown or repeated anchor, and ranges that cannot be: a
    status that is none, OK and not in (0, 1000] m, a quality that is neither NaN nor within its
    bounds, a stamp more than 10 s from the header's. say: is told of the latter where there are
    others in the message; they are no answer then, INVALID.
    """
    entries = list(message.ranges)  # of its own: some are replaced
    where = f"uwb/ranges: sequence {message.sequence}"
    if len(entries) > MAX_ANCHORS:
        raise InputError(f"{where}: expected at most {MAX_ANCHORS} ranges, got {len(entries)}")
    ids = [entry.anchor for entry in entries]
    if len(set(ids)) != len(ids):
        raise InputError(f"{where}: an anchor answers twice")
    rows = anchors.rows(ids)
    epoch = nanoseconds(message.header.stamp)
    none = epoch if epoch > MAX_OFFSET_NS else 0  # what 0 is: of who leaves it to the header
    stamps = [nanoseconds(entry.stamp) or none for entry in entries]
    problems: dict[str, str] = {}
    for row, (entry, stamp) in enumerate(zip(entries, stamps, strict=True)):
        if problem := _impossible(entry, stamp - epoch):
            problems[entry.anchor] = problem
            entries[row] = not_offered(entry.anchor, epoch)
            entries[row].status = int(RangeStatus.INVALID)
            stamps[row] = epoch
    _complain(problems, len(entries), where, say)
    return Ranges(
        rows,
        _column(entries, "range"),
        np.array([to_seconds(stamp) for stamp in stamps]),
        np.array([entry.status for entry in entries], dtype=np.uint8),
        _column(entries, "variance"),
        _column(entries, "rx_power"),
        _column(entries, "first_path_power"),
        _column(entries, "nlos_probability"),
    )


def to_differences(
    ranges: Ranges, anchors: Anchors, *, ns: int, tag: str, frame: str
) -> RangeDifferenceArray | None:
    """A blink at `ns`, against the first anchor that heard it; None: nobody did."""
    heard = ranges.usable()
    if len(heard) == 0:
        return None
    ids = [anchors.ids[row] for row in heard.anchor]
    against = heard.value - heard.value[0]
    found = zip(ids[1:], against[1:].tolist(), heard.variance[1:].tolist(), strict=True)
    return RangeDifferenceArray(
        header=header(ns, frame),
        tag=tag,
        reference=ids[0],
        differences=[RangeDifference(anchor=a, difference=d, variance=v) for a, d, v in found],
    )


def from_differences(
    message: RangeDifferenceArray, anchors: Anchors, say: Say | None = None
) -> Ranges:
    """A blink as ranges that share an unknown offset: the reference's first, which is 0.

    Raises InputError: more than 1000, an unknown or repeated anchor, and differences that cannot
    be: of more than 1000 m, or with a variance that is neither NaN nor within its bounds. say: is
    told of the latter where there are others in the message; they are left out then.
    """
    where, entries = "uwb/range_differences", message.differences
    if len(entries) > MAX_ANCHORS:
        raise InputError(f"{where}: expected at most {MAX_ANCHORS}, got {len(entries)}")
    ids = [message.reference, *(entry.anchor for entry in entries)]
    if len(set(ids)) != len(ids):
        raise InputError(f"{where}: an anchor is there twice; the reference has no difference")
    problems: dict[str, str] = {}
    for entry in entries:
        problem = _poor_quality(entry, ("variance",))
        if not abs(entry.difference) <= MAX_RANGE_M:
            problem = f"expected a difference within {MAX_RANGE_M:g} m, got {entry.difference:g}"
        if problem:
            problems[entry.anchor] = problem
    _complain(problems, len(entries), where, say)
    good = [entry for entry in entries if entry.anchor not in problems]
    return Ranges.of(
        anchors.rows([message.reference, *(entry.anchor for entry in good)]),
        np.array([0.0, *(entry.difference for entry in good)]),
        to_seconds(nanoseconds(message.header.stamp)),
        variance=np.array([math.nan, *(entry.variance for entry in good)]),
        differences=True,
    )


def _covariance(block: FloatArray) -> FloatArray:
    """(36,) row-major over (x, y, z, rotations) from the estimated (D, D); the rest is unknown."""
    full = np.diag(np.full(6, UNKNOWN_VARIANCE))
    d = block.shape[0]
    full[:d, :d] = block
    return full.ravel()


def to_pose(estimate: Estimate, height: float, ns: int, frame: str) -> PoseWithCovarianceStamped:
    """Position with covariance; a 2-D tag lies at `height` m. The orientation is not estimated."""
    message = PoseWithCovarianceStamped(header=header(ns, frame))
    message.pose.pose.position = point(estimate.position, height)
    message.pose.covariance = _covariance(estimate.position_covariance)
    return message


def to_odometry(pose: PoseWithCovarianceStamped, estimate: Estimate, tag_frame: str) -> Odometry:
    """The pose and the velocity; the tag's axes are the frame's, as it has no orientation."""
    d = estimate.dimensions
    message = Odometry(header=pose.header, child_frame_id=tag_frame, pose=pose.pose)
    speed = point(estimate.velocity)
    message.twist.twist.linear = Vector3(x=speed.x, y=speed.y, z=speed.z)
    message.twist.covariance = _covariance(estimate.covariance[d:, d:])
    return message


def from_odometry(message: Odometry) -> Estimate:
    """The estimate in an odometry of ours: 3-D where its height has a variance.

    Between position and velocity it knows no covariance: that block is zero. Raises InputError
    where a number is not finite.
    """
    place, speed = message.pose.pose.position, message.twist.twist.linear
    mean = np.array([place.x, place.y, place.z, speed.x, speed.y, speed.z])
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = np.asarray(message.pose.covariance).reshape(6, 6)[:3, :3]
    covariance[3:, 3:] = np.asarray(message.twist.covariance).reshape(6, 6)[:3, :3]
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise InputError("odometry: expected finite numbers")
    if covariance[2, 2] >= UNKNOWN_VARIANCE:
        flat = np.array([0, 1, 3, 4])
        mean, covariance = mean[flat], covariance[np.ix_(flat, flat)]
    return Estimate(to_seconds(nanoseconds(message.header.stamp)), mean, covariance)


def to_quaternion(yaw: float) -> Quaternion:
    """A turn by `yaw` rad about the vertical."""
    w, x, y, z = map(float, euler2quat(0.0, 0.0, yaw))
    return Quaternion(x=x, y=y, z=z, w=w)


def to_wheels(pose: FloatArray, ns: int) -> Odometry:
    """Odometry of a robot at pose (3,) x m, y m, yaw rad in its own frame; no velocity known."""
    x, y, yaw = map(float, pose)
    message = Odometry(header=header(ns, ODOMETRY_FRAME), child_frame_id=BASE_FRAME)
    message.pose.pose.position = Point(x=x, y=y, z=0.0)
    message.pose.pose.orientation = to_quaternion(yaw)
    message.twist.covariance = np.diag(np.full(6, UNKNOWN_VARIANCE)).ravel()
    return message


def from_wheels(message: Odometry) -> tuple[float, float, float, float]:
    """Time s, x m, y m, yaw rad of a robot's odometry. Raises InputError: not a unit quaternion."""
    place, turn = message.pose.pose.position, message.pose.pose.orientation
    time = to_seconds(nanoseconds(message.header.stamp))
    return time, place.x, place.y, yaw_of(turn.x, turn.y, turn.z, turn.w)


def to_imu(rate: float, ns: int) -> Imu:
    """A gyro that turns at `rate` rad/s about the vertical, and nothing else."""
    message = Imu(header=header(ns, BASE_FRAME), angular_velocity=Vector3(z=float(rate)))
    message.orientation_covariance[0] = NOT_MEASURED
    message.linear_acceleration_covariance[0] = NOT_MEASURED
    return message


def from_imu(message: Imu) -> tuple[float, float]:
    """Time s and rate rad/s about the vertical (z of REP-103). Raises InputError: no gyro in it."""
    if message.angular_velocity_covariance[0] == NOT_MEASURED:
        raise InputError("it says that it holds no angular velocity")
    return to_seconds(nanoseconds(message.header.stamp)), message.angular_velocity.z


def to_transform(pose: PoseWithCovarianceStamped, tag_frame: str) -> TransformStamped:
    """The transform from the pose's frame to the tag's."""
    message = TransformStamped(header=pose.header, child_frame_id=tag_frame)
    place = pose.pose.pose.position
    message.transform.translation = Vector3(x=place.x, y=place.y, z=place.z)
    return message


def to_pose_stamped(position: FloatArray, ns: int, frame: str) -> PoseStamped:
    """A true position (3,) m."""
    message = PoseStamped(header=header(ns, frame))
    message.pose.position = point(position)
    return message
