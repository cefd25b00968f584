# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The three roles. Everything in the package is one of them, and `loop` is all that joins them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Protocol, TypeVar

import numpy as np

from locdreamer_ros.types import (
    Anchors,
    BoolArray,
    Estimate,
    FloatArray,
    IntArray,
    Motion,
    Ranges,
)

Self = TypeVar("Self", bound="Tracker")
Standing = tuple[FloatArray, FloatArray, FloatArray, float]
"""A tracker's state, mean and covariance that it shows, and of what time s they are."""


class Tracker(ABC):
    """Turns ranges into estimates. Its time only moves forward, by `predict`.

    A range is used at its own stamp, which may lie before or after the tracker's time. Before
    `start` the others raise RuntimeError. Whoever runs a tracker closes it.
    """

    fallback: str = ""
    """Why another answers in its place just now; empty: it answers itself."""
    batch: Batch | None = None
    """What makes its steps together with those of others that have the same; None: nothing."""
    model_name: str | None = None
    """What reports call its model; None without one."""

    def __init__(self) -> None:
        self.fallbacks: Counter[str] = Counter()
        """Updates answered by another, by reason."""
        self._estimate: Estimate | None = None

    @property
    def estimate(self) -> Estimate | None:
        """The current estimate; None before `start`."""
        return self._estimate

    @property
    def now(self) -> Estimate:
        """The current estimate. Raises RuntimeError before `start`."""
        found = self.estimate
        if found is None:
            raise RuntimeError(
                "this tracker has no first fix yet: call start before predict or update"
            )
        return found

    def fork(self: Self) -> Self:
        """A tracker in the same state that goes its own way: it leaves no trace in this one.

        This is how to look ahead. What never changes (`Unchanging`) is shared, the rest is copied.
        """
        return deepcopy(self)

    def look(self, ranges: Ranges) -> Estimate:
        """What `update` would say of ranges; it leaves no trace."""
        return self.fork().update(ranges)

    @property
    def offset(self) -> float:
        """What all ranges are thought to be too long by, m, where the tracker knows; else 0."""
        return 0.0

    def coast(self, dt: float, slowing: float, speed_variance: float) -> Estimate:
        """Move dt >= 0 s ahead with nothing heard for long: the tag may stand, or walk anywhere.

        The velocity is multiplied by `slowing`, and its variance grows by `speed_variance` m^2/s^2.
        Here by a new start, which forgets what else a tracker knows; it may do better.
        """
        now = self.predict(dt)
        d = now.dimensions
        mean, covariance = now.mean.copy(), now.covariance.copy()
        mean[d:] *= slowing
        covariance[d:] *= slowing
        covariance[:, d:] *= slowing
        covariance[np.arange(d, 2 * d), np.arange(d, 2 * d)] += speed_variance
        self.start(Estimate(now.time, mean, covariance, offset=self.offset))
        return self.now

    def seat(self) -> tuple[Stepped, tuple[Any, ...]] | None:
        """Whose steps the kernel can make in `predict` and `update`, and what it keeps for them.

        None: they are Python's just now.
        """
        return None

    def close(self) -> None:
        """The end of its life: give back, or write down, what outlives it. May be called twice."""

    @abstractmethod
    def start(self, fix: Estimate) -> None:
        """(Re)start from a first fix."""

    @abstractmethod
    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        """Move the state dt >= 0 seconds ahead; returns the prior.

        motion: what wheels and gyro say of these dt seconds, where there are any. A tracker that
        cannot use it passes it over.
        """

    @abstractmethod
    def update(self, ranges: Ranges) -> Estimate:
        """Take ranges in (unusable ones are passed over); returns the posterior."""


class Batch(Protocol):
    """Makes what many trackers are about to be asked for at once; they take it where it fits."""

    def predict(self, trackers: Sequence[Any], dts: Sequence[float]) -> None:
        """Predictions of dt s."""

    def update(self, trackers: Sequence[Any], ranges: Sequence[Ranges]) -> None:
        """Updates by ranges."""


class Stepped(Protocol):
    """A tracker whose steps the kernel makes (`loop.plan_all`)."""

    def standing(self) -> Standing:
        """Where it stands now."""

    def stepped(self, to: Standing) -> Estimate:
        """The kernel has stepped it: the new estimate."""


class Scheduler(ABC):
    """Chooses which anchors to ask."""

    needs_all: bool = False
    """True where the choice itself costs a range of every anchor (`all`, `wls`)."""
    sequential: bool = False
    """True where it asks some, looks at what they say, and asks on within the same fix: `more`."""
    fallback: str = ""
    """Why another scheduler chose in its place just now; empty: it chose itself."""
    silent: BoolArray | None = None
    """Anchors (A,) that do not answer, as the loop found: not to be chosen. Where one is chosen all
    the same, as a trained policy may, another is asked in its place. None: all answer."""

    def answering(self, anchors: Anchors) -> IntArray:
        """Rows (C,), increasing, of the anchors that are not silent."""
        return np.arange(len(anchors)) if self.silent is None else np.flatnonzero(~self.silent)

    @abstractmethod
    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """Rows (K,) of the anchors to range with, K <= budget unless `needs_all`."""

    def choice(self, budget: int) -> tuple[Any, ...] | None:
        """What the kernel's `plan` takes to make `select`; None: it is Python's.

        rows of anchors or of how many nearest, weights of the axes (D,), budget, numbers of a
        `schedulers.foresight.Pace`, up to how many subsets all are tried, by which share an
        exchange must be better, and whether all are asked at once (the budget) or the first (1).
        """
        return None

    def more(self, looked: Estimate, asked: IntArray, anchors: Anchors, budget: int) -> IntArray:
        """Rows to ask next for the same fix, after rows `asked` led to `looked`; none: enough."""
        return np.empty(0, dtype=np.intp)

    def keep(self, prediction: Estimate, ranges: Ranges, budget: int) -> Ranges:
        """What the tracker is given of the answer; all of it, unless the choice needed it all."""
        return ranges

    def observe(self, prediction: Estimate, ranges: Ranges, posterior: Estimate) -> None:
        """Learn from what came back. Nothing by default."""


class RangeSource(Protocol):
    """Ranges with the anchors asked: a device, a simulator, a recording."""

    @property
    def anchors(self) -> Anchors:
        """The anchors it can ask."""

    def measure(self, anchor: IntArray, deadline: float) -> Ranges:
        """Range with anchors (rows) by `deadline` s; one entry each, time-outs included."""
