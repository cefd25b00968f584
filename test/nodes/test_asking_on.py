# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A fix asked for in parts: each node spoken to over real topics by a probe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

import rclpy
from geometry_msgs.msg import PoseWithCovarianceStamped
from locdreamer_ros.msg import AnchorArray, AnchorSchedule, RangeArray, TrackerStatus
from nodes.hosted import hosting
from nodes.ros_graph import Graph, graph
from rosgraph_msgs.msg import Clock

from locdreamer_ros.errors import InputError
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes import source_node
from locdreamer_ros.nodes.domain import own_domain
from locdreamer_ros.nodes.lifecycle import LATCHED
from locdreamer_ros.nodes.patience import MOST_S
from locdreamer_ros.nodes.source_node import SourceNode
from locdreamer_ros.nodes.tracker_node import TrackerNode
from locdreamer_ros.types import Anchors, Ranges, Site

ANCHORS = Anchors(
    ("a", "b", "c", "d"),
    np.array([[0.0, 0.0, 2.0], [8.0, 0.0, 2.5], [8.0, 6.0, 2.0], [0.0, 6.0, 2.5]]),
)
TRUTH = np.array([3.0, 2.0])
STEP_NS = 100_000_000


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Graph]:
    with graph(tmp_path) as empty:
        yield empty


def answer_to(schedule: AnchorSchedule) -> RangeArray:
    """What a perfect source says."""
    rows = ANCHORS.rows(schedule.anchors)
    time = c.nanoseconds(schedule.header.stamp) / 1e9
    ranges = Ranges.of(rows, Site.of(ANCHORS, "2").expected(TRUTH, rows), time)
    return RangeArray(
        header=schedule.header,
        session=schedule.session,
        sequence=schedule.sequence,
        ranges=c.to_ranges(ranges, ANCHORS),
        more=schedule.more,
    )


class Asking:
    """The probe as source of a tracker_node that asks one anchor after the other."""

    def __init__(self, nodes: Graph, **parameters: Any) -> None:
        self.probe = nodes.probe
        self.schedules = self.probe.hear(AnchorSchedule, "uwb/schedule")
        self.poses = self.probe.hear(PoseWithCovarianceStamped, "tracker_node/pose")
        self.statuses = self.probe.hear(TrackerStatus, "tracker_node/status")
        given = {"tracker": "robust-ekf", "scheduler": "sequential", "dimensions": "2"}
        nodes.start("tracker_node", **given, **parameters)
        anchors = self.probe.publisher(AnchorArray, "uwb/anchors", LATCHED)
        anchors.publish(c.to_anchors(ANCHORS, 0, "map"))
        self.ranges = self.probe.publisher(RangeArray, "uwb/ranges")
        if "rate" not in parameters:
            self.clock = self.probe.publisher(Clock, "uwb/tick")

    def tick(self, epoch: int) -> None:
        self.clock.publish(Clock(clock=c.to_stamp(epoch * STEP_NS)))

    def expect(self, count: int) -> AnchorSchedule:
        """The schedule number `count`."""
        self.probe.until(lambda: len(self.schedules) >= count, f"schedule {count}")
        return self.schedules[count - 1]

    def answer(self, schedule: AnchorSchedule) -> None:
        self.ranges.publish(answer_to(schedule))

    def value(self, key: str) -> int:
        return int(self.probe.diagnostics.get("/tracker_node", {}).get(key, "0"))


def test_a_fix_is_asked_for_in_parts(nodes: Graph) -> None:
    asking = Asking(nodes, budget=3)
    asking.tick(1)
    first = asking.expect(1)
    assert list(first.anchors) == list(ANCHORS.ids)
    assert not first.more
    asking.answer(first)
    asking.probe.until(lambda: asking.poses, "a first fix")
    asking.tick(2)
    asked = []
    for count, more in ((2, True), (3, True), (4, False)):
        schedule = asking.expect(count)
        assert c.nanoseconds(schedule.header.stamp) == 2 * STEP_NS
        assert schedule.sequence == count
        assert len(schedule.anchors) == 1
        assert schedule.more == more
        assert len(asking.poses) == 1
        asked += schedule.anchors
        asking.answer(schedule)
    assert len(set(asked)) == 3
    asking.probe.until(lambda: len(asking.poses) == 2 and len(asking.statuses) == 2, "a fix")
    status = asking.statuses[-1]
    assert (status.ranges_asked, status.ranges_used, status.sequence) == (3, 3, 4)
    assert status.scheduler == "sequential"
    assert len(asking.schedules) == 4


def test_a_tracker_that_knows_enough_says_so_and_waits_for_nothing(nodes: Graph) -> None:
    asking = Asking(nodes, budget=4, accuracy=10.0)
    asking.tick(1)
    asking.answer(asking.expect(1))
    asking.probe.until(lambda: asking.poses, "a first fix")
    asking.tick(2)
    part = asking.expect(2)
    assert part.more
    asking.answer(part)
    last = asking.expect(3)
    assert list(last.anchors) == []
    assert not last.more
    asking.probe.until(lambda: len(asking.statuses) == 2, "the fix")
    assert asking.statuses[-1].ranges_asked == 1
    assert asking.statuses[-1].sequence == last.sequence
    asking.tick(2)  # the source has not heard it
    assert asking.expect(4) == last
    asking.tick(3)
    asking.answer(last)
    assert c.nanoseconds(asking.expect(5).header.stamp) == 3 * STEP_NS
    asking.probe.rest(1.5)
    assert asking.value("messages_dropped") == asking.value("unanswered") == 0


def test_a_part_that_was_lost_is_published_again(nodes: Graph) -> None:
    asking = Asking(nodes, budget=3)
    asking.tick(1)
    asking.answer(asking.expect(1))
    asking.tick(2)
    asking.answer(asking.expect(2))
    part = asking.expect(3)
    asking.tick(2)
    assert asking.expect(4) == part
    asking.answer(part)
    asking.answer(asking.expect(5))
    asking.probe.until(lambda: len(asking.poses) == 2, "the fix")


def test_a_lost_answer_leaves_a_fix_of_those_before(nodes: Graph) -> None:
    asking = Asking(nodes, budget=3)
    asking.tick(1)
    asking.answer(asking.expect(1))
    asking.tick(2)
    asking.answer(asking.expect(2))
    late = asking.expect(3)
    asking.tick(3)
    asking.probe.rest(2.0 * MOST_S)  # the longest patience
    assert len(asking.schedules) == 3  # the answer may still be on its way
    asking.tick(3)
    following = asking.expect(4)
    assert c.nanoseconds(following.header.stamp) == 3 * STEP_NS
    asking.probe.until(lambda: len(asking.statuses) == 2, "the fix")
    status = asking.statuses[-1]
    assert c.nanoseconds(status.header.stamp) == 2 * STEP_NS
    assert (status.ranges_asked, status.ranges_used) == (2, 1)
    asking.answer(late)
    asking.answer(following)
    asking.expect(5)
    asking.probe.until(lambda: asking.value("late") == 1, "the late answer's count")
    assert asking.value("unanswered") == 1
    assert asking.value("messages_dropped") == 0
    late_used = next(s for s in asking.statuses if s.sequence == late.sequence and s is not status)
    assert c.nanoseconds(late_used.header.stamp) == 2 * STEP_NS
    assert (late_used.ranges_asked, late_used.ranges_used) == (1, 1)
    asking.answer(late)  # but only once
    asking.probe.until(lambda: asking.value("messages_dropped") == 1, "the second one's count")


def test_the_deadline_holds_for_all_parts() -> None:
    """By simulated time: a busy machine has none to keep."""
    given = {"tracker": "robust-ekf", "scheduler": "sequential", "dimensions": "'2'", "budget": 3}
    with hosting(TrackerNode, **given, rate=1.0, use_sim_time=True) as hosted:
        hosted.place()
        clock, ranges = hosted.say(Clock, "/clock"), hosted.say(RangeArray, "uwb/ranges")
        schedules = hosted.hear(AnchorSchedule, "uwb/schedule")
        statuses = hosted.hear(TrackerStatus, "tracker_node/status")
        now = lambda: hosted.node.get_clock().now().nanoseconds  # noqa: E731

        def become(second: float) -> None:
            ns = round(second * 1e9)
            clock.publish(Clock(clock=c.to_stamp(ns)))
            hosted.until(lambda: now() == ns, f"{second} s")

        def expect(count: int) -> AnchorSchedule:
            hosted.until(lambda: len(schedules) >= count, f"schedule {count}")
            return schedules[count - 1]

        become(10.0)
        ranges.publish(answer_to(expect(1)))
        hosted.until(lambda: len(statuses) == 1, "a first fix")
        become(11.0)  # .9 s for the answers
        part = expect(2)
        ranges.publish(answer_to(part))
        second = expect(3)
        assert second.deadline == part.deadline
        become(11.95)
        ranges.publish(answer_to(second))  # after the deadline, before the next fix
        last = expect(4)
        assert c.nanoseconds(last.header.stamp) == c.nanoseconds(part.header.stamp)
        assert list(last.anchors) == []
        hosted.until(lambda: len(statuses) == 2, "the fix")
        assert statuses[-1].ranges_asked == 2
        # And where nothing more comes, the next fix ends the waiting.
        become(12.0)
        ranges.publish(answer_to(expect(5)))
        expect(6)
        hosted.rest(2.0 * MOST_S)  # the longest patience
        become(13.0)
        hosted.until(lambda: len(statuses) == 3, "the fix of one range")
        assert (statuses[-1].ranges_asked, statuses[-1].ranges_used) == (2, 1)
        assert c.nanoseconds(expect(7).header.stamp) == 13 * 10**9


def test_a_tracker_that_fails_while_it_looks_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)

    def fail(self: Any, ranges: Ranges) -> None:
        raise np.linalg.LinAlgError("singular matrix")

    with own_domain() as domain:
        rclpy.init(
            domain_id=domain,
            args=["--ros-args", "-p", "scheduler:=sequential", "-p", "tracker:=robust-ekf"],
        )
        try:
            node = TrackerNode()
            node.trigger_configure()
            node.trigger_activate()
            node._on_anchors(c.to_anchors(ANCHORS, 0, "map"))
            node._ask(STEP_NS)
            node.on_ranges(answer_to(node._pending.message), 0.0)
            node._ask(2 * STEP_NS)
            with monkeypatch.context() as patch:
                patch.setattr(type(node.loop.tracker), "update", fail)
                node.on_ranges(answer_to(node._pending.message), 0.0)
            assert node.counts["restarts"] == 1
            assert node._pending is None
            assert list(node._closing.anchors) == []  # the source is not left waiting
            node._ask(3 * STEP_NS)
            assert list(node._pending.message.anchors) == list(ANCHORS.ids)
            node.on_ranges(answer_to(node._pending.message), 0.0)
            assert node.loop.tracker.estimate is not None
            node._ask(4 * STEP_NS)
            node.on_ranges(answer_to(node._pending.message), 0.0)
            late = answer_to(node._pending.message)
            node._on_anchors(c.to_anchors(ANCHORS.subset(("a", "b", "c")), 0, "map"))
            node.on_ranges(late, 0.0)  # on its way when the anchors changed: nobody's fault
            assert node.loop.estimate is None
            node.destroy_node()
        finally:
            rclpy.try_shutdown()


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [({"accuracy": -0.1}, "accuracy"), ({"scheduler": "gdop", "price": 0.1}, "for sequential")],
)
def test_what_cannot_stop_early_says_so(
    nodes: Graph, parameters: dict[str, Any], complaint: str
) -> None:
    nodes.start("tracker_node", **parameters)
    with pytest.raises(InputError, match=complaint):
        nodes.probe.until(nodes.processes.check, "its end")


def test_a_listener_waits_for_the_whole_fix(nodes: Graph) -> None:
    probe = nodes.probe
    statuses = probe.hear(TrackerStatus, "ekf_node/status")
    nodes.start("ekf_node", dimensions="2")
    probe.publisher(AnchorArray, "uwb/anchors", LATCHED).publish(c.to_anchors(ANCHORS, 0, "map"))
    ranges = probe.publisher(RangeArray, "uwb/ranges")
    sequence = iter(range(100))

    def say(epoch: int, rows: list[int], *, more: bool) -> None:
        asked = c.to_schedule(
            np.array(rows, dtype=np.intp), ANCHORS, ns=epoch * STEP_NS, deadline=0,
            session=5, sequence=next(sequence), tag="", frame="map", more=more,
        )  # fmt: skip
        ranges.publish(answer_to(asked))

    say(1, [0, 1, 2, 3], more=False)
    probe.until(lambda: len(statuses) == 1, "a first fix")
    say(2, [0], more=True)
    say(2, [1], more=True)
    probe.rest(0.3)
    assert len(statuses) == 1
    say(2, [], more=False)
    probe.until(lambda: len(statuses) == 2, "the fix")
    assert (statuses[-1].ranges_asked, statuses[-1].ranges_used) == (2, 2)
    say(3, [2], more=True)
    say(4, [1, 3, 0], more=False)  # the tracker did without the rest
    probe.until(lambda: len(statuses) == 4, "both fixes")
    assert [status.ranges_used for status in statuses[2:]] == [1, 3]
    assert c.nanoseconds(statuses[2].header.stamp) == 3 * STEP_NS


def test_the_source_holds_the_epoch_while_the_tracker_asks_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a clock of its own: a busy machine may take long to ask on."""
    seconds = 100.0
    monkeypatch.setattr(source_node, "monotonic", lambda: seconds)
    given = {"duration": 0.2, "sample_rate": 10.0, "speed": 0.0, "answer_timeout": 0.5, "seed": 1}
    with hosting(SourceNode, **given) as hosted:
        counts = hosted.node.counts
        ticks = hosted.hear(Clock, "/clock")
        ask = hosted.say(AnchorSchedule, "uwb/schedule")
        answers = hosted.hear(RangeArray, "uwb/ranges")
        hosted.until(lambda: len(ticks) == 1, "the first epoch")
        ids = hosted.node.recording.anchors.ids

        def say(tick: Clock, sequence: int, *anchors: str, more: bool) -> None:
            message = AnchorSchedule(sequence=sequence, anchors=list(anchors), more=more)
            message.header.stamp = tick.clock
            ask.publish(message)

        say(ticks[0], 1, ids[0], more=True)
        say(ticks[0], 1, ids[0], more=True)  # as after a second offer
        hosted.until(lambda: len(answers) == 1 and counts["late"] == 1, "the first part")
        seconds += 0.4
        hosted.rest(0.1)
        assert answers[0].more
        assert len(answers) == len(ticks) == 1
        say(ticks[0], 2, ids[1], more=True)
        say(ticks[0], 3, more=False)
        hosted.until(lambda: len(answers) == 3 and len(ticks) == 2, "the rest and the next epoch")
        assert [len(answer.ranges) for answer in answers] == [1, 1, 0]
        assert not answers[2].more
        say(ticks[1], 4, ids[0], more=True)  # and nothing after it: offered again, then given up
        hosted.until(lambda: len(answers) == 4, "the part")

        def complete() -> bool:
            nonlocal seconds
            seconds += 0.1
            return hosted.node.finished

        hosted.until(complete, "the end")
        assert counts["answers"] == 4
        assert counts["late"] == counts["unfinished"] == 1
        assert counts["unscheduled"] == len(hosted.node.recording) - 2
        assert counts["messages_dropped"] == 0
