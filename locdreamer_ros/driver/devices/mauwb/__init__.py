# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makerfabs MaUWB: the tag ranges with up to eight anchors and prints them."""

import re

from locdreamer_ros.driver.device import Device, Sign
from locdreamer_ros.driver.devices.mauwb.codec import CAPABILITIES, MauwbCodec
from locdreamer_ros.driver.devices.mauwb.firmware import MauwbFirmware
from locdreamer_ros.driver.energy import Radio

DEVICE = Device(
    name="mauwb",
    title="Makerfabs MaUWB (STM32 AT firmware), DW3000",
    capabilities=CAPABILITIES,
    codec=MauwbCodec,
    firmware=MauwbFirmware,
    id_form="{index}",
    label=re.compile(r"[Aa]?0*([0-7])"),
    signs=(
        Sign("streaming ranges", re.compile(rb"AT\+RANGE=tid:\d{1,3},mask:[0-9A-Fa-f]{2},seq:"), 2),
    ),
    uart=True,
    radio=Radio(chip="DW3000", sent=0.25, received=1.0),
    port="usb-*",
    about="Makerfabs MaUWB with its AT firmware: the tag ranges with all anchors and prints them.",
    quality="received power",
    answer_time=0.15,
)
