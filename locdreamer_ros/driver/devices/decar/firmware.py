# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The DECAR/MRASL board as `locdreamer_ros.driver.devices.decar.codec` sees it, over USB."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from locdreamer_ros.driver.devices.decar.codec import TICK_M, stamped_range
from locdreamer_ros.driver.firmware import Measure, Reply, take_lines

TICKS_PER_US = 63_897.6
ATTEMPTS, ATTEMPT_S = 6, 0.0065
SINGLE_SIDED_S = 0.0025
"""Poll and response on air, SPI, sprintf and USB polling; an estimate."""
FAILED = b"COMMANDED TASK FAILED AFTER 5 ATTEMPTS.\r\n"

_COMMAND = re.compile(rb"C(\d\d)((?:\|[^|]*)*)")


class DecarFirmware:
    """Board 0 unless told otherwise; asks any anchor that `measure` knows."""

    def __init__(self, anchors: Sequence[str], measure: Measure, board: int = 0) -> None:
        del anchors  # the host names them
        self._measure = measure
        self._board = board
        self.reboot()

    def reboot(self) -> bytes:
        """The board prints nothing at boot."""
        self._buffer = b""
        self._second_response_us = 1500
        self._ticks = 0
        return b""

    def tick(self, now: float) -> list[Reply]:
        """Nothing: other boards that would cause S lines are not simulated."""
        return []

    def feed(self, data: bytes) -> list[Reply]:
        """Answer every complete command; what is none is passed over."""
        lines, self._buffer = take_lines(self._buffer, data, b"\r")
        replies: list[Reply] = []
        for line in lines:
            begin = line.find(b"C")
            if found := _COMMAND.fullmatch(line, max(begin, 0)):
                replies += self._answer(int(found[1]), found[2].split(b"|")[1:])
        return replies

    def _answer(self, command: int, arguments: list[bytes]) -> list[Reply]:
        simple = {
            0: b"R00\r\n",
            1: b"R01|%d\r\n" % self._board,
            2: b"R02\r\n",
            4: b"R04\r\n",  # listening to others, who are not simulated
            7: b"R07|100\r\n",
        }
        if command in simple:
            return [(0.001, simple[command])]
        if command == 3 and len(arguments) >= 5:  # a test: what was sent comes back
            integer, text, boolean, number, *data = arguments
            body = b"|".join([integer, text, boolean, number, *data])
            return [(0.001, b"R03|0|%b\r\n" % body)]
        if command == 6 and arguments:  # broadcast on air
            return [(0.002, b"R06\r\n")]
        if not all(argument.isdigit() for argument in arguments):
            return []
        numbers = [int(argument) for argument in arguments]
        if command == 8 and len(numbers) == 1:
            self._second_response_us = numbers[0]
            return [(0.001, b"R08\r\n")]
        if command == 5 and len(numbers) == 4:
            return [self._range(numbers[0], numbers[2] != 0)]
        return []

    def _range(self, anchor: int, double_sided: bool) -> Reply:
        if anchor == self._board:
            return 0.001, b"TWR FAIL: The target ID is the same as the initiator's ID.\r\n"
        metres = self._measure(str(anchor))
        if metres is None:
            return ATTEMPTS * ATTEMPT_S, FAILED
        flight = metres / TICK_M
        turn, second = 800 * TICKS_PER_US, self._second_response_us * TICKS_PER_US
        apart = 123_456_789.0  # the anchor's clock runs apart from the tag's
        tx1 = float(self._ticks)
        rx2 = tx1 + turn + 2 * flight
        stamps = [tx1, tx1 + flight + apart, tx1 + flight + turn + apart, rx2]
        third = [stamps[2] + second, rx2 + second] if double_sided else []
        words = [round(t) % (1 << 32) for t in stamps + third] + ([] if double_sided else [0, 0])
        if double_sided:  # whole ticks, so that the range and its stamps are one
            metres = math.trunc(stamped_range(words) * 1e4) / 1e4
        spent = SINGLE_SIDED_S + (self._second_response_us * 1e-6 if double_sided else 0.0)
        self._ticks = (self._ticks + round(spent * 1e6 * TICKS_PER_US)) % (1 << 32)
        # Free space only: the power says nothing about walls.
        power = -64.0 - 20.0 * math.log10(max(abs(metres), 0.1))
        text = f"R05|{anchor}|{metres:.4f}|" + "|".join(map(str, words))
        text += f"|{power - 0.2:.4f}|{power + 0.2:.4f}|0.5000|-0.4800\r\n"
        return spent, text.encode()
