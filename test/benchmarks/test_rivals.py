# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The filters of others that `benchmark latency` times are the same filter, and track."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from locdreamer_ros.benchmarks.latency import house
from locdreamer_ros.benchmarks.rivals import ACCELERATION, VARIANCE_M2, Rival, advance


class Written(Rival):
    """The filter as in a book, in numpy."""

    def begin(self, mean, covariance):
        self._mean, self._covariance = mean, covariance

    @property
    def mean(self):
        return self._mean

    def step(self, dt, near, ranges):
        move = np.eye(4) + dt * np.eye(4, k=2)
        noise = np.kron([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]], ACCELERATION * np.eye(2))
        mean, prior = move @ self._mean, move @ self._covariance @ move.T + noise
        slope = self.jacobian(mean, near)
        spread = slope @ prior @ slope.T + VARIANCE_M2 * np.eye(len(near))
        gain = prior @ slope.T @ np.linalg.inv(spread)
        self._mean = mean + gain @ (ranges - self.expected(mean, near))
        self._covariance = prior - gain @ slope @ prior


class Uncompiled(Written):
    """What numba compiles, by Python."""

    def step(self, dt, near, ranges):
        advance(self._mean, self._covariance, dt, near, self._height, ranges)


def rival(name):
    from locdreamer_ros.benchmarks import rivals

    return {"Uncompiled": Uncompiled}.get(name) or getattr(rivals, name)


OTHERS = {
    "Uncompiled": "numpy",
    "Compiled": "numba",
    "Filterpy": "filterpy",
    "StoneSoup": "stonesoup",
}
"""Filters by the package that they need; Stone Soup is not among what the tests install."""


@pytest.mark.parametrize("name", [name for name, package in OTHERS.items() if find_spec(package)])
def test_they_give_the_estimates_of_the_filter_in_the_book(name: str) -> None:
    recording, site = house(20.0, 1)
    written, other = Written(recording, site, 3), rival(name)(recording, site, 3)
    missed = []
    for row in range(1, len(recording)):
        assert other(row) >= 0
        written(row)
        np.testing.assert_allclose(other.mean, written.mean, rtol=0.0, atol=1e-7)
        missed.append(np.linalg.norm(other.mean[:2] - recording.truth[row, :2]))
    assert np.median(missed) < 1.0, "it tracks"
