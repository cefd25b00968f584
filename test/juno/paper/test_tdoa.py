# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The three readings of equation (3) find the user, and say where they cannot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="needs numba: pip install 'locdreamer_ros[juno]'")

from locdreamer_ros.juno.paper.room import draw_room
from locdreamer_ros.juno.paper.tdoa import (
    CIRCLES,
    HYPERBOLA,
    MARGIN_M,
    REFERENCE,
    locate,
    locate_each,
)

ROOM = draw_room(np.random.default_rng(0))
PLACES = st.floats(0.3, 9.7)
PAIRS = st.sampled_from(ROOM.actions.tolist())


def times_at(x: float, y: float, clock: float = 0.0) -> np.ndarray:
    return np.linalg.norm(ROOM.beacons - [x, y], axis=1) + clock


def solve(
    reading: int, times: np.ndarray, pair: list[int], prior: tuple[float, float]
) -> tuple[float, float, bool]:
    return locate(reading, ROOM.beacons, times, np.array(pair), prior, ROOM.size)


@given(x=PLACES, y=PLACES, pair=PAIRS, clock=st.floats(-50.0, 50.0))
@settings(max_examples=200)
def test_a_pair_and_the_reference_find_the_place_whatever_the_clock(
    x: float, y: float, pair: list[int], clock: float
) -> None:
    times = times_at(x, y, clock)
    fx, fy, found = solve(REFERENCE, times, pair, (x, y))
    if not found:  # only where the square root is of nothing, to rounding
        assert (fx, fy) == (x, y)
        return
    # Where the quadratic is nearly double the place is known to the root of the rounding only.
    assert np.hypot(fx - x, fy - y) < 1e-2
    again = times_at(fx, fy)
    for row in pair:
        assert again[row] - again[-1] == pytest.approx(times[row] - times[-1], abs=1e-4)


def test_almost_every_noiseless_pair_has_a_root() -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(2000):
        x, y = rng.uniform(0.3, 9.7, 2)
        pair = ROOM.actions[rng.integers(len(ROOM.actions))].tolist()
        found.append(solve(REFERENCE, times_at(x, y), pair, (x, y))[2])
    assert np.mean(found) > 0.99


@given(x=PLACES, y=PLACES, pair=PAIRS)
@settings(max_examples=100)
def test_two_circles_meet_at_the_place(x: float, y: float, pair: list[int]) -> None:
    fx, fy, found = solve(CIRCLES, times_at(x, y), pair, (x, y))
    if found:
        assert np.hypot(fx - x, fy - y) < 1e-3


@given(x=PLACES, y=PLACES, pair=PAIRS, dx=st.floats(-0.4, 0.4), dy=st.floats(-0.4, 0.4))
@settings(max_examples=100)
def test_a_hyperbola_is_met_near_the_prior(
    x: float, y: float, pair: list[int], dx: float, dy: float
) -> None:
    times = times_at(x, y)
    fx, fy, found = solve(HYPERBOLA, times, pair, (x + dx, y + dy))
    if found:
        again = times_at(fx, fy)
        assert again[pair[0]] - again[pair[1]] == pytest.approx(
            times[pair[0]] - times[pair[1]], abs=0.021
        )


@pytest.mark.parametrize("reading", [REFERENCE, CIRCLES, HYPERBOLA])
def test_no_root_answers_the_prior_untouched(reading: int) -> None:
    times = times_at(5.0, 5.0)
    times[0] += 40.0  # farther than any two beacons are apart
    assert solve(reading, times, [0, 3], (2.5, 7.25)) == (2.5, 7.25, False)


def test_a_root_outside_the_area_is_none() -> None:
    outside = 10.0 + MARGIN_M + 0.5
    assert solve(REFERENCE, times_at(outside, 5.0), [1, 4], (9.0, 5.0)) == (9.0, 5.0, False)
    assert solve(REFERENCE, times_at(10.2, 5.0), [1, 4], (9.0, 5.0))[2]


def test_of_two_roots_the_one_nearer_to_the_prior() -> None:
    times = times_at(3.0, 2.0)
    pair = [7, 3]  # middles of opposite sides: the circles meet again mirrored at y = 5
    assert solve(CIRCLES, times, pair, (3.0, 3.0))[:2] == pytest.approx((3.0, 2.0))
    assert solve(CIRCLES, times, pair, (3.0, 7.0))[:2] == pytest.approx((3.0, 8.0))


def test_beacons_in_line_with_the_reference_have_no_root() -> None:
    beacons = np.array([[0.0, 5.0], [10.0, 5.0], [5.0, 5.0]])
    times = np.linalg.norm(beacons - [4.0, 7.0], axis=1)
    answer = locate(REFERENCE, beacons, times, np.array([0, 1]), (4.0, 6.0), ROOM.size)
    assert answer == (4.0, 6.0, False)


@pytest.mark.parametrize("reading", [REFERENCE, CIRCLES])
def test_three_and_more_beacons_are_solved_by_least_squares(reading: int) -> None:
    times = times_at(6.0, 3.0)
    x, y, found = solve(reading, times, [0, 2, 4, 6], (5.0, 4.0))
    assert found
    assert (x, y) == pytest.approx((6.0, 3.0), abs=1e-3)


def test_random_pairs_with_noise_often_have_no_root() -> None:
    rng = np.random.default_rng(3)
    zones = rng.integers(400, size=4000)
    late = np.where(ROOM.nlos[zones], rng.exponential(1.5, ROOM.nlos[zones].shape), 0.0)
    times = ROOM.distances[zones] + late + 0.09 * rng.standard_normal(late.shape)
    rows = ROOM.actions[rng.integers(28, size=4000)]
    _, found = locate_each(REFERENCE, ROOM.beacons, times, rows, ROOM.centres[zones], ROOM.size)
    assert 0.2 < 1.0 - found.mean() < 0.5
