# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""DECAR/MRASL board: the host asks each anchor, over USB."""

import re

from locdreamer_ros.driver.device import Device, Sign, line
from locdreamer_ros.driver.devices.decar.codec import CAPABILITIES, DecarCodec
from locdreamer_ros.driver.devices.decar.firmware import DecarFirmware
from locdreamer_ros.driver.energy import Radio

DEVICE = Device(
    name="decar",
    title="DECAR/MRASL board, DW1000",
    capabilities=CAPABILITIES,
    codec=DecarCodec,
    firmware=DecarFirmware,
    id_form="{number}",
    label=re.compile(r"(?i:ID)?0*(25[0-5]|2[0-4]\d|1?\d{1,2})"),
    signs=(Sign("waiting to be asked", line(rb"R01\|\d{1,3}")),),
    question=b"C01\r",
    radio=Radio(
        sent=1,
        received=2,
        listen_ms=2.0,  # half a ms to the answer, 1.5 ms to the third frame, set by the firmware
        listens_between=True,
    ),
    port="usb-STMicroelectronics_*",
    about="DECAR/MRASL firmware: the host asks each anchor. USB of the STM32.",
    quality="first-path power",
)
