# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loop asks, answers and accounts; and no role ever sees the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worlds import circle_recording, follow

from locdreamer_ros.errors import InputError
from locdreamer_ros.loop import Loop
from locdreamer_ros.methods import make_scheduler, make_tracker
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.types import Estimate, IntArray, Motion, Ranges, RangeStatus, Site


def test_the_two_halves_are_the_whole_step() -> None:
    """A node that plans and absorbs by messages gets exactly the offline estimates."""
    recording = circle_recording(duration=10.0)
    site = Site(recording.anchors, 2, 1.0)
    steps, _ = follow(
        recording, make_tracker("grid", site), make_scheduler("random", site, seed=2), site
    )
    tracker, scheduler = make_tracker("grid", site), make_scheduler("random", site, seed=2)
    loop = Loop(tracker, scheduler, site, budget=3)
    source = RecordingSource(recording)
    for offline, time in zip(steps, recording.times, strict=True):
        schedule = loop.plan(time)
        answer = source.measure(schedule.anchor, time)
        estimate = loop.absorb(schedule, answer)
        np.testing.assert_array_equal(estimate.mean, offline.estimate.mean)
        np.testing.assert_array_equal(schedule.anchor, offline.plan.anchor)


def test_all_are_asked_until_there_is_a_fix() -> None:
    recording = circle_recording(duration=3.0)
    recording.ranges[:5, 2:] = np.nan
    site = Site(recording.anchors, 2, 1.0)
    steps, _ = follow(
        recording, make_tracker("ekf", site), make_scheduler("gdop", site), site, budget=3
    )
    assert [step.estimate is None for step in steps[:7]] == [True] * 5 + [False] * 2
    assert [step.ranges.anchor.size for step in steps[:7]] == [8] * 6 + [3]


def test_a_lost_answer_does_no_harm_and_a_step_back_in_time_is_a_new_beginning() -> None:
    recording = circle_recording(duration=3.0)
    site = Site(recording.anchors, 2, 1.0)
    loop = Loop(make_tracker("ekf", site), make_scheduler("gdop", site), site, budget=3)
    source = RecordingSource(recording)
    loop.step(source, 0.0)
    loop.plan(1.0)  # its answer never comes
    again = loop.plan(1.1)
    estimate = loop.absorb(again, source.measure(again.anchor, 1.1))
    assert np.hypot(*(estimate.position - recording.truth[11, :2])) < 0.6
    back = loop.plan(0.5)
    assert back.prediction is None, "nothing is known at a time before"
    assert back.anchor.size == len(site.anchors)
    estimate = loop.absorb(back, source.measure(back.anchor, 0.5))
    assert np.hypot(*(estimate.position - recording.truth[5, :2])) < 0.6
    assert loop.counts["time_back"] == loop.restarts == 1


def test_wls_gives_the_tracker_only_the_budget() -> None:
    recording = circle_recording(duration=2.0)
    site = Site(recording.anchors, 2, 1.0)
    tracker = make_tracker("ekf", site)
    given: list[int] = []
    update = tracker.update

    def counted(ranges: Ranges) -> Estimate:
        given.append(len(ranges))
        return update(ranges)

    tracker.update = counted  # type: ignore[method-assign]
    steps, _ = follow(recording, tracker, make_scheduler("wls", site), site, budget=3)
    assert all(step.ranges.anchor.size == 8 for step in steps), "and it costs all"
    assert given == [3] * (len(steps) - 1)


def test_no_role_sees_the_truth() -> None:
    """The same recording with its truth moved, or gone, gives the same estimates."""
    recording = circle_recording(duration=5.0)
    site = Site(recording.anchors, 2, 1.0)
    means = []
    for truth in (recording.truth, recording.truth + 3.0, None):
        other = Recording("circle", recording.anchors, recording.times, recording.ranges, truth)
        source = RecordingSource(other)
        tracker, scheduler = make_tracker("particle", site), make_scheduler("gdop", site)
        loop = Loop(tracker, scheduler, site, budget=3)
        for time in other.times:
            loop.step(source, time)
        means.append(loop.estimate.mean)
    np.testing.assert_array_equal(means[0], means[1])
    np.testing.assert_array_equal(means[0], means[2])


def rows(*values: int) -> IntArray:
    return np.array(values, dtype=np.intp)


def test_a_recording_answers_only_what_is_asked_time_outs_included() -> None:
    recording = circle_recording(duration=1.0)
    recording.ranges[3, 5] = np.nan
    source = RecordingSource(recording)
    answer = source.measure(rows(5, 1), 0.35)
    assert answer.anchor.tolist() == [5, 1]
    assert answer.status.tolist() == [RangeStatus.TIMEOUT, RangeStatus.OK]
    assert answer.value[1] == recording.ranges[3, 1]
    assert answer.stamp.tolist() == [recording.times[3]] * 2
    through_ros = round(float(recording.times[3]) * 1e9) / 1e9
    assert through_ros < recording.times[3], "0.30000000000000004 came back as 0.3"
    assert source.measure(rows(1), through_ros).value[0] == recording.ranges[3, 1]
    with pytest.raises(InputError, match="no epoch at or before"):
        source.measure(rows(0), -1.0)


def test_a_recording_is_checked() -> None:
    good = circle_recording(duration=1.0)
    times = good.times.copy()
    times[3] = np.nan
    with pytest.raises(InputError, match="epoch 3: no time in seconds: nan"):
        Recording("bad", good.anchors, times, good.ranges)
    with pytest.raises(InputError, match=r"ranges: expected \(10, 8\)"):
        Recording("bad", good.anchors, good.times, good.ranges[:, :3])
    with pytest.raises(InputError, match="no epochs"):
        Recording("bad", good.anchors, good.times[:0], good.ranges[:0])
    only = good.only(("A3", "A1", "A2"))
    np.testing.assert_array_equal(only.ranges, good.ranges[:, [2, 0, 1]])
    with pytest.raises(InputError, match="unknown anchor 'B1'"):
        good.only(("B1",))


def test_the_loop_hands_on_the_motion_since_the_last_fix() -> None:
    recording = circle_recording(duration=2.0)
    turn_rate = np.linspace(0.1, 0.5, len(recording))
    moving = replace(recording, odometry=np.cumsum(np.ones((20, 3)), axis=0), turn_rate=turn_rate)
    site = Site(moving.anchors, 2, 1.0)
    tracker = make_tracker("ekf", site)
    given: list[Motion | None] = []
    predict = tracker.predict

    def listening(dt: float, motion: Motion | None = None) -> Estimate:
        given.append(motion)
        return predict(dt, motion)

    tracker.predict = listening  # type: ignore[method-assign]
    follow(moving, tracker, make_scheduler("gdop", site), site)
    assert len(given) == len(moving) - 1
    for motion in given:
        assert motion is not None
        np.testing.assert_allclose(motion.displacement, [1.0, 1.0])
        assert motion.turn == pytest.approx(1.0)
