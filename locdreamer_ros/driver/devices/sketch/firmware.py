# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The example sketch of docs/devices/sketch.md, as `driver.devices.sketch.codec` sees it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from locdreamer_ros.driver.firmware import Measure, Reply, line_time, take_lines
from locdreamer_ros.driver.lines import checksum

BAUD = 115200
RANGING_S = 0.0168
"""With the text to and fro, 50 ranges/s; a DW3000's double-sided exchange takes a few ms."""
NO_ANSWER_S = 0.03

_ASK = re.compile(rb"ASK ([!-~]{1,16}) (\d{1,2})")


class SketchFirmware:
    """Any anchor that `measure` knows."""

    def __init__(self, anchors: Sequence[str], measure: Measure) -> None:
        del anchors  # the host names them
        self._measure = measure
        self.reboot()

    def reboot(self) -> bytes:
        """It says who it is."""
        self._buffer = b""
        return _line(b"UWB esp32-1")

    def tick(self, now: float) -> list[Reply]:
        """Nothing: it speaks when asked."""
        return []

    def feed(self, data: bytes) -> list[Reply]:
        """Answer every line it knows."""
        lines, self._buffer = take_lines(self._buffer, data, b"\n")
        return [reply for line in lines for reply in self._answer(line.strip(b"\r"))]

    def _answer(self, line: bytes) -> list[Reply]:
        if line == b"WHO":
            return [_reply(b"UWB esp32-1", 0.0)]
        if (found := _ASK.fullmatch(line)) is None:
            return []
        metres = self._measure(found[1].decode())
        if metres is None:
            return [_reply(b"FAIL %b #%b" % (found[1], found[2]), NO_ANSWER_S)]
        text = b"RANGE %b %.3f -79.5 -80.5 #%b" % (found[1], max(metres, 0.0), found[2])
        return [_reply(text, RANGING_S)]


def _line(text: bytes) -> bytes:
    return b"%b *%02X\r\n" % (text, checksum(text))


def _reply(text: bytes, delay: float) -> Reply:
    line = _line(text)
    return delay + line_time(len(line), BAUD), line
