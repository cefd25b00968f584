# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time differences of arrival as ranges: what the loop adds to the values of a blink.

A tag that only sends is heard by all anchors, and nobody knows when it sent. What is measured is a
range less an offset c that all anchors share and that is new each time (`Ranges.differences`).
`as_ranges` adds a c, so that the watch, its first fix and its gates read them as ranges. To
trackers c stays unknown.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from locdreamer_ros.geometry import slant
from locdreamer_ros.types import Estimate, FloatArray, IntArray, Ranges, Site

SCALE_M = 0.3
"""Scale of a residual r, which costs log(1 + (r / scale)^2): wild ones cost little more."""
AGREES_M = 0.5
"""An anchor whose residual is smaller agrees."""
CELLS_OF_A_SIDE = 32
"""Places along each side of where a tag is looked for, and `LEVELS` of them in height."""
LEVELS = 5
NEAREST = 24
"""So many anchors, those that heard it first, are looked at."""
MOST_POLISHED = 4
"""The best so many places are improved."""
STEPS = (4.0, 2.0, 1.0, 1.0, 1.0, 1.0)
"""Factors of the scale in the steps of Gauss-Newton: coarse to fine."""
LEAST_RANGE_M = 0.1


def as_ranges(site: Site, ranges: Ranges, estimate: Estimate | None, offset: float = 0.0) -> Ranges:
    """The usable ranges of a blink, with the offset added that they need to be ranges.

    estimate: where the tag is thought to be: then that offset which most of them say, so that one
    wild value moves none but itself. offset m: what all ranges are thought to be too long by
    (`Tracker.offset`). Without an estimate the blink must say itself where it was: by D + 2
    anchors that agree, else nothing is usable.
    """
    used = ranges.usable()
    if len(used) == 0:
        return used
    if estimate is None:
        found = solve(site, used.anchor, used.value)
        if found is None:
            return used[np.empty(0, dtype=np.intp)]
        value = used.value + found
    else:
        ahead = used.stamp - estimate.time
        place = estimate.position + ahead[:, None] * estimate.velocity
        value = used.value + np.median(site.expected(place, used.anchor) + offset - used.value)
    # One that is wild may be far below zero, and no range is.
    return replace(used, value=np.maximum(value, LEAST_RANGE_M))


def solve(site: Site, anchor: IntArray, value: FloatArray) -> float | None:
    """The offset m that makes ranges of values (N,) m of anchors (N,); None: they do not say.

    Places on a grid over the site, each with the offset that most of the values say there, the
    best of them improved by iterated reweighted Gauss-Newton.
    """
    enough = site.dimensions + 2
    nearest = np.argsort(value, kind="stable")[:NEAREST]
    anchor, value = anchor[nearest], value[nearest]
    if np.unique(anchor).size < enough:
        return None
    places = _grid(site)
    off = site.expected(places[:, None], anchor) - value
    cost = _cost(off - np.median(off, axis=1, keepdims=True), 3.0 * SCALE_M)
    best: tuple[float, float, int] | None = None
    for row in np.argsort(cost, kind="stable")[:MOST_POLISHED]:
        offset, residual = _polished(site, anchor, value, places[row])
        spent = float(_cost(residual, SCALE_M))
        agree = np.unique(anchor[np.abs(residual) < AGREES_M]).size
        if best is None or spent < best[0]:
            best = spent, offset, agree
    return best[1] if best is not None and best[2] >= enough else None


def _grid(site: Site) -> FloatArray:
    """Places (M, D) m all over where a tag is looked for."""
    low, high = site.bounds
    counts = [CELLS_OF_A_SIDE, CELLS_OF_A_SIDE, LEVELS][: site.dimensions]
    axes = [np.linspace(a, b, n) for a, b, n in zip(low, high, counts, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, site.dimensions)


def _cost(residual: FloatArray, scale: float) -> FloatArray:
    return np.asarray(np.log1p((residual / scale) ** 2).sum(axis=-1))


def _polished(
    site: Site, anchor: IntArray, value: FloatArray, start: FloatArray
) -> tuple[float, FloatArray]:
    """Offset m and residuals (N,) m after Gauss-Newton from the place `start` (D,)."""
    d = site.dimensions
    position = start
    offset = float(np.median(site.expected(start[None], anchor) - value))
    for factor in STEPS:
        distance, direction = slant(site.offsets(position[None], anchor))
        residual = value + offset - distance
        weight = 1.0 / (1.0 + (residual / (factor * SCALE_M)) ** 2)
        gradient = np.column_stack([direction[:, :d], -np.ones(anchor.size)])
        hessian = gradient.T @ (gradient * weight[:, None]) + 1e-6 * np.eye(d + 1)
        step = np.linalg.solve(hessian, gradient.T @ (weight * residual))
        position, offset = position + step[:d], offset + float(step[d])
    return offset, value + offset - site.expected(position[None], anchor)
