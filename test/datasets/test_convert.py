# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer convert`, as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bregar_files import tree, write_json

from locdreamer_ros.cli import main
from locdreamer_ros.datasets import load_recording

SITE = "id,x,y,z\n1,0,0,2\n2,5,0,2\n"
TABLE = "t_s,gt_x,gt_y,gt_z,r_1,r_2\n0.0,1.0,2.0,1.0,2.5,\n0.1,,,,2.6,4.5\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "x.csv").write_text(TABLE)
    (tmp_path / "x_anchors.csv").write_text(SITE)
    return tmp_path / "x.csv"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_csv_to_bag_and_back_is_the_same_table(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, back, report = tmp_path / "bag", tmp_path / "out" / "y.csv", tmp_path / "r.json"
    arguments = ["csv", table, "--anchors", tmp_path / "x_anchors.csv", "--output", bag]
    assert main(["convert", *map(str, arguments), "--json", str(report)]) == 0
    assert "2 epochs in 0.1 s, 2 anchors, 3 ranges" in capsys.readouterr().out
    assert json.loads(report.read_text()) == {
        "output": str(bag),
        "epochs": 2,
        "anchors": ["1", "2"],
        "duration_s": 0.1,
        "ranges": 3,
        "ground_truth": True,
        "seed": 0,
    }
    assert main(["convert", "bag", str(bag), "--output", str(back)]) == 0
    assert back.read_text() == TABLE
    assert load_recording(back).anchors.ids == ("1", "2")
    assert names(tmp_path / "out") == ["y.csv", "y_anchors.csv"]


def test_bregar_to_bag_and_to_csv_are_the_same_walk(tmp_path: Path) -> None:
    write_json(tmp_path / "data_set" / "environment1" / "data.json", tree())
    common = ["convert", "bregar", str(tmp_path), "--environment", "1", "--rate", "4"]
    common += ["--seed", "5", "--channel", "ch3", "--output"]
    assert main([*common, str(tmp_path / "bag")]) == 0
    assert main([*common, str(tmp_path / "walk.csv")]) == 0
    bag, csv = load_recording(tmp_path / "bag"), load_recording(tmp_path / "walk.csv")
    for name in ("times", "ranges", "truth"):
        np.testing.assert_array_equal(getattr(bag, name), getattr(csv, name))
    # Points 0.5 m apart, three times, then 1 m, at 1 m/s and 4 Hz: 2 + 2 + 2 + 4 + 1 epochs.
    assert len(bag) == 11
    assert bag.rx_power is not None
    assert bag.nlos is not None
    other = tmp_path / "other.csv"
    assert main([*common[:-3], "--seed", "6", "--channel", "ch3", "--output", str(other)]) == 0
    assert (load_recording(other).ranges != csv.ranges).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["csv", "none.csv", "--output", "bag"], "none.csv: no such file"),
        (["csv", "x.txt", "--output", "bag"], "x.txt: expected a range table"),
        (["csv", "x.csv", "--output", "x.csv"], "x.csv: is the source; choose another name"),
        (["csv", "bad.csv", "--output", "bag"], "bad.csv: row 2, column r_1"),
        (["csv", "x.csv", "--output", "x.mcap"], "a rosbag2 is a folder"),
        (["csv", "x.csv", "--output", "x.csv/bag"], "x.csv is not a folder"),
        (["csv", "x.csv", "--output", "taken"], "taken: exists and is no rosbag2"),
        (["csv", "x.csv", "--output", "bag", "--json", "taken"], "taken: expected a file"),
        (["bag", "taken", "--output", "y.csv"], "taken: not a readable rosbag2"),
        (["bag", "x.csv", "--output", "y"], "x.csv: expected a rosbag2 (folder"),
        (["csv", "x.csv", "--output", "y", "--bag-version", "7"], "argument --bag-version"),
        (["bregar", ".", "--output", "y.csv"], "found no data.json and no raw data; say which"),
        (["bregar", ".", "--environment", "7", "--output", "y.csv"], "argument --environment"),
        (
            ["bregar", "environment0", "--output", "y.csv", "--rate", "0"],
            "--rate: expected a number > 0",
        ),
        (["bregar", "environment0", "--output", "y.csv", "--seed", "-1"], "--seed: expected"),
        (["bregar", "environment0", "--output", "y.csv", "--channel", "9"], "unknown channel '9'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path,
    table: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text(TABLE.replace("2.5", "far"))
    (tmp_path / "bad_anchors.csv").write_text(SITE)
    (tmp_path / "x.txt").write_text(TABLE)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").touch()
    write_json(tmp_path / "environment0" / "data.json", tree())
    before = names(tmp_path)
    assert main(["convert", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert names(tmp_path) == before


@pytest.mark.parametrize("command", [[], ["bregar"], ["csv"], ["bag"]])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["convert", *command, "--help"])
    assert stop.value.code == 0
    assert "usage" in capsys.readouterr().out
