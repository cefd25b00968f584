# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The radios, a folder each. To add one: a folder with a record `DEVICE`, and its name here.

A folder is called as its device, with `_` for `-`. See `locdreamer_ros.driver.device`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from locdreamer_ros.driver.codec import Codec
from locdreamer_ros.driver.device import Device
from locdreamer_ros.driver.firmware import Firmware, Measure
from locdreamer_ros.errors import InputError

NAMES = (
    "decar",
    "pozyx",
    "dwm1001",
    "dwm1001-shell",
    "trek1000",
    "ryuw122",
    "uwb650",
    "mauwb",
    "bu0x",
    "linktrack",
    "dwm3001cdk",
    "sketch",
    "sketch-stream",
)


def get_device(name: str) -> Device:
    """The record of a device. Raises InputError naming an unknown one."""
    if name not in NAMES:
        raise InputError(f"device: expected one of {', '.join(NAMES)}, got {name!r}")
    found = import_module(f"{__name__}.{name.replace('-', '_')}").DEVICE
    assert isinstance(found, Device)
    return found


def all_devices() -> tuple[Device, ...]:
    """All records, in the order of `NAMES`."""
    return tuple(get_device(name) for name in NAMES)


def make_codec(name: str) -> Codec:
    """A new codec for a device. Raises InputError naming an unknown device."""
    return get_device(name).codec()


def make_firmware(name: str, anchors: Sequence[str], measure: Measure) -> Firmware:
    """A new simulated device. Raises InputError naming an unknown device or an impossible id."""
    return get_device(name).firmware(anchors, measure)
