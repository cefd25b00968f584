# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motion between two times, from a recording and from what came in live."""

from __future__ import annotations

from dataclasses import replace
from math import pi

import numpy as np
import pytest
from worlds import READY_TRACKERS

from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.run import run_offline
from locdreamer_ros.methods import make_scheduler, make_tracker
from locdreamer_ros.motion import SAMPLES_KEPT, MotionBuffer, wrapped
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import simulate
from locdreamer_ros.types import Estimate, Motion, Site


@pytest.fixture(scope="module")
def moving() -> Recording:
    return simulate("lab", duration=6.0, rate=10.0, seed=1, odometry=0.02)


def filled(recording: Recording) -> MotionBuffer:
    """A buffer that has heard all of the recording."""
    buffer = MotionBuffer()
    assert recording.odometry is not None
    assert recording.turn_rate is not None
    for time, pose, rate in zip(
        recording.times, recording.odometry, recording.turn_rate, strict=True
    ):
        if np.isfinite(pose).all():
            buffer.add_pose(float(time), *map(float, pose))
        if np.isfinite(rate):
            buffer.add_rate(float(time), float(rate))
    return buffer


def straight(until: float = 1.0, rate: float = 50.0, speed: float = 1.0) -> MotionBuffer:
    """Odometry along x, which turns by 0.5 rad/s."""
    buffer = MotionBuffer()
    for time in np.arange(0.0, until + 1e-9, 1.0 / rate):
        buffer.add_pose(float(time), speed * float(time), 0.0, wrapped(3.0 + 0.5 * float(time)))
    return buffer


def assert_motion(motion: Motion | None, displacement: object, turn: float | None) -> None:
    assert motion is not None
    if displacement is None:
        assert motion.displacement is None
    else:
        np.testing.assert_allclose(motion.displacement, displacement, atol=1e-9)
    assert motion.turn == (None if turn is None else pytest.approx(turn, abs=1e-9))


@pytest.mark.parametrize("step", [1, 3])  # epochs at once
def test_the_buffer_gives_what_the_recording_gives(moving: Recording, step: int) -> None:
    buffer = filled(moving)
    for other in (moving, replace(moving, odometry=np.full((60, 3), np.nan))):
        live = buffer if other is moving else filled(other)
        for epoch in range(step, len(moving), step):
            expected = other.motion(epoch - step, epoch)
            found = live.between(float(moving.times[epoch - step]), float(moving.times[epoch]))
            assert expected is not None
            assert found is not None
            assert (found.displacement is None) == (expected.displacement is None)
            if expected.displacement is not None:
                np.testing.assert_allclose(found.displacement, expected.displacement, atol=1e-12)
            assert found.turn == pytest.approx(expected.turn, abs=1e-9)


def test_the_turn_is_the_odometrys_else_the_gyros(moving: Recording) -> None:
    assert moving.odometry is not None
    assert moving.turn_rate is not None
    wheels, gyro = replace(moving, turn_rate=None), replace(moving, odometry=None)
    both, first, second = moving.motion(4, 5), wheels.motion(4, 5), gyro.motion(4, 5)
    assert both is not None
    assert first is not None
    assert second is not None
    assert both.turn == first.turn != second.turn
    assert second.displacement is None
    rates = moving.turn_rate
    assert second.turn == pytest.approx(0.1 * 0.5 * (rates[4] + rates[5]))
    assert replace(moving, odometry=None, turn_rate=None).motion(4, 5) is None
    assert moving.only(moving.anchors.ids[:3]).motion(4, 5) is not None


def test_what_is_nan_is_not_known(moving: Recording) -> None:
    assert moving.odometry is not None
    assert moving.turn_rate is not None
    odometry, rate = moving.odometry.copy(), moving.turn_rate.copy()
    odometry[5] = odometry[8, 2] = rate[5] = np.nan
    holed = replace(moving, odometry=odometry, turn_rate=rate)
    ahead = odometry[4] - odometry[3]
    assert_motion(holed.motion(4, 5), ahead[:2], ahead[2])  # carried on
    both = odometry[6] - odometry[4]
    assert_motion(holed.motion(4, 6), both[:2], both[2])
    assert_motion(holed.motion(5, 6), both[:2] / 2.0, both[2] / 2.0)  # by then it is known
    live = MotionBuffer()
    for epoch in range(len(holed)):
        if np.isfinite(odometry[epoch]).all():
            live.add_pose(float(holed.times[epoch]), *map(float, odometry[epoch]))
        if np.isfinite(rate[epoch]):
            live.add_rate(float(holed.times[epoch]), float(rate[epoch]))
        if epoch > 0:
            found = live.between(float(holed.times[epoch - 1]), float(holed.times[epoch]))
            expected = holed.motion(epoch - 1, epoch)
            assert expected is not None
            assert_motion(found, expected.displacement, expected.turn)
    wheels = replace(moving, odometry=np.where(np.arange(60)[:, None] < 30, odometry, np.nan))
    assert wheels.motion(34, 35).displacement is None, "too long ago"


def test_a_recording_checks_its_odometry(moving: Recording) -> None:
    with pytest.raises(InputError, match=r"odometry: expected \(60, 3\), got \(60, 2\)"):
        replace(moving, odometry=np.zeros((60, 2)))
    with pytest.raises(InputError, match=r"turn_rate: expected \(60,\), got \(59,\)"):
        replace(moving, turn_rate=np.zeros(59))


def test_between_stamps_it_is_interpolated_and_yaw_goes_round() -> None:
    buffer = straight()
    assert_motion(buffer.between(0.013, 0.777), (0.764, 0.0), 0.382)
    assert_motion(buffer.between(0.0, 1.0), (1.0, 0.0), 0.5)


def test_after_the_last_sample_it_is_carried_on_but_not_for_long() -> None:
    buffer = straight()
    assert_motion(buffer.between(0.9, 1.03), (0.13, 0.0), 0.065)
    assert_motion(buffer.between(0.9, 1.5), (0.6, 0.0), 0.3)
    assert buffer.between(0.9, 1.51) is None
    assert buffer.between(1.6, 1.7) is None


def test_before_the_first_sample_backwards_or_empty_it_says_nothing() -> None:
    assert MotionBuffer().between(0.0, 1.0) is None
    assert straight().between(-0.1, 0.5) is None
    assert straight().between(0.5, 0.5) is None
    assert straight().between(0.5, 0.4) is None
    single = MotionBuffer()
    single.add_pose(1.0, 0.0, 0.0, 0.0)
    assert single.between(1.0, 1.1) is None, "one sample has no speed"


def test_a_gap_is_not_interpolated_but_may_lie_between() -> None:
    buffer = straight()
    buffer.add_pose(1.8, 1.5, 0.3, 0.1)
    buffer.add_pose(1.9, 1.6, 0.3, 0.1)
    assert buffer.between(0.9, 1.4) is None
    moved = buffer.between(0.9, 1.9)
    assert moved is not None
    np.testing.assert_allclose(moved.displacement, (0.7, 0.3), atol=1e-9)


def test_a_gyro_with_a_gap_begins_anew() -> None:
    buffer = MotionBuffer()
    for time in (0.0, 0.1, 0.2, 1.0, 1.1):
        buffer.add_rate(time, 2.0)
    assert_motion(buffer.between(1.0, 1.1), None, 0.2)
    assert buffer.between(0.1, 1.1) is None


def test_odometry_that_jumps_was_set_anew(moving: Recording) -> None:
    buffer = straight()
    buffer.add_pose(1.02, 50.0, 0.0, 0.0)
    buffer.add_pose(1.04, 50.02, 0.0, 0.0)
    assert buffer.between(0.9, 1.04) is None
    assert_motion(buffer.between(1.02, 1.04), (0.02, 0.0), 0.0)
    assert moving.odometry is not None
    odometry = moving.odometry.copy()
    odometry[30:, :2] += 40.0
    jump = replace(moving, odometry=odometry, turn_rate=None)
    assert jump.motion(29, 30) is None
    assert jump.motion(30, 31) is not None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(bad: float) -> None:
    buffer = MotionBuffer()
    for pose in ((bad, 0.0, 0.0), (0.0, bad, 0.0), (0.0, 0.0, bad)):
        with pytest.raises(InputError, match="expected finite numbers"):
            buffer.add_pose(0.0, *pose)
    with pytest.raises(InputError, match="expected finite numbers"):
        buffer.add_rate(0.0, bad)


def test_late_samples_are_refused_until_the_time_itself_has_gone_back() -> None:
    buffer = straight()
    for late in (1.0, 0.99):
        with pytest.raises(InputError, match="before the last"):
            buffer.add_pose(late, 5.0, 0.0, 0.0)
    assert_motion(buffer.between(0.0, 1.0), (1.0, 0.0), 0.5)
    buffer.add_pose(1.02, 1.02, 0.0, wrapped(3.51))
    with pytest.raises(InputError, match="before the last"):
        buffer.add_pose(0.3, 7.0, 0.0, 0.0)
    buffer.add_pose(0.4, 7.1, 0.0, 0.0)  # the second that agrees
    buffer.add_pose(0.5, 7.2, 0.0, 0.0)
    assert_motion(buffer.between(0.4, 0.5), (0.1, 0.0), 0.0)
    assert buffer.between(0.3, 0.5) is None


def test_it_keeps_a_bounded_number() -> None:
    buffer = straight(until=SAMPLES_KEPT / 50.0 + 1.0)
    assert buffer.between(0.5, 2.0) is None
    assert buffer.between(5.0, 6.0) is not None


def test_angles_are_wrapped() -> None:
    assert wrapped(pi + 0.1) == pytest.approx(0.1 - pi)
    np.testing.assert_allclose(wrapped(np.array([-7.0, 3.0])), [2.0 * pi - 7.0, 3.0])


def test_every_tracker_passes_over_what_it_cannot_use(moving: Recording) -> None:
    """The classical trackers give what they gave; zero-shot, which can use it, does."""
    site = Site.of(moving.anchors)
    bare = replace(moving, odometry=None, turn_rate=None)
    for name in READY_TRACKERS:
        means = [
            run_offline(
                recording,
                site,
                make_tracker(name, site),
                make_scheduler("gdop", site),
                budget=3,
            )
            .tracks[0]
            .mean
            for recording in (moving, bare)
        ]
        if name == "zero-shot":
            assert not np.array_equal(*means)
        else:
            np.testing.assert_array_equal(*means)


def test_the_motion_since_the_last_predict_reaches_every_tracker(moving: Recording) -> None:
    site = Site.of(moving.anchors)
    given: list[list[Motion | None]] = [[], []]
    trackers = [make_tracker("ekf", site), make_tracker("ekf", site)]
    for tracker, heard in zip(trackers, given, strict=True):
        predict = tracker.predict

        def listening(
            dt: float,
            motion: Motion | None = None,
            predict: object = predict,
            heard: list[Motion | None] = heard,
        ) -> Estimate:
            heard.append(motion)
            return predict(dt, motion)  # type: ignore[operator, no-any-return]

        tracker.predict = listening  # type: ignore[method-assign]
    run_offline(
        moving, site, trackers[0], make_scheduler("gdop", site), budget=3, beside=trackers[1:]
    )
    for heard in given:
        assert len(heard) == len(moving) - 1, "none before the first fix"
        for epoch, motion in enumerate(heard, start=1):
            expected = moving.motion(epoch - 1, epoch)
            assert motion is not None
            assert expected is not None
            np.testing.assert_array_equal(motion.displacement, expected.displacement)
            assert motion.turn == expected.turn
