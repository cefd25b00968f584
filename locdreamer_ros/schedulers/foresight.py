# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`foresight`: the subset that leaves the least position variance, lasting errors included.

A range is off by what lasts (walls between here and the anchor) and by what is drawn anew. What is
drawn anew averages out over a second of fixes; what lasts does not, and asking the same anchors
again only repeats it. So the subset is chosen under the tracker's whole covariance, biases included
(`types.Foresight`), with the fresh noise that is left of one second's fixes.

For ranges of a subset K with covariance R = ranges[K, K] + sigma^2 I and cross covariance C with
the position, the position's covariance afterwards is P - C^T R^-1 C; its trace is the expected
squared error. A tracker that knows of no biases is helped by a `Shadow` that does.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np

from locdreamer_ros.roles import Scheduler
from locdreamer_ros.schedulers.shadow import Shadow
from locdreamer_ros.types import Anchors, Estimate, Foresight, IntArray, Ranges, Site

FRESH_M = 0.2
"""Sigma of what is drawn anew in a range."""
LASTING_S = 0.7
"""Fixes within this time share what lasts: their fresh noise averages out."""
MOST_SUBSETS = 2000
"""Up to this many subsets all are tried; beyond, anchors are added one by one, then exchanged."""
AXES = np.array([1.0, 1.0, 0.2])
"""What the variance of x, y and z counts: the height is always the worst known, and anchors asked
for its sake leave the plane."""
NEAREST = 64
"""Of more anchors only the nearest are looked at, beyond what one radio reaches."""


def present_variance(foresight: Foresight) -> float:
    """Position variance m^2 before anybody is asked: of x, y, and z in part."""
    return float(np.diag(foresight.position) @ AXES[: len(foresight.position)])


def remaining_variance(foresight: Foresight, subsets: IntArray, sigma: float) -> np.ndarray:
    """Position variance (M,) m^2 left once each of subsets (M, K) was asked: x, y, and z in part.

    sigma m: fresh noise of any range.
    """
    inner = foresight.ranges[subsets[:, :, None], subsets[:, None, :]]
    index = np.arange(subsets.shape[1])
    inner[:, index, index] += sigma**2
    cross = foresight.cross[subsets]  # (M, K, D)
    gained = (cross * np.linalg.solve(inner, cross)).sum(axis=1) @ AXES[: cross.shape[-1]]
    return np.asarray(present_variance(foresight) - gained)


@lru_cache(maxsize=64)
def all_subsets(count: int, size: int) -> IntArray:
    """(M, size) every subset of `size` of `count` rows."""
    return np.array(list(combinations(range(count), size)), dtype=np.intp)


def best_subset(foresight: Foresight, rows: IntArray, budget: int, sigma: float) -> IntArray:
    """Of rows (C,) the subset (budget,), increasing, that leaves the least variance."""
    if budget >= rows.size:
        return np.sort(rows)
    if comb(rows.size, budget) <= MOST_SUBSETS:
        subsets = rows[all_subsets(rows.size, budget)]
        return np.sort(subsets[int(np.argmin(remaining_variance(foresight, subsets, sigma)))])
    chosen = np.empty(0, dtype=np.intp)
    cost = math.inf
    for _ in range(budget):
        others = np.setdiff1d(rows, chosen)
        subsets = np.column_stack([np.tile(chosen, (others.size, 1)), others])
        costs = remaining_variance(foresight, subsets, sigma)
        cost, chosen = float(costs.min()), subsets[int(np.argmin(costs))]
    while True:  # greedy alone is about a tenth off: exchange one anchor as long as it helps
        others = np.setdiff1d(rows, chosen)
        subsets = np.tile(chosen, (budget * others.size, 1))
        place = np.repeat(np.arange(budget), others.size)
        subsets[np.arange(place.size), place] = np.tile(others, budget)
        costs = remaining_variance(foresight, subsets, sigma)
        if float(costs.min()) >= cost * (1.0 - 1e-9):
            return np.sort(chosen)
        cost, chosen = float(costs.min()), subsets[int(np.argmin(costs))]


class Pace:
    """How fast fixes follow each other, and the fresh noise that is left of a second of them."""

    def __init__(self) -> None:
        self._last = math.nan
        self._interval = math.nan

    def at(self, time: float) -> float:
        """Sigma m at a fix at `time` s."""
        step = time - self._last
        if step > 0.0:
            before = step if math.isnan(self._interval) else self._interval
            self._interval = before + 0.1 * (min(step, 10.0) - before)
        if step != 0.0:
            self._last = time
        together = 1.0 + LASTING_S / self._interval if self._interval > 0.0 else 1.0
        return FRESH_M / math.sqrt(together)


class ForesightScheduler(Scheduler):
    """All anchors of a fix at once."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._pace = Pace()
        self._shadow: Shadow | None = None

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """The best subset, rows increasing."""
        rows = np.arange(len(anchors))
        sigma = self._pace.at(prediction.time)
        foresight = self._foresight(prediction)
        if budget >= rows.size:
            return rows
        if rows.size > NEAREST:
            away = np.linalg.norm(
                anchors.positions[:, : prediction.dimensions] - prediction.position, axis=1
            )
            rows = np.sort(np.argpartition(away, NEAREST)[:NEAREST])
        return best_subset(foresight, rows, budget, sigma)

    def _foresight(self, prediction: Estimate) -> Foresight:
        if prediction.foresight is not None:
            return prediction.foresight()
        if self._shadow is None:
            self._shadow = Shadow(self._site, prediction)
        return self._shadow.foresee(prediction)

    def observe(self, prediction: Estimate, ranges: Ranges, posterior: Estimate) -> None:
        """A shadow is told who answered."""
        if self._shadow is not None:
            self._shadow.heard(posterior, ranges.usable().anchor)


def make(
    name: str, site: Site, *, seed: int, model: Path | None, accuracy: float, price: float
) -> Scheduler:
    """The scheduler of this module by `name`, as `methods` makes it."""
    return ForesightScheduler(site)
