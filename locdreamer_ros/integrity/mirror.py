# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchors on a line, or on one wall: ranges can never tell on which side of it the tag is."""

from __future__ import annotations

import numpy as np

from locdreamer_ros.types import FloatArray, Site

FLAT_M = 0.15
"""Anchors that lie off their common line by no more than this, seen from above, tell nothing."""


class Mirror:
    """The vertical plane that all anchors of a site lie in, where there is one."""

    def __init__(self, site: Site) -> None:
        plan = site.anchors.positions[:, :2]
        self._centre = plan.mean(axis=0)
        _, _, axes = np.linalg.svd(plan - self._centre)
        self._normal: FloatArray = axes[1]
        off = np.abs((plan - self._centre) @ self._normal)
        self.flat = bool(off.max() <= FLAT_M)
        """Whether there is one."""

    def across(self, position: FloatArray) -> FloatArray:
        """The way (D,) m from a position (D,) m to where it is mirrored."""
        way = np.zeros(position.size)
        way[:2] = -2.0 * ((position[:2] - self._centre) @ self._normal) * self._normal
        return way
