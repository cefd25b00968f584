# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The whole graph over real topics, in separate processes, against the same job offline."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.range_table import load_anchors
from locdreamer_ros.datasets.rosbag2 import read_messages
from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.metrics import Track
from locdreamer_ros.evaluation.run import run_offline
from locdreamer_ros.methods import Method, make_scheduler, make_tracker
from locdreamer_ros.nodes.domain import is_busy, own_domain
from locdreamer_ros.nodes.graph import Job, run_graph
from locdreamer_ros.nodes.processes import NodeProcesses, node_environment
from locdreamer_ros.nodes.tracks import load_tracks
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import simulate
from locdreamer_ros.stamps import to_nanoseconds
from locdreamer_ros.types import RangeStatus, Site

ROOT = Path(__file__).resolve().parents[2]
LIAS = ROOT.parent / "shared" / "data" / "lias"
SEED = 3
PATIENCE_S = 120.0
"""So long a busy machine may take."""
PAPER = Method(seed=SEED).beside("ekf", "paper")


def walking(output: Path) -> Job:
    return Job(output, environment="house", duration=6.0, rate=10.0)


@pytest.fixture(autouse=True)
def _checked_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_PYTHON_CHECK_FIELDS", "1")
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)


@pytest.fixture(scope="module")
def walk() -> Recording:
    return simulate("house", duration=6.0, rate=10.0, seed=SEED)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A graph that has run: everything drawn at random, so that order matters everywhere."""
    output = tmp_path_factory.mktemp("graph")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_PYTHON_CHECK_FIELDS", "1")
        patch.delenv("ROS_DOMAIN_ID", raising=False)
        yield (
            output,
            run_graph(
                walking(output),
                Method(
                    tracker="particle",
                    parameters={"particles": 200},
                    scheduler="random",
                    seed=SEED,
                ),
                beside=PAPER,
            ),
        )


def offline(recording: Recording, site: Site, scheduler: str, *trackers: Any) -> list[Track]:
    first, *beside = trackers
    chooser = make_scheduler(scheduler, site, seed=SEED)
    return run_offline(recording, site, first, chooser, budget=3, beside=beside).tracks


def assert_same(graph: Track, alone: Track) -> None:
    d = alone.dimensions
    assert np.array_equal(graph.times, alone.times)
    assert np.array_equal(graph.asked, alone.asked)
    np.testing.assert_array_equal(graph.truth, alone.truth)
    np.testing.assert_allclose(graph.mean, alone.mean, rtol=0.0, atol=1e-9)
    np.testing.assert_allclose(
        graph.covariance[:, :d, :d], alone.covariance[:, :d, :d], rtol=1e-9, atol=1e-12
    )


def test_the_graph_gives_the_offline_estimates(
    finished: tuple[Path, dict[str, Any]], walk: Recording
) -> None:
    anchors, tracks = load_tracks(finished[0] / "tracks.npz")
    site = Site.of(walk.anchors)
    assert anchors.ids == walk.anchors.ids
    alone = offline(
        walk,
        site,
        "random",
        make_tracker("particle", site, parameters={"particles": 200}, seed=SEED),
        make_tracker("ekf", site, preset="paper", seed=SEED),
    )
    assert_same(tracks["tracker_node"], alone[0])
    assert_same(tracks["ekf_node"], alone[1])


def test_every_released_range_is_accounted_for(
    finished: tuple[Path, dict[str, Any]], walk: Recording
) -> None:
    output, metrics = finished
    accounts = metrics["accounts"]
    assert accounts["epochs"] == accounts["answers"] == len(walk)
    assert accounts["received"] == accounts["released"] > 0
    for name in ("lost", "duplicated", "not_as_asked", "unscheduled"):
        assert accounts[name] == 0, name
    assert accounts["unused_by_tracker_node"] == accounts["unused_by_ekf_node"] == 0
    assert json.loads((output / "metrics.json").read_text(encoding="utf-8")) == metrics
    assert [metrics["tracker"], metrics["baseline"]["tracker"]] == ["particle", "ekf"]


def test_the_bag_holds_only_what_was_asked_with_its_stamps(
    finished: tuple[Path, dict[str, Any]], walk: Recording
) -> None:
    bag = finished[0] / "bag"
    schedules = list(read_messages(bag, "/uwb/schedule", "locdreamer_ros/msg/AnchorSchedule"))
    answers = list(read_messages(bag, "/uwb/ranges", "locdreamer_ros/msg/RangeArray"))
    assert [a.sequence for a in answers] == [s.sequence for s in schedules]
    assert [s.sequence for s in schedules] == [*range(1, len(walk) + 1)]
    assert len({s.session for s in schedules} | {a.session for a in answers}) == 1
    released = 0
    for epoch, (schedule, message) in enumerate(zip(schedules, answers, strict=True)):
        ns = to_nanoseconds(float(walk.times[epoch]))
        assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == ns
        assert [entry.anchor for entry in message.ranges] == list(schedule.anchors)
        for entry in message.ranges:
            recorded = walk.ranges[epoch, walk.anchors.ids.index(entry.anchor)]
            assert entry.stamp.sec * 10**9 + entry.stamp.nanosec == ns
            np.testing.assert_equal(entry.range, recorded)
            assert (entry.status == RangeStatus.OK) == bool(np.isfinite(recorded))
            released += entry.status == RangeStatus.OK
    assert released == finished[1]["accounts"]["released"]


def test_the_clock_ticks_once_per_epoch_and_every_topic_is_recorded(
    finished: tuple[Path, dict[str, Any]], walk: Recording
) -> None:
    bag = finished[0] / "bag"
    ticks = [
        tick.clock.sec * 10**9 + tick.clock.nanosec
        for tick in read_messages(bag, "/clock", "rosgraph_msgs/msg/Clock")
    ]
    assert ticks == [to_nanoseconds(float(time)) for time in walk.times]
    (anchors,) = read_messages(bag, "/uwb/anchors", "locdreamer_ros/msg/AnchorArray")
    assert [anchor.id for anchor in anchors.anchors] == list(walk.anchors.ids)
    for topic, name in {
        "/ground_truth/pose": "geometry_msgs/msg/PoseStamped",
        "/tracker_node/pose": "geometry_msgs/msg/PoseWithCovarianceStamped",
        "/tracker_node/odometry": "nav_msgs/msg/Odometry",
        "/tracker_node/status": "locdreamer_ros/msg/TrackerStatus",
        "/ekf_node/pose": "geometry_msgs/msg/PoseWithCovarianceStamped",
    }.items():
        assert len(list(read_messages(bag, topic, name))) == len(walk), topic
    for topic, name in {
        "/tracker_node/path": "nav_msgs/msg/Path",
        "/tracker_node/markers": "visualization_msgs/msg/MarkerArray",
        "/tf": "tf2_msgs/msg/TFMessage",
        "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
    }.items():
        assert list(read_messages(bag, topic, name)), topic


def test_a_recording_replayed_through_the_graph_gives_the_offline_metrics(
    tmp_path: Path,
) -> None:
    source = LIAS / "lias_fast_tag0.csv"
    if not source.is_file():
        pytest.skip(f"needs {source}")
    lines = source.read_text(encoding="utf-8").splitlines()[:61]
    recording = tmp_path / "short.csv"
    recording.write_text("\n".join(lines) + "\n", encoding="utf-8")
    places = LIAS / "lias_fast_tag0_anchors.csv"
    run_graph(
        Job(tmp_path / "out", source="replay", recording=recording, anchors=places),
        Method(tracker="bias-ekf", scheduler="gdop", seed=SEED),
    )
    table = load_recording(recording, places)
    site = Site.of(load_anchors(places))
    trackers = (make_tracker(name, site, seed=SEED) for name in ("bias-ekf", "ekf"))
    alone = offline(table, site, "gdop", *trackers)
    _, tracks = load_tracks(tmp_path / "out" / "tracks.npz")
    assert_same(tracks["tracker_node"], alone[0])
    assert_same(tracks["ekf_node"], alone[1])


def test_a_fix_in_several_schedules_is_the_offline_fix_and_odometry_too(tmp_path: Path) -> None:
    stops = {"accuracy": 0.3, "price": 0.02}
    asks = Method(tracker="bias-ekf", scheduler="sequential", budget=4, seed=SEED, **stops)
    params = tmp_path / "params.yaml"
    params.write_text("source_node: {ros__parameters: {odometry_drift: 0.02}}", encoding="utf-8")
    metrics = run_graph(replace(walking(tmp_path), params=params), asks, beside=PAPER)
    walk = simulate("house", duration=6.0, rate=10.0, seed=SEED, odometry=0.02)
    site = Site.of(walk.anchors)
    trackers = (make_tracker("bias-ekf", site), make_tracker("ekf", site, preset="paper"))
    chooser = make_scheduler("sequential", site, **stops)
    alone = run_offline(walk, site, trackers[0], chooser, budget=4, beside=trackers[1:]).tracks
    _, tracks = load_tracks(tmp_path / "tracks.npz")
    assert_same(tracks["tracker_node"], alone[0])
    assert_same(tracks["ekf_node"], alone[1])
    accounts = metrics["accounts"]
    assert accounts["epochs"] == len(walk) < accounts["answers"]
    assert accounts["received"] == accounts["released"]
    for name in ("lost", "duplicated", "not_as_asked", "unscheduled", "unfinished"):
        assert accounts[name] == 0, name
    assert accounts["unused_by_tracker_node"] == accounts["unused_by_ekf_node"] == 0
    assert (alone[0].asked[1:] < 4).any()
    recorded = load_recording(tmp_path / "bag", None)  # the parts of a fix are one epoch
    np.testing.assert_array_equal(recorded.times, walk.times)
    assert np.isfinite(recorded.ranges).sum() == accounts["released"]
    np.testing.assert_array_equal(recorded.odometry[:, :2], walk.odometry[:, :2])
    np.testing.assert_allclose(recorded.odometry[:, 2], walk.odometry[:, 2], atol=1e-12)
    np.testing.assert_array_equal(recorded.turn_rate, walk.turn_rate)


def nodes_of(parent: int) -> list[int]:
    """Its children that have become nodes: before, they end with it only by luck."""
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
    return [int(child) for child in listed if b"_node\0" in commanded(int(child))]


def commanded(pid: int) -> bytes:
    """The command line of a process; nothing where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.promise("No node outlives an interrupted graph.")
def test_no_node_outlives_a_killed_graph(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from locdreamer_ros.nodes.graph import Job, run_graph\n"
        f"run_graph(Job(Path({str(tmp_path)!r}), duration=3600.0, speed=1.0))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL
    ) as parent:
        deadline = monotonic() + PATIENCE_S
        while len(nodes := nodes_of(parent.pid)) < 5 and monotonic() < deadline:
            sleep(0.05)
        parent.kill()
        parent.wait(PATIENCE_S)
    assert len(nodes) == 5
    deadline = monotonic() + PATIENCE_S
    while any(map(alive, nodes)) and monotonic() < deadline:
        sleep(0.05)
    assert not [pid for pid in nodes if alive(pid)]


def test_a_node_that_dies_ends_the_graph_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    start = NodeProcesses.start

    def start_and_kill_one(self: NodeProcesses, name: str, parameters: Path) -> None:
        start(self, name, parameters)
        started.append(self._running[name].pid)
        if name == "source_node":
            os.kill(self._running["ekf_node"].pid, signal.SIGKILL)

    monkeypatch.setattr(NodeProcesses, "start", start_and_kill_one)
    with pytest.raises(RuntimeError, match="ekf_node ended with status -9"):
        run_graph(Job(tmp_path))
    assert not [pid for pid in started if alive(pid)]
    assert not (tmp_path / "metrics.json").exists()


def test_a_recording_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    missing = tmp_path / "missing.csv"
    with pytest.raises(InputError, match=r"missing\.csv") as caught:
        run_graph(Job(tmp_path / "out", source="replay", recording=missing))
    assert "\n" not in str(caught.value)


def test_a_busy_domain_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "93")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", 7400 + 250 * 93 + 10))  # where the first participant listens
        with pytest.raises(InputError, match="ROS domain 93 is busy"):
            run_graph(Job(tmp_path))


def test_two_graphs_do_not_get_the_same_domain() -> None:
    with own_domain() as first, own_domain() as second:
        assert first != second


@pytest.mark.parametrize("domains", [range(102, 215), (215,), (232,)])
def test_every_domain_that_dds_has_may_be_named(
    domains: Iterable[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one has fewer ports than the others.

    Those of 102 to 214 Linux hands out to any program: one of which none is taken just now.
    """
    wanted = str(next(domain for domain in domains if not is_busy(domain)))
    monkeypatch.setenv("ROS_DOMAIN_ID", wanted)
    with own_domain() as first:
        assert first == int(wanted)
        with pytest.raises(InputError, match=f"ROS domain {wanted} is busy"), own_domain():
            pass


@pytest.mark.parametrize("wanted", ["999", "233", "-1", "mine"])
def test_a_domain_that_is_none_is_refused(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", wanted)
    with pytest.raises(InputError, match="ROS_DOMAIN_ID"), own_domain():
        pass


def test_nodes_run_this_code_on_this_machine_only(tmp_path: Path) -> None:
    environment = node_environment(7, tmp_path)
    assert environment["ROS_DOMAIN_ID"] == "7"
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert environment["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)
