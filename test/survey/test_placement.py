# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchors are hung where they help, and walls count."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import load_anchors
from locdreamer_ros.survey.files import load_walls
from locdreamer_ros.survey.picture import floor_of
from locdreamer_ros.survey.placement import (
    CLEAR_M,
    HOOKS,
    PRIOR_M,
    WALL_M,
    Outside,
    _hooks,
    crossings,
    expected_errors,
    place,
)
from locdreamer_ros.types import FloatArray


def box(width: float, height: float) -> FloatArray:
    corners = np.array([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
    return np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)


def test_walls_between_are_counted() -> None:
    walls = np.array([[[1.0, -1.0], [1.0, 1.0]], [[2.0, -1.0], [2.0, 1.0]]])
    one = np.array([[0.0, 0.0], [0.0, 5.0]])
    other = np.array([[0.5, 0.0], [1.5, 0.0], [3.0, 0.0]])
    assert crossings(one, other, walls).tolist() == [[0, 1, 2], [0, 0, 0]]


def test_the_error_is_that_of_two_ranges_at_a_right_angle() -> None:
    cell, nothing = np.zeros((1, 2)), np.zeros((0, 2, 2))
    places = np.array([[5.0, 0.0], [0.0, 5.0], [-5.0, 0.1]])
    two = expected_errors(cell, places, nothing, drop=0.0, budget=2)
    known = 1.0 / (CLEAR_M**-2 + PRIOR_M**-2)
    assert two == pytest.approx(np.sqrt(2.0 * known), rel=1e-3)
    wall = np.array([[[2.0, -1.0], [2.0, 1.0]], [[-2.0, -1.0], [-2.0, 1.0]]])
    behind = expected_errors(cell, places, wall, drop=0.0, budget=2)
    weak = 1.0 / (1.0 / (CLEAR_M**2 + WALL_M**2) + PRIOR_M**-2)
    assert behind == pytest.approx(np.sqrt(known + weak), rel=1e-2)


def test_it_beats_anchors_in_the_corners_and_keeps_to_the_walls() -> None:
    inner = np.array([[[4.0, 0.0], [4.0, 2.6]], [[4.0, 3.4], [4.0, 6.0]]])
    walls = np.concatenate([box(8.0, 6.0), inner])
    found = place(walls, 4, drop=1.4, budget=3)
    corners = np.array([[0.05, 0.05], [7.95, 0.05], [7.95, 5.95], [0.05, 5.95]])
    theirs = expected_errors(found.cells, corners, walls, drop=1.4, budget=3)
    ours = expected_errors(found.cells, found.places, walls, drop=1.4, budget=3)
    assert ours == pytest.approx(found.error)
    assert ours.mean() < theirs.mean()
    edge = np.minimum(found.places, [8.0, 6.0] - found.places).min(axis=1)
    assert (np.minimum(edge, np.abs(found.places[:, 0] - 4.0)) < 0.06).all()


def outline(*corners: tuple[float, float]) -> FloatArray:
    ring = np.array(corners)
    return np.stack([ring, np.roll(ring, -1, axis=0)], axis=1)


@pytest.mark.parametrize("door", [False, True])
def test_what_lies_beside_an_l_is_no_floor(door: bool) -> None:
    walls = outline((0, 0), (12, 0), (12, 5), (5, 5), (5, 12), (0, 12))
    if door:  # of 2 m, to the yard
        walls = np.concatenate([walls[:2], [[[12, 5], [9, 5]], [[7, 5], [5, 5]]], walls[3:]])
    found = place(walls, 8, drop=1.4, budget=3)
    for points in (found.cells, found.places):
        assert not (points > 5.0).all(axis=1).any()
    assert len(found.cells) > 200
    assert found.error.max() < 0.25


def test_what_lies_between_two_buildings_is_no_floor() -> None:
    """Nor is it drawn as one: the picture has a row and a column for it, without a colour."""
    walls = np.concatenate([box(10.0, 10.0), box(10.0, 10.0) + np.array([30.0, 0.0])])
    found = place(walls, 6, drop=1.4, budget=3)
    between = (found.cells[:, 0] > 10.0) & (found.cells[:, 0] < 30.0)
    assert not between.any()
    x, _, error = floor_of(found)
    assert np.diff(x) == pytest.approx(x[1] - x[0])
    assert np.isnan(error[:, (x > 10.0) & (x < 30.0)]).all()
    assert np.isfinite(error[:, (x < 10.0) | (x > 30.0)]).all()


@pytest.mark.parametrize(
    "walls",
    [
        outline((0, 0), (20, 0), (20, 10), (0, 10))[[0, 1, 3]],  # a hall without its fourth wall
        outline((0, 0), (30, 0), (30, 4), (0, 4))[[0, 2]],  # two walls along a corridor
    ],
)
def test_walls_that_close_nothing_in_have_their_box_as_floor(walls: FloatArray) -> None:
    assert len(place(walls, 4, drop=1.4, budget=3).cells) > 300


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "walls.csv"
    rows = "".join(",".join(map(str, wall.ravel())) + "\n" for wall in box(6.0, 4.0))
    table.write_text("x1,y1,x2,y2\n" + rows, encoding="utf-8")
    anchors, picture, result = (tmp_path / name for name in ("a.csv", "p.png", "r.json"))
    argv = ["plan", str(table), "--anchors", "3", "--output", str(anchors), "--plot", str(picture)]
    assert main([*argv, "--json", str(result)]) == 0
    assert "expected error" in capsys.readouterr().out
    assert (load_anchors(anchors).positions[:, 2] == 2.4).all()
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert 0.05 < json.loads(result.read_text(encoding="utf-8"))["mean"] < 0.5


@pytest.mark.parametrize(
    ("text", "count", "complaint"),
    [
        ("x1,y1,x2\n0,0,1\n", "4", "expected the header x1,y1,x2,y2; it has x1, y1, x2"),
        ("x1_mm,y1_mm,x2,y2\n0,0,1,2\n", "4", "expected x1, y1, x2, y2 in one unit"),
        ("x1,y1,x2,y2\n0,0,1,b\n", "4", "row 2, column y2: expected a number"),
        ("x1,y1,x2,y2\n", "4", "no walls below the header"),
        ("x1,y1,x2,y2\n0,0,9,0\n", "4", "at least 1 m in each direction"),
        ("x1,y1,x2,y2\n0,0,9,9\n", "2", "anchors: expected 3 to 12"),
        ("x1,y1,x2,y2\n0,0,0,0\n3,3,3,3\n", "4", "too short for 4 anchors: there are 0 places"),
        (
            "x1,y1,x2,y2\n0,0,9000,0\n0,0,0,6000\n",
            "4",
            "walls.csv: expected a floor of at most 300 m, got 9000",
        ),
    ],
)
def test_bad_maps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, count: str, complaint: str
) -> None:
    table = tmp_path / "walls.csv"
    table.write_text(text, encoding="utf-8")
    assert main(["plan", str(table), "--anchors", count]) == 2
    assert complaint in capsys.readouterr().err


def test_walls_with_their_unit(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text(
        "X1 [mm],Y1 [mm],X2 [mm],Y2 [mm]\n0,0,9000,0\n", encoding="utf-8"
    )
    np.testing.assert_allclose(load_walls(tmp_path / "w.csv"), [[[0, 0], [9, 0]]])


def test_a_map_of_another_kind_is_told_what_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(tmp_path / "map.yaml"), "--anchors", "4"]) == 2
    assert "map.yaml: expected walls, a CSV x1,y1,x2,y2, or one of" in capsys.readouterr().err


def test_many_short_walls_are_no_more_work() -> None:
    """A drawing of 500 pieces took minutes: each was a place or two to try."""
    rng = np.random.default_rng(0)
    corners = rng.uniform([0.0, 0.0], [38.0, 18.0], (500, 2))
    pieces = np.stack([corners, corners + np.array([0.8, 0.0])], axis=1)
    found = place(np.concatenate([box(40.0, 20.0), pieces]), 6, drop=1.4, budget=3)
    assert len(found.places) == 6
    assert np.ptp(found.places[:, 0]) > 10.0
    low, high = np.zeros(2), np.array([40.0, 20.0])
    assert len(_hooks(pieces, low, high, Outside(box(40.0, 20.0)))) <= HOOKS


def test_many_walls_are_counted_as_few() -> None:
    rng = np.random.default_rng(0)
    walls = rng.uniform(0.0, 10.0, (130, 2, 2))
    one, other = rng.uniform(0.0, 10.0, (5, 2)), rng.uniform(0.0, 10.0, (4, 2))
    together = sum(crossings(one, other, wall[None]) for wall in walls)
    np.testing.assert_array_equal(crossings(one, other, walls), together)
