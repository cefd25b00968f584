# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files started for real: wherever `ros2 launch` can be run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")
if find_spec("launch_ros") is None or shutil.which("ros2") is None:
    pytest.skip("needs ros2 launch: a sourced ROS 2 distribution", allow_module_level=True)

from geometry_msgs.msg import PoseWithCovarianceStamped
from locdreamer_ros.msg import AnchorSchedule, TrackerStatus
from nodes.hosted import ANCHORS, TRUTH, ranges_at
from nodes.ros_graph import Probe
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Range
from tf2_msgs.msg import TFMessage

from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.range_table import save_anchors
from locdreamer_ros.driver.emulator import emulate
from locdreamer_ros.evaluation.run import evaluate
from locdreamer_ros.methods import Method
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.domain import own_domain
from locdreamer_ros.nodes.launch_description import RESPAWN_DELAY_S
from locdreamer_ros.survey.files import load_unplaced
from locdreamer_ros.types import Anchors

ROOT = Path(__file__).resolve().parents[2]
TRACKING, ROBOT, FLEET = (
    ROOT / "launch" / f"{name}.launch.py" for name in ("tracking", "robot", "fleet")
)
PATIENCE_S = 60.0
SENSOR = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


class Launch:
    """A `ros2 launch` in a session of its own, and what it printed."""

    def __init__(self, folder: Path, domain: int, file: Path, *arguments: str) -> None:
        self.log = folder / "launch.log"
        environment = {
            **os.environ,
            "HOME": str(folder),
            "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
            "OMP_NUM_THREADS": "1",
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_DOMAIN_ID": str(domain),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["ros2", "launch", str(file), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def nodes(self) -> dict[str, int]:
        """The processes it has started, by executable."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        found = {}
        for pid in Path(path).read_text(encoding="ascii").split():
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if len(command) > 2:  # else it is starting, or has just died
                found[Path(os.fsdecode(command[1])).name] = int(pid)
        return found

    def end(self) -> int:
        """Ctrl-C, and the exit status; nothing may be left."""
        started = list(self.nodes().values()) if self.process.poll() is None else []
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(20.0)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
        assert "Traceback" not in self.text
        return status


@contextmanager
def launched(folder: Path, file: Path, *arguments: str) -> Iterator[tuple[Launch, Probe]]:
    """A running launch, and a probe in its domain."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ROS_DOMAIN_ID", raising=False)
        patch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        with own_domain() as domain, Probe(domain) as probe:
            launch = Launch(folder, domain, file, *arguments)
            try:
                yield launch, probe
            finally:
                launch.end()


def wait(reached: Callable[[], Any], what: str, launch: Launch) -> None:
    """Wait until something is so."""
    deadline = monotonic() + PATIENCE_S
    while not reached():
        assert monotonic() < deadline, f"waited for {what}: {launch.text[-2000:]}"
        sleep(0.1)


def test_a_wrong_argument_is_one_line_and_nothing_starts(tmp_path: Path) -> None:
    for file, arguments, complaint in (
        (TRACKING, ["budget:=many"], "budget: expected int, got 'many'"),
        (ROBOT, [], "source serial needs anchors:=FILE"),
        (FLEET, ["scheduler:=sequential", "simulated:=x"], "simulated: expected a whole number"),
    ):
        launch = Launch(tmp_path, 1, file, *arguments)
        assert launch.process.wait(PATIENCE_S) == 1
        assert complaint in launch.text
        assert "process started" not in launch.text
        assert "Traceback" not in launch.text


TWO_ROBOTS = """
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch_ros.actions import PushRosNamespace

def robot(name, **more):
    given = {{"speed": "2.0", "duration": "8.0", "output": "{folder}/" + name, **more}}
    return IncludeLaunchDescription("{file}", launch_arguments=given.items())

def generate_launch_description():
    # Arguments leak out of an include, unless it is in a group.
    named = GroupAction([robot("one", seed="1", namespace="robot1", baseline="none")])
    pushed = GroupAction([PushRosNamespace("robot2"), robot("two", seed="2", baseline="none")])
    return LaunchDescription([named, pushed])
"""


def test_two_robots_in_one_domain_do_not_disturb_each_other(tmp_path: Path) -> None:
    both = tmp_path / "both.launch.py"
    both.write_text(TWO_ROBOTS.format(folder=tmp_path, file=TRACKING), encoding="utf-8")
    with launched(tmp_path, both) as (_, probe):
        transforms = probe.hear(TFMessage, "/tf", QoSProfile(depth=100))
        results = [tmp_path / name / "metrics.json" for name in ("one", "two")]
        probe.until(lambda: all(path.exists() for path in results), "both results", PATIENCE_S)
        one, two = (json.loads(path.read_text(encoding="utf-8")) for path in results)
        topics = {name for name, _ in probe.node.get_topic_names_and_types()}
        frames = {(t.header.frame_id, t.child_frame_id) for m in transforms for t in m.transforms}
    for metrics in (one, two):
        accounts = metrics["accounts"]
        assert metrics["problem"] == ""
        assert accounts["lost"] == accounts["duplicated"] == accounts["not_as_asked"] == 0
        assert accounts["epochs"] == accounts["answers"] == 80
    assert one["mae"] != two["mae"]
    assert frames == {("map", "robot1/tag"), ("map", "robot2/tag")}
    assert {"/robot1/uwb/ranges", "/robot2/uwb/ranges"} <= topics
    assert not {"/uwb/ranges", "/clock", "/ground_truth/pose"} & topics


def test_a_robot_with_somebody_elses_radio_in_a_namespace(tmp_path: Path) -> None:
    mapping = "topic=/radio/a,/radio/b,/radio/c,/radio/d type=sensor_msgs/msg/Range"
    save_anchors(tmp_path / "site.csv", ANCHORS)
    params = tmp_path / "mine.yaml"
    params.write_text(
        f"/**: {{ros__parameters: {{anchors_file: {tmp_path}/site.csv, tracker: robust-ekf}}}}",
        encoding="utf-8",
    )
    arguments = [
        "namespace:=robot1", "device:=none", "passive:=true", "dimensions:=2",
        f"ranges_from:={mapping}", f"params_file:={params}", f"record:={tmp_path}/bag",
    ]  # fmt: skip
    with launched(tmp_path, ROBOT, *arguments) as (launch, probe):
        poses = probe.hear(PoseWithCovarianceStamped, "/robot1/tracker_node/pose")
        statuses = probe.hear(TrackerStatus, "/robot1/tracker_node/status")
        says = [probe.node.create_publisher(Range, f"/radio/{i}", SENSOR) for i in ANCHORS.ids]
        heard = lambda: all(s.get_subscription_count() == 2 for s in says)  # noqa: E731
        probe.until(heard, "listeners", PATIENCE_S)
        assert sorted(launch.nodes()) == ["recorder_node", "tracker_node"]
        for turn in range(40):
            ns = 10**9 + turn * 50_000_000
            measured = float(ranges_at(TRUTH, [turn % 4], ns / 1e9).value[0])
            message = Range(range=measured, min_range=0.1, max_range=50.0)
            message.header = c.header(ns, ANCHORS.ids[turn % 4])
            says[turn % 4].publish(message)
            probe.rest(0.02)
        probe.until(lambda: len(poses) > 20, "poses", PATIENCE_S)
        place = poses[-1].pose.pose.position
        assert np.hypot(place.x - TRUTH[0], place.y - TRUTH[1]) < 0.2
        assert statuses[-1].tracker == "robust-ekf"
    # And offline, of what was recorded, it is where it was.
    method = Method(tracker="robust-ekf", scheduler="all", dimensions="2")
    track, _ = evaluate(load_recording(tmp_path / "bag"), method)
    times = [round(c.nanoseconds(pose.header.stamp) / 1e9, 6) for pose in poses]
    row = track.times.round(6).tolist().index(times[-1])
    np.testing.assert_allclose(track.mean[row, :2], (place.x, place.y), atol=1e-3)


def test_a_robot_on_anothers_clock_asks_by_it_and_waits_while_it_stands(tmp_path: Path) -> None:
    save_anchors(tmp_path / "site.csv", ANCHORS)
    arguments = [
        "device:=none", f"anchors:={tmp_path}/site.csv", "use_sim_time:=true", "rate:=5.0",
        "namespace:=robot1",
    ]  # fmt: skip
    with launched(tmp_path, ROBOT, *arguments) as (launch, probe):
        asked = probe.hear(AnchorSchedule, "/robot1/uwb/schedule")
        clock = probe.publisher(Clock, "/clock", QoSProfile(depth=10))
        probe.until(lambda: probe.node.count_publishers("/robot1/uwb/schedule"), "the tracker")
        ticks = 0
        while len(asked) < 20:  # however busy the machine is: some 4 s at 250 Hz
            assert ticks < 10_000, launch.text
            clock.publish(Clock(clock=c.to_stamp(100 * 10**9 + ticks * 4 * 10**6)))
            ticks += 1
            probe.executor.spin_once(timeout_sec=0.0)
            sleep(0.004)
        probe.rest(1.0)  # what is on its way
        count = len(asked)
        times = [c.nanoseconds(schedule.header.stamp) / 1e9 for schedule in asked]
        assert 100.0 <= times[0] < times[-1] <= 100.0 + 0.004 * ticks
        assert count <= 0.004 * ticks * 5.0 + 1.0, launch.text
        probe.rest(2.0)  # it stands
        assert len(asked) == count


def test_a_fleet_follows_simulated_tags_in_a_namespace(tmp_path: Path) -> None:
    arguments = ["simulated:=2", "namespace:=site1", "dimensions:=2", "tag_height:=1.2"]
    with launched(tmp_path, FLEET, *arguments) as (launch, probe):
        topics = [f"/site1/fleet_node/tag{number}/pose" for number in (1, 2)]
        poses = [probe.hear(PoseWithCovarianceStamped, topic) for topic in topics]
        probe.until(lambda: all(len(found) > 5 for found in poses), "poses of both", PATIENCE_S)
        assert sorted(launch.nodes()) == ["fleet_node", "source_node"]
        assert poses[0][-1].pose.pose.position != poses[1][-1].pose.pose.position


def test_a_tracker_that_dies_is_started_again(tmp_path: Path) -> None:
    ids = ("6E01", "6E02", "6E03", "6E04")
    save_anchors(tmp_path / "site.csv", Anchors(ids, ANCHORS.positions))
    missing = str(tmp_path / "no-such-port")
    arguments = [f"anchors:={tmp_path}/site.csv", f"port:={missing}", "device:=dwm1001"]
    with launched(tmp_path, ROBOT, *arguments) as (launch, _):
        both = {"driver_node", "tracker_node"}
        wait(lambda: set(launch.nodes()) == both, "both nodes", launch)
        for name in both:
            old = launch.nodes()[name]
            os.kill(old, signal.SIGKILL)
            wait(lambda n=name, o=old: launch.nodes().get(n, o) != o, f"a new {name}", launch)
        wait(lambda: "no-such-port" in launch.text, "a word on the port that is missing", launch)


def test_a_launch_that_is_killed_leaves_no_node(tmp_path: Path) -> None:
    with launched(tmp_path, TRACKING, "duration:=60.0", f"output:={tmp_path}/out") as (launch, _):
        wait(lambda: len(launch.nodes()) == 4, "four nodes", launch)
        started = launch.nodes().values()
        launch.process.kill()
        wait(lambda: not any(Path(f"/proc/{n}").exists() for n in started), "their end", launch)


def test_a_node_that_refuses_its_input_is_not_started_again(tmp_path: Path) -> None:
    """What only it can know: the launch file looked at the rest."""
    (tmp_path / "site.csv").write_text("id,x,y,z\n6E01,0,0,2\n6E02,5,0,2\n", encoding="utf-8")
    survey = f"{tmp_path}/nowhere/walk.csv"
    (tmp_path / "mine.yaml").write_text(
        f"driver_node: {{ros__parameters: {{survey: {survey}}}}}", encoding="utf-8"
    )
    arguments = [
        f"anchors:={tmp_path}/site.csv", "device:=dwm1001", "port:=/dev/null",
        f"params_file:={tmp_path}/mine.yaml",
    ]  # fmt: skip
    with launched(tmp_path, ROBOT, *arguments) as (launch, _):
        wait(lambda: "not started again" in launch.text, "the refusal", launch)
        wait(lambda: "waiting for the anchors" in launch.text, "the tracker", launch)
        sleep(2.0 * RESPAWN_DELAY_S)
        assert set(launch.nodes()) == {"tracker_node"}
    assert launch.text.count("driver_node refused what it was given") == 1
    assert launch.text.count(f"{survey}: cannot write") == 1


def test_a_source_that_refuses_its_input_is_named(tmp_path: Path) -> None:
    """What only it can know; the others wait for it."""
    (tmp_path / "mine.yaml").write_text("/**: {ros__parameters: {deploy: nobody}}")
    given = f"params_file:={tmp_path}/mine.yaml"
    with launched(tmp_path, TRACKING, given, f"output:={tmp_path}/out") as (launch, _):
        wait(lambda: "source_node refused what it was given" in launch.text, "a word", launch)


def test_a_survey_is_walked_with_the_robots_launch_file(tmp_path: Path) -> None:
    """Anchors without places: the tracker beside it says so and waits."""
    module, tag = emulate("decar", link=tmp_path / "uwb", walk_s=600.0)
    save_anchors(tmp_path / "ids.csv", Anchors(tag.anchors.ids, 0.0 * tag.anchors.positions))
    (tmp_path / "mine.yaml").write_text(
        f"/**/driver_node: {{ros__parameters: {{survey: {tmp_path}/walk.csv, free_rate: 20.0}}}}"
    )
    arguments = [
        "device:=decar", f"port:={tmp_path}/uwb", f"anchors:={tmp_path}/ids.csv",
        f"params_file:={tmp_path}/mine.yaml", "namespace:=robot1",
    ]  # fmt: skip
    walk = tmp_path / "walk.csv"
    try:
        with launched(tmp_path, ROBOT, *arguments) as (launch, _):

            def enough() -> bool:  # a wall may stand before one of them for some seconds
                rows = walk.read_text().splitlines()[1:] if walk.exists() else []
                heard = Counter(row.split(",")[1] for row in rows)
                return len(heard) == len(tag.anchors) and min(heard.values()) >= 20

            wait(enough, "rows of all anchors", launch)
    finally:
        module.close()
    found = load_unplaced(walk)
    assert set(found.anchors.ids) == set(tag.anchors.ids)  # in the order in which they were heard
    assert np.isfinite(found.ranges).sum(axis=0).min() >= 20


def test_blinks_are_tracked_scored_and_recorded(tmp_path: Path) -> None:
    arguments = [
        "measurement:=tdoa", "environment:=hall", "duration:=5.0", "speed:=0.0",
        f"output:={tmp_path}/out", f"record:={tmp_path}/bag",
    ]  # fmt: skip
    with launched(tmp_path, TRACKING, *arguments) as (launch, probe):
        result = tmp_path / "out" / "metrics.json"
        wait(result.exists, "the scores", launch)
        assert not probe.node.get_publishers_info_by_topic("/uwb/schedule")
    metrics = json.loads(result.read_text(encoding="utf-8"))
    assert (metrics["problem"], metrics["scheduler"]) == ("", "(listens)")
    assert metrics["mae"] < 1.0
    accounts = metrics["accounts"]
    assert accounts["epochs"] == accounts["answers"] == 50
    assert accounts["lost"] == accounts["unused_by_tracker_node"] == 0
    recorded = load_recording(tmp_path / "bag", differences=True)
    assert np.isfinite(recorded.ranges).sum() == accounts["received"] + 50


def test_a_replay_with_recorder_and_without_rviz(tmp_path: Path) -> None:
    arguments = [
        "duration:=5.0", "speed:=0.0", f"output:={tmp_path}/out", f"record:={tmp_path}/bag",
        "rviz:=true", "tracker:=bias-ekf", "baseline:=grid", "trackr:=ekf",
    ]  # fmt: skip
    with launched(tmp_path, TRACKING, *arguments) as (launch, _):
        result = tmp_path / "out" / "metrics.json"
        wait(result.exists, "the result", launch)
        metrics = json.loads(result.read_text(encoding="utf-8"))
    assert (metrics["tracker"], metrics["baseline"]["tracker"]) == ("bias-ekf", "grid")
    assert metrics["accounts"]["lost"] == 0
    assert "do you mean 'tracker'" in launch.text
    if shutil.which("rviz2") is None:
        assert "rviz2 is not installed" in launch.text
    assert (tmp_path / "bag" / "metadata.yaml").is_file()
