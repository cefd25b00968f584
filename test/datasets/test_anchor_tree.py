# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchors as YAML and JSON, and rows of units below a header: as other people write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.range_table import load_anchors
from locdreamer_ros.errors import InputError

PLACES = {"6E01": [0.0, 0.0, 2.1], "0x6e02": [5.0, 0.0, 2.2], "3": [5.0, 4.0, 2.3]}
ENTRIES = [{"id": name, "x": x, "y": y, "z": z} for name, (x, y, z) in PLACES.items()]
PARAMETERS = """/**:
  ros__parameters:
    anchors:  # of the hall
      6E01: [0, 0, 2.1]
      0x6e02: [5, 0.0, 2.2]
      3: {x: 5, y: 4, z: 2.3}
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("site.yaml", PARAMETERS),
        ("site.yml", "- {id: 6E01, x: 0, y: 0, z: 2.1}\n- {id: 0x6e02, x: 5, y: 0, z: 2.2}\n"
         "- {name: no, id: 3, x: 5, y: 4, z: 2.3}\n"),
        ("site.json", json.dumps(PLACES)),
        ("site.JSON", json.dumps({"anchors": ENTRIES})),
        ("site.json", json.dumps([{"anchor_id": e["id"], "x_mm": 1000 * e["x"],
         "y_mm": 1000 * e["y"], "z_mm": 1000 * e["z"]} for e in ENTRIES])),
    ],
)  # fmt: skip
def test_anchors_as_trees(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    anchors = load_anchors(path)
    assert anchors.ids == (*PLACES,)
    np.testing.assert_allclose(anchors.positions, [*PLACES.values()])


def test_without_heights(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("a: [0, 0]\nb: [4, 0]\nc: [4, 3, 2.5]\n")
    assert load_anchors(path, 1.0).positions[:, 2].tolist() == [1.0, 1.0, 2.5]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, r"site.json: expected anchors as id: \[x, y, z\] or a list"),
        ([], "expected anchors as id"),
        ("anchors.csv", "expected anchors as id"),
        ([[0, 0, 1], [4, 0, 1]], "anchor 1: expected anchors as id"),
        ({"a": [0, 0, 1], "b": [4]}, "anchor 'b': expected anchors as id"),
        ({"a": [0, 0, 1], "b": {"x": [1], "y": 2}}, "anchor 'b': expected anchors as id"),
        ({"a": [0, 0, 1], "b": [4, "east", 1]}, "anchor 'b', column y: expected a number"),
        ([{"id": "a", "x": 0, "y": 0}, {"id": "", "x": 4, "y": 0}], "anchor 2, column id: exp"),
        ([{"id": "a", "y": 0}, {"id": "b", "y": 0}], "expected the header id,x,y,z"),
        ([{"id": "a", "x": 0, "y": 0}] * 2, "duplicate|twice"),
        ([{"id": "a", f"x{i}": 0} for i in range(101)], "expected anchors as id"),
    ],
)  # fmt: skip
def test_what_is_no_tree_of_anchors_is_one_line(tmp_path: Path, tree: Any, message: str) -> None:
    path = tmp_path / "site.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(InputError, match=message):
        load_anchors(path)


ROWS = [(0, 2.5, 3.0, 2.75), (1000, 2.25, 3.5, 2.5), (2000, 2.0, 4.0, 2.25)]


def read(tmp_path: Path, header: str, units: str, rows: list[str]) -> Any:
    """The recording of a table with a row of units."""
    site = tmp_path / "w_anchors.csv"
    site.write_text("id,x,y,z\n,m,m,m\na,0,0,2\nb,5,0,2\nc,5,4,2\n")
    path = tmp_path / "w.csv"
    path.write_text("\n".join([header, units, *rows]) + "\n")
    return load_recording(path)


@pytest.mark.parametrize(
    ("header", "units", "each"),
    [
        ("t,r_a,r_b,r_c", "ms,mm,mm,mm", lambda t, *r: [t, *(1000 * x for x in r)]),
        ("t,r_a,r_b,r_c", "[s],[cm],[cm],[cm]", lambda t, *r: [t / 1000, *(100 * x for x in r)]),
        ("t_s,r_a,r_b,r_c", "s,m,m,m", lambda t, *r: [t / 1000, *r]),
        ("t_ms;r_a_mm;r_b_mm;r_c_mm", "ms;mm;mm;mm", lambda t, *r: [t, *(1000 * x for x in r)]),
        ("time,r_a,r_b,r_c", "us,in,in,in", lambda t, *r: [1e3 * t, *(x / 0.0254 for x in r)]),
    ],
)  # fmt: skip
def test_a_row_of_units_counts(tmp_path: Path, header: str, units: str, each: Any) -> None:
    mark = ";" if ";" in header else ","
    rows = [mark.join(f"{x:.9g}" for x in each(*row)) for row in ROWS]
    recording = read(tmp_path, header, units, rows)
    np.testing.assert_allclose(recording.times, [0.0, 1.0, 2.0])
    np.testing.assert_allclose(recording.ranges, [row[1:] for row in ROWS], rtol=1e-6)
    np.testing.assert_allclose(recording.anchors.positions[:, 2], 2.0)


def test_a_row_of_units_of_a_long_table(tmp_path: Path) -> None:
    rows = [f"{t / 1000},{a},{100 * x}" for t, *r in ROWS for a, x in zip("abc", r, strict=True)]
    recording = read(tmp_path, "t,anchor,range", "s,-,cm", rows)
    np.testing.assert_allclose(recording.ranges, [row[1:] for row in ROWS])


@pytest.mark.parametrize(
    ("header", "units", "message"),
    [
        ("t,r_a_mm,r_b_mm,r_c_mm", "s,m,m,m", "row 2, column r_a_mm: expected the unit of its"),
        ("t,r_a,r_b,r_c", "s,furlong,m,m", "row 2, column t: expected a number, got 's'"),
        ("t,r_a,r_b,r_c", "s,mm,cm,m", "unit"),
    ],
)  # fmt: skip
def test_units_that_are_none_or_others_are_refused(
    tmp_path: Path, header: str, units: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, header, units, ["0,2.5,3,2.75", "1,2.25,3.5,2.5"])
