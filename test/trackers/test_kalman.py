# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Kalman mathematics against oracles: filterpy, finite differences, exact compositions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import circle_recording, square_anchors

from locdreamer_ros.methods import make_tracker
from locdreamer_ros.recording import RecordingSource
from locdreamer_ros.trackers.kalman import (
    huber_update,
    linearise_ranges,
    piecewise_acceleration,
    recent,
    transition,
    white_acceleration,
)
from locdreamer_ros.types import Estimate, Ranges, RangeStatus, Site


@pytest.mark.parametrize("dimensions", [2, 3])
def test_ekf_equals_filterpy(dimensions: int) -> None:
    kalman = pytest.importorskip("filterpy.kalman")
    recording = circle_recording(duration=5.0)
    site = Site(recording.anchors, dimensions, 1.0)
    d = dimensions
    mean = np.concatenate([[5.5, 4.2, 1.1][:d], np.zeros(d)])
    tracker = make_tracker("ekf", site, preset="paper")
    tracker.start(Estimate(0.0, mean, np.eye(2 * d)))
    oracle = kalman.ExtendedKalmanFilter(dim_x=2 * d, dim_z=8)
    oracle.x, oracle.P, oracle.R = mean.copy(), np.eye(2 * d), np.eye(8)
    oracle.F, oracle.Q = transition(0.1, d, 2 * d), piecewise_acceleration(0.1, 0.2, d)
    source, everyone = RecordingSource(recording), np.arange(8)
    for time in recording.times[1:]:
        tracker.predict(time - tracker.estimate.time)
        ranges = source.measure(everyone, time)
        estimate = tracker.update(ranges)
        oracle.predict()
        oracle.update(
            ranges.value,
            HJacobian=lambda x: linearise_ranges(
                site, x, 0.0, Ranges.of(everyone, np.ones(8), 0.0)
            )[1],
            Hx=lambda x: site.expected(x[None, :d], everyone),
        )
        np.testing.assert_allclose(estimate.mean, oracle.x, atol=1e-9)
        np.testing.assert_allclose(estimate.covariance, oracle.P, atol=1e-9)


@given(
    dimensions=st.sampled_from([2, 3]),
    state=st.lists(st.floats(-3.0, 12.0), min_size=6, max_size=6),
    late=st.floats(-0.5, 0.5),
)
def test_jacobian_equals_finite_differences(
    dimensions: int, state: list[float], late: float
) -> None:
    site = Site(square_anchors(), dimensions, 1.0)
    at = np.array(state[: 2 * dimensions])
    ranges = Ranges.of(np.arange(8), np.ones(8), np.linspace(-late, late, 8))
    expected, jacobian = linearise_ranges(site, at, 0.0, ranges)
    if expected.min() < 0.1:
        return  # on top of an anchor a range has no gradient
    h = 1e-6
    for axis in range(at.size):
        ahead, behind = at.copy(), at.copy()
        ahead[axis] += h
        behind[axis] -= h
        slope = (
            linearise_ranges(site, ahead, 0.0, ranges)[0]
            - linearise_ranges(site, behind, 0.0, ranges)[0]
        ) / (2 * h)
        np.testing.assert_allclose(jacobian[:, axis], slope, atol=1e-4)


@given(first=st.floats(0.01, 2.0), second=st.floats(0.01, 2.0), psd=st.floats(0.01, 10.0))
def test_white_acceleration_is_the_same_at_every_rate(
    first: float, second: float, psd: float
) -> None:
    matrix = transition(second, 2, 4)
    two_steps = matrix @ white_acceleration(first, psd, 2) @ matrix.T
    two_steps += white_acceleration(second, psd, 2)
    np.testing.assert_allclose(two_steps, white_acceleration(first + second, psd, 2), rtol=1e-9)


def test_plain_update_is_the_kalman_filter_on_a_linear_system() -> None:
    rng = np.random.default_rng(3)
    design, prior = rng.standard_normal((5, 4)), rng.standard_normal(4)
    root = rng.standard_normal((4, 4))
    covariance = root @ root.T + np.eye(4)
    measured, sigma = rng.standard_normal(5), rng.uniform(0.5, 2.0, 5)
    information = np.linalg.inv(covariance) + design.T @ np.diag(sigma**-2) @ design
    known = np.linalg.solve(
        information, np.linalg.solve(covariance, prior) + design.T @ (measured / sigma**2)
    )
    for iterations in (1, 5):
        mean, posterior = huber_update(
            prior,
            covariance,
            measured,
            sigma,
            lambda x: (design @ x, design),
            huber=np.inf,
            iterations=iterations,
        )
        np.testing.assert_allclose(mean, known, atol=1e-10)
        np.testing.assert_allclose(posterior, np.linalg.inv(information), atol=1e-10)


def test_huber_bounds_the_pull_of_one_wild_range() -> None:
    def pull(wild: float, huber: float) -> float:
        mean, _ = huber_update(
            np.zeros(1),
            np.eye(1),
            np.array([0.0, 0.0, wild]),
            np.full(3, 0.1),
            lambda x: (np.full(3, x[0]), np.ones((3, 1))),
            huber=huber,
            iterations=50,
        )
        return float(mean[0])

    # Mean of three is a third of the wild one; Huber holds it to about huber * sigma / 2 however
    # wild it is.
    assert pull(10.0, np.inf) == pytest.approx(10.0 / 3.0, rel=0.01)
    assert abs(pull(10.0, 2.0) - pull(100.0, 2.0)) < 0.15 * pull(100.0, 2.0) + 0.02
    assert pull(100.0, 2.0) < 1.0


def test_recent_drops_what_is_unusable_or_too_old() -> None:
    status = np.array([0, 1, 0, 3, 0, 0], dtype=np.uint8)
    ranges = Ranges.of(
        np.arange(6),
        np.array([1.0, np.nan, -1.0, 2.0, np.inf, 3.0]),
        np.array([0.0, 0.0, 0.0, 0.0, 0.0, -1.5]),
        status=status,
    )
    assert recent(ranges, 0.0).anchor.tolist() == [0]
    assert RangeStatus.TIMEOUT == 1
