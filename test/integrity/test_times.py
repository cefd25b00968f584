# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stamps of ranges that nobody asked for: known, late, of another clock, by steps, to and fro."""

from __future__ import annotations

import numpy as np
import pytest

from locdreamer_ros import compiled
from locdreamer_ros.loop import Loop
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Anchors, Ranges

PLACES = np.array([[0.0, 0.0, 2.0], [10.0, 0.0, 2.2], [10.0, 10.0, 1.9], [0.0, 10.0, 2.1]])
START_S = 5000.0


def walk(duration: float = 10.0) -> Recording:
    """A circle at 10 Hz, ranges of .05 m."""
    times = np.arange(0.0, duration, 0.1)
    angle = 0.24 * times
    circle = [5.0 + 2.5 * np.cos(angle), 5.0 + 2.5 * np.sin(angle), np.full(times.size, 1.0)]
    truth = np.column_stack(circle)
    anchors = Anchors(("A0", "A1", "A2", "A3"), PLACES)
    distance = np.linalg.norm(truth[:, None] - PLACES, axis=-1)
    noise = 0.05 * np.random.default_rng(0).standard_normal(distance.shape)
    return Recording("walk", anchors, times, distance + noise, truth)


def loop_of(recording: Recording, tracker: str = "zero-shot") -> Loop:
    """One that lives on what it hears."""
    method = Method(tracker=tracker, scheduler="all")
    site = method.site(recording.anchors)
    return Loop(method.make_tracker(site), method.make_scheduler(site), site, budget=4)


def epoch(
    loop: Loop,
    recording: Recording,
    row: int,
    *,
    rows: tuple[int, ...] = (0, 1, 2, 3),
    stamp: float | None = None,
    own: float | None = None,
) -> bool:
    """Let it hear an epoch, with another stamp and other ones of its ranges; whether it did."""
    time = START_S + float(recording.times[row]) if stamp is None else stamp
    anchor = np.array(rows, dtype=np.intp)
    ranges = Ranges.of(anchor, recording.ranges[row, anchor], time if own is None else own)
    plan = loop.hear(time)
    if plan is None:
        loop.pass_over(time, ranges)
        return False
    loop.absorb(plan, ranges)
    return True


def off(loop: Loop, recording: Recording) -> float:
    """How far from the end of the walk it is, m."""
    assert loop.estimate is not None
    return float(np.hypot(*(loop.estimate.position[:2] - recording.truth[-1, :2])))


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("tracker", ["zero-shot", "ekf"])
@pytest.mark.parametrize("back", [1, 2, 7])
def test_a_message_that_comes_again_among_newer_ones_counts_once(
    tracker: str, back: int, kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernel:
        monkeypatch.setattr(compiled, "kernel", None)
    elif compiled.kernel is None:
        pytest.skip("the kernel was not built")
    recording = walk(4.0)
    once, twice = loop_of(recording, tracker), loop_of(recording, tracker)
    for row in range(len(recording)):
        assert epoch(once, recording, row)
        assert epoch(twice, recording, row)
        if row >= back:
            assert epoch(twice, recording, row - back)
    assert once.estimate is not None
    assert twice.estimate is not None
    np.testing.assert_allclose(twice.estimate.covariance, once.estimate.covariance, rtol=1e-9)
    np.testing.assert_allclose(twice.estimate.mean, once.estimate.mean, atol=1e-9)
    assert twice.watch.gate.times.duplicates == 4 * (len(recording) - back)
    assert twice.watch.gate.times.late == 0


def test_a_late_message_that_is_new_is_used_once() -> None:
    recording = walk(2.0)
    loop = loop_of(recording)
    for row in (*range(10), *range(11, 15), 10, 10):
        assert epoch(loop, recording, row)
    assert loop.watch.gate.times.duplicates == 4
    loop.restart()  # after which all is new: a bag that is played again
    assert epoch(loop, recording, 10)
    assert loop.watch.gate.times.duplicates == 4


@pytest.mark.parametrize("apart", [-0.9, -0.6, 0.6, 0.9])
def test_a_clock_over_half_a_second_off_is_named_though_its_ranges_are_used(apart: float) -> None:
    recording = walk(3.0)
    loop = loop_of(recording)
    for row in range(20):
        time = START_S + float(recording.times[row])
        epoch(loop, recording, row, own=time + apart)
        assert bool(loop.status().skew) == (row >= 2), "three in a row tell"
    assert loop.status().skew == pytest.approx(apart)
    assert loop.watch.gate.times.late == 0
    epoch(loop, recording, 20)
    assert loop.status().skew == 0.0, "the clocks agree again"


def test_a_fix_that_takes_long_is_no_other_clock() -> None:
    recording = walk(3.0)
    loop = loop_of(recording)
    for row in range(len(recording)):
        plan = loop.plan(START_S + row)
        ranges = Ranges.of(plan.anchor, recording.ranges[0, plan.anchor], plan.time)
        ranges.stamp[:] += np.linspace(0.1, 0.99, len(ranges))
        loop.absorb(plan, ranges)
        assert loop.status().skew == 0.0


def test_stamps_that_count_by_steps_are_named() -> None:
    recording = walk(6.0)
    loop = loop_of(recording)
    named = 0
    for row in range(len(recording)):
        epoch(loop, recording, row, stamp=START_S + float(np.floor(recording.times[row])))
        named += loop.status().coarse
    assert named > 0.8 * len(recording)
    other = loop_of(recording)
    for row in range(len(recording)):  # a message for each anchor, with one stamp, is none
        for anchor in range(4):
            epoch(other, recording, row, rows=(anchor,))
            assert not other.status().coarse
    assert off(other, recording) < 0.2


@pytest.mark.parametrize("apart", [-3.0, -30.0, 30.0])
def test_two_whose_stamps_are_far_from_the_others_turn_no_time_to_and_fro(apart: float) -> None:
    """Two anchors with a slow way, or another clock, in messages of their own."""
    recording = walk(12.0)
    loop = loop_of(recording)
    for row in range(len(recording)):
        time = START_S + float(recording.times[row])
        epoch(loop, recording, row, rows=(0,))
        epoch(loop, recording, row, rows=(1,))
        for anchor in (2, 3):
            epoch(loop, recording, row, rows=(anchor,), stamp=time + apart)
    assert loop.restarts <= 2
    passed_over = loop.watch.gate.times.late
    assert passed_over > 200 if apart < 0.0 else passed_over < 10


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("off_s", [-3.0, 1.2, 20.0])
def test_one_of_four_clocks_far_off_is_named_until_it_agrees(
    off_s: float, kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernel:
        monkeypatch.setattr(compiled, "kernel", None)
    elif compiled.kernel is None:
        pytest.skip("the kernel was not built")
    recording = walk(8.0)
    loop = loop_of(recording)
    for row in range(len(recording)):
        time = START_S + float(recording.times[row])
        ranges = Ranges.of(np.arange(4), recording.ranges[row], time)
        ranges.stamp[2] += off_s if row < 40 else 0.0
        plan = loop.hear(time)
        assert plan is not None
        loop.absorb(plan, ranges)
        said = dict(loop.status().far)
        assert said == ({2: pytest.approx(off_s)} if 20 <= row < 40 else {}), row
    assert off(loop, recording) < 0.3


def test_one_whose_messages_are_late_is_named_and_forgotten_when_it_is_gone() -> None:
    recording = walk(24.0)
    loop = loop_of(recording)
    for row in range(len(recording)):
        epoch(loop, recording, row, rows=(0, 1, 3))
        if 30 <= row < 100:
            epoch(loop, recording, row - 30, rows=(2,))
        said = dict(loop.status().far)
        assert (2 in said) == (50 <= row < 200), row
    assert loop.watch.gate.times.late == 70


@pytest.mark.parametrize("late", [0.5, 1.5, 3.0])
@pytest.mark.parametrize("whose", [(0,), (0, 1)])
def test_a_burst_of_late_messages_of_some_begins_nothing_anew(
    whose: tuple[int, ...], late: float
) -> None:
    """What half of the anchors say comes all at once, again and again."""
    recording = walk(20.0)
    others = tuple(row for row in range(4) if row not in whose)
    loop = loop_of(recording)
    many = round(10.0 * late)
    for row in range(len(recording)):
        epoch(loop, recording, row, rows=others)
        if row % many == many - 1:
            for old in range(row - many + 1, row + 1):
                epoch(loop, recording, old, rows=whose)
                assert not loop.status().far, "a burst is no clock"
    assert loop.restarts == 0
    assert off(loop, recording) < 0.3


def test_bursts_of_late_messages_of_all_begin_anew_once() -> None:
    recording = walk(19.5)
    loop = loop_of(recording)
    for row in range(len(recording)):
        if row % 40 < 35:
            epoch(loop, recording, row)
        if row >= 60 and row % 40 == 20:  # what was held back 3 s ago
            for old in range(row - 25, row - 20):
                epoch(loop, recording, old)
    assert loop.restarts == 1
    assert off(loop, recording) < 0.3


@pytest.mark.parametrize("back", [3.0, 60.0])
def test_a_clock_set_back_is_followed_where_each_message_is_of_one_anchor(back: float) -> None:
    recording = walk(20.0)
    loop = loop_of(recording)
    believed = [
        epoch(loop, recording, row, rows=(row % 4,), stamp=START_S - back * (row > 99) + row / 10.0)
        for row in range(len(recording))
    ]
    assert believed.count(False) == 3, "until most anchors agree"
    assert loop.restarts == 1
    assert off(loop, recording) < 0.5


def test_a_clock_that_is_set_again_and_again_is_followed() -> None:
    recording = walk(20.0)
    loop = loop_of(recording)
    believed = [
        epoch(loop, recording, row, stamp=START_S - 100.0 * (row // 40) + row / 10.0)
        for row in range(len(recording))
    ]
    assert believed.count(False) == 4, "one at each step"
    assert loop.restarts == 4
    assert off(loop, recording) < 0.3
