# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Schedulers where their answers can be written down."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import circle_recording, follow, square_anchors

from locdreamer_ros.methods import make_tracker
from locdreamer_ros.roles import Scheduler
from locdreamer_ros.schedulers import gdop
from locdreamer_ros.schedulers.foresight import remaining_variance
from locdreamer_ros.schedulers.gdop import RANGE_SIGMA_M as NOMINAL_M
from locdreamer_ros.schedulers.sequential import RANGE_SIGMA_M, Sequential
from locdreamer_ros.schedulers.simple import RoundRobin
from locdreamer_ros.types import Anchors, Estimate, Foreseen, Foresight, IntArray, Ranges, Site


def test_what_a_subset_leaves_is_kalmans_answer_with_all_correlations() -> None:
    """Biases make ranges alike: the block of H P H^T counts, not only its diagonal."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((7, 7))
    covariance = root @ root.T / 7.0  # position (2), and what else a tracker carries
    design = rng.standard_normal((5, 7))
    foresight = Foresight(
        covariance[:2, :2], (design @ covariance)[:, :2], design @ covariance @ design.T
    )
    subsets = np.array([[0, 1, 2], [0, 3, 4], [1, 2, 4]])
    found = remaining_variance(foresight, subsets, RANGE_SIGMA_M)
    for rows, value in zip(subsets, found, strict=True):
        h = design[rows]
        inner = h @ covariance @ h.T + RANGE_SIGMA_M**2 * np.eye(3)
        posterior = covariance - covariance @ h.T @ np.linalg.inv(inner) @ h @ covariance
        assert value == pytest.approx(np.trace(posterior[:2, :2]))


@pytest.mark.parametrize(("price", "goes_on"), [(0.15, True), (0.25, False)])
def test_a_price_is_in_metres_of_the_expected_error(price: float, goes_on: bool) -> None:
    """One more range takes the expected error from 1 m to .8 m: it is worth .2 m, not .36."""
    variance = 0.5
    cross = np.sqrt(0.36 * (variance + RANGE_SIGMA_M**2))
    looked = Estimate(
        0.0,
        np.zeros(4),
        np.diag([0.5, 0.5, 1.0, 1.0]),
        Foreseen(
            lambda rows: Foresight(
                np.diag([0.5, 0.5]),
                np.tile([cross, 0.0], (3, 1))[rows],
                np.full((3, 3), variance)[np.ix_(rows, rows)],
            )
        ),
    )
    anchors = square_anchors(3)
    scheduler = Sequential(Site(anchors, 2, 1.0), price=price)
    assert bool(scheduler.more(looked, np.array([0, 1]), anchors, 3).size) is goes_on


def test_wls_weighs_a_range_by_its_squared_residual(monkeypatch: pytest.MonkeyPatch) -> None:
    residual = np.array([0.0, 0.5, -0.5, 2.0, 0.1])
    given: list[np.ndarray] = []

    def noted(prior: object, direction: object, precision: np.ndarray, budget: int) -> IntArray:
        given.append(precision)
        return np.arange(budget)

    site = Site(square_anchors(5), 2, 1.0)
    monkeypatch.setattr(gdop, "best_subset", noted)
    monkeypatch.setattr(
        gdop, "solve_position", lambda *given: (np.full(2, 4.0), np.eye(2), residual)
    )
    at = Estimate(0.0, np.array([4.0, 4.0, 0.0, 0.0]), np.eye(4))
    gdop.Wls(site).keep(at, Ranges.of(np.arange(5), np.full(5, 4.0), 0.0), 3)
    np.testing.assert_allclose(given[0], 1.0 / (NOMINAL_M**2 + residual**2))


def test_observe_is_given_the_prior_first_and_the_posterior_last() -> None:
    class Noting(Scheduler):
        def __init__(self) -> None:
            self.inner = RoundRobin()
            self.seen: list[tuple[Estimate, Ranges, Estimate]] = []

        def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
            return self.inner.select(prediction, anchors, budget)

        def observe(self, prediction: Estimate, ranges: Ranges, posterior: Estimate) -> None:
            self.seen.append((prediction, ranges, posterior))

    recording = circle_recording(duration=5.0, rate=2.0)
    site = Site(recording.anchors, 2, 1.0)
    noting = Noting()
    steps, _ = follow(recording, make_tracker("ekf", site), noting, site)
    posteriors = [step.estimate for step in steps]
    assert len(noting.seen) >= 5
    for prediction, ranges, posterior in noting.seen:
        assert any(posterior is estimate for estimate in posteriors)
        assert len(ranges) == 3
        spread = [np.trace(e.position_covariance) for e in (prediction, posterior)]
        assert spread[1] < spread[0], "a range makes the position better known"
