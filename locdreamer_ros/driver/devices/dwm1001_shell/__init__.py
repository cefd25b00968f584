# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""DWM1001 with PANS in its text shell: the tag chooses up to four anchors."""

import re

from locdreamer_ros.driver.device import Device, Sign
from locdreamer_ros.driver.devices.dwm1001 import LABEL
from locdreamer_ros.driver.devices.dwm1001.firmware import Dwm1001Firmware
from locdreamer_ros.driver.devices.dwm1001_shell.codec import CAPABILITIES, Dwm1001ShellCodec
from locdreamer_ros.driver.energy import Radio

_N = rb"-?\d{1,4}\.\d\d"

DEVICE = Device(
    name="dwm1001-shell",
    title="the same in its text shell",
    capabilities=CAPABILITIES,
    codec=Dwm1001ShellCodec,
    firmware=Dwm1001Firmware,
    id_form="6E{number:02X}",
    label=LABEL,
    signs=(
        Sign(
            "shell, streaming (les)",
            re.compile(rb"[0-9A-F]{4}\[%b,%b,%b\]=\d{1,3}\.\d\d" % (_N, _N, _N)),
        ),
        Sign("shell, streaming (lec)", re.compile(rb"DIST,\d,AN0,[0-9A-F]{4},%b," % _N)),
        Sign("shell, streaming positions (lep)", re.compile(rb"POS,%b,%b,%b,\d" % (_N, _N, _N))),
        Sign("shell, waiting for a command", re.compile(rb"dwm> ")),
    ),
    uart=True,
    radio=Radio(sent=2, received=1),
    port="usb-SEGGER_J-Link_*",
    about="DWM1001 with PANS in its text shell: the tag chooses up to 4 anchors.",
    quality="none",
    answer_time=0.15,
    page="dwm1001.md",
)
