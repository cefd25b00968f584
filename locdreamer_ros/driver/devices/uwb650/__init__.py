# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""NiceRF UWB650: the host asks each anchor, by commands on a UART."""

import re

from locdreamer_ros.driver.device import Device, Sign, line
from locdreamer_ros.driver.devices.uwb650.codec import CAPABILITIES, Uwb650Codec
from locdreamer_ros.driver.devices.uwb650.firmware import Uwb650Firmware
from locdreamer_ros.driver.energy import Radio

DEVICE = Device(
    name="uwb650",
    title="NiceRF UWB650, DW3000",
    capabilities=CAPABILITIES,
    codec=Uwb650Codec,
    firmware=Uwb650Firmware,
    id_form="{number:04X}",
    label=re.compile(r"(?:0[xX]|[0-9A-Fa-f]{4},)?([0-9A-Fa-f]{1,4})"),  # as in DEVICEID=0000,0001
    printed_form="{:0>4}",
    signs=(Sign("waiting to be asked", line(rb"V\d{1,2}\.\d{1,2}")),),
    question=b"\r\nUWBRFAT+VERSION?\r\n",
    uart=True,
    radio=Radio(chip="DW3000", listens_between=True),
    port="usb-*",
    about="NiceRF UWB650 on a USB-to-serial adapter: the host asks each unit, about 10 a second.",
    quality="received power",
    answer_time=0.4,
)
