# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a robot asks of the nodes: names, frames, time, parameters, anybody's ranges."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from locdreamer_ros.msg import AnchorArray, AnchorSchedule, RangeArray, TrackerStatus
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMessage
from nodes.hosted import ANCHORS, TRUTH, Hosted, answer_to, hosting, ranges_at
from rclpy.clock import ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Range
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from locdreamer_ros.alignment import turned
from locdreamer_ros.config import load_parameters
from locdreamer_ros.nodes import catalogue, patience, saying, tracker_node
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.driver_node import DriverNode
from locdreamer_ros.nodes.ekf_node import EkfNode
from locdreamer_ros.nodes.evaluator_node import EvaluatorNode
from locdreamer_ros.nodes.lifecycle import LATCHED, UwbNode
from locdreamer_ros.nodes.patience import Patience
from locdreamer_ros.nodes.running import make_executor
from locdreamer_ros.nodes.source_node import SourceNode
from locdreamer_ros.nodes.tracker_node import TrackerNode
from locdreamer_ros.types import Anchors

CONFIG = Path(__file__).resolve().parents[2] / "config"
SENSOR = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
VOLATILE = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE
)
EKF = {"tracker": "ekf", "dimensions": "'2'"}
FIRST_NS, STEP_NS, EPOCHS = 10**9, 100_000_000, 60
LAST_NS = FIRST_NS + (EPOCHS - 1) * STEP_NS


def off(pose: PoseWithCovarianceStamped, place: np.ndarray = TRUTH) -> float:
    found = pose.pose.pose.position
    return float(np.hypot(found.x - place[0], found.y - place[1]))


@pytest.mark.parametrize(
    ("make", "node", "key", "value"),
    [
        (SourceNode, "source_node", "listeners", 3),
        (EkfNode, "ekf_node", "preset", "paper"),
        (TrackerNode, "tracker_node", "budget", 4),
        (EvaluatorNode, "evaluator_node", "budget", 4),
        (DriverNode, "driver_node", "device", "pozyx"),
    ],
)
def test_parameter_files_hold_in_any_namespace_and_under_any_name(
    tmp_path: Path, make: Callable[[], UwbNode], node: str, key: str, value: Any
) -> None:
    files = [CONFIG / catalogue.FILES[node]]
    if node == "driver_node":
        files.append(CONFIG / "driver" / "pozyx.yaml")
    if key == "budget":
        text = "/**: {ros__parameters: {budget: 4}}"
        files.append(tmp_path / "mine.yaml")
        files[-1].write_text(text, encoding="utf-8")
    given = [part for path in files for part in ("--params-file", str(path))]
    rename = ["-r", "__ns:=/robot1", "-r", "__node:=mine"]
    with hosting(lambda: still(make), *rename, *given) as hosted:
        assert hosted.node.get_fully_qualified_name() == "/robot1/mine"
        assert hosted.node.get_parameter(key).value == value
        assert load_parameters(files[-1], node)[key] == value


def still(make: Callable[[], UwbNode]) -> UwbNode:
    """The node, without its transitions: not every one can be configured here."""
    node = make()
    node.trigger_configure = lambda: None  # type: ignore[method-assign]
    node.trigger_activate = lambda: type("Result", (), {"name": "SUCCESS"})  # type: ignore
    return node


def test_ranges_that_come_one_by_one_from_anybody_are_tracked() -> None:
    topics = ",".join(f"/uwb/{name}" for name in ANCHORS.ids)
    mapping = f"'topic={topics} type=sensor_msgs/msg/Range'"
    with hosting(TrackerNode, **EKF, passive=True, ranges_from=mapping) as hosted:
        poses = hosted.hear(PoseWithCovarianceStamped, "tracker_node/pose")
        told = hosted.hear(TrackerStatus, "tracker_node/status")
        anchors = hosted.say(AnchorArray, "uwb/anchors", LATCHED)
        anchors.publish(c.to_anchors(ANCHORS, 0, "map"))
        hosted.until(lambda: hosted.node.site, "the site")
        says = [hosted.peer.create_publisher(Range, f"/uwb/{i}", SENSOR) for i in ANCHORS.ids]
        hosted.until(
            lambda: all(each.get_subscription_count() for each in says), "best-effort listeners"
        )
        for turn in range(20):
            row = turn % 4
            ns = 10**9 + turn * STEP_NS
            measured = ranges_at(TRUTH, [row], ns / 1e9).value[0]
            message = Range(range=float(measured), min_range=0.1, max_range=50.0)
            message.header = c.header(ns, ANCHORS.ids[row])
            says[row].publish(message)
            hosted.until(lambda n=turn: len(told) > n, "what it says of the range")
        hosted.until(lambda: len(poses) >= 17, "a fix for each range from the third on")
        assert off(poses[-1]) < 0.1
        assert hosted.node.counts["schedules"] == 0
        assert not hosted.peer.get_publishers_info_by_topic("/uwb/schedule")
        says[0].publish(Range(range=60.0, max_range=50.0, header=c.header(ns, "a")))
        says[0].publish(Range(range=5.0, max_range=50.0, header=c.header(ns, "nobody")))
        hosted.until(lambda: hosted.node.counts["messages_dropped"] == 1, "the unknown anchor")
        assert "unknown anchor 'nobody'" in hosted.node.problem


def test_a_volatile_source_of_anchors_and_best_effort_ranges_are_heard(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with hosting(EkfNode, dimensions="'2'") as hosted:
        anchors = hosted.peer.create_publisher(AnchorArray, "uwb/anchors", VOLATILE)
        hosted.until(anchors.get_subscription_count, "a listener that asks for no memory")
        assert hosted.node.health()[0].endswith("say them again and again, or transient local")
        anchors.publish(c.to_anchors(ANCHORS, 0, "map"))
        hosted.until(lambda: hosted.node.site, "the site")
        ranges = hosted.peer.create_publisher(RangeArray, "uwb/ranges", SENSOR)
        hosted.until(ranges.get_subscription_count, "a best-effort listener")
        said = c.to_ranges(ranges_at(TRUTH, [0, 1, 2, 3], 1.0), ANCHORS)
        ranges.publish(RangeArray(header=c.header(10**9, "map"), ranges=said))
        hosted.until(lambda: hosted.node.counts["fixes"] == 1, "the fix")
    said = capfd.readouterr().err
    for topic in ("/uwb/anchors", "/uwb/ranges"):  # rclpy has warned of the opposite
        assert f"{topic}: is heard with the quality of service of its publisher now" in said


def test_anchors_that_nobody_surveyed_cost_only_their_own_ranges() -> None:
    with hosting(EkfNode, dimensions="'2'") as hosted:
        hosted.place()
        hosted.until(lambda: hosted.node.site, "the site")
        ranges = hosted.say(RangeArray, "uwb/ranges")
        said = c.to_ranges(ranges_at(TRUTH, [0, 1, 2, 3], 1.0), ANCHORS)
        strange = c.not_offered("new", 10**9)
        ranges.publish(RangeArray(header=c.header(10**9, "map"), ranges=[strange, *said]))
        hosted.until(lambda: hosted.node.counts["fixes"] == 1, "the fix")
        assert "unknown anchors ('new'); the site has a, b, c, d" in hosted.node.problem
        assert hosted.node.counts["messages_dropped"] == 1


def test_the_same_anchors_again_change_nothing() -> None:
    """In another order, or moved by what text and transforms cost: who republishes is no news."""
    with hosting(EkfNode, dimensions="'2'") as hosted:
        hosted.place()
        hosted.until(lambda: hosted.node.site, "the site")
        loop = hosted.node.loop
        again = ANCHORS.subset(ANCHORS.ids[::-1])
        again = Anchors(again.ids, again.positions + 4e-4)
        hosted.node._on_anchors(c.to_anchors(again, 0, "/map"))
        assert hosted.node.loop is loop
        assert hosted.node.counts["anchors_changed"] == 0
        assert "anchors_off" not in hosted.node.health()[1]


def transform(above: str, child: str, *place: float, yaw: float = 0.0) -> TransformStamped:
    message = TransformStamped(header=c.header(0, above), child_frame_id=child)
    offset = message.transform.translation
    offset.x, offset.y, offset.z = place
    message.transform.rotation = c.to_quaternion(yaw)
    return message


def test_anchors_in_another_frame_are_waited_for_and_transformed() -> None:
    with hosting(EkfNode) as hosted:
        hosted.place(frame="hall")
        hosted.until(lambda: hosted.node._unplaced, "the anchors")
        assert hosted.node.site is None
        assert "TF map -> hall" in hosted.node.health()[0]
        static = hosted.peer.create_publisher(TFMessage, "/tf_static", LATCHED)
        static.publish(
            TFMessage(transforms=[transform("map", "hall", 10.0, 0.0, 1.0, yaw=np.pi / 2)])
        )
        hosted.until(lambda: hosted.node.site, "the site")
        x, y, z = ANCHORS.positions[1]
        np.testing.assert_allclose(
            hosted.node.site.anchors.positions[1], [10.0 - y, x, z + 1.0], atol=1e-12
        )
        hosted.node.trigger_deactivate()  # what TF said is known still
        hosted.node.trigger_activate()
        assert hosted.node._frames.between("map", "hall") is not None


def drive(
    hosted: Hosted,
    odom: float,
    lever: np.ndarray,
    at: Callable[[int], None] = lambda epoch: None,
    reset: int = EPOCHS,
) -> tuple[np.ndarray, float]:
    """Half a circle of a robot with odometry turned and moved; place and heading at LAST_NS.

    at: called before each epoch; reset: epoch from which on the odometry is 30 m off.
    """
    wheels = hosted.say(Odometry, "odometry")
    ranges = hosted.say(RangeArray, "uwb/ranges")
    fixes = hosted.node.counts
    for epoch in range(EPOCHS):
        ns, angle = FIRST_NS + epoch * STEP_NS, np.pi * epoch / EPOCHS
        place = np.array([4.0, 3.0]) + 1.8 * np.array([np.cos(angle), np.sin(angle)])
        heading = angle + np.pi / 2
        at(epoch)
        there = turned(place - [1.0, -2.0], -odom) + 30.0 * (epoch >= reset)
        wheels.publish(c.to_wheels(np.array([*there, heading - odom]), ns))
        tag = place + turned(lever[:2], heading)
        said = c.to_ranges(ranges_at(tag, [0, 1, 2, 3], ns / 1e9), ANCHORS)
        hosted.until(lambda t=ns / 1e9: hosted.node._motion.pose_at(t) is not None, "odometry")
        ranges.publish(RangeArray(header=c.header(ns, "map"), ranges=said))
        hosted.until(lambda e=epoch: fixes["fixes"] > e, "the fix")
    return place, heading


def is_of_the_end(bases: list[PoseWithCovarianceStamped], transforms: list[TFMessage]) -> bool:
    """Whether what is heard has reached the last epoch."""
    heard = [*bases[-1:], *(message.transforms[0] for message in transforms[-1:])]
    return [c.nanoseconds(message.header.stamp) for message in heard] == [LAST_NS] * 2


@pytest.mark.parametrize("said", ["parameter", "tf", "late tf"])
def test_odometry_tells_where_the_robot_is_and_where_odom_lies(said: str) -> None:
    lever = np.array([0.3, -0.2, 0.5])
    given = {"lever_arm": "'0.3, -0.2, 0.5'"} if said == "parameter" else {}
    with hosting(EkfNode, dimensions="'2'", broadcast="odom", tag_height=1.0, **given) as hosted:
        bases = hosted.hear(PoseWithCovarianceStamped, "ekf_node/base_pose")
        transforms = hosted.hear(TFMessage, "/tf", QoSProfile(depth=100))
        static = hosted.peer.create_publisher(TFMessage, "/tf_static", LATCHED)

        def tell(epoch: int) -> None:
            if epoch == {"tf": 0, "late tf": EPOCHS // 2}.get(said):
                static.publish(TFMessage(transforms=[transform("base_link", "tag", *lever)]))

        hosted.place()
        hosted.until(lambda: hosted.node.site, "the site")
        place, heading = drive(hosted, 0.7, lever, tell)
        hosted.until(lambda: is_of_the_end(bases, transforms), "base pose and TF")
        base = bases[-1]
        assert off(base, place) < 0.1
        assert base.pose.pose.position.z == pytest.approx(0.5)
        found = base.pose.pose.orientation
        assert 2 * np.arctan2(found.z, found.w) == pytest.approx(heading, abs=0.06)
        assert 0.0 < base.pose.covariance[35] < 0.1
        (moved,) = transforms[-1].transforms
        assert (moved.header.frame_id, moved.child_frame_id) == ("map", "odom")
        turn = moved.transform.rotation
        assert 2 * np.arctan2(turn.z, turn.w) == pytest.approx(0.7, abs=0.06)
        offset = moved.transform.translation
        assert np.hypot(offset.x - 1.0, offset.y + 2.0) < 0.3


def test_a_frame_that_others_place_is_left_to_them_and_ours_hides_nothing() -> None:
    """A frame has one parent. The lever arm is TF's while our own transforms are on it, too."""
    lever = np.array([0.3, -0.2, 0.0])
    with hosting(EkfNode, dimensions="'2'", broadcast="tag") as hosted:
        bases = hosted.hear(PoseWithCovarianceStamped, "ekf_node/base_pose")
        transforms = hosted.hear(TFMessage, "/tf", QoSProfile(depth=100))
        static = hosted.peer.create_publisher(TFMessage, "/tf_static", LATCHED)

        def tell(epoch: int) -> None:
            if epoch == EPOCHS // 2:
                static.publish(TFMessage(transforms=[transform("base_link", "tag", *lever)]))
                told = lambda: hosted.node._frames.between("base_link", "tag")  # noqa: E731
                hosted.until(lambda: told() is not None, "the frame")

        hosted.place()
        hosted.until(lambda: hosted.node.site, "the site")
        place, _ = drive(hosted, 0.7, lever, tell)
        stamps = lambda: [c.nanoseconds(base.header.stamp) for base in bases]  # noqa: E731
        hosted.until(lambda: LAST_NS in stamps(), "the last base pose")
        assert off(bases[-1], place) < 0.15
        sent = [c.nanoseconds(each.transforms[0].header.stamp) for each in transforms]
        assert 0 < max(sent) < LAST_NS - (EPOCHS // 2 - 1) * STEP_NS  # none since TF has its own
        assert "map -> tag is not sent: TF has base_link -> tag" in hosted.node.health()[0]


@pytest.mark.parametrize("frame", ["", "map", "/map"])
def test_a_frame_is_not_placed_in_itself(
    frame: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Odometry that says no frame, or the map's: tf2 would refuse what we sent."""
    made = c.to_wheels

    def without(pose: np.ndarray, ns: int) -> Odometry:
        message = made(pose, ns)
        message.header.frame_id = frame
        return message

    monkeypatch.setattr(c, "to_wheels", without)
    given = {"dimensions": "'2'", "lever_arm": "'0, 0, 0'"}
    with hosting(EkfNode, broadcast="odom", **given) as hosted:
        bases = hosted.hear(PoseWithCovarianceStamped, "ekf_node/base_pose")
        transforms = hosted.hear(TFMessage, "/tf", QoSProfile(depth=100))
        hosted.place()
        hosted.until(lambda: hosted.node.site, "the site")
        drive(hosted, 0.7, np.zeros(3))
        hosted.until(lambda: bases, "base poses")
        hosted.rest(0.2)
        assert not transforms
    assert "expected a frame of its own" in capfd.readouterr().err


def test_odometry_that_is_set_anew_says_nothing_of_the_old_frame() -> None:
    given = {"dimensions": "'2'", "lever_arm": "'0, 0, 0'"}
    with hosting(EkfNode, **given) as hosted:
        bases = hosted.hear(PoseWithCovarianceStamped, "ekf_node/base_pose")
        hosted.place()
        hosted.until(lambda: hosted.node.site, "the site")
        drive(hosted, 0.7, np.zeros(3), reset=EPOCHS - 5)
        last = lambda: c.nanoseconds(bases[-1].header.stamp) if bases else 0  # noqa: E731
        hosted.until(lambda: last() == LAST_NS - 5 * STEP_NS, "base poses until then")
        hosted.rest(0.3)
        assert last() == LAST_NS - 5 * STEP_NS


def test_what_may_change_at_run_time_does_and_the_rest_says_why_not() -> None:
    with hosting(TrackerNode, **EKF, scheduler="sequential", rate=20.0) as hosted:
        schedules = hosted.hear(AnchorSchedule, "uwb/schedule")
        ranges = hosted.say(RangeArray, "uwb/ranges") if hosted.node.site else None
        hosted.place()
        ranges = hosted.say(RangeArray, "uwb/ranges")
        answered = 0

        def answer() -> None:
            nonlocal answered
            while answered < len(schedules):
                ranges.publish(answer_to(schedules[answered]))
                answered += 1

        hosted.until(lambda: answer() or hosted.node.counts["fixes"] > 3, "fixes")
        assert hosted.set("accuracy", 10.0).successful  # one range is enough now
        begun = hosted.node.counts["fixes"]
        hosted.until(lambda: answer() or hosted.node.counts["fixes"] > begun + 3, "more fixes")
        assert [len(s.anchors) for s in schedules[-2:]] in ([1, 0], [0, 1])
        late = {"tracker": "grid", "frame": "hall", "ekf.sigma_n": 0.5, "use_sim_time": True}
        for name, value in late.items():
            refused = hosted.set(name, value)
            assert not refused.successful
            assert f"{name}: takes effect at configure" in refused.reason
            assert hosted.node.get_parameter(name).value != value
        assert not hosted.set("budget", 0).successful
        assert hosted.set("frame", "map").successful  # it is so already
        before = hosted.node._timer
        assert hosted.set("rate", 2.0).successful
        assert before.is_canceled()
        assert hosted.node._timer.timer_period_ns == 500_000_000
        begun = hosted.node.counts["fixes"]
        hosted.until(lambda: answer() or hosted.node.counts["fixes"] > begun, "a fix at that rate")
        hosted.node.trigger_deactivate()
        hosted.node.trigger_cleanup()
        assert hosted.set("tracker", "grid").successful


def test_accuracy_is_refused_where_the_scheduler_cannot_stop_early() -> None:
    with hosting(TrackerNode, **EKF) as hosted:
        refused = hosted.set("accuracy", 0.1)
        assert not refused.successful
        assert "for sequential" in refused.reason
        assert hosted.set("budget", 2).successful
        assert hosted.node.config.budget == 2


def test_the_rate_is_of_ros_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Patience, "lasts", lambda *_: False)  # nobody answers here
    with hosting(TrackerNode, **EKF, rate=10.0, use_sim_time=True) as hosted:
        hosted.place()
        hosted.until(lambda: hosted.node.site, "the site")
        assert "waiting for simulated time" in hosted.node.health()[0]
        clock = hosted.say(Clock, "/clock")
        now = lambda: hosted.node.get_clock().now().nanoseconds  # noqa: E731
        for tick in range(100):  # 50 Hz, two seconds
            ns = 10**9 + tick * 20_000_000
            clock.publish(Clock(clock=c.to_stamp(ns)))
            hosted.until(lambda ns=ns: now() == ns, "that time")
            hosted.rest(0.005)  # for the timer
        hosted.until(lambda: hosted.node.counts["schedules"] >= 20, "the last of two seconds")
        for _ in range(100):  # it stands still
            clock.publish(Clock(clock=c.to_stamp(ns)))
            hosted.rest(0.002)
        assert hosted.node.counts["schedules"] in (20, 21)


@pytest.mark.parametrize("simulated", [False, True])
def test_a_system_clock_that_is_set_back_does_not_stop_the_rate(simulated: bool) -> None:
    with hosting(TrackerNode, **EKF, rate=10.0, use_sim_time=simulated) as hosted:
        hosted.place()
        hosted.until(lambda: hosted.node.site, "the site")
        kind = hosted.node._timer.clock.clock_type
        assert kind == (ClockType.ROS_TIME if simulated else ClockType.STEADY_TIME)


def test_a_launch_made_twice_is_recognised_in_what_is_dropped() -> None:
    with hosting(TrackerNode, **EKF, rate=2.0) as hosted:
        schedules = hosted.hear(AnchorSchedule, "uwb/schedule")
        hosted.place()
        ranges = hosted.say(RangeArray, "uwb/ranges")
        hosted.until(lambda: schedules, "a schedule")
        other, mine = answer_to(schedules[-1]), answer_to(schedules[-1])
        other.session ^= 1
        ranges.publish(other)
        hosted.until(lambda: hosted.node.counts["messages_dropped"] == 1, "the other's answer")
        assert "does another tracker ask here, too?" in hosted.node.problem
        for _ in range(2):
            ranges.publish(mine)
        hosted.until(lambda: hosted.node.counts["messages_dropped"] == 2, "the second answer")
        assert "do two sources answer here?" in hosted.node.problem


def test_without_ticks_and_without_a_rate_it_says_what_it_waits_for() -> None:
    with hosting(TrackerNode, **EKF) as hosted:
        assert "waiting for the anchors: nobody publishes /uwb/anchors" in hosted.node.health()[0]
        hosted.place()
        hosted.until(lambda: hosted.node.site, "the site")
        assert "waiting for ticks (rate is 0)" in hosted.node.health()[0]


@pytest.mark.parametrize("periods", [3, 14])
def test_a_rate_that_the_source_cannot_keep_settles_at_what_it_can(
    periods: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of its own: on a busy machine an answer takes what it takes."""
    now, period = 100.0, 1.0 / 200.0
    for module in (patience, tracker_node):
        monkeypatch.setattr(module, "perf_counter", lambda: now)
    with hosting(TrackerNode, **EKF, rate=200.0) as hosted:
        schedules = hosted.hear(AnchorSchedule, "uwb/schedule")
        hosted.place()
        ranges = hosted.say(RangeArray, "uwb/ranges")
        counts = hosted.node.counts
        for answered in range(80):  # each after so many periods
            hosted.until(lambda n=answered: len(schedules) > n, "the next schedule")
            for _ in range(periods):
                now += period
                hosted.node._due()
            ranges.publish(answer_to(schedules[answered]))
            hosted.until(
                lambda n=answered: counts["fixes"] + counts["late"] > n, "what comes of the answer"
            )
        assert counts["unanswered"] <= 10  # until it has learned what an answer takes


def test_what_nobody_looks_at_is_not_built_and_who_comes_late_sees_all() -> None:
    with hosting(EkfNode, dimensions="'2'", display_period=0.0) as hosted:
        hosted.place()
        ranges = hosted.say(RangeArray, "uwb/ranges")

        def say(epoch: int, rows: list[int]) -> None:
            ns = 10**9 + epoch * STEP_NS
            said = c.to_ranges(ranges_at(TRUTH, rows, ns / 1e9), ANCHORS)
            ranges.publish(RangeArray(header=c.header(ns, "map"), ranges=said))
            hosted.until(lambda: hosted.node.counts["fixes"] == epoch + 1, "the fix")

        say(0, [0, 1, 2, 3])
        assert hosted.node.output._markers._next == 0.0
        shown = hosted.hear(MarkerArray, "ekf_node/markers", QoSProfile(depth=10))
        paths = hosted.hear(PathMessage, "ekf_node/path", QoSProfile(depth=10))
        hosted.until(
            lambda: hosted.node.output._markers._publisher.get_subscription_count(), "a viewer"
        )
        say(1, [0, 1, 2])
        say(2, [0, 1, 3])
        hosted.until(lambda: len(shown) == len(paths) == 2, "both")
        assert [m.id for m in shown[0].markers if m.ns == "anchors"] == [0, 1, 2, 3]
        assert [m.id for m in shown[1].markers if m.ns == "anchors"] == [2, 3]
        assert [len(path.poses) for path in paths] == [2, 3]
        # Fewer anchors while somebody looks: the old ones, of which there are more, are taken away.
        hosted.node._on_anchors(c.to_anchors(ANCHORS.subset(("a", "b", "c")), 0, "map"))
        for epoch in range(3, 60):  # three of them take a while
            ns = 10**9 + epoch * STEP_NS
            said = c.to_ranges(ranges_at(TRUTH, [0, 1, 2], ns / 1e9), ANCHORS)
            ranges.publish(RangeArray(header=c.header(ns, "map"), ranges=said))
        hosted.until(lambda: len(shown) > 2, "the new ones")
        assert shown[2].markers[0].action == Marker.DELETEALL
        assert {m.id for m in shown[2].markers if m.ns == "anchors"} == {0, 1, 2}


def test_silence_and_state_are_in_the_status() -> None:
    with hosting(EkfNode, dimensions="'2'") as hosted:
        statuses = hosted.hear(TrackerStatus, "ekf_node/status")
        hosted.place()
        ranges = hosted.say(RangeArray, "uwb/ranges")
        for epoch, good in enumerate((False, True, False)):
            ns = 10**9 + epoch * STEP_NS
            said = c.to_ranges(ranges_at(TRUTH, [0, 1, 2, 3], ns / 1e9), ANCHORS)
            for each in said:
                each.status = each.OK if good else each.TIMEOUT
            ranges.publish(RangeArray(header=c.header(ns, "map"), ranges=said))
        hosted.until(lambda: len(statuses) == 3, "three statuses")
        waiting, fixed, silent = statuses
        assert waiting.state == TrackerStatus.WAITING
        assert np.isnan(waiting.silence)
        assert (fixed.state, fixed.silence) == (TrackerStatus.TRACKING, 0.0)
        assert silent.silence == pytest.approx(0.1)


def test_anchors_without_places_are_said_and_waited_for() -> None:
    with hosting(EkfNode, dimensions="'2'") as hosted:
        said = hosted.say(AnchorArray, "uwb/anchors", LATCHED)
        nowhere = Anchors(ANCHORS.ids, 0.0 * ANCHORS.positions)
        said.publish(c.to_anchors(nowhere, 0, "map"))
        hosted.until(lambda: hosted.node.counts["messages_dropped"], "the anchors")
        assert "all at one place" in hosted.node.health()[0]
        said.publish(c.to_anchors(ANCHORS, 0, "map"))
        hosted.until(lambda: hosted.node.site, "the site")
        assert "waiting for ranges" in hosted.node.health()[0]


def test_why_messages_are_dropped_is_said_where_a_fix_is_waited_for() -> None:
    with hosting(EkfNode, dimensions="'2'") as hosted:
        hosted.place()
        ranges = hosted.say(RangeArray, "uwb/ranges")
        said = c.to_ranges(ranges_at(TRUTH, [0, 1, 2, 3], 1.0), ANCHORS)
        ranges.publish(RangeArray(header=c.header(3601 * 10**9, "map"), ranges=said))
        hosted.until(lambda: hosted.node.counts["messages_dropped"], "the answer of an hour ago")
        assert "stamp is -3600.000 s from the header's: do the clocks" in hosted.node.health()[0]


def test_what_is_waited_for_is_logged_once_again_and_when_it_is_over(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with hosting(EkfNode, dimensions="'2'") as hosted:
        now = 100.0
        monkeypatch.setattr(saying, "monotonic", lambda: now)

        def logged(seconds: float) -> str:
            nonlocal now
            now += seconds
            hosted.node.report()
            return capfd.readouterr().err

        logged(0.0)
        assert logged(1.0) == ""  # it may be over at once
        assert "waiting for the anchors: nobody publishes /uwb/anchors" in logged(1.5)
        assert logged(10.0) == ""
        assert "waiting for the anchors" in logged(25.0)
        monkeypatch.setattr(hosted.node, "health", lambda: ("", {}))
        assert "over: waiting for the anchors" in logged(1.0)
        assert logged(100.0) == ""
        # One complaint, however its seconds count on.
        begin = now
        silent = lambda: (f"no usable range for {now - begin:.1f} s", {})  # noqa: E731
        monkeypatch.setattr(hosted.node, "health", silent)
        said = [logged(1.0) for _ in range(20)]
        assert [line for line in said if line] == [said[2]]
        assert "no usable range for 3.0 s" in said[2]


def test_diagnostics_recover_and_name_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    with hosting(EkfNode, dimensions="'2'") as hosted:
        heard = hosted.hear(DiagnosticArray, "/diagnostics", QoSProfile(depth=10))
        monkeypatch.setattr(hosted.node, "health", lambda: ("", {"device": "DWM1001 6E01"}))

        def status() -> DiagnosticStatus:
            count = len(heard)
            hosted.node.report()
            hosted.until(lambda: len(heard) > count, "diagnostics")
            return heard[-1].status[0]

        hosted.until(lambda: heard, "the first ones")
        assert status().level == DiagnosticStatus.OK
        hosted.node.drop("a range of nobody")
        assert status().level == DiagnosticStatus.WARN
        assert status().message == "1 messages dropped: a range of nobody"
        hosted.node._dropped_at -= 11.0
        recovered = status()
        assert (recovered.level, recovered.message) == (DiagnosticStatus.OK, "ok")
        assert recovered.hardware_id == "DWM1001 6E01"
        assert {v.key: v.value for v in recovered.values}["messages_dropped"] == "1"


def test_a_flood_leaves_others_their_turn() -> None:
    with hosting(EkfNode, dimensions="'2'") as hosted:
        heard: list[Clock] = []
        listener = hosted.node.listen(Clock, "flood", heard.append)
        flood = hosted.say(Clock, "flood")
        for _ in range(1500):
            flood.publish(Clock())
        assert flood.wait_for_all_acked()
        hosted.node.catch_up(listener)
        assert len(heard) == 1000


def test_a_node_whose_stderr_is_closed_runs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with hosting(lambda: still(EkfNode)):
        monkeypatch.setattr(sys, "stderr", None)
        assert isinstance(make_executor(), SingleThreadedExecutor)
        monkeypatch.undo()
        make_executor().spin_once(timeout_sec=0.0)
