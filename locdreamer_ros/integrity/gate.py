# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which ranges a tracker under watch is given: those of about now, new (`times`), and no spikes."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.geometry import FLOOR_M
from locdreamer_ros.integrity.lasting import LASTS_M, REPEATS, STUCK_M
from locdreamer_ros.integrity.naming import Naming
from locdreamer_ros.integrity.snapshot import gaps
from locdreamer_ros.integrity.times import APART_S, Times
from locdreamer_ros.integrity.window import SPACED_S, Window
from locdreamer_ros.types import BoolArray, Estimate, FloatArray, IntArray, Ranges, Site

LONG_GATE_M, SHORT_GATE_M, SPIKES, ACCUSED = 4.3, 1.0, 3, 12
"""A range off by more, beyond 3 sigma, is a spike; at most so many of an anchor in a row, unless
the other anchors go on agreeing with the track: then so many name it."""

ALL_NEAR: BoolArray = np.ones(0, dtype=np.bool_)
"""All of them, however many."""


class Gate:
    """The gate, and what it has counted. Anchors that `naming` has named are held back."""

    def __init__(self, site: Site, naming: Naming) -> None:
        self._site = site
        self._naming = naming
        limits = (site.tag_height, FLOOR_M, -SHORT_GATE_M, LONG_GATE_M, APART_S, SPACED_S)
        self._known = (site.anchors.positions, np.array([*limits, LASTS_M, REPEATS, STUCK_M]))
        self.excluded: Counter[str] = Counter()
        """Ranges held back, by anchor."""
        self.times = Times(len(site.anchors))
        self.spikes: IntArray = np.zeros(len(site.anchors), dtype=np.intp)
        """Ranges in a row that were off, of each anchor; the kernel writes into it too."""

    def seat(self, window: Window) -> tuple[Any, ...]:
        """What the kernel works on: the site and limits; what was used, and the window."""
        return (*self._known, self.times.newest, window.last, window.rows, window.counts)

    def attend(
        self,
        ranges: Ranges,
        time: float,
        prior: Estimate,
        offset: float,
        window: Window,
        *,
        count: bool,
    ) -> BoolArray | None:
        """`near` of plain ranges: usable, of about `time` s and new. They are in the window then.

        By the kernel; None: `Times.fresh` is to be asked. Without `count` this leaves no trace.
        """
        if compiled.kernel is None or self.times.looks_back:
            return None
        found: tuple[int, int] | None = compiled.kernel.attend(
            *(*self._known, time, ranges.anchor, ranges.value, ranges.stamp, ranges.status),
            *(prior.time, prior.mean, prior.covariance, offset, count),
            *(self.times.newest, window.last, window.rows, window.count),
            self._naming.lasting.rows,
        )
        if found is None:
            return None
        if count:
            window.counts[:] = found[0], -np.inf
            self.times.ordinary(ranges, time)
        if not found[1]:
            return ALL_NEAR
        return np.array([not found[1] >> row & 1 for row in range(len(ranges))])

    def near(
        self, ranges: Ranges, prior: Estimate, offset: float, *, count: bool = False
    ) -> BoolArray:
        """Which ranges (N,) are near what the track expects.

        offset m: what the tracker thinks that all ranges are too long by; count: whether those that
        are long are remembered.
        """
        ahead = ranges.stamp - prior.time
        at = prior.position + ahead[:, None] * prior.velocity
        off = gaps(self._site, ranges.anchor, ranges.value, at) - offset
        if count:
            self._naming.lasting.hear(ranges, off, -SHORT_GATE_M, prior.position)
        sigmas = 3.0 * math.sqrt(max(float(np.trace(prior.position_covariance)), 0.0))
        near = np.asarray((off < LONG_GATE_M + sigmas) & (off > -SHORT_GATE_M - sigmas))
        near[[self._naming.lasting.stuck(anchor) for anchor in ranges.anchor.tolist()]] = False
        return near

    def screened(
        self,
        ranges: Ranges,
        near: BoolArray | None,
        prior: Estimate,
        offset: float,
        fits: FloatArray,
        *,
        open_: bool,
        count: bool,
    ) -> Ranges:
        """Fresh ranges without those of anchors that are named, and those that are but spikes.

        near (N,) or `ALL_NEAR`, None: to be found out; offset m: see `near`; fits (A,) m: how the
        track fits each anchor of the window, NaN: it has none; open_: all are let through that are
        not named; count: whether it is remembered.
        """
        if len(ranges) == 0:
            return ranges
        if near is None:
            near = self.near(ranges, prior, offset, count=count)
            near = ALL_NEAR if near.all() else near
        named = self._naming.named
        if near is ALL_NEAR and not (named or self.spikes.any()):
            return ranges
        rows = np.flatnonzero(~np.isnan(fits))
        fit = dict(zip(rows.tolist(), fits[rows].tolist(), strict=True))
        anchors = ranges.anchor.tolist()
        keep = [True] * len(anchors) if near is ALL_NEAR or open_ else near.tolist()
        if near is not ALL_NEAR or self.spikes.any():
            spikes = self.spikes if count else self.spikes.copy()
            for row, anchor in enumerate(anchors):
                if self._naming.lasting.stuck(anchor):
                    keep[row] = False
                    if count:
                        self._naming.accuse(anchor, fit)
                    continue
                many = max(spikes.item(anchor) + (-1 if keep[row] else 1), 0)
                spikes[anchor] = many
                if not many:
                    continue
                # An anchor of late in doubt is not believed in between either, if others are.
                held = self._naming.others_agree(anchor, fit)
                keep[row] = many > SPIKES and not held
                if count and held and many >= ACCUSED:
                    self._naming.accuse(anchor, fit)
            named = self._naming.named
        if named:
            for row, anchor in enumerate(anchors):
                if anchor in named:
                    keep[row] = False
                    if count:
                        self.excluded[self._site.anchors.ids[anchor]] += 1
        return ranges if all(keep) else ranges[np.array(keep)]
