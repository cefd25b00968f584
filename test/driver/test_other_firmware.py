# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Firmware that says the same in its own way: line ends, prompts, echoes, banners, garbage."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from driver.wire import Wire

from locdreamer_ros.driver.codec import CycleEvent, RangeEvent
from locdreamer_ros.driver.detect import _match
from locdreamer_ros.driver.devices import NAMES, get_device
from locdreamer_ros.driver.firmware import Firmware, Reply

BINARY = ("dwm1001", "bu0x", "linktrack")
"""They have no lines."""
BANNER = b"\r\nets Jun  8 2016 00:22:57\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\n"
Change = Callable[[bytes], bytes]
CHANGES: dict[str, Change] = {
    "line feeds": lambda said: said.replace(b"\r\n", b"\n"),
    "carriage returns": lambda said: said.replace(b"\r\n", b"\r"),
    "a prompt": lambda said: b"> " + said,
    "banners": lambda said: BANNER + said,
    "eight bits": lambda said: b"\xff\x00\x80\xfe\r\n" + said,
}


class Other:
    """A firmware that says things in its own way; `echoes` what it is told, too."""

    def __init__(self, firmware: Firmware, change: Change, *, echoes: bool) -> None:
        self._firmware = firmware
        self._change = change
        self._echoes = echoes

    def reboot(self) -> bytes:
        return self._firmware.reboot()

    def tick(self, now: float) -> list[Reply]:
        return [(delay, self._change(said)) for delay, said in self._firmware.tick(now)]

    def feed(self, data: bytes) -> list[Reply]:
        said = [(delay, self._change(said)) for delay, said in self._firmware.feed(data)]
        return [(0.0, data), *said] if self._echoes else said


def wire(device: str, change: Change, *, echoes: bool = False) -> Wire:
    """A wire whose ranges differ, as the devices tell by that what is new."""
    metres = iter(range(2000, 300_000, 13))
    wire = Wire(device, get_device(device).ids(3), lambda _: next(metres) / 1000.0)
    wire.firmware = Other(wire.firmware, change, echoes=echoes)
    return wire


def ranges(wire: Wire) -> int:
    """How many of nine ranges come."""
    wire.open()
    if get_device(wire.device).capabilities.schedulable:
        answers = [wire.ask(anchor)[0] for anchor in [*wire.anchors] * 3]
        return sum(isinstance(answer, RangeEvent) for answer in answers)
    seen = []
    for _ in range(3):
        seen += wire.run(2.0, lambda event: isinstance(event, CycleEvent))
    return sum(isinstance(event, RangeEvent) for event in seen)


@pytest.mark.parametrize("device", [name for name in NAMES if name not in BINARY])
@pytest.mark.parametrize("way", CHANGES)
def test_it_ranges_and_is_recognised(device: str, way: str) -> None:
    assert ranges(wire(device, CHANGES[way])) == 9
    asked = wire(device, CHANGES[way])
    asked.write(get_device(device).question)
    asked.run(1.0, lambda _: False)
    found = _match(asked.heard)
    if device != "dwm1001-shell":  # at power-on it is in its other mode
        assert found is not None
        assert found[0] == device


@pytest.mark.parametrize("device", [name for name in NAMES if name not in BINARY])
def test_what_it_is_told_is_not_taken_for_what_it_says(device: str) -> None:
    assert ranges(wire(device, bytes, echoes=True)) == 9
