# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whom a run asked, from the bag that it left: where the loop ran in other processes."""

from __future__ import annotations

import numpy as np

from locdreamer_ros.evaluation.metrics import Asking
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Anchors, FloatArray

NEAR_S = 0.1
"""A fix is of the ranges stamped at most so long before or after it."""


def asking_of(recording: Recording, times: FloatArray, anchors: Anchors) -> Asking:
    """Who was heard at fixes of `times` (n,) s; who was asked in vain is not in a bag's ranges."""
    rows = recording.anchors.rows(anchors.ids)
    order = np.argsort(recording.times, kind="stable")
    stamps = recording.times[order]
    after = np.searchsorted(stamps, times).clip(1, max(stamps.size - 1, 1))
    before = after - 1
    after = np.minimum(after, stamps.size - 1)
    nearer = np.abs(stamps[after] - times) < np.abs(stamps[before] - times)
    nearest = np.where(nearer, after, before)
    near = np.abs(stamps[nearest] - times) <= NEAR_S
    heard = np.where(near[:, None], recording.ranges[order][nearest][:, rows], np.nan)
    chosen = np.asarray(np.isfinite(heard))
    return Asking(chosen, heard, np.zeros_like(chosen))
