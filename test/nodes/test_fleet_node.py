# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""fleet_node over real topics: each tag as if it were alone, whatever the others send."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from locdreamer_ros.msg import (
    AnchorArray,
    AnchorSchedule,
    RangeArray,
    RangeDifferenceArray,
)
from nodes.hosted import ANCHORS, Hosted, answer_to, hosting, ranges_at
from visualization_msgs.msg import Marker, MarkerArray

from locdreamer_ros.errors import InputError
from locdreamer_ros.loop import Loop
from locdreamer_ros.methods import Method
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.fleet_node import FleetNode
from locdreamer_ros.nodes.lifecycle import KEPT_QOS, LATCHED
from locdreamer_ros.nodes.members import MOST_WAITING
from locdreamer_ros.types import Estimate, Site

PLACES = {"robin": np.array([3.0, 2.0]), "17": np.array([6.0, 4.0]), "wren-2": np.array([2.0, 5.0])}
TOPICS = {"robin": "robin", "17": "tag_17", "wren-2": "wren_2"}
ROWS = [0, 1, 2, 3]
START_NS, STEP_NS = 10**12, 10**8


def heard_at(epoch: int) -> int:
    return START_NS + epoch * STEP_NS


def ranges_of(tag: str, epoch: int) -> RangeArray:
    """What a tag that creeps along sends unasked."""
    ns = heard_at(epoch)
    ranges = ranges_at(PLACES[tag] + 0.01 * epoch, ROWS, ns / 1e9)
    return RangeArray(header=c.header(ns, "map"), tag=tag, ranges=c.to_ranges(ranges, ANCHORS))


def alone(tag: str, epochs: int) -> Estimate:
    """What the tag's loop gives without the others."""
    site, method = Site.of(ANCHORS, "2"), Method(scheduler="all")
    loop = Loop(method.make_tracker(site), method.make_scheduler(site), site, budget=len(ROWS))
    for epoch in range(epochs):
        ranges = c.from_ranges(ranges_of(tag, epoch), ANCHORS)
        plan = loop.hear(heard_at(epoch) / 1e9)
        assert plan is not None
        found = loop.absorb(plan, ranges)
    assert found is not None
    return found


def poses_of(hosted: Hosted, tag: str) -> list[Any]:
    return hosted.hear(PoseWithCovarianceStamped, f"fleet_node/{TOPICS[tag]}/pose", KEPT_QOS)


def test_each_tag_has_its_pose_whatever_the_others_send() -> None:
    with hosting(FleetNode, dimensions="'2'", display_period=0.0) as fleet:
        fleet.place()
        poses = {tag: poses_of(fleet, tag) for tag in PLACES}
        statuses = fleet.hear(DiagnosticArray, "fleet_node/status")
        shown = fleet.hear(MarkerArray, "fleet_node/markers")
        ranges = fleet.say(RangeArray, "uwb/ranges")
        epochs = 6
        for epoch in range(epochs):
            for tag in PLACES:
                said = ranges_of(tag, epoch)
                if tag == "wren-2":  # of an anchor that nobody surveyed
                    said.ranges.append(c.not_offered("new", heard_at(epoch)))
                ranges.publish(said)
            rogue = ranges_of("robin", epoch)
            rogue.tag = "rogue"
            for each, value in zip(rogue.ranges, (900.0, 0.01, 999.0, 5.0), strict=True):
                each.range = value - 0.001 * epoch
            ranges.publish(rogue)
            rogue.ranges[0].anchor = "nobody's"
            ranges.publish(rogue)
            fleet.until(lambda n=epoch: fleet.node.counts["messages_dropped"] > n, "the garbage")
        fleet.until(lambda: all(len(found) == epochs for found in poses.values()), "poses")
        for tag, found in poses.items():
            wanted = alone(tag, epochs)
            last = found[-1].pose.pose.position
            assert found[-1].header.stamp == c.to_stamp(heard_at(epochs - 1))
            np.testing.assert_allclose((last.x, last.y), wanted.mean[:2], rtol=0, atol=1e-9)
            assert np.linalg.norm(wanted.mean[:2] - PLACES[tag] - 0.05) < 0.3
        ranges.publish(ranges_of("robin", epochs))

        def dropped() -> int:
            """Of the rogue, as the last status has it, which may be of before."""
            found = [e.values for e in statuses[-1].status if e.name == "rogue"] if statuses else []
            return int(
                {pair.key: pair.value for pair in found[0]}["messages_dropped"] if found else 0
            )

        fleet.until(lambda: shown and dropped() and len(statuses[-1].status) == 4, "what is shown")
        by_tag = {each.name: each for each in statuses[-1].status}
        assert by_tag.keys() == {*PLACES, "rogue"}
        values = {pair.key: pair.value for pair in by_tag["rogue"].values}
        assert int(values["messages_dropped"]) > 0
        assert "unknown" in values["problem"]
        names = {m.text for m in shown[-1].markers if m.ns == "tag_names"}
        assert set(PLACES) <= names
        assert shown[-1].markers[0].action == Marker.DELETEALL
        warning, health = fleet.node.health()
        assert health["tags"] == 4
        assert "robin" not in warning


def test_what_comes_late_is_used_and_has_no_pose_and_what_is_dropped_is_said() -> None:
    """A second pose of an earlier stamp would set TF and filters back."""
    with hosting(FleetNode, dimensions="'2'") as fleet:
        fleet.place()
        poses = poses_of(fleet, "robin")
        ranges = fleet.say(RangeArray, "uwb/ranges")
        for epoch in (0, 1, 4, 3, 5):
            ranges.publish(ranges_of("robin", epoch))
            fleet.rest(0.05)
        fleet.until(lambda: len(poses) >= 4, "poses")
        stamps = [c.nanoseconds(pose.header.stamp) for pose in poses]
        assert stamps == [heard_at(epoch) for epoch in (0, 1, 4, 5)]
        assert fleet.node.fleet.loop("robin").watch.gate.times.late == 0  # too late to be used
        ranges.publish(ranges_of("robin", 1000))
        fleet.until(lambda: fleet.node.counts["messages_dropped"] == 1, "a time of nowhere")
        assert "tag 'robin': a stamp of 1100.000 s is far from the last" in fleet.node.problem
        assert fleet.node.drops_now()


def test_names_that_are_too_long_for_a_topic_are_cut() -> None:
    space = "n" * 180
    with hosting(FleetNode, "-r", f"__ns:=/{space}", dimensions="'2'") as fleet:
        site = fleet.say(AnchorArray, f"/{space}/uwb/anchors", LATCHED)
        site.publish(c.to_anchors(ANCHORS, 0, "map"))
        ranges = fleet.say(RangeArray, f"/{space}/uwb/ranges")
        for end in "ab":
            said = ranges_of("robin", 0)
            said.tag = "x" * 99 + end
            ranges.publish(said)
        fleet.until(lambda: fleet.node.counts["fixes"] == 2, "both")
        one, other = (member.topic for member in fleet.node._members.by_tag.values())
        assert one != other


def test_tags_come_and_go_and_one_too_many_waits() -> None:
    with hosting(FleetNode, dimensions="'2'", most_tags=2) as fleet:
        fleet.place()
        ranges = fleet.say(RangeArray, "uwb/ranges")
        for tag in PLACES:
            ranges.publish(ranges_of(tag, 0))
        fleet.until(lambda: fleet.node.counts["messages_dropped"], "the third's refusal")
        assert "there are 2 tags already" in fleet.node.problem
        fleet.until(lambda: fleet.node.counts["fixes"] == 2, "two fixes")
        assert fleet.peer.count_publishers("fleet_node/robin/pose") == 1
        assert fleet.set("forget_after", 5.0).successful
        fleet.node._members.by_tag["robin"].heard -= 6.0
        fleet.until(lambda: fleet.node.counts["tags_gone"], "its end")
        assert fleet.node.fleet.tags == ("17",)
        fleet.until(lambda: not fleet.peer.count_publishers("fleet_node/robin/pose"), "its topic's")
        ranges.publish(ranges_of("wren-2", 1))
        fleet.until(lambda: fleet.node.counts["fixes"] == 3, "the third's fix")
        # Who sends faster than can be taken in fills no more than its own queue.
        node = fleet.node
        for epoch in range(MOST_WAITING):
            node._heard(node._on_ranges, ranges_of("17", epoch))
        with pytest.raises(InputError, match="tag '17': sends faster"):
            node._heard(node._on_ranges, ranges_of("17", MOST_WAITING))
        node._heard(node._on_ranges, ranges_of("wren-2", 2))
        fleet.until(lambda: node.counts["fixes"] >= 3 + MOST_WAITING, "what waited")


def test_tags_that_are_asked_answer_each_for_itself() -> None:
    named = {"passive": False, "tags": "robin, 17", "rate": 20.0}
    with hosting(FleetNode, dimensions="'2'", **named) as fleet:
        schedules: list[AnchorSchedule] = []
        fleet.place()
        poses = {tag: poses_of(fleet, tag) for tag in ("robin", "17")}
        late: list[AnchorSchedule] = []

        def answer(schedule: AnchorSchedule) -> None:
            schedules.append(schedule)
            if schedule.tag == "17" and len(poses["17"]) >= 2 and not late:
                late.append(schedule)  # this one is answered after it was given up
                return
            message = answer_to(schedule, PLACES[schedule.tag])
            message.tag = schedule.tag
            ranges.publish(message)

        ranges = fleet.say(RangeArray, "uwb/ranges")
        fleet.peer.create_subscription(AnchorSchedule, "uwb/schedule", answer, 100)
        fleet.until(lambda: min(map(len, poses.values())) >= 6, "poses of both")
        for tag, found in poses.items():
            place = found[-1].pose.pose.position
            assert np.linalg.norm(np.array([place.x, place.y]) - PLACES[tag]) < 0.3
        assert len(schedules[0].anchors) == 4
        assert len(schedules[-1].anchors) == 3
        message = answer_to(late[0], PLACES["17"])
        message.tag = "17"
        fleet.until(lambda: fleet.node.counts["unanswered"], "what was given up")
        ranges.publish(message)
        fleet.until(lambda: fleet.node.counts["late"], "the late answer")
        assert not fleet.node.counts["messages_dropped"]
        ranges.publish(message)  # but only once
        fleet.until(lambda: fleet.node.counts["messages_dropped"], "the second one's count")
        assert fleet.set("tags", "robin").successful
        assert fleet.node.fleet.tags == ("robin",)
        assert not fleet.set("tags", " ").successful
        count = len(schedules)
        fleet.until(lambda: len(schedules) > count + 4, "more schedules")
        assert {schedule.tag for schedule in schedules[count + 2 :]} == {"robin"}


def test_answers_to_what_was_asked_before_are_too_late_and_no_fault() -> None:
    """Before it was activated again, of other anchors, or two schedules ago."""
    named = {"passive": False, "tags": "robin", "rate": 20.0}
    with hosting(FleetNode, dimensions="'2'", **named) as fleet:
        fleet.place()
        schedules = fleet.hear(AnchorSchedule, "uwb/schedule")
        fleet.until(lambda: len(schedules) > 3, "schedules")
        old = schedules[:2]
        assert fleet.node.trigger_deactivate().name == "SUCCESS"
        fleet.rest(0.1)
        assert fleet.node.trigger_activate().name == "SUCCESS"
        old.append(schedules[-1])
        ranges = fleet.say(RangeArray, "uwb/ranges")
        count = len(schedules)
        fleet.until(lambda: len(schedules) > count + 2, "more schedules")
        old += schedules[count:-1]
        assert schedules[-1].sequence > old[0].sequence
        fleet.node._on_anchors(c.to_anchors(ANCHORS.subset(("a", "b", "c")), 0, "map"))
        for message in map(answer_to, old):
            message.tag = "robin"
            fleet.node._heard(fleet.node._on_ranges, message)  # raises nothing
        assert not fleet.node._members.by_tag["robin"].waiting
        strange = answer_to(old[0])
        strange.tag, strange.session, strange.ranges = "robin", old[0].session ^ 1, []
        ranges.publish(strange)
        fleet.until(lambda: fleet.node.counts["messages_dropped"], "somebody else's")
        assert "does another tracker ask here" in fleet.node.problem


def test_air_time_is_divided_among_those_who_know_where_they_are() -> None:
    named = {"passive": False, "tags": "robin,17,absent", "rate": 50.0, "air_time": 100.0}
    with hosting(FleetNode, dimensions="'2'", radio="decar", **named) as fleet:
        schedules: list[AnchorSchedule] = []
        fleet.place()

        def answer(schedule: AnchorSchedule) -> None:
            schedules.append(schedule)
            if schedule.tag in PLACES:
                message = answer_to(schedule, PLACES[schedule.tag])
                message.tag = schedule.tag
                ranges.publish(message)

        ranges = fleet.say(RangeArray, "uwb/ranges")
        fleet.peer.create_subscription(AnchorSchedule, "uwb/schedule", answer, 100)
        fleet.until(lambda: len({s.tag for s in schedules if len(s.anchors) < 4}) == 2, "both")
        first, last = schedules[0].header.stamp, schedules[-1].header.stamp
        took_ms = (c.nanoseconds(last) - c.nanoseconds(first)) / 1e6
        asked = [len(schedule.anchors) for schedule in schedules]
        assert sum(asked[:-1]) * fleet.node._slot <= 0.1 * took_ms + 4 * fleet.node._slot * 2
        assert asked[0] == 4
        assert [s.tag for s in schedules].count("absent") <= 1 + took_ms / 1e3
        assert fleet.set("air_time", 0.0).successful
        count = len(schedules)
        fleet.until(lambda: len(schedules) > count + 6, "asked at their rate")
        assert {len(s.anchors) for s in schedules[count + 2 :] if s.tag != "absent"} == {3}


def test_blinks_of_many_tags() -> None:
    with hosting(FleetNode, dimensions="'2'", tracker="robust-ekf") as fleet:
        fleet.place()
        poses = {tag: poses_of(fleet, tag) for tag in PLACES}
        blinks = fleet.say(RangeDifferenceArray, "uwb/range_differences")
        for epoch in range(3):
            for tag, place in PLACES.items():
                ns = heard_at(epoch)
                ranges = ranges_at(place, ROWS, ns / 1e9)
                blink = c.to_differences(ranges, ANCHORS, ns=ns, tag=tag, frame="map")
                blinks.publish(blink)
                if epoch == 2 and tag == "17":
                    blinks.publish(blink)
        fleet.until(lambda: all(len(found) == 3 for found in poses.values()), "poses")
        fleet.until(lambda: fleet.node.counts["messages_dropped"] == 1, "the same blink again")
        for tag, found in poses.items():
            place = found[-1].pose.pose.position
            assert np.linalg.norm(np.array([place.x, place.y]) - PLACES[tag]) < 0.05


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"scheduler": "sequential"}, "asks on within a fix"),
        ({"passive": False}, "tags must say whom to ask"),
        ({"passive": False, "tags": "a,b,c", "most_tags": 2}, "tags: 3, and most_tags is 2"),
        ({"tags": "a," + 101 * "b"}, "tags: expected ids of at most 100 letters"),
        ({"air_time": 100.0}, "passive must be false"),
        ({"air_time": 9.0, "passive": False, "tags": "a", "tracker": "ekf"}, "needs zero-shot"),
    ],
)
def test_what_a_fleet_cannot_do_is_said(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint), hosting(FleetNode, **given):
        pass


def test_more_tags_than_there_may_be_are_refused_while_it_runs_too() -> None:
    """They ended the node, from the timer that asks."""
    with hosting(FleetNode, passive=False, tags="a,b", most_tags=2) as fleet:
        fleet.place()
        fleet.until(lambda: fleet.node.counts["schedules"], "schedules")
        assert "tags: 3, and most_tags is 2" in fleet.set("tags", "a,b,c").reason
        assert "tags: 2, and most_tags is 1" in fleet.set("most_tags", 1).reason
        assert fleet.set("tags", "b").successful
        assert fleet.set("most_tags", 1).successful


def test_tags_alike_do_not_share_a_topic() -> None:
    with hosting(FleetNode) as fleet:
        members = fleet.node._members
        names = [members.get(tag, most=9, now=0.0).topic for tag in ("a-b", "a b", "a_b", "", "ä")]
        assert len(set(names)) == 5
        assert names[0] == "~/a_b/pose"
        assert names[3] == "~/tag/pose"


def test_a_tag_that_is_not_tracked_is_said_together_with_what_is_dropped() -> None:
    """The one hid the other: that its ranges were nonsense was in the log alone."""
    with hosting(FleetNode, dimensions=2) as fleet:
        told = fleet.hear(DiagnosticArray, "/diagnostics")
        fleet.place()
        ranges = fleet.say(RangeArray, "uwb/ranges")
        message = ranges_of("robin", 1)
        ranges.publish(message)
        fleet.until(lambda: fleet.node.counts["fixes"], "a fix")
        fleet.node.now_s = lambda: 1e9
        for entry in message.ranges:
            entry.status = 99
        ranges.publish(message)
        both = "1 of 1 tags are not tracked well: 'robin'; 1 messages dropped: tag 'robin': uwb/r"
        fleet.until(lambda: any(s.message.startswith(both) for m in told for s in m.status), both)
