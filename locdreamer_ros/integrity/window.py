# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Raw ranges of the last seconds with their own stamps, whoever sent how many at once."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.types import BoolArray, FloatArray, IntArray, Ranges
from locdreamer_ros.unchanging import unchanging

SHORT_S, LONG_S, OLDEST_S = 1.5, 6.0, 60.0
RANGES_OF_EACH = 3
"""Of each anchor the last `SHORT_S`; further back to `LONG_S` until it has `RANGES_OF_EACH`
ranges; its last up to `OLDEST_S`, where a tag ranges slowly and in turn."""
SPACED_S = 0.09
"""Of an anchor's ranges that come faster, one in this time is kept."""
MOST_ANCHORS = 24
"""Of more anchors those with the shortest ranges are looked at."""


@unchanging
class Gathered:
    """Ranges of a window: age (N,) s, zero or less; anchor (N,); value (N,) m; weight (N,).

    weight: one over the number of ranges of its anchor, so that sums count anchors; anchors: how
    many there are.
    """

    age: FloatArray
    anchor: IntArray
    value: FloatArray
    weight: FloatArray
    anchors: int

    def kept(self, keep: BoolArray) -> Gathered:
        """Only the ranges `keep` (N,)."""
        anchor = self.anchor[keep]
        count = np.unique(anchor).size
        return Gathered(self.age[keep], anchor, self.value[keep], self.weight[keep], count)

    def less(self, offset: float) -> Gathered:
        """The same with `offset` m off each range."""
        return replace(self, value=self.value - offset) if offset else self

    def latest(self) -> IntArray:
        """Rows of each anchor's last range, shortest range first."""
        order = np.lexsort((-self.age, self.anchor))
        _, first = np.unique(self.anchor[order], return_index=True)
        rows = order[first]
        return rows[np.argsort(self.value[rows], kind="stable")]

    def per_anchor(self, values: FloatArray) -> dict[int, float]:
        """Median of values (N,) by anchor."""
        if compiled.kernel:
            found: dict[int, float] | None = compiled.kernel.medians(self.anchor, values)
            if found is not None:
                return found
        by_anchor: dict[int, list[float]] = {}
        for anchor, value in sorted(zip(self.anchor.tolist(), values.tolist(), strict=True)):
            by_anchor.setdefault(anchor, []).append(value)
        return {anchor: median(its) for anchor, its in by_anchor.items()}


class Window:
    """The window itself; stamps may come in any order. The kernel works on the same arrays.

    rows (R, 3), of which `count` are there: stamp s, anchor, value m; last (A,): stamp s of each
    anchor's newest range, minus infinity where there is none; counts (2,): `count` and `pruned`.
    """

    def __init__(self, anchors: int) -> None:
        self.rows = np.empty((64, 3))
        self.last = np.empty(anchors)
        self.counts = np.empty(2)
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self.counts[:] = 0.0, -np.inf
        self.last.fill(-np.inf)
        self.first: float | None = None
        """Stamp of the first range that was added since the window was cleared, s."""

    @property
    def count(self) -> int:
        """How many rows there are."""
        return int(self.counts.item(0))

    @property
    def pruned(self) -> float:
        """When what is too old was forgotten, and the rows put in order, s."""
        return self.counts.item(1)

    def add(self, ranges: Ranges) -> None:
        """Take usable ranges in."""
        for stamp, anchor, value in zip(
            ranges.stamp.tolist(), ranges.anchor.tolist(), ranges.value.tolist(), strict=True
        ):
            if stamp - self.last[anchor] < SPACED_S:
                continue
            self.last[anchor] = stamp
            self.first = stamp if self.first is None else min(self.first, stamp)
            count = self.count
            if count == len(self.rows):
                self.rows = np.concatenate([self.rows, np.empty_like(self.rows)])
            self.rows[count] = stamp, anchor, value
            self.counts[:] = count + 1, -np.inf

    @property
    def heard(self) -> set[int]:
        """The anchors that were heard since the window was cleared."""
        return set(np.flatnonzero(self.last > -np.inf).tolist())

    def _prune(self, now: float) -> None:
        """Put the rows in order, and forget what is too old at `now` s."""
        seen: dict[int, int] = {}
        kept = []
        for row in sorted(map(tuple, self.rows[: self.count].tolist()), reverse=True):
            age, many = now - row[0], seen.get(row[1], 0)
            if age <= SHORT_S or (
                many < RANGES_OF_EACH if age <= LONG_S else age <= OLDEST_S and not many
            ):
                kept.append(row)
                seen[row[1]] = many + 1
        kept.reverse()
        self.rows[: len(kept)] = np.array(kept).reshape(-1, 3)
        self.counts[:] = len(kept), now

    def gathered(self, now: float) -> Gathered:
        """What belongs to the window at `now` s; what does not is forgotten."""
        if self.pruned != now:
            self._prune(now)
        table = self.rows[: self.count]
        anchor = table[:, 1].astype(np.intp)
        counts = np.bincount(anchor)
        if np.count_nonzero(counts) > MOST_ANCHORS:
            shortest: dict[int, float] = {}
            for _, heard, value in table.tolist():
                shortest[heard] = min(value, shortest.get(heard, np.inf))
            near = sorted(shortest, key=shortest.__getitem__)[:MOST_ANCHORS]
            table = table[np.isin(table[:, 1], near)]
            anchor = table[:, 1].astype(np.intp)
            counts = np.bincount(anchor)
        return Gathered(
            table[:, 0] - now,
            anchor,
            table[:, 2].copy(),
            1.0 / counts[anchor],
            int(np.count_nonzero(counts)),
        )
