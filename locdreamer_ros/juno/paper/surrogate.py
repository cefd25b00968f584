# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arrival times without waveforms: a few random numbers with the statistics of `signal`.

test/juno compares the two: mean, spread and quantiles. Left out are the misses and the wild times
(another user's pulse taken for the first path), each below 1.5 % of links.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numba import njit

from locdreamer_ros.types import BoolArray, FloatArray


@dataclass(frozen=True)
class RangingError:
    """Error of an arrival time, m: LoS N(los_mean, los_sigma); NLoS delay + Exp(late) + N(0, .)."""

    los_mean: float = 0.015
    los_sigma: float = 0.09
    nlos_delay: float = 0.12
    nlos_late: float = 1.5
    nlos_sigma: float = 0.1

    @property
    def array(self) -> FloatArray:
        """(5,) in the order of the fields, for compiled code."""
        return np.array(astuple(self))


@njit(cache=True)
def draw_arrival(
    distance: float, blocked: bool, error: FloatArray, rng: np.random.Generator
) -> float:
    """One arrival time in metres of light; error (5,) as `RangingError.array`."""
    if not blocked:
        return distance + error[0] + error[1] * rng.standard_normal()
    late = -error[3] * np.log(1.0 - rng.random())
    return distance + error[2] + late + error[4] * rng.standard_normal()


@njit(cache=True)
def draw_arrivals(
    distance: FloatArray, blocked: BoolArray, error: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Arrival times (T, A + 1) for distances and blockage of that shape."""
    times = np.empty(distance.shape)
    for t in range(distance.shape[0]):
        for a in range(distance.shape[1]):
            times[t, a] = draw_arrival(distance[t, a], blocked[t, a], error, rng)
    return times
