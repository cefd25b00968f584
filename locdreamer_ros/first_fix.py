# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a tracker starts: a robust grid search over the site, polished by least squares.

The grid finds the right basin (mirror solutions, one wild range), Gauss-Newton the place in it.
"""

from __future__ import annotations

import numpy as np

from locdreamer_ros.types import Estimate, FloatArray, Ranges, Site

CELL_M = 0.5
EARLY_M = 0.3
"""A range shorter than the distance by more than this is a worse sign than one longer: reflections
and walls only lengthen, so `EARLY` residuals count double."""
SIGMA_M = 0.3
FIX_FLOOR_M = 0.3
"""Least sigma claimed for a fix: what biased ranges share does not show in their residuals."""
SPEED_SIGMA = 1.0
"""Prior sigma of each velocity component, m/s: a walking person or indoor robot."""


def _robust_cost(residual: FloatArray) -> FloatArray:
    """Cost (...,) of residuals (..., N) = measured - expected, m: linear tails, early double."""
    scaled = np.abs(residual) / SIGMA_M
    cost = np.where(scaled < 1.0, 0.5 * scaled**2, scaled - 0.5)
    return np.asarray(np.where(residual < -EARLY_M, 2.0 * cost, cost).sum(axis=-1))


def _grid(site: Site) -> FloatArray:
    """Cell centres (M, D) over the site's bounds."""
    low, high = site.bounds
    axes = [np.arange(a, b + CELL_M, CELL_M) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, site.dimensions)


def solve_position(
    site: Site, ranges: Ranges, start: FloatArray, *, iterations: int = 10
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Huber-weighted Gauss-Newton from `start` (D,).

    Returns position (D,) m, covariance (D, D) m^2 for ranges of sigma `SIGMA_M`, residuals (N,) m.
    """
    position = start.copy()
    low, high = site.bounds
    ridge = 1e-6 * np.eye(site.dimensions)
    for _ in range(iterations):
        delta = site.offsets(position[None, :], ranges.anchor)
        distance = np.maximum(np.sqrt((delta**2).sum(axis=-1)), 1e-6)
        jacobian = delta[:, : site.dimensions] / distance[:, None]
        residual = ranges.value - distance
        weight = 1.0 / np.maximum(1.0, np.abs(residual) / SIGMA_M)
        information = jacobian.T @ (jacobian * weight[:, None]) + ridge
        move = np.linalg.solve(information, jacobian.T @ (weight * residual))
        position = np.clip(position + move, low, high)
        if float(np.abs(move).max()) < 1e-4:
            break
    return position, SIGMA_M**2 * np.linalg.inv(information), residual


def first_fix(site: Site, ranges: Ranges, *, time: float) -> Estimate | None:
    """The first estimate from one epoch's ranges, at rest; None with fewer than D + 1 usable."""
    usable = ranges.usable()
    if np.unique(usable.anchor).size < site.dimensions + 1:
        return None
    cells = _grid(site)
    residual = usable.value - site.expected(cells[:, None, :], usable.anchor)
    best = cells[int(np.argmin(_robust_cost(residual)))]
    position, covariance, _ = solve_position(site, usable, best)
    d = site.dimensions
    full = np.zeros((2 * d, 2 * d))
    full[:d, :d] = covariance + FIX_FLOOR_M**2 * np.eye(d)
    full[d:, d:] = SPEED_SIGMA**2 * np.eye(d)
    return Estimate(time, np.concatenate([position, np.zeros(d)]), full)
