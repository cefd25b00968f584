# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Walls, doors, line of sight, random fields and random buildings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locdreamer_ros.errors import InputError
from locdreamer_ros.simulation import ENVIRONMENTS, HOUSE_BOOTSTRAP, HOUSE_DEPLOY, make_world
from locdreamer_ros.simulation.random_world import ANCHORS
from locdreamer_ros.simulation.walk import FloorGraph
from locdreamer_ros.simulation.world import Field, box, crossings, wall

ROOM = np.array(box((0.0, 0.0), (4.0, 3.0)))
# Hundredths of a metre that no wall of the test lies on, so that touching is no question.
coordinate = st.integers(-300, 700).map(lambda n: n / 100.0 + 0.0037)
point = st.tuples(coordinate, coordinate).map(np.array)


def test_doors_are_gaps() -> None:
    pieces = wall((0.0, 1.0), (4.0, 1.0), 0.5, 1.3, 3.0, 4.0)
    assert [piece[:, 0].tolist() for piece in pieces] == [[0.0, 0.5], [1.3, 3.0]]
    below, above = np.array([[0.9, 0.0], [2.0, 0.0]]), np.array([[0.9, 2.0], [2.0, 2.0]])
    assert crossings(below, above, np.array(pieces)).tolist() == [0, 1]


def test_crossings_of_many_lines_at_once() -> None:
    tags = np.array([[1.0, 1.0], [-1.0, 1.0], [5.0, 1.0]])
    anchors = np.array([[2.0, 2.0], [5.0, 1.2]])
    counted = crossings(tags[:, None], anchors, ROOM)
    assert counted.tolist() == [[0, 1], [1, 2], [1, 0]]


def test_a_line_beside_a_parallel_wall_crosses_nothing() -> None:
    assert crossings(np.array([0.0, 0.5]), np.array([4.0, 0.5]), ROOM[:1]) == 0


@given(point, point, st.floats(-3.0, 3.0), point)
def test_crossings_do_not_depend_on_direction_or_frame(
    start: np.ndarray, end: np.ndarray, angle: float, shift: np.ndarray
) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    walls = np.array(box((0.0, 0.0), (4.0, 3.0)) + wall((2.0, 0.0), (2.0, 3.0), 1.0, 2.0))
    corners = walls.reshape(-1, 2)
    line = end - start
    off = corners - start
    if np.abs(line[0] * off[:, 1] - line[1] * off[:, 0]).min() < 1e-3:
        return  # through a corner: rounding decides
    count = crossings(start, end, walls)
    assert crossings(end, start, walls) == count
    moved = walls @ turn.T + shift
    assert crossings(turn @ start + shift, turn @ end + shift, moved) == count


def test_field_is_standard_normal_and_falls_to_1_over_e_at_its_correlation() -> None:
    rng = np.random.default_rng(0)
    field = Field.draw(3000, 0.8, rng)
    here = field.at(np.array([[2.0, 5.0]]))[0]
    angle = 0.7
    there = field.at(np.array([[2.0 + 0.8 * np.cos(angle), 5.0 + 0.8 * np.sin(angle)]]))[0]
    # 3000 samples: standard errors of about .018 (mean), .013 (sigma) and .016 (correlation).
    assert abs(here.mean()) < 0.06
    assert here.std() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(here, there)[0, 1] == pytest.approx(np.exp(-1.0), abs=0.06)
    assert (np.abs(here) > 1.96).mean() == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_world_is_the_same_for_the_same_seed_only(environment: str) -> None:
    one, same, other = (make_world(environment, seed) for seed in (3, 3, 4))
    place = np.array([[1.0, 1.0]])
    assert np.array_equal(one.multipath.at(place), same.multipath.at(place))
    assert np.array_equal(one.anchor_offset, same.anchor_offset)
    assert np.array_equal(one.anchors.positions, same.anchors.positions)
    assert one.anchor_offset[0] != other.anchor_offset[0]
    if environment != "random":  # a place keeps its walls; only what it does to ranges is drawn
        assert np.array_equal(one.walls, other.walls)
        assert np.array_equal(one.anchors.positions, other.anchors.positions)


def test_the_house_is_bregars_environment_0() -> None:
    world = make_world("house")
    assert np.allclose(world.bounds, [[0.0, 0.0], [9.18, 12.06]])
    assert world.anchors.positions[[0, 5], :2].tolist() == [[8.47, 11.87], [2.24, 0.05]]
    assert sorted(HOUSE_BOOTSTRAP + HOUSE_DEPLOY) == list(world.anchors.ids)
    assert world.deploy == HOUSE_DEPLOY


def test_sizes_of_the_other_places() -> None:
    hall, lab = make_world("hall"), make_world("lab")
    assert np.ptp(hall.bounds, axis=0).tolist() == [25.0, 11.0]
    assert (len(hall.anchors), len(lab.anchors)) == (19, 8)


def test_bad_names_and_seeds() -> None:
    with pytest.raises(InputError, match="unknown environment 'attic'"):
        make_world("attic")
    with pytest.raises(InputError, match="seed: expected"):
        make_world("house", -1)


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_random_buildings_are_whole(seed: int) -> None:
    world = make_world("random", seed)
    low, high = world.bounds
    places = world.anchors.positions
    assert ANCHORS[0] <= len(world.anchors) <= ANCHORS[1]
    assert (places[:, :2] > low).all()
    assert (places[:, :2] < high).all()
    assert ((places[:, 2] >= 0.3) & (places[:, 2] <= 2.8)).all()
    centred = places[:, :2] - places[:, :2].mean(axis=0)
    assert np.linalg.svd(centred, compute_uv=False)[-1] > 0.5  # not in one line
    # One connected floor: what is walked spans the building from wall to wall.
    reached = FloorGraph(world).cells
    assert (reached.min(axis=0) - low < 0.5).all()
    assert (high - reached.max(axis=0) < 0.5).all()
