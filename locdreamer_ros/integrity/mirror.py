# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchors near a line, in space near a plane: ranges can hardly tell on which side the tag is."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

import numpy as np

from locdreamer_ros.geometry import slant
from locdreamer_ros.integrity.snapshot import HEIGHT_M, SCALE_M, Snapshot, rho
from locdreamer_ros.types import FloatArray, IntArray, Site

ALIKE_COST = 2.0
"""A place and its mirror image whose ranges differ by no more cost than this are not told apart."""
APART_M = 1.0
"""A mirror image nearer than this is the same place."""
LINE_M, WIDE_M = 0.15, 2.0
"""Anchors off their common line (in space: plane) by no more are on one; by more than the other
(root mean square) they are near none. Above and below a level plane what is between is left to
those who compare places: ranges of some seconds tell."""
LEVEL = 0.9
"""So much of a level plane's normal is upright, at least."""
NEAR_M = 0.5
"""A tag so near to a ceiling of anchors may go on, or turn back: from then on nobody knows."""
FLOOR_M = -0.5
"""No tag is lower where anchors and the tag's height are counted from a floor."""


def is_unsided(site: Site) -> bool:
    """Whether no range tells above from below in space, and nobody gave the tag's height."""
    return site.height_sigma > 0.0 and _is_ceiling(site)


def _is_ceiling(site: Site) -> bool:
    """Whether the anchors are all of one height, in space."""
    return site.dimensions == 3 and float(np.ptp(site.anchors.positions[:, 2])) <= 2.0 * LINE_M


class Mirror:
    """The line, in space the plane, that the anchors in use lie near, where there is one.

    In the plane a line stands for all that is above and below it. Beneath a ceiling of anchors a
    tag is where its height, if somebody gave it, says, until it comes near the ceiling; and no tag
    is beneath the floor.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._anchors: frozenset[int] = frozenset()
        d, heights = site.dimensions, site.anchors.positions[:, 2]
        self._centre, self._normal = np.zeros(d), np.zeros(d)
        self._straight = self._level = self._near = self.flat = False
        """Whether a place and its mirror image give much the same ranges."""
        self._floor = d == 3 and bool(heights.min() >= 0.0 <= site.tag_height)
        self._ceiling = float(heights.mean())
        known = site.height_sigma == 0.0 and _is_ceiling(site)
        self._given = site.tag_height - self._ceiling if known else 0.0
        """How far above the ceiling, m, the tag was said to be; 0: nobody did."""
        self.clear()

    def clear(self) -> None:
        """The tag is on the side of the ceiling where it was said to be."""
        self._side_known = abs(self._given) >= NEAR_M

    def look(self, anchors: Set[int], position: FloatArray) -> None:
        """Whether the ranges of these anchors can tell a position (D,) m from its mirror image."""
        if len(anchors) < 2:
            return
        self._lie(anchors)
        if (position[-1] - self._ceiling) * np.sign(self._given) < NEAR_M:
            self._side_known = False
        self.flat = False
        if not self._near or (position.size == 3 and self._told(position)):
            return
        self.flat = self._straight
        way = self.across(position)
        if not self.flat and float(np.linalg.norm(way)) > APART_M:
            rows = np.array(sorted(self._anchors))
            here, _ = slant(self._site.offsets(position, rows))
            there, _ = slant(self._site.offsets(position + way, rows))
            self.flat = float(rho(there - here, SCALE_M).sum()) < ALIKE_COST

    def _lie(self, anchors: Set[int]) -> None:
        """Where these anchors lie."""
        if anchors == self._anchors:
            return
        self._anchors = frozenset(anchors)
        d = self._site.dimensions
        places = self._site.anchors.positions[sorted(anchors), :d]
        self._centre = places.mean(axis=0)
        _, _, axes = np.linalg.svd(places - self._centre)
        self._normal = axes[-1]
        off = (places - self._centre) @ self._normal
        self._straight = bool(np.abs(off).max() <= LINE_M)
        self._level = d == 3 and abs(float(self._normal[-1])) > LEVEL
        wide = self._level or float(np.sqrt(np.mean(off**2))) > WIDE_M
        self._near = self._straight or not wide

    def _told(self, position: FloatArray) -> bool:
        """Whether what is known of heights tells a position (3,) m from its mirror image."""
        if self._side_known and self._level:
            return True
        image = position + self.across(position)
        if self._floor and image[2] < FLOOR_M:
            return True
        off = np.array([image[2], position[2]]) - self._site.tag_height
        more, less = 0.5 * (off / HEIGHT_M) ** 2
        return bool(more - less > ALIKE_COST)

    def begun(
        self, anchors: Set[int], best: Snapshot, twin: Snapshot | None
    ) -> tuple[Snapshot, Snapshot | None]:
        """Where a track begins by these anchors, and its twin, less what is known of heights.

        Not underground; and where the twin is the mirror image that no range tells, it is none:
        `flat` says it.
        """
        self._lie(anchors)
        if best.position.size < 3 or not self._straight:
            return best, twin
        image = best.position + self.across(best.position)
        if twin is not None and float(np.linalg.norm(image - twin.position)) < APART_M:
            twin = None
        if self._floor and best.position[2] < FLOOR_M <= image[2]:
            velocity = best.velocity - 2.0 * (best.velocity @ self._normal) * self._normal
            best = replace(best, position=image, velocity=velocity)
        return best, twin

    @property
    def wide_of(self) -> IntArray:
        """Anchors, increasing, that tell every place from its mirror image; none: not so."""
        return np.array(() if self._near else sorted(self._anchors), dtype=np.intp)

    def across(self, position: FloatArray) -> FloatArray:
        """The way (D,) m from a position (D,) m to where it is mirrored."""
        return np.asarray(-2.0 * ((position - self._centre) @ self._normal) * self._normal)
