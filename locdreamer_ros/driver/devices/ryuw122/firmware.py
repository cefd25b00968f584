# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The REYAX RYUW122 as `locdreamer_ros.driver.devices.ryuw122.codec` sees it, at 115200 baud."""

from __future__ import annotations

import re
from collections.abc import Sequence

from locdreamer_ros.driver.firmware import Measure, Reply, line_time, take_lines

BAUD = 115200
ACCEPT_S = 0.002
RANGING_S = 0.0605
"""With the text to and fro, 15 ranges/s."""

_SEND = re.compile(rb"AT\+ANCHOR_SEND=([^,]{1,8}),(\d{1,2}),(.*)")


class Ryuw122Firmware:
    """Any fixed unit that `measure` knows by its address."""

    def __init__(self, anchors: Sequence[str], measure: Measure) -> None:
        del anchors  # the host names them
        self._measure = measure
        self._mode = 0
        self.reboot()

    def reboot(self) -> bytes:
        """The mode is kept in flash; signal strengths are off again."""
        self._buffer = b""
        self._rssi = False
        return b"+READY\r\n"

    def tick(self, now: float) -> list[Reply]:
        """Nothing: it speaks when asked."""
        return []

    def feed(self, data: bytes) -> list[Reply]:
        """Answer every line."""
        lines, self._buffer = take_lines(self._buffer, data, b"\r\n")
        return [reply for line in lines for reply in self._answer(line)]

    def _answer(self, line: bytes) -> list[Reply]:
        if found := _SEND.fullmatch(line):
            if self._mode != 1:
                return [_reply(b"+ERR=4")]
            if len(found[3]) != int(found[2]):
                return [_reply(b"+ERR=3")]
            return [_reply(b"+OK"), *self._range(found[1])]
        if line == b"AT+MODE?":
            return [_reply(b"+MODE=%d" % self._mode)]
        if line in (b"AT+MODE=0", b"AT+MODE=1"):
            self._mode = int(line[-1:])
            return [_reply(b"+OK")]
        if line in (b"AT+RSSI=0", b"AT+RSSI=1"):
            self._rssi = line.endswith(b"1")
            return [_reply(b"+OK")]
        return [_reply(b"+OK" if line == b"AT" else b"+ERR=5" if line[:2] == b"AT" else b"+ERR=2")]

    def _range(self, address: bytes) -> list[Reply]:
        metres = self._measure(address.decode("ascii", "replace"))
        if metres is None:
            return []
        text = b"+ANCHOR_RCV=%b,0,,%d cm" % (address, round(max(metres, 0.0) * 100.0))
        return [_reply(text + (b",-72" if self._rssi else b""), RANGING_S)]


def _reply(text: bytes, delay: float = ACCEPT_S) -> Reply:
    return delay + line_time(len(text) + 2, BAUD), text + b"\r\n"
