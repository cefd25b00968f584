# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a tracker says of a driver whose clock was set; across hosts: test/contract/clocks.py."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from diagnostic_msgs.msg import DiagnosticArray
from locdreamer_ros.msg import AnchorSchedule, RangeArray, TrackerStatus
from nodes.hosted import ANCHORS, TRUTH, answer_to, hosting, ranges_at

from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.ekf_node import EkfNode
from locdreamer_ros.nodes.fleet_node import FleetNode
from locdreamer_ros.nodes.tracker_node import TrackerNode


def test_a_silence_of_dropped_messages_says_why_they_are() -> None:
    """The clock of the driver was set by an hour: nothing usable comes, and that is not all."""
    with hosting(TrackerNode, rate=20.0, dimensions='"2"') as hosted:
        hosted.place()
        asked = hosted.hear(AnchorSchedule, "uwb/schedule")
        ranges = hosted.say(RangeArray, "uwb/ranges")

        def answered(late_s: int) -> str:
            while asked:
                answer = answer_to(asked.pop(0))
                for entry in answer.ranges:
                    entry.stamp.sec += late_s
                ranges.publish(answer)
            return str(hosted.node.health()[0])

        hosted.until(lambda: answered(0) == "" and hosted.node.loop.estimate is not None, "a fix")
        hosted.until(lambda: "no usable range for" in answered(3600), "silence")
        assert "do the clocks of driver and tracker agree?" in answered(3600)


def said_at(second: float) -> RangeArray:
    """What a tag that stands still sends unasked."""
    ranges = ranges_at(TRUTH, [0, 1, 2, 3], second)
    header = c.header(round(second * 1e9), "map")
    return RangeArray(header=header, tag="robin", ranges=c.to_ranges(ranges, ANCHORS))


def test_a_clock_that_went_back_is_a_restart_in_every_status() -> None:
    times = (1000.0, 1000.1, 500.0, 500.1, 500.2)
    with hosting(FleetNode, dimensions="'2'") as fleet:
        fleet.place()
        statuses = fleet.hear(DiagnosticArray, "fleet_node/status")
        ranges = fleet.say(RangeArray, "uwb/ranges")
        for second in times:
            ranges.publish(said_at(second))
            fleet.rest(0.05)

        def told() -> str:
            found = statuses[-1].status if statuses else []
            return {pair.key: pair.value for each in found for pair in each.values}.get("restarts")

        fleet.until(lambda: told() == "1", "the restart in the tag's status")
        assert fleet.node.health()[1]["restarts"] == 1
    with hosting(EkfNode, dimensions="'2'") as ekf:
        ekf.place()
        statuses = ekf.hear(TrackerStatus, "ekf_node/status")
        ranges = ekf.say(RangeArray, "uwb/ranges")
        for second in times:
            ranges.publish(said_at(second))
            ekf.rest(0.05)
        ekf.until(lambda: statuses and statuses[-1].restarts == 1, "the restart in the status")
        ekf.node.restart("its numbers failed")  # with which the first one is not forgotten
        assert ekf.node.health()[1]["restarts"] == 2


def test_answers_to_what_was_asked_before_a_new_activation_are_no_fault() -> None:
    with hosting(TrackerNode, rate=20.0, dimensions="'2'") as hosted:
        hosted.place()
        asked = hosted.hear(AnchorSchedule, "uwb/schedule")
        ranges = hosted.say(RangeArray, "uwb/ranges")
        hosted.until(lambda: len(asked) > 2, "schedules")
        assert hosted.node.trigger_deactivate().name == "SUCCESS"
        assert hosted.node.trigger_activate().name == "SUCCESS"
        old, count = asked[-1], len(asked)
        silent = answer_to(old)
        silent.session = 0  # of a source that does not repeat it
        hosted.until(lambda: ranges.get_subscription_count() == 1, "the tracker's return")
        hosted.until(lambda: len(asked) > count, "a new schedule")
        for answer in (answer_to(old), silent):
            ranges.publish(answer)
        hosted.rest(0.3)
        assert not hosted.node.counts["messages_dropped"], hosted.node.problem
        assert hosted.node.loop.estimate is None
        asked.clear()
        hosted.until(lambda: asked, "a schedule")
        ranges.publish(answer_to(asked[-1]))
        hosted.until(lambda: hosted.node.loop.estimate is not None, "its answer")
        ranges.publish(answer_to(asked[-1]))
        hosted.until(lambda: hosted.node.counts["messages_dropped"] == 1, "but only once")
