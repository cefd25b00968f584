# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The recorder with its defaults, of a live source: from the first message on, killed or not."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped, TransformStamped
from locdreamer_ros.msg import AnchorArray, RangeArray, TrackerStatus
from nodes.hosted import hosting
from nodes.ros_graph import Graph, graph
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Range
from std_msgs.msg import UInt32
from tf2_msgs.msg import TFMessage

from locdreamer_ros.datasets.bag import read_bag
from locdreamer_ros.datasets.range_table import save_anchors
from locdreamer_ros.datasets.rosbag2 import read_messages
from locdreamer_ros.errors import InputError
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes import graph as demo_graph
from locdreamer_ros.nodes import recorder_node
from locdreamer_ros.nodes.lifecycle import KEPT_QOS, LATCHED
from locdreamer_ros.nodes.processes import NodeProcesses
from locdreamer_ros.nodes.recorder_node import RecorderNode
from locdreamer_ros.types import Anchors, Ranges

ANCHORS = Anchors(("a", "b", "c"), np.array([[0.0, 0.0, 2.0], [8.0, 0.0, 2.5], [8.0, 6.0, 2.0]]))


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Graph]:
    with graph(tmp_path) as empty:
        yield empty


def heard(nodes: Graph) -> dict[str, str]:
    return nodes.probe.diagnostics.get("/recorder_node", {})


def publish(nodes: Graph, count: int) -> None:
    """Anchors and `count` answers, of a driver alone: no tracker, no clock."""
    probe = nodes.probe
    probe.publisher(AnchorArray, "uwb/anchors", LATCHED).publish(c.to_anchors(ANCHORS, 0, "map"))
    out = probe.publisher(RangeArray, "uwb/ranges", KEPT_QOS)
    for epoch in range(count):
        ranges = Ranges.of([0, 1, 2], np.full(3, 2.5 + epoch / 100), (epoch + 1) / 10)
        header = c.header((epoch + 1) * 100_000_000, "map")
        out.publish(RangeArray(header=header, ranges=c.to_ranges(ranges, ANCHORS)))
    probe.until(lambda: int(heard(nodes).get("recorded", 0)) >= count + 1, "all in the bag")


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_live_source_is_recorded_whoever_else_is_there(nodes: Graph, storage: str) -> None:
    bag = nodes.folder / "bag"
    nodes.start("recorder_node", output=str(bag), storage=storage, bag_version=5)
    nodes.probe.until(
        lambda: heard(nodes).get("message") == "waiting for messages on /uwb/ranges, /uwb/anchors",
        "what it waits for",
    )
    publish(nodes, 30)
    nodes.probe.until(lambda: heard(nodes).get("message") == "ok", "nothing to wait for")
    nodes.processes.__exit__(None, None, None)
    recording = read_bag(bag)
    np.testing.assert_allclose(recording.ranges[:, 1], 2.5 + np.arange(30) / 100)
    assert recording.anchors.ids == ANCHORS.ids


def test_a_killed_recorder_leaves_all_but_its_last_second(
    nodes: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    bag = nodes.folder / "bag"
    nodes.start("recorder_node", output=str(bag))
    publish(nodes, 30)

    def written() -> bool:
        try:
            ranges = read_messages(bag, "/uwb/ranges", "locdreamer_ros/msg/RangeArray")
            return len(list(ranges)) == 30
        except InputError:  # nothing whole is there yet
            return False

    # Also where nothing more comes that would make it write.
    nodes.probe.until(written, "them in the file")
    os.kill(nodes.processes._running["recorder_node"].pid, signal.SIGKILL)
    nodes.processes._running["recorder_node"].wait()
    assert written()
    np.testing.assert_allclose(read_bag(bag).ranges[:, 0], 2.5 + np.arange(30) / 100)
    assert "bag.mcap was not finished" in caplog.text
    assert [p.name for p in nodes.folder.iterdir() if p.name.startswith(".bag")] == []


def test_what_has_arrived_is_in_the_bag_when_the_node_is_told_to_end(tmp_path: Path) -> None:
    """Nobody spins any more: `run_node` only closes it."""
    with hosting(RecorderNode, output=str(tmp_path / "bag")) as hosted:
        out = hosted.say(RangeArray, "uwb/ranges", KEPT_QOS)
        ranges = Ranges.of([0], np.full(1, 2.5), 0.1)
        for _ in range(5):
            out.publish(RangeArray(ranges=c.to_ranges(ranges, ANCHORS)))
        assert out.wait_for_all_acked()
        hosted.node.close()
    kept = read_messages(tmp_path / "bag", "/uwb/ranges", "locdreamer_ros/msg/RangeArray")
    assert len(list(kept)) == 5


def test_what_is_still_on_its_way_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine it arrives after the node was told to end."""
    with hosting(RecorderNode, output=str(tmp_path / "bag")) as hosted:
        out = hosted.say(PoseStamped, "ground_truth/pose", KEPT_QOS)
        for _ in range(5):
            out.publish(PoseStamped())
        assert out.wait_for_all_acked()
        take, pause, looks = hosted.node.catch_up, time.sleep, iter(range(1000))
        looked = [next(looks)]

        def busy(seconds: float) -> None:
            pause(0.5 if looked[0] == 3 else seconds)  # the machine has other things to do
            looked[0] = next(looks)

        monkeypatch.setattr(recorder_node.time, "sleep", busy)
        late = lambda heard: take(heard) if looked[0] > 7 else None  # noqa: E731
        monkeypatch.setattr(hosted.node, "catch_up", late)
        hosted.node.close()
    kept = read_messages(tmp_path / "bag", "/ground_truth/pose", "geometry_msgs/msg/PoseStamped")
    assert len(list(kept)) == 5


def test_a_recorder_outlives_those_whom_it_hears(nodes: Graph) -> None:
    nodes.start("recorder_node", output=str(nodes.folder / "bag"))
    nodes.start("source_node", environment="lab")
    nodes.probe.until(lambda: "/source_node" in nodes.probe.diagnostics, "both")
    nodes.processes.end(but="recorder_node")
    assert list(nodes.processes._running) == ["recorder_node"]
    nodes.processes.check()


def test_ranges_of_anybody_are_recorded(nodes: Graph) -> None:
    """Best effort and without memory: a publisher that promises nothing."""
    bag = nodes.folder / "bag"
    nodes.start("recorder_node", output=str(bag))
    nodes.probe.until(lambda: heard(nodes).get("message"), "the recorder")
    weak = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    out = nodes.probe.publisher(RangeArray, "uwb/ranges", weak)
    ranges = Ranges.of([0, 1, 2], np.full(3, 2.5), 0.1)
    said = RangeArray(header=c.header(10, "map"), ranges=c.to_ranges(ranges, ANCHORS))
    nodes.probe.until(
        lambda: out.publish(said) or int(heard(nodes).get("recorded", 0)) >= 8, "some in the bag"
    )


def test_other_packages_ranges_are_recorded_as_a_tracker_takes_them(tmp_path: Path) -> None:
    """With the anchors of a file where nobody tells them, and TF that was there before."""
    save_anchors(tmp_path / "site.csv", ANCHORS)
    given = {
        "output": str(tmp_path / "bag"),
        "anchors_file": str(tmp_path / "site.csv"),
        "ranges_from": "'topic=/d type=sensor_msgs/msg/Range; topic=/n type=std_msgs/msg/UInt32 "
        "anchor=''c'' range=data scale=0.001'",
    }
    with hosting(RecorderNode, **given) as hosted:
        assert hosted.node.health()[0] == "waiting for messages on /d"
        static = hosted.peer.create_publisher(TFMessage, "/tf_static", LATCHED)
        static.publish(TFMessage(transforms=[TransformStamped(child_frame_id="hall")]))
        known, other = hosted.say(Range, "/d"), hosted.say(UInt32, "/n")
        for number, anchor in enumerate("ab"):
            head = c.header((number + 1) * 10**9, anchor)
            known.publish(Range(header=head, range=2.5, min_range=0.5, max_range=9.0))
        hosted.until(lambda: hosted.node.counts["recorded"] >= 4, "all but one")
        assert hosted.node.health()[0] == ""
        other.publish(UInt32(data=3500))
        hosted.until(lambda: hosted.node.counts["recorded"] >= 5, "the last")
        known.publish(Range(range=float("nan")))  # no anchor: a tracker drops it too
    recording = read_bag(tmp_path / "bag")
    nan = np.nan
    np.testing.assert_array_equal(
        recording.ranges, [[2.5, nan, nan], [nan, 2.5, nan], [nan, nan, 3.5]]
    )
    np.testing.assert_array_equal(recording.anchors.positions, ANCHORS.positions)
    kept = read_messages(tmp_path / "bag", "/tf_static", "tf2_msgs/msg/TFMessage")
    assert [body.transforms[0].child_frame_id for body in kept] == ["hall"]


def test_each_bag_counts_its_own_messages(tmp_path: Path) -> None:
    with hosting(RecorderNode, output=str(tmp_path / "bag")) as hosted:
        out = hosted.say(PoseStamped, "ground_truth/pose", KEPT_QOS)
        for number in (1, 2):
            out.publish(PoseStamped())
            hosted.until(lambda n=number: hosted.node.counts["recorded"] == n, "messages")
        hosted.node.trigger_deactivate()
        hosted.node.trigger_activate()
        assert hosted.node.counts["recorded"] == 0


@pytest.mark.parametrize("name", ["tracker node", "1a", "a//b", "{x}"])
def test_a_name_that_no_topic_can_have_is_refused(tmp_path: Path, name: str) -> None:
    """It ended in a traceback."""
    with hosting(RecorderNode, output=str(tmp_path / "bag")) as hosted:
        hosted.node.trigger_deactivate()
        hosted.node.trigger_cleanup()
        hosted.set("trackers", name)
        assert hosted.node.trigger_configure().name == "FAILURE"
        assert hosted.node.problem.startswith(f"trackers: {name!r}: ")


def test_what_comes_before_simulated_time_is_counted_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_node, "MOST_EARLY", 3)
    given = {"use_sim_time": True, "output": str(tmp_path / "bag")}
    with hosting(RecorderNode, **given) as hosted:
        hosted.say(AnchorArray, "uwb/anchors", LATCHED).publish(c.to_anchors(ANCHORS, 0, "map"))
        hosted.until(lambda: hosted.node._early, "the anchors")
        truth = hosted.say(PoseStamped, "ground_truth/pose", KEPT_QOS)
        for _ in range(5):
            truth.publish(PoseStamped())
        hosted.until(lambda: hosted.node.counts["messages_dropped"] >= 3, "what is too much")
        assert "3 messages wait for simulated time" in hosted.node.problem
        assert "waiting for simulated time: nobody publishes /clock" in hosted.node.health()[0]
        clock, tick = hosted.say(Clock, "/clock"), Clock(clock=c.to_stamp(10**9))
        hosted.until(
            lambda: clock.publish(tick) or hosted.node.counts["recorded"] >= 4, "what waited"
        )
        assert hosted.node.health()[0] == "waiting for messages on /uwb/ranges"


def test_a_tracker_that_is_there_and_not_heard_is_named(tmp_path: Path) -> None:
    given = {"output": str(tmp_path / "bag"), "trackers": "mine,absent"}
    with hosting(RecorderNode, "-r", "__ns:=/robot1", **given) as hosted:
        space = "/robot1"
        anchors = hosted.say(AnchorArray, f"{space}/uwb/anchors", LATCHED)
        anchors.publish(c.to_anchors(ANCHORS, 0, "map"))
        hosted.say(RangeArray, f"{space}/uwb/ranges").publish(RangeArray())
        hosted.until(lambda: hosted.node.health()[0] == "", "ranges")
        mine = Node("mine", namespace=space, use_global_arguments=False)
        waiting = f"waiting for messages on {space}/mine/status"
        hosted.until(lambda: hosted.node.health()[0] == waiting, "the tracker")
        assert hosted.node.health()[1]["unheard"] == "mine, absent"
        said = mine.create_publisher(TrackerStatus, "mine/status", KEPT_QOS)
        said.publish(TrackerStatus())
        hosted.until(lambda: hosted.node.health()[0] == "", "its status")
        assert hosted.node.health()[1]["unheard"] == "absent"
        mine.destroy_node()


def test_the_demo_waits_until_its_recorder_has_found_every_tracker(tmp_path: Path) -> None:
    with graph(tmp_path) as nodes:
        domain = nodes.probe.context.get_domain_id()
        environment = dict(os.environ, HOME=str(tmp_path))
        with (
            demo_graph._observer(domain, environment, "source_node") as observer,
            NodeProcesses(environment, tmp_path) as none,
        ):
            out = nodes.probe.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
            told = iter([*["ekf_node"] * 30, *[""] * 1000])

            def tell() -> None:
                values = [KeyValue(key="unheard", value=next(told))]
                status = DiagnosticStatus(name="/recorder_node", values=values)
                out.publish(DiagnosticArray(status=[status]))

            timer = observer.create_timer(0.05, tell)
            observer.wait_for_recorder(none)
            assert next(told) == observer._unheard == ""
            observer.destroy_timer(timer)
