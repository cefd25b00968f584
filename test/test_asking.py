# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchors that do not answer are passed over, and asked again now and then."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from kernels import KERNEL, with_kernel
from worlds import circle_recording, square_anchors

from locdreamer_ros.asking import LONGEST_S, MISSES, Asking
from locdreamer_ros.evaluation.run import Run, run_offline
from locdreamer_ros.integrity.watch import Watch
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.schedulers.subsets import NEAREST
from locdreamer_ros.types import BoolArray, Site

HEARD_S = 15.0
"""From then on all answer."""


def walked(
    gone: BoolArray, *, scheduler: str = "foresight", tracker: str = "zero-shot", anchors: int = 8
) -> tuple[Recording, Run]:
    """30 s at 10 Hz, three of the anchors asked, without the ranges that are gone (T, A)."""
    recording = circle_recording(anchors=square_anchors(anchors, size=10.0), sigma=0.05)
    recording.ranges[gone] = np.nan
    method = Method(tracker=tracker, scheduler=scheduler)
    site = Site(recording.anchors, 2, 1.0)
    run = run_offline(
        recording, site, method.make_tracker(site), method.make_scheduler(site), budget=3
    )
    return recording, run


def asked(run: Run) -> BoolArray:
    """Whether each anchor was asked, (T, A)."""
    asking = run.tracks[0].asking
    assert asking is not None
    return asking.chosen


def dead(*rows: int, anchors: int = 8) -> BoolArray:
    """Ranges of these are gone until `HEARD_S`."""
    times = circle_recording(anchors=square_anchors(anchors)).times
    gone = np.zeros((times.size, anchors), dtype=bool)
    gone[np.ix_(times < HEARD_S, rows)] = True
    return gone


@pytest.mark.parametrize(
    "method",
    [
        {"scheduler": name}
        for name in ("foresight", "gdop", "random", "round-robin", "nearest", "sequential")
    ]
    + [{"scheduler": "foresight", "tracker": "ekf"}],
    ids=lambda method: "-".join(method.values()),
)
def test_the_dead_are_asked_seldom_and_who_comes_back_is_found(method: dict[str, str]) -> None:
    recording, run = walked(dead(1, 4, 5, 6), **method)
    off = (recording.times > 3.0) & (recording.times < HEARD_S)
    assert asked(run)[off][:, [1, 4, 5, 6]].sum(axis=1).mean() < 0.35, "of three a fix"
    found = (recording.times > HEARD_S + LONGEST_S + 1.0) & asked(run)[:, [1, 4, 5, 6]].any(axis=1)
    assert found.any()


def test_with_and_without_the_kernel_the_same_are_asked() -> None:
    runs = [with_kernel(kernel, partial(walked, dead(1, 4)))[1] for kernel in (KERNEL, None)]
    np.testing.assert_array_equal(asked(runs[0]), asked(runs[1]))


def test_on_large_sites_too() -> None:
    count = NEAREST + 20
    out = np.arange(count) % 4 != 1
    gone = np.broadcast_to(out, (circle_recording().times.size, count)).copy()
    recording, run = walked(gone, anchors=count)
    late = recording.times > 5.0
    assert asked(run)[late][:, out].sum(axis=1).mean() < 0.3


def test_what_is_lost_by_chance_passes_nobody_over() -> None:
    gone = dead() | (np.random.default_rng(4).random(dead().shape) < 0.3)
    _, some = walked(gone)
    asking = some.tracks[0].asking
    assert asking is not None
    assert asked(some)[20:].sum(axis=1).min() == 3
    assert np.isfinite(asking.heard[20:]).sum(axis=1).mean() > 1.9


def test_where_answers_come_one_at_a_time_nobody_is_taken_for_dead() -> None:
    """As of a recording with one range a row: each anchor misses while the others answer."""
    times = circle_recording().times
    gone = np.arange(times.size)[:, None] % 8 != np.arange(8)
    _, run = walked(gone)
    asking = run.tracks[0].asking
    assert asking is not None
    assert np.isfinite(asking.heard[50:]).sum(axis=1).mean() > 0.33, "three asked of eight"


def test_after_an_outage_all_are_asked_again_at_once() -> None:
    times = circle_recording().times
    gone = np.broadcast_to((times > 5.0)[:, None] & (times < 10.0)[:, None], (times.size, 8))
    _, run = walked(gone.copy())
    asking = run.tracks[0].asking
    assert asking is not None
    back = (times >= 10.0) & (times < 11.0)
    assert np.isfinite(asking.heard[back]).sum(axis=1).mean() > 2.5


def test_with_no_more_than_the_budget_all_are_asked() -> None:
    _, run = walked(dead(2, anchors=3), anchors=3)
    assert asked(run)[20:].all()


def test_doubt_asks_nobody_who_does_not_answer() -> None:
    """While the track is suspect those unheard for longest are asked: the dead would be first."""
    site = Site(square_anchors(8, size=10.0), 2, 1.0)
    method = Method()
    asking = Asking(watch := Watch(site, method.make_tracker(site)))
    for step in range(MISSES):
        asking.answered(np.arange(8), np.arange(4), 0.1 * step)
    watch.doubt.suspect = True
    silent = asking.silent(0.5, 3)
    assert silent is not None
    chosen: Any = asking.corrected(np.array([0, 1, 5]), 0.5, silent)
    assert chosen.size == 3
    assert not silent[chosen].any()
