# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The main job through the ROS 2 graph: against the same job offline, and with a module."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_recording
from locdreamer_ros.simulation import simulate
from locdreamer_ros.types import Anchors

ROOT = Path(__file__).parents[2]
HAS_ROS = find_spec("rclpy") is not None and find_spec("locdreamer_ros.msg") is not None
ALONE = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
# A network namespace of its own has a loopback that is down.
UP = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    request = struct.pack("16sh14x", b"lo", 0)
    flags = struct.unpack("16sh14x", fcntl.ioctl(s, 0x8913, request))[1]
    fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))
"""
RUN = "import sys\nfrom locdreamer_ros.cli import main\nsys.exit(main(sys.argv[1:]))\n"


def may_be_alone() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*ALONE, "true"], capture_output=True).returncode == 0


IS_ALONE = may_be_alone()


def demo(folder: Path, *arguments: str, alone: bool = False) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own; `alone`: in a network of its own, too."""
    python = [*ALONE, sys.executable, "-c", UP + RUN] if alone else [sys.executable, "-c", RUN]
    return subprocess.run(
        [*python, "demo", "--output", str(folder), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=500,
    )


def test_without_ros_it_says_what_to_do(tmp_path):
    without = (
        "import sys\n"
        "sys.modules['rclpy'] = None\n"  # so it cannot be found
        "from locdreamer_ros.cli import main\n"
        "sys.exit(main(['demo', '--output', sys.argv[1]]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", without, str(tmp_path / "out")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert "demo --offline" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(not HAS_ROS, reason="needs rclpy and the compiled messages")
@pytest.mark.promise(
    "The ROS graph gives the offline estimates, and every released range is accounted for."
)
def test_graph_and_offline_agree(tmp_path, capfd):
    """The graph where there is no network but loopback, where such a place can be made."""
    command = ["--duration", "3", "--tracker", "particle", "--scheduler", "random", "--seed", "4"]
    done = demo(tmp_path / "graph", *command, alone=IS_ALONE)
    assert done.returncode == 0, done.stderr
    assert main(["demo", "--output", str(tmp_path / "offline"), *command, "--offline"]) == 0
    metrics = []
    for mode, shown in (("graph", done.stdout), ("offline", capfd.readouterr().out)):
        folder = tmp_path / mode
        assert "MAE m" in shown
        for name in ("track.png", "report.html", "bag/metadata.yaml"):
            assert (folder / name).stat().st_size > 0
        metrics.append(json.loads((folder / "metrics.json").read_text()))
    graph, offline = metrics
    assert (graph["mode"], offline["mode"]) == ("graph", "offline")
    accounts = graph["accounts"]
    assert accounts["released"] == accounts["received"] > 0
    assert accounts["lost"] == accounts["duplicated"] == 0
    for found, expected in ((graph, offline), (graph["baseline"], offline["baseline"])):
        for key in ("steps", "mae", "rmse", "p90", "max", "nees", "ranges_per_fix"):
            # ROS stamps are whole nanoseconds, so the last digits may differ.
            assert found[key] == pytest.approx(expected[key], rel=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_ROS, reason="needs rclpy and the compiled messages")
def test_what_does_not_fit_is_said_both_ways(tmp_path, capfd):
    walk = simulate("lab", duration=10.0, seed=3)
    turned = Anchors(walk.anchors.ids, np.roll(walk.anchors.positions, 1, axis=0))
    ranges = walk.ranges.copy()
    ranges[40:80, 0] = ranges[40, 0]
    table = tmp_path / "walk.csv"
    save_recording(table, replace(walk, anchors=turned, ranges=ranges))
    command = ["--source", "replay", "--recording", str(table)]
    done = demo(tmp_path / "graph", *command)
    assert done.returncode == 0, done.stderr
    assert main(["demo", "--output", str(tmp_path / "offline"), *command, "--offline"]) == 0
    offline = capfd.readouterr().err
    notes = [line for line in offline.splitlines() if line.startswith("note: ")]
    assert len(notes) >= 2
    said = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert said == notes, done.stdout
    for line in notes:
        assert line.removeprefix("note: ")[:40] in (tmp_path / "graph/report.html").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not HAS_ROS, reason="needs rclpy and the compiled messages")
@pytest.mark.parametrize("device", ["decar", "dwm1001"])
def test_a_module_is_tracked_through_the_driver(tmp_path, device):
    """One that is asked and one that chooses: both through port, driver and graph, and scored."""
    from locdreamer_ros.datasets import load_recording

    out = tmp_path / "out"
    done = demo(out, "--source", "serial", "--device", device, "--duration", "8", "--seed", "1")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["mode"], metrics["source"]) == ("graph", "serial")
    assert metrics["mae"] < 1.0
    assert metrics["baseline"]["mae"] < 3.0
    accounts = metrics["accounts"]
    assert accounts["epochs"] == (80 if device == "decar" else 64)
    assert accounts["answers"] >= 0.9 * accounts["epochs"]
    assert accounts["received"] > accounts["answers"]
    assert accounts["not_as_asked"] == 0
    assert metrics["steps"] >= 0.5 * accounts["epochs"]  # those after the first fix
    bag = load_recording(out / "bag")
    # The truth is interpolated: a range before the first or after the last of it has none.
    assert np.isfinite(bag.truth[:, :2]).all(axis=1).sum() >= 0.95 * accounts["epochs"]
    assert np.isfinite(bag.ranges).sum() >= accounts["received"]
    assert (out / "track.png").stat().st_size > 0
    assert not (out / "uwb").is_symlink()


@pytest.mark.skipif(not HAS_ROS, reason="needs rclpy and the compiled messages")
def test_no_tracker_listens_to_the_truth():
    """Only whoever scores, records or shows may."""
    nodes = ROOT / "locdreamer_ros" / "nodes"
    told = {path.stem for path in nodes.glob("*.py") if "ground_truth/pose" in path.read_text()}
    assert told == {
        *("source_node", "emulator_node"),  # they say it
        *("evaluator_node", "recorder_node", "view_node"),
    }
