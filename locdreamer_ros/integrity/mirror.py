# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchors near a line, or a wall: ranges can hardly tell on which side of it the tag is."""

from __future__ import annotations

from collections.abc import Set

import numpy as np

from locdreamer_ros.geometry import slant
from locdreamer_ros.integrity.snapshot import SCALE_M, rho
from locdreamer_ros.types import FloatArray, IntArray, Site

ALIKE_COST = 2.0
"""A place and its mirror image whose ranges differ by no more cost than this are not told apart."""
APART_M = 1.0
"""A mirror image nearer than this is the same place."""
LINE_M, WIDE_M = 0.15, 2.0
"""Anchors off their common line by no more are on one; by more than the other (root mean square)
they are near none."""


class Mirror:
    """The vertical plane that the anchors in use lie near, where there is one."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._anchors: frozenset[int] = frozenset()
        self._centre, self._normal, self._off = np.zeros(2), np.zeros(2), np.inf
        self._straight = self.flat = False
        """Whether a place and its mirror image give much the same ranges."""

    def look(self, anchors: Set[int], position: FloatArray) -> None:
        """Whether the ranges of these anchors can tell a position (D,) m from its mirror image."""
        if len(anchors) < 2:
            return
        if anchors != self._anchors:
            self._anchors = frozenset(anchors)
            plan = self._site.anchors.positions[sorted(anchors), :2]
            self._centre = plan.mean(axis=0)
            _, _, axes = np.linalg.svd(plan - self._centre)
            self._normal = axes[1]
            off = (plan - self._centre) @ self._normal
            self._off = float(np.sqrt(np.mean(off**2)))
            self._straight = bool(np.abs(off).max() <= LINE_M)
        self.flat = self._straight
        if self.flat or self._off > WIDE_M:
            return
        way = self.across(position)
        if float(np.hypot(way[0], way[1])) > APART_M:
            rows = np.array(sorted(self._anchors))
            here, _ = slant(self._site.offsets(position, rows))
            there, _ = slant(self._site.offsets(position + way, rows))
            self.flat = float(rho(there - here, SCALE_M).sum()) < ALIKE_COST

    @property
    def wide_of(self) -> IntArray:
        """Anchors, increasing, that tell every place from its mirror image; none: not so."""
        told = () if self._straight or self._off <= WIDE_M else sorted(self._anchors)
        return np.array(told, dtype=np.intp)

    def across(self, position: FloatArray) -> FloatArray:
        """The way (D,) m from a position (D,) m to where it is mirrored."""
        way = np.zeros(position.size)
        way[:2] = -2.0 * ((position[:2] - self._centre) @ self._normal) * self._normal
        return way
