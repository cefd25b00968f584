# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the ranges, anchors and truth of a run belong together, in sentences.

Swapped ids, another frame, a clock that is late: numbers come out all the same, and mean nothing.
"""

from __future__ import annotations

import numpy as np

from locdreamer_ros.evaluation.metrics import Track
from locdreamer_ros.oddities import oddities
from locdreamer_ros.recording import Recording
from locdreamer_ros.scales import LIKELY, held_of, in_feet, twofold
from locdreamer_ros.types import FloatArray

STRANGE_M = 0.7
"""Ranges of right anchors are nearer to the estimates in the median, what they share taken off."""
TRUTH_M, TIMES = 0.3, 3.0
"""Truth that is farther from the ranges than this, and by this factor than the estimates are."""
FEWEST_POINTS, MOST_POINTS = 10, 2000
"""Epochs; with less there is too little to judge by, of more so many are looked at, or twice."""
NEAR_S = 0.1
"""A fix is of the ranges stamped at most so long before or after it."""


def doubts(recording: Recording, track: Track, tag_height: float) -> list[str]:
    """What is odd in a recording, and what does not fit in a run over it, in sentences.

    tag_height m: of a 2-D state.
    """
    sentences = []
    if not recording.differences:
        sentences += oddities(recording.times, recording.ranges, recording.anchors.ids)
        held = held_of(recording.times, recording.ranges)
        if factor := twofold(recording.anchors, held):
            much, halved = ("half", "twice") if factor > 1.0 else ("twice", "never")
            sentences.append(
                f"the ranges are {much} of what fits the anchors: is the way there and back "
                f"{halved} halved?"
            )
        if fits := in_feet(recording.anchors, held, LIKELY):
            sentences.append(
                f"the ranges fit the anchors in feet, to {fits.in_feet:.2g} m, better than in "
                f"metres, to {fits.as_metres:.2g} m: are they in feet? then call them r_<id>_ft, "
                "range_ft"
            )
    if not np.array_equal(track.times, recording.times):
        recording = recording.near(track.times, NEAR_S)
    every = max(1, len(track) // MOST_POINTS)
    recording = recording.rows(slice(None, None, every))
    track = track.only(np.arange(0, len(track), every))
    place = np.full((len(recording), 3), tag_height)
    place[:, : track.dimensions] = track.mean[:, : track.dimensions]
    misfit = _misfit(recording, place)
    if misfit > STRANGE_M:
        sentences.append(
            f"the ranges do not fit the anchors: they are {misfit:.2f} m off the estimates in the "
            "median; are ids, places and units right?"
        )
    if recording.truth is None:
        return sentences
    truth = recording.truth.copy()
    truth[:, 2] = np.where(np.isnan(truth[:, 2]), place[:, 2], truth[:, 2])
    truth_misfit = _misfit(recording, truth)
    if truth_misfit > max(TRUTH_M, TIMES * misfit):
        sentences.append(
            f"the truth does not fit the ranges: they are {truth_misfit:.2f} m off it in the "
            f"median, {misfit:.2f} m off the estimates; are truth and anchors in one frame, truth "
            "and ranges on one clock?"
        )
    return sentences


def _misfit(recording: Recording, place: FloatArray) -> float:
    """How far ranges are off places (T, 3) in the median, m, what they share taken off; 0: unknown.

    Differences share what they like with those of their epoch, ranges with all others.
    """
    away = np.linalg.norm(place[:, None] - recording.anchors.positions, axis=2)
    error = recording.ranges - away
    rows = np.isfinite(error).sum(axis=1) > int(recording.differences)
    error = error[rows]
    if len(error) < FEWEST_POINTS:
        return 0.0
    axis = 1 if recording.differences else None
    error = error - np.nanmedian(error, axis=axis, keepdims=True)
    return float(np.nanmedian(np.abs(error)))
