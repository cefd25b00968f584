# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Far outside the anchors a robust EKF answers, and says how far what lasts may put it off."""

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
OFFSETS = np.array([0.12, -0.1, -0.08, 0.13])
"""Of the anchors, m: as large as of modules nobody calibrated."""


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


def test_far_out_the_ellipse_holds_what_lasting_offsets_do(tracker):
    place = (60.0, 40.0)
    told = followed(tracker, place)
    plain = followed(robust_ekf(SITE, RobustEkfConfig()), place)
    assert tracker.fallback == FAR
    np.testing.assert_array_equal(told.mean, plain.mean)
    assert mahalanobis(plain, place) > 12.0, "four sigma off by its own account"
    assert mahalanobis(told, place) < 5.991
    more = told.covariance - plain.covariance
    assert np.all(np.linalg.eigvalsh(more[:2, :2]) > 0.0)
    np.testing.assert_array_equal(more[2:], 0.0)


def test_near_the_anchors_the_model_answers_for_itself(tracker):
    told = followed(tracker, (1.0, 2.0))
    own = followed(ZeroShotTracker(SITE, shipped()), (1.0, 2.0))
    assert tracker.fallback == ""
    np.testing.assert_array_equal(told.covariance, own.covariance)
