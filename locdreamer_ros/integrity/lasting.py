# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whose ranges are all long, and since when.

Walls let a range go every few steps: it is about right again for a moment. A clock that drifts does
not. Times in s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from locdreamer_ros.types import FloatArray, Ranges

LASTS_M = 0.7
"""A range that the track finds longer is long."""
SUSPECT_S, LASTS_S = 3.0, 8.0
"""An anchor whose ranges all are for so long is suspected, and named."""
LASTS_RANGES, WALKED_M = 16, 1.5
"""It is named for at least so many ranges, and where the tag has gone so far meanwhile."""
SELDOM_S = 0.5
"""Of a tag with longer between its fixes nobody is suspected: a wall lasts for all of its ranges,
and none is to spare."""
FORGOTTEN_S = 6.0
"""Of an anchor unheard for so long nothing is known."""


class Lasting:
    """What is known of it: rows (A, 4), which the kernel writes into too.

    Of each anchor the stamp of the first of its long ranges, NaN where its last one was not; how
    many there are; where the tag was then, m.
    """

    def __init__(self, anchors: int) -> None:
        self.rows = np.empty((anchors, 4))
        self.clear()

    def clear(self) -> None:
        """Forget what was heard."""
        self.rows.fill(np.nan)

    def hear(self, ranges: Ranges, off: FloatArray, least: float, place: FloatArray) -> None:
        """Take ranges (N,) in that are `off` (N,) m by the track, by which the tag is at `place`.

        Those that are off by less than `least` m say nothing.
        """
        for anchor, stamp, metres in zip(
            ranges.anchor.tolist(), ranges.stamp.tolist(), off.tolist(), strict=True
        ):
            row = self.rows[anchor]
            if metres > LASTS_M:
                if math.isnan(row[0]):
                    row[:] = stamp, 0.0, *place[:2]
                row[1] += 1.0
            elif metres >= least:
                row[0] = math.nan

    def suspects(self, now: float, heard: Mapping[int, float] | FloatArray) -> frozenset[int]:
        """The anchors whose ranges all have been long for long; heard: when each was last."""
        found = []
        for anchor in np.flatnonzero(now - self.rows[:, 0] > SUSPECT_S).tolist():
            if now - heard[anchor] > FORGOTTEN_S:
                self.rows[anchor, 0] = math.nan
            else:
                found.append(anchor)
        return frozenset(found)

    def lasts(self, anchor: int, now: float, place: FloatArray) -> bool:
        """Whether one of them is to be named, with the tag at `place` m."""
        since, count, *then = self.rows[anchor].tolist()
        walked = math.dist(then, place[:2].tolist())
        return now - since >= LASTS_S and count >= LASTS_RANGES and walked >= WALKED_M
