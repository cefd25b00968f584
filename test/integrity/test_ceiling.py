# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchors all of one height, in space: ranges tell nobody above from below."""

from __future__ import annotations

import numpy as np
import pytest

from locdreamer_ros.evaluation.run import Run, run_offline, site_of
from locdreamer_ros.integrity.mirror import Mirror
from locdreamer_ros.integrity.status import State
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Anchors, FloatArray, Site

TRACKERS = ("zero-shot", "ekf")


def flown(ceiling: float, height: FloatArray | float, seed: int = 0) -> Recording:
    """15 s at 10 Hz beneath, above or through six anchors at `ceiling` m, at a height (150,) m."""
    rng = np.random.default_rng(seed)
    angle = 2.0 * np.pi * (np.arange(6) + rng.uniform(0.0, 1.0)) / 6.0
    places = np.column_stack([5 + 5 * np.cos(angle), 4 + 4 * np.sin(angle), np.full(6, ceiling)])
    times = np.arange(150) / 10.0
    way = 0.3 * times
    truth = np.column_stack([5 + 3 * np.cos(way), 4 + 2 * np.sin(way), np.zeros(150) + height])
    distance = np.linalg.norm(truth[:, None] - places, axis=-1)
    ranges = distance + 0.05 + 0.08 * rng.standard_normal(distance.shape)
    return Recording("ceiling", Anchors(tuple("abcdef"), places), times, ranges, truth)


def tracked(recording: Recording, tracker: str, given: float | None = None) -> Run:
    method = Method(tracker=tracker, scheduler="gdop", budget=4, dimensions="3")
    site = Site.of(recording.anchors, "3", given)
    made = method.make_tracker(site), method.make_scheduler(site)
    return run_offline(recording, site, *made, budget=4)


def heights(run: Run) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Error m, sigma m and state of the height, from 2 s on."""
    track = run.tracks[0]
    assert track.states is not None
    off = track.mean[20:, 2] - track.truth[20:, 2]
    return off, np.sqrt(track.covariance[20:, 2, 2]), track.states[20:]


@pytest.mark.parametrize("tracker", TRACKERS)
@pytest.mark.parametrize(("ceiling", "height"), [(3.0, 1.0), (3.0, 4.0), (3.0, 6.0), (4.0, 6.0)])
def test_where_nobody_says_on_which_side_the_covariance_holds_both(
    tracker: str, ceiling: float, height: float
) -> None:
    off, sigma, state = heights(tracked(flown(ceiling, height), tracker))
    assert (np.abs(off) < 2.0 * sigma).all()
    assert (state == State.DOUBTFUL).all()


@pytest.mark.parametrize("tracker", TRACKERS)
@pytest.mark.parametrize(
    ("ceiling", "height", "given"),
    [(3.0, 1.0, 1.0), (2.2, 1.2, 1.2), (4.0, 2.5, 1.0), (3.0, 4.2, 5.0), (4.0, 6.0, 5.0)],
)
def test_a_height_that_is_given_says_on_which(
    tracker: str, ceiling: float, height: float, given: float
) -> None:
    off, sigma, state = heights(tracked(flown(ceiling, height), tracker, given))
    assert (state == State.TRACKING).all()
    assert np.abs(off).mean() < 0.5
    assert sigma.max() < 1.0


@pytest.mark.parametrize("tracker", TRACKERS)
def test_nobody_is_beneath_the_floor(tracker: str) -> None:
    off, sigma, state = heights(tracked(flown(2.0, 6.0), tracker))
    assert np.abs(off).mean() < 0.3
    assert sigma.max() < 1.0
    assert (state == State.TRACKING).all()


def test_nobody_is_far_above_a_high_ceiling() -> None:
    """Its image at 7.5 m is not where a tag is that nobody says to be so high."""
    off, _, state = heights(tracked(flown(4.0, 0.5), "zero-shot"))
    assert np.abs(off).mean() < 0.3
    assert (state == State.TRACKING).all()


@pytest.mark.parametrize("tracker", TRACKERS)
@pytest.mark.parametrize("turns", [False, True])
def test_a_drone_at_the_ceiling_may_go_on_or_turn_back(tracker: str, turns: bool) -> None:
    at, high = ([0, 3, 7, 11, 15], [1, 1, 2.9, 1, 1]) if turns else ([0, 3, 9, 15], [1, 1, 5, 5])
    for seed in range(3):
        way = np.interp(np.arange(150) / 10.0, at, high)
        run = tracked(flown(3.0, way, seed), tracker, 1.0)
        off, sigma, state = heights(run)
        assert (np.abs(off)[-40:] < 2.0 * sigma[-40:]).all()
        assert (state[-40:] == State.DOUBTFUL).all()
        assert (state[:10] == State.TRACKING).all()
        assert run.loops[0].status().mirror


@pytest.mark.parametrize("tracker", TRACKERS)
def test_what_is_said_of_the_side_changes_no_estimate(tracker: str) -> None:
    """Nor which anchors are asked: no choice tells above from below."""
    said, unsaid = (tracked(flown(3.0, 1.0), tracker, given).tracks[0] for given in (1.0, None))
    np.testing.assert_array_equal(said.mean, unsaid.mean)


def plane(normal: FloatArray, off: float = 0.0) -> Site:
    """Six anchors around (5, 4, 2) on a plane, or off it now to one side, now to the other."""
    _, _, axes = np.linalg.svd(normal[None])
    angle = np.arange(6) * np.pi / 3.0
    ring = 5.0 * np.column_stack([np.cos(angle), np.sin(angle)])
    out_of = off * np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    places = np.array([5.0, 4.0, 2.0]) + ring @ axes[1:] + np.outer(out_of, axes[0])
    return Site(Anchors(tuple("abcdef"), places), 3, 1.0, height_sigma=2.0)


@pytest.mark.parametrize(
    ("normal", "off", "flat"),
    [
        ([0.0, 0.0, 1.0], 0.1, True),  # a ceiling
        ([0.0, 0.0, 1.0], 0.4, False),  # not quite: ranges of some seconds tell
        ([1.0, 0.0, 0.0], 0.1, True),  # a wall
        ([1.0, 0.0, 0.0], 2.5, False),
        ([1.0, 0.0, 1.0], 0.1, True),  # a slope: low on the left, high on the right
    ],
)
def test_any_plane_has_two_sides(normal: list[float], off: float, flat: bool) -> None:
    site = plane(np.array(normal), off)
    mirror = Mirror(site)
    place = np.array([7.0, 5.0, 1.0])
    mirror.look(set(range(6)), place)
    assert mirror.flat == flat
    if flat:
        rows = np.arange(6)
        here, there = (
            site.expected(at[None], rows) for at in (place, place + mirror.across(place))
        )
        assert here == pytest.approx(there, abs=0.25)
    assert (mirror.wide_of.size == 0) == flat


def test_that_nobody_gave_the_height_is_said(caplog: pytest.LogCaptureFixture) -> None:
    recording = flown(3.0, 1.0)
    for method in (Method(dimensions="3", tag_height=1.0), Method(dimensions="2")):
        site_of(recording, method)
    assert not caplog.records
    site_of(recording, Method(dimensions="3"))
    assert "no range tells a tag above from one below; --tag-height says" in caplog.text
