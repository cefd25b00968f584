# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Qorvo DWM3001CDK with the FiRa command line: anchors are chosen for a session."""

import re

from locdreamer_ros.driver.device import Device, Sign
from locdreamer_ros.driver.devices.dwm3001cdk.codec import CAPABILITIES, Dwm3001cdkCodec
from locdreamer_ros.driver.devices.dwm3001cdk.firmware import Dwm3001cdkFirmware
from locdreamer_ros.driver.energy import Radio

DEVICE = Device(
    name="dwm3001cdk",
    title="Qorvo DWM3001CDK with the FiRa CLI firmware, DW3000",
    capabilities=CAPABILITIES,
    codec=Dwm3001cdkCodec,
    firmware=Dwm3001cdkFirmware,
    id_form="{number:04X}",
    label=re.compile(r"(?:0[xX])?([0-9A-Fa-f]{1,4})"),
    printed_form="{:0>4}",
    signs=(
        Sign(
            "ranging", re.compile(rb"SESSION_INFO_NTF: \{session_handle=\d+, sequence_number=\d+")
        ),
        Sign("waiting for a session", re.compile(rb'"Device":"DWM3001CDK')),
    ),
    question=b"\r\nSTAT\r\n",
    uart=True,
    # In each block: control, initiation and final frames for all, a response of each.
    radio=Radio(chip="DW3000", sent=0.5, received=1.0, listen_ms=1.0),
    port="usb-SEGGER_J-Link_*",
    about="Qorvo DWM3001CDK, FiRa CLI firmware, J20 (J-Link): anchors are chosen for a session.",
    quality="received power, in newer firmware",
    answer_time=0.25,
)
