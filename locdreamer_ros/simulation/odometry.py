# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Wheel odometry and a gyro along a known walk: what a robot on that path would report."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.motion import wrapped
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import FloatArray

REFERENCE_M = 10.0
"""Over this distance the heading's drift alone moves the end sideways by `drift` of the way."""
FRAME_M = 10.0
"""The odometry's origin lies anywhere within this much of the map's, turned by any angle."""
POSE_NOISE_M = 0.002
YAW_NOISE_RAD = 0.002
GYRO_BIAS_RAD_S = 0.003
"""Sigma of the gyro's bias, constant in a run: 0.17 degrees per second."""
GYRO_NOISE_RAD_S = 0.005
STANDING_M = 1e-3
"""Who moves less from one epoch to the next keeps the heading."""


def with_odometry(recording: Recording, *, drift: float, rng: np.random.Generator) -> Recording:
    """The recording with the odometry and turn rate of a robot that went where its truth says.

    drift: relative, .02 is 2 % of the distance: a scale error N(0, drift) of the whole run, and a
    heading error that walks at random with the distance such that it moves the end sideways by a
    sigma of `drift` of the way, over 10 m (as distance^1.5 elsewhere). Raises InputError: no
    ground truth, or a drift not in 0 .. 1.
    """
    if not 0.0 <= drift <= 1.0:
        raise InputError(f"odometry: expected a drift in 0 .. 1 of the distance, got {drift:g}")
    path = _known_path(recording)
    steps = np.diff(path, axis=0)
    gone = np.hypot(steps[:, 0], steps[:, 1])
    heading = _headings(path)

    scale = 1.0 + drift * rng.standard_normal()
    # A heading error of variance s^2 l after l metres moves the end sideways by sqrt(s^2 l^3 / 3).
    walk = drift * math.sqrt(3.0 / REFERENCE_M) * np.sqrt(gone) * rng.standard_normal(gone.size)
    turned = rng.uniform(-math.pi, math.pi) + np.concatenate([[0.0], np.cumsum(walk)])  # (T,)
    origin = rng.uniform(-FRAME_M, FRAME_M, 2)

    cos, sin = np.cos(turned[1:]), np.sin(turned[1:])
    rotated = np.stack(
        [cos * steps[:, 0] - sin * steps[:, 1], sin * steps[:, 0] + cos * steps[:, 1]], axis=1
    )
    place = origin + np.concatenate([np.zeros((1, 2)), np.cumsum(scale * rotated, axis=0)])
    place += POSE_NOISE_M * rng.standard_normal(place.shape)
    yaw = wrapped(heading + turned + YAW_NOISE_RAD * rng.standard_normal(heading.size))
    rate = np.zeros(heading.size)
    if heading.size > 1:
        rate = np.gradient(heading, recording.times)
    rate += GYRO_BIAS_RAD_S * rng.standard_normal()
    rate += GYRO_NOISE_RAD_S * rng.standard_normal(rate.size)
    return replace(recording, odometry=np.column_stack([place, yaw]), turn_rate=rate)


def _known_path(recording: Recording) -> FloatArray:
    """The truth (T, 2) m, carried over epochs that have none. Raises InputError: there is none."""
    known = (
        np.zeros(len(recording), dtype=bool)
        if recording.truth is None
        else np.isfinite(recording.truth[:, :2]).all(axis=1)
    )
    if recording.truth is None or not known.any():
        raise InputError(f"{recording.name}: odometry is made from ground truth, and it has none")
    times = recording.times
    return np.stack(
        [np.interp(times, times[known], recording.truth[known, axis]) for axis in (0, 1)], axis=1
    )


def _headings(path: FloatArray) -> FloatArray:
    """Heading (T,) rad, without jumps, along a path (T, 2) m; while it stands, as before."""
    if path.shape[0] == 1:
        return np.zeros(1)
    ahead = np.gradient(path, axis=0)
    moving = np.flatnonzero(np.hypot(ahead[:, 0], ahead[:, 1]) >= STANDING_M)
    if moving.size == 0:
        return np.zeros(path.shape[0])
    angle = np.unwrap(np.arctan2(ahead[moving, 1], ahead[moving, 0]))
    last = np.searchsorted(moving, np.arange(path.shape[0]), side="right") - 1
    return np.asarray(angle[last.clip(min=0)])
