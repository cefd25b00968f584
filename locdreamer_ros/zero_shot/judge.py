# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a model that was tuned to a site tracks better there, without ground truth.

On walks that it did not learn from, both models track with few of the anchors heard; what they are
compared with is the walk that all of them and all the time afterwards tell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from locdreamer_ros.evaluation.run import run_offline
from locdreamer_ros.recording import Recording
from locdreamer_ros.schedulers import make_scheduler
from locdreamer_ros.trackers.zero_shot import ZeroShotTracker
from locdreamer_ros.types import FloatArray, Site
from locdreamer_ros.zero_shot.model_file import Weights
from locdreamer_ros.zero_shot.reading import read_walk

BUDGET = 3
BLOCK = 20
"""Epochs whose mean counts as one draw: errors that follow each other are alike."""


def gain(
    recordings: Sequence[Recording], tuned: Weights, shipped: Weights, *, tag_height: float
) -> tuple[float, float]:
    """By how many m the errors of `tuned` are smaller than those of `shipped`; standard error.

    The walk compared with is told by `shipped`: a doubt counts for it. Raises InputError as
    `read_walk` does.
    """
    differences = []
    for recording in recordings:
        site = Site(recording.anchors, 2, tag_height)
        walk, _ = read_walk(recording, site, shipped)
        errors = [_errors(recording, site, w, walk.time, walk.position) for w in (shipped, tuned)]
        difference = errors[0] - errors[1]
        difference = difference[np.isfinite(difference)]
        blocks = max(difference.size // BLOCK, 1)
        differences += [float(part.mean()) for part in np.array_split(difference, blocks)]
    spread = np.std(differences, ddof=1) if len(differences) > 1 else np.inf
    return float(np.mean(differences)), float(spread / np.sqrt(len(differences)))


def _errors(
    recording: Recording, site: Site, weights: Weights, time: FloatArray, position: FloatArray
) -> FloatArray:
    """Distances (T,) m from position (T, 2) m, NaN before there is an estimate."""
    budget = min(BUDGET, len(recording.anchors) - 1)
    tracker, scheduler = ZeroShotTracker(site, weights), make_scheduler("gdop", site)
    (track,), _ = run_offline(recording, site, tracker, scheduler, budget=budget)
    rows = np.searchsorted(track.times, time)
    return np.asarray(np.linalg.norm(track.mean[rows, :2] - position, axis=1))
