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
        return np.sort(
            self._rng.choice(len(anchors), size=min(budget, len(anchors)), replace=False)
        )


class RoundRobin(Scheduler):
    """Anchors in turn, so that each is asked equally often."""

    def __init__(self) -> None:
        self._next = 0

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """The next anchors in turn."""
        count = min(budget, len(anchors))
        rows = (self._next + np.arange(count)) % len(anchors)
        self._next = int((self._next + count) % len(anchors))
        return rows


class Nearest(Scheduler):
    """The anchors nearest to where the tag is predicted to be."""

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """The nearest, nearest first."""
        d = prediction.dimensions
        square = ((anchors.positions[:, :d] - prediction.position) ** 2).sum(axis=1)
        return np.argsort(square, kind="stable")[:budget]


def make(
    name: str, site: Site, *, seed: int, model: Path | None, accuracy: float, price: float
) -> Scheduler:
    """The scheduler of this module by `name`, as `methods` makes it."""
    if name == "random":
        return Random(seed)
    if name == "round-robin":
        return RoundRobin()
    return Nearest() if name == "nearest" else All()
