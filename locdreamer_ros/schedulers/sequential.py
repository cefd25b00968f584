# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`sequential`: ask one anchor, look at what it says, then choose the next.

At each turn the best subset of what the budget still allows is found by foresight, and of it the
anchor asked that helps most by itself. A tracker that judges a range blocked keeps its uncertainty
along that direction, and so the next anchor is asked to make up for it: the choice sees the
answers, not only the geometry. Needs a radio whose host chooses each range.

It can stop early: at a stated `accuracy`, or where one more range is not worth its `price`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from math import comb
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros.integrity.track import NOBODY
from locdreamer_ros.roles import Scheduler
from locdreamer_ros.schedulers.foresight import (
    AXES,
    best_subset,
    present_variance,
    remaining_alone,
)
from locdreamer_ros.schedulers.gdop import directions
from locdreamer_ros.schedulers.subsets import CLEAR_SHARE, MOST_SUBSETS, near, near_by_kernel
from locdreamer_ros.types import Anchors, Criterion, Estimate, Foresight, IntArray, Site

RANGE_SIGMA_M = 0.2
"""Fresh noise of any range. Chosen on houses and random buildings that no benchmark scores."""


def foreseen(site: Site, estimate: Estimate, rows: IntArray) -> Foresight:
    """The tracker's own foresight, or what follows from the covariance of the position alone."""
    if estimate.foresight is not None:
        return estimate.foresight(rows)
    covariance = estimate.position_covariance
    direction = directions(site, estimate.position, rows)
    cross = direction @ covariance
    return Foresight(covariance, cross, cross @ direction.T)


def best_first(foresight: Foresight, budget: int) -> tuple[int, float]:
    """Of a foresight's anchors which to ask first of `budget`, and what it leaves, m^2."""
    count = len(foresight.cross)
    alone = remaining_alone(foresight, RANGE_SIGMA_M)
    if 1 < budget < count and comb(count, budget) <= MOST_SUBSETS:
        best = best_subset(foresight, budget, RANGE_SIGMA_M)
    else:
        best = np.arange(count)
    first = int(best[int(np.argmin(alone[best]))])
    return first, float(alone[first])


@lru_cache(maxsize=64)
def _criterion(dimensions: int, budget: int) -> Criterion:
    return Criterion(AXES[:dimensions], budget, RANGE_SIGMA_M, MOST_SUBSETS, CLEAR_SHARE)


def expected_error(estimate: Estimate) -> float:
    """The root-mean-square error m of the position that the covariance expects."""
    return math.sqrt(float(np.trace(estimate.position_covariance)))


class Sequential(Scheduler):
    """One anchor after the other.

    accuracy m: enough once the position's expected root-mean-square error is no more (0: never);
    price m: enough once one more range would improve it by less (0: never).
    """

    sequential = True

    def __init__(self, site: Site, *, accuracy: float = 0.0, price: float = 0.0) -> None:
        self._site = site
        self._accuracy = accuracy
        self._price = price
        self._pace = np.array([math.nan, math.nan, RANGE_SIGMA_M, 0.0])
        """As `schedulers.foresight.Pace`, but that ranges are as noisy at any pace."""

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """The first to ask; all at once where the budget is not short."""
        if budget >= len(anchors) and not (self._accuracy or self._price):
            return np.arange(len(anchors))
        found = self._first(prediction, NOBODY, budget)
        return NOBODY if found is None else np.array([found[0]])

    def choice(self, budget: int) -> tuple[Any, ...] | None:
        """See `Scheduler`."""
        rows = near_by_kernel(self.silent)
        if rows is None or budget >= len(self._site.anchors):
            return None
        axes = AXES[: self._site.dimensions]
        return rows, axes, budget, self._pace, MOST_SUBSETS, CLEAR_SHARE, 1

    def more(self, looked: Estimate, asked: IntArray, anchors: Anchors, budget: int) -> IntArray:
        """The next, or nobody."""
        if asked.size >= budget or (self._accuracy and expected_error(looked) <= self._accuracy):
            return NOBODY
        found = self._first(looked, asked, budget - asked.size)
        if found is None:
            return NOBODY
        first, variance, present = found
        if self._price:
            share = max(variance / present, 0.0)
            if expected_error(looked) * (1.0 - math.sqrt(share)) < self._price:
                return NOBODY
        return np.array([first])

    def _first(
        self, estimate: Estimate, asked: IntArray, budget: int
    ) -> tuple[int, float, float] | None:
        """Of the anchors near but for those `asked` (K,) which to ask first of `budget`.

        Its row, what it leaves and what there is, m^2; None: nobody is left.
        """
        site, rows = self._site, near_by_kernel(self.silent)
        if estimate.foresight is not None and rows is not None:
            by = _criterion(site.dimensions, budget)
            found = estimate.foresight.first(rows, by, asked)
            if found is not None:
                return found
        known = near(estimate, site.anchors, self.answering(site.anchors))
        left = known[~np.isin(known, asked)]
        if left.size == 0:
            return None
        foresight = foreseen(site, estimate, left)
        first, variance = best_first(foresight, budget)
        return int(left[first]), variance, present_variance(foresight)


def make(
    name: str, site: Site, *, seed: int, model: Path | None, accuracy: float, price: float
) -> Scheduler:
    """The scheduler of this module by `name`, as `methods` makes it."""
    return Sequential(site, accuracy=accuracy, price=price)
