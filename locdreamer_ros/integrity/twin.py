# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The other of two places that explain the ranges alike, followed until they tell."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from locdreamer_ros.integrity.snapshot import MIRROR_COST
from locdreamer_ros.integrity.track import RecentTrack, hold
from locdreamer_ros.integrity.window import Window
from locdreamer_ros.roles import Tracker
from locdreamer_ros.types import Estimate, Ranges, Site

AGREEING_TESTS = 3
"""Tests in a row that decide between two mirrored places."""


class Twin:
    """A tracker at the other of two mirrored places, until the ranges tell them apart."""

    def __init__(self, site: Site, tracker: Tracker) -> None:
        self._site = site
        self.tracker = tracker
        self.track = RecentTrack(site.dimensions)
        self._votes = 0

    def update(self, ranges: Ranges, reach: float) -> None:
        """It is given what the tracker is given; reach s: see `RecentTrack.add`."""
        self.track.add(self.tracker.update(ranges), reach)

    def vote(
        self, spent: float, here: Estimate, window: Window, now: float, named: Collection[int]
    ) -> int:
        """Which of the two explains the window better, `AGREEING_TESTS` times in a row.

        -1: the twin; 1: the tracker, `here`, by which the ranges cost `spent`, or they have met;
        0: it is not decided.
        """
        other = self.tracker.estimate
        held = hold(self._site, window, self.track, now, named)
        if held is None or other is None:
            return 0
        more = held.cost - spent
        better = np.sign(more) if abs(more) > MIRROR_COST else 0.0
        self._votes = int(self._votes + better) if better else 0
        same = float(np.linalg.norm(other.position - here.position)) < 0.5
        if self._votes <= -AGREEING_TESTS:
            return -1
        return int(same or self._votes >= AGREEING_TESTS)
