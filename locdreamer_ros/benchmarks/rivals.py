# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The same extended Kalman filter by others, to time ours beside.

filterpy's, Stone Soup's, and one that numba compiles: the floor, for nobody expects a step that is
called from Python to take less. All three move at constant velocity with white acceleration and
take in the same three ranges of the same random anchors, so they give the same estimates. None is
needed to run anything else: a rival whose package is not installed raises ModuleNotFoundError.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from time import process_time_ns
from typing import Any

import numpy as np

from locdreamer_ros.benchmarks.methods import BUDGET
from locdreamer_ros.benchmarks.turns import answer, first_fix
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import FloatArray, Site

VARIANCE_M2 = 0.04
"""Of a range."""
ACCELERATION = 1.0
"""Spectral density of the acceleration, m^2/s^3."""


class Rival(ABC):
    """A filter of state (x, y, vx, vy) along a walk; a call makes and times an epoch's step."""

    def __init__(self, recording: Recording, site: Site, seed: int) -> None:
        self._recording, self._height = recording, site.tag_height
        self._places = site.anchors.positions
        self._rng = np.random.default_rng(seed)
        fix = first_fix(recording, site)
        self.begin(fix.mean.copy(), fix.covariance.copy())

    def __call__(self, row: int) -> int:
        """Nanoseconds of processor time of a row's step; the choice of anchors is not in it."""
        times = self._recording.times
        asked = self._rng.choice(len(self._places), BUDGET, replace=False)
        near = self._places[asked]
        ranges = answer(self._recording, row, asked).value
        # None of them knows of time-outs.
        ranges = np.where(np.isnan(ranges), self.expected(self.mean, near), ranges)
        begin = process_time_ns()
        self.step(float(times[row] - times[row - 1]), near, ranges)
        return process_time_ns() - begin

    def expected(self, mean: FloatArray, near: FloatArray) -> FloatArray:
        """Ranges (K,) m from a state (4,) to anchors (K, 3) m."""
        offset = np.array([mean[0], mean[1], self._height]) - near
        return np.asarray(np.sqrt((offset * offset).sum(axis=1)))

    def jacobian(self, mean: FloatArray, near: FloatArray) -> FloatArray:
        """Of `expected`: (K, 4)."""
        level = np.zeros((len(near), 4))
        level[:, :2] = (mean[:2] - near[:, :2]) / self.expected(mean, near)[:, None]
        return level

    @property
    @abstractmethod
    def mean(self) -> FloatArray:
        """(4,): x, y m; vx, vy m/s."""

    @abstractmethod
    def begin(self, mean: FloatArray, covariance: FloatArray) -> None:
        """Make the filter, from a state (4,) and its covariance (4, 4)."""

    @abstractmethod
    def step(self, dt: float, near: FloatArray, ranges: FloatArray) -> None:
        """Predict dt s ahead, and take in ranges (K,) m to anchors (K, 3) m."""


class Filterpy(Rival):
    """filterpy's `ExtendedKalmanFilter`."""

    def begin(self, mean: FloatArray, covariance: FloatArray) -> None:
        """See Rival."""
        from filterpy.kalman import ExtendedKalmanFilter

        self._kalman = ExtendedKalmanFilter(dim_x=4, dim_z=BUDGET)
        self._kalman.x, self._kalman.P = mean, covariance
        self._kalman.R = np.eye(BUDGET) * VARIANCE_M2

    @property
    def mean(self) -> FloatArray:
        """See Rival."""
        return np.asarray(self._kalman.x)

    def step(self, dt: float, near: FloatArray, ranges: FloatArray) -> None:
        """See Rival."""
        kalman = self._kalman
        kalman.F = np.array([[1, 0, dt, 0], [0, 1, 0, dt], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        a, b, c = (ACCELERATION * v for v in (dt**3 / 3, dt**2 / 2, dt))
        kalman.Q = np.array([[a, 0, b, 0], [0, a, 0, b], [b, 0, c, 0], [0, b, 0, c]])
        kalman.predict()
        kalman.update(ranges, self.jacobian, self.expected, args=(near,), hx_args=(near,))


class StoneSoup(Rival):
    """Stone Soup's extended Kalman predictor and updater; one model of the ranges is kept."""

    def begin(self, mean: FloatArray, covariance: FloatArray) -> None:
        """See Rival."""
        from stonesoup.base import Property
        from stonesoup.models.measurement.nonlinear import NonLinearGaussianMeasurement
        from stonesoup.models.transition.linear import (
            CombinedLinearGaussianTransitionModel,
            ConstantVelocity,
        )
        from stonesoup.predictor.kalman import ExtendedKalmanPredictor
        from stonesoup.types.array import StateVector
        from stonesoup.types.detection import Detection
        from stonesoup.types.hypothesis import SingleHypothesis
        from stonesoup.types.state import GaussianState
        from stonesoup.updater.kalman import ExtendedKalmanUpdater

        rival = self

        class OfRanges(NonLinearGaussianMeasurement):  # type: ignore[misc]
            near = Property(np.ndarray, doc="anchors (K, 3) m")

            @property
            def ndim_meas(self) -> int:
                return BUDGET

            def function(self, state: Any, noise: Any = False, **_: Any) -> Any:
                assert not noise
                return StateVector(rival.expected(_ours(state), self.near))

            def jacobian(self, state: Any, **_: Any) -> FloatArray:
                return rival.jacobian(_ours(state), self.near)[:, ORDER]

        axis = ConstantVelocity(ACCELERATION)
        self._predictor = ExtendedKalmanPredictor(
            CombinedLinearGaussianTransitionModel([axis, axis])
        )
        self._updater = ExtendedKalmanUpdater(None)
        self._model = OfRanges(
            ndim_state=4, mapping=(0, 2), noise_covar=np.eye(BUDGET) * VARIANCE_M2, near=None
        )
        self._detection, self._hypothesis, self._vector = Detection, SingleHypothesis, StateVector
        self._state = GaussianState(
            StateVector(mean[ORDER]), covariance[np.ix_(ORDER, ORDER)], datetime(2026, 1, 1)
        )

    @property
    def mean(self) -> FloatArray:
        """See Rival."""
        return _ours(self._state)

    def step(self, dt: float, near: FloatArray, ranges: FloatArray) -> None:
        """See Rival."""
        now = self._state.timestamp + timedelta(seconds=dt)
        prior = self._predictor.predict(self._state, timestamp=now)
        self._model.near = near
        heard = self._detection(self._vector(ranges), timestamp=now, measurement_model=self._model)
        self._state = self._updater.update(self._hypothesis(prior, heard))


ORDER = [0, 2, 1, 3]
"""Stone Soup's states are x, vx, y, vy; the way back is the same."""


def _ours(state: Any) -> FloatArray:
    """Stone Soup's state as (4,) in our order."""
    return np.asarray(state.state_vector, dtype=np.float64).ravel()[ORDER]


class Compiled(Rival):
    """`advance`, compiled before it is timed."""

    def begin(self, mean: FloatArray, covariance: FloatArray) -> None:
        """See Rival."""
        self._advance = _compiled()
        self._mean, self._covariance = mean, covariance
        ahead = (mean.copy(), covariance.copy(), 0.1, np.ones((BUDGET, 3)), self._height)
        self._advance(*ahead, np.ones(BUDGET))

    @property
    def mean(self) -> FloatArray:
        """See Rival."""
        return self._mean

    def step(self, dt: float, near: FloatArray, ranges: FloatArray) -> None:
        """See Rival."""
        self._advance(self._mean, self._covariance, dt, near, self._height, ranges)


@cache
def _compiled() -> Any:
    """`advance` by numba. Raises ModuleNotFoundError without it."""
    from numba import njit

    return njit(advance)


def advance(
    mean: FloatArray,
    covariance: FloatArray,
    dt: float,
    near: FloatArray,
    height: float,
    ranges: FloatArray,
) -> None:
    """A step of the filter on mean (4,) and covariance (4, 4), in place; in loops, to be compiled.

    Ranges (K,) come one by one, all linearised at the prior: the same as all at once.
    """
    a, b = ACCELERATION * dt**3 / 3.0, ACCELERATION * dt**2 / 2.0
    for i in range(2):
        mean[i] += dt * mean[i + 2]
    for i in range(2):  # F P F' + Q
        for j in range(4):
            covariance[i, j] += dt * covariance[i + 2, j]
    for i in range(4):
        for j in range(2):
            covariance[i, j] += dt * covariance[i, j + 2]
    for i in range(2):
        covariance[i, i] += a
        covariance[i, i + 2] += b
        covariance[i + 2, i] += b
        covariance[i + 2, i + 2] += ACCELERATION * dt
    prior_x, prior_y = mean[0], mean[1]
    gain = np.empty(4)
    for k in range(len(ranges)):
        x, y, z = prior_x - near[k, 0], prior_y - near[k, 1], height - near[k, 2]
        away = math.sqrt(x * x + y * y + z * z)
        x, y = x / away, y / away
        for i in range(4):
            gain[i] = covariance[i, 0] * x + covariance[i, 1] * y
        variance = x * gain[0] + y * gain[1] + VARIANCE_M2
        miss = ranges[k] - away - x * (mean[0] - prior_x) - y * (mean[1] - prior_y)
        for i in range(4):
            mean[i] += gain[i] * miss / variance
            for j in range(4):
                covariance[i, j] -= gain[i] * gain[j] / variance


RIVALS: Mapping[tuple[str, str], type[Rival]] = {
    ("compiled EKF", "random"): Compiled,
    ("Stone Soup", "random"): StoneSoup,
    ("filterpy", "random"): Filterpy,
}
"""By the names of their rows."""
PACKAGES = {"compiled EKF": "numba", "Stone Soup": "stonesoup", "filterpy": "filterpy"}
"""What each needs."""
