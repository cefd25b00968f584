# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""REYAX RYUW122: the host asks each anchor, by AT commands on a UART."""

import re

from locdreamer_ros.driver.device import Device, Sign, line
from locdreamer_ros.driver.devices.ryuw122.codec import CAPABILITIES, Ryuw122Codec
from locdreamer_ros.driver.devices.ryuw122.firmware import Ryuw122Firmware
from locdreamer_ros.driver.energy import Radio

DEVICE = Device(
    name="ryuw122",
    title="REYAX RYUW122, DW3000",
    capabilities=CAPABILITIES,
    codec=Ryuw122Codec,
    firmware=Ryuw122Firmware,
    id_form="TAG{number:05d}",
    label=re.compile(r"([!-+\-.-~]{1,8})"),
    signs=(
        Sign("ready to range (mode 1)", line(rb"\+MODE=1")),
        Sign(
            "in a mode of fixed units; the driver sets mode 1",
            line(rb"\+MODE=[02]"),
        ),
    ),
    # After the end of the line that it takes the questions to others for.
    question=b"\r\nAT+MODE?\r\n",
    uart=True,
    bauds=(57600, 9600),
    radio=Radio(chip="DW3000", listens_between=True),
    port="usb-*",
    about="REYAX RYUW122 on a USB-to-serial adapter: the host asks each unit, about 15 a second.",
    quality="received power",
    answer_time=0.3,
)
