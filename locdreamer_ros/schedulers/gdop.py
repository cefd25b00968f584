# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gdop`: the subset that leaves the least position variance, and `wls`, which looks at all first.

For ranges of equal sigma from anchors in directions u_k, and a prior position covariance P, the
posterior position covariance of a subset K is (P^-1 + sum_{k in K} w_k u_k u_k^T / sigma^2)^-1;
its trace is the squared expected error. With a vague prior this is the squared GDOP.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from locdreamer_ros.geometry import slant
from locdreamer_ros.integrity.first_fix import solve_position
from locdreamer_ros.roles import Scheduler
from locdreamer_ros.schedulers.subsets import best, near
from locdreamer_ros.types import Anchors, Estimate, FloatArray, IntArray, Ranges, Site

RANGE_SIGMA_M = 0.3
"""What a range is taken to be worth. It matters only beside the prior: see `best_subset`."""


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


def best_subset(
    prior: FloatArray, direction: FloatArray, precision: FloatArray, budget: int
) -> IntArray:
    """Rows (budget,), increasing, of the subset with the least `posterior_variance`."""
    return best(
        lambda subsets: posterior_variance(prior, direction, precision, subsets),
        len(direction),
        budget,
    )


def directions(site: Site, position: FloatArray, rows: IntArray) -> FloatArray:
    """Jacobian rows (C, D) of the slant ranges to anchors `rows` (C,) at position (D,)."""
    _, direction = slant(site.offsets(position, rows))
    return direction[:, : site.dimensions]


class Gdop(Scheduler):
    """Least expected position error given the predicted covariance."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """The best subset, rows increasing."""
        if budget >= len(anchors):
            return np.arange(len(anchors))
        rows = near(prediction, anchors, self.answering(anchors))
        chosen = best_subset(
            prediction.position_covariance,
            directions(self._site, prediction.position, rows),
            np.full(rows.size, RANGE_SIGMA_M**-2),
            budget,
        )
        return np.asarray(rows[chosen])


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
        direction = directions(self._site, position, used.anchor)
        precision = 1.0 / (RANGE_SIGMA_M**2 + residual**2)
        return used[best_subset(prediction.position_covariance, direction, precision, budget)]


def make(
    name: str, site: Site, *, seed: int, model: Path | None, accuracy: float, price: float
) -> Scheduler:
    """The scheduler of this module by `name`, as `methods` makes it."""
    return Wls(site) if name == "wls" else Gdop(site)
