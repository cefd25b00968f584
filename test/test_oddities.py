# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is odd in times and ranges is said, and of sound recordings nothing."""

from __future__ import annotations

import numpy as np
import pytest

from locdreamer_ros.oddities import oddities
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import simulate


def said(recording: Recording) -> list[str]:
    return oddities(recording.times, recording.ranges, recording.anchors.ids)


@pytest.mark.parametrize("rate", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("place", ["house", "hall", "lab", "random"])
def test_minutes_that_were_read_as_seconds(place: str, rate: float) -> None:
    walk = simulate(place, duration=60.0, rate=rate, seed=2)
    assert said(walk) == []
    (line,) = oddities(walk.times / 60.0, walk.ranges, walk.anchors.ids)
    assert line.startswith("the ranges change by ")
    assert line.endswith("is the time in minutes? then call its column t_min")


def test_a_driver_that_repeats_the_last_range() -> None:
    walk = simulate("hall", duration=60.0, rate=10.0, seed=1)
    a = int(np.argmax(np.isfinite(walk.ranges).sum(axis=0)))
    repeated = walk.ranges.copy()
    repeated[200:350, a] = repeated[200, a]
    (line,) = oddities(walk.times, repeated, walk.anchors.ids)
    assert f"while the tag moves: {walk.anchors.ids[a]} (for 14.9 s); is the last one" in line
    # Nor is a short silence worth a word, nor a tag that stands.
    repeated = walk.ranges.copy()
    repeated[200:215, a] = repeated[200, a]
    assert oddities(walk.times, repeated, walk.anchors.ids) == []
    standing = np.repeat(walk.ranges[:1], len(walk), axis=0)
    assert oddities(walk.times, standing, walk.anchors.ids) == []


@pytest.mark.parametrize("step", [0.1, 0.5])
def test_ranges_as_coarse_as_a_module_gives_them(step: float) -> None:
    walk = simulate("hall", duration=60.0, rate=10.0, seed=1)
    assert oddities(walk.times, step * np.round(walk.ranges / step), walk.anchors.ids) == []


def test_one_anchor_and_no_ranges() -> None:
    times, nothing = np.arange(50) / 10.0, np.full((50, 3), np.nan)
    assert oddities(times, nothing, ["a", "b", "c"]) == []
    assert oddities(times, np.full((50, 1), 3.0), ["a"]) == []
