# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A sketch of one's own (ESP32 with DW1000 or DW3000) that answers our lines: the host asks."""

import re

from locdreamer_ros.driver.device import Device, Sign, line
from locdreamer_ros.driver.devices.sketch.codec import CAPABILITIES, SketchCodec
from locdreamer_ros.driver.devices.sketch.firmware import SketchFirmware
from locdreamer_ros.driver.energy import Radio

DEVICE = Device(
    name="sketch",
    title="a sketch of your own that is asked (ESP32 with DW1000 or DW3000)",
    capabilities=CAPABILITIES,
    codec=SketchCodec,
    firmware=SketchFirmware,
    id_form="{number}",
    label=re.compile(r"([!-~]{1,16})"),
    signs=(Sign("waiting to be asked", line(rb"UWB [!-~]{1,16} \*[0-9A-Fa-f]{1,2}")),),
    question=b"\r\nWHO\r\n",
    uart=True,
    radio=Radio(listens_between=True),
    port="usb-*",
    about="A sketch of your own, with the lines of docs/devices/sketch.md: the host asks anchors.",
    quality="received and first-path power, where the sketch gives them",
)
