# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Slant ranges and their directions, and ellipses: said once for whoever needs them."""

from __future__ import annotations

import numpy as np

from locdreamer_ros.types import Estimate, FloatArray

FLOOR_M = 0.01
"""Least range: so the direction to an anchor that the tag touches stays finite."""
ELLIPSE_95 = 2.4477
"""Radius, in standard deviations, of the ellipse that holds 95 % of a 2-D Gaussian."""
CHI2_95_2DOF = 5.991
"""Squared Mahalanobis radius of that ellipse."""
ELLIPSE_POINTS = 48


def slant(offset: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slant ranges (...) m and unit directions (..., 3) of offsets (..., 3) m, anchor to tag.

    The direction is the range's gradient in the tag's position, equation (13a).
    """
    square = np.einsum("...i,...i->...", offset, offset)
    distance = np.maximum(np.sqrt(square), FLOOR_M)
    return distance, offset / distance[..., None]


def ellipse(estimate: Estimate, height: float) -> FloatArray:
    """Points (P, 3) m of the closed 95 % ellipse of the horizontal position; a 2-D one's height."""
    values, vectors = np.linalg.eigh(estimate.position_covariance[:2, :2])
    angle = np.linspace(0.0, 2.0 * np.pi, ELLIPSE_POINTS + 1)
    radii = ELLIPSE_95 * np.sqrt(np.maximum(values, 0.0))
    circle = np.stack([radii[0] * np.cos(angle), radii[1] * np.sin(angle)])
    z = estimate.position[2] if estimate.dimensions == 3 else height
    flat = estimate.position[:2, None] + vectors @ circle
    return np.column_stack([flat.T, np.full(angle.size, z)])
