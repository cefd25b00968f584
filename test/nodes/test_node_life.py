# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One node at a time, spoken to over real topics and services by a probe."""

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from locdreamer_ros.msg import AnchorArray, AnchorSchedule, RangeArray, TrackerStatus
from nodes.hosted import hosting
from nodes.ros_graph import Graph, graph
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from worlds import circle_recording

from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.errors import InputError
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.domain import FAST_DDS_2, own_domain
from locdreamer_ros.nodes.lifecycle import LATCHED
from locdreamer_ros.nodes.patience import Patience
from locdreamer_ros.nodes.processes import node_environment
from locdreamer_ros.nodes.tracker_node import TrackerNode
from locdreamer_ros.types import Anchors, Estimate, Ranges, RangeStatus, Site

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


def anchors_message(anchors: Anchors = ANCHORS) -> AnchorArray:
    return c.to_anchors(anchors, 0, "map")


def answer_to(schedule: AnchorSchedule) -> RangeArray:
    """What a perfect source says."""
    rows = ANCHORS.rows(schedule.anchors)
    ranges = Ranges.of(
        rows,
        Site.of(ANCHORS, "2").expected(TRUTH, rows),
        c.nanoseconds(schedule.header.stamp) / 1e9,
    )
    return RangeArray(
        header=schedule.header,
        session=schedule.session,
        sequence=schedule.sequence,
        ranges=c.to_ranges(ranges, ANCHORS),
    )


class Closed:
    """The probe as source of a tracker_node that hears its ticks."""

    def __init__(self, nodes: Graph, **parameters: Any) -> None:
        self.probe = nodes.probe
        self.schedules = self.probe.hear(AnchorSchedule, "uwb/schedule")
        self.poses = self.probe.hear(PoseWithCovarianceStamped, "tracker_node/pose")
        nodes.start("tracker_node", **{"tracker": "ekf", "dimensions": "2", **parameters})
        self.anchors = self.probe.publisher(AnchorArray, "uwb/anchors", LATCHED)
        self.anchors.publish(anchors_message())
        self.ranges = self.probe.publisher(RangeArray, "uwb/ranges")
        self.clock = self.probe.publisher(Clock, "uwb/tick")
        self.epoch = 0

    def tick(self) -> AnchorSchedule:
        """The schedule of the next epoch."""
        self.epoch += 1
        count = len(self.schedules)
        self.clock.publish(Clock(clock=c.to_stamp(self.epoch * STEP_NS)))
        self.probe.until(lambda: len(self.schedules) > count, "a schedule")
        return self.schedules[-1]

    def turn(self) -> PoseWithCovarianceStamped:
        """One epoch, well answered."""
        count = len(self.poses)
        self.ranges.publish(answer_to(self.tick()))
        self.probe.until(lambda: len(self.poses) > count, "a pose")
        return self.poses[-1]

    def value(self, key: str) -> int:
        """A count in the node's diagnostics."""
        return int(self.probe.diagnostics.get("/tracker_node", {}).get(key, "0"))


def test_the_loop_is_closed_and_tf_follows(nodes: Graph) -> None:
    tf2_msgs = pytest.importorskip("tf2_msgs.msg", reason="needs tf2_msgs")
    transforms = nodes.probe.hear(tf2_msgs.TFMessage, "/tf", QoSProfile(depth=100))
    statuses = nodes.probe.hear(TrackerStatus, "tracker_node/status")
    closed = Closed(nodes, scheduler="gdop", budget=3)
    first = closed.tick()
    assert list(first.anchors) == list(ANCHORS.ids)  # all, until there is a fix
    closed.ranges.publish(answer_to(first))
    closed.probe.until(lambda: closed.poses, "a first fix")
    for _ in range(3):
        pose = closed.turn()
    place = pose.pose.pose.position
    assert np.hypot(place.x - TRUTH[0], place.y - TRUTH[1]) < 0.05
    assert c.nanoseconds(pose.header.stamp) == closed.epoch * STEP_NS
    assert len(closed.schedules[-1].anchors) == 3
    closed.probe.until(lambda: len(transforms) == 4 and len(statuses) == 4, "TF and status")
    (transform,) = transforms[-1].transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ("map", "tag")
    assert transform.transform.translation.x == place.x
    assert statuses[-1].ranges_asked == statuses[-1].ranges_used == 3
    assert (statuses[-1].tracker, statuses[-1].scheduler) == ("ekf", "gdop")
    assert 0.0 < statuses[-1].step_time < 1.0
    assert statuses[-1].sequence == 4
    assert statuses[-1].session == closed.schedules[-1].session > 0
    assert statuses[-1].state == TrackerStatus.TRACKING
    assert statuses[-1].silence == 0.0


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"scheduler": "juno"}, "needs a trained model"),
        ({"scheduler": "juno", "model": "absent.npz"}, "absent.npz"),
        ({"tracker": "locdreamer", "model": "absent.safetensors"}, "locdreamer|absent"),
    ],
)
def test_a_model_that_does_not_fit_is_stood_in_for(
    nodes: Graph, parameters: dict[str, Any], complaint: str
) -> None:
    statuses = nodes.probe.hear(TrackerStatus, "tracker_node/status")
    closed = Closed(nodes, **parameters)
    for _ in range(4):
        pose = closed.turn()
    place = pose.pose.pose.position
    assert np.hypot(place.x - TRUTH[0], place.y - TRUTH[1]) < 0.1
    closed.probe.until(lambda: len(statuses) == 4, "status")
    assert (statuses[-1].tracker, statuses[-1].scheduler) == ("robust-ekf", "gdop")
    assert re.search(complaint, statuses[-1].fallback)


def nan(message: RangeArray) -> None:
    for entry in message.ranges:
        entry.range = float("nan")


def unknown(message: RangeArray) -> None:
    message.ranges[0].anchor = "zz"


def twice(message: RangeArray) -> None:
    message.ranges.append(copy.deepcopy(message.ranges[0]))


def other_sequence(message: RangeArray) -> None:
    message.sequence += 7


def other_session(message: RangeArray) -> None:
    message.session ^= 1


def absurd_quality(message: RangeArray) -> None:
    for entry in message.ranges:
        entry.nlos_probability = -5.0


def far_too_many(message: RangeArray) -> None:
    message.ranges = [copy.deepcopy(message.ranges[0]) for _ in range(20_000)]


def absurd_header(message: RangeArray) -> None:
    message.header.stamp.sec += 1_000_000
    for entry in message.ranges:
        entry.stamp.sec += 1_000_000


def absurd_stamp(message: RangeArray) -> None:
    for entry in message.ranges:
        entry.stamp.sec = -1_000_000


@pytest.mark.promise("A malformed message is dropped and counted, and the node goes on.")
def test_malformed_messages_are_dropped_and_counted(nodes: Graph) -> None:
    closed = Closed(nodes)
    closed.turn()
    spoilers: list[Callable[[RangeArray], None]] = [
        nan, unknown, twice, other_sequence, other_session, absurd_quality, far_too_many,
        absurd_header, absurd_stamp,
    ]  # fmt: skip
    for spoil in spoilers:
        schedule = closed.tick()
        message = copy.deepcopy(answer_to(schedule))
        spoil(message)
        closed.ranges.publish(message)
        count = len(closed.poses)
        closed.ranges.publish(answer_to(schedule))  # the good one still counts
        closed.probe.until(lambda n=count: len(closed.poses) > n, f"a pose after {spoil.__name__}")
    closed.anchors.publish(anchors_message(Anchors((), np.empty((0, 3)))))
    count = len(spoilers) + 1
    closed.probe.until(lambda: closed.value("messages_dropped") == count, "the count")
    bad = anchors_message()
    bad.anchors[0].position.x = float("nan")
    closed.anchors.publish(bad)
    closed.probe.until(lambda: closed.value("messages_dropped") == count + 1, "the count")
    assert "dropped" in closed.probe.diagnostics["/tracker_node"]["message"]
    assert closed.value("restarts") == 0
    closed.turn()


def test_one_anchor_that_sends_nonsense_costs_only_its_own_ranges(nodes: Graph) -> None:
    """A message with one NaN was dropped whole: one broken anchor stopped the robot."""
    statuses = nodes.probe.hear(TrackerStatus, "tracker_node/status")
    closed = Closed(nodes, scheduler="all")
    closed.turn()
    for count, (name, value) in enumerate(
        [("range", float("nan")), ("range", -1.0), ("status", 200), ("variance", -1.0)], start=1
    ):
        message = answer_to(closed.tick())
        setattr(message.ranges[1], name, value)
        before = len(closed.poses)
        closed.ranges.publish(message)
        closed.probe.until(lambda n=before: len(closed.poses) > n, f"a pose with {name} {value}")
        closed.probe.until(lambda n=count: len(statuses) > n, "its status")
        assert (statuses[-1].ranges_used, statuses[-1].ranges_asked) == (3, 4)
        closed.probe.until(lambda n=count: closed.value("messages_dropped") == n, "the count")
    said = closed.probe.diagnostics["/tracker_node"]["message"]
    assert "anchor 'b': variance: expected NaN or a value in" in said


def test_an_epoch_offered_again_gets_the_same_schedule(nodes: Graph) -> None:
    closed = Closed(nodes, scheduler="random", budget=2)
    closed.turn()
    first = closed.tick()
    closed.epoch -= 1
    assert closed.tick() == first


def test_a_tick_that_overtakes_the_answer_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Patience, "lasts", lambda *_: True)
    with hosting(TrackerNode, tracker="ekf", dimensions="'2'") as hosted:
        hosted.place()
        schedules = hosted.hear(AnchorSchedule, "uwb/schedule")
        ticks, ranges = hosted.say(Clock, "uwb/tick"), hosted.say(RangeArray, "uwb/ranges")

        def tick(epoch: int) -> None:
            ticks.publish(Clock(clock=c.to_stamp(epoch * STEP_NS)))

        def holds(epoch: int) -> None:
            hosted.until(lambda: hosted.node._held == epoch * STEP_NS, "the tick to be held")

        tick(1)
        hosted.until(lambda: len(schedules) == 1, "a schedule")
        tick(2)
        holds(2)
        assert hosted.node.counts["schedules"] == 1
        ranges.publish(answer_to(schedules[0]))
        hosted.until(lambda: len(schedules) == 2, "the held tick's schedule")
        assert c.nanoseconds(schedules[1].header.stamp) == 2 * STEP_NS
        assert not hosted.node.counts["messages_dropped"]
        # Ticks that come too fast do not end the waiting; where the answer is lost, a later one
        # does, once the patience is over.
        for epoch in (3, 4, 5):
            tick(epoch)
        holds(5)
        assert hosted.node.counts["schedules"] == 2
        monkeypatch.setattr(Patience, "lasts", lambda *_: False)
        tick(6)
        hosted.until(lambda: len(schedules) == 3, "a schedule after the loss")
        assert c.nanoseconds(schedules[2].header.stamp) == 6 * STEP_NS


@pytest.mark.promise("Time that goes back restarts the track instead of stopping it.")
def test_time_that_goes_back_restarts_the_tracker(nodes: Graph) -> None:
    closed = Closed(nodes)
    closed.epoch = 1000
    closed.turn()
    assert len(closed.tick().anchors) == 3
    closed.epoch = 0
    closed.clock.publish(Clock(clock=c.to_stamp(1)))
    schedule = closed.tick()
    assert list(schedule.anchors) == list(ANCHORS.ids)  # a new first fix
    closed.probe.until(lambda: closed.value("restarts") == 1, "the restart in the diagnostics")


def test_lifecycle_by_services(nodes: Graph) -> None:
    probe = nodes.probe
    nodes.start("tracker_node", tracker="ekf", dimensions="2", autostart=False)
    assert probe.state("tracker_node") == "unconfigured"
    for _ in range(2):  # and all over again
        assert probe.transition("tracker_node", "configure")
        assert probe.state("tracker_node") == "inactive"
        assert probe.transition("tracker_node", "activate")
        assert probe.state("tracker_node") == "active"
        assert probe.transition("tracker_node", "deactivate")
        assert probe.transition("tracker_node", "cleanup")
        assert probe.state("tracker_node") == "unconfigured"
    assert not probe.transition("tracker_node", "activate")  # not from here


def test_an_inactive_tracker_asks_nothing(nodes: Graph) -> None:
    closed = Closed(nodes)
    closed.turn()
    assert closed.probe.transition("tracker_node", "deactivate")
    count = len(closed.schedules)
    closed.clock.publish(Clock(clock=c.to_stamp(99 * STEP_NS)))
    closed.probe.rest(0.5)
    assert len(closed.schedules) == count
    assert closed.probe.transition("tracker_node", "activate")
    # The anchors were latched once, and are known still; the estimate is not.
    closed.probe.until(lambda: closed.clock.get_subscription_count() == 1, "the tracker's return")
    closed.epoch = 100
    assert list(closed.tick().anchors) == list(ANCHORS.ids)


def set_parameter(nodes: Graph, name: str, value: ParameterValue) -> Any:
    request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
    return nodes.probe.call(SetParameters, "/tracker_node/set_parameters", request).results[0]


def test_parameters_are_described_and_kept_in_range(nodes: Graph) -> None:
    nodes.start("tracker_node")
    request = DescribeParameters.Request(names=["budget", "tracker", "grid.sigma"])
    described = nodes.probe.call(
        DescribeParameters, "/tracker_node/describe_parameters", request
    ).descriptors
    assert all(each.description for each in described)
    assert described[0].integer_range[0].to_value == 255
    assert "'grid'" in described[1].additional_constraints
    assert described[2].floating_point_range[0].from_value == 0.001
    good = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=4)
    assert set_parameter(nodes, "budget", good).successful
    bad = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=0)
    assert not set_parameter(nodes, "budget", bad).successful
    word = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="ukf")
    refused = set_parameter(nodes, "tracker", word)
    assert not refused.successful
    assert "expected one of zero-shot, ekf" in refused.reason


def watch(nodes: Graph) -> None:
    """Look after the processes for a while."""
    for _ in range(1200):
        nodes.processes.check()
        nodes.probe.rest(0.05)


@pytest.mark.parametrize(
    ("node", "parameters", "complaint"),
    [
        ("tracker_node", {"budget": 0}, "budget"),
        ("tracker_node", {"rate": "fast"}, "rate"),
        ("tracker_node", {"bugdet": 3}, "unknown parameter 'bugdet'"),
        ("tracker_node", {"preset": "paper"}, "unknown preset 'paper'"),
        ("source_node", {"source": "replay"}, "recording"),
        ("recorder_node", {}, "output"),
        ("evaluator_node", {"trackers": "a b"}, "trackers: 'a b': Invalid topic name"),
        ("tracker_node", {"tag_frame": "map"}, "tag_frame: 'map' is the frame of the positions"),
        ("source_node", {"source": "replay", "recording": "n" * 300}, "File name too long"),
    ],
)
def test_bad_parameters_end_the_node_in_one_line(
    nodes: Graph, node: str, parameters: dict[str, Any], complaint: str
) -> None:
    nodes.start(node, **parameters)
    with pytest.raises(InputError, match=complaint):
        watch(nodes)


def test_the_passive_tracker_lives_on_the_ranges_of_another(nodes: Graph) -> None:
    probe = nodes.probe
    poses = probe.hear(PoseWithCovarianceStamped, "ekf_node/pose")
    nodes.start("ekf_node", dimensions="2")
    probe.publisher(AnchorArray, "uwb/anchors", LATCHED).publish(anchors_message())
    ranges = probe.publisher(RangeArray, "uwb/ranges")

    def say(ns: int) -> None:
        schedule = c.to_schedule(
            np.arange(4), ANCHORS, ns=ns, deadline=ns, session=0, sequence=0, tag="", frame="map"
        )
        ranges.publish(answer_to(schedule))

    for epoch in range(1, 4):
        say(epoch * STEP_NS)
    probe.until(lambda: len(poses) == 3, "poses")
    say(10**15)  # a stamp from nowhere
    say(4 * STEP_NS)
    probe.until(lambda: len(poses) == 4, "a pose after it")
    assert c.nanoseconds(poses[-1].header.stamp) == 4 * STEP_NS
    say(10**15)  # but where two agree, it is the new time
    say(10**15 + STEP_NS)
    probe.until(lambda: len(poses) == 5, "a pose at the new time")
    assert c.nanoseconds(poses[-1].header.stamp) == 10**15 + STEP_NS


def test_the_source_answers_only_the_epoch_on_offer(nodes: Graph) -> None:
    probe = nodes.probe
    ticks = probe.hear(Clock, "/clock")
    answers = probe.hear(RangeArray, "uwb/ranges")
    truths = probe.hear(PoseStamped, "ground_truth/pose")
    # Twice so long a busy machine may take to schedule the first epoch.
    nodes.start(
        "source_node", duration=0.2, sample_rate=10.0, speed=0.0, answer_timeout=3.0, seed=1
    )
    ask = probe.publisher(AnchorSchedule, "uwb/schedule")
    probe.until(lambda: ticks, "the first epoch")
    late = probe.hear(AnchorArray, "uwb/anchors", LATCHED)
    probe.until(lambda: late, "the anchors, late")
    known = late[0].anchors[0].id

    def schedule(tick: Clock, *anchors: str) -> AnchorSchedule:
        message = AnchorSchedule(session=9, sequence=7, anchors=list(anchors))
        message.header.stamp = tick.clock
        return message

    wrong = Clock(clock=c.to_stamp(c.nanoseconds(ticks[0].clock) + 1))
    ask.publish(schedule(wrong, known))
    ask.publish(schedule(ticks[0], known, known))
    probe.rest(0.1)
    assert not answers
    ask.publish(schedule(ticks[0], "nobody", known))
    ask.publish(schedule(ticks[0], known))  # answered already
    probe.until(lambda: len(answers) == 1, "the answer")
    assert [entry.anchor for entry in answers[0].ranges] == ["nobody", known]
    assert answers[0].ranges[0].status == RangeStatus.NOT_OFFERED
    assert np.isnan(answers[0].ranges[0].range)
    assert (answers[0].session, answers[0].sequence) == (9, 7)
    # Nobody schedules any more: each epoch is offered twice, then given up.
    probe.until(
        lambda: probe.diagnostics.get("/source_node", {}).get("complete") == "True", "the end"
    )
    values = probe.diagnostics["/source_node"]
    epochs = int(values["epochs_total"])
    assert int(values["epochs"]) == epochs
    assert int(values["unscheduled"]) == epochs - 1
    # The first one too, where this test was slow to schedule it.
    reoffered = int(values["reoffered"])
    assert reoffered in (epochs - 1, epochs)
    assert int(values["answers"]) == 1
    assert int(values["messages_dropped"]) == 2
    assert len(ticks) == epochs + reoffered
    assert len(truths) == epochs


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An unconfigured tracker node, alone in a domain."""
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    with own_domain() as domain:
        rclpy.init(domain_id=domain)
        try:
            alone = TrackerNode()
            yield alone
            alone.destroy_node()
        finally:
            rclpy.try_shutdown()


def test_what_was_wrong_is_forgotten_once_it_is_mended(node: Any) -> None:
    node.set_parameters([rclpy.Parameter("preset", value="nobody")])
    assert node.trigger_configure().name == "FAILURE"
    assert "unknown preset 'nobody'" in node.problem
    node.set_parameters([rclpy.Parameter("preset", value="")])
    assert node.trigger_configure().name == "SUCCESS"
    assert node.problem == ""


def fail(ranges: Ranges) -> None:
    raise np.linalg.LinAlgError("singular matrix")


def lost(ranges: Ranges) -> Estimate:
    return Estimate(1.0, np.full(4, np.nan), np.eye(4))


@pytest.mark.parametrize("update", [fail, lost])
def test_a_tracker_whose_numbers_fail_starts_again(
    update: Callable[[Ranges], Any], node: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.trigger_configure()
    node.trigger_activate()
    node._on_anchors(anchors_message())

    def turn(epoch: int) -> None:
        node._ask(epoch * STEP_NS)
        node.on_ranges(answer_to(node._pending.message), 0.0)

    turn(1)
    assert node.loop.tracker.estimate is not None
    monkeypatch.setattr(node.loop.tracker, "update", update)
    turn(2)
    assert node.counts["restarts"] == 1
    assert node.loop.tracker.estimate is None
    turn(3)
    assert node.loop.tracker.estimate is not None
    told: list[DiagnosticArray] = []
    monkeypatch.setattr(node._diagnostics, "publish", told.append)
    node.loop.watch.restarts = 2  # and two of the watch, which count as well
    node.report()
    values = {pair.key: pair.value for pair in told[-1].status[0].values}
    assert values["restarts"] == "3"
    node.trigger_deactivate()
    node.trigger_activate()
    assert node.counts["restarts"] == 0  # as TrackerStatus has it: since the activation


def test_a_model_for_another_budget_is_stood_in_for(nodes: Graph, tmp_path: Path) -> None:
    pytest.importorskip("numba", reason="needs pip install 'locdreamer_ros[juno]'")
    walk, model = tmp_path / "walk.csv", tmp_path / "juno.npz"
    save_range_table(walk, circle_recording(anchors=ANCHORS))
    save_anchors(tmp_path / "walk_anchors.csv", ANCHORS)
    train = ["juno", "train", "--recording", str(walk), "--budget", "2", "--output", str(model)]
    assert main(train) == 0
    statuses = nodes.probe.hear(TrackerStatus, "tracker_node/status")
    closed = Closed(nodes, scheduler="juno", model=str(model), budget=3)
    closed.ranges.publish(answer_to(closed.tick()))
    closed.probe.until(lambda: closed.poses, "a first fix")
    # The first choice fails: this tick goes without a schedule, then the standby starts.
    closed.epoch += 1
    closed.clock.publish(Clock(clock=c.to_stamp(closed.epoch * STEP_NS)))
    nodes.probe.diagnostics.clear()
    closed.probe.until(lambda: "waiting for a first fix" in said(nodes), "the standby")
    for _ in range(3):
        closed.turn()
    closed.probe.until(lambda: len(statuses) == 4, "status")
    assert "the budget is 3" in statuses[-1].fallback
    assert (statuses[-1].tracker, statuses[-1].scheduler) == ("robust-ekf", "gdop")


CLOSING = """
import signal, sys
from locdreamer_ros.nodes.running import run_node
from locdreamer_ros.nodes.tracker_node import TrackerNode
from locdreamer_ros.trackers.ekf import KalmanTracker

KalmanTracker.close = lambda self: print("closed", flush=True)
signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(run_node(TrackerNode))
"""


def said(nodes: Graph) -> str:
    """What the tracker's diagnostics say."""
    return nodes.probe.diagnostics.get("/tracker_node", {}).get("message", "")


@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM", "SIGHUP", "cleanup", "new anchors"])
def test_the_tracker_is_closed_on_every_way_out(nodes: Graph, tmp_path: Path, end: str) -> None:
    save_anchors(tmp_path / "anchors.csv", ANCHORS)
    arguments = ["-p", "tracker:=ekf"]
    if end != "new anchors":
        arguments += ["-p", f"anchors_file:={tmp_path / 'anchors.csv'}"]
    environment = node_environment(nodes.probe.context.get_domain_id(), tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", CLOSING, "--ros-args", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            nodes.probe.until(lambda: "/tracker_node" in nodes.probe.diagnostics, "the node")
            assert process.stdout is not None
            if end == "cleanup":
                assert nodes.probe.transition("tracker_node", "deactivate")
                assert process.stdout.readline() == "closed\n"
                assert nodes.probe.transition("tracker_node", "cleanup")
            elif end == "new anchors":
                say = nodes.probe.publisher(AnchorArray, "uwb/anchors", LATCHED)
                say.publish(anchors_message())
                nodes.probe.until(lambda: "ticks" in said(nodes), "the tracker")
                say.publish(anchors_message(ANCHORS.subset(("a", "b", "c"))))
            else:
                process.send_signal(getattr(signal, end))
                assert process.wait(60.0) == 0
            assert process.stdout.readline() == "closed\n"
        finally:
            process.kill()
        if end.startswith("SIG"):
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()


def test_a_second_signal_does_not_kill_a_node_that_is_ending(tmp_path: Path) -> None:
    """Ctrl-C tells the nodes of `ros2 launch`, and it tells them again."""
    code = "from locdreamer_ros.start import source_node; raise SystemExit(source_node())"
    with own_domain() as domain:
        environment = {**node_environment(domain, tmp_path), "HOME": ""}  # as some services have it
        with subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            assert "waiting for 1 listeners" in process.stderr.readline()
            while process.poll() is None:
                process.send_signal(signal.SIGINT)
                sleep(0.005)
            assert process.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.skipif(os.environ.get("ROS_DISTRO") in FAST_DDS_2, reason="has a profile of its own")
def test_a_node_has_no_port_in_shared_memory_that_outlives_it(nodes: Graph) -> None:
    closed = Closed(nodes)
    closed.turn()
    pid = nodes.processes._running["tracker_node"].pid
    ports = set(re.findall(r"fastdds_port(\d+)", Path(f"/proc/{pid}/maps").read_text()))
    first = 7400 + 250 * nodes.probe.context.get_domain_id()
    assert len([port for port in ports if first <= int(port)]) == 1  # the probe's
