# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The world model as a tracker: the role's contract, and the robust EKF standing by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rooms import trained  # noqa: E402
from worlds import circle_recording, follow, square_anchors  # noqa: E402

from locdreamer_ros.locdreamer.model_file import Trained  # noqa: E402
from locdreamer_ros.locdreamer.tracker import PAUSE, LocDreamerTracker  # noqa: E402
from locdreamer_ros.methods import make_scheduler  # noqa: E402
from locdreamer_ros.recording import Recording  # noqa: E402
from locdreamer_ros.types import Anchors, Estimate, Ranges, Site  # noqa: E402


def begun(site: Site, model: Trained | None = None) -> LocDreamerTracker:
    tracker = LocDreamerTracker(site, model or trained())
    mean = np.array([5.0, 4.0, 0.1, 0.1])
    tracker.start(Estimate(0.0, mean, np.diag([0.09, 0.09, 0.25, 0.25])))
    return tracker


@pytest.mark.parametrize("scheduler", ["random", "all", "gdop"])
def test_tracks_a_circle(scheduler):
    recording = circle_recording(anchors=square_anchors(8, seed=1), duration=30.0, rate=2.0)
    site = Site(recording.anchors, 2, 1.0)
    tracker = LocDreamerTracker(site, trained())
    steps, errors = follow(recording, tracker, make_scheduler(scheduler, site), site, budget=4)
    assert tracker.fallback == ""
    assert np.mean(errors[10:]) < 0.2
    for step in steps:
        assert step.estimate.mean.dtype == np.float64
        assert np.linalg.eigvalsh(step.estimate.covariance).min() > 0.0


def test_order_of_ranges_does_not_matter():
    site = Site(square_anchors(), 2, 1.0)
    means = []
    for order in (np.arange(5), np.array([3, 0, 4, 2, 1])):
        tracker = begun(site)
        tracker.predict(0.5)
        values = np.array([5.0, 4.4, 4.1, 4.6, 5.2])
        means.append(tracker.update(Ranges.of(order, values[order], 0.5)).mean)
    np.testing.assert_allclose(means[0], means[1], atol=1e-5)


def test_an_empty_answer_leaves_the_prior():
    tracker = begun(Site(square_anchors(), 2, 1.0))
    prior = tracker.predict(0.5)
    posterior = tracker.update(Ranges.of(np.arange(3), np.full(3, np.nan), 0.5))
    np.testing.assert_array_equal(prior.mean, posterior.mean)
    assert posterior.time == 0.5
    longer = tracker.predict(1.0)
    assert np.trace(longer.position_covariance) > np.trace(prior.position_covariance)


def test_a_late_range_counts_at_its_own_time():
    anchors = square_anchors()
    times = np.arange(0.0, 6.0, 0.2)
    truth = np.stack([1.0 + times, np.full(times.size, 4.0), np.ones(times.size)], axis=1)
    asked = truth - np.array([0.3, 0.0, 0.0])
    ranges = np.linalg.norm(asked[:, None, :] - anchors.positions, axis=-1)
    stamps = np.repeat(times[:, None] - 0.3, len(anchors), axis=1)
    site = Site(anchors, 2, 1.0)

    def bias(recording: Recording) -> float:
        steps, _ = follow(
            recording,
            LocDreamerTracker(site, trained()),
            make_scheduler("all", site),
            site,
            budget=8,
        )
        return float(
            np.mean([s.estimate.position[0] - t[0] for s, t in zip(steps, truth, strict=True)][15:])
        )

    known = bias(Recording("late", anchors, times, ranges, truth, stamps))
    ignored = bias(Recording("late", anchors, times, ranges, truth))
    assert ignored < -0.15
    assert abs(known) < 0.6 * abs(ignored)


def test_before_the_first_fix_there_is_no_estimate():
    tracker = LocDreamerTracker(Site(square_anchors(), 2, 1.0), trained())
    assert tracker.estimate is None
    with pytest.raises(RuntimeError, match="first fix"):
        tracker.predict(0.1)


def test_a_step_outside_training_falls_back_and_returns():
    site = Site(square_anchors(), 2, 1.0)
    tracker = begun(site, trained((1.0, 1.0)))
    tracker.predict(0.01)
    assert "trained for 0.5 to 2 s" in tracker.fallback
    tracker.update(Ranges.of(np.arange(4), [5.0, 4.4, 4.1, 4.6], 0.01))
    tracker.predict(1.0)
    assert tracker.fallback == ""
    assert tracker.update(Ranges.of(np.arange(4), [5.0, 4.4, 4.1, 4.6], 1.01)).time == 1.01
    assert list(tracker.fallbacks.values()) == [1]


def test_anchors_elsewhere_fall_back():
    anchors = square_anchors()
    far = Anchors(anchors.ids, anchors.positions + 100.0)
    tracker = LocDreamerTracker(Site(far, 2, 101.0), trained())
    tracker.start(Estimate(0.0, np.array([104.0, 104.0, 0.0, 0.0]), np.eye(4)))
    tracker.predict(0.5)
    assert tracker.fallback == "anchors outside the area of training"


def test_numbers_that_are_not_fall_back():
    model = trained()
    tracker = begun(Site(square_anchors(), 2, 1.0), model)
    with torch.no_grad():
        model.model.encoder.head[-1].bias.fill_(torch.nan)
    tracker.predict(0.5)
    estimate = tracker.update(Ranges.of(np.arange(4), [5.0, 4.4, 4.1, 4.6], 0.5))
    assert tracker.fallback == "model not finite"
    assert np.isfinite(estimate.mean).all()
    tracker.predict(0.5)
    assert np.isfinite(tracker.estimate.covariance).all()


def test_a_late_model_falls_back(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("locdreamer_ros.locdreamer.tracker.thread_time", lambda: float(next(clock)))
    tracker = begun(Site(square_anchors(), 2, 1.0))
    for _ in range(3):
        tracker.predict(0.5)
    assert tracker.fallback == "model late"
    # It is tried again after a while, and is in time now.
    monkeypatch.setattr("locdreamer_ros.locdreamer.tracker.thread_time", lambda: 0.0)
    pauses = 0
    while tracker.fallback:
        tracker.update(Ranges.of(np.arange(4), [5.0, 4.4, 4.1, 4.6], tracker.estimate.time))
        tracker.predict(0.5)
        pauses += 1
        assert pauses <= PAUSE + 1
    assert pauses > PAUSE


def test_raw_form_tracks_too():
    tracker = begun(Site(square_anchors(), 2, 1.0), trained(encoder="raw"))
    tracker.predict(0.5)
    estimate = tracker.update(Ranges.of(np.arange(4), [5.0, 4.4, 4.1, 4.6], 0.5))
    assert np.isfinite(estimate.mean).all()


def test_errors_that_last_are_in_the_covariance():
    """Anchors all around, each off by .2 m all along: of eight, G b is .2 m / sqrt(8 / 2)."""
    site = Site(square_anchors(), 2, 1.0)
    middle = np.array([4.0, 4.0, 0.0, 0.0])
    everybody = np.arange(8)
    values = site.expected(middle[None, :2], everybody)
    said = []
    for lasting in (0.0, 0.2):
        tracker = begun(site, replace(trained(), lasting_m=lasting))
        tracker.start(Estimate(0.0, middle, 0.01 * np.eye(4)))
        prior = tracker.predict(0.5)
        np.testing.assert_array_equal(prior.covariance[:2, 2:], tracker.estimate.covariance[:2, 2:])
        said.append(tracker.update(Ranges.of(everybody, values, 0.5)))
    plain, honest = said
    np.testing.assert_array_equal(plain.mean, honest.mean)
    more = honest.position_covariance - plain.position_covariance
    np.testing.assert_allclose(more, 0.01 * np.eye(2), atol=0.0015)
    np.testing.assert_array_equal(plain.covariance[2:, 2:], honest.covariance[2:, 2:])


def test_one_anchor_moves_the_position_along_its_own_line_only():
    site = Site(square_anchors(), 2, 1.0)
    tracker = begun(site, replace(trained(), lasting_m=0.2))
    tracker.predict(0.5)
    tracker.update(Ranges.of(np.array([0]), np.array([4.5]), 0.5))
    away = tracker.estimate.position - site.anchors.positions[0, :2]
    along = away / np.linalg.norm(away)
    moved = tracker._lasting(tracker.estimate.position)
    assert along @ moved @ along == pytest.approx(np.trace(moved))
    assert 0.02 < np.trace(moved) < 0.05
