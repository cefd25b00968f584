# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How good a range is, from the DW1000's own registers (User Manual 2.10, section 4.7)."""

from __future__ import annotations

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.types import FloatArray

PRF_CONSTANT_DB = {16: 113.77, 64: 121.74}
"""A of the manual's formulas by pulse repetition frequency, MHz."""
LOS_BELOW_DB, NLOS_ABOVE_DB = 6.0, 10.0
"""RX minus first-path power: less than 6 dB is likely LOS, more than 10 likely NLOS."""


def first_path_power(
    f1: FloatArray, f2: FloatArray, f3: FloatArray, preamble_count: FloatArray, prf: int = 64
) -> FloatArray:
    """First-path power (N,) dBm from FP_AMPL1..3 and RXPACC, all (N,); NaN where undefined.

    Raises InputError for a `prf` other than 16 or 64 MHz.
    """
    if prf not in PRF_CONSTANT_DB:
        raise InputError(f"prf: expected 16 or 64 MHz, got {prf!r}")
    energy = np.square(f1, dtype=float) + np.square(f2, dtype=float) + np.square(f3, dtype=float)
    count = np.asarray(preamble_count, dtype=float)
    valid = (energy > 0.0) & (count > 0.0)
    ratio = np.divide(energy, np.square(count), out=np.full(valid.shape, np.nan), where=valid)
    return np.asarray(10.0 * np.log10(ratio) - PRF_CONSTANT_DB[prf])


def nlos_probability(rx_power: FloatArray, fp_power: FloatArray) -> FloatArray:
    """Indication (N,) in 0..1 that the first path is blocked; NaN unless both powers are known.

    0 under 6 dB between received and first-path power, 1 over 10 dB, linear between: the manual
    gives the two limits only.
    """
    gap = np.asarray(rx_power, dtype=float) - np.asarray(fp_power, dtype=float)
    return np.asarray(np.clip((gap - LOS_BELOW_DB) / (NLOS_ABOVE_DB - LOS_BELOW_DB), 0.0, 1.0))
