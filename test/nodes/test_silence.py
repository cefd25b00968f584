# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing comes any more: a node that lives on what comes says so all the same."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from locdreamer_ros.msg import AnchorSchedule, RangeArray, TrackerStatus
from nodes.hosted import ANCHORS, TRUTH, Hosted, answer_to, hosting, ranges_at
from rosgraph_msgs.msg import Clock

from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes import sited
from locdreamer_ros.nodes.ekf_node import EkfNode
from locdreamer_ros.nodes.evaluator_node import EvaluatorNode
from locdreamer_ros.nodes.fleet_node import FleetNode
from locdreamer_ros.nodes.lifecycle import KEPT_QOS
from locdreamer_ros.nodes.tracker_node import TrackerNode

LATER_S = 5.0


def unasked(ns: int) -> RangeArray:
    ranges = ranges_at(TRUTH, [0, 1, 2, 3], ns / 1e9)
    return RangeArray(header=c.header(ns, "map"), ranges=c.to_ranges(ranges, ANCHORS))


def lived_on(hosted: Hosted, kind: type) -> Callable[[int], None]:
    """What lets a fix be made at a time, ns."""
    if kind is TrackerNode:
        ticks = hosted.say(Clock, "uwb/tick")
        answers = hosted.say(RangeArray, "uwb/ranges")
        hosted.peer.create_subscription(
            AnchorSchedule, "uwb/schedule", lambda asked: answers.publish(answer_to(asked)), 10
        )
        return lambda ns: ticks.publish(Clock(clock=c.to_stamp(ns)))
    ranges = hosted.say(RangeArray, "uwb/ranges")
    return lambda ns: ranges.publish(unasked(ns))


@pytest.mark.parametrize("kind", [TrackerNode, EkfNode, FleetNode])
def test_who_hears_nothing_any_more_says_so(kind: type) -> None:
    """All was well for ever: silence was counted by the stamps of what came."""
    with hosting(kind, dimensions="'2'") as hosted:
        name = "fleet" if kind is FleetNode else hosted.node.get_name()
        told = hosted.hear(TrackerStatus, f"{name}/status", KEPT_QOS)
        hosted.place()
        say = lived_on(hosted, kind)
        for fixes, tenth in enumerate(range(10, 20), start=1):
            say(tenth * 10**8)
            hosted.until(lambda n=fixes: hosted.node.counts["fixes"] == n, "a fix")
        now = hosted.node.now_s()
        hosted.node.now_s = lambda: now
        say(2 * 10**9)
        hosted.until(lambda: hosted.node.counts["fixes"] == 11, "a fix at a time that stands")
        assert hosted.node.health()[0] == ""
        hosted.node.now_s = lambda: now + LATER_S
        if kind is FleetNode:
            assert hosted.node.health()[0].startswith("1 of 1 tags are not tracked well")
            return
        topic = "tick" if kind is TrackerNode else "ranges"
        said = hosted.node.health()[0]
        assert said.startswith("no usable range for 5.0 s")
        assert said.endswith(f"; nothing comes on /uwb/{topic}")
        silent = lambda: [each for each in told if isnan(each.latency)]  # noqa: E731
        hosted.until(lambda: len(silent()) >= 2, "status in a silence")
        last = silent()[-1]
        assert last.state == TrackerStatus.COASTING
        assert last.silence == pytest.approx(LATER_S)
        assert c.nanoseconds(last.header.stamp) / 1e9 == pytest.approx(2.0 + LATER_S)
        hosted.node.now_s = lambda: now
        say(21 * 10**8)
        hosted.until(lambda: told[-1].state == TrackerStatus.TRACKING, "ranges again")
        assert hosted.node.health()[0] == ""


def test_a_tracker_that_is_not_answered_goes_on_saying_how_it_is() -> None:
    """A driver that died: `~/status` came with answers alone, and a watchdog heard nothing."""
    with hosting(TrackerNode, dimensions="'2'", rate=10.0) as hosted:
        told = hosted.hear(TrackerStatus, "tracker_node/status", KEPT_QOS)
        hosted.place()
        driver = hosted.say(RangeArray, "uwb/ranges")
        asked = hosted.peer.create_subscription(
            AnchorSchedule, "uwb/schedule", lambda asked: driver.publish(answer_to(asked)), 10
        )
        hosted.until(lambda: len(told) >= 5, "fixes")
        hosted.peer.destroy_subscription(asked)
        hosted.until(lambda: told[-1].state == TrackerStatus.COASTING, "status in a silence")
        assert hosted.node.health()[0].endswith("; its schedules are not answered")
        hosted.peer.destroy_publisher(driver)
        words = "; nobody publishes /uwb/ranges"
        hosted.until(lambda: hosted.node.health()[0].endswith(words), "what is missing")


def test_the_evaluator_scores_fixes_alone() -> None:
    with hosting(EvaluatorNode, trackers="tracker_node") as hosted:
        status = hosted.say(TrackerStatus, "tracker_node/status", KEPT_QOS)
        status.publish(TrackerStatus(latency=float("nan")))
        status.publish(TrackerStatus(header=c.header(10**9, "map")))
        hosted.until(lambda: hosted.node._statuses["tracker_node"], "a status")
        assert list(hosted.node._statuses["tracker_node"]) == [(0, 10**9)]


@pytest.mark.parametrize("kind", [EkfNode, FleetNode])
def test_the_first_ranges_after_a_silence_are_called_so(kind: type) -> None:
    """It was asked whether clocks agree, which did."""
    with hosting(kind, dimensions="'2'") as hosted:
        hosted.place()
        say = lived_on(hosted, kind)
        now = hosted.node.now_s()
        hosted.node.now_s = lambda: now
        for tenth in range(10, 20):
            say(tenth * 10**8)
        hosted.until(lambda: hosted.node.counts["fixes"] == 10, "fixes")
        now += 14.0
        say(16 * 10**9)
        hosted.until(lambda: hosted.node.counts["messages_dropped"] == 1, "the first one")
        said = hosted.node.problem
        assert said.endswith(
            "the first ranges after 14 s without any: used with the next that agree"
        )
        assert "clocks" not in said
        say(161 * 10**8)
        hosted.until(lambda: hosted.node.counts["fixes"] == 11, "the next")
        # A leap that no silence explains is another thing.
        now += 14.0
        say(61 * 10**9)
        hosted.until(lambda: hosted.node.counts["messages_dropped"] == 2, "a leap")
        assert "is far from the last: do all clocks agree?" in hosted.node.problem


@pytest.mark.parametrize("kind", [EkfNode, FleetNode])
def test_a_clock_that_stands_still_is_said(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bag that was paused, or over: all was well for ever, by its own time."""
    seconds = 100.0
    monkeypatch.setattr(sited, "monotonic", lambda: seconds)
    with hosting(kind, dimensions="'2'", use_sim_time=True) as hosted:
        hosted.place()
        clock = hosted.say(Clock, "/clock")
        ranges = hosted.say(RangeArray, "uwb/ranges")

        def play(tenths: range) -> None:
            for tenth in tenths:
                clock.publish(Clock(clock=c.to_stamp(tenth * 10**8)))
                ranges.publish(unasked(tenth * 10**8))
            last = (tenths[-1] - 9, tenths[-1] * 10**8)
            now = lambda: hosted.node.get_clock().now().nanoseconds  # noqa: E731
            hosted.until(lambda: (hosted.node.counts["fixes"], now()) == last, "fixes")

        play(range(10, 20))
        assert hosted.node.health()[0] == ""
        seconds += 4.0
        assert hosted.node.health()[0].startswith("/clock has stood still for 4 s")
        play(range(20, 22))
        assert hosted.node.health()[0] == ""
