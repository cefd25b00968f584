# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a tracker says of a driver whose clock is wrong, or that has none.

Across hosts: test/contract/clocks.py; what is drawn at random: test/contract/times.py.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from locdreamer_ros.msg import AnchorSchedule, RangeArray, TrackerStatus
from nodes.hosted import ANCHORS, TRUTH, answer_to, hosting, ranges_at

from locdreamer_ros.nodes import clocks
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.ekf_node import EkfNode
from locdreamer_ros.nodes.fleet_node import FleetNode
from locdreamer_ros.nodes.patience import Patience
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


def test_answers_to_what_was_asked_before_a_new_activation_are_no_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
        monkeypatch.setattr(Patience, "lasts", lambda *_: True)  # one is waited for
        waits = lambda: asked[-1].sequence == hosted.node._pending.message.sequence  # noqa: E731
        hosted.until(waits, "its schedule")
        answered = answer_to(asked[-1])
        ranges.publish(answered)
        hosted.until(lambda: hosted.node.loop.estimate is not None, "its answer")
        ranges.publish(answered)
        hosted.until(lambda: hosted.node.counts["messages_dropped"] == 1, "but only once")


@pytest.mark.parametrize("make", [EkfNode, FleetNode])
@pytest.mark.parametrize("own", [False, True])
def test_a_sender_without_a_clock_is_tracked_by_the_time_of_arrival(make: Any, own: bool) -> None:
    """Its header's stamp is 0; own: those of its ranges are not."""
    with hosting(make, dimensions="'2'") as hosted:
        hosted.place()
        ranges = hosted.say(RangeArray, "uwb/ranges")
        topic = "ekf_node/pose" if make is EkfNode else "fleet_node/robin/pose"
        poses = hosted.hear(PoseWithCovarianceStamped, topic)

        def sent() -> bool:
            message = said_at(hosted.node.get_clock().now().nanoseconds * 1e-9)
            message.header.stamp = c.to_stamp(0)
            for entry in message.ranges:
                entry.stamp = entry.stamp if own else c.to_stamp(0)
            ranges.publish(message)
            hosted.rest(0.02)
            return len({c.nanoseconds(pose.header.stamp) for pose in poses}) > 4

        hosted.until(sent, "poses")
        stamps = [c.nanoseconds(pose.header.stamp) for pose in poses]
        assert stamps == sorted(stamps)
        assert stamps.count(0) <= len(ANCHORS) + 1, "a clock may begin there"
        now = hosted.node.get_clock().now().nanoseconds
        assert abs(now - stamps[-1]) < 20e9


def test_ranges_without_a_stamp_of_their_own_have_that_of_the_message() -> None:
    message = said_at(1000.0)
    message.ranges[1].stamp = c.to_stamp(0)
    assert c.from_ranges(message, ANCHORS).stamp.tolist() == [1000.0] * 4


def test_what_is_sent_again_among_newer_ones_counts_once_and_is_counted() -> None:
    with hosting(EkfNode, dimensions="'2'") as ekf:
        ekf.place()
        statuses = ekf.hear(TrackerStatus, "ekf_node/status")
        ranges = ekf.say(RangeArray, "uwb/ranges")
        for tenth in (0, 1, 2, 0, 3, 1, 4, 2):
            ranges.publish(said_at(1000.0 + tenth / 10.0))
        ekf.until(lambda: len(statuses) == 8, "all of them")
        assert [each.ranges_used for each in statuses] == [4, 4, 4, 0, 4, 0, 4, 0]
        assert ekf.node.health()[1]["duplicate_ranges"] == 12


def test_what_is_far_too_late_is_counted_as_late() -> None:
    for make in (EkfNode, FleetNode):
        with hosting(make, dimensions="'2'") as hosted:
            hosted.place()
            ranges = hosted.say(RangeArray, "uwb/ranges")
            for second in (1000.0, 1000.1, 995.0, 1000.2):
                ranges.publish(said_at(second))
            hosted.until(lambda h=hosted: h.node.counts["messages_dropped"], "the late one")
            loop = hosted.node.loop if make is EkfNode else hosted.node.fleet.loop("robin")
            assert loop.watch.gate.times.late == 4
            assert loop.restarts == 0


def test_an_anchor_whose_clock_is_seconds_off_is_named_in_the_diagnostics() -> None:
    for make in (EkfNode, FleetNode):
        with hosting(make, dimensions="'2'") as hosted:
            hosted.place()
            ranges = hosted.say(RangeArray, "uwb/ranges")
            for tenth in range(25):
                message = said_at(1000.0 + tenth / 10.0)
                message.ranges[2].stamp.sec -= 3
                ranges.publish(message)
            hosted.until(lambda h=hosted: "stamped" in h.node.health()[0], "a word")
            said = hosted.node.health()[0]
            assert "ranges of 'c' are stamped 3.0 s behind, and passed over" in said


class Hand:
    """A node's clock and the steady one, set by hand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.steady, self.apart = 0.0, 1e9
        patch.setattr(clocks, "monotonic", lambda: self.steady)

    def get_clock(self) -> Any:
        """As a node's."""
        ns = round((self.steady + self.apart) * 1e9)
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=ns))


@pytest.mark.parametrize(
    ("ahead", "pace", "late", "named"),
    [
        (0.0, 1.0, 0.0, ""),
        (-0.4, 1.0, 0.0, ""),
        (0.0, 1.0, 2.0, ""),  # each second one only
        (-0.6, 1.0, 0.0, "stamps 0.6 s behind"),
        (10.0, 1.0, 0.0, "stamps 10.0 s ahead of"),
        (0.0, 1000.0, 0.0, "go on by 1e+03 s in a second"),
        (0.0, 0.001, 0.0, "go on by 0.001 s in a second"),
        (0.0, 0.0, 0.0, "go on by 0 s in a second"),
        (-1e9, 1.1, 0.0, "use_sim_time"),
    ],
)
def test_another_clock_or_unit_of_who_ranges_unasked_is_named(
    ahead: float, pace: float, late: float, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand, heard = Hand(monkeypatch), clocks.Clocks()
    for message in range(60):
        hand.steady = message / 10.0
        stamp = hand.apart + ahead + pace * hand.steady - (message % 2) * late
        heard.hear(round(stamp * 1e9), hand)
        assert not (message < 20 and heard.wrong()), "not by less than three windows"
    assert named in heard.wrong()
    assert bool(named) == bool(heard.wrong())


def test_one_step_of_a_clock_is_no_other_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    hand, heard = Hand(monkeypatch), clocks.Clocks()
    for message in range(100):
        hand.steady = message / 10.0
        hand.apart = 2e9 if message > 50 else 1e9
        heard.hear(round((hand.steady + hand.apart) * 1e9), hand)
        assert not heard.wrong()


def test_a_fleet_names_the_clock_of_a_tag_that_is_tracked_well() -> None:
    with hosting(FleetNode, dimensions="'2'") as fleet:
        fleet.place()
        ranges = fleet.say(RangeArray, "uwb/ranges")
        for tenth in range(12):
            message = said_at(1000.0 + tenth / 10.0)
            for entry in message.ranges:
                entry.stamp = c.to_stamp(round((1000.7 + tenth / 10.0) * 1e9))
            ranges.publish(message)
        fleet.until(lambda: "0.7 s ahead" in fleet.node.health()[0], "the clock's name")
        assert "tag 'robin'" in fleet.node.health()[0]


@pytest.mark.parametrize("make", [TrackerNode, FleetNode])
def test_an_answer_of_a_source_without_a_clock_has_its_schedules_time(make: Any) -> None:
    asks: dict[str, Any] = {"rate": 20.0, "dimensions": "'2'"}
    asks |= {} if make is TrackerNode else {"passive": False, "tags": "robin"}
    with hosting(make, **asks) as hosted:
        hosted.place()
        asked = hosted.hear(AnchorSchedule, "uwb/schedule")
        ranges = hosted.say(RangeArray, "uwb/ranges")

        def fixes() -> int:
            while asked:
                answer = answer_to(schedule := asked.pop(0))
                answer.tag = schedule.tag
                for header in (answer.header, *answer.ranges):
                    header.stamp = c.to_stamp(0)
                ranges.publish(answer)
            return int(hosted.node.counts["fixes"])

        hosted.until(lambda: fixes() > 3, "fixes")
        assert not hosted.node.counts["messages_dropped"], hosted.node.problem


def test_a_clock_that_begins_at_0_is_believed_though_each_anchor_has_a_message() -> None:
    with hosting(EkfNode, dimensions="'2'") as ekf:
        ekf.place()
        statuses = ekf.hear(TrackerStatus, "ekf_node/status")
        ranges = ekf.say(RangeArray, "uwb/ranges")
        for tenth in range(5):
            for each in said_at(tenth / 10.0).ranges:
                header = c.header(tenth * 10**8, "map")
                ranges.publish(RangeArray(header=header, tag="robin", ranges=[each]))
        ekf.until(lambda: len(statuses) == 20, "all of them")
        assert statuses[-1].restarts == 0
        assert not ekf.node.counts["messages_dropped"], ekf.node.problem
