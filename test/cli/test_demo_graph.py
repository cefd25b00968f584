# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The main job through the ROS 2 graph, against the same job offline."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HAS_ROS = find_spec("rclpy") is not None and find_spec("locdreamer_ros.msg") is not None


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "locdreamer_ros.cli", "demo", "--output", str(folder), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
    )


@pytest.mark.skipif(HAS_ROS, reason="ROS 2 is installed")
def test_without_ros_it_says_what_to_do(tmp_path):
    done = demo(tmp_path / "out")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "demo --offline" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(not HAS_ROS, reason="needs rclpy and the compiled messages")
def test_graph_and_offline_agree(tmp_path):
    metrics = []
    for mode in ([], ["--offline"]):
        folder = tmp_path / ("offline" if mode else "graph")
        method = ["--tracker", "particle", "--scheduler", "random", "--seed", "4"]
        done = demo(folder, "--duration", "15", *method, *mode)
        assert done.returncode == 0, done.stderr
        assert "MAE m" in done.stdout
        for name in ("track.png", "bag/metadata.yaml"):
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
