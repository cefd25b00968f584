# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`benchmark tdoa`, on walks of a few seconds."""

from __future__ import annotations

import json

import pytest
from worlds import circle_recording, square_anchors

from locdreamer_ros.benchmarks import tdoa
from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_recording

PAIR = ("zero-shot", "ekf")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(tdoa, "DURATION_S", 4.0)
    monkeypatch.setattr(tdoa, "TRACKERS", PAIR)
    monkeypatch.setattr(tdoa, "PLACES", ("hall",))


def test_the_same_walks_are_tracked_as_ranges_and_as_differences(tmp_path, capsys):
    walk = tmp_path / "walk.csv"
    # Too long by the same 1 m: nothing to a difference, and much to a range.
    save_recording(walk, circle_recording(anchors=square_anchors(), duration=6.0, bias=1.0))
    command = ["benchmark", "tdoa", "--seeds", "2", "--recording", str(walk)]
    assert main([*command, "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "tdoa.json").read_text())
    mae = {(r["place"], r["measured"], r["tracker"]): r["mae"] for r in found["rows"]}
    assert mae.keys() == {
        (place, measured, tracker)
        for place in ("hall", "walk")
        for measured in ("ranges", "differences")
        for tracker in PAIR
    }
    assert mae["walk", "differences", "ekf"] < 0.2 < mae["walk", "ranges", "ekf"]
    ratio = mae["walk", "differences", PAIR[0]] / mae["walk", "ranges", PAIR[0]]
    assert found["claims"]["times_ranges_walk"] == pytest.approx(ratio, rel=0.05)
    assert 0.0 <= found["claims"]["coverage95_hall"] <= 1.0
    capsys.readouterr()


def test_differences_are_refused_where_ranges_are_wanted(tmp_path, capsys):
    walk = tmp_path / "blinks.csv"
    save_recording(walk, circle_recording(duration=4.0).as_differences())
    command = ["benchmark", "tdoa", "--seeds", "1", "--recording", str(walk)]
    assert main([*command, "--output", str(tmp_path)]) == 2
    assert "expected ranges, it holds time differences" in capsys.readouterr().err
