# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many anchors are heard beside each other, and since when they are too few. Times in s.

Ranges of one anchor (in space of two) leave a circle: the track goes astray along it, and its
ranges fit all the same.
"""

from __future__ import annotations

import math

import numpy as np

from locdreamer_ros.integrity.silence import COAST_S, WALK_M_S, Silence
from locdreamer_ros.integrity.window import Window

LOOK_S = 0.3
"""How often it is looked at."""
HOPELESS_S = 3.0
"""Too few anchors for a new first fix for so long: the tracker goes on from where it was."""


class Availability:
    """What is known of a tag by how many anchors it hears: so many tell a place from a circle."""

    def __init__(self, dimensions: int) -> None:
        self._fewest = dimensions
        self.begins(-math.inf)
        self.seeks(0.0)

    def begins(self, time: float) -> None:
        """Until `time` the tag's place was known."""
        self._since, self._looked = time, -math.inf

    def too_few_for(self, window: Window, time: float) -> float | None:
        """For how long, s, too few were heard; None: it was looked at just now."""
        if 0.0 <= time - self._looked < LOOK_S:
            return None
        self._looked = time
        known = float(np.partition(window.last, -self._fewest)[-self._fewest])
        self._since = max(self._since, known)
        return max(time - self._since, 0.0)

    def seeks(self, since: float, *, few: bool = False) -> None:
        """A new first fix is sought `since` then; few: as too few were heard, not nobody."""
        self._sought, self._few = since, few

    def goes_on(self, window: Window, time: float, silence: Silence) -> tuple[bool, bool]:
        """Of a lost tracker: whether it takes ranges in for want of a fix, and is not lost more."""
        heard = int(np.count_nonzero(window.last > time - silence.patience))
        few = heard < self._fewest
        if heard == 0 or (self._few and not few):
            self._sought = time
        if few:  # the wait for a good fix has not begun
            window.first = time
        self._few = few
        hopeless = time - self._sought > HOPELESS_S
        return hopeless, hopeless and not few


def strayed(too_few_for: float, window: Window, silence: Silence) -> float:
    """How far, m, a tag may have gone unseen in so many s; no farther than across its circle.

    Nothing yet where ranges usually come so slowly.
    """
    if too_few_for <= max(COAST_S, 2.0 * silence.usual):
        return 0.0
    longest = window.rows[: window.count, 2].max() if window.count else math.inf
    return min(WALK_M_S * too_few_for, 2.0 * float(longest))
