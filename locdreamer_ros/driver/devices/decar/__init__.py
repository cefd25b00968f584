# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""DECAR/MRASL board: the host asks each anchor, over USB."""

import re

from locdreamer_ros.driver.device import Device, Sign
from locdreamer_ros.driver.devices.decar.codec import CAPABILITIES, DecarCodec
from locdreamer_ros.driver.devices.decar.firmware import DecarFirmware

DEVICE = Device(
    name="decar",
    title="DECAR/MRASL board, DW1000",
    capabilities=CAPABILITIES,
    codec=DecarCodec,
    firmware=DecarFirmware,
    id_form="{number}",
    signs=(Sign("waiting to be asked", re.compile(rb"(?:^|[\r\n])R01\|\d{1,3}\r")),),
    question=b"C01\r",
    port="usb-STMicroelectronics_*",
    about="DECAR/MRASL firmware: the host asks each anchor. USB of the STM32.",
    quality="first-path power",
)
