# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All that the filter knows at one time, in one array: the kernel takes and gives it as a whole.

A state is replaced at each step and never written into: it may wait for a reader.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from locdreamer_ros.types import FloatArray
from locdreamer_ros.unchanging import Unchanging
from locdreamer_ros.zero_shot.layout import COMMON, CONTEXT, FIRST_BIAS


class State(Unchanging):
    """The array `packed`, of how many slots, and of how long a mean (odometry's states included).

    In it: since, s, the last update; updates so far; context (CONTEXT,); of each slot age (slots,)
    s and surprise (slots,) m; mean (size,); covariance (size, size).
    """

    __slots__ = ("packed", "size", "slots")

    def __init__(self, packed: FloatArray, slots: int, size: int) -> None:
        self.packed = packed
        self.slots = slots
        self.size = size

    @classmethod
    def of(
        cls,
        *,
        since: float,
        updates: float,
        context: FloatArray,
        age: FloatArray,
        surprise: FloatArray,
        mean: FloatArray,
        covariance: FloatArray,
    ) -> State:
        """The state of these parts."""
        parts = ((since, updates), context, age, surprise, mean, covariance.ravel())
        return cls(np.concatenate(parts), age.size, mean.size)

    def changed(self, **parts: Any) -> State:
        """The same with other parts."""
        return State.of(
            **{name: getattr(self, name) for name in PARTS if name not in parts}, **parts
        )

    @property
    def since(self) -> float:
        """Seconds since the last update."""
        return float(self.packed[0])

    @property
    def updates(self) -> float:
        """How many there were."""
        return float(self.packed[1])

    @property
    def context(self) -> FloatArray:
        """(CONTEXT,)."""
        return self.packed[2 : 2 + CONTEXT]

    @property
    def age(self) -> FloatArray:
        """(slots,) s since each anchor was heard."""
        return self.packed[2 + CONTEXT : 2 + CONTEXT + self.slots]

    @property
    def surprise(self) -> FloatArray:
        """(slots,) m: how far each anchor's ranges were off."""
        return self.packed[2 + CONTEXT + self.slots : self._mean]

    @property
    def mean(self) -> FloatArray:
        """(size,): see `layout`."""
        return self.packed[self._mean : self._mean + self.size]

    @property
    def covariance(self) -> FloatArray:
        """(size, size)."""
        return self.packed[self._mean + self.size :].reshape(self.size, self.size)

    @property
    def common(self) -> float:
        """The bias that all ranges share, m."""
        return self.packed.item(2 + CONTEXT + 2 * self.slots + COMMON)

    @property
    def _mean(self) -> int:
        return 2 + CONTEXT + 2 * self.slots

    @property
    def plain(self) -> int:
        """How long the mean is without odometry's states."""
        return FIRST_BIAS + 2 * self.slots

    @property
    def own(self) -> slice:
        """Where each slot's slow offset is."""
        return slice(FIRST_BIAS, FIRST_BIAS + self.slots)

    @property
    def local(self) -> slice:
        """Where each slot's local bias is."""
        return slice(FIRST_BIAS + self.slots, self.plain)


PARTS = ("since", "updates", "context", "age", "surprise", "mean", "covariance")
