# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network inside the zero-shot tracker, in numpy, and what of a range its filter works on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from locdreamer_ros.types import FloatArray, IntArray
from locdreamer_ros.zero_shot.layout import COMMON, KINEMATIC, SIGMA_M
from locdreamer_ros.zero_shot.model_file import Weights


@dataclass(frozen=True, eq=False)
class Seen:
    """Ranges of one update.

    value (K,) m, ahead (K,) s: stamps from the tracker's time on, blocked (K,) 0..1 or NaN, place
    (K, 3) m of the anchors and their slot (K,) in the state; own (K,) and local (K,): where in the
    state their biases are.
    """

    value: FloatArray
    ahead: FloatArray
    blocked: FloatArray
    place: FloatArray
    slot: IntArray
    own: IntArray
    local: IntArray


def squash(metres: FloatArray) -> FloatArray:
    """Lengths as the network sees them: fine near 0, coarse far off."""
    return np.asarray(np.arcsinh(metres / 0.1) / 3.0)


def silu(x: FloatArray) -> FloatArray:
    """X times its logistic function."""
    return np.asarray(x / (1.0 + np.exp(-x)))


def look_at(w: Weights, seen: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """`Hybrid.look`: noise, shift (K,) m and jump (K,) m^2 of each range; jumps of the motion (2,).

    seen (K, F): features of the ranges asked.
    """
    token = silu(seen @ w["token.weight"].T + w["token.bias"])  # (K, W)
    both = np.concatenate([token.mean(axis=0), token.max(axis=0)])
    pooled = silu(w["pool.weight"] @ both + w["pool.bias"])  # (W,)
    width = pooled.size
    mix = w["mix.weight"]
    mixed = silu(token @ mix[:, :width].T + (mix[:, width:] @ pooled + w["mix.bias"]))
    head = mixed @ w["range_head.weight"].T + w["range_head.bias"]
    head = 4.0 * np.tanh(head / 4.0)
    sigma = 0.02 + SIGMA_M * np.exp(head[:, 0])
    jump = (0.02 * np.exp(head[:, 2])) ** 2
    motion = w["motion_head.weight"] @ pooled + w["motion_head.bias"]
    return sigma, 0.3 * head[:, 1], jump, (0.01 * np.exp(4.0 * np.tanh(motion / 4.0))) ** 2


def project(
    covariance: FloatArray,
    direction: FloatArray,
    ahead: FloatArray,
    own: IntArray,
    local: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """H P (K, N) and H P H^T (K, K) for ranges in directions (K, 3), `ahead` (K,) s from now.

    own, local (K,): where in the state the biases of their anchors are.
    """
    kinematic = np.concatenate([direction, ahead[:, None] * direction], axis=1)
    cross = (
        kinematic @ covariance[:KINEMATIC]
        + covariance[COMMON]
        + covariance[own]
        + covariance[local]
    )
    projected = (
        cross[:, :KINEMATIC] @ kinematic.T
        + cross[:, COMMON, None]
        + cross[:, own]
        + cross[:, local]
    )
    return cross, projected
