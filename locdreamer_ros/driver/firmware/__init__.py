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


def make_firmware(name: str, anchors: Sequence[str], measure: Measure) -> Firmware:
    """A new simulated device. Raises InputError naming an unknown device or an impossible id."""
    if name not in FIRMWARES:
        raise InputError(f"device: expected one of {', '.join(FIRMWARES)}, got {name!r}")
    return FIRMWARES[name](anchors, measure)
