# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nooploop LinkTrack: the tag ranges with all anchors and reports in frames with a checksum."""

import re

from locdreamer_ros.driver.device import Device, Sign
from locdreamer_ros.driver.devices.linktrack.codec import CAPABILITIES, LinktrackCodec
from locdreamer_ros.driver.devices.linktrack.firmware import LinktrackFirmware
from locdreamer_ros.driver.energy import Radio

DEVICE = Device(
    name="linktrack",
    title="Nooploop LinkTrack (S, P, P-A, P-B)",
    capabilities=CAPABILITIES,
    codec=LinktrackCodec,
    firmware=LinktrackFirmware,
    id_form="{index}",
    label=re.compile(r"[Aa]?0*([1-3]?\d)"),
    signs=(
        Sign("reporting (NodeFrame2)", re.compile(rb"(?s)\x55\x04..[\x00-\x04].{113}"), 2),
        Sign("reporting (TagFrame0)", re.compile(rb"(?s)\x55\x01.\x02.{123}."), 2),
    ),
    uart=True,
    radio=Radio(sent=0.25, received=1.0),
    port="usb-Silicon_Labs_CP210*",
    about="Nooploop LinkTrack, TagFrame0 or NodeFrame2 output: the tag ranges with all anchors.",
    quality="received and first-path power",
    answer_time=0.1,
)
