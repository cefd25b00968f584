# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The DW1000's power formulas against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from locdreamer_ros.driver.quality import first_path_power, nlos_probability
from locdreamer_ros.errors import InputError


def test_powers() -> None:
    count = np.array([1000.0, 0.0])
    f = np.full(2, 10_000.0)
    # (3 * 1e8) / 1e6 = 300, 24.77 dB
    assert first_path_power(f, f, f, count, 64) == pytest.approx(
        [-96.969, np.nan], abs=1e-3, nan_ok=True
    )
    assert first_path_power(f, f, f, count, 16)[0] == pytest.approx(-88.999, abs=1e-3)
    silent = np.zeros(2)
    assert np.isnan(first_path_power(silent, silent, silent, count)).all()
    with pytest.raises(InputError, match="prf: expected 16 or 64"):
        first_path_power(f, f, f, count, 32)


def test_nlos_indication_needs_both_powers() -> None:
    rx = np.array([-80.0, -80.0, -80.0, -80.0, np.nan, -80.0])
    fp = np.array([-85.0, -86.0, -88.0, -91.0, -90.0, np.nan])
    expected = [0.0, 0.0, 0.5, 1.0, np.nan, np.nan]
    assert nlos_probability(rx, fp) == pytest.approx(expected, nan_ok=True)
