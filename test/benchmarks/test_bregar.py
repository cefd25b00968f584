# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Table 2 on files in the exact format of Bregar's data set, values invented."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from bregar_files import PLACES, sample, tree, write_json

pytest.importorskip("torch")

from locdreamer_ros.benchmarks import bregar, learned, table2
from locdreamer_ros.benchmarks.result import Settings
from locdreamer_ros.cli import main

PATH = [(0.5 + 0.1 * i, 1.2 + 0.5 * (i % 12), 1.2) for i in range(60)]


def data_set(folder: Path, *environments: int, without: str = "") -> Path:
    """An unpacked data set with some environments, whose ranges fit the places."""
    rng = np.random.default_rng(0)

    def fill(point: int, anchor: str, channel: str) -> list[dict[str, object]]:
        distance = math.dist(PATH[point], PLACES[anchor])
        return [
            sample(anchor, channel, PATH[point], range=distance + abs(rng.normal(0.1, 0.1)))
            for _ in range(2)
        ]

    anchors = [i for i in PLACES if i != without]
    content = tree(fill, anchors=anchors, channels=("ch1",), path=PATH)
    for environment in environments:
        write_json(folder / "data_set" / f"environment{environment}" / "data.json", content)
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"epochs": 1, "imagine_epochs": 1, "minibatches": 1, "batch": 4, "steps": 4}
    monkeypatch.setattr(learned, "EPOCHS", changes)
    monkeypatch.setattr(table2, "RIVALS", ("robust-ekf",))
    for name, epochs in (("TRAIN_EPOCHS", 20), ("VALIDATE_EPOCHS", 10), ("TEST_EPOCHS", 14)):
        monkeypatch.setattr(bregar, name, epochs)


def test_a_walk_goes_to_and_fro_with_ranges_anew(tmp_path: Path) -> None:
    (survey,) = bregar.surveys(data_set(tmp_path, 0)).values()
    walk = bregar.to_and_fro(survey, 200, seed=1)
    assert len(walk) >= 200
    assert walk.truth is not None
    steps = np.linalg.norm(np.diff(walk.truth, axis=0), axis=1)
    assert steps.max() <= np.linalg.norm(np.diff(survey.path, axis=0), axis=1).max() + 1e-9
    lap = int(np.flatnonzero((walk.truth == survey.path[-1]).all(axis=1))[0]) + 1
    np.testing.assert_array_equal(walk.truth[:lap], walk.truth[lap : 2 * lap][::-1])
    assert not np.array_equal(walk.ranges[:lap], walk.ranges[lap : 2 * lap][::-1])
    again = bregar.to_and_fro(survey, 200, seed=1)
    np.testing.assert_array_equal(again.ranges, walk.ranges)


def test_training_validation_and_test_share_no_place(tmp_path: Path) -> None:
    (survey,) = bregar.surveys(data_set(tmp_path, 0)).values()
    where = bregar.place_in(survey, 3, Settings((3,), 1))
    assert where.test.truth is not None
    tested = {tuple(point) for point in where.test.truth}
    walks = [where.task.train, where.task.validation]
    assert all(walk.anchors.ids == ("A3", "A6", "A8") for walk in walks)
    assert where.site.anchors.ids == where.task.deploy.ids == ("A1", "A2", "A4", "A5", "A7")
    pieces = bregar.split_by_path(survey, seed=3)
    places = [{tuple(p) for p in piece.path} for piece in pieces]
    assert not places[0] & places[2]
    assert not places[1] & places[2]
    assert tested <= places[2]


def test_environment_two_has_no_a6(tmp_path: Path) -> None:
    (survey,) = bregar.surveys(data_set(tmp_path, 2, without="A6")).values()
    assert bregar.roles(survey.anchors, Settings((0,), 1)) == (
        ("A3", "A8", "A7"),
        ("A1", "A2", "A4", "A5"),
    )


@pytest.mark.usefixtures("quick")
def test_one_command_makes_table_2_of_every_environment_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = data_set(tmp_path, 0, 2)
    assert set(bregar.surveys(folder)) == {"environment0", "environment2"}
    shutil.rmtree(folder / "data_set" / "environment0")  # one is made: they are alike
    command = ["benchmark", "bregar", "--data", str(folder), "--seeds", "1"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "bregar.json").read_text())
    names = [row["name"] for row in found["rows"] if row["environment"] == "environment2"]
    assert names[:6] == list(table2.PAPER)
    assert table2.RAW in names
    assert "environment2_of_dssm_real_foresight" in found["claims"]
    for row in found["rows"]:
        assert row["mae"] is not None, row["name"]  # JSON has null for NaN
    capsys.readouterr()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "--data DIR"),
        (["--data", "absent"], "expected the folder of the unpacked data set"),
        (["--data", "empty"], "found none of environment0 to environment3"),
        (["--data", "whole", "--bootstrap", "A1,A2,B9"], "unknown anchor 'B9'"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    data_set(tmp_path / "whole", 0)
    assert main(["benchmark", "bregar", *options, "--seeds", "1", "--output", "out"]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
