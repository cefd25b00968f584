# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The three roles. Everything in the package is one of them, and `loop` is all that joins them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np

from locdreamer_ros.types import Anchors, Estimate, IntArray, Motion, Ranges


class Tracker(Protocol):
    """Turns ranges into estimates. Its time only moves forward, by `predict`.

    A range is used at its own stamp, which may lie before or after the tracker's time.
    """

    @property
    def estimate(self) -> Estimate | None:
        """The current estimate; None before `start`."""

    def start(self, fix: Estimate) -> None:
        """(Re)start from a first fix."""

    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        """Move the state dt >= 0 seconds ahead; returns the prior.

        motion: what wheels and gyro say of these dt seconds, where there are any. A tracker that
        cannot use it passes it over.
        """

    def update(self, ranges: Ranges) -> Estimate:
        """Take ranges in (unusable ones are passed over); returns the posterior.

        It replaces its arrays and never writes into them, so that a shallow copy of the tracker can
        look at an answer before the tracker itself takes it in.
        """


class Scheduler(ABC):
    """Chooses which anchors to ask."""

    needs_all: bool = False
    """True where the choice itself costs a range of every anchor (`all`, `wls`)."""
    sequential: bool = False
    """True where it asks some, looks at what they say, and asks on within the same fix: `more`."""
    fallback: str = ""
    """Why another scheduler chose in its place just now; empty: it chose itself."""

    @abstractmethod
    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """Rows (K,) of the anchors to range with, K <= budget unless `needs_all`."""

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
