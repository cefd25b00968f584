# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from geometry_msgs.msg import Point
from locdreamer_ros.msg import (
    AnchorArray,
    AnchorSchedule,
    RangeArray,
    RangeDifference,
    RangeDifferenceArray,
)

from locdreamer_ros.errors import InputError
from locdreamer_ros.geometry import ELLIPSE_95, ellipse
from locdreamer_ros.motion import MotionBuffer
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.estimate_publisher import ASKED_COLOR, EXCLUDED_COLOR, anchor_markers
from locdreamer_ros.types import Anchors, Estimate, Ranges, RangeStatus, Site

ANCHORS = Anchors(
    ("a", "b", "c", "d"),
    np.array([[0.0, 0.0, 2.0], [8.0, 0.0, 2.5], [8.0, 6.0, 2.0], [0.0, 6.0, 2.5]]),
)
NS = 12_345_678_901


def answer(ranges: Ranges, ns: int = NS) -> RangeArray:
    return RangeArray(header=c.header(ns, "map"), ranges=c.to_ranges(ranges, ANCHORS))


def good() -> RangeArray:
    return answer(Ranges.of([2, 0], [3.5, 4.25], NS / 1e9))


@given(st.integers(min_value=-(2**31) * 10**9, max_value=2**31 * 10**9 - 1))
def test_stamps_come_back_to_the_nanosecond(ns: int) -> None:
    stamp = c.to_stamp(ns)
    assert 0 <= stamp.nanosec < 10**9
    assert c.nanoseconds(stamp) == ns


def test_anchors_come_back() -> None:
    back = c.from_anchors(c.to_anchors(ANCHORS, NS, "map"))
    assert back.ids == ANCHORS.ids
    assert np.array_equal(back.positions, ANCHORS.positions)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-3.14, 3.14))
def test_odometry_and_gyro_come_back(x: float, y: float, yaw: float) -> None:
    back = c.from_wheels(c.to_wheels(np.array([x, y, yaw]), NS))
    assert back[:3] == (NS / 1e9, x, y)
    assert back[3] == pytest.approx(yaw, abs=1e-12)
    assert c.from_imu(c.to_imu(yaw, NS)) == (NS / 1e9, yaw)


def test_a_robot_on_a_slope_has_a_yaw_and_no_quaternion_has_none() -> None:
    message = c.to_wheels(np.array([1.0, 2.0, 0.5]), NS)
    turn = message.pose.pose.orientation
    half = 0.1  # pitched by 0.2 rad, then turned by 0.5
    turn.x, turn.y = -np.sin(half) * turn.z, np.sin(half) * turn.w
    turn.z, turn.w = np.cos(half) * turn.z, np.cos(half) * turn.w
    assert c.from_wheels(message)[3] == pytest.approx(0.5)
    turn.w = 2.0
    with pytest.raises(InputError, match="expected a unit quaternion"):
        c.from_wheels(message)
    without = c.to_imu(0.1, NS)
    without.angular_velocity_covariance[0] = -1.0
    with pytest.raises(InputError, match="no angular velocity"):
        c.from_imu(without)


def test_ranges_come_back_with_stamps_status_and_quality() -> None:
    ranges = Ranges.of(
        [3, 1],
        np.array([2.5, np.nan]),
        np.array([12.000000001, 12.000000002]),
        rx_power=np.array([-80.5, np.nan]),
        nlos_probability=np.array([0.25, 1.0]),
    )
    message = answer(ranges)
    assert [entry.stamp.nanosec for entry in message.ranges] == [1, 2]
    back = c.from_ranges(message, ANCHORS)
    for name in ("anchor", "value", "stamp", "status", "variance", "rx_power", "nlos_probability"):
        assert np.array_equal(getattr(back, name), getattr(ranges, name), equal_nan=True), name
    assert back.status.tolist() == [RangeStatus.OK, RangeStatus.TIMEOUT]


def test_numpy_scalars_are_cast() -> None:
    ranges = Ranges.of(np.array([0]), np.array([1.5], dtype=np.float32), 1.0)
    (entry,) = c.to_ranges(ranges, ANCHORS)
    assert type(entry.range) is float
    assert type(entry.status) is int


def spoil(message: RangeArray, **values: object) -> RangeArray:
    for name, value in values.items():
        setattr(message.ranges[0], name, value)
    return message


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (spoil(good(), range=float("nan")), "range"),
        (spoil(good(), range=float("inf")), "range"),
        (spoil(good(), range=-1.0), "range"),
        (spoil(good(), range=0.0), "range"),
        (spoil(good(), range=5000.0), "range"),
        (spoil(good(), anchor="zz"), "unknown anchor 'zz'"),
        (spoil(good(), anchor="a"), "twice"),
        (spoil(good(), status=9), "status"),
        (spoil(good(), variance=-0.1), "variance"),
        (spoil(good(), variance=float("inf")), "variance"),
        (spoil(good(), nlos_probability=float("inf")), "nlos_probability"),
        (spoil(good(), nlos_probability=-5.0), "nlos_probability"),
        (spoil(good(), nlos_probability=1e30), "nlos_probability"),
        (spoil(good(), rx_power=1e30), "rx_power"),
        (spoil(good(), first_path_power=float("-inf")), "first_path_power"),
        (RangeArray(ranges=good().ranges * 501), "at most 1000"),
        (spoil(good(), stamp=c.to_stamp(NS + 11 * 10**9)), "stamp"),
        (spoil(good(), stamp=c.to_stamp(-5)), "stamp"),
    ],
)
def test_malformed_ranges_are_refused(message: RangeArray, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        c.from_ranges(message, ANCHORS)


ANY = st.floats(allow_nan=True, allow_infinity=True)
SMALL = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(ANY, ANY, SMALL, SMALL, SMALL, st.integers(0, 255), st.integers(-(2**31), 2**31 - 1))
def test_whatever_a_range_holds_is_refused_or_within_bounds(
    value: float, variance: float, power: float, first: float, nlos: float, status: int, sec: int
) -> None:
    message = spoil(
        good(),
        range=value,
        variance=variance,
        rx_power=power,
        first_path_power=first,
        nlos_probability=nlos,
        status=status,
    )
    message.ranges[0].stamp.sec = sec
    try:
        back = c.from_ranges(message, ANCHORS)
    except InputError:
        return
    assert (back.usable().value <= 1000.0).all()
    assert np.isnan(back.nlos_probability[0]) or 0.0 <= back.nlos_probability[0] <= 1.0
    assert np.isnan(back.variance[0]) or 0.0 <= back.variance[0] <= 1e6


@given(ANY, ANY, st.integers(-(2**31), 2**31 - 1), *2 * [st.sampled_from(["a", "b", "", "zz"])])
def test_whatever_a_blink_holds_is_refused_or_within_bounds(
    value: float, variance: float, sec: int, reference: str, anchor: str
) -> None:
    entry = RangeDifference(anchor=anchor, difference=value, variance=variance)
    message = RangeDifferenceArray(reference=reference, differences=[entry])
    message.header.stamp.sec = sec
    try:
        back = c.from_differences(message, ANCHORS)
    except InputError:
        return
    assert back.differences
    assert (np.abs(back.value) <= 1000.0).all()
    assert np.isnan(back.variance[1]) or 0.0 <= back.variance[1] <= 1e6


@given(ANY, ANY, ANY, ANY, ANY)
def test_whatever_odometry_holds_is_refused_or_finite(
    x: float, yaw: float, z: float, w: float, rate: float
) -> None:
    message = c.to_wheels(np.array([1.0, 2.0, 0.5]), NS)
    message.pose.pose.position.x = x
    message.pose.pose.orientation.z, message.pose.pose.orientation.w = z, w
    buffer = MotionBuffer()
    for act in (
        lambda: buffer.add_pose(*c.from_wheels(message)),
        lambda: buffer.add_rate(*c.from_imu(c.to_imu(rate, NS))),
    ):
        with suppress(InputError):
            act()
    pose = buffer.pose_at(NS / 1e9)
    assert pose is None or np.isfinite(pose).all()


def test_one_range_that_cannot_be_is_no_answer_and_said() -> None:
    said: list[str] = []
    message = spoil(good(), range=float("nan"), nlos_probability=7.0, stamp=c.to_stamp(5))
    back = c.from_ranges(message, ANCHORS, said.append)
    assert back.status[0] == RangeStatus.INVALID
    assert np.isnan([back.value[0], back.variance[0], back.nlos_probability[0]]).all()
    assert back.stamp[0] == NS / 1e9
    assert len(back.usable()) == len(message.ranges) - 1
    assert len(said) == 1
    assert "anchor 'c': expected a range in (0, 1000] m, got nan" in said[0]
    for entry in message.ranges:
        entry.status = 99
    with pytest.raises(InputError, match=r"unknown status 99 \(and 1 more\)"):
        c.from_ranges(message, ANCHORS, said.append)


def test_a_range_that_is_not_ok_may_hold_anything() -> None:
    message = spoil(good(), range=float("nan"), status=int(RangeStatus.INVALID))
    assert len(c.from_ranges(message, ANCHORS).usable()) == 1


def anchors(**values: object) -> AnchorArray:
    message = c.to_anchors(ANCHORS, NS, "map")
    for name, value in values.items():
        setattr(message.anchors[0], name, value)
    return message


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (AnchorArray(), "expected 1 to 1000 anchors, got 0"),
        (AnchorArray(anchors=anchors().anchors * 5000), "expected 1 to 1000 anchors"),
        (anchors(id=""), "ids of 1 to 100 letters"),
        (anchors(id="a" * 101), "ids of 1 to 100 letters"),
        (anchors(id="b"), "twice"),
        (anchors(position=Point(x=float("nan"))), "not finite"),
        (anchors(position=Point(y=-1e300)), r"anchor .*: expected metres, got y = -1e.300"),
    ],
)
def test_malformed_anchors_are_refused(message: AnchorArray, complaint: str) -> None:
    with pytest.raises(InputError, match=f"uwb/anchors: .*{complaint}"):
        c.from_anchors(message)


@pytest.mark.parametrize(
    ("ids", "complaint"),
    [(["a"] * 2, "twice"), ([str(i) for i in range(1001)], "at most 1000"), (["x" * 101], "100")],
)
def test_malformed_schedules_are_refused(ids: list[str], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        c.check_schedule(AnchorSchedule(sequence=1, anchors=ids))


def estimate(dimensions: int) -> Estimate:
    rng = np.random.default_rng(1)
    root = rng.normal(size=(2 * dimensions, 2 * dimensions))
    return Estimate(NS / 1e9, rng.normal(size=2 * dimensions), root @ root.T)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_odometry_comes_back(dimensions: int) -> None:
    before = estimate(dimensions)
    pose = c.to_pose(before, 1.2, NS, "map")
    after = c.from_odometry(c.to_odometry(pose, before, "tag"))
    assert after.dimensions == dimensions
    assert after.time == before.time
    assert np.array_equal(after.mean, before.mean)
    d = dimensions
    assert np.array_equal(after.position_covariance, before.position_covariance)
    assert np.array_equal(after.covariance[d:, d:], before.covariance[d:, d:])


def test_what_is_not_estimated_has_a_large_variance() -> None:
    before = estimate(2)
    pose = c.to_pose(before, 1.2, NS, "map").pose
    full = np.asarray(pose.covariance).reshape(6, 6)
    assert np.array_equal(full[:2, :2], before.position_covariance)
    assert full.diagonal()[2:].tolist() == [c.UNKNOWN_VARIANCE] * 4
    assert pose.pose.position.z == 1.2
    assert pose.pose.orientation.w == 1.0


def test_asked_anchors_stand_out_and_the_ellipse_holds_95_percent() -> None:
    site = Site(ANCHORS)
    mean, covariance = np.array([4.0, 3.0, 0.0, 0.0]), np.diag([4.0, 1.0, 1.0, 1.0])
    head = c.header(NS, "map")
    found = anchor_markers(site, head=head, looks={0: ASKED_COLOR, 2: EXCLUDED_COLOR})
    size = {m.id: m.scale.x for m in found if m.ns == "anchors"}
    assert size[0] == size[2] > size[1] == size[3]
    colours = {m.id: m.color for m in found if m.ns == "anchors"}
    assert (colours[0], colours[2]) == (ASKED_COLOR, EXCLUDED_COLOR)
    assert [m.text for m in found if m.ns == "names"] == list(ANCHORS.ids)
    changed = anchor_markers(site, head=head, looks={0: ASKED_COLOR}, rows=[2])
    assert [(m.ns, m.id, m.scale.x) for m in changed] == [("anchors", 2, size[1])]
    outline = ellipse(Estimate(0.0, mean, covariance), 1.0)
    assert np.allclose(np.ptp(outline[:, :2], axis=0), 2 * ELLIPSE_95 * np.array([2.0, 1.0]))
    assert np.allclose(outline[0], outline[-1])
