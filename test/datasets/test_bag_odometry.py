# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry and gyro in bags: ours there and back, other people's at their own rate."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from locdreamer_ros.cli import main
from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.bag import read_bag, write_bag
from locdreamer_ros.datasets.bag_messages import imu_of, odometry_of, time_of
from locdreamer_ros.datasets.bag_writer import BagWriter
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.datasets.rosbag2 import message, read_messages, typestore
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import simulate

NAMES = {"/odometry": "nav_msgs/msg/Odometry", "/imu": "sensor_msgs/msg/Imu"}
Bodies = list[tuple[str, float, Any]]


@pytest.fixture(scope="module")
def moving() -> Recording:
    recording = simulate("lab", duration=3.0, seed=2, odometry=0.02)
    return dataclasses.replace(
        recording, times=np.round(recording.times, 9), nlos=None, rx_power=None
    )


def header(time: float) -> Any:
    return message("std_msgs/msg/Header", stamp=time_of(round(time * 1e9)), frame_id="odom")


def pose(time: float, x: float, y: float, yaw: float) -> Any:
    return odometry_of(np.array([x, y, yaw]), header(time))


def with_topics(path: Path, recording: Recording, bodies: Bodies) -> Path:
    """A bag of the recording's ranges, with these messages (topic, time, body) besides."""
    ranges = dataclasses.replace(recording, odometry=None, turn_rate=None)
    write_bag(path.with_name("plain"), ranges)
    store = typestore()
    with BagWriter(path) as bag:
        for topic, name in (
            ("/uwb/anchors", "locdreamer_ros/msg/AnchorArray"),
            ("/uwb/ranges", "locdreamer_ros/msg/RangeArray"),
        ):
            for body in read_messages(path.with_name("plain"), topic, name):
                bag.write(topic, name, 0, store.serialize_cdr(body, name))
        for topic, time, body in bodies:
            name = NAMES["/" + topic.rpartition("/")[2]]
            bag.write(topic, name, round(time * 1e9), store.serialize_cdr(body, name))
    return path


def assert_same_motion(one: Recording, two: Recording) -> None:
    assert one.odometry is not None
    assert two.odometry is not None
    np.testing.assert_array_equal(one.odometry[:, :2], two.odometry[:, :2])
    np.testing.assert_allclose(one.odometry[:, 2], two.odometry[:, 2], atol=1e-12)
    np.testing.assert_array_equal(one.turn_rate, two.turn_rate)


def test_there_and_back_with_holes(tmp_path: Path, moving: Recording) -> None:
    assert moving.odometry is not None
    assert moving.turn_rate is not None
    odometry, rate = moving.odometry.copy(), moving.turn_rate.copy()
    odometry[4:7], rate[9] = np.nan, np.nan
    holed = dataclasses.replace(moving, odometry=odometry, turn_rate=rate)
    write_bag(tmp_path / "bag", holed)
    assert_same_motion(read_bag(tmp_path / "bag"), holed)


def test_convert_keeps_it_both_ways(tmp_path: Path, moving: Recording) -> None:
    save_range_table(tmp_path / "x.csv", moving)
    save_anchors(tmp_path / "x_anchors.csv", moving.anchors)
    assert main(["convert", "csv", str(tmp_path / "x.csv"), "--output", str(tmp_path / "b")]) == 0
    back = tmp_path / "y.csv"
    assert main(["convert", "bag", str(tmp_path / "b"), "--output", str(back)]) == 0
    assert_same_motion(load_recording(back), moving)


def test_other_stamps_are_interpolated_and_yaw_goes_round(
    tmp_path: Path, moving: Recording
) -> None:
    times = np.arange(-0.05, 2.0, 0.02)
    bodies: Bodies = [("/odometry", t, pose(t, 2.0 * t, -t, 3.0 + 0.5 * t)) for t in times if t > 0]
    bodies += [("/imu", t, imu_of(0.25 * t, header(t))) for t in times if t > 0]
    read = read_bag(with_topics(tmp_path / "bag", moving, bodies))
    assert read.odometry is not None
    known = (read.times > times[times > 0][0]) & (read.times <= times[-1])
    expected = np.stack([2.0 * read.times, -read.times, 3.0 + 0.5 * read.times], axis=1)[known]
    expected[:, 2] = (expected[:, 2] + math.pi) % (2.0 * math.pi) - math.pi
    np.testing.assert_allclose(read.odometry[known], expected, atol=1e-9)
    assert np.isnan(read.odometry[~known]).all()
    np.testing.assert_allclose(read.turn_rate[known], 0.25 * read.times[known], atol=1e-9)


def test_the_odometry_of_our_own_nodes_is_not_the_robots(tmp_path: Path, moving: Recording) -> None:
    bodies: Bodies = [
        ("/tracker_node/odometry", 0.1, pose(0.1, 5.0, 5.0, 0.0)),
        ("/ekf_node/odometry", 0.1, pose(0.1, 5.1, 5.0, 0.0)),
    ]
    assert read_bag(with_topics(tmp_path / "bag", moving, bodies)).odometry is None
    bodies.append(("/odometry", 0.1, pose(0.1, 1.0, 2.0, 0.5)))
    odometry = read_bag(with_topics(tmp_path / "bag", moving, bodies)).odometry
    assert odometry is not None
    np.testing.assert_allclose(odometry[1], [1.0, 2.0, 0.5])
    assert np.isnan(np.delete(odometry, 1, axis=0)).all()


def test_odometry_under_a_robots_own_name_is_pointed_out(
    tmp_path: Path, moving: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    """As `recorder_node` keeps it that was told `odometry:=/my/odom`."""
    bodies: Bodies = [("/my/odometry", float(t), pose(t, 1.0, 2.0, 0.5)) for t in moving.times]
    bag = with_topics(tmp_path / "bag", moving, bodies)
    assert read_bag(bag).odometry is None  # it may be another robot's
    assert "not read: /my/odometry (nav_msgs/msg/Odometry)" in caplog.text
    assert "--columns odometry=/my/odometry does" in caplog.text
    assert read_bag(bag, topics={"odometry": "/my/odometry"}).odometry is not None


def test_an_imu_without_a_gyro_is_none(tmp_path: Path, moving: Recording) -> None:
    body = imu_of(0.3, header(0.1))
    body.angular_velocity_covariance[0] = -1.0
    assert read_bag(with_topics(tmp_path / "bag", moving, [("/imu", 0.1, body)])).turn_rate is None


@pytest.mark.parametrize(
    ("topic", "complaint"),
    [
        ("/odometry", "/odometry: message 2: expected finite numbers"),
        ("turn", r"/odometry: message 2: expected a unit quaternion, got \(0, 0, 0, 0\)"),
        ("/imu", "/imu: message 2: expected finite numbers"),
    ],
)
def test_bad_messages_are_one_line(
    tmp_path: Path, moving: Recording, topic: str, complaint: str
) -> None:
    good, bad = pose(0.1, 1.0, 2.0, 0.5), pose(0.2, math.nan, 2.0, 0.5)
    if topic == "turn":
        topic, bad = "/odometry", pose(0.2, 1.0, 2.0, 0.5)
        bad.pose.pose.orientation.z = bad.pose.pose.orientation.w = 0.0
    if topic == "/imu":
        good, bad = imu_of(0.1, header(0.1)), imu_of(math.nan, header(0.2))
    path = with_topics(tmp_path / "bag", moving, [(topic, 0.1, good), (topic, 0.2, bad)])
    with pytest.raises(InputError, match=complaint) as caught:
        read_bag(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
