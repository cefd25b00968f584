# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An anchor that repeats its last range, as firmware does of one that is gone, is named."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from kernels import KERNEL, with_kernel
from worlds import circle_recording, circle_walk, square_anchors

from locdreamer_ros.evaluation.metrics import AskingHistory
from locdreamer_ros.evaluation.run import run_offline
from locdreamer_ros.integrity.lasting import REPEATS, Lasting
from locdreamer_ros.methods import Method
from locdreamer_ros.types import BoolArray, FloatArray, Ranges, Site

SINCE_S, UNTIL_S = 10.0, 20.0


def walked(
    *, stuck: int = 0, resolution: float = 0.0
) -> tuple[FloatArray, FloatArray, AskingHistory]:
    """Times, errors (T,) m, and who was held back, three asked a fix; so many anchors stick."""
    whole = circle_recording(
        anchors=square_anchors(6, size=10.0), duration=40.0, sigma=0.05, rate=10.0
    )
    ranges = whole.ranges.copy()
    if resolution:
        ranges = np.round(ranges / resolution) * resolution
    gone = (whole.times >= SINCE_S) & (whole.times < UNTIL_S)
    ranges[gone, :stuck] = ranges[~gone & (whole.times < SINCE_S)][-1, :stuck]
    whole = replace(whole, ranges=ranges)
    site, method = Site(whole.anchors, 2, 1.0), Method()
    tracker, scheduler = method.make_tracker(site), method.make_scheduler(site)
    run = run_offline(whole, site, tracker, scheduler, budget=3)
    found = run.tracks[0].mean[:, :2] - circle_walk(whole.times)[:, :2]
    assert run.tracks[0].asking is not None
    return whole.times, np.hypot(*found.T), run.tracks[0].asking


@pytest.mark.parametrize("kernel", [KERNEL, None])
def test_one_that_repeats_its_last_range_is_named_at_once_and_comes_back(kernel: Any) -> None:
    times, error, asking = with_kernel(kernel, partial(walked, stuck=1))
    out: BoolArray = asking.excluded[:, 0]
    assert out.any()
    assert times[out][0] - SINCE_S < 4.0
    assert not asking.excluded[:, 1:].any()
    assert np.nanmax(error[20:]) < 0.5
    assert not out[times > UNTIL_S + 12.0].any(), "it is right again"


@pytest.mark.parametrize("resolution", [0.01, 0.1])
def test_coarse_ranges_are_not_stale(resolution: float) -> None:
    assert not walked(resolution=resolution)[2].excluded.any()


def test_who_is_stuck() -> None:
    """By the track it is elsewhere, and the others go on."""

    def heard(values: list[FloatArray], off: float) -> Lasting:
        lasting = Lasting(len(values))
        for step, each in enumerate(zip(*values, strict=True)):
            ranges = Ranges.of(np.arange(len(values)), np.array(each), 0.1 * step)
            lasting.hear(ranges, np.full(len(values), off * step), -1.0, np.zeros(2))
        return lasting

    count = REPEATS + 1
    goes, repeats = np.arange(count) / 10.0 + 5.0, np.full(count, 5.0)
    assert heard([repeats, goes, goes], 0.1).stuck(0)
    assert not heard([repeats, goes, goes], 0.1).stuck(1)
    assert not heard([repeats, goes, goes], 0.03).stuck(0), "the track says that the tag stands"
    assert not heard([repeats[1:], goes[1:], goes[1:]], 0.1).stuck(0), "too few of them"
    assert not heard([repeats, repeats, goes], 0.1).stuck(0), "most repeat theirs: coarse ranges"
