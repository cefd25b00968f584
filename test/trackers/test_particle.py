# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The particle filter's pieces against their exact answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import square_anchors

from locdreamer_ros.trackers.particle import (
    OUTLIER_SPAN_M,
    ParticleConfig,
    ParticleTracker,
    log_likelihood,
    systematic_resample,
)
from locdreamer_ros.types import Estimate, Site


def test_likelihood_is_a_density_with_the_mean_of_its_mixture() -> None:
    config = ParticleConfig(nlos=0.3, tail=0.8, sigma=0.2, outlier=0.01)
    error = np.linspace(-OUTLIER_SPAN_M / 2, OUTLIER_SPAN_M / 2, 200_001)
    density = np.exp(log_likelihood(error, config, config.sigma))
    step = error[1] - error[0]
    assert density.sum() * step == pytest.approx(1.0, abs=1e-3)
    assert (density * error).sum() * step == pytest.approx(0.99 * 0.3 * 0.8, abs=1e-3)


def test_likelihood_is_finite_far_out() -> None:
    assert np.isfinite(
        log_likelihood(np.array([-1e3, -50.0, 50.0, 1e3]), ParticleConfig(), 0.15)
    ).all()


@given(
    weight=st.lists(st.floats(0.0, 1.0), min_size=2, max_size=60).filter(lambda w: sum(w) > 1e-3),
    start=st.floats(0.0, 0.999),
)
def test_systematic_resampling_draws_each_row_within_one_of_its_share(
    weight: list[float], start: float
) -> None:
    share = np.array(weight) / sum(weight)
    rows = systematic_resample(share, start)
    count = np.bincount(rows, minlength=share.size)
    assert rows.size == share.size
    assert (np.abs(count - share * share.size) < 1.0 + 1e-9).all()


@pytest.mark.parametrize("dt", [0.05, 0.5])
def test_velocity_keeps_its_spread_at_every_rate(dt: float) -> None:
    config = ParticleConfig(particles=4000)
    particles = ParticleTracker(Site(square_anchors(size=400.0), 2, 1.0), config)
    start = np.array([200.0, 200.0, 0.0, 0.0])
    particles.start(Estimate(0.0, start, np.diag([0.1, 0.1, 1e-4, 1e-4])))
    for _ in range(int(20.0 / dt)):
        estimate = particles.predict(dt)
    spread = np.sqrt(np.diag(estimate.covariance)[2:])
    np.testing.assert_allclose(spread, config.speed_sigma, rtol=0.1)
