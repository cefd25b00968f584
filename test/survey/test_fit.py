# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The normal equations are the cost's derivatives; the odometry's frame is found."""

from __future__ import annotations

import numpy as np
import pytest

from locdreamer_ros.recording import Recording
from locdreamer_ros.survey.fit import Problem, State, _weight, fit, moved
from locdreamer_ros.survey.problem import Between, Known, walk_of
from locdreamer_ros.types import Anchors

PLACES = np.array(
    [[0.0, 0.0, 2.4], [8.0, 0.3, 0.4], [8.2, 6.0, 2.2], [0.2, 6.2, 0.5], [4.0, 7.0, 1.4]]
)


def walked(*, keep: float = 1.0) -> Recording:
    """Thirty seconds, with odometry in a frame turned by 0.7 rad; keep: share of the ranges."""
    rng = np.random.default_rng(0)
    times = np.arange(0.0, 30.0, 0.1)
    truth = np.stack([4 + 3 * np.sin(0.3 * times), 3 + 2 * np.sin(0.5 * times), 0 * times + 1], 1)
    ranges = np.linalg.norm(truth[:, None] - PLACES, axis=2) + 0.2
    ranges += 0.03 * rng.standard_normal(ranges.shape)
    ranges[rng.random(ranges.shape) > keep] = np.nan
    cos, sin = np.cos(0.7), np.sin(0.7)
    odometry = np.column_stack([truth[:, :2] @ np.array([[cos, -sin], [sin, cos]]), 0 * times])
    anchors = Anchors(tuple("abcde"), PLACES)
    return Recording("walk", anchors, times, ranges, truth, odometry=odometry)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_slopes_are_the_costs(dimensions: int) -> None:
    lengths = Between(
        np.array([0, 1]), np.array([2, 3]), np.array([10.0, 9.0]), np.array([1.0, 0.0])
    )
    hints = Known(np.full((5, 3), np.nan), lengths, 1.1)
    walk = walk_of(walked(keep=0.3))
    problem = Problem(walk, hints, dimensions, repeated=3.0)
    rng = np.random.default_rng(1)
    knots = walk.times.size
    state = State(
        rng.normal(4.0, 1.0, (knots, dimensions)),
        PLACES[:, :dimensions] + rng.normal(0.0, 0.3, (5, dimensions)),
        rng.normal(0.2, 0.1, 5),
        rng.normal(0.5, 0.2, problem.yaws),
        0.1,
    )
    spread = 0.4
    weight = _weight(problem.errors(state)[0] / spread)
    equations = problem.normal(state, weight, spread)
    h = 1e-5
    assert problem.yaws == 3
    still = np.zeros_like(state.knots), np.zeros(problem.size)
    for row in range(problem.size):
        rest = still[1].copy()
        rest[row] = h
        up, down = (problem.cost(moved(state, still[0], s * rest), spread) for s in (1.0, -1.0))
        assert -equations.slope[row] == pytest.approx((up - down) / (2 * h), rel=1e-4, abs=1e-3)
    for knot, axis in ((0, 0), (7, 1), (20, dimensions - 1), (knots - 1, 0)):
        step = still[0].copy()
        step[knot, axis] = h
        up, down = (problem.cost(moved(state, s * step, still[1]), spread) for s in (1.0, -1.0))
        slope = -equations.walk_slope[knot, axis]
        assert slope == pytest.approx((up - down) / (2 * h), rel=1e-4, abs=1e-3)


def test_odometry_holds_a_walk_that_is_hardly_ranged() -> None:
    recording = walked(keep=0.012)
    hints = Known(np.column_stack([PLACES[:, :2], np.full((5, 1), np.nan)]))
    flat = np.linalg.norm(recording.truth[:, None, :2] - PLACES[:, :2], axis=2) + 0.2
    ranges = np.where(np.isfinite(recording.ranges), flat, np.nan)
    off = []
    for odometry in (recording.odometry, None):
        held = Recording("walk", recording.anchors, recording.times, ranges, odometry=odometry)
        walk = walk_of(held)
        problem = Problem(walk, hints, 2)
        truth = np.stack([np.interp(walk.times, recording.times, c) for c in recording.truth.T], 1)
        start = State(truth[:, :2], PLACES[:, :2], np.full(5, 0.2), np.full(problem.yaws, 0.6))
        found = fit(problem, start)
        off.append(float(np.linalg.norm(found.state.knots - truth[:, :2], axis=1).mean()))
        if odometry is not None:
            assert found.state.yaws == pytest.approx(0.7, abs=0.1)
    assert off[0] < 0.1
    assert off[0] < 0.5 * off[1]
