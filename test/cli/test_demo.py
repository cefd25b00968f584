# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The main job offline; through the graph it is tested with the nodes."""

from __future__ import annotations

import json
import os
import shlex
import signal
from dataclasses import replace
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from worlds import circle_recording

from locdreamer_ros.cli import demo, main, parser
from locdreamer_ros.cli.demo import radio_costs
from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table, save_recording
from locdreamer_ros.errors import InputError
from locdreamer_ros.simulation import simulate
from locdreamer_ros.types import Anchors


def offline(folder: Path, *arguments: object) -> int:
    return main(["demo", "--offline", "--output", str(folder), *map(str, arguments)])


def test_simulator(tmp_path, capsys):
    out, copy = tmp_path / "out", tmp_path / "copy.json"
    assert offline(out, "--duration", 20, "--seed", 2, "--json", copy) == 0
    printed = capsys.readouterr().out
    assert "zero-shot" in printed
    assert "ekf (paper)" in printed
    # What to try next are commands that there are.
    steps = [line for line in printed.partition("next:\n")[2].splitlines() if "locdreamer " in line]
    assert len(steps) == 3
    for step in steps:
        assert parser().parse_args(shlex.split(step, comments=True)[1:]).run is not None
    left = sorted(path.name for path in out.iterdir())
    assert left == ["bag", "metrics.json", "report.html", "track.png"]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics == json.loads(copy.read_text())
    assert (metrics["tracker"], metrics["budget"]) == ("zero-shot", 3)
    assert metrics["scheduler"] == "foresight"
    assert (metrics["mode"], metrics["source"], metrics["seed"]) == ("offline", "simulator", 2)
    assert metrics["baseline"]["tracker"] == "ekf"
    assert metrics["steps"] == metrics["baseline"]["steps"] == 190
    bag = load_recording(out / "bag")
    walk = simulate("house", duration=20.0, seed=2)
    np.testing.assert_allclose(bag.ranges, walk.ranges)


def test_an_interrupt_leaves_no_older_result_beside_a_new_bag(tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    for name in ("metrics.json", "report.html", "track.png"):
        (out / name).write_text("of before")

    def interrupted(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        sleep(10.0)

    monkeypatch.setattr("locdreamer_ros.evaluation.plots.plot_track", interrupted)
    assert offline(out, "--duration", 5) == 143
    assert sorted(path.name for path in out.iterdir()) == ["bag", "metrics.json"]
    assert json.loads((out / "metrics.json").read_text())["mode"] == "offline"
    capsys.readouterr()


def test_replay_agrees_with_track(tmp_path, capsys):
    walk = circle_recording(duration=10.0)
    path, result = tmp_path / "walk.csv", tmp_path / "track.json"
    save_range_table(path, walk)
    save_anchors(tmp_path / "walk_anchors.csv", walk.anchors)
    method = ["--tracker", "particle", "--scheduler", "random", "--budget", "4", "--seed", "3"]
    assert offline(tmp_path / "out", "--source", "replay", "--recording", path, *method) == 0
    assert main(["track", str(path), *method, "--json", str(result)]) == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    for key, value in json.loads(result.read_text()).items():
        if not key.startswith("step_us"):
            assert metrics[key] == value
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--source", "serial"], "--source serial runs the driver in the ROS 2 graph"),
        (["--source", "replay"], "--source replay and --recording FILE need each other"),
        (["--offline", "--device", "decar"], "--device: only --source serial emulates a module"),
        (["--recording", "x.csv"], "--source replay and --recording FILE need each other"),
        (
            ["--source", "replay", "--recording", "x.csv", "--duration", "3"],
            "--duration, --rate, --environment: --source replay has those of its recording",
        ),
        (
            ["--source", "replay", "--recording", "x.csv", "--environment", "hall"],
            "--environment: --source replay has those of its recording",
        ),
        (["--anchors", "x.csv"], "--anchors: only --source replay reads them"),
        (["--environment", "castle"], "unknown environment 'castle'"),
        (["--tracker", "foo"], "--tracker: expected one of"),
        (["--scheduler", "foo"], "--scheduler: expected one of"),
        (["--source", "replay", "--recording", "nope.csv"], "nope.csv: no such file"),
        (["--duration", "0.5"], "no epoch to score"),
    ],
)
def test_bad_input_leaves_nothing(tmp_path, capsys, arguments, expected):
    assert offline(tmp_path / "out", *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("locdreamer: ")
    assert expected in line
    assert not (tmp_path / "out").exists()


def test_truth_of_another_frame_is_said(tmp_path, capsys):
    walk = simulate("lab", duration=20.0, seed=3)
    turned = replace(walk, truth=walk.truth[:, [1, 0, 2]])
    save_recording(tmp_path / "x.csv", turned)
    source = ["--source", "replay", "--recording", tmp_path / "x.csv", "--dimensions", "2"]
    assert offline(tmp_path / "out", *source) == 0
    said = "the truth does not fit the ranges"
    assert f"note: {said}" in capsys.readouterr().err
    assert said in (tmp_path / "out" / "report.html").read_text().split("class='tiles'")[0]


@pytest.mark.parametrize("offline", [["--offline"], []])
def test_too_few_anchors_are_said_of_their_file_before_work(tmp_path, capsys, offline):
    walk = circle_recording(duration=2.0)
    save_recording(tmp_path / "pair.csv", walk.only(walk.anchors.ids[:2]))
    arguments = ["--source", "replay", "--recording", str(tmp_path / "pair.csv"), *offline]
    assert main(["demo", *arguments, "--output", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("pair.csv: 2-D tracking needs at least 3 anchors, the site has 2")
    assert not (tmp_path / "out").exists()


def test_the_report_of_a_module_says_what_a_fix_cost():
    metrics = {"accounts": {"answers": 10, "received": 25}, "ranges_per_fix": 3.0}
    costs = radio_costs("decar", metrics)
    # Frames of 0.173 ms: three for each of 25 ranges, one for each of 5 that failed.
    assert costs["ms on air of a fix (model)"] == pytest.approx((25 * 3 + 5) * 0.173 / 10, rel=1e-3)
    assert costs["energy of a fix, mJ (model)"] > 0.0
    assert radio_costs("dwm1001", metrics) == {"device": "dwm1001"}


def test_an_unknown_device_leaves_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    serial = ["demo", "--output", str(out), "--source", "serial", "--rate", "5"]
    assert main([*serial, "--device", "gps"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "device: expected one of decar, pozyx" in line
    assert not out.exists()


def test_the_graph_is_told_a_height_that_only_the_ranges_tell(tmp_path, monkeypatch, capsys):
    """Anchors whose z is over the sea: the nodes would look for the tag at 1 m."""
    walk = circle_recording(duration=5.0)
    places = walk.anchors.positions + np.array([0.0, 0.0, 14.0])
    save_range_table(tmp_path / "x.csv", walk)
    save_anchors(tmp_path / "x_anchors.csv", Anchors(walk.anchors.ids, places))

    def graph(options, method, _recording):
        raise InputError(f"{method.dimensions}-D, the tag at {method.tag_height:.4g} m")

    monkeypatch.setattr(demo, "run_graph_job", graph)
    arguments = ["demo", "--source", "replay", "--recording", str(tmp_path / "x.csv")]
    assert main([*arguments, "--dimensions", "2", "--output", str(tmp_path / "o")]) == 2
    assert f"2-D, the tag at {places[:, 2].mean():.4g} m" in capsys.readouterr().err
