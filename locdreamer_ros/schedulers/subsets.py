# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The best few of many: near anchors only, every subset where they are few, else by exchange."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.types import MOST_HEARD, Anchors, BoolArray, Estimate, FloatArray, IntArray

MOST_SUBSETS = 2000
"""Up to this many subsets all are tried; beyond, anchors are added one by one, then exchanged."""
NEAREST = MOST_HEARD
"""Of more anchors only the nearest are looked at, beyond what one radio reaches."""
CLEAR_SHARE = 1e-9
"""An exchange must better the cost by this share of it."""


def near(prediction: Estimate, anchors: Anchors, rows: IntArray) -> IntArray:
    """Of increasing `rows` the `NEAREST` to the tag, increasing; all if they are no more."""
    if rows.size <= NEAREST:
        return rows
    if rows.size == len(anchors) and compiled.kernel:
        nearest = np.empty(NEAREST, dtype=np.intp)
        if compiled.kernel.near(anchors.positions, prediction.position, nearest):
            return nearest
    offset = anchors.positions[rows, : prediction.dimensions] - prediction.position
    away = np.einsum("ij,ij->i", offset, offset)
    return rows[np.sort(np.argpartition(away, NEAREST)[:NEAREST])]


def near_by_kernel(silent: BoolArray | None) -> IntArray | int | None:
    """`near` as the kernel takes it: rows, or how many of the nearest; None: it is Python's."""
    if silent is None:
        return NEAREST
    rows = np.flatnonzero(~silent)
    return rows if rows.size <= NEAREST else None


@lru_cache(maxsize=64)
def all_subsets(count: int, size: int) -> IntArray:
    """(M, size) every subset of `size` of `count` rows."""
    return np.array(list(combinations(range(count), size)), dtype=np.intp)


def best(cost: Callable[[IntArray], FloatArray], count: int, budget: int) -> IntArray:
    """Of `count` rows the subset (budget,), increasing, of least cost; all where budget allows.

    cost: of subsets (M, K) the costs (M,).
    """
    if budget >= count:
        return np.arange(count)
    if comb(count, budget) <= MOST_SUBSETS:
        subsets = all_subsets(count, budget)
        return np.asarray(subsets[int(np.argmin(cost(subsets)))])
    rows = np.arange(count)
    chosen = np.empty(0, dtype=np.intp)
    least = math.inf
    for _ in range(budget):
        others = np.setdiff1d(rows, chosen)
        subsets = np.column_stack([np.tile(chosen, (others.size, 1)), others])
        costs = cost(subsets)
        least, chosen = float(costs.min()), subsets[int(np.argmin(costs))]
    while True:  # greedy alone is about a tenth off: exchange one anchor as long as it helps
        others = np.setdiff1d(rows, chosen)
        subsets = np.tile(chosen, (budget * others.size, 1))
        place = np.repeat(np.arange(budget), others.size)
        subsets[np.arange(place.size), place] = np.tile(others, budget)
        costs = cost(subsets)
        if not least - float(costs.min()) > CLEAR_SHARE * abs(least):
            return np.sort(chosen)
        least, chosen = float(costs.min()), subsets[int(np.argmin(costs))]
