# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.metrics import (
    Track,
    as_dict,
    horizontal_errors,
    nees,
    score,
    silently_lost,
)
from locdreamer_ros.geometry import CHI2_95_2DOF
from locdreamer_ros.integrity.status import State
from locdreamer_ros.types import Estimate, FloatArray


def track_of(
    errors: FloatArray, covariance: FloatArray | None = None, *, dimensions: int = 2
) -> Track:
    """A track whose position is off by errors (n, D)."""
    n, size = len(errors), 2 * dimensions
    rng = np.random.default_rng(0)
    truth = rng.uniform(-5.0, 5.0, (n, 3))
    mean = np.zeros((n, size))
    mean[:, :dimensions] = truth[:, :dimensions] + errors
    block = np.eye(size) if covariance is None else covariance
    return Track(
        np.arange(n) * 0.1, mean, np.broadcast_to(block, (n, size, size)), truth, np.full(n, 3)
    )


def test_known_answer():
    # 3-4-5 triangles: distances 5, 10, 15, 20.
    errors = np.array([[3.0, 4.0], [-6.0, 8.0], [9.0, -12.0], [-12.0, -16.0]])
    metrics = score(track_of(errors), skip=0)
    assert metrics.steps == 4
    assert metrics.mae == pytest.approx(12.5)
    assert metrics.rmse == pytest.approx(np.sqrt((25 + 100 + 225 + 400) / 4))
    assert (metrics.p50, metrics.max) == pytest.approx((12.5, 20.0))
    assert metrics.p90 == pytest.approx(18.5)
    assert metrics.ranges_per_fix == 3.0
    assert metrics.nees == pytest.approx(750 / 4)
    assert metrics.coverage95 == 0.0
    assert metrics.mae_3d is None


def test_the_first_estimates_are_not_scored():
    errors = np.ones((15, 2))
    errors[:10] = 100.0
    assert score(track_of(errors)).mae == pytest.approx(np.sqrt(2.0))
    assert score(track_of(errors)).steps == 5


def test_epochs_before_the_fix_are_counted_not_scored():
    track = track_of(np.ones((15, 2)))
    track.mean[:4] = np.nan
    metrics = score(track, skip=3)
    assert (metrics.unfixed, metrics.steps) == (4, 8)
    assert "unfixed" not in as_dict(metrics)


def test_epochs_without_truth_are_not_scored():
    track = track_of(np.ones((15, 2)))
    track.truth[12, 1] = np.nan
    assert score(track, skip=0).steps == 14
    track.truth[3, 2] = np.nan  # the height is not needed
    assert score(track, skip=0).steps == 14


def test_nothing_to_score_is_said():
    with pytest.raises(InputError, match="no epoch to score: of 8 epochs 0 came before"):
        score(track_of(np.ones((8, 2))))


def test_3d_errors_beside_the_horizontal_ones():
    metrics = score(track_of(np.tile([2.0, 3.0, 6.0], (12, 1)), dimensions=3))
    assert metrics.mae == pytest.approx(np.sqrt(13.0))
    assert metrics.mae_3d == pytest.approx(7.0)
    assert {"mae_3d", "rmse_3d", "p50_3d", "p90_3d", "max_3d"} <= set(as_dict(metrics))


def test_the_squared_error_of_each_axis_beside_its_variance():
    # Errors of 1 and 3, 2, and 0 and 6 m; sigmas of 1, 2 and 3 m; what they share does not count.
    errors = np.tile([[1.0, 2.0, 0.0], [3.0, -2.0, 6.0]], (3, 1))
    covariance = np.diag([1.0, 4.0, 9.0, 1.0, 1.0, 1.0])
    covariance[0, 2] = covariance[2, 0] = 2.0
    track = track_of(errors, covariance, dimensions=3)
    track.truth[:2, 2] = np.nan  # epochs of no known height are left out
    metrics = score(track, skip=0)
    assert (metrics.nees_x, metrics.nees_y, metrics.nees_z) == pytest.approx((5.0, 1.0, 2.0))
    track.truth[:, 2] = np.nan
    assert score(track, skip=0).nees_z is None
    assert "nees_z" not in as_dict(score(track_of(errors[:, :2]), skip=0))


def test_an_axis_of_no_variance_claims_certainty():
    covariance = np.diag([1.0, 1.0, 0.0, 1.0, 1.0, 1.0])
    metrics = score(track_of(np.ones((3, 3)), covariance, dimensions=3), skip=0)
    assert (metrics.nees_x, metrics.nees_z) == (1.0, np.inf)


def test_a_lost_estimate_is_an_error_not_a_gap():
    track = track_of(np.ones((5, 2)))
    track.mean[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"estimate at 0\.300 s is not finite"):
        Track(track.times, track.mean, track.covariance, track.truth, track.asked)


def test_shapes_are_checked():
    good = track_of(np.ones((5, 2)))
    with pytest.raises(ValueError, match=r"asked: expected shape \(5,\), got \(4,\)"):
        Track(good.times, good.mean, good.covariance, good.truth, good.asked[:4])


def test_nees_of_a_correct_gaussian_lies_in_its_own_interval():
    n, rng = 4000, np.random.default_rng(7)
    root = np.array([[0.8, 0.0], [0.5, 0.2]])
    covariance = np.eye(4)
    covariance[:2, :2] = root @ root.T
    metrics = score(track_of(rng.standard_normal((n, 2)) @ root.T, covariance), skip=0)
    low, high = chi2.ppf([0.0005, 0.9995], 2 * n) / n
    assert low < metrics.nees < high
    assert abs(metrics.coverage95 - 0.95) < 3.3 * np.sqrt(0.95 * 0.05 / n)
    assert pytest.approx(chi2.ppf(0.95, 2), abs=1e-3) == CHI2_95_2DOF


@given(
    st.lists(st.tuples(*[st.floats(-20.0, 20.0)] * 2), min_size=1, max_size=30),
    st.floats(0.1, 3.0),
    st.floats(0.1, 3.0),
    st.floats(-0.9, 0.9),
)
def test_nees_agrees_with_the_matrix_form(errors, sx, sy, correlation):
    covariance = np.eye(4)
    covariance[:2, :2] = [[sx**2, correlation * sx * sy], [correlation * sx * sy, sy**2]]
    track = track_of(np.array(errors), covariance)
    error = track.mean[:, :2] - track.truth[:, :2]
    expected = np.einsum("ni,ij,nj->n", error, np.linalg.inv(covariance[:2, :2]), error)
    np.testing.assert_allclose(nees(track, skip=0), expected, rtol=1e-6, atol=1e-9)


@given(st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 2), min_size=1, max_size=40))
def test_measures_are_ordered(errors):
    metrics = score(track_of(np.array(errors)), skip=0)
    slack = 1e-9 * (1.0 + metrics.max)
    assert 0.0 <= metrics.p50 <= metrics.p90 + slack
    assert metrics.p90 <= metrics.max + slack
    assert metrics.mae <= metrics.rmse + slack
    assert metrics.rmse <= metrics.max + slack
    assert 0.0 <= metrics.coverage95 <= 1.0


@given(st.floats(0.0, 2 * np.pi), st.floats(-50.0, 50.0))
def test_turning_and_shifting_the_world_changes_nothing(angle, shift):
    rng = np.random.default_rng(1)
    track = track_of(rng.standard_normal((20, 2)), np.diag([1.0, 0.3, 1.0, 1.0]))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mean, truth, covariance = track.mean.copy(), track.truth.copy(), track.covariance.copy()
    mean[:, :2] = mean[:, :2] @ turn.T + shift
    truth[:, :2] = truth[:, :2] @ turn.T + shift
    covariance[:, :2, :2] = turn @ covariance[:, :2, :2] @ turn.T
    turned = score(Track(track.times, mean, covariance, truth, track.asked))
    for name, value in as_dict(score(track)).items():
        assert as_dict(turned)[name] == pytest.approx(value, rel=1e-6, abs=1e-9)


def test_a_singular_covariance_claims_certainty():
    track = track_of(np.ones((3, 2)), np.zeros((4, 4)))
    assert np.isinf(nees(track, skip=0)).all()
    assert score(track, skip=0).coverage95 == 0.0


def test_track_of_estimates():
    estimate = Estimate(0.1, np.array([1.0, 2.0, 0.0, 0.0]), np.eye(4))
    track = Track.of(
        [None, estimate],
        times=np.array([0.0, 0.1]),
        truth=np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0]]),
        asked=[8, 3],
        dimensions=2,
    )
    assert (track.unfixed, track.dimensions, len(track)) == (1, 2, 2)
    np.testing.assert_allclose(horizontal_errors(track, skip=0), [2.0])


@pytest.mark.parametrize(
    ("seconds", "state", "lost"),
    [
        (2.1, State.TRACKING, True),
        (2.0, State.TRACKING, False),
        (2.1, State.DOUBTFUL, False),
    ],
)
def test_lost_is_far_off_for_long_and_without_a_sign(
    seconds: float, state: State, lost: bool
) -> None:
    times = np.arange(100) / 10
    mean = np.zeros((100, 4))
    mean[20 : 20 + round(10 * seconds), 0] = 4.0
    covariance = np.broadcast_to(np.eye(4), (100, 4, 4))
    states = np.full(100, int(state))
    track = Track(times, mean, covariance, np.zeros((100, 3)), np.full(100, 3), states)
    assert silently_lost(track) == lost


def test_a_clock_that_is_set_back_makes_no_long_loss():
    times = np.concatenate([np.arange(15.0), np.arange(15.0)]) / 10.0 + 5.0
    track = track_of(np.full((30, 2), 4.0))
    assert silently_lost(track)
    assert not silently_lost(replace(track, times=times))
