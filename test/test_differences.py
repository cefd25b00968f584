# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time differences: the offset of a blink means nothing, and the tag is found all the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from worlds import READY_TRACKERS, circle_recording, square_anchors

from locdreamer_ros.cli import main
from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.range_table import save_recording
from locdreamer_ros.differences import as_ranges
from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.run import evaluate, run_offline
from locdreamer_ros.loop import Loop
from locdreamer_ros.methods import Method, make_scheduler, make_tracker
from locdreamer_ros.recording import RecordingSource
from locdreamer_ros.trackers.kalman import huber_update, linearise_ranges
from locdreamer_ros.types import Estimate, Ranges, Site
from locdreamer_ros.zero_shot.layout import COMMON, FREE_M

WITHIN_M = {"zero-shot": 0.15, "grid": 0.25, "particle": 0.3}
"""Mean error on the circle; of the Kalman trackers 0.13."""


def blink(values: np.ndarray, offset: float, **more: object) -> Ranges:
    return Ranges.of(np.arange(values.size), values + offset, 0.0, differences=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", READY_TRACKERS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_tracks_a_circle_from_differences_alone(name: str, dimensions: int) -> None:
    recording = circle_recording(anchors=square_anchors(8, seed=1), duration=7.0).as_differences()
    assert (recording.ranges[:, 0] == 0.0).all()
    assert (recording.ranges < 0.0).any()
    track, report = evaluate(
        recording, Method(tracker=name, dimensions=str(dimensions), tag_height=1.0)
    )
    assert track.unfixed == 0
    assert report["scheduler"] == "(listens)"
    assert report["ranges_per_fix"] == 8.0
    assert report["mae"] < WITHIN_M.get(name, 0.13) * (1.0 if dimensions == 2 else 1.5)
    assert report["restarts"] == 0


@pytest.mark.parametrize("name", READY_TRACKERS)
def test_the_offset_of_a_blink_means_nothing(name: str) -> None:
    site = Site(square_anchors(5), 2, 1.0)
    values = np.array([5.0, 4.4, 4.1, 4.6, 5.2])
    means = []
    for offset in (0.0, -40.0, 700.0):
        tracker = make_tracker(name, site)
        tracker.start(Estimate(0.0, np.array([5.0, 4.0, 0.1, 0.1]), np.eye(4) * 0.09))
        tracker.predict(0.2)
        first = tracker.update(replace(blink(values, offset), stamp=np.full(5, 0.2)))
        tracker.predict(0.2)
        second = tracker.update(replace(blink(values + 0.1, -offset), stamp=np.full(5, 0.4)))
        means.append(np.concatenate([first.mean, second.mean, second.covariance.ravel()]))
    np.testing.assert_allclose(means[1], means[0], atol=1e-8)
    np.testing.assert_allclose(means[2], means[0], atol=1e-8)


def test_a_blink_is_its_differences_row_by_row() -> None:
    """Against the textbook: the rows |p - p_k| - |p - p_0| with their correlated noise."""
    site = Site(square_anchors(6), 2, 1.0)
    prior, covariance = np.array([4.5, 3.5, 0.2, 0.0]), np.diag([0.5, 0.3, 0.2, 0.2])
    rng = np.random.default_rng(3)
    covariance += 0.05 * np.ones((4, 4))
    values = rng.uniform(3.0, 6.0, 6)
    sigma = rng.uniform(0.1, 0.3, 6)
    ranges = blink(values, -values[0])

    def linearise(state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return linearise_ranges(site, state, 0.0, ranges)

    mean, posterior = huber_update(
        prior,
        covariance,
        ranges.value,
        sigma,
        linearise,
        huber=np.inf,
        iterations=1,
        differences=True,
    )
    expected, jacobian = linearise(prior)
    rows = jacobian[1:] - jacobian[0]
    noise = np.diag(sigma[1:] ** 2) + sigma[0] ** 2
    gain = covariance @ rows.T @ np.linalg.inv(rows @ covariance @ rows.T + noise)
    off = (values[1:] - values[0]) - (expected[1:] - expected[0])
    np.testing.assert_allclose(mean, prior + gain @ off, atol=1e-10)
    np.testing.assert_allclose(posterior, covariance - gain @ rows @ covariance, atol=1e-10)
    # And it is what ranges with an offset of large variance say.
    wide = jacobian @ covariance @ jacobian.T + np.diag(sigma**2) + 1e8
    gain = covariance @ jacobian.T @ np.linalg.inv(wide)
    np.testing.assert_allclose(mean, prior + gain @ (ranges.value - expected), atol=1e-5)


def test_one_anchor_alone_says_nothing() -> None:
    site = Site(square_anchors(5), 2, 1.0)
    for name in ("ekf", "robust-ekf", "bias-ekf", "zero-shot"):
        tracker = make_tracker(name, site)
        tracker.start(Estimate(0.0, np.array([5.0, 4.0, 0.1, 0.1]), np.eye(4) * 0.09))
        before = tracker.estimate
        after = tracker.update(Ranges.of([2], [1.0], 0.0, differences=True))
        np.testing.assert_allclose(after.mean, before.mean)
        np.testing.assert_allclose(after.covariance, before.covariance)


def test_a_blink_says_where_it_was_by_two_more_than_the_unknowns() -> None:
    anchors = square_anchors(8)
    for dimensions, place in ((2, [1.0, 6.5, 1.0]), (3, [6.0, 2.5, 1.6])):
        site = Site(anchors, dimensions, 1.0)
        distance = np.linalg.norm(anchors.positions - place, axis=1)
        found = as_ranges(site, blink(distance, -123.0), None)
        np.testing.assert_allclose(found.value, distance, atol=1e-3)
        enough = np.arange(8) < dimensions + 2
        some = blink(distance, 55.0)[enough]
        np.testing.assert_allclose(as_ranges(site, some, None).value, distance[enough], atol=0.05)
        assert len(as_ranges(site, some[np.arange(dimensions + 1)], None)) == 0
        wild = distance.copy()
        wild[5] += 12.0
        np.testing.assert_allclose(as_ranges(site, blink(wild, 7.0), None).value, wild, atol=1e-2)


def test_a_wild_anchor_is_named_and_a_tag_carried_away_is_found_again() -> None:
    recording = circle_recording(duration=30.0)
    recording.ranges[100:, 2] += 6.0
    site = Site(recording.anchors, 2, 1.0)
    made = make_tracker("ekf", site), make_scheduler("all", site)
    done = run_offline(recording.as_differences(), site, *made, budget=8)
    assert done.loops[0].watch.naming.named == {2}
    error = np.linalg.norm(done.tracks[0].mean[:, :2] - recording.truth[:, :2], axis=1)
    assert error[200:].max() < 0.6
    moved = circle_recording(duration=20.0)
    there = moved.truth[100:] + np.array([3.0, -2.0, 0.0])
    moved.ranges[100:] = np.linalg.norm(there[:, None] - moved.anchors.positions, axis=-1)
    made = make_tracker("robust-ekf", site), make_scheduler("all", site)
    done = run_offline(moved.as_differences(), site, *made, budget=8)
    error = np.linalg.norm(done.tracks[0].mean[150:, :2] - there[50:, :2], axis=1)
    assert error.max() < 0.5


def test_a_table_of_differences_comes_back_and_is_not_taken_for_ranges(tmp_path: Path) -> None:
    recording = circle_recording(duration=2.0)
    recording.ranges[3, 0] = np.nan
    blinks = recording.as_differences()
    np.testing.assert_array_equal(blinks.ranges[3, 1], 0.0)
    path = tmp_path / "x.csv"
    save_recording(path, blinks)
    assert path.read_text().startswith("t_s,gt_x,gt_y,gt_z,d_A1,")
    back = load_recording(path, differences=True)
    assert back.differences
    np.testing.assert_array_equal(back.ranges, blinks.ranges)
    assert main(["track", str(path), "--tag-height", "1", "--json", str(tmp_path / "x.json")]) == 0
    report = json.loads((tmp_path / "x.json").read_text())
    assert (report["scheduler"], report["ranges_per_fix"]) == ("(listens)", 8.0)
    with pytest.raises(InputError, match=r"x\.csv: expected ranges, it holds time differences"):
        load_recording(path)
    path.write_text(path.read_text().replace("d_A1", "d_B9"))
    with pytest.raises(InputError, match=r"column d_B9: no anchor"):
        load_recording(path, differences=True)


def test_nothing_that_was_known_of_a_common_bias_counts_in_a_blink() -> None:
    """`zero-shot` after ranges, which tell it much of the bias that all of them share."""
    site = Site(square_anchors(6), 2, 1.0)
    tracker = make_tracker("zero-shot", site).model
    tracker.start(Estimate(0.0, np.array([5.0, 4.0, 0.1, 0.1]), np.eye(4) * 0.09, offset=0.5))
    values = site.expected(np.array([[4.8, 4.1]]), np.arange(6))
    tracker.update(Ranges.of(np.arange(6), values + 0.5, 0.0))
    assert abs(tracker.state.covariance[COMMON, 0]) > 1e-4
    tracker.predict(0.2)
    kept = tracker.state.covariance.copy()
    tracker._of_blink(blink(values, 3.0), 0.2)
    kept[COMMON] = kept[:, COMMON] = 0.0
    kept[COMMON, COMMON] = FREE_M**2
    np.testing.assert_array_equal(tracker.state.covariance, kept)
    assert tracker.offset == 0.0


def test_a_lost_tag_is_looked_for_by_the_blinks_alone() -> None:
    """After a long silence, 8 m from where it was: the offset is not taken from the old place."""
    recording = circle_recording(duration=3.0)
    later = replace(recording, times=recording.times + 30.0)
    later.ranges[:] = np.linalg.norm(
        later.truth[:, None] + [-6.5, -4.0, 0.0] - later.anchors.positions, axis=-1
    )
    site = Site(recording.anchors, 2, 1.0)
    loop = Loop(make_tracker("robust-ekf", site), make_scheduler("all", site), site, budget=8)
    for part in (recording.as_differences(), later.as_differences()):
        source = RecordingSource(part)
        for time in part.times[:3]:
            step = loop.step(source, float(time))
    error = step.estimate.position - later.truth[2, :2] - [-6.5, -4.0]
    assert np.linalg.norm(error) < 0.3
