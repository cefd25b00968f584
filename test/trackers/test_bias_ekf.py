# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How `bias-ekf` lets its biases move, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import square_anchors

from locdreamer_ros.trackers.bias_ekf import BiasEkf, BiasEkfConfig
from locdreamer_ros.types import Estimate, Site

CONFIG = BiasEkfConfig(common_sigma=0.3, common_walk=0.02, anchor_sigma=0.1, anchor_time=5.0)


def moved(*steps: float) -> np.ndarray:
    """Variances of the common bias and the anchors' own after these steps, without a range."""
    tracker = BiasEkf(Site(square_anchors(3), 2, 1.0), CONFIG)
    tracker.start(Estimate(0.0, np.zeros(4), np.eye(4)))
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
    tracker._mean[5:] = 0.2
    tracker.predict(5.0)
    np.testing.assert_allclose(tracker._mean[5:], 0.2 * np.exp(-1.0))
