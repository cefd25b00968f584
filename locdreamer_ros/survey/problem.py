# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is to be explained: ranges along a walk, what is known of the place, and a walk's knots.

K knots of the tag's walk, N ranges, A anchors, D = 2 or 3 dimensions. The tag is at its knots and
on straight lines between them, so each range counts at its own stamp.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from locdreamer_ros.motion import MotionBuffer
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import FloatArray, IntArray

KNOT_S = 0.25
"""Time between knots: a walker goes straight for that long, to within a few centimetres."""
YAW_S = 10.0
"""Odometry's heading in the map is a new unknown this often: it drifts."""


def _nobody() -> IntArray:
    return np.empty(0, dtype=np.intp)


def _nothing() -> FloatArray:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class Between:
    """Lengths (M,) m between anchors: from, to (M,) rows; taped, or ranged with antenna delays."""

    start: IntArray = field(default_factory=_nobody)
    end: IntArray = field(default_factory=_nobody)
    length: FloatArray = field(default_factory=_nothing)
    taped: FloatArray = field(default_factory=_nothing)
    """(M,) 1 where taped, 0 where ranged."""


@dataclass(frozen=True, eq=False)
class Known:
    """What is known beforehand: places (A, 3) m, NaN where not; lengths; the tag's height m."""

    places: FloatArray
    between: Between = field(default_factory=Between)
    tag_height: float | None = None


@dataclass(frozen=True, eq=False)
class Walk:
    """Ranges of a walk: times (K,) s of its knots; knot, fraction, anchor, value (N,) of ranges.

    A range is of the tag at (1 - fraction) of knot and fraction of the next. moved (K - 1, 2) m is
    the odometry's step between knots in its own frame, NaN where unknown.
    """

    times: FloatArray
    knot: IntArray
    fraction: FloatArray
    anchor: IntArray
    value: FloatArray
    moved: FloatArray

    @property
    def turns(self) -> IntArray:
        """(K - 1,) which unknown heading of the odometry each step has, -1: it has no step."""
        number = ((self.times[:-1] - self.times[0]) // YAW_S).astype(np.intp)
        known = np.isfinite(self.moved[:, 0])
        turns = np.full(number.size, -1, dtype=np.intp)
        turns[known] = np.unique(number[known], return_inverse=True)[1]
        return turns


def walk_of(recording: Recording) -> Walk:
    """The walk of a recording, in order of time."""
    row, anchor = np.nonzero(np.isfinite(recording.ranges))
    stamps = recording.stamps
    time = recording.times[row] if stamps is None else stamps[row, anchor]
    time = np.where(np.isfinite(time), time, recording.times[row])
    order = np.argsort(time, kind="stable")
    time, anchor, value = time[order], anchor[order], recording.ranges[row, anchor][order]
    cell = np.floor((time - time[0]) / KNOT_S).astype(np.int64)
    cells = np.unique(np.concatenate([cell, cell + 1]))
    knot = np.searchsorted(cells, cell)
    times = time[0] + cells * KNOT_S
    fraction = (time - times[knot]) / KNOT_S
    return Walk(times, knot, fraction, anchor, value, _moved(recording, times))


def _moved(recording: Recording, times: FloatArray) -> FloatArray:
    """Steps (K - 1, 2) m of the odometry between knots."""
    moved = np.full((times.size - 1, 2), np.nan)
    if recording.odometry is None:
        return moved
    poses, buffer = np.full((times.size, 2), np.nan), MotionBuffer()
    samples = iter(np.flatnonzero(np.isfinite(recording.odometry).all(axis=1)).tolist())
    last = -np.inf
    ahead: int | None = next(samples, None)
    for k, time in enumerate(times):
        # One sample beyond the knot, to interpolate.
        while ahead is not None and last < time:
            stamp = float(recording.times[ahead])
            if stamp > last:
                buffer.add_pose(stamp, *map(float, recording.odometry[ahead]))
                last = stamp
            ahead = next(samples, None)
        pose = buffer.pose_at(float(time))
        if pose is not None:
            poses[k] = pose[:2]
    return np.diff(poses, axis=0)
