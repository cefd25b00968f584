# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the filter's whole covariance expects of ranges not asked yet, biases and all."""

from __future__ import annotations

import numpy as np

from locdreamer_ros.geometry import slant
from locdreamer_ros.types import FloatArray, Foresight, IntArray, Site
from locdreamer_ros.zero_shot.layout import FIRST_BIAS, SPACE
from locdreamer_ros.zero_shot.network import project


def foresee(
    site: Site, mean: FloatArray, covariance: FloatArray, slot: IntArray, rows: IntArray
) -> Foresight:
    """Foresight of a state (N,) with covariance (N, N) (`layout`), for anchors `rows` (C,).

    slot (A,): where in the state each anchor is; 0: it was never heard.
    """
    count, axes = int(slot.max()) + 1, site.dimensions
    _, direction = slant(mean[:SPACE] - site.anchors.positions[rows])
    own = FIRST_BIAS + slot[rows]
    cross, projected = project(covariance, direction, np.zeros(rows.size), own, own + count)
    # Strangers share a place in the state, and no bias.
    stranger = slot[rows] == 0
    shared = stranger[:, None] & stranger & ~np.eye(rows.size, dtype=bool)
    projected[shared] -= (
        covariance[FIRST_BIAS, FIRST_BIAS] + covariance[FIRST_BIAS + count, FIRST_BIAS + count]
    )
    return Foresight(covariance[:axes, :axes].copy(), cross[:, :axes], projected)
