# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from locdreamer_ros.evaluation.tables import cell, markdown, plain, save_csv, save_json

ROWS = [{"name": "grid", "mae": 0.31234, "n": 5}, {"name": "robust-ekf", "mae": 12.5, "n": None}]
COLUMNS = {"name": "tracker", "mae": "MAE m", "n": "n"}


def test_plain_is_aligned():
    assert plain(ROWS, COLUMNS).splitlines() == [
        "tracker      MAE m  n",
        "----------  ------  -",
        "grid         0.312  5",
        "robust-ekf  12.500  -",
    ]


def test_markdown():
    assert markdown(ROWS, COLUMNS).splitlines() == [
        "| tracker    |  MAE m |  n |",
        "| ---------- | -----: | -: |",
        "| grid       |  0.312 |  5 |",
        "| robust-ekf | 12.500 |  - |",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (float("nan"), "-"), (123.456, "123.5"), (1.0, "1.000"), (3, "3"), ("x", "x")],
)
def test_cell(value, text):
    assert cell(value) == text


def test_json_has_no_nan(tmp_path):
    path = tmp_path / "x.json"
    save_json(path, {"a": float("nan"), "b": [float("inf"), 1.5], "c": (1, "x")})
    assert json.loads(path.read_text()) == {"a": None, "b": [None, 1.5], "c": [1, "x"]}


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        save_json(tmp_path / "x.json", {"a": object()})
    assert list(tmp_path.iterdir()) == []


def test_csv(tmp_path):
    path = tmp_path / "x.csv"
    save_csv(path, [*ROWS, {"name": "fleet", "rate": 2}])
    assert path.read_text().splitlines() == [
        "name,mae,n,rate",
        "grid,0.31234,5,",
        "robust-ekf,12.5,,",
        "fleet,,,2",
    ]
