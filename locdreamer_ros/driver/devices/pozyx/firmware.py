# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Pozyx tag as `locdreamer_ros.driver.devices.pozyx.codec` sees it, over USB."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from locdreamer_ros.driver.firmware import Measure, Reply, take_lines

REPLY_S = 0.001
RANGING_S = 0.051
"""Of the 55 ms of a range at 18 Hz; the rest is text going to and fro."""
NO_ANSWER_S = 0.060
"""Until it gives up on a silent anchor; an estimate."""
ERROR_NO_ACK = 0x17
FLAG_ERROR, FLAG_DONE = 0x01, 0x10

_READ = re.compile(rb"R,([0-9a-f]{2}),(\d{1,2})")
_CALL = re.compile(rb"F,([0-9a-f]{2}),([0-9a-f]{4}),(\d{1,2})")


class PozyxFirmware:
    """Any anchor that `measure` knows by four hexadecimal digits."""

    def __init__(self, anchors: Sequence[str], measure: Measure) -> None:
        del anchors  # the host names them
        self._measure = measure
        self._now = 0.0
        self.reboot()

    def reboot(self) -> bytes:
        """It prints nothing at boot."""
        self._buffer = b""
        self._flags = 0
        self._error = 0
        self._busy_until: float | None = None
        self._in_flight = ""
        self._ranges: dict[str, tuple[int, int, int]] = {}
        return b""

    def tick(self, now: float) -> list[Reply]:
        """Only tells the time."""
        self._now = now
        if self._busy_until is not None and now >= self._busy_until:
            self._busy_until = None
            metres = self._measure(self._in_flight)
            if metres is None or metres < 0.0:
                self._flags |= FLAG_ERROR
                self._error = ERROR_NO_ACK
            else:
                self._flags |= FLAG_DONE
                stamp = round(now * 1000.0) % (1 << 32)
                self._ranges[self._in_flight] = (stamp, round(metres * 1000.0), -81)
        return []

    def feed(self, data: bytes) -> list[Reply]:
        """Answer every complete command; what is none is passed over."""
        lines, self._buffer = take_lines(self._buffer, data, b"\r")
        answers = [self._answer(line) for line in lines]
        return [(REPLY_S, b"D,%b\r\n" % a.hex().encode()) for a in answers if a]

    def _answer(self, line: bytes) -> bytes:
        if found := _READ.fullmatch(line):
            return self._read(int(found[1], 16), int(found[2]))
        if found := _CALL.fullmatch(line):
            anchor = f"{struct.unpack('<H', bytes.fromhex(found[2].decode()))[0]:04X}"
            if found[1] == b"b5":
                return self._do_ranging(anchor)
            if found[1] == b"c7":
                stored = self._ranges.get(anchor)
                return struct.pack("<BIIh", 1, *stored) if stored else b"\0" * int(found[3])
        return b""

    def _read(self, register: int, size: int) -> bytes:
        if register == 0x05:
            flags, self._flags = self._flags, 0  # reading clears
            return bytes([flags])
        return bytes(
            {0x00: 0x43, 0x01: 0x11, 0x04: self._error}.get(register + i, 0) for i in range(size)
        )

    def _do_ranging(self, anchor: str) -> bytes:
        if self._busy_until is not None:
            self._error = 0x15
            return b"\0"
        self._in_flight = anchor
        answers = self._measure(anchor) is not None
        self._busy_until = self._now + (RANGING_S if answers else NO_ANSWER_S)
        return b"\1"
