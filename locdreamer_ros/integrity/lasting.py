# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whose ranges are all long, and since when; and who repeats its last one.

Walls let a range go every few steps: it is about right again for a moment. A clock that drifts does
not. And where the tag goes, no range comes again to the last digit: firmware repeats what it last
heard of an anchor that is gone. Times in s.
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
REPEATS, STUCK_M = 8, 0.3
"""Ranges that repeat the one before, so many in a row, are stale where the track has another
distance than at the first of them by so much."""


class Lasting:
    """What is known of it: rows (A, 8), which the kernel writes into too.

    Of each anchor the stamp of the first of its long ranges, NaN where its last one was not; how
    many there are; where the tag was then, m. Then its last range, m; how many before it were the
    same; by how much it was off by the track at the first of these, and now, m.
    """

    def __init__(self, anchors: int) -> None:
        self.rows = np.empty((anchors, 8))
        self.clear()

    def clear(self) -> None:
        """Forget what was heard."""
        self.rows.fill(np.nan)

    def hear(self, ranges: Ranges, off: FloatArray, least: float, place: FloatArray) -> None:
        """Take ranges (N,) in that are `off` (N,) m by the track, by which the tag is at `place`.

        Those that are off by less than `least` m say nothing.
        """
        for anchor, stamp, value, metres in zip(
            *(ranges.anchor.tolist(), ranges.stamp.tolist(), ranges.value.tolist()),
            off.tolist(),
            strict=True,
        ):
            row = self.rows[anchor]
            if value == row[4]:
                row[5] += 1.0
            else:
                row[4:7] = value, 0.0, metres
            row[7] = metres
            if metres > LASTS_M:
                if math.isnan(row[0]):
                    row[:4] = stamp, 0.0, *place[:2]
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
        since, count, *then = self.rows[anchor, :4].tolist()
        walked = math.dist(then, place[:2].tolist())
        return now - since >= LASTS_S and count >= LASTS_RANGES and walked >= WALKED_M

    def stuck(self, anchor: int) -> bool:
        """Whether it repeats a stale range; not where most do: a tag that stands, coarse ranges."""
        count, since, now = self.rows[anchor, 5:].tolist()
        if not (count >= REPEATS and abs(now - since) > STUCK_M):
            return False
        repeats = self.rows[:, 5]
        return bool(2 * (repeats >= REPEATS).sum() <= (repeats >= 0.0).sum())
