# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Far outside the anchors a bias EKF answers: what lasts of ranges' errors is most of it there."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import square_anchors

from locdreamer_ros.trackers.ekf import RobustEkfConfig, robust_ekf
from locdreamer_ros.types import Estimate, Ranges, Site
from locdreamer_ros.zero_shot.far_field import FAR, FarFieldTracker
from locdreamer_ros.zero_shot.model_file import shipped
from locdreamer_ros.zero_shot.tracker import ZeroShotTracker

SITE = Site(square_anchors(4), 2, 1.0)
OFFSETS = np.array([0.09, -0.075, -0.06, 0.1])
"""Of the anchors, m: as large as of modules that nobody calibrated."""


def followed(tracker, place, steps=40):
    """The estimates of a tag that stands at `place`, heard by anchors that are off by `OFFSETS`."""
    rng = np.random.default_rng(0)
    tracker.start(Estimate(0.0, np.array([*place, 0.0, 0.0]), np.eye(4)))
    offset = np.array([*place, 1.0]) - SITE.anchors.positions
    for number in range(1, steps + 1):
        tracker.predict(0.1)
        value = np.linalg.norm(offset, axis=1) + OFFSETS + 0.03 * rng.standard_normal(4)
        tracker.update(Ranges.of(np.arange(4), value, 0.1 * number))
    return tracker.estimate


@pytest.fixture
def tracker():
    return FarFieldTracker(SITE, ZeroShotTracker(SITE, shipped()))


def mahalanobis(estimate, place):
    off = estimate.position - np.array(place)
    return float(off @ np.linalg.solve(estimate.position_covariance, off))


def errors(tracker):
    """Distances to the truth (1199,) m: an ellipse of 90 x 74 m about anchors 9 m apart, 10 Hz."""
    rng = np.random.default_rng(1)
    times = 0.1 * np.arange(1200)
    turn = 2.0 * np.pi * times / times[-1]
    truth = np.stack([4.0 + 45.0 * np.cos(turn), 4.0 + 37.0 * np.sin(turn)], axis=1)
    velocity = np.gradient(truth, times, axis=0)
    tracker.start(Estimate(0.0, np.concatenate([truth[0], velocity[0]]), 0.2 * np.eye(4)))
    found = []
    for time, place in zip(times[1:], truth[1:], strict=True):
        tracker.predict(0.1)
        distance = np.linalg.norm(np.append(place, 1.0) - SITE.anchors.positions, axis=1)
        value = distance + OFFSETS + 0.1 * rng.standard_normal(4)
        told = tracker.update(Ranges.of(np.arange(4), value, time))
        found.append(float(np.linalg.norm(told.position - place)))
    return found


def test_far_out_the_ellipse_holds_what_lasting_offsets_do(tracker):
    place = (60.0, 40.0)
    told = followed(tracker, place)
    plain = followed(robust_ekf(SITE, RobustEkfConfig()), place)
    assert tracker.fallback == FAR
    assert mahalanobis(plain, place) > 9.0, "over three sigma off by its own account"
    assert mahalanobis(told, place) < 5.991


def test_far_out_a_walk_tells_what_lasts_of_the_offsets(tracker):
    told = np.mean(errors(tracker))
    assert told < 0.85 * np.mean(errors(robust_ekf(SITE, RobustEkfConfig())))


def test_near_the_anchors_the_model_answers_for_itself(tracker):
    told = followed(tracker, (1.0, 2.0))
    own = followed(ZeroShotTracker(SITE, shipped()), (1.0, 2.0))
    assert tracker.fallback == ""
    np.testing.assert_array_equal(told.covariance, own.covariance)
