# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated devices by the names of their codecs, for `locdreamer emulate` and the tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from locdreamer_ros.driver.firmware.base import Firmware, Measure
from locdreamer_ros.driver.firmware.decar import DecarFirmware
from locdreamer_ros.driver.firmware.dwm1001 import Dwm1001Firmware
from locdreamer_ros.driver.firmware.pozyx import PozyxFirmware
from locdreamer_ros.driver.firmware.ryuw122 import Ryuw122Firmware
from locdreamer_ros.driver.firmware.trek1000 import Trek1000Firmware
from locdreamer_ros.errors import InputError

FIRMWARES: dict[str, Callable[[Sequence[str], Measure], Firmware]] = {
    "decar": DecarFirmware,
    "pozyx": PozyxFirmware,
    "dwm1001": Dwm1001Firmware,
    "dwm1001-shell": Dwm1001Firmware,
    "trek1000": Trek1000Firmware,
    "ryuw122": Ryuw122Firmware,
}

_FIRST_ANCHOR: dict[str, tuple[str, int, int]] = {
    "decar": ("{:d}", 1, 255),
    "pozyx": ("{:04X}", 0x6E01, 255),
    "dwm1001": ("{:04X}", 0x1001, 255),
    "dwm1001-shell": ("{:04X}", 0x1001, 255),
    "trek1000": ("A{:d}", 0, 8),
    "ryuw122": ("TAG{:05d}", 1, 255),
}
"""Format, first number and most anchors of each device."""


def make_firmware(name: str, anchors: Sequence[str], measure: Measure) -> Firmware:
    """A new simulated device. Raises InputError naming an unknown device or an impossible id."""
    _check(name)
    return FIRMWARES[name](anchors, measure)


def anchor_ids(name: str, count: int) -> list[str]:
    """Ids that `count` anchors of this device could have.

    Raises InputError naming an unknown device, or where it cannot have so many.
    """
    _check(name)
    text, first, most = _FIRST_ANCHOR[name]
    if count > most:
        raise InputError(f"{name}: has at most {most} anchors, {count} asked for")
    return [text.format(first + number) for number in range(count)]


def _check(name: str) -> None:
    if name not in FIRMWARES:
        raise InputError(f"device: expected one of {', '.join(FIRMWARES)}, got {name!r}")
