# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sites where a thousand anchors answer: what is kept, what is used, what it costs."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import follow

from locdreamer_ros import compiled
from locdreamer_ros.loop import nearest
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.schedulers import shadow
from locdreamer_ros.schedulers.shadow import Shadow
from locdreamer_ros.trackers.bias_ekf import BiasEkf
from locdreamer_ros.trackers.own_states import MOST_KEPT, OwnStates, moved
from locdreamer_ros.types import MOST_HEARD, OK, Anchors, Estimate, Ranges, Site
from locdreamer_ros.zero_shot import step
from locdreamer_ros.zero_shot.far_field import FarFieldTracker


def hall(count: int, *, reach: float = np.inf, duration: float = 5.0) -> Recording:
    """A walk at 2 m/s beneath anchors every 4 m."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(count)))
    row = np.arange(count)
    places = np.column_stack([4.0 * (row % side), 4.0 * (row // side), np.full(count, 3.0)])
    times = np.arange(0.0, duration, 0.1)
    truth = np.column_stack([3.0 + 1.6 * times, 3.0 + 1.2 * times, np.ones(times.size)])
    distance = np.linalg.norm(truth[:, None] - places, axis=2)
    ranges = distance + rng.normal(0.0, 0.1, count) + 0.05 * rng.standard_normal(distance.shape)
    ranges[distance > reach] = np.nan
    return Recording("hall", Anchors(tuple(map(str, row)), places), times, ranges, truth)


def test_those_heard_last_keep_their_states() -> None:
    own = OwnStates(200, 5)
    was = own.meet(np.array([3, 1]))
    assert was is not None
    assert was.tolist() == [0, 1, 2, 3, 4, -1, -1]
    assert own.place[[1, 3]].tolist() == [5, 6]
    assert own.meet(np.array([3])) is None
    own.meet(np.arange(100, 100 + MOST_KEPT - 2))
    own.meet(np.array([1]))
    was = own.meet(np.array([7]))  # one too many: 3 is unheard for longest
    assert was is not None
    assert was.size == 5 + MOST_KEPT
    assert own.place[3] == -1
    assert own.place[1] == 5
    assert was[own.place[1]] == 5
    assert was[own.place[7]] == -1
    assert np.unique(own.place[own.place >= 0]).tolist() == list(range(5, 5 + MOST_KEPT))
    own.meet(np.arange(90))  # of one update all are kept
    assert (own.place >= 0).sum() == 90


def test_states_move_with_their_covariance() -> None:
    covariance = np.arange(9.0).reshape(3, 3)
    found = moved(covariance, np.array([0, 2, -1]), 7.0)
    np.testing.assert_array_equal(found, [[0, 2, 0], [6, 8, 0], [0, 0, 7]])


def test_of_many_that_answer_the_nearest_are_used() -> None:
    rng = np.random.default_rng(1)
    anchor, value = rng.permutation(300), rng.uniform(1.0, 90.0, 300)
    value[5], value[6] = np.nan, -1.0
    kept = nearest(Ranges.of(anchor, value, 0.0))
    assert len(kept) == MOST_HEARD
    assert kept.value.max() == np.sort(value[value > 0.0])[MOST_HEARD - 1]
    np.testing.assert_array_equal(kept.anchor, anchor[np.isin(value, kept.value)])
    assert (kept.status == OK).all()
    few = Ranges.of(np.arange(300) % MOST_HEARD, value, 0.0)
    assert nearest(few) is few, "many ranges of few anchors"
    free = Ranges.of(anchor, value - 50.0, 0.0, differences=True)
    assert len(nearest(free)) == MOST_HEARD


@pytest.mark.parametrize("name", ["zero-shot", "bias-ekf", "ekf"])
@pytest.mark.parametrize("scheduler", ["all", "foresight"])
def test_a_thousand_anchors_that_answer_make_no_thousand_states(name: str, scheduler: str) -> None:
    recording = hall(1000, duration=3.0)
    method = Method(tracker=name, scheduler=scheduler, dimensions="2", tag_height=1.0)
    site = method.site(recording.anchors)
    tracker = method.make_tracker(site)
    _, errors = follow(recording, tracker, method.make_scheduler(site), site)
    assert np.nanmax(errors[5:]) < 0.4
    if isinstance(tracker, FarFieldTracker):
        assert tracker.model.state.slots <= 1 + MOST_KEPT
    if isinstance(tracker, BiasEkf):
        assert tracker._mean.size <= 5 + MOST_KEPT


def test_zero_shot_forgets_alike_with_the_kernel_and_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A walk past a hundred anchors of which six are kept, four of them asked at a time."""
    if compiled.kernel is None:
        pytest.skip("the kernel was not built")
    recording = hall(100, reach=9.0, duration=12.0)
    method = Method(scheduler="nearest", dimensions="2", tag_height=1.0)
    site = method.site(recording.anchors)
    found = []
    for kept in (6, MOST_KEPT):
        for kernel in (compiled.kernel, None):
            monkeypatch.setattr(step, "MOST_KEPT", kept)
            monkeypatch.setattr(compiled, "kernel", kernel)
            tracker = method.make_tracker(site)
            assert isinstance(tracker, FarFieldTracker)
            steps, errors = follow(recording, tracker, method.make_scheduler(site), site, budget=4)
            assert np.nanmax(errors[10:]) < 0.5
            assert (tracker.model.state.slots == 1 + kept) == (kept == 6)
            found.append(np.array([s.estimate.mean for s in steps if s.estimate is not None]))
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)
    np.testing.assert_allclose(found[2], found[3], atol=1e-9)
    # Of anchors that are never heard again nothing is lost.
    np.testing.assert_allclose(found[0], found[2], atol=1e-9)


def test_a_shadow_of_whom_it_heard_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a site of 100 with a dozen heard it foresees what one with a bias for each does."""
    recording = hall(100)
    site = Site(recording.anchors, 2, 1.0)
    rng = np.random.default_rng(2)
    start = Estimate(0.0, np.array([3.0, 3.0, 1.6, 1.2]), np.diag([0.2, 0.2, 1.0, 1.0]))
    lazy = Shadow(site, start)
    assert len(lazy._covariance) == 5
    monkeypatch.setattr(shadow, "MOST_KEPT", 100)
    whole = Shadow(site, start)
    assert len(whole._covariance) == 105
    rows = np.arange(0, 24)
    for time in range(1, 9):
        way = time * np.array([1.6, 1.2, 0.0, 0.0])
        at = Estimate(float(time), start.mean + way, start.covariance)
        one, other = lazy.foresee(at, rows), whole.foresee(at, rows)
        for name in ("position", "cross", "ranges"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-12)
        asked = rng.choice(12, 4, replace=False)
        lazy.heard(at, asked)
        whole.heard(at, asked)
