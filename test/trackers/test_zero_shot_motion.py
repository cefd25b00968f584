# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The zero-shot tracker with wheels, a gyro, marked points and a memory."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from locdreamer_ros.zero_shot.memory.lag_smoother import EVERY, LAG, LagSmoother, Moment

from locdreamer_ros.first_fix import first_fix
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Estimate, Motion, Site
from locdreamer_ros.zero_shot.model_file import shipped
from locdreamer_ros.zero_shot.odometry_frame import FrameFinder, SlipWatch
from locdreamer_ros.zero_shot.tracker import ZeroShotConfig, ZeroShotTracker

WEIGHTS = shipped()


def house(seed: int, rate: float = 1.0, seconds: float = 200.0) -> tuple[Recording, Site]:
    recording = simulate("house", duration=seconds, rate=rate, seed=seed, odometry=0.02)
    return recording, Site.of(recording.anchors, "2", make_world("house", seed).tag_height)


def errors(recording: Recording, tracker: ZeroShotTracker) -> np.ndarray:
    """(T,) m, with all anchors."""
    source, rows = RecordingSource(recording), np.arange(len(recording.anchors))
    assert recording.truth is not None
    found = []
    for epoch, time in enumerate(recording.times):
        ranges = source.measure(rows, float(time))
        if tracker.estimate is None:
            fix = first_fix(tracker.site, ranges, time=float(time))
            assert fix is not None
            tracker.start(fix)
        else:
            before = tracker.estimate.time
            tracker.predict(float(time) - before, recording.motion(epoch - 1, epoch))
            tracker.update(ranges)
        assert tracker.estimate is not None
        found.append(tracker.estimate.position - recording.truth[epoch, :2])
    return np.linalg.norm(found, axis=1)


def silent(recording: Recording) -> Recording:
    return replace(recording, odometry=None, turn_rate=None)


@pytest.mark.parametrize("heading", [-2.5, 0.3, 3.1])
def test_the_heading_of_the_odometry_is_found_from_a_walk(heading: float) -> None:
    rng, finder = np.random.default_rng(0), FrameFinder()
    turn = np.array(
        [[np.cos(heading), np.sin(heading)], [-np.sin(heading), np.cos(heading)]]
    )  # from the map to odometry's frame
    place = np.zeros(2)
    assert finder.heading() is None
    for step in np.tile([[0.3, 0.1]], (40, 1)):
        finder.add(place + 0.05 * rng.standard_normal(2), turn @ step)
        place = place + step
    found = finder.heading()
    assert found is not None
    off = (found[0] - heading + np.pi) % (2.0 * np.pi) - np.pi
    assert abs(off) < 3.0 * np.sqrt(found[1]) < 0.6


def test_no_heading_without_a_walk_or_where_the_two_do_not_agree() -> None:
    rng, still, other = np.random.default_rng(0), FrameFinder(), FrameFinder()
    for n in range(60):
        still.add(0.1 * rng.standard_normal(2), np.zeros(2))
        other.add(np.array([0.3 * n, 0.0]), rng.standard_normal(2))
    assert still.heading() is None
    assert other.heading() is None


def test_odometry_halves_the_error_in_the_house_and_a_gyro_does_not_hurt() -> None:
    recording, site = house(101, seconds=300.0)
    without = errors(silent(recording), ZeroShotTracker(site, WEIGHTS))[10:].mean()
    tracker = ZeroShotTracker(site, WEIGHTS)
    wheels = errors(recording, tracker)[10:].mean()
    assert wheels < 0.6 * without
    quick, site = house(101, rate=5.0, seconds=120.0)
    without = errors(silent(quick), ZeroShotTracker(site, WEIGHTS))[10:].mean()
    gyro = errors(replace(quick, odometry=None), ZeroShotTracker(site, WEIGHTS))[10:].mean()
    assert gyro < 1.02 * without


def test_wheels_that_slip_are_noticed_and_do_not_lose_the_track() -> None:
    recording, site = house(103, seconds=300.0)
    assert recording.odometry is not None
    odometry = recording.odometry.copy()
    step = np.diff(odometry[:, :2], axis=0)
    step[100:160] *= 3.0  # spinning
    step[200:260] = 0.0  # carried
    odometry[1:, :2] = odometry[0, :2] + np.cumsum(step, axis=0)
    without = errors(silent(recording), ZeroShotTracker(site, WEIGHTS))
    tracker = ZeroShotTracker(site, WEIGHTS)
    error = errors(replace(recording, odometry=odometry, turn_rate=None), tracker)
    assert error[10:].mean() < 1.1 * without[10:].mean()
    assert error[270:].mean() < 1.2  # back on it after both


def test_corrections_that_all_pull_one_way_are_slip_and_white_ones_are_not() -> None:
    rng, white, pulled = np.random.default_rng(0), SlipWatch(), SlipWatch()
    for _ in range(200):
        noise = 0.1 * rng.standard_normal(2)
        white.add(noise, 0.01 * np.eye(2), 1.0)
        assert not white.slips
        pulled.add(noise + np.array([0.2, 0.0]), 0.01 * np.eye(2), 1.0)
    assert pulled.slips


def test_missing_odometry_for_a_while_is_survived() -> None:
    recording, site = house(104)
    assert recording.odometry is not None
    odometry = recording.odometry.copy()
    odometry[60:90] = np.nan
    error = errors(
        replace(recording, odometry=odometry, turn_rate=None), ZeroShotTracker(site, WEIGHTS)
    )
    assert error[10:].mean() < 0.3


def test_a_marked_point_sets_the_position_and_tells_of_biases() -> None:
    recording, site = house(105, seconds=40.0)
    tracker = ZeroShotTracker(site, WEIGHTS, ZeroShotConfig(memory=True))
    errors(recording, tracker)
    assert recording.truth is not None
    place = recording.truth[-1, :2]
    said = tracker.calibrate(place, sigma=0.02)
    assert np.linalg.norm(said.position - place) < 0.03
    assert tracker.memory is not None
    tracker.predict(1.0, Motion())
    assert tracker.estimate is not None


def test_a_copy_looks_ahead_without_leaving_a_trace() -> None:
    recording, site = house(106, seconds=60.0)
    tracker = ZeroShotTracker(site, WEIGHTS, ZeroShotConfig(memory=True))
    errors(recording, tracker)
    assert tracker.memory is not None
    state = (tracker._mean.copy(), tracker._covariance.copy(), tracker._age.copy())
    memory, drag = tracker.memory.weight.copy(), tracker._slip.drag.copy()
    ranges = RecordingSource(recording).measure(np.arange(5), float(recording.times[-1]))
    for _ in range(2 * (LAG + EVERY)):
        copy(tracker).update(ranges)
    now = (tracker._mean, tracker._covariance, tracker._age)
    for before, after in zip(state, now, strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(memory, tracker.memory.weight)
    np.testing.assert_array_equal(drag, tracker._slip.drag)


def test_memory_goes_to_its_file_and_comes_back(tmp_path: Path) -> None:
    recording, site = house(107, seconds=90.0)
    config = ZeroShotConfig(memory=True, memory_file=str(tmp_path / "place.npz"))
    first = ZeroShotTracker(site, WEIGHTS, config)
    errors(recording, first)
    first.save_memory()
    assert first.estimate is not None
    again = ZeroShotTracker(site, WEIGHTS, config)
    assert first.memory is not None
    assert again.memory is not None
    assert first.memory.weight.sum() > 10.0
    np.testing.assert_allclose(again.memory.mean, first.memory.mean, atol=1e-6)
    mean, confidence = first.place_biases(first.estimate.position)
    assert mean.shape == confidence.shape == (5,)
    again.start(Estimate(0.0, np.zeros(4), np.eye(4)))
    assert again.memory.weight.sum() > 10.0  # a new start forgets the track, not the place


@pytest.mark.slow
def test_memory_is_no_worse_where_the_biases_are_others_than_remembered() -> None:
    without, changed = [], []
    for seed in (110, 111, 112):
        recording, site = house(seed)
        elsewhere, _ = house(seed + 50, seconds=300.0)
        learned = ZeroShotTracker(site, WEIGHTS, ZeroShotConfig(memory=True))
        errors(elsewhere, learned)
        tracker = ZeroShotTracker(site, WEIGHTS, memory=learned.memory)
        changed.append(errors(recording, tracker)[10:].mean())
        without.append(errors(recording, ZeroShotTracker(site, WEIGHTS))[10:].mean())
    assert np.mean(changed) < 1.1 * np.mean(without)


def test_the_smoother_is_the_batch_solution_of_a_random_walk() -> None:
    rng, size = np.random.default_rng(0), LAG + EVERY
    noise, steps = 0.5, rng.standard_normal(size)
    measured = np.cumsum(steps) + noise * rng.standard_normal(size)
    smoother: LagSmoother[int] = LagSmoother()
    mean, variance, found = 0.0, 1e-9, []
    for row in range(size):
        prior = variance + 1.0
        gain = prior / (prior + noise**2)
        before, mean, variance = mean, mean + gain * (measured[row] - mean), (1.0 - gain) * prior
        moment = Moment(
            np.array([mean]),
            np.array([[variance]]),
            np.array([before]),
            np.array([[prior]]),
            np.eye(1),
            row,
        )
        found += smoother.add(moment)
    difference = np.eye(size) - np.eye(size, k=-1)
    information = difference.T @ difference + np.eye(size) / noise**2
    exact = np.linalg.solve(information, measured / noise**2)
    assert [note for note, _, _ in found] == list(range(EVERY))
    np.testing.assert_allclose([m[0] for _, m, _ in found], exact[:EVERY], atol=1e-6)
    spread = np.diag(np.linalg.inv(information))[:EVERY]
    np.testing.assert_allclose([c[0, 0] for _, _, c in found], spread, atol=1e-6)
