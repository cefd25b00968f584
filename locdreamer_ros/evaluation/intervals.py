# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Means over seeds with 95 % intervals (Student's t), plain and paired by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from locdreamer_ros.types import FloatArray

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over `count` seeds and half the width of its 95 % interval (NaN for one seed)."""

    mean: float
    half_width: float
    count: int

    @property
    def low(self) -> float:
        """Lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + self.half_width


def mean_interval(values: Sequence[float] | FloatArray) -> Interval:
    """Mean of values (n,), one per seed, n >= 1. Raises ValueError for none."""
    # scipy.stats takes half a second to import; the quantile alone is in scipy.special.
    from scipy.special import stdtrit

    sample = np.asarray(values, dtype=np.float64)
    n = sample.size
    if n == 0:
        raise ValueError("an interval needs at least one value")
    if n == 1:
        return Interval(float(sample[0]), float("nan"), 1)
    quantile = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2.0))
    return Interval(float(sample.mean()), quantile * float(sample.std(ddof=1)) / n**0.5, n)


def paired_reduction(
    values: Sequence[float] | FloatArray, reference: Sequence[float] | FloatArray
) -> Interval:
    """How far values lie below reference, %, seed by seed: one bad seed cannot carry the mean."""
    sample = np.asarray(values, dtype=np.float64)
    base = np.asarray(reference, dtype=np.float64)
    if sample.shape != base.shape:
        raise ValueError(f"pairs need equal lengths, got {sample.shape} and {base.shape}")
    return mean_interval(100.0 * (1.0 - sample / base))
