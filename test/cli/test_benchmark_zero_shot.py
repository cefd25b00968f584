# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer benchmark zero-shot` on walks too short to mean anything: rows, claims, picture."""

from __future__ import annotations

import json
import math

import pytest
from worlds import circle_recording

from locdreamer_ros.benchmarks import paces, zero_shot, zero_shot_rows
from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table

PAIRED = (
    "below_ekf_random",
    "below_classical_gdop",
    "below_classical_all",
    "scheduler_below_gdop_32",
    "scheduler_below_gdop_long",
)
OTHERS = (
    "coverage95_min",
    "coverage95_max",
    "step_cost_ratio",
    "lost_zero_shot",
    "lost_best_classical",
    "lias_3",
    "lias_all",
    "lias_3_aligned",
    "lias_all_aligned",
    "below_best_classical_10hz",
    "foresight_below_gdop",
    "foresight_below_gdop_min",
    "foresight_vs_all_10hz",
)


@pytest.fixture
def quick(monkeypatch):
    short = dict.fromkeys(zero_shot_rows.PLACES, (12.0, 1.0))
    for module in (zero_shot, zero_shot_rows):
        monkeypatch.setattr(module, "PLACES", short)
    monkeypatch.setattr(zero_shot_rows, "SHORT_STEPS", 12)
    monkeypatch.setattr(zero_shot, "SHORT_STEPS", 12)
    monkeypatch.setattr(zero_shot_rows, "LONG_STEPS", 12)
    monkeypatch.setattr(zero_shot_rows, "SHORT_WALKS", 1)
    monkeypatch.setattr(zero_shot_rows, "COST_S", 2.0)
    monkeypatch.setattr(paces, "WALK_S", {"house": 2.0, paces.DREAMT: 2.0})
    monkeypatch.setattr(paces, "RATES", (10.0,))
    monkeypatch.setattr(zero_shot_rows, "ADAPTIVE", (("price 0.02 m", {"price": 0.02}),))


@pytest.mark.usefixtures("quick")
def test_rows_claims_and_picture(tmp_path, capsys):
    recording = circle_recording(duration=4.0)
    save_range_table(tmp_path / "walk.csv", recording)
    save_anchors(tmp_path / "walk_anchors.csv", recording.anchors)
    out = tmp_path / "out"
    command = ["benchmark", "zero-shot", "--seeds", "2", "--output", str(out)]
    assert main([*command, "--recording", str(tmp_path / "walk.csv")]) == 0
    found = json.loads((out / "zero-shot.json").read_text())
    claims = found["claims"]
    assert set(claims) == {*PAIRED, *(f"{name}_ci_low" for name in PAIRED), *OTHERS}
    assert all(value is not None for value in claims.values())
    assert 0.0 <= claims["coverage95_min"] <= claims["coverage95_max"] <= 1.0
    rows = found["rows"]
    measured = {(row["place"], row["tracker"], row["scheduler"]) for row in rows}
    for place in (*zero_shot_rows.PLACES, "walk", "walk, clocks aligned"):
        for tracker in ("zero-shot", "particle", "grid", "bias-ekf", "ekf (paper)"):
            for scheduler in zero_shot_rows.SCHEDULERS:
                assert (place, tracker, scheduler) in measured
    assert ("house", zero_shot_rows.HINTED, "gdop") in measured
    assert ("walk", zero_shot_rows.HINTED, "gdop") not in measured, "a table holds no powers"
    assert {"gdop, K = 1", "gdop, K = 5", "sequential, price 0.02 m"} <= {
        r["scheduler"] for r in rows
    }
    (house,) = (
        r
        for r in rows
        if (r["place"], r["tracker"], r["scheduler"]) == ("house", "zero-shot", "gdop")
    )
    for place in paces.WALK_S:
        for tracker, scheduler in paces.METHODS:
            assert (f"{place}, 10 Hz", tracker, scheduler) in measured
    for key in ("mae", "rmse", "p50", "p90", "max", "nees", "coverage95", "lost", "step_us_p50"):
        assert house[key] is not None
        assert house[f"{key}_ci"] is not None
    assert (out / "zero-shot.png").stat().st_size > 10_000
    assert "below_ekf_random" in capsys.readouterr().out


def test_without_recordings_their_claims_are_empty():
    assert math.isnan(zero_shot.over_recordings([], [], "gdop"))
