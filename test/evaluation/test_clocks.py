# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The difference between the clocks of truth and ranges is found, and taken out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.clocks import aligned, truth_delay
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Anchors

TIMES = np.arange(0.0, 120.0, 0.1)
ANCHORS = Anchors(("A", "B", "C", "D"), np.array([[0.0, 0, 1], [6, 0, 1], [6, 5, 1], [0, 5, 1.0]]))


def lissajous(time: np.ndarray) -> np.ndarray:
    return np.column_stack(
        [3 + 2 * np.sin(0.23 * time), 2.5 + 1.5 * np.cos(0.31 * time), 0.5 + 0.0 * time]
    )


def late(delay: float, sigma: float = 0.05) -> Recording:
    """Ranges at their times, beside truth that is `delay` s old."""
    rng = np.random.default_rng(1)
    distance = np.linalg.norm(lissajous(TIMES)[:, None] - ANCHORS.positions, axis=2)
    offset = np.array([0.2, 0.1, 0.3, 0.15])
    ranges = distance + offset + 0.02 * distance + sigma * rng.standard_normal(distance.shape)
    ranges[rng.random(ranges.shape) < 0.02] = np.nan
    ranges[rng.random(ranges.shape) < 0.02] += 2.0
    return Recording("late", ANCHORS, TIMES, ranges, lissajous(TIMES - delay))


@pytest.mark.parametrize("delay", [-0.1, 0.0, 0.18])
def test_finds_the_delay(delay: float) -> None:
    assert truth_delay(late(delay)) == pytest.approx(delay, abs=0.02)


def test_takes_it_out() -> None:
    moved = aligned(late(0.18))
    assert moved.truth is not None
    off = np.linalg.norm(moved.truth - lissajous(TIMES), axis=1)
    assert np.nanmax(off) < 0.02
    assert 0 < np.isnan(off).sum() < 5  # what lies outside of the recording


def test_needs_truth_and_motion() -> None:
    with pytest.raises(InputError, match="no ground truth"):
        truth_delay(replace(late(0.0), truth=None))
    still = late(0.0)
    with pytest.raises(InputError, match="no motion"):
        truth_delay(replace(still, truth=np.tile(still.truth[0], (TIMES.size, 1))))
