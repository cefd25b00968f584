# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated odometry drifts as much as it says, and changes nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import ODOMETRY_STREAM, simulate, stream, with_odometry
from locdreamer_ros.types import Anchors, FloatArray

ANCHORS = Anchors(("a", "b", "c"), np.array([[0.0, 0.0, 2.0], [8.0, 0.0, 2.0], [0.0, 8.0, 2.0]]))


def along(path: FloatArray) -> Recording:
    """A recording of a walk along path (T, 2) m at 10 Hz."""
    epochs = path.shape[0]
    truth = np.column_stack([path, np.ones(epochs)])
    steady = np.arange(epochs) * 0.1
    return Recording("walk", ANCHORS, steady, np.full((epochs, 3), 5.0), truth)


STRAIGHT = np.column_stack([np.linspace(0.0, 10.0, 101), np.zeros(101)])


def drawn(recording: Recording, drift: float, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Odometry (T, 3) and turn rate (T,)."""
    made = with_odometry(recording, drift=drift, rng=stream(seed, ODOMETRY_STREAM))
    assert made.odometry is not None
    assert made.turn_rate is not None
    return made.odometry, made.turn_rate


@pytest.mark.parametrize("environment", ["house", "random"])
def test_walk_and_ranges_are_the_same_with_and_without(environment: str) -> None:
    bare = simulate(environment, duration=5.0, seed=7)
    moving = simulate(environment, duration=5.0, seed=7, odometry=0.02)
    assert bare.odometry is None
    assert bare.turn_rate is None
    assert moving.odometry is not None
    assert np.isfinite(moving.odometry).all()
    assert moving.turn_rate is not None
    assert np.isfinite(moving.turn_rate).all()
    for name in ("times", "truth", "ranges", "nlos", "rx_power", "first_path_power"):
        np.testing.assert_array_equal(getattr(bare, name), getattr(moving, name))
    again = simulate(environment, duration=5.0, seed=7, odometry=0.02)
    np.testing.assert_array_equal(again.odometry, moving.odometry)


def test_without_drift_it_is_the_path_in_another_frame() -> None:
    angle = np.linspace(0.0, 3.0 * np.pi, 400)
    path = 2.0 * np.column_stack([np.cos(angle), np.sin(angle)])
    odometry, rate = drawn(along(path), 0.0)
    frame = odometry[0, 2] - np.pi / 2.0  # at the start the walker looks along y
    cos, sin = np.cos(frame), np.sin(frame)
    turned = (path - path[0]) @ np.array([[cos, sin], [-sin, cos]])
    np.testing.assert_allclose(odometry[:, :2] - odometry[0, :2], turned, atol=0.1)
    heading = np.unwrap(odometry[:, 2])
    np.testing.assert_allclose(heading - heading[0], angle, atol=0.04)
    assert np.abs(odometry[:, 2]).max() <= np.pi
    np.testing.assert_allclose(rate.mean(), np.pi * 3.0 / 39.9, atol=0.02)


def test_it_drifts_by_about_what_was_asked() -> None:
    """Over 10 m straight on: the length by the scale, the end sideways by the heading."""
    length, side = [], []
    for seed in range(400):
        odometry, _ = drawn(along(STRAIGHT), 0.02, seed)
        moved = odometry[-1, :2] - odometry[0, :2]
        ahead = odometry[0, 2]  # what it takes for straight on, at the start
        length.append(np.hypot(*moved) - 10.0)
        side.append(np.cos(ahead) * moved[1] - np.sin(ahead) * moved[0])
    assert np.std(length) == pytest.approx(0.2, rel=0.15)
    assert np.std(side) == pytest.approx(0.2, rel=0.15)
    assert abs(np.mean(length)) < 0.04
    assert abs(np.mean(side)) < 0.04


def test_who_stands_keeps_the_heading_and_a_gap_in_the_truth_is_bridged() -> None:
    path = np.concatenate([STRAIGHT[:30], np.repeat(STRAIGHT[30:31], 20, axis=0), STRAIGHT[31:]])
    recording = along(path)
    odometry, rate = drawn(recording, 0.0)
    assert np.abs(odometry[:, 2] - odometry[0, 2]).max() < 0.02
    assert np.abs(rate).max() < 0.05
    assert recording.truth is not None
    gap = recording.truth.copy()
    gap[10:13] = np.nan
    np.testing.assert_allclose(drawn(replace(recording, truth=gap), 0.0)[0], odometry, atol=1e-9)


def test_a_single_epoch_has_odometry_too() -> None:
    odometry, rate = drawn(along(STRAIGHT[:1]), 0.02)
    assert odometry.shape == (1, 3)
    assert rate.shape == (1,)
    assert np.isfinite(odometry).all()


@pytest.mark.parametrize("drift", [-0.1, 1.5, float("nan"), float("inf")])
def test_a_drift_that_is_none_is_refused(drift: float) -> None:
    with pytest.raises(InputError, match=r"odometry: expected a drift in 0 \.\. 1"):
        simulate("lab", duration=1.0, odometry=drift)


def test_it_needs_ground_truth() -> None:
    blind = replace(along(STRAIGHT), truth=None)
    with pytest.raises(InputError, match="walk: odometry is made from ground truth"):
        drawn(blind, 0.02)
