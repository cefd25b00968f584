# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TREK1000 and its clones: the tag ranges with all anchors and prints them."""

import re

from locdreamer_ros.driver.device import Device, Sign
from locdreamer_ros.driver.devices.trek1000.codec import CAPABILITIES, Trek1000Codec
from locdreamer_ros.driver.devices.trek1000.firmware import Trek1000Firmware
from locdreamer_ros.driver.energy import Radio

DEVICE = Device(
    name="trek1000",
    title="TREK1000 / EVK1000, clones with 8 anchors",
    capabilities=CAPABILITIES,
    codec=Trek1000Codec,
    firmware=Trek1000Firmware,
    id_form="A{index}",
    label=re.compile(r"[Aa]?([0-7])"),
    printed_form="A{}",
    signs=(
        Sign("streaming ranges", re.compile(rb"m[cra] [0-9a-f]{2} (?:[0-9a-f]{8} ){4}", re.I), 2),
    ),
    radio=Radio(rate="110k", sent=0.5, received=1),
    port="usb-*",
    about="TREK1000, EVK1000 and clones: the tag ranges with all its anchors and prints them.",
    quality="none",
    answer_time=0.15,
)
