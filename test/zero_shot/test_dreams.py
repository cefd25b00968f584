# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training's dreams: what is in them, and what is kept out of them."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from locdreamer_ros.zero_shot.training import dreams as module
from locdreamer_ros.zero_shot.training.dreams import FAMILIES, HELD_OUT, TRAINED, dream


@pytest.fixture(scope="module")
def many():
    return dream(200, 60, 6, np.random.default_rng(0))


def test_shapes_and_selection(many):
    assert len(many) == 200
    assert many.anchor.shape == (200, 6, 3)
    assert many.distance.shape == many.blocked.shape == (200, 60, 6)
    few = many.rows(slice(3, 5))
    np.testing.assert_array_equal(few.truth, many.truth[3:5])
    assert few.dt.shape == (2, 60)


def test_same_seed_same_dreams(many):
    again = dream(200, 60, 6, np.random.default_rng(0))
    np.testing.assert_array_equal(many.distance, again.distance)
    other = dream(200, 60, 6, np.random.default_rng(1))
    assert not np.array_equal(many.truth, other.truth)


def test_rates_speeds_and_walks(many):
    assert many.dt.min() > 0.02
    assert many.dt.max() < 3.0
    step = np.linalg.norm(np.diff(many.truth, axis=1), axis=-1)
    speed = np.linalg.norm(many.velocity[:, 1:], axis=-1)
    np.testing.assert_allclose(step, speed * many.dt[:, 1:], atol=1e-3)
    assert 0.1 < np.median(speed) < 2.0
    assert np.percentile(speed, 99.9) < 8.0


def test_errors_are_mostly_long_and_some_are_lost(many):
    delta = many.truth[:, :, None] - many.anchor[:, None, :, :2]
    distance = np.sqrt((delta**2).sum(-1) + many.anchor[:, None, :, 2] ** 2)
    error = (many.distance - distance)[np.isfinite(many.distance)]
    assert 0.0 < np.median(error) < 0.4
    assert np.percentile(error, 95) > 2.0 * abs(np.percentile(error, 5))
    assert 0.01 < np.isnan(many.distance).mean() < 0.12
    guess = many.blocked[np.isfinite(many.blocked)]
    assert guess.min() >= 0.0
    assert guess.max() <= 1.0
    assert 0.3 < np.isnan(many.blocked[:, 0, 0]).mean() < 0.7, "half of the sites have no guess"


def test_blocked_links_are_longer_and_a_device_notices(many):
    delta = many.truth[:, :, None] - many.anchor[:, None, :, :2]
    distance = np.sqrt((delta**2).sum(-1) + many.anchor[:, None, :, 2] ** 2)
    error = many.distance - distance
    known = np.isfinite(many.blocked) & np.isfinite(error)
    sure, clear = known & (many.blocked > 0.9), known & (many.blocked < 0.1)
    assert np.mean(error[sure]) > np.mean(error[clear]) + 0.1


def test_the_held_out_family_is_never_trained_on(monkeypatch):
    assert set(TRAINED) | {HELD_OUT} == set(FAMILIES)
    assert HELD_OUT not in TRAINED
    assert inspect.signature(dream).parameters["families"].default == TRAINED
    drawn: set[str] = set()
    quantile = module._quantile

    def noted(family, share, shape):
        if share.size:
            drawn.add(family)
        return quantile(family, share, shape)

    monkeypatch.setattr(module, "_quantile", noted)
    dream(60, 3, 4, np.random.default_rng(2))
    assert drawn == set(TRAINED)
    dream(60, 3, 4, np.random.default_rng(2), families=(HELD_OUT,))
    assert drawn == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_quantiles_increase_from_zero(family):
    share = np.linspace(0.01, 0.99, 50)
    values = module._quantile(family, share, np.full(50, 0.8))
    assert values[0] > 0.0
    assert (np.diff(values) > 0.0).all()
    assert values[-1] < 30.0
