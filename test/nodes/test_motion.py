# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Odometry and gyro through the graph: what a tracker gets there is what it gets offline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import nan
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

import rclpy
from geometry_msgs.msg import PoseWithCovarianceStamped
from locdreamer_ros.msg import RangeArray
from nav_msgs.msg import Odometry
from nodes.ros_graph import Graph, graph
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Imu

from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.evaluation.run import run_offline
from locdreamer_ros.methods import Method, make_scheduler
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.ekf_node import EkfNode
from locdreamer_ros.nodes.lifecycle import LOSSLESS
from locdreamer_ros.nodes.listening import BEST_EFFORT
from locdreamer_ros.nodes.tracker_node import TrackerNode
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.simulation import simulate
from locdreamer_ros.stamps import to_nanoseconds
from locdreamer_ros.trackers.ekf import KalmanTracker
from locdreamer_ros.trackers.kalman import white_acceleration
from locdreamer_ros.types import Estimate, Motion, Site


class Pushed(KalmanTracker):
    """For tests: moves by the displacement and the turn, and remembers each motion."""

    def __init__(self, site: Site) -> None:
        super().__init__(site, process_noise=lambda dt: white_acceleration(dt, 0.3, 2), sigma_n=0.2)
        self.motions: list[Motion | None] = []

    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        """As the filter, then displaced."""
        now = super().predict(dt)
        self.motions.append(motion)
        if motion is not None and motion.displacement is not None:
            push = np.concatenate([motion.displacement, [motion.turn or 0.0, 0.0]])
            now = self._estimate = Estimate(now.time, now.mean + 0.1 * push, now.covariance)
        return now


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recording]:
    """A range table with odometry that has holes, short and long, and the recording in it."""
    drawn = simulate("lab", duration=6.0, seed=5, odometry=0.02)
    assert drawn.odometry is not None
    odometry = drawn.odometry.copy()
    odometry[20:23] = odometry[30:42] = nan
    path = tmp_path_factory.mktemp("walk") / "walk.csv"
    save_range_table(path, replace(drawn, odometry=odometry))
    save_anchors(path.with_name("walk_anchors.csv"), drawn.anchors)
    return path, load_recording(path)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Graph]:
    with graph(tmp_path) as empty:
        yield empty


class Hosted:
    """A tracking node in the test's own process, with the tracker above."""

    def __init__(self, kind: type) -> None:
        self.node = kind()
        self.node.trigger_configure()
        self.node.trigger_activate()
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)

    def until(self, reached: Callable[[], Any], what: str) -> None:
        """Spin until something is so."""
        deadline = monotonic() + 60.0
        while not reached():
            assert monotonic() < deadline, f"waited for {what}: {self.node.counts}"
            self.executor.spin_once(timeout_sec=0.02)

    def anchors(self, recording: Recording) -> None:
        """Tell it the anchors."""
        self.node._on_anchors(c.to_anchors(recording.anchors, 0, "map"))

    def say(self, kind: type, topic: str, qos: QoSProfile = LOSSLESS) -> Any:
        """A publisher that the node hears."""
        publisher = self.node.create_publisher(kind, topic, qos)
        self.until(publisher.get_subscription_count, f"a listener to {topic}")
        return publisher


@pytest.fixture
def hosted(nodes: Graph, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[type], Hosted]]:
    """Makes a `Hosted` node of a kind, in the domain of `nodes`."""
    made: list[Hosted] = []
    monkeypatch.setattr(Method, "make_tracker", lambda method, site: Pushed(site))
    rclpy.init(domain_id=nodes.probe.context.get_domain_id())

    def make(kind: type) -> Hosted:
        made.append(Hosted(kind))
        return made[-1]

    try:
        yield make
    finally:
        for each in made:
            each.node.destroy_node()
        rclpy.try_shutdown()


def assert_same(found: list[Motion | None], expected: list[Motion | None]) -> None:
    assert len(found) == len(expected)
    for epoch, (mine, other) in enumerate(zip(found, expected, strict=True), start=1):
        assert (mine is None) == (other is None), epoch
        if mine is None or other is None:
            continue
        assert (mine.displacement is None) == (other.displacement is None), epoch
        if other.displacement is not None:
            np.testing.assert_allclose(mine.displacement, other.displacement, atol=1e-12)
        assert mine.turn == pytest.approx(other.turn, abs=1e-9), epoch


def test_the_graph_gives_a_tracker_the_motion_it_has_offline(
    nodes: Graph, hosted: Callable[[type], Hosted], walk: tuple[Path, Recording]
) -> None:
    path, recording = walk
    site = Site.of(recording.anchors)
    alone = Pushed(site)
    run = run_offline(recording, site, alone, make_scheduler("foresight", site), budget=3)
    track = run.tracks[0]
    tracker = hosted(TrackerNode)
    poses: list[Any] = []
    tracker.node.create_subscription(
        PoseWithCovarianceStamped, "tracker_node/pose", poses.append, LOSSLESS
    )
    nodes.start("source_node", source="replay", recording=str(path), speed=0.0)
    tracker.until(lambda: len(poses) == len(recording), "all poses")
    assert_same(tracker.node.loop.tracker.motions, alone.motions)
    assert tracker.node.counts["motions"] == len(recording) - 1
    assert tracker.node.counts["messages_dropped"] == 0
    places = [(p.pose.pose.position.x, p.pose.pose.position.y) for p in poses]
    np.testing.assert_allclose(places, track.mean[:, :2], atol=1e-9)


def test_who_only_listens_gets_the_motion_too(
    hosted: Callable[[type], Hosted], walk: tuple[Path, Recording]
) -> None:
    recording = walk[1]
    assert recording.odometry is not None
    baseline = hosted(EkfNode)
    baseline.anchors(recording)
    wheels = baseline.say(Odometry, "odometry")
    ranges = baseline.say(RangeArray, "uwb/ranges")
    source = RecordingSource(recording)
    rows = np.arange(len(recording.anchors))
    for epoch in range(5):
        ns = to_nanoseconds(float(recording.times[epoch]))
        wheels.publish(c.to_wheels(recording.odometry[epoch], ns))
        answer = c.to_ranges(source.measure(rows, recording.times[epoch]), recording.anchors)
        ranges.publish(RangeArray(header=c.header(ns, "map"), ranges=answer))
    baseline.until(lambda: baseline.node.counts["fixes"] == 5, "five fixes")
    wheels_only = replace(recording, turn_rate=None)
    assert_same(
        baseline.node.loop.tracker.motions, [wheels_only.motion(k - 1, k) for k in range(1, 5)]
    )


def turned(message: Odometry, **quaternion: float) -> Odometry:
    for name, value in quaternion.items():
        setattr(message.pose.pose.orientation, name, value)
    return message


def test_bad_odometry_is_dropped_counted_and_said(
    hosted: Callable[[type], Hosted], walk: tuple[Path, Recording]
) -> None:
    tracker = hosted(TrackerNode)
    tracker.anchors(walk[1])
    wheels, gyro = tracker.say(Odometry, "odometry"), tracker.say(Imu, "imu")
    without = c.to_imu(0.1, 1)
    without.angular_velocity_covariance[0] = -1.0
    step, poses = 20_000_000, tracker.node._motion._poses

    def pose(epoch: int, x: float = 0.0, yaw: float = 0.0) -> Odometry:
        return c.to_wheels(np.array([x, 0.0, yaw]), epoch * step)

    for say, message, complaint in (
        (wheels, pose(1, x=nan), "odometry: expected finite numbers"),
        (wheels, turned(pose(1), z=0.0, w=0.0), "odometry: expected a unit quaternion"),
        (wheels, turned(pose(1), x=nan), "odometry: expected a unit quaternion"),
        (wheels, pose(3), ""),
        (wheels, pose(3), "odometry: stamp is 0.000 s before the last"),
        (wheels, pose(4, x=0.02, yaw=0.1), ""),
        (wheels, pose(2), "odometry: stamp is 0.040 s before the last"),
        (gyro, c.to_imu(nan, step), "imu: expected finite numbers"),
        (gyro, without, "imu: it says that it holds no angular velocity"),
    ):
        dropped = tracker.node.counts["messages_dropped"]
        say.publish(message)
        if complaint:
            tracker.until(
                lambda before=dropped: tracker.node.counts["messages_dropped"] > before, complaint
            )
            assert tracker.node.problem.startswith(complaint)
        else:
            time = c.nanoseconds(message.header.stamp) / 1e9
            tracker.until(lambda t=time: poses.at(t) is not None, "the pose")
    known = tracker.node._motion.between(0.06, 0.08)
    assert known is not None
    np.testing.assert_allclose(known.displacement, [0.02, 0.0])
    assert known.turn == pytest.approx(0.1)
    tracker.node.report()


def test_a_sensor_that_publishes_best_effort_is_heard(
    hosted: Callable[[type], Hosted], walk: tuple[Path, Recording]
) -> None:
    tracker = hosted(TrackerNode)
    tracker.anchors(walk[1])
    gyro = tracker.say(Imu, "imu", BEST_EFFORT)
    gyro.publish(c.to_imu(0.5, 10_000_000))
    gyro.publish(c.to_imu(0.5, 20_000_000))
    tracker.until(lambda: tracker.node._motion.between(0.01, 0.02) is not None, "the turn")
