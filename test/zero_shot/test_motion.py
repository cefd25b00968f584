# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The zero-shot tracker with wheels, a gyro and looking ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from locdreamer_ros.integrity.first_fix import first_fix
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Site
from locdreamer_ros.zero_shot.model_file import shipped
from locdreamer_ros.zero_shot.odometry_frame import FrameFinder, SlipWatch
from locdreamer_ros.zero_shot.tracker import ZeroShotTracker

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


def test_a_copy_looks_ahead_without_leaving_a_trace() -> None:
    recording, site = house(106, seconds=60.0)
    tracker = ZeroShotTracker(site, WEIGHTS)
    errors(recording, tracker)
    state = tracker.state.packed.copy()
    drag = tracker._slip.drag.copy()
    ranges = RecordingSource(recording).measure(np.arange(5), float(recording.times[-1]))
    for _ in range(40):
        tracker.fork().update(ranges)
    np.testing.assert_array_equal(tracker.state.packed, state)
    np.testing.assert_array_equal(drag, tracker._slip.drag)
