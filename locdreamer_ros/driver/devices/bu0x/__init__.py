# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ai-Thinker BU03 and BU04: the tag ranges with up to eight anchors and reports in frames."""

import re

from locdreamer_ros.driver.device import Device, Sign
from locdreamer_ros.driver.devices.bu0x.codec import CAPABILITIES, Bu0xCodec
from locdreamer_ros.driver.devices.bu0x.firmware import Bu0xFirmware
from locdreamer_ros.driver.energy import Radio

DEVICE = Device(
    name="bu0x",
    title="Ai-Thinker BU03-Kit and BU04-Kit, DW3000",
    capabilities=CAPABILITIES,
    codec=Bu0xCodec,
    firmware=Bu0xFirmware,
    id_form="{index}",
    label=re.compile(r"[Aa]?0*([0-7])"),
    signs=(
        Sign("reporting (CmdM)", re.compile(rb"(?s)CmdM:4.{92}.{1}\r\n"), 2),
        Sign("reporting (AA 25 01)", re.compile(rb"(?s)\xaa\x25\x01(?:..[\x00-\x04]\x00){8}"), 2),
    ),
    uart=True,
    radio=Radio(chip="DW3000", sent=0.25, received=1.0),
    port="usb-*",
    about="Ai-Thinker BU03-Kit or BU04-Kit: the tag ranges with all anchors and reports in frames.",
    quality="none",
    answer_time=0.15,
)
