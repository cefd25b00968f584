# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The driver node over emulated modules: every fault, and after each it answers again by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from driver.fake_device import refused
from locdreamer_ros.msg import AnchorArray, AnchorSchedule, RangeArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from locdreamer_ros.datasets.range_table import save_anchors
from locdreamer_ros.driver import emulator as module
from locdreamer_ros.driver.emulator import Emulator, SimulatedTag, emulate
from locdreamer_ros.nodes.conversions import from_anchors, to_stamp
from locdreamer_ros.nodes.driver_node import DriverNode
from locdreamer_ros.nodes.lifecycle import LATCHED, LOSSLESS
from locdreamer_ros.types import RangeStatus

OK, TIMEOUT, NOT_OFFERED = RangeStatus.OK, RangeStatus.TIMEOUT, RangeStatus.NOT_OFFERED
SUCCESS = TransitionCallbackReturn.SUCCESS


class Graph:
    """A driver node and a client in one executor, over one emulated module."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.link = folder / "usb-emulated"
        self.emulator: Emulator | None = None
        self.node: DriverNode | None = None
        self.sequence = 0

    def emulate(self, device: str = "decar", **more) -> SimulatedTag:
        self.emulator, self.tag = emulate(device, **{"link": self.link, **more})
        self.device = device
        return self.tag

    def start(self, *more: str, **parameters) -> TransitionCallbackReturn:
        save_anchors(self.folder / "site.csv", self.tag.anchors)
        given = {
            "device": self.device,
            "port": str(self.folder / "usb-*"),
            "anchors_file": str(self.folder / "site.csv"),
            **parameters,
        }
        arguments = ["--ros-args"]
        for name, value in given.items():
            arguments += ["-p", f"driver_node:{name}:={value}"]
        self.arguments = [*arguments, *more]
        rclpy.init(args=self.arguments, domain_id=61)
        self.node = DriverNode()
        self.client = rclpy.create_node("client", use_global_arguments=False)
        self.answers: dict[int, RangeArray] = {}
        self.anchors: list[AnchorArray] = []
        self.reports: list[DiagnosticArray] = []
        listen = self.client.create_subscription
        listen(RangeArray, "uwb/ranges", lambda m: self.answers.update({m.sequence: m}), LOSSLESS)
        listen(AnchorArray, "uwb/anchors", self.anchors.append, LATCHED)
        listen(DiagnosticArray, "/diagnostics", self.reports.append, 10)
        self.schedule = self.client.create_publisher(AnchorSchedule, "uwb/schedule", LOSSLESS)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.client)
        if self.node.trigger_configure() != SUCCESS:
            return TransitionCallbackReturn.FAILURE
        result = self.node.trigger_activate()
        self.spin(lambda: self.schedule.get_subscription_count() > 0 and bool(self.anchors))
        return result

    def spin(self, done: Callable[[], bool], seconds: float = 5.0) -> bool:
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)
        return done()

    def publish(self, *anchors: str, wait: float = 0.15) -> int:
        self.sequence += 1
        now = time.time_ns()
        message = AnchorSchedule(sequence=self.sequence, anchors=list(anchors))
        message.header.stamp = to_stamp(now)
        message.deadline = to_stamp(now + round(wait * 1e9))
        self.schedule.publish(message)
        return self.sequence

    def ask(self, *anchors: str, wait: float = 0.15) -> RangeArray:
        sequence = self.publish(*anchors, wait=wait)
        assert self.spin(lambda: sequence in self.answers, wait + 1.0), "no answer"
        return self.answers[sequence]

    def tracks_again(self, within: float = 2.0) -> float:
        """Seconds until three ranges of three come."""
        start = time.monotonic()
        while time.monotonic() - start < within:
            if [r.status for r in self.ask(*self.tag.anchors.ids[:3]).ranges] == [OK] * 3:
                return time.monotonic() - start
        raise AssertionError(f"no fix within {within} s: {self.node._session.problem}")

    def close(self) -> None:
        if self.node is not None:
            self.node.close()
            self.executor.shutdown()
            self.node.destroy_node()
            self.client.destroy_node()
            rclpy.try_shutdown()
        if self.emulator is not None:
            self.emulator.close()


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    monkeypatch.setattr(module, "WALK_S", 60.0)
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("ROS_PYTHON_CHECK_FIELDS", "1")
    os.environ.setdefault("HOME", str(tmp_path))
    graph = Graph(tmp_path)
    yield graph
    graph.close()


def statuses(answer: RangeArray) -> list[int]:
    return [entry.status for entry in answer.ranges]


def test_asks_exactly_the_scheduled_anchors(graph: Graph) -> None:
    tag = graph.emulate()
    assert graph.start() == SUCCESS
    graph.tracks_again(4.0)
    assert from_anchors(graph.anchors[-1]).ids == tag.anchors.ids
    answer = graph.ask("3", "1", "nobody", "5")
    assert [entry.anchor for entry in answer.ranges] == ["3", "1", "nobody", "5"]
    assert answer.ranges[2].status == NOT_OFFERED
    for entry in (answer.ranges[i] for i in (0, 1, 3)):
        if entry.status == OK:
            place = tag.anchors.positions[tag.anchors.rows([entry.anchor])[0]]
            error = entry.range - float(np.linalg.norm(tag.truth(time.monotonic()) - place))
            assert -1.0 < error < 6.0
            assert abs(entry.stamp.sec - time.time()) < 2
    assert graph.spin(lambda: any("energy" in str(r.status) for r in graph.reports))
    graph.spin(lambda: False, 1.2)
    mine = next(
        s for r in reversed(graph.reports) for s in r.status if s.name.endswith("driver_node")
    )
    values = {value.key: value.value for value in mine.values}
    assert values["device"].startswith("DECAR")
    assert float(values["energy_mj_per_fix"]) > 0.0
    assert float(values["air_time_ms_per_fix"]) > 0.0
    assert values["reconnects"] == "0"
    assert "ok" in values["anchor 1"]


def test_unplug_and_replug_under_another_name(graph: Graph) -> None:
    graph.emulate()
    graph.start()
    graph.tracks_again(4.0)
    before = graph.emulator.path
    graph.publish("1", "2", "3")
    graph.emulator.unplug()
    answer = graph.ask("1", "2", "3")
    assert statuses(answer) == [TIMEOUT] * 3
    assert graph.node.health()[0]
    time.sleep(1.0)
    graph.emulator.plug()
    assert graph.emulator.path != before
    assert graph.tracks_again() < 2.0
    assert graph.node.health()[0] == ""
    assert graph.node.health()[1]["reconnects"] == 1


def test_reboot(graph: Graph) -> None:
    graph.emulate()
    graph.start()
    graph.tracks_again(4.0)
    graph.emulator.reboot()
    assert graph.tracks_again() < 2.0


@pytest.mark.parametrize("fault", ["garbage", "split", "duplicate", "late", "wrong-id", "oversize"])
def test_a_bad_wire_gives_no_wrong_range_and_is_survived(graph: Graph, fault: str) -> None:
    tag = graph.emulate(faults=[fault])
    graph.start()
    graph.tracks_again(6.0)
    good = 0
    for _ in range(40):
        answer = graph.ask("1", "2", "4")
        good += statuses(answer).count(OK)
        for entry in answer.ranges:
            if entry.status == OK:
                row = tag.anchors.rows([entry.anchor])[0]
                column = tag._walk.ranges[:, tag._columns[row]]
                assert np.nanmin(np.abs(column - entry.range)) < 1e-3
    assert good > 60
    graph.emulator.faults.clear()
    assert graph.tracks_again() < 2.0


def test_a_device_that_does_not_drain(graph: Graph) -> None:
    graph.emulate()
    graph.start()
    graph.tracks_again(4.0)
    graph.emulator.deafen(True)
    for _ in range(10):
        assert len(graph.ask("1", "2", "3", wait=0.05).ranges) == 3
    graph.emulator.deafen(False)
    assert graph.tracks_again() < 2.0


def test_port_busy_then_free(graph: Graph) -> None:
    import serial

    graph.emulate()
    other = serial.Serial(graph.emulator.path, exclusive=True)
    graph.start()
    assert statuses(graph.ask("1", "2", "3")) == [TIMEOUT] * 3
    assert "in use" in graph.node.health()[0]
    other.close()
    assert graph.tracks_again() < 2.0


def test_permission_denied_then_granted(graph: Graph) -> None:
    graph.emulate(link=None)
    # Where pytest keeps its folders, others may not go; the one who is refused must get this far.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        graph.start(port=f"{folder}/usb-*")
        with refused(graph.emulator.path) as allow:
            (Path(folder) / "usb-emulated").symlink_to(graph.emulator.path)
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                assert statuses(graph.ask("1", "2", "3")) == [TIMEOUT] * 3
            assert "permission denied" in graph.node.health()[0]
            allow()
            assert graph.tracks_again() < 2.0


def test_port_absent_at_start_then_there(graph: Graph) -> None:
    graph.emulate()
    graph.emulator.unplug()
    assert graph.start() == SUCCESS
    assert statuses(graph.ask("1")) == [TIMEOUT]
    assert "no such port" in graph.node.health()[0]
    graph.emulator.plug()
    assert graph.tracks_again() < 2.0


def test_schedules_faster_than_the_radio_are_all_answered(graph: Graph) -> None:
    graph.emulate()
    graph.start()
    graph.tracks_again(4.0)
    asked = []
    for _ in range(60):
        asked.append(graph.publish(*graph.tag.anchors.ids))
        graph.spin(lambda: False, 0.005)
    assert graph.spin(lambda: all(sequence in graph.answers for sequence in asked), 5.0)
    assert all(len(graph.answers[sequence].ranges) == 8 for sequence in asked)
    assert graph.node.counts["superseded"] > 0
    assert graph.tracks_again() < 2.0


def test_two_of_eight_anchors_dead(graph: Graph) -> None:
    tag = graph.emulate(dead=("2", "6"))
    graph.start()
    start = time.monotonic()
    while time.monotonic() - start < 3.0:
        answer = graph.ask(*tag.anchors.ids, wait=0.1)
    assert [statuses(answer)[i] for i in (1, 5)] == [TIMEOUT] * 2
    assert statuses(answer).count(OK) >= 4
    dead = graph.node._ranger.statistics[1]
    assert dead.rested > 2 * dead.asked


def test_offsets_are_taken_off(graph: Graph) -> None:
    tag = graph.emulate()
    (graph.folder / "site_offsets.csv").write_text("id,offset\n1,0.123\n")
    graph.start()
    graph.tracks_again(4.0)
    answer = graph.ask("1", "2")
    for entry, offset in zip(answer.ranges, (0.123, 0.0), strict=True):
        column = tag._walk.ranges[:, tag._columns[tag.anchors.rows([entry.anchor])[0]]]
        if entry.status == OK:
            assert np.nanmin(np.abs(column - entry.range - offset)) < 1e-3


def test_an_offset_that_no_antenna_has_is_refused(graph: Graph) -> None:
    graph.emulate()
    (graph.folder / "site_offsets.csv").write_text("id,offset\n1,100.0\n")
    assert graph.start() == TransitionCallbackReturn.FAILURE
    assert "within 10 m" in graph.node.problem


def test_what_cannot_be_started_says_why(graph: Graph) -> None:
    graph.emulate()
    assert graph.start(anchors_file="absent.csv") == TransitionCallbackReturn.FAILURE
    assert "absent.csv: cannot read" in graph.node.problem


def test_it_can_be_cleaned_up_and_started_again(graph: Graph) -> None:
    graph.emulate()
    graph.start()
    graph.tracks_again(4.0)
    for _ in range(2):
        assert graph.node.trigger_deactivate() == SUCCESS
        assert graph.node.trigger_cleanup() == SUCCESS
        assert graph.node.trigger_configure() == SUCCESS
        assert graph.node.trigger_activate() == SUCCESS
        graph.spin(lambda: graph.schedule.get_subscription_count() > 0)
        graph.tracks_again(4.0)


def test_a_tracker_tracks_through_it_and_through_an_unplugging(graph: Graph) -> None:
    from geometry_msgs.msg import PoseWithCovarianceStamped

    from locdreamer_ros.nodes.tracker_node import TrackerNode

    graph.emulate()
    given = {"tracker": "grid", "rate": 10.0, "tag_height": 1.2}
    graph.start(*[w for k, v in given.items() for w in ("-p", f"tracker_node:{k}:={v}")])
    tracker = TrackerNode()
    graph.executor.add_node(tracker)
    errors: list[float] = []

    def compare(message: PoseWithCovarianceStamped) -> None:
        place = message.pose.pose.position
        truth = graph.tag.truth(time.monotonic())
        errors.append(float(np.hypot(place.x - truth[0], place.y - truth[1])))

    graph.client.create_subscription(
        PoseWithCovarianceStamped, "/tracker_node/pose", compare, LOSSLESS
    )
    assert tracker.trigger_configure() == SUCCESS
    assert tracker.trigger_activate() == SUCCESS
    assert graph.spin(lambda: len(errors) > 60, 20.0)
    assert np.median(errors[20:]) < 1.0
    graph.emulator.unplug()
    graph.spin(lambda: False, 1.0)
    graph.emulator.plug()
    graph.spin(lambda: False, 2.0)
    before = len(errors)
    assert graph.spin(lambda: len(errors) > before + 40, 10.0)
    assert np.median(errors[before + 10 :]) < 1.0
    tracker.close()
    tracker.destroy_node()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_minute_at_fifty_fixes_a_second_does_not_grow(tmp_path: Path) -> None:
    """The short form of benchmarks/driver.py; one hour of it is in docs/results."""
    root = Path(__file__).parents[2]
    report = tmp_path / "endurance.json"
    command = [sys.executable, str(root / "benchmarks" / "driver.py"), "endurance"]
    command += ["--endurance", "60", "--json", str(report)]
    environment = {**os.environ, "PYTHONPATH": str(root), "ROS_DOMAIN_ID": "62"}
    subprocess.run(command, check=True, env=environment, timeout=200)
    found = json.loads(report.read_text())["endurance"]
    assert found["exit_status"] == 0
    assert found["answers"] >= 0.99 * found["schedules"]
    assert found["descriptor_growth"] == 0
    assert found["thread_growth"] == 0
    assert found["rss_growth_mb"] < 3.0  # what a minute of warming up takes
