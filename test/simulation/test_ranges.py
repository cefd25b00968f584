# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Range errors: what belongs to places, what is fresh, what is lost, and what powers tell."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from locdreamer_ros.simulation import (
    ENVIRONMENTS,
    World,
    draw_ranges,
    draw_walk,
    make_world,
    place_bias,
)
from locdreamer_ros.simulation.ranges import nlos_guess
from locdreamer_ros.types import FloatArray


def walked(world: World, duration: float = 300.0) -> FloatArray:
    return draw_walk(world, duration=duration, rate=4.0, rng=np.random.default_rng(0))


def errors(world: World, truth: FloatArray, ranges: FloatArray) -> FloatArray:
    return ranges - np.linalg.norm(truth[:, None] - world.anchors.positions, axis=-1)


def test_coming_back_to_a_place_meets_the_same_bias() -> None:
    world = make_world("house", 5)
    truth = walked(world)
    later = np.concatenate([truth[::-1], truth])[: len(truth)]
    assert np.array_equal(place_bias(world, truth).bias, place_bias(world, later).bias[::-1])
    again = place_bias(make_world("house", 5), truth)
    assert np.array_equal(place_bias(world, truth).bias, again.bias)


def test_within_a_pair_ranges_hardly_spread() -> None:
    """Hall survey: 2.6 cm within one (position, anchor) pair, .378 m between blocked ones."""
    world = make_world("hall", 1)
    places = walked(world)[::60]
    rng = np.random.default_rng(0)
    visits = np.stack([draw_ranges(world, places, rng).ranges for _ in range(60)])
    within = np.nanstd(visits, axis=0)
    # Sixty draws know a sigma to 9 %; the median of hundreds of pairs to 1 %. Outliers are rare.
    assert np.median(within) == pytest.approx(0.026, abs=0.002)
    between = np.nanmedian(visits, axis=0) - np.linalg.norm(
        places[:, None] - world.anchors.positions, axis=-1
    )
    assert between.std() > 10 * np.median(within)


def test_two_walks_in_the_house_learn_the_same_biases() -> None:
    """Error averaged at a place on one day predicts the error there on another."""
    world = make_world("house", 2)
    places = walked(world)[::20]
    days = [
        np.nanmedian(
            [
                errors(world, places, draw_ranges(world, places, np.random.default_rng(n)).ranges)
                for n in range(9 * day, 9 * day + 9)
            ],
            axis=0,
        )
        for day in (0, 1)
    ]
    assert np.corrcoef(days[0].ravel(), days[1].ravel())[0, 1] > 0.98


def test_a_step_aside_changes_the_bias_little_two_metres_entirely() -> None:
    world = make_world("house", 0)
    truth = walked(world)
    field = world.multipath.at(truth[:, :2])

    def alike(shift: float) -> float:
        moved = world.multipath.at(truth[:, :2] + (shift, 0.0))
        return float(np.corrcoef(field.ravel(), moved.ravel())[0, 1])

    assert alike(0.1) > 0.93
    assert abs(alike(2.5)) < 0.25


def test_walls_lengthen_and_weaken() -> None:
    world = make_world("house", 0)
    truth = walked(world)
    place = place_bias(world, truth)
    drawn = draw_ranges(world, truth, np.random.default_rng(1))
    error = errors(world, truth, drawn.ranges)
    mean = [np.nanmean(error[place.walls == n]) for n in range(4)]
    assert abs(mean[0]) < 0.15
    assert mean[0] < mean[1] < mean[3]
    gap = drawn.rx_power - drawn.first_path_power
    assert np.nanmin(gap) >= 0.0
    assert np.nanmedian(gap[place.walls == 0]) < 6.0 < np.nanmedian(gap[place.walls >= 2])
    near = np.linalg.norm(truth[:, None] - world.anchors.positions, axis=-1) < 3.0
    assert np.nanmean(drawn.rx_power[near]) > np.nanmean(drawn.rx_power[~near]) + 6.0


def test_errors_are_asymmetric() -> None:
    """Walls and reflections only lengthen: the long tail is on one side."""
    world = make_world("house", 3)
    truth = walked(world)
    error = errors(world, truth, draw_ranges(world, truth, np.random.default_rng(1)).ranges)
    low, middle, high = np.nanquantile(error, [0.02, 0.5, 0.98])
    assert high - middle > 4.0 * (middle - low)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_range_lost_leaves_nothing_behind(environment: str) -> None:
    world = make_world(environment, 1)
    truth = walked(world)
    drawn = draw_ranges(world, truth, np.random.default_rng(1))
    lost = np.isnan(drawn.ranges)
    for value in (drawn.nlos, drawn.rx_power, drawn.first_path_power):
        assert np.array_equal(np.isnan(value), lost)
    assert 0.0005 < lost.mean() < 0.3
    assert (drawn.ranges[~lost] > 0.0).all()


def test_drop_outs_come_as_often_as_the_model_says() -> None:
    """Strong signals: only those lost whatever the power. Too weak ones: all."""
    world = make_world("lab")
    truth = walked(world)
    half = dataclasses.replace(world, errors=dataclasses.replace(world.errors, lost=0.3))
    share = np.isnan(draw_ranges(half, truth, np.random.default_rng(0)).ranges).mean()
    assert share == pytest.approx(0.3, abs=0.02)  # 9600 ranges: standard error .005
    deaf = dataclasses.replace(world, errors=dataclasses.replace(world.errors, sensitivity=-40.0))
    assert np.isnan(draw_ranges(deaf, truth, np.random.default_rng(0)).ranges).all()


def test_the_nlos_guess_is_good_but_no_oracle() -> None:
    world = make_world("house", 0)
    truth = walked(world)
    drawn = draw_ranges(world, truth, np.random.default_rng(1))
    heard = np.isfinite(drawn.nlos)
    right = ((drawn.nlos > 0.5) == (drawn.walls > 0))[heard].mean()
    assert 0.7 < right < 0.97
    assert nlos_guess(np.array([0.0, 6.0, 8.0, 10.0, 30.0])).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_fresh_noise_is_independent_of_where_the_tag_is() -> None:
    """Nothing of the truth gets into a range but distance, place-bound bias and fresh noise."""
    world = make_world("lab", 0)
    truth = walked(world)
    drawn = draw_ranges(world, truth, np.random.default_rng(1))
    fresh = errors(world, truth, drawn.ranges) - place_bias(world, truth).bias
    good = np.isfinite(fresh) & (np.abs(fresh) < 0.25)
    assert fresh[good].std() == pytest.approx(world.errors.noise, rel=0.06)
    for axis in (0, 1):
        along = np.broadcast_to(truth[:, axis, None], fresh.shape)[good]
        assert abs(np.corrcoef(along, fresh[good])[0, 1]) < 0.05
    column = np.where(good, fresh, 0.0)[:, 0]
    assert abs(np.corrcoef(column[1:], column[:-1])[0, 1]) < 0.1  # 1200 epochs: 3 standard errors
