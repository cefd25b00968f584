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
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.roles import Scheduler
from locdreamer_ros.schedulers.shadow import Shadow
from locdreamer_ros.schedulers.subsets import (
    CLEAR_SHARE,
    MOST_SUBSETS,
    best,
    near,
    near_by_kernel,
)
from locdreamer_ros.types import (
    Anchors,
    Criterion,
    Estimate,
    FloatArray,
    Foresight,
    IntArray,
    Ranges,
    Site,
)

FRESH_M = 0.2
"""Sigma of what is drawn anew in a range."""
LASTING_S = 0.7
"""Fixes within this time share what lasts: their fresh noise averages out."""
AXES = np.array([1.0, 1.0, 0.2])
"""What the variance of x, y and z counts: the height is always the worst known, and anchors asked
for its sake leave the plane."""


def present_variance(foresight: Foresight) -> float:
    """Position variance m^2 before anybody is asked: of x, y, and z in part."""
    return float(foresight.position.diagonal() @ AXES[: len(foresight.position)])


def remaining_variance(foresight: Foresight, subsets: IntArray, sigma: float) -> np.ndarray:
    """Position variance (M,) m^2 left once each of subsets (M, K) was asked: x, y, and z in part.

    sigma m: fresh noise of any range.
    """
    innovation_covariance = foresight.ranges[subsets[:, :, None], subsets[:, None, :]]
    index = np.arange(subsets.shape[1])
    innovation_covariance[:, index, index] += sigma**2
    cross = foresight.cross[subsets]  # (M, K, D)
    gain = np.linalg.solve(innovation_covariance, cross)
    gained = (cross * gain).sum(axis=1) @ AXES[: cross.shape[-1]]
    return np.asarray(present_variance(foresight) - gained)


def remaining_alone(foresight: Foresight, sigma: float) -> FloatArray:
    """`remaining_variance` (C,) m^2 once only one anchor was asked, of each."""
    gained = foresight.cross**2 @ AXES[: foresight.cross.shape[1]]
    left = present_variance(foresight) - gained / (foresight.ranges.diagonal() + sigma**2)
    return np.asarray(left)


def best_subset(foresight: Foresight, budget: int, sigma: float) -> IntArray:
    """Of the anchors of a foresight those (budget,), increasing, that leave the least variance."""
    count = len(foresight.cross)
    if compiled.kernel and 0 < budget < count:
        rows = np.empty(budget, dtype=np.intp)
        weights = AXES[: len(foresight.position)]
        given = (foresight.position, foresight.cross, foresight.ranges, weights, budget, sigma)
        if compiled.kernel.choose(*given, MOST_SUBSETS, CLEAR_SHARE, rows):
            return rows
    return best(lambda subsets: remaining_variance(foresight, subsets, sigma), count, budget)


class Pace:
    """How fast fixes follow each other, and the fresh noise that is left of a second of them.

    numbers (4,): the last fix and the interval s; then `FRESH_M` and `LASTING_S` for the kernel,
    which works on the same array.
    """

    def __init__(self) -> None:
        self.numbers = np.array([math.nan, math.nan, FRESH_M, LASTING_S])

    def at(self, time: float) -> float:
        """Sigma m at a fix at `time` s."""
        last, interval = self.numbers[:2].tolist()
        step = time - last
        if step > 0.0:
            before = step if math.isnan(interval) else interval
            interval = before + 0.1 * (min(step, 10.0) - before)
        if step != 0.0:
            last = time
        self.numbers[:2] = last, interval
        together = 1.0 + LASTING_S / interval if interval > 0.0 else 1.0
        return FRESH_M / math.sqrt(together)


class ForesightScheduler(Scheduler):
    """All anchors of a fix at once."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._axes = AXES[: site.dimensions]
        self._pace = Pace()
        self._shadow: Shadow | None = None

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """The best subset, rows increasing."""
        sigma = self._pace.at(prediction.time)
        rows = near(prediction, anchors, self.answering(anchors))
        if prediction.foresight is not None and budget < len(rows):
            by = Criterion(self._axes, budget, sigma, MOST_SUBSETS, CLEAR_SHARE)
            found = prediction.foresight.choose(rows, by)
            if found is not None:
                return found
        foresight = self._foresight(prediction, rows)
        if budget >= len(anchors):
            return np.arange(len(anchors))
        return np.asarray(rows[best_subset(foresight, budget, sigma)])

    def choice(self, budget: int) -> tuple[Any, ...] | None:
        """See `Scheduler`."""
        rows = near_by_kernel(self.silent)
        by = self._axes, budget, self._pace.numbers, MOST_SUBSETS, CLEAR_SHARE, budget
        return None if rows is None else (rows, *by)

    def _foresight(self, prediction: Estimate, rows: IntArray) -> Foresight:
        if prediction.foresight is not None:
            return prediction.foresight(rows)
        if self._shadow is None:
            self._shadow = Shadow(self._site, prediction)
        return self._shadow.foresee(prediction, rows)

    def observe(self, prediction: Estimate, ranges: Ranges, posterior: Estimate) -> None:
        """A shadow is told who answered."""
        if self._shadow is not None:
            self._shadow.heard(posterior, ranges.usable().anchor)


def make(
    name: str, site: Site, *, seed: int, model: Path | None, accuracy: float, price: float
) -> Scheduler:
    """The scheduler of this module by `name`, as `methods` makes it."""
    return ForesightScheduler(site)
