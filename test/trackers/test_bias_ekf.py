# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How `bias-ekf` lets its biases move, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import square_anchors

from locdreamer_ros.trackers.bias_ekf import BiasEkf, BiasEkfConfig
from locdreamer_ros.types import Anchors, Estimate, Ranges, Site

CONFIG = BiasEkfConfig(common_sigma=0.3, common_walk=0.02, anchor_sigma=0.1, anchor_time=5.0)


def moved(*steps: float) -> np.ndarray:
    """Variances of the common bias and the anchors' own after these steps, without a range."""
    tracker = BiasEkf(Site(square_anchors(3), 2, 1.0), CONFIG)
    tracker.start(Estimate(0.0, np.zeros(4), np.eye(4)))
    tracker._meet(np.arange(3))
    for dt in steps:
        tracker.predict(dt)
    return np.diag(tracker._covariance)[4:]


@pytest.mark.parametrize("steps", [(0.5,), (7.0,), (1.0, 2.0, 4.0)])
def test_an_anchors_own_bias_keeps_its_variance_where_nothing_is_heard(
    steps: tuple[float, ...],
) -> None:
    np.testing.assert_allclose(moved(*steps)[1:], 0.1**2, rtol=1e-9)


@pytest.mark.parametrize("steps", [(0.5,), (7.0,), (1.0, 2.0, 4.0)])
def test_the_common_bias_walks(steps: tuple[float, ...]) -> None:
    assert moved(*steps)[0] == pytest.approx(0.3**2 + 0.02**2 * sum(steps))


def test_an_own_bias_is_forgotten() -> None:
    tracker = BiasEkf(Site(square_anchors(3), 2, 1.0), CONFIG)
    tracker.start(Estimate(0.0, np.zeros(4), np.eye(4)))
    tracker._meet(np.arange(3))
    tracker._mean[5:] = 0.2
    tracker.predict(5.0)
    np.testing.assert_allclose(tracker._mean[5:], 0.2 * np.exp(-1.0))


def test_anchors_that_are_not_heard_change_and_cost_nothing() -> None:
    """Two sites, one of which has 200 anchors more; anchors are met one after the other."""
    rng = np.random.default_rng(3)
    places = rng.uniform(0.0, 12.0, (206, 3))
    few, many = (
        BiasEkf(Site(Anchors(tuple(map(str, range(count))), places[:count]), 2, 1.0), CONFIG)
        for count in (6, 206)
    )
    for tracker in (few, many):
        tracker.start(Estimate(0.0, np.array([6.0, 6.0, 0.0, 0.0]), np.eye(4), offset=0.1))
    for step in range(20):
        heard = rng.choice(2 + step // 4, 2, replace=False)
        value = rng.uniform(3.0, 9.0, 2)
        for tracker in (few, many):
            tracker.predict(0.3)
            tracker.update(Ranges.of(heard, value, tracker.estimate.time))
        np.testing.assert_allclose(many.estimate.mean, few.estimate.mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(many.estimate.covariance, few.estimate.covariance, atol=1e-12)
    assert many._mean.size == few._mean.size == 4 + 1 + 6
    np.testing.assert_allclose(many.biases[:6], few.biases, atol=1e-12)
    np.testing.assert_array_equal(many.biases[6:], many.offset)


def test_whoever_was_not_heard_yet_is_as_if_he_had_been_there_from_the_first() -> None:
    late, early = (BiasEkf(Site(square_anchors(3), 2, 1.0), CONFIG) for _ in range(2))
    for tracker in (late, early):
        tracker.start(Estimate(0.0, np.array([1.0, 1.0, 0.0, 0.0]), np.eye(4)))
    early._meet(np.arange(3))
    for step in range(9):
        for tracker in (late, early):
            tracker.predict(0.7)
            tracker.update(Ranges.of([step // 4], [1.5 + 0.1 * step], tracker.estimate.time))
        np.testing.assert_allclose(late.estimate.mean, early.estimate.mean, atol=1e-12)
        np.testing.assert_allclose(late.estimate.covariance, early.estimate.covariance, atol=1e-12)
