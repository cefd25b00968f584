# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Schedulers that need no thought: `all`, `random`, `round-robin`, `nearest`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from locdreamer_ros.roles import Scheduler
from locdreamer_ros.types import Anchors, Estimate, IntArray, Site


class All(Scheduler):
    """Every anchor, whatever the budget."""

    needs_all = True

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """All rows."""
        return np.arange(len(anchors))


class Random(Scheduler):
    """A fresh uniform draw without replacement for every fix: the paper's baseline."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """A random subset."""
        rows = self.answering(anchors)
        drawn = self._rng.choice(rows.size, size=min(budget, rows.size), replace=False)
        return np.asarray(rows[np.sort(drawn)])


class RoundRobin(Scheduler):
    """Anchors in turn, so that each is asked equally often."""

    def __init__(self) -> None:
        self._next = 0

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """The next anchors in turn."""
        turn = (self._next + np.arange(len(anchors))) % len(anchors)
        if self.silent is not None:
            turn = turn[~self.silent[turn]]
        rows = turn[:budget]
        self._next = int((rows[-1] + 1) % len(anchors))
        return np.asarray(rows)


class Nearest(Scheduler):
    """The anchors nearest to where the tag is predicted to be."""

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """The nearest, nearest first."""
        d = prediction.dimensions
        rows = self.answering(anchors)
        square = ((anchors.positions[rows, :d] - prediction.position) ** 2).sum(axis=1)
        return np.asarray(rows[np.argsort(square, kind="stable")[:budget]])


def make(
    name: str, site: Site, *, seed: int, model: Path | None, accuracy: float, price: float
) -> Scheduler:
    """The scheduler of this module by `name`, as `methods` makes it."""
    if name == "random":
        return Random(seed)
    if name == "round-robin":
        return RoundRobin()
    return Nearest() if name == "nearest" else All()
