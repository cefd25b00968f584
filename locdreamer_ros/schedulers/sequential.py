# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`sequential`: ask one anchor, look at what it says, then choose the next.

Each choice is GDOP's with one anchor, but from the posterior of the ranges that are in already. A
tracker that judges a range blocked keeps its uncertainty along that direction, and so the next
anchor is asked to make up for it: the choice sees the answers, not only the geometry. Needs a radio
whose host chooses each range; the first question alone goes out with the schedule.

It can stop early: at a stated `accuracy`, or where one more range is not worth its `price`.
"""

from __future__ import annotations

import math

import numpy as np

from locdreamer_ros.roles import Scheduler
from locdreamer_ros.schedulers.gdop import (
    RANGE_SIGMA_M,
    best_subset,
    directions,
    posterior_variance,
)
from locdreamer_ros.types import Anchors, Estimate, IntArray, Site


class Sequential(Scheduler):
    """GDOP, one anchor after the other.

    accuracy m: enough once the position's expected root-mean-square error is no more (0: never);
    price m: enough once one more range would improve it by less (0: never).
    """

    sequential = True

    def __init__(self, site: Site, *, accuracy: float = 0.0, price: float = 0.0) -> None:
        self._site = site
        self._accuracy = accuracy
        self._price = price

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """The first to ask; all at once where the budget is not short."""
        if budget >= len(anchors) and not (self._accuracy or self._price):
            return np.arange(len(anchors))
        precision = np.full(len(anchors), 1.0 / RANGE_SIGMA_M**2)
        return best_subset(
            prediction.position_covariance,
            directions(self._site, prediction.position),
            precision,
            1,
        )

    def more(self, looked: Estimate, asked: IntArray, anchors: Anchors, budget: int) -> IntArray:
        """The next, or nobody."""
        left = np.setdiff1d(np.arange(len(anchors)), asked)
        if left.size == 0 or asked.size >= budget:
            return left[:0]
        covariance = looked.position_covariance
        now = math.sqrt(float(np.trace(covariance)))
        if now <= self._accuracy:
            return left[:0]
        direction = directions(self._site, looked.position)[left]
        precision = np.full(left.size, 1.0 / RANGE_SIGMA_M**2)
        variance = posterior_variance(
            covariance, direction, precision, np.arange(left.size)[:, None]
        )
        best = int(np.argmin(variance))
        if now - math.sqrt(float(variance[best])) < self._price:
            return left[:0]
        return left[best : best + 1]
