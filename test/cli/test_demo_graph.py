# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The main job through the ROS 2 graph: against the same job offline, and with a module."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
HAS_ROS = find_spec("rclpy") is not None and find_spec("locdreamer_ros.msg") is not None


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "locdreamer_ros.cli", "demo", "--output", str(folder), *arguments],
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


@pytest.mark.promise(
    "The ROS graph gives the offline estimates, and every released range is accounted for."
)
@pytest.mark.slow
@pytest.mark.skipif(not HAS_ROS, reason="needs rclpy and the compiled messages")
def test_graph_and_offline_agree(tmp_path):
    metrics = []
    for mode in ([], ["--offline"]):
        folder = tmp_path / ("offline" if mode else "graph")
        method = ["--tracker", "particle", "--scheduler", "random", "--seed", "4"]
        done = demo(folder, "--duration", "8", *method, *mode)
        assert done.returncode == 0, done.stderr
        assert "MAE m" in done.stdout
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
@pytest.mark.parametrize("device", ["decar", "dwm1001"])
def test_a_module_is_tracked_through_the_driver(tmp_path, device):
    """One that is asked and one that chooses: both through port, driver and graph, and scored."""
    from locdreamer_ros.datasets import load_recording

    out = tmp_path / "out"
    done = demo(out, "--source", "serial", "--device", device, "--duration", "15", "--seed", "1")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["mode"], metrics["source"]) == ("graph", "serial")
    assert metrics["mae"] < 1.0
    assert metrics["baseline"]["mae"] < 3.0
    accounts = metrics["accounts"]
    assert accounts["epochs"] == (150 if device == "decar" else 120)
    assert accounts["answers"] >= 0.9 * accounts["epochs"]
    assert accounts["received"] > accounts["answers"]
    assert accounts["not_as_asked"] == 0
    assert metrics["steps"] >= 0.5 * accounts["epochs"]  # less those while the nodes came up
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
