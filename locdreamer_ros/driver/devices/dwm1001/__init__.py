# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""DWM1001 with PANS in its binary mode: the tag chooses up to four anchors."""

import re

from locdreamer_ros.driver.device import Device, Sign
from locdreamer_ros.driver.devices.dwm1001.codec import CAPABILITIES, Dwm1001Codec
from locdreamer_ros.driver.devices.dwm1001.firmware import Dwm1001Firmware
from locdreamer_ros.driver.energy import Radio

# As on the label, the last digits alone, or the whole address as the shell prints it.
LABEL = re.compile(r"(?:(?i:DW|0x|x)?(?:[0-9A-Fa-f]{12})?)([0-9A-Fa-f]{4})")

DEVICE = Device(
    name="dwm1001",
    title="DWM1001 with PANS, binary mode",
    capabilities=CAPABILITIES,
    codec=Dwm1001Codec,
    firmware=Dwm1001Firmware,
    id_form="6E{number:02X}",
    label=LABEL,
    # An answer to the status question, or what it says to any text. Nothing else may be there.
    signs=(
        Sign(
            "binary mode (TLV)",
            re.compile(rb"(?s)\A(?:\x40\x01\x01)+(?:\x40\x01\x00\x5a.*)?\Z"),
        ),
    ),
    question=b"\x32\x00",
    uart=True,
    radio=Radio(sent=2, received=1),
    port="usb-SEGGER_J-Link_*",
    about="DWM1001 with PANS, binary mode, on the J-Link: the tag chooses up to 4 anchors.",
    quality="none",
    answer_time=0.15,
)
