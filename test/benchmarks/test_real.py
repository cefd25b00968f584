# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of real recordings: what it finds, how it counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from worlds import circle_recording

from locdreamer_ros.benchmarks import real
from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table


def put(folder: Path, name: str, *, truth: bool = True) -> None:
    folder.mkdir(exist_ok=True)
    walk = circle_recording(duration=4.0)
    save_range_table(folder / f"{name}.csv", walk)
    if not truth:
        lines = (folder / f"{name}.csv").read_text().splitlines()
        lines = [",".join((row.split(",")[0], *row.split(",")[4:])) for row in lines]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    save_anchors(folder / f"{name}_anchors.csv", walk.anchors)


def test_every_recording_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(real, "CLASSICAL", ("ekf", "bias-ekf"))
    put(tmp_path / "data", "one")
    put(tmp_path / "data" / "more", "two")
    put(tmp_path / "data", "blind", truth=False)
    (tmp_path / "data" / "notes.csv").write_text("x\n")
    command = ["benchmark", "real", "--data", str(tmp_path / "data"), "--seeds", "2"]
    assert main([*command, "--output", str(tmp_path)]) == 0
    for suffix in ("csv", "md", "png"):
        assert (tmp_path / f"real.{suffix}").stat().st_size > 100
    found = json.loads((tmp_path / "real.json").read_text())
    rows = found["rows"]
    assert {row["recording"] for row in rows} == {"mean", "one", "two"}
    assert len(rows) == 3 * 3 * (len(real.SCHEDULERS_OF_THREE) + 1)
    claims = found["claims"]
    assert {"pairs_within_105", "pairs_better", "mean_ratio", "coverage_in_band"} <= set(claims)
    assert claims["pairs"] == 4
    assert claims["lost"] == 0
    ours = [r for r in rows if r["tracker"] == "zero-shot" and r["recording"] != "mean"]
    ratios = [r["ratio"] for r in ours if r["scheduler"] in (real.DEFAULT, real.ALL)]
    assert claims["mean_ratio"] == pytest.approx(np.mean(ratios))
    assert "blind" in " ".join(found["notes"])
    capsys.readouterr()


def row(tracker: str, scheduler: str, mae: float | None, **more: float | None) -> dict[str, object]:
    values = {"coverage95": 0.95, "lost": 0.0, **more}
    return {"recording": "r", "tracker": tracker, "scheduler": scheduler, "mae": mae, **values}


def test_ours_is_compared_with_the_best_of_the_classical() -> None:
    rows = [
        row("zero-shot", real.DEFAULT, 0.12),
        row("zero-shot", "all", 0.08, coverage95=0.99),
        row("ekf", "gdop", 0.2),
        row("grid", "random", 0.1),
        row("grid", "foresight", 0.01),
        row("ekf", "all", 0.1),
    ]
    assert real.best_classical(rows, "r", real.DEFAULT) == 0.1
    assert real.best_classical(rows, "r", "all") == 0.1
    for each in rows:
        best = real.best_classical(rows, "r", str(each["scheduler"]))
        each["ratio"] = float(str(each["mae"])) / float(str(best))
    claims = real.claims_of(rows)
    assert claims["pairs"] == 2
    assert claims["pairs_within_105"] == claims["pairs_better"] == claims["coverage_in_band"] == 0.5
    assert claims["mean_ratio"] == pytest.approx(1.0)
    failed = {**row("zero-shot", "all", None, coverage95=None, lost=None), "ratio": None}
    claims = real.claims_of([rows[0], failed])
    assert claims["lost"] == 1
    assert claims["pairs_within_105"] == 0.0


def test_what_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "real"]) == 2
    assert "expected --data DIR" in capsys.readouterr().err
    assert main(["benchmark", "real", "--data", str(tmp_path)]) == 2
    assert "no range table X.csv with its X_anchors.csv" in capsys.readouterr().err
