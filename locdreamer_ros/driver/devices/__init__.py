# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The protocols by name, one module each; all pure, see `locdreamer_ros.driver.codec`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from locdreamer_ros.driver.codec import Codec
from locdreamer_ros.driver.devices.decar.codec import DecarCodec
from locdreamer_ros.driver.devices.decar.firmware import DecarFirmware
from locdreamer_ros.driver.devices.dwm1001.codec import Dwm1001Codec
from locdreamer_ros.driver.devices.dwm1001.firmware import Dwm1001Firmware
from locdreamer_ros.driver.devices.dwm1001_shell.codec import Dwm1001ShellCodec
from locdreamer_ros.driver.devices.pozyx.codec import PozyxCodec
from locdreamer_ros.driver.devices.pozyx.firmware import PozyxFirmware
from locdreamer_ros.driver.devices.ryuw122.codec import Ryuw122Codec
from locdreamer_ros.driver.devices.ryuw122.firmware import Ryuw122Firmware
from locdreamer_ros.driver.devices.trek1000.codec import Trek1000Codec
from locdreamer_ros.driver.devices.trek1000.firmware import Trek1000Firmware
from locdreamer_ros.driver.firmware import Firmware, Measure
from locdreamer_ros.errors import InputError

CODECS: dict[str, Callable[[], Codec]] = {
    "decar": DecarCodec,
    "pozyx": PozyxCodec,
    "dwm1001": Dwm1001Codec,
    "dwm1001-shell": Dwm1001ShellCodec,
    "trek1000": Trek1000Codec,
    "ryuw122": Ryuw122Codec,
}


def make_codec(name: str) -> Codec:
    """A new codec for a device. Raises InputError naming an unknown device."""
    if name not in CODECS:
        raise InputError(f"device: expected one of {', '.join(CODECS)}, got {name!r}")
    return CODECS[name]()


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
