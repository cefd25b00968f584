# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every tracker must do, whatever its mathematics."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import READY_TRACKERS, circle_recording, follow, square_anchors

from locdreamer_ros.errors import InputError
from locdreamer_ros.integrity.first_fix import first_fix
from locdreamer_ros.methods import PRESETS, make_scheduler, make_tracker
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.types import Estimate, Ranges, Site

# The default tunings expect a range to be a little long (grid, particle); this is LOS noise.
WITHIN_M = {
    "ekf": 0.12,
    "robust-ekf": 0.12,
    "bias-ekf": 0.15,
    "grid": 0.25,
    "particle": 0.3,
    "zero-shot": 0.15,
}


def begun(name: str, site: Site, **more: object) -> tuple[object, Estimate]:
    tracker = make_tracker(name, site, **more)  # type: ignore[arg-type]
    d = site.dimensions
    mean = np.concatenate([[5.0, 4.0, 1.0][:d], np.full(d, 0.1)])
    tracker.start(Estimate(0.0, mean, np.diag([0.09] * d + [0.25] * d)))
    return tracker, tracker.estimate


def test_every_tracker_is_tested() -> None:
    assert set(WITHIN_M) == set(READY_TRACKERS), "each has its limit in WITHIN_M"


@pytest.mark.parametrize("name", READY_TRACKERS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_tracks_a_circle(name: str, dimensions: int) -> None:
    recording = circle_recording(anchors=square_anchors(8, seed=1))
    site = Site(recording.anchors, dimensions, 1.0)
    steps, errors = follow(
        recording, make_tracker(name, site), make_scheduler("random", site), site, budget=4
    )
    assert steps[0].ranges.anchor.size == 8, "the first fix asks all"
    assert all(step.ranges.anchor.size == 4 for step in steps[1:])
    limit = WITHIN_M[name] * (1.0 if dimensions == 2 else 1.5)
    assert np.mean(errors[10:]) < limit
    for step in steps:
        assert step.estimate.mean.shape == (2 * dimensions,)
        assert np.linalg.eigvalsh(step.estimate.covariance).min() > 0.0


@pytest.mark.parametrize("name", READY_TRACKERS)
def test_order_of_ranges_does_not_matter(name: str) -> None:
    site = Site(square_anchors(), 2, 1.0)
    means = []
    for order in (np.arange(5), np.array([3, 0, 4, 2, 1])):
        tracker, _ = begun(name, site)
        tracker.predict(0.5)
        values = np.array([5.0, 4.4, 4.1, 4.6, 5.2])
        means.append(tracker.update(Ranges.of(order, values[order], 0.5)).mean)
    np.testing.assert_allclose(means[0], means[1], atol=1e-9)


@pytest.mark.parametrize("name", READY_TRACKERS)
def test_an_empty_answer_leaves_the_prior(name: str) -> None:
    site = Site(square_anchors(), 2, 1.0)
    tracker, _ = begun(name, site)
    prior = tracker.predict(0.5)
    posterior = tracker.update(Ranges.of(np.arange(3), np.full(3, np.nan), 0.5))
    np.testing.assert_array_equal(prior.mean, posterior.mean)
    assert posterior.time == 0.5
    longer = tracker.predict(2.0)
    assert np.trace(longer.position_covariance) > np.trace(prior.position_covariance)


@pytest.mark.parametrize("name", READY_TRACKERS)
def test_a_late_range_counts_at_its_own_time(name: str) -> None:
    """A tag that passes at 1 m/s: ranges of 0.3 s ago, taken as of now, would pull it back."""
    anchors = square_anchors()
    times = np.arange(0.0, 6.0, 0.2)
    truth = np.stack([1.0 + times, np.full(times.size, 4.0), np.ones(times.size)], axis=1)
    asked = truth - np.array([0.3, 0.0, 0.0])
    ranges = np.linalg.norm(asked[:, None, :] - anchors.positions, axis=-1)
    stamps = np.repeat(times[:, None] - 0.3, len(anchors), axis=1)
    site = Site(anchors, 2, 1.0)

    def bias(recording: Recording) -> float:
        steps, _ = follow(
            recording, make_tracker(name, site), make_scheduler("all", site), site, budget=8
        )
        return float(
            np.mean([s.estimate.position[0] - t[0] for s, t in zip(steps, truth, strict=True)][15:])
        )

    known = bias(Recording("late", anchors, times, ranges, truth, stamps))
    ignored = bias(Recording("late", anchors, times, ranges, truth))
    assert ignored < -0.15
    assert abs(known) < 0.6 * abs(ignored)


@pytest.mark.parametrize("name", READY_TRACKERS)
def test_one_wild_range_is_survived(name: str) -> None:
    recording = circle_recording(duration=30.0)
    recording.ranges[100:103, 2] += 25.0
    site = Site(recording.anchors, 2, 1.0)
    _, errors = follow(
        recording, make_tracker(name, site), make_scheduler("all", site), site, budget=8
    )
    assert np.mean(errors[-50:]) < WITHIN_M[name]


@pytest.mark.parametrize("name", READY_TRACKERS)
def test_a_range_counts_less_the_less_sure_its_sender_is(name: str) -> None:
    site = Site(square_anchors(), 2, 1.0)
    values = np.array([5.0, 4.4, 4.1, 4.6, 5.2])

    def moved(variance: float) -> np.ndarray:
        """By how far a range that is 40 cm longer moves the tag."""
        places = []
        for longer in (0.0, 0.4):
            tracker, _ = begun(name, site)
            tracker.predict(0.1)
            stated = np.array([np.nan, np.nan, variance, np.nan, np.nan])
            ranges = values + np.array([0.0, 0.0, longer, 0.0, 0.0])
            found = Ranges.of(np.arange(5), ranges, 0.1, variance=stated)
            places.append(tracker.update(found).position)
        return places[1] - places[0]

    plain = moved(np.nan)
    for surer in (0.0, 1e-6, -1.0):  # and what is no variance
        np.testing.assert_allclose(moved(surer), plain, atol=1e-9)
    assert 0.0 < np.linalg.norm(moved(1.0)) < 0.5 * np.linalg.norm(plain)


@pytest.mark.parametrize("name", READY_TRACKERS)
def test_same_seed_same_track(name: str) -> None:
    recording = circle_recording(duration=5.0)
    site = Site(recording.anchors, 2, 1.0)

    def last() -> np.ndarray:
        steps, _ = follow(
            recording,
            make_tracker(name, site, seed=4),
            make_scheduler("random", site, seed=4),
            site,
        )
        return steps[-1].estimate.mean

    np.testing.assert_array_equal(last(), last())


@pytest.mark.parametrize("name", READY_TRACKERS)
def test_before_the_first_fix_there_is_no_estimate(name: str) -> None:
    site = Site(square_anchors(), 2, 1.0)
    tracker = make_tracker(name, site)
    assert tracker.estimate is None
    with pytest.raises(RuntimeError, match="first fix"):
        tracker.predict(0.1)


@pytest.mark.parametrize("rate", [2.0, 10.0, 100.0])
def test_bias_ekf_learns_the_biases_at_every_rate(rate: float) -> None:
    bias = np.array([0.3, 0.25, 0.2, 0.3, 0.35, 0.3, 0.2, 0.3])
    duration = min(80.0, 1500 / rate)
    recording = circle_recording(duration=duration, rate=rate, sigma=0.05, bias=bias)
    site = Site(recording.anchors, 2, 1.0)
    tracker = make_tracker("bias-ekf", site)
    _, errors = follow(recording, tracker, make_scheduler("all", site), site, budget=8)
    plain = make_tracker("ekf", site)
    _, without = follow(recording, plain, make_scheduler("random", site), site)
    assert np.mean(errors[len(errors) // 2 :]) < 0.06
    assert np.mean(errors[len(errors) // 2 :]) < 0.6 * np.mean(without[len(errors) // 2 :])
    np.testing.assert_allclose(tracker.biases, bias, atol=0.08)


def test_first_fix_needs_enough_anchors_and_survives_a_wild_range() -> None:
    recording = circle_recording(sigma=0.05)
    site = Site(recording.anchors, 2, 1.0)
    source = RecordingSource(recording)
    assert first_fix(site, source.measure(np.arange(2), 0.0), time=0.0) is None
    recording.ranges[0, 3] += 6.0
    fix = first_fix(site, source.measure(np.arange(8), 0.0), time=0.0)
    assert np.hypot(*(fix.position - recording.truth[0, :2])) < 0.3
    assert fix.velocity.tolist() == [0.0, 0.0]


def test_names_presets_and_parameters_are_checked() -> None:
    site = Site(square_anchors(), 2, 1.0)
    with pytest.raises(InputError, match="unknown tracker 'ukf'; expected one of zero-shot, ekf"):
        make_tracker("ukf", site)
    with pytest.raises(InputError, match="unknown preset 'fast'"):
        make_tracker("ekf", site, preset="fast")
    with pytest.raises(InputError, match="unknown key 'sigma'"):
        make_tracker("ekf", site, parameters={"sigma": 1.0})
    with pytest.raises(InputError, match=r"sigma_n: expected a value in \[0.001, inf\]"):
        make_tracker("ekf", site, parameters={"sigma_n": -1.0})
    for preset in PRESETS:
        make_tracker("ekf", site, preset=preset)
