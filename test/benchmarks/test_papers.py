# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks that train, at a few epochs on short walks."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from worlds import circle_recording, square_anchors

from locdreamer_ros.benchmarks.learned import roles
from locdreamer_ros.benchmarks.result import Settings
from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_recording


@pytest.fixture
def quick(monkeypatch):
    """Benchmarks that train hardly at all, on short walks."""
    from locdreamer_ros.benchmarks import figures, learned, table2
    from locdreamer_ros.locdreamer.learning import tasks

    small = {"epochs": 1, "imagine_epochs": 2, "minibatches": 1, "batch": 4, "steps": 4}
    monkeypatch.setattr(learned, "EPOCHS", small)
    monkeypatch.setattr(learned, "DURATION_S", 16.0)
    monkeypatch.setattr(table2, "RIVALS", ("robust-ekf",))
    monkeypatch.setattr(tasks, "WALKS", 1)
    monkeypatch.setattr(tasks, "VALIDATION_WALKS", 1)
    monkeypatch.setattr(tasks, "WALK_S", 40.0)
    monkeypatch.setattr(figures, "IMAGINE_EPOCHS", 10)
    monkeypatch.setattr(figures, "EPOCHS_BETWEEN_LOOKS", 10)
    monkeypatch.setattr(figures, "CELL_M", 3.0)


@pytest.mark.usefixtures("quick")
def test_train_says_how_long_both_take(tmp_path, capsys, monkeypatch):
    from locdreamer_ros.benchmarks import table2

    monkeypatch.setattr(table2, "run", lambda settings: None)  # below, and slow
    command = ["benchmark", "train", "--environment", "house", "--seeds", "1"]
    assert main([*command, "--output", str(tmp_path)]) == 0
    claims = json.loads((tmp_path / "train.json").read_text())["claims"]
    assert claims["seconds"] > claims["table2_minutes"] > 0.0
    assert "Stage 2 ended after 2 of 2 epochs" in capsys.readouterr().out


@pytest.mark.usefixtures("quick")
def test_table2_has_the_papers_rows_and_claims(tmp_path, capsys):
    from locdreamer_ros.benchmarks import table2

    command = ["benchmark", "table2", "--environment", "house", "--seeds", "1"]
    assert main([*command, "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "table2.json").read_text())
    names = [row["name"] for row in found["rows"]]
    assert names[:6] == list(table2.PAPER)
    claims = {"of_dssm_real_foresight", "literal_below_ekf_random", "coverage95_dssm"}
    assert claims | {"below_ekf_random", "of_dssm_real"} <= set(found["claims"])
    for row in found["rows"]:
        assert {"mae", "rmse", "p50", "p90", "mae_ci", "rmse_ci", "p50_ci", "p90_ci"} <= set(row)
    assert found["rows"][0]["paper_mae"] == 1.05
    assert main(["benchmark", "table2", "--environment", "lab", "--output", str(tmp_path)]) == 2
    assert "name --bootstrap" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_figures_are_drawn(tmp_path, capsys):
    command = ["benchmark", "figures", "--environment", "house", "--seeds", "2"]
    assert main([*command, "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "figures.json").read_text())
    assert [row["epoch"] for row in found["rows"]] == [5, 10]
    for row in found["rows"]:  # two seeds side by side are two different ones
        assert row["test_mae_ci"] > 0.0
        assert row["validation_loss_ci"] > 0.0
    assert (tmp_path / "figures.png").stat().st_size > 20000
    capsys.readouterr()


def converted_bregar(folder):
    """A walk drawn from a small made-up survey in Bregar's format: ranges that fit the places."""
    from bregar_files import PLACES, sample, tree, write_json

    rng = np.random.default_rng(0)
    path = [(0.5 + 0.1 * i, 1.2 + 0.5 * (i % 12), 1.2) for i in range(56)]

    def fill(point, anchor, channel):
        distance = math.dist(path[point], PLACES[anchor])
        return [
            sample(anchor, channel, path[point], range=distance + abs(rng.normal(0.1, 0.1)))
            for _ in range(3)
        ]

    survey = folder / "data_set" / "environment0" / "data.json"
    write_json(survey, tree(fill, channels=("ch3",), path=path))
    command = ["convert", "bregar", str(folder), "--environment", "0", "--rate", "1"]
    assert main([*command, "--seed", "1", "--output", str(folder / "walk.csv")]) == 0
    return folder / "walk.csv"


def refused(capsys, *arguments):
    assert main(["benchmark", "table2", "--seeds", "1", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.usefixtures("quick")
def test_table2_on_a_converted_survey(tmp_path, capsys):
    walk = converted_bregar(tmp_path)
    command = ["benchmark", "table2", "--recording", str(walk), "--seeds", "1"]
    assert main([*command, "--noise", "pink"]) == 2
    capsys.readouterr()
    assert main([*command, "--noise", "bias", "--output", str(tmp_path)]) == 0
    capsys.readouterr()
    found = json.loads((tmp_path / "table2.json").read_text())
    assert len(found["rows"]) >= 15
    for row in found["rows"]:
        assert row["mae"] is not None, row["name"]  # JSON has null for NaN


def test_table2_refuses_recordings_that_it_cannot_use(tmp_path, capsys):
    recording = circle_recording(duration=60.0, anchors=square_anchors(7))
    walk, other, blind, blinks = (tmp_path / f"{n}.csv" for n in ("walk", "other", "blind", "tdoa"))
    save_recording(walk, recording)
    save_recording(blind, replace(recording, truth=None))
    save_recording(blinks, recording.as_differences())
    moved = replace(recording.anchors, positions=recording.anchors.positions + 0.1)
    save_recording(other, replace(recording, anchors=moved))
    given = ("--recording", walk)
    assert "expected more than 3 to deploy" in refused(capsys, *given, "--deploy", "A1,A2,A4")
    assert "unknown anchor 'A9'" in refused(capsys, *given, "--bootstrap", "A1,A2,A9")
    assert "at least 3 different anchors" in refused(capsys, *given, "--bootstrap", "A1,A2,A2")
    assert "ids and places" in refused(capsys, *given, "--recording", other)
    assert "got 3" in refused(capsys, *(3 * given))
    assert "blind.csv: the benchmark needs ground truth" in refused(capsys, "--recording", blind)
    assert "time differences (TDoA)" in refused(capsys, "--recording", blinks)


def test_three_anchors_far_apart_are_real_and_the_others_imagined():
    around = circle_recording(duration=1.0, anchors=square_anchors(8))
    bootstrap, deploy = roles(around, Settings((0,)))
    assert bootstrap == ("A1", "A3", "A6")  # none of whom are neighbours
    assert deploy == ("A2", "A4", "A5", "A7", "A8")
