# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer benchmark simulator` on short walks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from locdreamer_ros.benchmarks import simulator
from locdreamer_ros.cli import main


def test_range_errors_and_trackers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "DURATION_S", {"house": 20.0, "lab": 15.0})
    monkeypatch.setattr(simulator, "ERRORS_S", 8.0)
    fast = [method for method in simulator.HOUSE if "ekf" in method[0]]
    monkeypatch.setattr(simulator, "HOUSE", tuple(fast))
    assert main(["benchmark", "simulator", "--seeds", "2", "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "simulator.json").read_text())
    assert len(found["rows"]) == 2 * len(fast) + len(simulator.LAB)
    assert {row["place"] for row in found["rows"]} == {"house", "lab"}
    claims = found["claims"]
    assert 0.3 < claims["house_ekf_random_mae"] < 3.0
    assert claims["lab_bias_ekf_all_mae"] < claims["house_ekf_all_mae"]
    assert sum("Range errors" in note for note in found["notes"]) == len(simulator.PLACES)
