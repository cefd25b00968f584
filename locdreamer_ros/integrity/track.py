# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a tracker said that the tag was, held against the ranges of a window."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.geometry import FLOOR_M
from locdreamer_ros.integrity.snapshot import OFFSET_M, SCALE_AGE, SCALE_M, cost_of, gaps
from locdreamer_ros.integrity.window import (
    LONG_S,
    MOST_ANCHORS,
    OLDEST_S,
    RANGES_OF_EACH,
    SHORT_S,
    Gathered,
    Window,
)
from locdreamer_ros.types import Estimate, FloatArray, IntArray, Site

REACH_S = LONG_S + SCALE_AGE + 1.0
"""So far back a track is remembered, at least."""
REACH_ROWS = 60
"""So many updates back as well, as far as a window reaches."""
FEWEST_RANGES = 4
"""Ranges of a window that a track is held against."""
SPANS = (SHORT_S, LONG_S, OLDEST_S, RANGES_OF_EACH, MOST_ANCHORS, SCALE_M, SCALE_AGE, OFFSET_M)
"""What the kernel has to know of windows and costs."""
NOBODY: IntArray = np.empty(0, dtype=np.intp)


class RecentTrack:
    """The last seconds of a track: rows (R, 1 + D), of which `count` are there: time s, place m.

    The kernel works on the same arrays; counts (1,): `count`.
    """

    def __init__(self, dimensions: int) -> None:
        self.rows = np.empty((128, 1 + dimensions))
        self.counts = np.zeros(1)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return int(self.counts.item())

    def add(self, estimate: Estimate, reach: float) -> None:
        """Add where the tag is now, and forget what lies more than `reach` s back."""
        count = self.count
        if count == len(self.rows):
            self.rows = np.concatenate([self.rows, np.empty_like(self.rows)])
        if compiled.kernel:
            given = (self.rows, count, estimate.time, estimate.mean, reach)
            left: int = compiled.kernel.remember(*given)
            if left >= 0:
                self.counts[0] = left
                return
        self.rows[count] = estimate.time, *estimate.position.tolist()
        recent = self.rows[: count + 1, 0] >= estimate.time - reach
        kept = self.rows[int(recent.argmax()) : count + 1].copy()
        self.counts[0] = len(kept)
        self.rows[: len(kept)] = kept

    def at(self, times: FloatArray) -> FloatArray:
        """Where the tag was (N, D) m at times (N,) s."""
        known, *places = self.rows[: self.count].T
        return np.column_stack([np.interp(times, known, axis) for axis in places])

    def residuals(self, site: Site, gathered: Gathered, now: float) -> FloatArray:
        """Residuals (N,) m of a window at `now` s."""
        return gaps(site, gathered.anchor, gathered.value, self.at(now + gathered.age))


class Held(NamedTuple):
    """What a window says of a track: its cost, in anchors, and of how many of them.

    fit: residual m by anchor, less the offset m that all share.
    """

    cost: float
    anchors: int
    fit: dict[int, float]
    offset: float = 0.0


def rows_of(named: Collection[int]) -> IntArray:
    """Anchors as the kernel takes them."""
    return np.fromiter(named, dtype=np.intp) if named else NOBODY


def hold(
    site: Site, window: Window, track: RecentTrack, now: float, named: Collection[int]
) -> Held | None:
    """Hold a track against a window at `now` s; anchors `named` are not in the cost.

    None where there is too little of either.
    """
    if not track.count:
        return None
    without = rows_of(named)
    if compiled.kernel:
        rows = (window.rows, window.count, track.rows, track.count)
        given = (site.anchors.positions, constants(site.tag_height), *rows, now, without)
        found = compiled.kernel.hold(*given)
        if found:
            window.counts[:] = found[0], now
            return Held(*found[1:]) if found[2] else None
    gathered = window.gathered(now)
    if gathered.age.size < FEWEST_RANGES:
        return None
    residual = track.residuals(site, gathered, now)
    rest, trusted = gathered, residual
    if named:
        keep = ~np.isin(gathered.anchor, without)
        rest, trusted = gathered.kept(keep), residual[keep]
    if rest.age.size == 0:
        return None
    cost, offset = cost_of(trusted, rest)
    return Held(cost, rest.anchors, gathered.per_anchor(residual - offset), offset)


@lru_cache(maxsize=64)
def constants(tag_height: float) -> FloatArray:
    """What the kernel has to know of windows, costs and the site."""
    return np.array([tag_height, FLOOR_M, *SPANS])
