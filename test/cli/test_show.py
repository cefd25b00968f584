# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What really answered is named wherever a person looks: table, stderr, legend and JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from worlds import circle_recording, square_anchors

from locdreamer_ros.cli import main
from locdreamer_ros.cli.show import show_reports
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.evaluation.run import answered_by
from locdreamer_ros.types import Anchors


@pytest.fixture
def far(tmp_path):
    """A walk 60 m beside its anchors, where the robust EKF answers for zero-shot."""
    near = square_anchors()
    anchors = Anchors(near.ids, near.positions + np.array([60.0, 0.0, 0.0]))
    recording = circle_recording(anchors=anchors, duration=10.0, sigma=0.02)
    save_range_table(tmp_path / "walk.csv", recording)
    save_anchors(tmp_path / "walk_anchors.csv", anchors)
    return tmp_path / "walk.csv"


@pytest.fixture
def legends(monkeypatch):
    """The names under which tracks are drawn."""
    found = []

    def drawn(path, anchors, tracks, **_):
        found.extend(tracks)

    monkeypatch.setattr("locdreamer_ros.evaluation.plots.plot_track", drawn)
    return found


def told(out, err, row, legends):
    """Whether everything says that another answered."""
    updates = sum(row["fallback"].values())
    assert updates > 50
    name = f"zero-shot [{updates} updates by another]"
    assert answered_by(row) == name
    assert name in out
    assert name in legends
    (reason,) = row["fallback"]
    assert reason in err


def test_track(far, tmp_path, capsys, legends):
    result = tmp_path / "a.json"
    outputs = ["--json", str(result), "--plot", str(tmp_path / "a.png")]
    assert main(["track", str(far), "--tag-height", "1", *outputs]) == 0
    printed = capsys.readouterr()
    told(printed.out, printed.err, json.loads(result.read_text()), legends)


def test_demo(far, tmp_path, capsys, legends):
    out = tmp_path / "out"
    command = ["demo", "--offline", "--source", "replay", "--recording", str(far)]
    assert main([*command, "--tag-height", "1", "--output", str(out)]) == 0
    printed = capsys.readouterr()
    metrics = json.loads((out / "metrics.json").read_text())
    told(printed.out, printed.err, metrics, legends)
    assert "ekf (paper)" in legends
    assert metrics["baseline"]["fallback"] == {}


def test_a_column_is_a_key_of_the_report_and_a_heading(capsys):
    row = {"tracker": "ekf", "preset": "", "mae": 0.5, "fallback": {}}
    show_reports([row, {**row, "mae": 0.25, "rmse": 0.3}])
    head, _, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["tracker", "MAE", "m", "RMSE", "m"]
    assert first.split() == ["ekf", "0.500", "-"]
    assert second.split() == ["ekf", "0.250", "0.300"]


def test_without_truth_the_table_says_so(capsys):
    show_reports([{"tracker": "ekf", "steps": 3, "fallback": {}}])
    assert "nothing to score" in capsys.readouterr().out


def test_the_fixture_is_far_away(far):
    from locdreamer_ros.datasets import load_recording

    recording = load_recording(far)
    low = recording.anchors.positions[:, 0].min()
    assert np.nanmax(recording.truth[:, 0]) < low - 40.0
