# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Estimates as CSV lose nothing: map coordinates of seven digits, times of day."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.evaluation.estimates import save_estimates
from locdreamer_ros.evaluation.metrics import Track


@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_digit_is_kept(tmp_path: Path, dimensions: int) -> None:
    rng = np.random.default_rng(0)
    size = 2 * dimensions
    mean = rng.normal([4649778.0] * dimensions + [0.5] * dimensions, 1.0, (5, size))
    mean[0] = mean[2] = np.nan  # before the first fix, and after a long silence
    root = rng.normal(size=(5, size, size))
    covariance = root @ root.transpose(0, 2, 1)
    times = 1755612349.0 + np.arange(5) / 3
    track = Track(times, mean, covariance, np.full((5, 3), np.nan), np.full(5, 3))
    save_estimates(tmp_path / "x.csv", track)
    header = (tmp_path / "x.csv").read_text().splitlines()[0]
    assert header.startswith(("t_s,x,y,vx,vy,cov_xx,cov_xy", "t_s,x,y,z,vx,vy,vz,cov_xx"))
    table = np.loadtxt(tmp_path / "x.csv", delimiter=",", skiprows=1)
    kept = [1, 3, 4]
    np.testing.assert_array_equal(table[:, 0], times[kept])
    np.testing.assert_array_equal(table[:, 1 : 1 + size], mean[kept])
    np.testing.assert_array_equal(table[:, -1], covariance[kept, dimensions - 1, dimensions - 1])
