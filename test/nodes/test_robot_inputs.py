# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a robot really sends: late, twice, with another clock; and what it is told of it."""

from __future__ import annotations

from time import monotonic, sleep

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from locdreamer_ros.msg import RangeArray
from nav_msgs.msg import Odometry
from nodes.hosted import ANCHORS, TRUTH, Hosted, hosting, ranges_at
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu
from tf2_msgs.msg import TFMessage

from locdreamer_ros.errors import InputError
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.ekf_node import EkfNode
from locdreamer_ros.nodes.evaluator_node import EvaluatorNode
from locdreamer_ros.nodes.fleet_node import FleetNode
from locdreamer_ros.nodes.lifecycle import KEPT_QOS
from locdreamer_ros.nodes.running import make_executor, spin
from locdreamer_ros.nodes.tracker_node import TrackerNode

TENTH_NS = 10**8


def ranges_of(tenths: int) -> RangeArray:
    """What a tag that stands sends unasked at so many tenths of a second."""
    ns = tenths * TENTH_NS
    ranges = ranges_at(TRUTH, [0, 1, 2, 3], ns / 1e9)
    return RangeArray(header=c.header(ns, "map"), ranges=c.to_ranges(ranges, ANCHORS))


def test_poses_and_tf_never_go_back_for_what_comes_late_or_twice() -> None:
    """A publisher for each anchor: messages overtake each other, or share a stamp."""
    with hosting(EkfNode, dimensions="'2'", broadcast="tag") as hosted:
        poses = hosted.hear(PoseWithCovarianceStamped, "ekf_node/pose", KEPT_QOS)
        sent = hosted.hear(TFMessage, "/tf")
        hosted.place()
        ranges = hosted.say(RangeArray, "uwb/ranges")
        for tenths in (10, 11, 13, 12, 14, 14, 15):
            ranges.publish(ranges_of(tenths))
            hosted.rest(0.03)
        hosted.until(lambda: len(poses) >= 6 and len(sent) >= 5, "poses and TF")
        stamps = [c.nanoseconds(pose.header.stamp) // TENTH_NS for pose in poses]
        assert stamps == [10, 11, 13, 14, 14, 15]
        told = [c.nanoseconds(each.transforms[0].header.stamp) // TENTH_NS for each in sent]
        assert told == [10, 11, 13, 14, 15]


@pytest.mark.parametrize(
    ("weak", "kind"),
    [(ReliabilityPolicy.BEST_EFFORT, TrackerNode), (ReliabilityPolicy.RELIABLE, EvaluatorNode)],
)
def test_whoever_makes_ticks_or_truth_is_heard(weak: ReliabilityPolicy, kind: type) -> None:
    """Best effort, or without memory, as motion capture and other simulators publish."""
    topic, sent = {
        TrackerNode: ("uwb/tick", Clock(clock=c.to_stamp(10**9))),
        EvaluatorNode: ("ground_truth/pose", PoseStamped()),
    }[kind]
    with hosting(kind) as hosted:
        hosted.place()
        out = hosted.peer.create_publisher(type(sent), topic, QoSProfile(depth=1, reliability=weak))
        heard = {
            TrackerNode: lambda: hosted.node.counts["schedules"],
            EvaluatorNode: lambda: hosted.node._truth,
        }[kind]
        hosted.until(lambda: out.publish(sent) or heard(), topic)


@pytest.mark.parametrize("kind", [TrackerNode, EkfNode, FleetNode])
def test_ranges_of_another_tag_are_named_where_none_of_ones_own_come(kind: type) -> None:
    """It said that nothing had come yet."""
    mine = {"tags": "robin"} if kind is FleetNode else {"tag": "robin"}
    with hosting(kind, dimensions="'2'", **mine) as hosted:
        hosted.place()
        said = ranges_of(10)
        said.tag = "wren"
        hosted.say(RangeArray, "uwb/ranges").publish(said)
        hosted.until(lambda: "what comes is of tag 'wren'" in hosted.node.health()[0], "it said")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"frame": "/map"}, "frame: expected a frame's name, which has no slash before it"),
        ({"frame": ""}, "frame: expected a frame's name"),
        ({"tag_frame": "/map"}, "tag_frame: expected a frame's name"),
        ({"tag_frame": ""}, "tag_frame: expected a frame's name"),
        (
            {"ranges_from": "topic=/d type=sensor_msgs/msg/Range"},
            "ranges_from: a tracker that asks",
        ),
    ],
)
def test_what_a_tracker_cannot_do_is_refused(given: dict[str, str], words: str) -> None:
    with hosting(TrackerNode) as hosted:
        hosted.node.trigger_deactivate()
        hosted.node.trigger_cleanup()
        for name, value in given.items():
            assert hosted.set(name, value).successful
        assert hosted.node.trigger_configure().name == "FAILURE"
        assert hosted.node.problem.startswith(words)


def follow(hosted: Hosted, first: int, count: int, *, every: int = 1, later: float = 0.0) -> str:
    """So many fixes with odometry at each `every`-th; what health says then.

    later: s that the odometry's stamps are after those of the ranges.
    """
    wheels, ranges = hosted.say(Odometry, "odometry"), hosted.say(RangeArray, "uwb/ranges")
    fixes = hosted.node.counts["fixes"]
    for epoch in range(first, first + count):
        if epoch % every == 0:
            wheels.publish(c.to_wheels(np.zeros(3), epoch * TENTH_NS + round(later * 1e9)))
            assert wheels.wait_for_all_acked()  # before the ranges that it belongs to
        ranges.publish(ranges_of(epoch))
    hosted.until(lambda: hosted.node.counts["fixes"] == fixes + count, "the fixes")
    return str(hosted.node.health()[0])


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"later": -100.0}, "odometry is not used: it is stamped 100.0 s before the ranges"),
        ({"later": 7.5}, "odometry is not used: it is stamped 7.5 s after the ranges"),
        ({"every": 6}, "odometry is not used: it comes less often than every 0.5 s"),
    ],
)
def test_odometry_that_says_nothing_of_the_fixes_is_named(
    how: dict[str, float], words: str
) -> None:
    """It was passed over in silence."""
    with hosting(EkfNode, dimensions="'2'") as hosted:
        hosted.place()
        assert follow(hosted, 6000, 5, **how) == ""
        assert follow(hosted, 6005, 24, **how) == words
        hosted.node.trigger_deactivate()
        hosted.node.trigger_activate()
        assert follow(hosted, 7000, 25) == ""


def moving(kind: str, epoch: int) -> Odometry | Imu:
    """A robot that goes .5 m/s on a circle of 1 m, as it says it in each tenth of a second."""
    angle, ns = 0.05 * epoch, epoch * TENTH_NS
    if kind == "degrees":
        return c.to_imu(np.degrees(0.5), ns)
    scale = {"twist": 0.0, "mm": 1000.0}.get(kind, 1.0)
    pose = scale * np.array([np.sin(angle), 1.0 - np.cos(angle), 0.0])
    said = c.to_wheels(pose, ns)
    said.twist.twist.linear.x = 0.5
    return said


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("twist", "odometry is not used: its pose stands still while its twist moves"),
        ("mm", "odometry is not used: it goes 50 m in 0.1 s, again and again: is it in m?"),
        ("degrees", "imu is not used: it turns by more than 8 rad/s again and again: are they"),
        ("right", ""),
    ],
)
def test_motion_that_cannot_be_is_named_and_not_used(kind: str, words: str) -> None:
    """A robot that stood, by its odometry, and drove; a tag that spun: both were believed."""
    with hosting(EkfNode, dimensions="'2'") as hosted:
        hosted.place()
        first = moving(kind, 6000)
        say = hosted.say(type(first), "imu" if kind == "degrees" else "odometry")
        ranges = hosted.say(RangeArray, "uwb/ranges")
        for epoch in range(6000, 6080):
            say.publish(moving(kind, epoch))
            assert say.wait_for_all_acked()  # before the ranges that it belongs to
            ranges.publish(ranges_of(epoch))
        hosted.until(lambda: hosted.node.counts["fixes"] == 80, "the fixes")
        said = hosted.node.health()[0]
        assert said.startswith(words) if words else said == ""
        assert (hosted.node.counts["motions"] > 70) == (not words)


@pytest.mark.parametrize("rate", [0.0, 5.0])
def test_a_tracker_that_asks_and_hears_unasked_ranges_says_what_to_set(rate: float) -> None:
    """It waited for ticks, or asked whether two sources answer."""
    with hosting(TrackerNode, dimensions=2, rate=rate) as hosted:
        hosted.place()
        ranges = hosted.say(RangeArray, "uwb/ranges")
        ranges.publish(ranges_of(10))
        hosted.until(lambda: hosted.node.counts["messages_dropped"] == 1, "the ranges")
        assert "they come unasked: set passive" in hosted.node.health()[0]


def test_an_event_of_a_subscription_that_gave_way_ends_no_node() -> None:
    """A best-effort sensor: the events executor raised InvalidHandle, now and then."""
    with hosting(EkfNode, dimensions=2) as hosted:
        hosted.place()
        hosted.until(lambda: hosted.node.site, "the site")
        hosted.executor.remove_node(hosted.node)
        executor = make_executor()
        executor.add_node(hosted.node)
        spin(executor, 0.1)
        weak = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        ranges = hosted.peer.create_publisher(RangeArray, "uwb/ranges", weak)
        hosted.until(lambda: hosted.node.count_publishers("uwb/ranges"), "the sensor")
        sleep(0.5)  # the event waits for its turn
        hosted.node._each_second()  # and the subscription that it is of gives way
        deadline = monotonic() + 20.0
        while not hosted.node.counts["fixes"]:
            assert monotonic() < deadline
            ranges.publish(ranges_of(10))
            spin(executor, 0.05)


def test_what_a_timer_finds_wrong_ends_no_node() -> None:
    with hosting(EkfNode) as hosted:

        def complain() -> None:
            raise InputError("that is not right")

        hosted.node.every(0.05, complain)
        hosted.until(lambda: hosted.node.counts["messages_dropped"] >= 2, "complaints")
        hosted.node.look_each_second(complain)
        count = hosted.node.counts["messages_dropped"]
        hosted.node._each_second()
        assert hosted.node.counts["messages_dropped"] == count + 1
        assert hosted.node.problem == "that is not right"
