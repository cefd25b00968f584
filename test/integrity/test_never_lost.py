# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What people reported of their sites: the tracker is right, or says that it is not.

Each is a walk with a right value that least squares of single epochs confirm.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from locdreamer_ros.benchmarks import trust as benchmark
from locdreamer_ros.evaluation.run import Run, run_offline
from locdreamer_ros.integrity.snapshot import explain, whatever_offset
from locdreamer_ros.integrity.status import State
from locdreamer_ros.integrity.window import Window
from locdreamer_ros.loop import Loop
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import make_world, simulate, with_odometry
from locdreamer_ros.types import Anchors, FloatArray, Ranges, Site

SQUARE = np.array([[0.0, 0.0, 2.0], [10.0, 0.0, 2.2], [10.0, 10.0, 1.9], [0.0, 10.0, 2.1]])
BOX = np.array(
    [[x, y, z] for x in (0.0, 8.0) for y in (0.0, 6.0) for z in (0.3, 2.8)], dtype=np.float64
)


def walk(
    places: FloatArray,
    *,
    duration: float = 30.0,
    rate: float = 10.0,
    speed: float = 0.6,
    centre: tuple[float, float] = (5.0, 5.0),
    radius: float = 2.5,
    height: FloatArray | float = 1.0,
    sigma: float = 0.05,
    seed: int = 0,
) -> Recording:
    """A circle walked at `speed` m/s, ranges of sigma m."""
    times = np.arange(0.0, duration, 1.0 / rate)
    angle = speed / radius * times
    truth = np.column_stack(
        [
            centre[0] + radius * np.cos(angle),
            centre[1] + radius * np.sin(angle),
            np.broadcast_to(height, times.shape),
        ]
    )
    anchors = Anchors(tuple(f"A{n}" for n in range(len(places))), places)
    distance = np.linalg.norm(truth[:, None] - places, axis=-1)
    noise = sigma * np.random.default_rng(seed).standard_normal(distance.shape)
    return Recording("walk", anchors, times, distance + noise, truth)


def tracked(recording: Recording, **options: object) -> tuple[Run, FloatArray]:
    """The run of a method, and its horizontal errors (T,) m, NaN without an estimate."""
    method = Method(**options)  # type: ignore[arg-type]
    site = method.site(recording.anchors)
    run = run_offline(
        recording,
        site,
        method.make_tracker(site),
        method.make_scheduler(site),
        budget=method.budget,
    )
    track = run.tracks[0]
    return run, np.hypot(*(track.mean[:, :2] - track.truth[:, :2]).T)


def altered(recording: Recording, since: float, change) -> Recording:
    """Ranges from `since` s on as `change(ranges)` makes them."""
    ranges = recording.ranges.copy()
    late = recording.times >= since
    ranges[late] = change(ranges[late].copy())
    return replace(recording, ranges=ranges)


def add(row: int, metres: float):
    def change(ranges: FloatArray) -> FloatArray:
        ranges[:, row] += metres
        return ranges

    return change


@pytest.mark.parametrize("scheduler", ["foresight", "all", "sequential"])
def test_one_of_four_anchors_reads_too_far(scheduler: str) -> None:
    run, error = tracked(altered(walk(SQUARE), 10.0, add(1, 5.0)), scheduler=scheduler)
    assert error[150:].mean() < 0.15
    assert error.max() < 1.0
    assert run.tracks[0].states is not None


@pytest.mark.parametrize("tracker", ["zero-shot", "ekf"])
def test_with_odometry_a_broken_anchor_is_named_all_the_same(tracker: str) -> None:
    driven = with_odometry(walk(BOX, height=1.2), drift=0.02, rng=np.random.default_rng(3))
    run, error = tracked(altered(driven, 15.0, add(2, -4.0)), tracker=tracker, dimensions="2")
    named = run.tracks[0].asking.excluded[:, 2]
    assert 15.0 < driven.times[named][0] < 20.0
    assert named[200:].mean() > 0.8
    assert error[200:].max() < 0.5


def test_in_doubt_those_unheard_for_longest_are_asked() -> None:
    recording = walk(BOX, duration=10.0)
    method = Method(dimensions="2", budget=3)
    site = method.site(recording.anchors)
    done = run_offline(
        recording, site, method.make_tracker(site), method.make_scheduler(site), budget=3
    )
    loop = done.loops[0]
    heard = loop.watch.window.last
    calm = set(loop.plan_by_parts(10.0).anchor.tolist())
    loop.watch.doubt.suspect = True
    asked = set(loop.plan_by_parts(10.1).anchor.tolist())
    assert asked == set(np.argsort(heard)[:3].tolist())
    assert asked != calm, "foresight's choice is another"


def test_garbage_is_named_and_held_back() -> None:
    rng = np.random.default_rng(1)

    def garbage(ranges: FloatArray) -> FloatArray:
        ranges[:, 2] = rng.choice([45.0, 207.0, 255.0], len(ranges))
        return ranges

    run, error = tracked(altered(walk(SQUARE), 10.0, garbage), scheduler="all")
    assert error[150:].max() < 0.3
    assert set(run.loops[0].watch.gate.excluded) == {"A2"}
    assert run.loops[0].status().excluded == (2,)


def test_two_bad_of_five_leave_nobody_to_check_the_others() -> None:
    rng = np.random.default_rng(4)

    def garbage(ranges: FloatArray) -> FloatArray:
        ranges[:, :2] = rng.uniform(30.0, 90.0, (len(ranges), 2))
        return ranges

    whole = walk(np.vstack([SQUARE, [[5.0, -1.0, 2.0]]]), duration=15.0)
    run, _ = tracked(altered(whole, 5.0, garbage), scheduler="all")
    assert run.loops[0].status().excluded == (0, 1)
    assert run.loops[0].status().state == State.DOUBTFUL


def test_a_named_anchor_that_is_mended_is_used_again() -> None:
    recording = altered(walk(SQUARE, duration=40.0), 5.0, add(1, -5.0))
    mended = altered(recording, 20.0, add(1, 5.0))
    run, error = tracked(mended)
    assert run.loops[0].watch.gate.excluded["A1"] > 3
    assert run.loops[0].status().excluded == ()
    assert error[300:].max() < 0.3


def test_all_ranges_are_short_by_the_same() -> None:
    recording = walk(SQUARE)
    _, error = tracked(replace(recording, ranges=recording.ranges - 0.8), scheduler="all")
    assert error[20:].mean() < 0.1


def test_walls_at_the_start_are_no_common_offset() -> None:
    """Ranges .2 to 1.1 m too long, taken for an offset of .9 m, leave the track a metre off."""
    whole = simulate("house", duration=40.0, rate=10.0, seed=84)
    recording = replace(whole, nlos=None).rows(slice(0, 150))
    _, error = tracked(recording, dimensions="2", tag_height=make_world("house", 84).tag_height)
    assert np.nanmean(error[20:]) < 0.4


def test_a_fifth_of_the_ranges_is_doubled() -> None:
    recording = walk(np.vstack([SQUARE, [[5.0, -1.0, 2.0], [5.0, 11.0, 2.0]]]))
    twice = np.random.default_rng(2).random(recording.ranges.shape) < 0.2
    doubled = np.where(twice, 2.0, 1.0) * recording.ranges
    _, error = tracked(replace(recording, ranges=doubled), scheduler="all")
    assert error[20:].mean() < 0.15
    assert error[20:].max() < 1.0


@pytest.mark.parametrize("tracker", ["zero-shot", "bias-ekf", "particle", "grid"])
def test_a_tag_that_starts_far_outside(tracker: str) -> None:
    recording = walk(SQUARE, centre=(5.0, -20.0), duration=15.0)
    _, error = tracked(recording, tracker=tracker, scheduler="all")
    assert error.max() < 1.5, "not on the other side, 40 m off"
    # The grid holds ranges of 20 m to be a metre too long.
    assert error.mean() < (1.5 if tracker == "grid" else 0.4)


def test_a_climb_is_a_climb_and_no_bias() -> None:
    times = np.arange(0.0, 40.0, 0.1)
    height = np.interp(times, [12.0, 20.0], [0.3, 2.5])
    recording = walk(BOX, duration=40.0, centre=(4.0, 3.0), height=height)
    for tracker in ("zero-shot", "bias-ekf"):
        run, error = tracked(recording, tracker=tracker, dimensions="3")
        track = run.tracks[0]
        assert error[100:].mean() < 0.2, tracker
        off = np.abs(track.mean[250:, 2] - height[250:])
        assert off.mean() < 0.3, tracker


@pytest.mark.parametrize("silence", [2.0, 12.0, 60.0, 700.0])
@pytest.mark.parametrize("tracker", ["zero-shot", "bias-ekf"])
def test_a_return_from_silence_is_right_at_once(silence: float, tracker: str) -> None:
    """Three are asked, and the ranges of four told where it is in one leap of time."""
    recording = walk(SQUARE, duration=20.0 + silence)
    quiet = (recording.times >= 10.0) & (recording.times < 10.0 + silence)
    _, error = tracked(recording.rows(~quiet), tracker=tracker)
    after = error[100:]
    assert np.nanmax(after[5:]) < 0.5


def test_while_nothing_is_heard_it_stands_and_says_so() -> None:
    recording = walk(SQUARE, duration=40.0, speed=1.5)
    recording = altered(recording, 10.0, lambda ranges: np.full_like(ranges, np.nan))
    run, _ = tracked(recording)
    track = run.tracks[0]
    assert track.states is not None
    moved = np.linalg.norm(track.mean[-1, :2] - track.mean[100, :2])
    assert moved < 10.0, "not 45 m on"
    sigma = np.sqrt(track.covariance[:, 0, 0])
    assert sigma[-1] > 5.0, "as far as a tag can have gone"
    assert track.states[95] == State.TRACKING
    assert track.states[150] == State.COASTING
    assert track.states[-1] == State.LOST


def test_one_range_a_row_is_a_stream_like_any_other() -> None:
    recording = walk(SQUARE, rate=20.0)
    turn = np.arange(len(recording)) % 4
    alone = np.where(turn[:, None] == np.arange(4), recording.ranges, np.nan)
    run, error = tracked(replace(recording, ranges=alone), scheduler="all")
    assert run.tracks[0].unfixed <= 5
    assert np.nanmean(error[40:]) < 0.15


@pytest.mark.parametrize("rate", [0.1, 1.0, 50.0, 200.0])
def test_any_pace_is_answered_by_the_tracker_asked_for(rate: float) -> None:
    recording = walk(SQUARE, duration=min(40.0 / rate, 400.0), rate=rate, speed=min(0.6, rate))
    run, error = tracked(recording, scheduler="all")
    assert not run.loops[0].tracker.fallbacks
    assert np.nanmean(error[5:]) < 0.3


@pytest.mark.parametrize("side", [1.2, -2.5, 0.4])
def test_anchors_on_a_line_leave_two_places_and_the_covariance_holds_both(side: float) -> None:
    line = np.column_stack([np.arange(5) * 4.0, np.arange(5) * 1.0, np.full(5, 2.0)])
    times = np.arange(0.0, 15.0, 0.1)
    truth = np.column_stack([2.0 + 0.6 * times, side + 0.15 * times, np.ones(150)])
    distance = np.linalg.norm(truth[:, None] - line, axis=-1)
    noise = 0.05 * np.random.default_rng(3).standard_normal(distance.shape)
    anchors = Anchors(tuple("abcde"), line)
    run, _ = tracked(Recording("line", anchors, times, distance + noise, truth))
    track = run.tracks[0]
    known = track.known
    off = track.truth[known, :2] - track.mean[known, :2]
    spread = np.linalg.solve(track.covariance[known, :2, :2], off[..., None])[..., 0]
    assert (np.einsum("ni,ni->n", off, spread) < 5.99).mean() > 0.95
    assert run.loops[0].status().state == State.DOUBTFUL
    assert run.loops[0].status().mirror
    assert run.loops[0].watch.mirrored > 100


def test_a_fast_tag_is_not_lost_by_particles() -> None:
    _, error = tracked(
        walk(3.0 * SQUARE, speed=5.0, centre=(15.0, 15.0), radius=10.0),
        tracker="particle",
        scheduler="all",
    )
    assert error[100:].mean() < 0.6


def test_particles_that_lost_a_tag_which_turns_start_again_from_one_moment() -> None:
    recording = walk(4.0 * SQUARE, speed=8.0, radius=14.0, centre=(20.0, 20.0), duration=15.0)
    run, error = tracked(recording, tracker="particle", scheduler="all")
    assert run.loops[0].watch.restarts > 0
    assert error[80:].mean() < 0.6


def test_a_range_counts_once() -> None:
    recording = walk(SQUARE, duration=2.0, sigma=0.3)
    site = Site.of(recording.anchors, "2", 1.0)
    spreads = []
    for copies in (1, 5):
        method = Method(tracker="ekf", scheduler="all")
        loop = Loop(method.make_tracker(site), method.make_scheduler(site), site, budget=4)
        for row, time in enumerate(recording.times.tolist()):
            for _ in range(copies):
                answer = Ranges.of(np.arange(4), recording.ranges[row], time)
                plan = loop.hear(time)
                assert plan is not None
                estimate = loop.absorb(plan, answer)
        assert estimate is not None
        spreads.append(float(np.trace(estimate.position_covariance)))
    assert loop.watch.gate.times.duplicates > 0
    assert spreads[0] == pytest.approx(spreads[1])


def heard(loop: Loop, recording: Recording, row: int, time: float) -> bool:
    """Give the loop an epoch as if heard at `time`; whether it was believed."""
    plan = loop.hear(time)
    if plan is None:
        return False
    loop.absorb(plan, Ranges.of(np.arange(4), recording.ranges[row], time))
    return True


@pytest.mark.parametrize("tracker", ["zero-shot", "ekf"])
@pytest.mark.parametrize("back", [2.0, 30.0, 3600.0])
def test_a_time_that_goes_back_is_followed_once_two_agree(tracker: str, back: float) -> None:
    recording = walk(SQUARE, duration=20.0)
    method = Method(tracker=tracker, scheduler="all")
    site = method.site(recording.anchors)
    loop = Loop(method.make_tracker(site), method.make_scheduler(site), site, budget=4)
    start = 5000.0
    for row in range(100):
        assert heard(loop, recording, row, start + float(recording.times[row]))
    believed = [
        heard(loop, recording, row, start - back + float(recording.times[row]))
        for row in range(100, 200)
    ]
    assert believed == [False] + [True] * 99
    assert loop.estimate is not None
    assert np.hypot(*(loop.estimate.position[:2] - recording.truth[-1, :2])) < 0.3


@pytest.mark.parametrize("ahead", [15.0, 30.0, 1e9])
def test_one_stamp_far_ahead_freezes_nothing(ahead: float) -> None:
    recording = walk(SQUARE, duration=10.0)
    method = Method(scheduler="all")
    site = method.site(recording.anchors)
    loop = Loop(method.make_tracker(site), method.make_scheduler(site), site, budget=4)
    for row in range(50):
        heard(loop, recording, row, float(recording.times[row]))
    assert not heard(loop, recording, 50, float(recording.times[50]) + ahead)
    for row in range(51, 100):
        assert heard(loop, recording, row, float(recording.times[row]))
    assert loop.estimate is not None
    assert np.hypot(*(loop.estimate.position[:2] - recording.truth[-1, :2])) < 0.2


def test_clocks_apart_are_noticed_and_nothing_old_is_used() -> None:
    recording = walk(SQUARE, duration=5.0)
    method = Method(scheduler="all")
    site = method.site(recording.anchors)
    loop = Loop(method.make_tracker(site), method.make_scheduler(site), site, budget=4)
    for row, time in enumerate(recording.times.tolist()):
        plan = loop.plan(time)
        loop.absorb(plan, Ranges.of(np.arange(4), recording.ranges[row], time - 7.0))
    assert loop.estimate is None
    assert loop.status().skew == pytest.approx(-7.0)
    assert loop.watch.gate.times.late == 4 * len(recording)


def test_ranges_that_no_place_explains_are_said() -> None:
    """Four radios on a field, each 0 to 6 m too long where it is seen badly; 3.6 m/s, 1 Hz."""
    field = np.array([[-69.0, 18.0, 0.0], [-38.0, 69.0, 0.0], [-34.0, 27.0, 0.0], [2.0, -6.0, 0.0]])
    recording = walk(
        field, duration=120.0, rate=1.0, speed=3.6, centre=(-30.0, 32.0), radius=28.0, height=0.0
    )
    bearing = np.arctan2(*(recording.truth[:, None, :2] - field[:, :2]).T[::-1]).T
    off, unsaid = 0, 0
    for turned in range(4):
        long = 3.0 + 3.0 * np.sin(4.0 * bearing + (1.0 + 0.3 * turned) * np.arange(4) + turned)
        run, error = tracked(replace(recording, ranges=recording.ranges + long), tag_height=0.0)
        wrong = error > 2.0
        assert np.mean(wrong) > 0.2, "it is off"
        off += wrong.sum()
        unsaid += (wrong & (run.tracks[0].states == State.TRACKING)).sum()
    assert unsaid < 0.2 * off, "and mostly says so"


def test_whom_to_believe_of_five_with_two_swapped_is_doubted() -> None:
    """Whoever is named first, the rest disagrees again later."""
    off, unsaid = 0, 0
    for seed in range(4):
        world = make_world("house", seed)
        whole = benchmark.walk(world, seed, 90.0, 10.0).only(world.deploy)
        hurt = benchmark.broken(whole, 3, "swapped", np.random.default_rng(seed))
        run, error = tracked(hurt, dimensions="2", tag_height=world.tag_height)
        wrong = error > 1.0
        off += wrong.sum()
        unsaid += (wrong & (run.tracks[0].states == State.TRACKING)).sum()
    assert off > 500, "they are off"
    assert unsaid < 0.1 * off, "and say so"


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("offset", [-1.0, 0.0, 2.0])
def test_places_are_found_whatever_offset_the_ranges_share(offset: float, dimensions: int) -> None:
    """Modules whose antenna delay nobody set: circles of such ranges meet elsewhere."""
    truth = np.array([5.9, 3.5, 1.2])
    ring = [[6.6, 5.1], [6.0, 5.7], [1.9, 6.3], [0.7, 5.5], [-0.3, 2.8], [0.0, 1.7]]
    places = np.column_stack([ring, [4.9, 0.4, 4.9, 0.6, 4.9, 0.5]])
    site = Site(Anchors(tuple("abcdef"), places), dimensions, 1.2)
    window = Window(6)
    value = np.linalg.norm(places - truth, axis=1) + offset
    window.add(Ranges.of(np.arange(6), value, 0.0))
    found = whatever_offset(site, window.gathered(0.0))
    assert found == pytest.approx(np.tile(truth[:dimensions], (len(found), 1)), abs=0.02)
    if dimensions == 3:  # six anchors are too few to prefer it to a place without an offset
        return
    best = explain(site, window.gathered(0.0), time=0.0, seeds=list(found), still=True)[0]
    assert best.position == pytest.approx(truth[:2], abs=0.2)
    assert best.offset == pytest.approx(offset, abs=0.15)


@pytest.mark.parametrize("tracker", ["zero-shot", "ekf", "grid"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_too_few_anchors_are_a_silence_though_they_answer(tracker: str, dimensions: int) -> None:
    """Ranges of one anchor, in space of two, fit a circle of places: it may be on any of them."""
    if tracker == "grid" and dimensions == 3:
        pytest.skip("the grid is flat")
    places, height = (SQUARE, 1.0) if dimensions == 2 else (BOX, 1.2)
    whole = walk(places, duration=55.0, speed=0.9, centre=(4.0, 3.0), radius=2.2, height=height)
    ranges = whole.ranges.copy()
    few = (whole.times >= 10.0) & (whole.times < 45.0)
    ranges[few, dimensions - 1 :] = np.nan
    asked = {"scheduler": "all", "dimensions": str(dimensions)}
    run, error = tracked(replace(whole, ranges=ranges), tracker=tracker, **asked)
    (track,) = run.tracks
    assert (track.states[:100][50:] == State.TRACKING).all()
    assert (track.states[150:180] == State.DOUBTFUL).all(), "after 3 s"
    assert (track.states[190:450] == State.LOST).all(), "after 8 s"
    sigma = np.sqrt(track.covariance[:, 0, 0])
    assert (sigma[few][80:] > error[few][80:] / 3.0).all()
    assert error[465:].max() < 0.6, "a new first fix within a second of their return"
    assert run.loops[0].watch.gate.excluded == {}, "nobody who returns is blamed"


def test_who_knows_its_motion_is_not_lost_with_one_anchor() -> None:
    whole = with_odometry(walk(SQUARE), drift=0.01, rng=np.random.default_rng(3))
    alone = altered(whole, 10.0, lambda ranges: np.where(np.arange(4) == 1, ranges, np.nan))
    run, error = tracked(alone, scheduler="all")
    assert (run.tracks[0].states[100:] != State.LOST).all()
    assert error.max() < 0.6
