# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every scheduler must do, and GDOP against brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import READY_SCHEDULERS, square_anchors

from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import SCHEDULERS, make_scheduler
from locdreamer_ros.schedulers.gdop import (
    RANGE_SIGMA_M,
    best_subset,
    directions,
    posterior_variance,
)
from locdreamer_ros.types import Anchors, Estimate, Ranges, Site


def prediction(x: float = 3.0, y: float = 5.0, *, sigma: float = 1.0) -> Estimate:
    return Estimate(0.0, np.array([x, y, 0.0, 0.0]), np.diag([sigma**2, sigma**2, 1.0, 1.0]))


@pytest.mark.parametrize("name", READY_SCHEDULERS)
@pytest.mark.parametrize("budget", [1, 3, 8, 20])
def test_a_schedule_is_distinct_anchors_within_the_budget(name: str, budget: int) -> None:
    site = Site(square_anchors(), 2, 1.0)
    scheduler = make_scheduler(name, site, seed=1)
    for _ in range(5):
        rows = scheduler.select(prediction(), site.anchors, budget)
        assert len(set(rows.tolist())) == rows.size
        assert rows.min() >= 0
        assert rows.max() < 8
        if scheduler.sequential and budget < 8:
            assert rows.size == 1  # the rest is asked by `more`, within the fix
        else:
            assert rows.size == (8 if scheduler.needs_all else min(budget, 8))


@pytest.mark.parametrize("name", ["nearest", "gdop", "all"])
@given(order=st.permutations(list(range(8))), right=st.integers(0, 7999), up=st.integers(0, 7999))
@settings(max_examples=30)
def test_the_choice_does_not_depend_on_the_order_of_the_anchors(
    name: str, order: list[int], right: int, up: int
) -> None:
    x, y = (right + 0.37) / 1000.0, (up + 0.71) / 1000.0  # as far from no two anchors
    anchors = square_anchors()
    mixed = Anchors(tuple(anchors.ids[i] for i in order), anchors.positions[order])
    chosen = []
    for which in (anchors, mixed):
        site = Site(which, 2, 1.0)
        rows = make_scheduler(name, site).select(prediction(x, y), which, 3)
        chosen.append({which.ids[row] for row in rows})
    assert chosen[0] == chosen[1]


@given(
    seed=st.integers(0, 1000),
    dimensions=st.sampled_from([2, 3]),
    count=st.integers(4, 9),
    budget=st.integers(1, 4),
)
@settings(max_examples=40)
def test_gdop_equals_brute_force(seed: int, dimensions: int, count: int, budget: int) -> None:
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal((count, dimensions))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    root = rng.standard_normal((dimensions, dimensions))
    prior = root @ root.T + 0.1 * np.eye(dimensions)
    precision = rng.uniform(1.0, 20.0, count)

    def cost(rows: tuple[int, ...]) -> float:
        information = np.linalg.inv(prior)
        for row in rows:
            information = information + precision[row] * np.outer(direction[row], direction[row])
        return float(np.trace(np.linalg.inv(information)))

    subsets = list(combinations(range(count), min(budget, count)))
    costs = np.array([cost(rows) for rows in subsets])
    np.testing.assert_allclose(
        posterior_variance(prior, direction, precision, np.array(subsets)), costs, rtol=1e-9
    )
    best = best_subset(prior, direction, precision, budget)
    assert cost(tuple(best.tolist())) == pytest.approx(costs.min())


def test_exchange_is_close_to_the_best_where_there_are_many_anchors() -> None:
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 40)
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    precision = np.full(40, 1.0 / RANGE_SIGMA_M**2)
    prior = np.eye(2)
    found = best_subset(prior, direction, precision, 3)  # 9880 subsets: by exchange
    every = np.array(list(combinations(range(40), 3)))
    costs = posterior_variance(prior, direction, precision, every)
    assert posterior_variance(prior, direction, precision, found[None])[0] < 1.02 * costs.min()


def test_gdop_looks_across_the_long_axis_of_the_prior() -> None:
    """Where the tag is known well along y and badly along x, anchors along x are asked."""
    anchors = Anchors(
        ("east", "west", "north", "south"),
        np.array([[9.0, 0, 1], [-9.0, 0, 1], [0, 9.0, 1], [0, -9.0, 1]]),
    )
    site = Site(anchors, 2, 1.0)
    prior = Estimate(0.0, np.zeros(4), np.diag([4.0, 0.01, 1.0, 1.0]))
    rows = make_scheduler("gdop", site).select(prior, anchors, 2)
    assert {anchors.ids[row] for row in rows} == {"east", "west"}


def test_round_robin_asks_each_equally_often() -> None:
    site = Site(square_anchors(), 2, 1.0)
    scheduler = make_scheduler("round-robin", site)
    rows = [scheduler.select(prediction(), site.anchors, 3) for _ in range(8)]
    assert np.bincount(np.concatenate(rows)).tolist() == [3] * 8


def test_random_is_uniform_and_seeded() -> None:
    site = Site(square_anchors(), 2, 1.0)

    def draw(seed: int) -> np.ndarray:
        scheduler = make_scheduler("random", site, seed=seed)
        return np.array([scheduler.select(prediction(), site.anchors, 3) for _ in range(2000)])

    np.testing.assert_array_equal(draw(1), draw(1))
    count = np.bincount(draw(1).ravel(), minlength=8)
    # 750 expected each, sigma = sqrt(2000 * 3/8 * 5/8) = 21.7
    assert np.abs(count - 750).max() < 4.5 * 21.7


def test_wls_asks_all_and_keeps_the_ranges_that_agree() -> None:
    site = Site(square_anchors(), 2, 1.0)
    scheduler = make_scheduler("wls", site)
    assert scheduler.needs_all
    at = prediction()
    rows = scheduler.select(at, site.anchors, 3)
    values = site.expected(at.position[None, :], rows)
    values[[1, 4, 6]] += 2.0
    kept = scheduler.keep(at, Ranges.of(rows, values, 0.0), 3)
    assert len(kept) == 3
    assert not set(kept.anchor.tolist()) & {1, 4, 6}


def test_directions_are_the_jacobian_of_the_slant_range() -> None:
    site = Site(square_anchors(), 2, 1.0)
    at, h = np.array([3.0, 5.0]), 1e-6
    rows = np.arange(8)
    for axis in range(2):
        step = np.zeros(2)
        step[axis] = h
        slope = (
            site.expected((at + step)[None], rows) - site.expected((at - step)[None], rows)
        ) / (2 * h)
        np.testing.assert_allclose(directions(site, at, rows)[:, axis], slope, atol=1e-6)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(
        InputError, match=f"unknown scheduler 'best'; expected one of {', '.join(SCHEDULERS)}"
    ):
        make_scheduler("best", Site(square_anchors(), 2, 1.0))


@pytest.mark.parametrize("stop", [{"accuracy": 0.1}, {"price": 0.1}])
def test_only_a_sequential_scheduler_can_stop_early(stop):
    site = Site(square_anchors(), 2, 1.0)
    assert make_scheduler("sequential", site, **stop).sequential
    with pytest.raises(InputError, match="gdop chooses its anchors beforehand") as caught:
        make_scheduler("gdop", site, **stop)
    assert "\n" not in str(caught.value)
