# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether ground truth and ranges of a recording tell the same time.

Motion capture and UWB modules are stamped by different clocks. Where truth is late, a tracker that
is just as late looks better than one that is not: at 0.5 m/s and 0.1 s that is 5 cm. The delay
shows in the ranges alone, before any tracker: those to an anchor that the tag approaches are then
too short by speed times delay, those to one it leaves too long.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import FloatArray

USUAL_M = 0.3
"""Ranges farther from an anchor's median error say nothing of clocks."""


def truth_delay(recording: Recording) -> float:
    """By how many s the ground truth is late (negative: early) against the ranges.

    The slope of range errors over range rates, each anchor with an offset of its own, and a bend
    with the distance. Raises InputError without ground truth or motion.
    """
    if recording.truth is None:
        raise InputError(f"{recording.where}: no ground truth (gt_x, gt_y, gt_z)")
    truth = recording.truth
    distance = np.linalg.norm(truth[:, None] - recording.anchors.positions, axis=2)  # (T, A)
    rate = np.gradient(distance, recording.times, axis=0)
    error = recording.ranges - distance
    rates: list[FloatArray] = []
    errors: list[FloatArray] = []
    for anchor in range(distance.shape[1]):
        near = np.abs(error[:, anchor] - np.nanmedian(error[:, anchor])) < USUAL_M
        rows = near & np.isfinite(rate[:, anchor])
        if rows.sum() < 10:
            continue
        # Only what neither offset nor distance explains is left to the clock.
        bend = np.vander(distance[rows, anchor], 3)
        for values, column in ((rates, rate), (errors, error)):
            value = column[rows, anchor]
            values.append(value - bend @ np.linalg.lstsq(bend, value, rcond=None)[0])
    if not rates or (square := float((np.concatenate(rates) ** 2).sum())) < 1e-6:
        raise InputError(f"{recording.where}: no motion that would show the clocks' difference")
    return float(np.concatenate(rates) @ np.concatenate(errors)) / square


def aligned(recording: Recording) -> Recording:
    """The recording with its ground truth moved to the ranges' clock by `truth_delay`.

    Truth that would lie outside of the recording becomes NaN and is not scored.
    """
    delay = truth_delay(recording)
    truth, times = recording.truth, recording.times
    assert truth is not None
    moved = [np.interp(times + delay, times, x, left=np.nan, right=np.nan) for x in truth.T]
    return replace(recording, truth=np.column_stack(moved))
