# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="needs numba: pip install 'locdreamer_ros[juno]'")

from locdreamer_ros.benchmarks import juno, juno_plan
from locdreamer_ros.cli import main
from locdreamer_ros.juno.paper import dqn, regressors


def test_the_benchmark_writes_rows_claims_and_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"STEPS": 200, "EPOCHS": 40, "SWEEP_EPOCHS": 20, "TRACKED_STEPS": 200}
    for name, value in small.items():
        monkeypatch.setattr(juno_plan, name, value)
    monkeypatch.setattr(regressors, "PASSES", 1)
    quick = dqn.DeepLearning(updates=20)
    monkeypatch.setattr(dqn, "DeepLearning", lambda: quick)
    monkeypatch.setattr(juno, "steps_per_second", lambda: 1.0)
    assert main(["benchmark", "juno", "--seeds", "2", "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "juno.json").read_text())
    assert {
        "mean_error",
        "success",
        "below_gdop",
        "below_gdop_reference_blocked",
        "below_gdop_circles",
        "first100_guide",
        "first100_warm",
        "tracked_below_best",
        "steps_per_s",
    } <= set(found["claims"])
    settings = {row["setting"] for row in found["rows"]}
    assert {"iid links", "obstacles", "obstacles, tracked"} <= settings
    beacons = {row["setting"]: row["beacons"] for row in found["rows"] if row["method"] == "GDOP"}
    assert beacons[juno_plan.CIRCLES] == 2
    assert beacons[juno_plan.HIDDEN] == 3
    gdop = [row for row in found["rows"] if row["method"] == "GDOP"]
    assert all(row["below_gdop"] == 0.0 for row in gdop)
    for name in ("juno.png", "juno_figure2.png", "juno_figure3.png", "juno_figure4.png"):
        assert (tmp_path / name).stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "seeds 0 to 1" in printed
    assert "numba" in printed
