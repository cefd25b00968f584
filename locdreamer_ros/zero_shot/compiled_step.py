# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The filter's step in C++: the numbers that `tracker` and `network` give, much faster.

Nothing here knows the mathematics: arrays are made, and the kernel fills them. It answers None
where it leaves a step to numpy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.geometry import FLOOR_M
from locdreamer_ros.types import (
    MAX_AGE_S,
    FloatArray,
    Foresight,
    IntArray,
    Ranges,
    Site,
    Unchanging,
)
from locdreamer_ros.zero_shot.layout import SIGMA_M, SILENT_S, WEIGHTS
from locdreamer_ros.zero_shot.model_file import Weights

ARRAYS = (
    "token",
    "pool",
    "mix",
    "range_head",
    "motion_head",
    "climate",
    "climate_head",
    "trust",
    "trust_head",
)
NOISES = (
    "acceleration",
    "vertical",
    "common_walk",
    "own",
    "own_time",
    "local",
    "local_time",
    "local_way",
)
STRANGER = -2
"""The kernel's answer to ranges of an anchor without a slot."""


class Stepped(NamedTuple):
    """State (N,), its covariance (N, N), and what an estimate shows of them: (2D,), (2D, 2D)."""

    mean: FloatArray
    covariance: FloatArray
    shown: FloatArray
    shown_covariance: FloatArray


class CompiledStep(Unchanging):
    """The kernel with the weights of one model, for one site."""

    def __init__(self, kernel: Any, network: Any, site: Site, climbs: bool) -> None:
        self._kernel = kernel
        self._network = network
        self.places = site.anchors.positions
        self._axes = site.dimensions
        self.of_model = (network, site.dimensions, climbs)
        """What comes first in the kernel's arguments; the last is of a prediction only."""

    def of(self, ranges: Ranges) -> tuple[Any, ...]:
        """What an update takes of ranges."""
        given = (ranges.anchor, ranges.value, ranges.stamp, ranges.status)
        return (*given, ranges.nlos_probability, ranges.variance)

    def room(self, mean: FloatArray) -> Stepped:
        """Empty arrays for the step from a state (N,)."""
        size, shown = mean.size, 2 * self._axes
        empty = np.empty
        return Stepped(empty(size), empty((size, size)), empty(shown), empty((shown, shown)))

    def predict(
        self,
        mean: FloatArray,
        covariance: FloatArray,
        age: FloatArray,
        context: FloatArray,
        dt: float,
    ) -> tuple[Stepped, FloatArray] | None:
        """The state dt s ahead, and the new ages (slots,) s."""
        room, ages = self.room(mean), np.empty(age.size)
        given = (*self.of_model, dt, mean, covariance, age, context)
        return (room, ages) if self._kernel.predict(*given, *room, ages) else None

    def update(
        self,
        mean: FloatArray,
        covariance: FloatArray,
        memory: tuple[FloatArray, FloatArray, FloatArray],
        slot: IntArray,
        times: tuple[float, float, int],
        ranges: Ranges,
    ) -> tuple[int, Stepped]:
        """How many ranges were used, and the posterior; below 0 there is none.

        memory: age (slots,) s, surprise (slots,) m and context, changed in place; times: the
        tracker's, since the last update, and updates so far.
        """
        room = self.room(mean)
        used = self._kernel.update(
            *(self._network, self._axes, *times, self.places, slot, mean, covariance, *memory),
            *self.of(ranges),
            *room,
        )
        return used, room

    def foresee(
        self, mean: FloatArray, covariance: FloatArray, slots: int, slot: IntArray, rows: IntArray
    ) -> Foresight | None:
        """Foresight of anchors `rows` (C,)."""
        axes, count = self._axes, rows.size
        found = np.empty((axes, axes)), np.empty((count, axes)), np.empty((count, count))
        given = (self._network, slots, axes, mean, covariance, self.places, slot, rows)
        return Foresight(*found) if self._kernel.foresee(*given, *found) else None


def compiled_step(weights: Weights, site: Site, climbs: bool) -> CompiledStep | None:
    """The compiled step; None where it was not built, or not for a model of this shape."""
    kernel = compiled.kernel
    if kernel is None:
        return None
    parts = [weights[f"{name}.{part}"] for name in ARRAYS for part in ("weight", "bias")]
    parts += [np.exp(weights.noise[name]) for name in NOISES]
    constants = (SIGMA_M, *WEIGHTS, SILENT_S, FLOOR_M, MAX_AGE_S)
    flat = np.concatenate([np.ravel(part) for part in parts] + [np.array(constants)])
    try:
        network = kernel.network(flat)
    except ValueError:
        return None
    return CompiledStep(kernel, network, site, climbs)
