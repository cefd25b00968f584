# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training's dreams: what is in them, and what is kept out of them."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from locdreamer_ros.zero_shot.training import dreams as module
from locdreamer_ros.zero_shot.training.dreams import (
    FAMILIES,
    HELD_OUT,
    TRAINED,
    dream,
    physics,
    rooms,
)
from locdreamer_ros.zero_shot.training.dreams import walls as walls_module
from locdreamer_ros.zero_shot.training.dreams.rooms import room
from locdreamer_ros.zero_shot.training.dreams.walls import DISTRIBUTIONS, quantile


@pytest.fixture(scope="module")
def many():
    return dream(200, 60, 6, np.random.default_rng(0))


@pytest.fixture(scope="module")
def walls():
    return dream(200, 60, 6, np.random.default_rng(0), families=("walls",))


def errors_of(dreams):
    """(B, T, A) m, as the filter would see them: against the anchors as surveyed."""
    offset = dreams.truth[:, :, None] - dreams.anchor[:, None]
    return dreams.distance - np.linalg.norm(offset, axis=-1)


def test_shapes_and_selection(many):
    assert len(many) == 200
    assert many.anchor.shape == (200, 6, 3)
    assert many.truth.shape == many.velocity.shape == (200, 60, 3)
    assert many.distance.shape == many.blocked.shape == (200, 60, 6)
    assert many.height.shape == many.known.shape == many.free.shape == (200,)
    assert 0.05 < many.free.mean() < 0.3
    few = many.rows(slice(3, 5))
    np.testing.assert_array_equal(few.truth, many.truth[3:5])
    assert few.dt.shape == (2, 60)


def test_same_seed_same_dreams(many):
    again = dream(200, 60, 6, np.random.default_rng(0))
    np.testing.assert_array_equal(many.distance, again.distance)
    other = dream(200, 60, 6, np.random.default_rng(1))
    assert not np.array_equal(many.truth, other.truth)


def test_paces_speeds_and_walks(many):
    assert many.dt.min() > 0.004
    pace = 1.0 / np.median(many.dt, axis=1)
    assert (pace < 1.0).any()
    assert (pace > 50.0).any()
    assert many.dt.max() > 4.0, "now and then nothing is heard for seconds"
    step = np.linalg.norm(np.diff(many.truth[..., :2], axis=1), axis=-1)
    speed = np.linalg.norm(many.velocity[:, 1:, :2], axis=-1)
    np.testing.assert_allclose(step, speed * many.dt[:, 1:], atol=1e-3)
    assert 0.1 < np.median(speed) < 2.0
    assert (pace < 0.3).any()
    assert np.percentile(speed, 99.9) < 8.0


def test_ranges_of_a_fix_are_spread_over_time(many):
    whole = many.ahead.max(axis=(1, 2))
    assert 0.3 < (whole > 0.0).mean() < 0.7
    assert 0.05 < whole.max() <= 0.1
    assert (many.ahead[:, :-1] < many.dt[:, 1:, None]).all(), "before the next fix"
    assert (dream(20, 5, 4, np.random.default_rng(0), rate=1.0).ahead == 0.0).all()
    still = room(200, 60, 6, np.random.default_rng(0))
    gone = still.when_measured - still.distance
    late = still.ahead * np.linalg.norm(still.velocity, axis=-1)[..., None]
    assert (gone[still.ahead == 0.0] == 0.0).all()
    assert 0.1 < np.abs(gone).max() < 2.0 * late.max()


def test_a_tag_may_be_mounted_off_what_turns(monkeypatch):
    monkeypatch.setattr(rooms, "LEVER_M", 0.0)
    body = room(200, 60, 5, np.random.default_rng(0))
    monkeypatch.undo()
    tag = room(200, 60, 5, np.random.default_rng(0))
    off = np.linalg.norm((tag.truth - body.truth)[..., :2], axis=-1)
    assert 0.3 < (off.max(axis=1) > 0.0).mean() < 0.5
    assert off.max() <= rooms.LEVER_M
    np.testing.assert_allclose(off, off[:, :1].repeat(60, axis=1), atol=1e-9)


def test_furniture_is_moved_once_in_some_sites():
    """A tag that stands still hears other errors from a moment on, of some anchors."""
    place = room(300, 40, 4, np.random.default_rng(0))
    field = np.zeros(place.distance.shape)
    moved = walls_module._moved_once(place, field, np.ones(300), np.random.default_rng(1)) != 0.0
    sites = moved.any(axis=(1, 2))
    assert 0.08 < sites.mean() < 0.25
    assert (np.diff(moved.astype(int), axis=1) >= 0).all(), "once"
    assert not moved[:, 0].any()
    assert 0.2 < moved[sites].any(axis=1).mean() < 0.8


def test_plain_places():
    """What is learned first: one height, known, no fields, no gaps, nothing calibrated."""
    plain = dream(200, 60, 6, np.random.default_rng(0), families=("walls",), plain=True)
    assert plain.known.all()
    assert not plain.free.any()
    assert np.ptp(plain.anchor[..., 2], axis=1).max() < 2.0
    assert np.ptp(plain.anchor[..., :2], axis=1).max() < 26.0
    assert plain.dt.min() > 0.02
    assert plain.dt.max() < 2.6
    place = room(50, 8, 5, np.random.default_rng(0), plain=True)
    assert (place.calm == 1.0).all()
    calm = room(200, 8, 5, np.random.default_rng(0)).calm
    assert 0.3 < (calm < 1.0).mean() < 0.5
    assert (calm > 1.0).any()


def test_heights_are_known_or_climbed(many):
    z = many.truth[..., 2]
    assert z.min() >= 0.0
    moved = np.ptp(z, axis=1)
    assert moved[many.known].max() < 0.1, "who knows a height keeps it"
    assert moved[~many.known].max() > 0.5
    off = np.abs(many.height - z[:, 0])
    assert np.median(off[many.known]) < 0.15
    spread = np.ptp(many.anchor[..., 2], axis=1)
    assert np.median(spread[many.known]) < np.median(spread[~many.known])
    assert 0.4 < many.known.mean() < 0.8


def test_errors_are_mostly_long_and_some_are_lost(walls):
    error = errors_of(walls)
    assert 0.01 < np.isnan(error).mean() < 0.12
    error = error[np.isfinite(error)]
    assert 0.0 < np.median(error) < 0.4
    assert np.percentile(error, 95) > 2.0 * abs(np.percentile(error, 5))
    guess = walls.blocked[np.isfinite(walls.blocked)]
    assert guess.min() >= 0.0
    assert guess.max() <= 1.0
    assert 0.3 < np.isnan(walls.blocked[:, 0, 0]).mean() < 0.7, "half of the sites have no guess"


def test_blocked_links_are_longer_and_a_device_notices(walls):
    error = errors_of(walls)
    known = np.isfinite(walls.blocked) & np.isfinite(error)
    sure, clear = known & (walls.blocked > 0.9), known & (walls.blocked < 0.1)
    assert np.mean(error[sure]) > np.mean(error[clear]) + 0.1


def test_some_sites_are_calibrated(many):
    """Where ranges fit, a filter must not expect biases."""
    spread = np.nanstd(errors_of(many), axis=(1, 2))
    assert np.percentile(spread, 10) < 0.1
    assert np.percentile(spread, 90) > 0.4


def test_the_held_out_family_is_never_trained_on(monkeypatch):
    assert set(TRAINED) | {HELD_OUT} == set(FAMILIES)
    assert HELD_OUT not in TRAINED
    assert inspect.signature(dream).parameters["families"].default == TRAINED
    drawn: set[str] = set()

    def noted(family):
        def errors(place, rng):
            drawn.add(family)
            return np.zeros(place.distance.shape), np.full(place.distance.shape, np.nan)

        return errors

    monkeypatch.setattr(module, "FAMILIES", {name: noted(name) for name in FAMILIES})
    dream(20, 3, 4, np.random.default_rng(2))
    assert drawn == set(TRAINED)
    dream(20, 3, 4, np.random.default_rng(2), families=(HELD_OUT,))
    assert drawn == set(FAMILIES)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_quantiles_increase_from_zero(distribution):
    share = np.linspace(0.01, 0.99, 50)
    values = quantile(distribution, share, np.full(50, 0.8))
    assert values[0] > 0.0
    assert (np.diff(values) > 0.0).all()
    assert values[-1] < 30.0


def test_physics_a_lone_path_is_measured_right():
    lengths = np.array([[5.0, 9.0]])
    losses = 20.0 * np.log10(lengths)
    edge = physics._first_edge(
        lengths, losses, np.zeros((1, 2)), lengths[0], np.random.default_rng(0)
    )
    np.testing.assert_allclose(edge, 0.0, atol=0.07)


def test_physics_an_echo_under_a_hidden_path_is_what_is_measured():
    """Where the direct path is lost in a wall, the first edge is the echo's."""
    lengths = np.array([[5.0], [7.0]])
    hidden = np.array([[80.0], [20.0]])
    edge = physics._first_edge(
        lengths, hidden, np.zeros((2, 1)), lengths[0], np.random.default_rng(0)
    )
    assert edge[0] == pytest.approx(2.0, abs=0.1)


def test_physics_reflections_stay_in_front_of_their_wall():
    wall = np.array([[0.0, 0.0], [4.0, 0.0]])
    place = np.array([[1.0, 2.0], [3.0, -1.0]])
    np.testing.assert_allclose(physics._mirrored(place, wall), [[1.0, -2.0], [3.0, 1.0]])
    at = physics._along(np.array([[2.0, -1.0], [6.0, -1.0]]), np.array([[2.0, 3.0]] * 2), wall)
    assert at[0] == pytest.approx(0.25)
    assert np.isnan(at[1]), "past the wall's end"


def test_physics_walls_make_ranges_longer():
    rng = np.random.default_rng(3)
    place = room(6, 20, 5, rng)
    error, guess = physics.errors(place, rng)
    assert np.isnan(guess).all()
    error = error[np.isfinite(error)]
    assert error.size > 0.8 * 6 * 20 * 5
    assert 0.0 < np.mean(error) < 0.5
    assert np.percentile(error, 98) > 3.0 * abs(np.percentile(error, 2))
