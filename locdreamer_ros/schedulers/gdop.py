# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gdop`: the subset that leaves the least position variance, and `wls`, which looks at all first.

For ranges of equal sigma from anchors in directions u_k, and a prior position covariance P, the
posterior position covariance of a subset K is (P^-1 + sum_{k in K} w_k u_k u_k^T / sigma^2)^-1;
its trace is the squared expected error. With a vague prior this is the squared GDOP.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np

from locdreamer_ros.geometry import slant
from locdreamer_ros.integrity.first_fix import solve_position
from locdreamer_ros.roles import Scheduler
from locdreamer_ros.types import Anchors, Estimate, FloatArray, IntArray, Ranges, Site

RANGE_SIGMA_M = 0.3
"""What a range is taken to be worth. It matters only beside the prior: see `best_subset`."""
MOST_SUBSETS = 2000
"""Up to this many subsets all are tried; beyond, anchors are added one by one, then exchanged."""


def posterior_variance(
    prior: FloatArray, direction: FloatArray, precision: FloatArray, subsets: IntArray
) -> FloatArray:
    """Trace of the posterior position covariance (M,) m^2 for each subset (M, K) of anchors.

    prior (D, D) m^2; direction (A, D) unit vectors; precision (A,) 1/m^2 of each anchor's range.
    """
    d = prior.shape[0]
    outer = (precision[:, None, None] * direction[:, :, None] * direction[:, None, :]).reshape(
        len(direction), d * d
    )
    information = outer[subsets].sum(axis=1).reshape(-1, d, d) + np.linalg.inv(prior)
    if d == 2:  # closed form: trace of the inverse of a 2 x 2 matrix is trace / determinant
        (a, b), (c, e) = information.transpose(1, 2, 0)
        return np.asarray((a + e) / (a * e - b * c))
    return np.asarray(np.trace(np.linalg.inv(information), axis1=1, axis2=2))


@lru_cache(maxsize=64)
def _all_subsets(count: int, size: int) -> IntArray:
    return np.array(list(combinations(range(count), size)), dtype=np.intp)


def best_subset(
    prior: FloatArray, direction: FloatArray, precision: FloatArray, budget: int
) -> IntArray:
    """Rows (budget,), increasing, of the subset with the least `posterior_variance`."""
    count = len(direction)
    if budget >= count:
        return np.arange(count)
    if comb(count, budget) <= MOST_SUBSETS:
        subsets = _all_subsets(count, budget)
        best = int(np.argmin(posterior_variance(prior, direction, precision, subsets)))
        return np.asarray(subsets[best])

    def best_of(subsets: list[list[int]]) -> tuple[float, list[int]]:
        cost = posterior_variance(prior, direction, precision, np.array(subsets, dtype=np.intp))
        best = int(np.argmin(cost))
        return float(cost[best]), subsets[best]

    chosen: list[int] = []
    for _ in range(budget):
        cost, chosen = best_of([[*chosen, row] for row in range(count) if row not in chosen])
    while True:  # greedy alone is about a tenth off: exchange one anchor as long as it helps
        others = [row for row in range(count) if row not in chosen]
        swapped = [[*chosen[:i], row, *chosen[i + 1 :]] for i in range(budget) for row in others]
        better, rows = best_of(swapped)
        if better >= cost * (1.0 - 1e-9):
            return np.sort(np.array(chosen, dtype=np.intp))
        cost, chosen = better, rows


def directions(site: Site, position: FloatArray) -> FloatArray:
    """Jacobian rows (A, D) of the slant ranges to all anchors at position (D,)."""
    _, direction = slant(site.offsets(position, np.arange(len(site.anchors))))
    return direction[:, : site.dimensions]


class Gdop(Scheduler):
    """Least expected position error given the predicted covariance."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """The best subset, rows increasing."""
        return best_subset(
            prediction.position_covariance,
            directions(self._site, prediction.position),
            np.full(len(anchors), RANGE_SIGMA_M**-2),
            budget,
        )


class Wls(Scheduler):
    """Measures all anchors, then keeps the budget's worth that weighted least squares trusts.

    A robust fix from all ranges gives each its residual; the subset kept has the least expected
    error where a range's variance is its squared residual plus the nominal one. It saves no range.
    """

    needs_all = True

    def __init__(self, site: Site) -> None:
        self._site = site

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """All rows: the choice is made in `keep`."""
        return np.arange(len(anchors))

    def keep(self, prediction: Estimate, ranges: Ranges, budget: int) -> Ranges:
        """The subset trusted most."""
        used = ranges.usable()
        if len(used) <= max(budget, self._site.dimensions):
            return used
        position, _, residual = solve_position(
            self._site, used.anchor, used.value, prediction.position
        )
        direction = directions(self._site, position)[used.anchor]
        precision = 1.0 / (RANGE_SIGMA_M**2 + residual**2)
        return used[best_subset(prediction.position_covariance, direction, precision, budget)]


def make(
    name: str, site: Site, *, seed: int, model: Path | None, accuracy: float, price: float
) -> Scheduler:
    """The scheduler of this module by `name`, as `methods` makes it."""
    return Wls(site) if name == "wls" else Gdop(site)
