# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whom a run asked, from the bag that it left: where the loop ran in other processes."""

from __future__ import annotations

import numpy as np

from locdreamer_ros.differences import as_ranges
from locdreamer_ros.evaluation.fit import NEAR_S
from locdreamer_ros.evaluation.metrics import AskingHistory, Track
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Estimate, Ranges, Site


def asking_of(recording: Recording, track: Track, site: Site) -> AskingHistory:
    """Who was heard at the fixes of a track; who was asked in vain is not in a bag's ranges.

    Time differences are given the offset that fits the track, to be compared with ranges.
    """
    times = track.times
    heard = recording.near(times, NEAR_S).ranges[:, recording.anchors.rows(site.anchors.ids)]
    if recording.differences:
        for row in np.flatnonzero(track.known):
            now = Estimate(float(times[row]), track.mean[row], track.covariance[row])
            blink = Ranges.of(np.arange(len(site.anchors)), heard[row], now.time, differences=True)
            fitting = as_ranges(site, blink, now)
            heard[row, fitting.anchor] = fitting.value
    chosen = np.asarray(np.isfinite(heard))
    return AskingHistory(chosen, heard, np.zeros_like(chosen))
