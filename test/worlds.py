# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small worlds with known answers, shared by the tests."""

from __future__ import annotations

import numpy as np

from locdreamer_ros.loop import Step, run
from locdreamer_ros.methods import NEED_A_MODEL, SCHEDULERS, TRACKERS
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.roles import Scheduler, Tracker
from locdreamer_ros.types import Anchors, FloatArray, Site

READY_TRACKERS = tuple(name for name in TRACKERS if name not in NEED_A_MODEL)
READY_SCHEDULERS = tuple(name for name in SCHEDULERS if name not in NEED_A_MODEL)
"""What runs without a model trained for the site."""


def square_anchors(count: int = 8, *, size: float = 8.0, seed: int = 0) -> Anchors:
    """Anchors around a square room of edge `size` m, heights 0.3-2.8 m."""
    angle = 2.0 * np.pi * np.arange(count) / count
    rng = np.random.default_rng(seed)
    places = np.stack(
        [
            size / 2 + size / 1.8 * np.cos(angle),
            size / 2 + size / 1.8 * np.sin(angle),
            rng.uniform(0.3, 2.8, count),
        ],
        axis=1,
    )
    return Anchors(tuple(f"A{i + 1}" for i in range(count)), places)


def circle_walk(times: FloatArray, *, size: float = 8.0, height: float = 1.0) -> FloatArray:
    """Truth (T, 3): a circle walked at about 0.6 m/s."""
    radius, angle = size / 4, 0.3 * times
    return np.stack(
        [
            size / 2 + radius * np.cos(angle),
            size / 2 + radius * np.sin(angle),
            np.full(times.size, height),
        ],
        axis=1,
    )


def circle_recording(
    *,
    anchors: Anchors | None = None,
    duration: float = 60.0,
    rate: float = 10.0,
    sigma: float = 0.1,
    bias: FloatArray | float = 0.0,
    seed: int = 0,
) -> Recording:
    """A walk on a circle with Gaussian ranges and a constant bias per anchor."""
    site = square_anchors() if anchors is None else anchors
    times = np.arange(0.0, duration, 1.0 / rate)
    truth = circle_walk(times)
    distance = np.linalg.norm(truth[:, None, :] - site.positions, axis=-1)
    noise = sigma * np.random.default_rng(seed).standard_normal(distance.shape)
    return Recording("circle", site, times, distance + noise + bias, truth)


def follow(
    recording: Recording, tracker: Tracker, scheduler: Scheduler, site: Site, *, budget: int = 3
) -> tuple[list[Step], FloatArray]:
    """Steps, and horizontal errors (T,) m (NaN before the first fix)."""
    source = RecordingSource(recording)
    motions = [recording.motion(k - 1, k) if k > 0 else None for k in range(len(recording))]
    times = recording.times
    steps = list(run(tracker, scheduler, source, site, times=times, budget=budget, motions=motions))
    assert recording.truth is not None
    errors = [
        np.nan
        if step.estimate is None
        else float(np.hypot(*(step.estimate.position[:2] - truth[:2])))
        for step, truth in zip(steps, recording.truth, strict=True)
    ]
    return steps, np.array(errors)
