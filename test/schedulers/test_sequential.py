# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from worlds import READY_TRACKERS

from locdreamer_ros import compiled, loop
from locdreamer_ros.benchmarks import latency
from locdreamer_ros.benchmarks.turns import answer
from locdreamer_ros.evaluation.run import run_offline
from locdreamer_ros.methods import make_scheduler, make_tracker
from locdreamer_ros.recording import RecordingSource
from locdreamer_ros.schedulers.sequential import Sequential
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Estimate, Ranges, Site
from locdreamer_ros.zero_shot.model_file import shipped
from locdreamer_ros.zero_shot.tracker import ZeroShotTracker


def house(duration: float = 60.0, seed: int = 0):
    recording = simulate("house", duration=duration, rate=1.0, seed=seed)
    return recording, Site(recording.anchors, 2, make_world("house", seed).tag_height)


class Counting:
    """A source that notes in which order it is asked."""

    def __init__(self, recording) -> None:
        self.source = RecordingSource(recording)
        self.asked: list[list[int]] = []

    @property
    def anchors(self):
        return self.source.anchors

    def measure(self, anchor, deadline):
        self.asked.append(anchor.tolist())
        return self.source.measure(anchor, deadline)


@pytest.mark.promise("Looking ahead leaves no trace in any tracker.")
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("name", READY_TRACKERS)
def test_looking_at_an_answer_leaves_no_trace_in_the_tracker(name, dimensions):
    recording, site = house()
    tracker = make_tracker(name, site, seed=3)
    source = RecordingSource(recording)
    list(
        loop.run(
            tracker, make_scheduler("all", site), source, site, times=recording.times[:8], budget=3
        )
    )
    tracker.predict(1.0)
    ranges = source.measure(np.arange(len(site.anchors)), float(recording.times[8]))
    before = tracker.estimate
    looked = tracker.look(ranges)
    np.testing.assert_array_equal(looked.mean, tracker.fork().update(ranges).mean)
    assert tracker.estimate is before
    assert not np.allclose(looked.mean, before.mean)
    again = tracker.update(ranges)
    np.testing.assert_allclose(again.mean, looked.mean)
    np.testing.assert_allclose(again.covariance, looked.covariance)


def test_one_anchor_at_a_time_and_the_update_is_given_all_of_them():
    recording, site = house()
    source = Counting(recording)
    tracker = make_tracker("robust-ekf", site)
    scheduler = make_scheduler("sequential", site)
    steps = list(loop.run(tracker, scheduler, source, site, times=recording.times[:5], budget=3))
    assert source.asked[0] == [0, 1, 2, 3, 4]  # the first fix
    assert [len(rows) for rows in source.asked[1:]] == [1] * 12
    for number, step in enumerate(steps[1:]):
        asked = [row for rows in source.asked[1 + 3 * number : 4 + 3 * number] for row in rows]
        assert step.plan.anchor.tolist() == asked
        assert step.ranges.anchor.tolist() == asked
        assert len(set(asked)) == 3


def test_the_next_choice_depends_on_the_answer():
    """A tracker that distrusts a range keeps the uncertainty, and another direction is asked."""
    _, site = house()
    scheduler = Sequential(site)
    differ = 0
    for x, y in product((1.0, 3.0, 5.0, 7.0, 8.5), (1.0, 3.5, 6.0, 8.5, 11.0)):
        tracker = ZeroShotTracker(site, shipped())
        tracker.start(Estimate(0.0, np.array([x, y, 0.0, 0.0]), np.diag([0.3, 0.3, 0.2, 0.2])))
        prediction = tracker.predict(1.0)
        first = scheduler.select(prediction, site.anchors, 3)
        second = np.array([row for row in range(5) if row not in first][:1])
        both = np.concatenate([first, second])
        expected = site.expected(prediction.position[None], both)
        chosen = set()
        for excess in ([3.0, 0.0], [0.0, 3.0]):
            looked = tracker.fork().update(Ranges.of(both, expected + excess, 1.0))
            chosen.add(int(scheduler.more(looked, both, site.anchors, 3)[0]))
        differ += len(chosen) > 1
    assert differ >= 5


def test_a_stated_accuracy_and_a_price_save_ranges():
    recording, site = house(60.0)

    def spent(**options):
        scheduler = Sequential(site, **options)
        run = run_offline(recording, site, make_tracker("grid", site), scheduler, budget=5)
        track = run.tracks[0]
        return track.asked[10:].mean()

    assert spent() == 5.0
    assert spent(accuracy=0.5) < spent(accuracy=0.3) < 5.0
    assert spent(price=0.1) < spent(price=0.02) < 5.0


def test_it_asks_no_anchor_twice_and_stops_where_there_are_no_more():
    recording, site = house()
    source = Counting(recording)
    scheduler = make_scheduler("sequential", site)
    tracker = make_tracker("ekf", site)
    steps = list(loop.run(tracker, scheduler, source, site, times=recording.times[:3], budget=9))
    assert [sorted(step.plan.anchor.tolist()) for step in steps] == [[0, 1, 2, 3, 4]] * 3


@pytest.mark.skipif(compiled.kernel is None, reason="the kernel is not built: make install")
@pytest.mark.parametrize("count", [8, 90])
def test_the_kernel_asks_first_whom_select_does(count, monkeypatch):
    """The first anchor of an ordinary turn is chosen within its one call of the kernel."""
    recording, heard = latency.house(4.0, 0)
    site = latency.spread_out(heard, count)
    trackers = [make_tracker("zero-shot", site) for _ in range(2)]
    one, other = (
        loop.Loop(tracker, make_scheduler("sequential", site), site, budget=3)
        for tracker in trackers
    )
    for row, time in enumerate(recording.times.tolist()):
        if row == 10:
            monkeypatch.setattr(one.scheduler, "select", None)
        plans = one.plan(time), other.plan_by_parts(time)
        np.testing.assert_array_equal(plans[0].anchor, plans[1].anchor)
        assert row < 10 or plans[0].anchor.size == 1
        for turn, plan in zip((one, other), plans, strict=True):
            turn.absorb(plan, answer(recording, row, plan.anchor))
