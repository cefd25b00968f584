# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whose ranges are all long, wherever the tag goes, is named; a wall is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kernels import KERNEL, with_kernel
from worlds import circle_recording, circle_walk, square_anchors

from locdreamer_ros.evaluation.run import Run, run_offline
from locdreamer_ros.integrity.naming import Naming
from locdreamer_ros.loop import Loop
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import FloatArray, Ranges, Site

ONSET_S = 10.0


def lasting(
    off: FloatArray | float = 1.0,
    *,
    step: float = 0.5,
    seconds: float = 10.0,
    walked: float = 5.0,
    anchors: int = 5,
    others: float = 0.1,
    beside: float = 0.1,
) -> tuple[Naming, float]:
    """A naming after anchor 0 was `off` m long for so long, the last two `others`; until when.

    beside: by how much the second was.
    """
    naming = Naming(Site(square_anchors(anchors), 2, 1.0))
    times = np.arange(0.0, seconds + 1e-9, step)
    residual = {0: 0.0, 1: beside, 2: 0.1, anchors - 2: others, anchors - 1: others}
    for time, metres in zip(times, np.broadcast_to(off, times.shape), strict=True):
        place = np.array([walked * time / seconds, 0.0])
        heard = Ranges.of([0], [9.0], time)
        naming.lasting.hear(heard, np.array([metres]), -1.0, place)
        residual[0] = float(metres)
        naming.name_drifting(residual, dict.fromkeys(residual, time), time, place)
    return naming, float(times[-1])


def test_what_is_always_long_is_suspected_and_named() -> None:
    assert not lasting(seconds=3.0)[0].suspects
    naming, _ = lasting(seconds=7.5)
    assert naming.suspects == {0}
    assert not naming.named
    assert not naming.calm
    naming, _ = lasting()
    assert naming.named == {0}
    for _ in range(20):
        naming.forgive(dict.fromkeys(range(5), 1.0))
    assert naming.named == {0}, "it is still long: a wall that long would have been forgiven"


def test_one_range_that_fits_is_enough_for_a_wall() -> None:
    off = np.full(21, 1.0)
    off[8] = 0.5
    assert not lasting(off)[0].named
    off[8] = -9.0  # a spike says nothing
    assert lasting(off)[0].named == {0}


@pytest.mark.parametrize(
    "wrong",
    [{"walked": 1.0}, {"step": 1.0}, {"others": 0.9}, {"beside": -0.4}, {"anchors": 4}],
    ids=["the tag stands", "few ranges", "others disagree", "another is short", "too few are left"],
)
def test_whom_it_does_not_name(wrong: dict[str, Any]) -> None:
    naming, _ = lasting(**wrong)
    assert naming.suspects == {0}
    assert not naming.named


def test_who_is_not_heard_any_more_is_no_suspect() -> None:
    naming, end = lasting(seconds=7.5)
    place = np.zeros(2)
    naming.name_drifting({}, dict.fromkeys(range(5), end), end + 5.0, place)
    assert naming.suspects == {0}
    naming.name_drifting({}, dict.fromkeys(range(5), end), end + 7.0, place)
    assert not naming.suspects
    naming.name_drifting({}, dict.fromkeys(range(5), end + 7.0), end + 7.0, place)
    assert not naming.suspects, "it has to be long for long again"


def drifting(*, walls: bool = False) -> tuple[Recording, Run]:
    """Six anchors, three asked; from 10 s on the first drifts long, or stands behind walls."""
    whole = circle_recording(anchors=square_anchors(6, size=10.0), duration=40.0, sigma=0.05)
    late = np.maximum(whole.times - ONSET_S, 0.0)
    off = 1.5 * (late > 0.0) * (whole.times % 4.0 > 1.0) if walls else 0.1 * late
    ranges = whole.ranges.copy()
    ranges[:, 0] += off
    whole = replace(whole, ranges=ranges)
    site, method = Site(whole.anchors, 2, 1.0), Method()
    tracker, scheduler = method.make_tracker(site), method.make_scheduler(site)
    return whole, run_offline(whole, site, tracker, scheduler, budget=3)


@pytest.mark.parametrize("kernel", [KERNEL, None])
def test_one_that_drifts_long_is_named_within_20_s(kernel: Any) -> None:
    whole, run = with_kernel(kernel, drifting)
    asking = run.tracks[0].asking
    assert asking is not None
    named = whole.times[asking.excluded[:, 0]] - ONSET_S
    assert 12.0 < named[0] < 20.0
    assert named[-1] > 29.0, "and it stays named"
    assert not asking.excluded[:, 1:].any()
    error = np.hypot(*(run.tracks[0].mean[:, :2] - circle_walk(whole.times)[:, :2]).T)
    assert np.nanmax(error[20:]) < 0.6


@pytest.mark.parametrize("kernel", [KERNEL, None])
def test_a_suspect_is_asked_in_one_fix_of_five(kernel: Any) -> None:
    whole, run = with_kernel(kernel, drifting)
    asking = run.tracks[0].asking
    assert asking is not None
    named = whole.times[asking.excluded[:, 0]][0]
    suspected = asking.chosen[(whole.times > named - 3.0) & (whole.times < named), 0]
    assert np.convolve(suspected, np.ones(6), "valid").min() >= 1


def test_walls_that_let_a_range_go_now_and_then_name_nobody() -> None:
    _, run = drifting(walls=True)
    asking = run.tracks[0].asking
    assert asking is not None
    assert not asking.excluded.any()


def test_of_a_slow_tag_nobody_is_suspected() -> None:
    whole = circle_recording(anchors=square_anchors(6, size=10.0), duration=60.0, rate=1.0)
    ranges = whole.ranges.copy()
    ranges[20:, 0] += 1.5
    site, method = Site(whole.anchors, 2, 1.0), Method()
    loop = Loop(method.make_tracker(site), method.make_scheduler(site), site, budget=3)
    for time, row in zip(whole.times.tolist(), ranges, strict=True):
        plan = loop.plan(time)
        loop.absorb(plan, Ranges.of(plan.anchor, row[plan.anchor], time))
        assert not loop.watch.naming.suspects
    assert loop.watch.naming.lasting.rows[0, 1] > 3.0, "though all its ranges were long"
