# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the zero-shot model cannot be trusted, the standby answers and says why."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from worlds import circle_recording, follow, square_anchors

from locdreamer_ros.methods import make_scheduler, make_tracker
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Estimate, Ranges, Site
from locdreamer_ros.zero_shot.guard import LIMITS, STRANGE, GuardedZeroShot
from locdreamer_ros.zero_shot.model_file import Weights, save_weights, shipped
from locdreamer_ros.zero_shot.tracker import ZeroShotTracker


def run(recording, site, scheduler="gdop", **more):
    tracker = make_tracker("zero-shot", site, **more)
    steps, errors = follow(recording, tracker, make_scheduler(scheduler, site), site)
    for step in steps:
        assert np.isfinite(step.estimate.mean).all()
        assert np.linalg.eigvalsh(step.estimate.covariance).min() > 0.0
    return tracker, errors


@pytest.fixture
def circle():
    recording = circle_recording(duration=20.0)
    return recording, Site(recording.anchors, 2, 1.0)


def test_where_all_is_well_the_guard_changes_nothing(circle):
    recording, site = circle
    tracker, errors = run(recording, site)
    assert not tracker.fallbacks
    bare = ZeroShotTracker(site, shipped())
    _, without = follow(recording, bare, make_scheduler("gdop", site), site)
    np.testing.assert_array_equal(errors, without)


@pytest.mark.parametrize("place", ["house", "hall", "lab"])
def test_no_alarm_in_simulated_places(place):
    recording = simulate(place, duration=40.0, rate=2.0, seed=1)
    site = Site.of(recording.anchors, "2", make_world(place, 1).tag_height)
    tracker, _ = run(recording, site)
    assert sum(tracker.fallbacks.values()) <= 2


def test_metres_of_garbage_noise_are_noticed(circle):
    recording, site = circle
    noise = 3.0 * np.random.default_rng(0).standard_normal(recording.ranges.shape)
    garbage = dataclasses.replace(recording, ranges=np.abs(recording.ranges + noise))
    tracker, _ = run(garbage, site)
    assert tracker.fallback == STRANGE
    assert tracker.fallbacks[STRANGE] > 100


# A factor of two looks much like biases: it is noticed now and then, not always.
@pytest.mark.parametrize(("scale", "least"), [(2.0, 15), (3.28, 50), (100.0, 50)])
def test_ranges_of_another_scale_are_noticed(circle, scale, least):
    recording, site = circle
    tracker, _ = run(dataclasses.replace(recording, ranges=scale * recording.ranges), site)
    assert sum(tracker.fallbacks.values()) > least


def test_the_model_returns_when_ranges_are_good_again():
    recording = circle_recording(duration=40.0)
    site = Site(recording.anchors, 2, 1.0)
    noise = np.random.default_rng(0).standard_normal((50, len(recording.anchors)))
    recording.ranges[100:150] = np.abs(recording.ranges[100:150] + 4.0 * noise)
    tracker, errors = run(recording, site)
    assert tracker.fallbacks[STRANGE] > 10
    assert tracker.fallback == ""
    assert np.mean(errors[-50:]) < 0.15


def test_nan_weights_are_survived(circle):
    recording, site = circle
    weights = shipped()
    broken = {k: np.full_like(v, np.nan) for k, v in weights.arrays.items()}
    tracker = GuardedZeroShot(
        site, ZeroShotTracker(site, Weights(broken)), np.array(LIMITS), "broken"
    )
    _, errors = follow(recording, tracker, make_scheduler("gdop", site), site)
    assert tracker.fallback == "model not finite"
    assert np.mean(errors[10:]) < 0.2


@pytest.mark.parametrize(("dt", "standby"), [(0.01, True), (0.1, False), (10.0, True)])
def test_steps_unlike_the_trainings_are_the_standbys(dt, standby):
    site = Site(square_anchors(), 2, 1.0)
    tracker = make_tracker("zero-shot", site)
    tracker.start(Estimate(0.0, np.array([4.0, 4.0, 0.0, 0.0]), 0.1 * np.eye(4)))

    def turn(dt):
        time = tracker.estimate.time + dt
        tracker.predict(dt)
        value = site.expected(np.array([[4.0, 4.0]]), np.arange(5))
        return tracker.update(Ranges.of(np.arange(5), value, time))

    turn(0.2)
    turn(dt)
    assert tracker.fallback.startswith("step") == standby
    said = turn(0.2)
    assert tracker.fallback == ""
    assert np.hypot(*(said.position - 4.0)) < 0.2


def test_limits_come_from_the_model_file(circle, tmp_path):
    recording, site = circle
    weights = shipped()
    path = tmp_path / "shy.safetensors"
    save_weights(path, Weights(weights.arrays, {"limits": [0.01] * 8}))
    tracker, _ = run(recording, site, model=str(path))
    assert tracker.fallback == STRANGE
    assert tracker.model_name == str(path)


def test_in_space_another_tracker_stands_in():
    recording = circle_recording(duration=5.0)
    site = Site(recording.anchors, 3)
    tracker, _ = run(recording, site)
    assert tracker.fallback == "zero-shot tracks in 2 dimensions: bias-ekf"
    assert tracker.estimate.dimensions == 3
