# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sketches that print ranges by themselves, in the two forms that are common."""

import re

from locdreamer_ros.driver.device import Device, Sign
from locdreamer_ros.driver.devices.sketch_stream.codec import CAPABILITIES, SketchStreamCodec
from locdreamer_ros.driver.devices.sketch_stream.firmware import SketchStreamFirmware
from locdreamer_ros.driver.energy import Radio

DEVICE = Device(
    name="sketch-stream",
    title="sketches that print by themselves (thotro DW1000Ranging, Makerfabs ESP32 UWB)",
    capabilities=CAPABILITIES,
    codec=SketchStreamCodec,
    firmware=SketchStreamFirmware,
    id_form="17{number:02X}",
    label=re.compile(r"(?:0[xX])?([0-9A-Fa-f]{1,4})"),
    signs=(
        Sign(
            "printing (from: ... Range: ...)", re.compile(rb"from: [0-9A-Fa-f]{1,4}\t Range: "), 2
        ),
        Sign("printing links", re.compile(rb'\{"links":\[\{"A":"[0-9A-Fa-f]{1,4}","R":"'), 2),
    ),
    uart=True,
    radio=Radio(),
    port="usb-*",
    about="A sketch that prints its ranges by itself: thotro's DW1000Ranging, Makerfabs ESP32 UWB.",
    quality="received power, in the first form",
    answer_time=0.15,
    page="sketch.md",
)
