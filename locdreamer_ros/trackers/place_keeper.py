# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Between the zero-shot tracker and its memory of places: what is told, what is learned and when.

A residual is folded into the map some steps late, at where the tag was as seen from then: a
smoothed position errs less than a filtered one, and the map keeps what its errors leave there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from locdreamer_ros.place_memory import PlaceMemory
from locdreamer_ros.trackers.lag_smoother import LagSmoother, Moment
from locdreamer_ros.types import FloatArray, IntArray

COMMON, FIRST = 4, 5
TOLD = 0.9
"""How much of a local bias's variance a sure map takes away."""
VARIANCE_M2 = 0.25
"""Of biases over places before anything is known: a map learns this much faster than it forgets."""
DOUBT = 3.0
"""A tracker's variance counts for more than it says: its errors stay for a while."""
FULL_M = 0.3
"""Who moved less since the last residual says less that is new."""
LEAST = 0.05
MOST = 2.0


@dataclass(frozen=True, eq=False)
class Noted:
    """Ranges of one update.

    anchor (K,), value (K,) m less what the network expects of noise, ahead (K,) s of the step's
    time, sigma (K,) m.
    """

    anchor: IntArray
    value: FloatArray
    ahead: FloatArray
    sigma: FloatArray


Note = tuple[Noted | None, float]
"""The ranges of an update, and how much of what they say is new (0..1)."""


class PlaceKeeper:
    """Reads and feeds a `PlaceMemory`. mean (A,) m: what it says of where the tag is."""

    def __init__(self, memory: PlaceMemory) -> None:
        self.memory = memory
        self._learns = True
        self.begin()

    def begin(self) -> None:
        """The track starts anew; the memory stays."""
        self.mean = np.zeros(len(self.memory.site.anchors))
        self._smoother: LagSmoother[Note] = LagSmoother()
        self._transition: FloatArray | None = None
        self._way = 0.0

    def reader(self) -> PlaceKeeper:
        """One that reads the same memory and learns nothing."""
        twin = object.__new__(PlaceKeeper)
        twin.__dict__.update(self.__dict__)
        twin._learns = False
        return twin

    def move(self, position: FloatArray, transition: FloatArray, way: float) -> FloatArray:
        """The tag is now at position (2,) m; returns what is left (A,) of the biases' variance."""
        self.mean, confidence = self.memory.read(position)
        before = self._transition
        composed = before is not None and before.shape == transition.shape
        self._transition = transition @ before if composed and before is not None else transition
        self._way += way
        return np.asarray(1.0 - TOLD * confidence)

    def learn(
        self,
        mean: FloatArray,
        covariance: FloatArray,
        prior: FloatArray,
        wide: FloatArray,
        noted: Noted | None,
    ) -> None:
        """An update: state (N,) and covariance (N, N) after and before it, and its ranges."""
        if not self._learns:
            return
        transition = np.eye(mean.size) if self._transition is None else self._transition
        note = (noted, min(max(self._way / FULL_M, LEAST), 1.0))
        self._transition, self._way = None, 0.0
        self._keep(Moment(mean, covariance, prior, wide, transition, note))

    def _keep(self, moment: Moment[Note]) -> None:
        """Fold into the map what is ripe by now."""
        for (ranges, share), then, variance in self._smoother.add(moment):
            if ranges is not None:
                self._fold(ranges, share, then, variance)

    def _fold(self, noted: Noted, share: float, mean: FloatArray, covariance: FloatArray) -> None:
        """Ranges of a while ago, at where the tag was."""
        site, rows = self.memory.site, noted.anchor
        position = mean[:2] + noted.ahead[:, None] * mean[2:4]
        delta = site.offsets(position, rows)
        distance = np.sqrt((delta**2).sum(axis=1) + 1e-4)
        direction = delta[:, :2] / distance[:, None]
        residual = noted.value - distance - mean[COMMON] - mean[FIRST + rows]
        along = np.maximum(((direction @ covariance[:2, :2]) * direction).sum(axis=1), 0.0)
        weight = share * VARIANCE_M2 / (noted.sigma**2 + DOUBT * along + 1e-3)
        self.memory.fold(mean[:2], rows, residual, np.minimum(weight, MOST))
