# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the filter's whole covariance expects of ranges not asked yet, biases and all."""

from __future__ import annotations

import numpy as np

from locdreamer_ros.geometry import slant
from locdreamer_ros.types import FloatArray, Foresight, Site
from locdreamer_ros.zero_shot.layout import FIRST, SPACE
from locdreamer_ros.zero_shot.network import project


def foresee(site: Site, mean: FloatArray, covariance: FloatArray) -> Foresight:
    """Foresight of a state (N,) with covariance (N, N) (`layout`), for all anchors of the site."""
    count, axes = len(site.anchors), site.dimensions
    own = np.arange(count) + FIRST
    _, direction = slant(mean[:SPACE] - site.anchors.positions)
    spread, ranges = project(covariance, direction, np.zeros(count), own, own + count)
    return Foresight(covariance[:axes, :axes].copy(), spread[:, :axes], ranges)
