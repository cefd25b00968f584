# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tag's radio measures in a world: ranges, their powers, and which were blocked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_ndtr

from locdreamer_ros.simulation.world import World, crossings
from locdreamer_ros.types import FloatArray, IntArray

POWER_AT_1M_DBM = -63.0
"""-41.3 dBm/MHz over 500 MHz, less the free-space loss of one metre at 6.5 GHz."""
GAP_LOS_DB = 3.5
"""Received less first-path power in line of sight."""
GAP_PER_WALL_DB = 4.0
GAP_PER_METRE_DB = 5.0
"""How much more of the power comes late, per metre of excess path."""
GAP_SIGMA_DB = 1.0
POWER_SIGMA_DB = 0.7
SOFTNESS_DB = 1.5
"""Width of the step from received to lost around the sensitivity."""
MIN_RANGE_M = 0.05
"""A radio does not report less: ranges below are lost."""


@dataclass(frozen=True, eq=False)
class Bias:
    """The part of the errors that belongs to places: the same whenever the tag stands there.

    bias, excess (T, A) m; walls (T, A) crossed by the direct path; excess is the part of the bias
    that multipath adds.
    """

    bias: FloatArray
    excess: FloatArray
    walls: IntArray


@dataclass(frozen=True, eq=False)
class DrawnRanges:
    """Ranges of all anchors at all epochs.

    ranges, rx_power, first_path_power (T, A) m and dBm, NaN at a drop-out; nlos (T, A) 0..1 as a
    device guesses it from the powers, NaN at a drop-out; walls (T, A): the truth about it.
    """

    ranges: FloatArray
    nlos: FloatArray
    rx_power: FloatArray
    first_path_power: FloatArray
    walls: IntArray


def place_bias(world: World, truth: FloatArray) -> Bias:
    """The place-bound range errors at tag positions truth (T, 3) m."""
    errors = world.errors
    floor = truth[:, :2]
    places = world.anchors.positions[:, :2]
    walls = crossings(floor[:, None, :], places, world.walls)
    field = world.multipath.at(floor)
    # A Weibull excess by its quantile function: -log(1 - Phi(z)) is a unit exponential.
    weibull = (-log_ndtr(-field)) ** (1.0 / errors.tail)
    excess = errors.multipath * np.sqrt(walls) * weibull
    clear = np.where(walls == 0, errors.ripple * field, 0.0)
    bias = world.anchor_offset + walls * errors.wall_delay + excess + clear
    return Bias(bias, excess, walls)


def draw_ranges(world: World, truth: FloatArray, rng: np.random.Generator) -> DrawnRanges:
    """One range with every anchor at each tag position truth (T, 3) m."""
    errors = world.errors
    place = place_bias(world, truth)
    distance = np.linalg.norm(truth[:, None, :] - world.anchors.positions, axis=-1)
    shape = distance.shape

    error = place.bias + errors.noise * rng.standard_normal(shape)
    error += (rng.random(shape) < errors.late) * rng.exponential(errors.late_mean, shape)
    wild = rng.random(shape) < errors.outlier
    error[wild] = rng.uniform(-errors.outlier_span, errors.outlier_span, shape)[wild]
    ranges = distance + error

    rx_power = POWER_AT_1M_DBM - 20.0 * np.log10(np.maximum(distance, 0.1))
    rx_power -= errors.wall_loss * place.walls
    rx_power += errors.shadowing * world.fading.at(truth[:, :2])
    rx_power += POWER_SIGMA_DB * rng.standard_normal(shape)
    gap = GAP_LOS_DB + GAP_PER_WALL_DB * place.walls + GAP_PER_METRE_DB * place.excess
    gap = np.maximum(gap + GAP_SIGMA_DB * rng.standard_normal(shape), 0.0)

    lost = rng.random(shape) < expit((errors.sensitivity - rx_power) / SOFTNESS_DB)
    lost |= (rng.random(shape) < errors.lost) | (ranges < MIN_RANGE_M)
    nan = np.where(lost, np.nan, 0.0)
    return DrawnRanges(
        ranges + nan, nlos_guess(gap) + nan, rx_power + nan, rx_power - gap + nan, place.walls
    )


def nlos_guess(gap: FloatArray) -> FloatArray:
    """Probability of NLoS from received less first-path power, dB, of any shape.

    The rule of thumb of the DW1000 user manual: line of sight below 6 dB, blocked above 10 dB.
    """
    return np.clip((gap - 6.0) / 4.0, 0.0, 1.0)
