# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Walks: through doors, never through walls, at a walking speed, all over the place."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from locdreamer_ros.errors import InputError
from locdreamer_ros.simulation import ENVIRONMENTS, draw_walk, make_world
from locdreamer_ros.simulation.world import box, crossings
from locdreamer_ros.types import FloatArray

RATE = 10.0
FINE = 100
"""So many places are looked at in each tenth of a second."""
AN_ABOUT_TURN = 1431992125
"""A random building in which somebody turns about on the spot: a chord of a tenth of a second is a
third as long there as what was walked."""


def walk(environment: str, seed: int, duration: float = 120.0, rate: float = RATE) -> FloatArray:
    world = make_world(environment, seed)
    return draw_walk(world, duration=duration, rate=rate, rng=np.random.default_rng(seed))


def check_walk(environment: str, seed: int, duration: float) -> None:
    """No wall crossed, and 0.5 to 1 m/s along the path, about-turns and all."""
    fine = walk(environment, seed, duration, RATE * FINE)[:, :2]
    floor = fine[::FINE]
    assert not crossings(floor[:-1], floor[1:], make_world(environment, seed).walls).any()
    steps = np.linalg.norm(np.diff(fine, axis=0), axis=1)
    speed = steps[: steps.size // FINE * FINE].reshape(-1, FINE).sum(axis=1) * RATE
    assert speed.max() <= 1.0 + 1e-9
    assert speed.min() >= 0.49  # a step across a corner is a little short


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_wall_is_crossed_and_speed_is_held(environment: str) -> None:
    for seed in range(3):
        check_walk(environment, seed, 300.0)


@settings(max_examples=25)
@given(st.integers(0, 2**32))
@example(AN_ABOUT_TURN)
def test_the_same_in_any_building(seed: int) -> None:
    check_walk("random", seed, 60.0)


def test_turns_are_smooth() -> None:
    for seed in range(3):
        step = np.diff(walk("house", seed, 300.0)[:, :2], axis=0)
        heading = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
        turning = np.abs(np.diff(heading)) * RATE  # rad/s
        assert np.quantile(turning, 0.99) < 3.0
        assert np.mean(turning > 5.0) < 0.005  # about-turns in a corner are rare


def test_a_long_walk_sees_every_room_of_the_house() -> None:
    x, y = walk("house", 0, 600.0)[:, :2].T
    rooms = [(2, 3), (7, 1.5), (7, 5), (1.5, 9.5), (4.5, 8.3), (7.5, 8.3), (4.8, 10.8), (7.7, 10.8)]
    for room_x, room_y in rooms:
        assert (np.hypot(x - room_x, y - room_y) < 1.5).any(), (room_x, room_y)


def test_length_height_and_randomness() -> None:
    world = make_world("house")
    one = draw_walk(world, duration=12.0, rate=4.0, rng=np.random.default_rng(1))
    same = draw_walk(world, duration=12.0, rate=4.0, rng=np.random.default_rng(1))
    other = draw_walk(world, duration=12.0, rate=4.0, rng=np.random.default_rng(2))
    assert one.shape == (48, 3)
    assert (one[:, 2] == world.tag_height).all()
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)
    single = draw_walk(world, duration=0.01, rate=1.0, rng=np.random.default_rng(1))
    assert single.shape == (1, 3)


def test_walls_without_room_between_them() -> None:
    world = make_world("lab")
    for edge in (0.5, 1.0):
        narrow = dataclasses.replace(
            world,
            bounds=np.array([[0.0, 0.0], [edge, edge]]),
            walls=np.array(box((0.0, 0.0), (edge, edge))),
        )
        with pytest.raises(InputError, match="no room to walk"):
            draw_walk(narrow, duration=5.0, rate=1.0, rng=np.random.default_rng(0))
