# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cost of a fix against the datasheet, and against what the DECAR firmware does."""

from __future__ import annotations

import pytest

from locdreamer_ros.driver.devices import all_devices, get_device
from locdreamer_ros.driver.energy import FRAMES, Radio, fix_cost


def test_energy_equals_the_datasheet_table() -> None:
    single, double = Radio(sent=1, received=1), Radio()
    assert fix_cost(single, 1, 0).energy == pytest.approx(0.114, abs=0.0005)
    assert fix_cost(single, 1, 0).air_time == pytest.approx(0.35, abs=0.005)
    assert fix_cost(double, 1, 0).energy == pytest.approx(0.228, abs=0.0005)
    assert fix_cost(single.at("110k"), 1, 0).energy == pytest.approx(1.66, abs=0.005)
    assert fix_cost(double.at("110k"), 1, 0).air_time == pytest.approx(13.9, abs=0.06)
    assert fix_cost(double, 0, 1, waited_ms=39.0).energy == pytest.approx(15.2, abs=0.1)
    both = fix_cost(double, 3, 1, waited_ms=39.0)
    assert both.energy == pytest.approx(3 * 0.228 + 15.2, abs=0.1)
    assert both.radio_on == pytest.approx(both.air_time + 39.0)


def test_a_decar_range_is_three_frames_and_two_milliseconds_of_listening() -> None:
    radio = get_device("decar").radio
    one = fix_cost(radio, 1, 0, since_ms=100.0)
    assert radio.sent + radio.received == 3
    assert one.air_time == pytest.approx(3 * 0.173)
    assert one.energy == pytest.approx(1.0, abs=0.06)
    assert one.energy > 4 * 0.228
    assert one.idle == pytest.approx(38.0, abs=0.5)  # 39 mJ in 100 ms, less the range itself
    assert fix_cost(radio, 1, 0).idle == 0.0


def test_each_device_has_a_radio_that_the_tables_know() -> None:
    for device in all_devices():
        assert (device.radio.chip, device.radio.rate) in FRAMES, device.name
    assert get_device("ryuw122").radio.chip == "DW3000"
    # A DW3000 listens for a third of what a DW1000 does.
    assert get_device("ryuw122").radio.at("110k").rate == "6.8M"
