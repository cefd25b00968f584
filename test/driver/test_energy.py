# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cost of a fix against the datasheet."""

from __future__ import annotations

import pytest

from locdreamer_ros.driver.energy import fix_cost


def test_energy_equals_the_datasheet_table() -> None:
    fast, slow = fix_cost(1, 0), fix_cost(1, 0, radio="110k")
    assert fast.energy == pytest.approx(0.114, abs=0.0005)
    assert fast.air_time == pytest.approx(0.35, abs=0.005)
    assert fix_cost(1, 0, ranging="ds").energy == pytest.approx(0.228, abs=0.0005)
    assert slow.energy == pytest.approx(1.66, abs=0.005)
    assert fix_cost(1, 0, radio="110k", ranging="ds").air_time == pytest.approx(13.9, abs=0.06)
    assert fix_cost(0, 1).energy == pytest.approx(15.2, abs=0.1)
    assert fix_cost(3, 1).energy == pytest.approx(3 * fast.energy + fix_cost(0, 1).energy)
