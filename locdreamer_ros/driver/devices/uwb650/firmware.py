# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The NiceRF UWB650 as `locdreamer_ros.driver.devices.uwb650.codec` sees it, at 115200 baud."""

from __future__ import annotations

import re
from collections.abc import Sequence

from locdreamer_ros.driver.firmware import Measure, Reply, line_time, take_lines

BAUD = 115200
GAP_S = 0.005
"""Silence after which it takes what it heard for a command."""
RANGING_S = 0.092
"""With the text to and fro, 10 ranges/s."""
NO_ANSWER_S = 0.1
"""Until it gives up on a silent unit; an estimate."""

_RANGING = re.compile(rb"RANGING=1,([0-9A-Fa-f]{4})")


class Uwb650Firmware:
    """Any unit that `measure` knows by its address."""

    def __init__(self, anchors: Sequence[str], measure: Measure) -> None:
        del anchors  # the host names them
        self._measure = measure
        self.reboot()

    def reboot(self) -> bytes:
        """It says that it is there."""
        self._buffer = b""
        return b"\r\nFinished Startup\r\n"

    def tick(self, now: float) -> list[Reply]:
        """Nothing: it speaks when asked."""
        return []

    def feed(self, data: bytes) -> list[Reply]:
        """Answer every line."""
        lines, self._buffer = take_lines(self._buffer, data, b"\r\n")
        return [reply for line in lines if line for reply in self._answer(line)]

    def _answer(self, line: bytes) -> list[Reply]:
        begin = line.rfind(b"UWBRFAT")
        if begin < 0:
            return []  # data to be sent on air
        command = line[begin + 7 :].removeprefix(b"+")
        if command == b"":
            return [_reply(b"OK", GAP_S)]
        if command == b"VERSION?":
            return [_reply(b"V1.2", GAP_S)]
        if command == b"DEVICEID?":
            return [_reply(b"0000,0000", GAP_S)]
        if found := _RANGING.fullmatch(command):
            metres = self._measure(found[1].decode().upper())
            if metres is None:
                return [_reply(b"+RANGING=(-1),(0.00)", GAP_S + NO_ANSWER_S)]
            text = b"+RANGING=(%.2f),(-67.50)" % max(metres, 0.0)
            return [_reply(text, GAP_S + RANGING_S)]
        return [_reply(b"ERROR", GAP_S)]


def _reply(text: bytes, delay: float) -> Reply:
    return delay + line_time(len(text) + 4, BAUD), b"\r\n" + text + b"\r\n"
