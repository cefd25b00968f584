# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pozyx tag: the host asks each anchor, over USB."""

import re

from locdreamer_ros.driver.device import Device, Sign, line
from locdreamer_ros.driver.devices.pozyx.codec import CAPABILITIES, PozyxCodec
from locdreamer_ros.driver.devices.pozyx.firmware import PozyxFirmware
from locdreamer_ros.driver.energy import Radio

DEVICE = Device(
    name="pozyx",
    title="Pozyx tag, DW1000",
    capabilities=CAPABILITIES,
    codec=PozyxCodec,
    firmware=PozyxFirmware,
    id_form="6E{number:02X}",
    label=re.compile(r"(?:0[xX])?([0-9A-Fa-f]{4})"),
    signs=(Sign("waiting to be asked", line(rb"D,43")),),
    question=b"R,00,1\r",
    radio=Radio(rate="110k", listens_between=True),
    port="usb-*Pozyx*",
    about="Pozyx tag: the host asks each anchor, about 18 a second.",
    quality="received power",
    answer_time=0.3,
)
