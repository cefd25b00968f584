# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The histogram filter's pieces against their exact answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import square_anchors

from locdreamer_ros.trackers.grid import GridConfig, GridTracker, asymmetric_huber
from locdreamer_ros.types import Estimate, Ranges, Site


def tracker(**parameters: float) -> GridTracker:
    grid = GridTracker(Site(square_anchors(), 2, 1.0), GridConfig(**parameters))
    grid.start(Estimate(0.0, np.array([4.0, 4.0, 0.0, 0.0]), np.diag([0.2, 0.2, 0.1, 0.1])))
    return grid


@given(dt=st.floats(0.005, 3.0))
def test_diffusion_adds_exactly_its_variance(dt: float) -> None:
    grid = tracker(motion=0.4)
    before = grid.estimate.position_covariance
    after = grid.predict(dt).position_covariance
    np.testing.assert_allclose(after - before, 0.16 * dt * np.eye(2), atol=2e-3)
    assert grid._belief.sum() == pytest.approx(1.0)
    assert grid._belief.min() >= 0.0


@given(speed=st.floats(-1.5, 1.5), steps=st.integers(1, 40))
def test_gliding_moves_the_mean_by_velocity_times_time(speed: float, steps: int) -> None:
    grid = tracker()
    grid._velocity[:] = speed, -speed / 2
    for _ in range(steps):
        grid.predict(1.0 / steps)
    np.testing.assert_allclose(grid.estimate.position, [4.0 + speed, 4.0 - speed / 2], atol=2e-2)


def test_the_belief_stays_in_the_area() -> None:
    grid = tracker()
    grid._velocity[:] = 2.0, 0.0
    for _ in range(60):
        estimate = grid.predict(0.5)
        assert np.isfinite(estimate.mean).all()
        assert grid._belief.sum() == pytest.approx(1.0)
    high = grid.site.bounds[1]
    assert estimate.position[0] <= high[0] + grid._cell


def test_asymmetric_huber_is_a_smooth_huber_on_each_side() -> None:
    scaled = np.linspace(-6.0, 6.0, 24001)
    cost = asymmetric_huber(scaled, 2.0, 0.7)
    slope = np.gradient(cost, scaled)
    assert cost[12000] == 0.0
    assert slope.min() == pytest.approx(-2.0, abs=1e-3)
    assert slope.max() == pytest.approx(0.7, abs=1e-3)
    assert np.abs(np.diff(slope)).max() < 1e-3, "no kink"


def test_a_long_range_pulls_less_than_a_short_one() -> None:
    """The same misfit of one range, once long (a wall) and once short (impossible)."""
    moved = []
    for error in (1.5, -1.5):
        grid = tracker()
        grid.predict(1.0)
        truth = np.array([4.0, 4.0])
        rows = np.arange(8)
        values = grid.site.expected(truth[None, :], rows)
        values = values * (1 + grid.config.slope) + grid.config.offset
        values[0] += error
        estimate = grid.update(Ranges.of(rows, values, 1.0))
        moved.append(float(np.linalg.norm(estimate.position - truth)))
    assert moved[0] < 0.7 * moved[1]
