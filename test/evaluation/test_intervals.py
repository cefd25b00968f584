# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from locdreamer_ros.evaluation.intervals import mean_interval, paired_reduction

samples = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30)


@given(samples)
def test_agrees_with_scipy(values):
    interval = mean_interval(values)
    spread = stats.sem(values)
    assert interval.mean == pytest.approx(np.mean(values))
    assert interval.count == len(values)
    if spread > 1e-9:
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), spread)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-6)


def test_paired_agrees_with_scipy():
    rng = np.random.default_rng(3)
    a, b = rng.normal(1.0, 0.2, 12), rng.normal(1.3, 0.2, 12)
    expected = stats.ttest_1samp(100.0 * (b - a) / b, 0.0).confidence_interval(0.95)
    interval = paired_reduction(a, b)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_pairing_removes_what_the_seeds_share():
    houses = np.array([1.0, 2.0, 3.0, 4.0])
    interval = paired_reduction(0.4 * houses, houses)
    assert interval.mean == pytest.approx(60.0)
    assert interval.half_width == pytest.approx(0.0, abs=1e-9)


def test_it_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(11)
    inside = [
        abs((i := mean_interval(row)).mean) <= i.half_width for row in rng.normal(size=(2000, 5))
    ]
    assert abs(np.mean(inside) - 0.95) < 0.02


def test_one_seed_has_no_interval_and_none_is_an_error():
    assert math.isnan(mean_interval([1.0]).half_width)
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])
    with pytest.raises(ValueError, match="equal lengths"):
        paired_reduction([1.0], [1.0, 2.0])
