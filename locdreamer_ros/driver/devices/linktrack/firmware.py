# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A LinkTrack tag as `locdreamer_ros.driver.devices.linktrack.codec` sees it, at 921600 baud."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from locdreamer_ros.driver.devices.linktrack.codec import ANCHOR, NODE, NODE_HEAD, TAG
from locdreamer_ros.driver.firmware import Measure, Reply, Reporting, line_time
from locdreamer_ros.errors import InputError

BAUD = 921600


class LinktrackFirmware(Reporting):
    """Tag 0, NodeFrame2 fifty times a second."""

    period = 0.02

    def __init__(self, anchors: Sequence[str], measure: Measure) -> None:
        if unknown := [a for a in anchors if not a.isdecimal() or int(a) > 255]:
            raise InputError(f"linktrack: anchors are numbers up to 255, got {unknown[0]!r}")
        super().__init__(anchors, measure)

    def _report(self, heard: dict[str, float], now: float) -> list[Reply]:
        size = NODE_HEAD + NODE * len(heard) + 1
        stamp = round(now * 1000.0) % (1 << 32)
        head = struct.pack("<BBHBBI", 0x55, 0x04, size, TAG, 0, stamp)
        frame = head + bytes(NODE_HEAD - 1 - len(head)) + bytes([len(heard)])
        for anchor, metres in heard.items():
            millimetres = struct.pack("<i", round(metres * 1000.0))[:3]
            frame += bytes([ANCHOR, int(anchor)]) + millimetres + bytes([160, 158])
            frame += struct.pack("<I", stamp) + b"\0\0"
        frame += bytes([sum(frame) % 256])
        return [(line_time(size, BAUD), frame)]
