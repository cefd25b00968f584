# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which anchors have a state of their own in a filter: those heard last, `MOST_KEPT` at most.

An anchor gets one when it is first heard. Until then it has what any such anchor has, and nothing
to do with the rest: this is exact. Of more the one unheard for longest is forgotten: its bias was
of another place, and a filter that holds a thousand takes a second a step.
"""

from __future__ import annotations

import numpy as np

from locdreamer_ros.types import MOST_HEARD, FloatArray, IntArray

MOST_KEPT = MOST_HEARD
"""As many as a scheduler looks at."""


class OwnStates:
    """Places of anchors' own states in a filter's, behind `first` others.

    place (A,): where, -1: it has none.
    """

    def __init__(self, anchors: int, first: int) -> None:
        self.place = np.full(anchors, -1)
        self._first = first
        self._heard = np.zeros(anchors)
        """At which call of `meet` each anchor was heard last."""
        self._calls = 0

    def meet(self, anchor: IntArray) -> IntArray | None:
        """Give anchors (N,) a place. Where each state was before, -1: it is new; None: all stay."""
        self._calls += 1
        self._heard[anchor] = self._calls
        if (self.place[anchor] >= 0).all():
            return None
        fresh = np.unique(anchor[self.place[anchor] < 0])
        there = np.flatnonzero(self.place >= 0)
        there = there[np.argsort(self.place[there])]
        order = np.concatenate([there, fresh])
        left = order.size - MOST_KEPT
        if left > 0:
            oldest = np.argsort(self._heard[there], kind="stable")[:left]
            # Never one of those that are heard now, however many these are.
            oldest = oldest[self._heard[there[oldest]] < self._calls]
            order = np.delete(order, oldest)
        was = np.append(np.arange(self._first), self.place[order])
        self.place = np.full(self.place.size, -1)
        self.place[order] = self._first + np.arange(order.size)
        return was


def moved(covariance: FloatArray, was: IntArray, variance: float) -> FloatArray:
    """A covariance with its states where they are now, see `OwnStates.meet`; new: `variance`."""
    kept = np.flatnonzero(was >= 0)
    result = variance * np.eye(was.size)
    result[np.ix_(kept, kept)] = covariance[np.ix_(was[kept], was[kept])]
    return result
