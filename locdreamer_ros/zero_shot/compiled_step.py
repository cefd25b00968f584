# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The filter's step in C++: the numbers that `tracker` and `network` give, much faster.

Nothing here knows the mathematics: arrays are made, and the kernel fills them. It answers None
where it leaves a step to numpy.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.geometry import FLOOR_M
from locdreamer_ros.types import (
    MAX_AGE_S,
    Criterion,
    Estimate,
    FloatArray,
    Foreseen,
    Foresight,
    IntArray,
    Site,
)
from locdreamer_ros.unchanging import Unchanging
from locdreamer_ros.zero_shot.foresight import foresee
from locdreamer_ros.zero_shot.layout import NEAR_AT_M, NEAR_M, SIGMA_M, SILENT_S, WEIGHTS
from locdreamer_ros.zero_shot.model_file import Weights
from locdreamer_ros.zero_shot.state import State

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
BOX_WITHOUT_END = np.array([-np.inf, -np.inf, np.inf, np.inf, 0.0])
"""A box that no tag is far outside of: left, front, right, back, and how far is far."""


class CompiledStep(Unchanging):
    """The kernel with the weights of one model, for one site."""

    def __init__(self, kernel: Any, network: Any, site: Site, climbs: bool) -> None:
        self.kernel = kernel
        places = np.ascontiguousarray(site.anchors.positions)
        self.model = kernel.model(network, places, site.dimensions, climbs)
        """The network on the site, as the kernel's functions take it."""
        self._axes = site.dimensions

    def standing(self, state: State, slot: IntArray) -> tuple[Any, ...]:
        """A state as the kernel's functions take it; slot (A,): of each anchor its slot."""
        return self.model, state.slots, slot, state.packed

    def foresee(self, state: State, slot: IntArray, rows: IntArray) -> Foresight | None:
        """Foresight of anchors `rows` (C,)."""
        axes, count = self._axes, rows.size
        found = np.empty((axes, axes)), np.empty((count, axes)), np.empty((count, count))
        done = self.kernel.foresee(*self.standing(state, slot), rows, *found)
        return Foresight(*found) if done else None


class CompiledForesight(Foreseen):
    """An estimate's foresight by the kernel, which can choose by it too."""

    __slots__ = ("_site", "_slot", "_state", "_step")

    def __init__(self, step: CompiledStep, site: Site, state: State, slot: IntArray) -> None:
        self._step, self._site, self._state, self._slot = step, site, state, slot

    def __call__(self, rows: IntArray) -> Foresight:
        """Foresight of anchors `rows` (C,)."""
        state = self._state
        found = self._step.foresee(state, self._slot, rows)
        return found or foresee(self._site, state.mean, state.covariance, self._slot, rows)

    def choose(self, rows: IntArray, by: Criterion) -> IntArray | None:
        """See `Foreseen`."""
        chosen = np.empty(by.budget, dtype=np.intp)
        given = (*self._step.standing(self._state, self._slot), rows, *by)
        return chosen if self._step.kernel.choose_ahead(*given, chosen) else None

    def first(
        self, rows: IntArray | int, by: Criterion, asked: IntArray
    ) -> tuple[int, float, float] | None:
        """See `Foreseen`."""
        found: tuple[int, float, float] | None
        given = self._step.standing(self._state, self._slot)
        found = self._step.kernel.first_ahead(*given, rows, *by, asked)
        return found


class CompiledEstimate(Estimate):
    """An estimate that the kernel made: two of these in each turn, and few ask for all of it.

    of: what its foresight is of, as `CompiledForesight` takes it.
    """

    def __init__(
        self,
        time: float,
        mean: FloatArray,
        covariance: FloatArray,
        of: tuple[CompiledStep, Site, State, IntArray],
    ) -> None:
        # As the dataclass writes them, but for the two below.
        self.time, self.mean, self.covariance = time, mean, covariance  # type: ignore[misc]
        self.of = of

    @cached_property
    def foresight(self) -> Foreseen:
        """Of the state at that time."""
        return CompiledForesight(*self.of)

    @cached_property
    def offset(self) -> float:
        """The bias that all ranges share."""
        return self.of[2].common


def compiled_step(weights: Weights, site: Site, climbs: bool) -> CompiledStep | None:
    """The compiled step; None where it was not built, or not for a model of this shape."""
    kernel = compiled.kernel
    network = kernel and _network(kernel, weights)
    return CompiledStep(kernel, network, site, climbs) if network else None


@lru_cache(maxsize=8)
def _network(kernel: Any, weights: Weights) -> Any:
    """The weights as the kernel takes them, once for all tags; None for those of another shape."""
    parts = [weights[f"{name}.{part}"] for name in ARRAYS for part in ("weight", "bias")]
    parts += [np.exp(weights.noise[name]) for name in NOISES]
    constants = (SIGMA_M, *WEIGHTS, SILENT_S, FLOOR_M, MAX_AGE_S, NEAR_M, NEAR_AT_M)
    flat = np.concatenate([np.ravel(part) for part in parts] + [np.array(constants)])
    try:
        return kernel.network(flat)
    except ValueError:
        return None
