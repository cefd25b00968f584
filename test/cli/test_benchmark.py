# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from importlib.util import find_spec

import pytest
from worlds import circle_recording

from locdreamer_ros.benchmarks import BENCHMARKS, gpu, house, latency, methods, rivals
from locdreamer_ros.benchmarks.result import MEASURES
from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.methods import CLASSICAL, NEED_A_MODEL, SCHEDULERS


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Benchmarks on walks of a minute and few methods."""
    monkeypatch.setattr(house, "DURATION_S", 60.0)
    monkeypatch.setattr(latency, "SHORT_S", 3.0)
    monkeypatch.setattr(latency, "LONG_S", 20.0)


def result(folder, name):
    """The JSON of a benchmark, after checking that its other files are there."""
    for suffix in ("csv", "md", "png"):
        assert (folder / f"{name}.{suffix}").stat().st_size > 100
    assert f"<h1>Benchmark {name}</h1>" in (folder / "report.html").read_text()
    return json.loads((folder / f"{name}.json").read_text())


def test_house(tmp_path, capsys):
    assert main(["benchmark", "house", "--seeds", "2", "--output", str(tmp_path)]) == 0
    found = result(tmp_path, "house")
    assert len(found["rows"]) == len(methods.TRACKERS) * len(methods.SCHEDULERS)
    for row in found["rows"]:
        assert set(MEASURES) <= set(row)
        assert {f"{measure}_ci" for measure in MEASURES} <= set(row)
    reference = methods.find(found["rows"], *methods.REFERENCE)
    assert reference["below_ekf_random"] == 0.0
    assert found["claims"]["ekf_random_mae"] == reference["mae"]
    assert found["claims"]["below_ekf_random"] > 0.0
    assert found["seeds"] == [0, 1]
    printed = capsys.readouterr().out
    assert "below_ekf_random: " in printed
    assert "python 3." in printed


def test_processes_change_nothing(tmp_path, capsys):
    # Spawned processes do not see the patched constants, so this one runs without them.
    walk = circle_recording(duration=2.0)
    save_range_table(tmp_path / "walk.csv", walk)
    save_anchors(tmp_path / "walk_anchors.csv", walk.anchors)
    claims = []
    for jobs in ("1", "2"):
        out = tmp_path / jobs
        command = ["benchmark", "lias", "--seeds", "2", "--jobs", jobs, "--output", str(out)]
        assert main([*command, "--recording", str(tmp_path / "walk.csv")]) == 0
        claims.append(result(out, "lias")["claims"])
    assert claims[0] == claims[1]
    capsys.readouterr()


def test_gpu_times_one_tag_and_a_fleet_here_too(tmp_path, capsys, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(gpu, "FLEET", 5)
    monkeypatch.setattr(gpu, "STEPS", 10)
    assert main(["benchmark", "gpu", "--seeds", "1", "--output", str(tmp_path)]) == 0
    found = result(tmp_path, "gpu")
    one, fleet, tracker = found["rows"]
    assert [row["tags"] for row in found["rows"]] == [1, 5, 1]
    assert one["tag_steps_per_s"] == pytest.approx(1e6 / one["step_us_p50"])
    assert found["claims"]["tag_steps_per_s_cpu"] == fleet["tag_steps_per_s"] > 0.0
    assert tracker["name"] == "tracker, cpu"
    capsys.readouterr()


def test_latency(tmp_path, capsys):
    pytest.importorskip("filterpy", reason="the ratio is to filterpy's EKF")
    assert main(["benchmark", "latency", "--seeds", "1", "--output", str(tmp_path)]) == 0
    found = result(tmp_path, "latency")
    claims = found["claims"]
    assert claims["help_s"] > 0.0
    assert claims["ekf_10_minutes_s"] > 0.0
    for claim in ("ratio_filterpy", "growth_1000", "sequential_ratio", "p99_over_p50"):
        assert claims[claim] > 0.0
    p50 = {(row["tracker"], row["scheduler"]): row["step_us_p50"] for row in found["rows"]}
    assert all(value > 0.0 for value in p50.values())
    assert {tracker for tracker, _ in p50} >= set(CLASSICAL) | {"zero-shot", "filterpy"}
    without_model = set(SCHEDULERS) - set(NEED_A_MODEL)
    for tracker in ("zero-shot", "ekf"):
        assert {s for t, s in p50 if t == tracker} >= without_model
    for count in (5, 1000):
        assert ("zero-shot", f"foresight, {count} anchors") in p50
        assert ("ekf", f"gdop, {count} anchors") in p50
    assert (("locdreamer", "random") in p50) == (find_spec("torch") is not None)
    notes = capsys.readouterr().out
    for rival, package in rivals.PACKAGES.items():
        there = find_spec(package) is not None
        assert ((rival, "random") in p50) == there
        assert (f"{package} is not installed" in notes) != there


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["table99"], f"unknown benchmark 'table99'; expected one of {', '.join(BENCHMARKS)}"),
        (["lias"], "benchmark lias: expected --recording FILE"),
        (["lias", "--recording", "nope.csv"], "nope.csv: no such file"),
        (["zero-shot", "--recording", "nope.csv"], "nope.csv: no such file"),
        (["lias", "--recording", "a", "--anchors", "b", "--anchors", "c"], "1 --recording but 2"),
        (["house", "--data", "."], "benchmark house: --data is read by real, bregar alone"),
        (["real", "--environment", "hall"], "--environment is read by table2, train, figures"),
        (["house", "--seeds", "0"], "--seeds: expected a whole number >= 1"),
    ],
)
def test_bad_input_leaves_nothing(tmp_path, capsys, arguments, expected):
    out = tmp_path / "out"
    assert main(["benchmark", *arguments, "--output", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert not out.exists()
