# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Pozyx tag as `locdreamer_ros.driver.devices.pozyx.codec` and other clients see it, over USB.

Registers and functions as in the maker's public register map: identity, network id, radio settings,
the device list, ranging and positioning.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

import numpy as np

from locdreamer_ros.driver.firmware import Measure, Reply, take_lines

REPLY_S = 0.001
RANGING_S = 0.051
"""Of the 55 ms of a range at 18 Hz; the rest is text going to and fro."""
NO_ANSWER_S = 0.060
"""Until it gives up on a silent anchor; an estimate."""
ERROR_NO_ACK, ERROR_POSITION = 0x17, 0x21
FLAG_ERROR, FLAG_POSITION, FLAG_DONE = 0x01, 0x02, 0x10
WHO_AM_I, ERROR, STATUS, ALGORITHM = 0x00, 0x04, 0x05, 0x16
NETWORK_ID, SETTINGS, POSITION, LIST_SIZE = 0x1A, 0x1C, 0x30, 0x81
FACTORY = {
    WHO_AM_I: b"\x43\x11\x23\x3f",  # Pozyx, firmware 1.1, tag 1.3, all self-tests passed
    ALGORITHM: b"\x30",  # three dimensions
    NETWORK_ID: b"\x10\x6e",
    SETTINGS: b"\x05\x80\x08\x16",  # channel 5, 110 kb/s at 64 MHz, preamble 1024, gain 11 dB
}

_READ = re.compile(rb"R,([0-9a-f]{2}),(\d{1,2})")
_WRITE = re.compile(rb"W,([0-9a-f]{2}),((?:[0-9a-f]{2})+)")
_CALL = re.compile(rb"F,([0-9a-f]{2}),((?:[0-9a-f]{2})*),(\d{1,2})")


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
        self._registers = bytearray(256)
        for register, data in FACTORY.items():
            self._registers[register : register + len(data)] = data
        self._busy_until: float | None = None
        self._in_flight: list[str] = []
        self._ranges: dict[str, tuple[int, int, int]] = {}
        self._list: dict[str, tuple[int, int, int]] = {}
        return b""

    def tick(self, now: float) -> list[Reply]:
        """Only tells the time; what was begun may be over."""
        self._now = now
        if self._busy_until is not None and now >= self._busy_until:
            self._busy_until = None
            ranges = {anchor: self._range(anchor) for anchor in self._in_flight}
            if len(self._in_flight) != 1:
                self._position({a: m for a, m in ranges.items() if m is not None})
            elif None in ranges.values():
                self._fail(ERROR_NO_ACK)
            else:
                self._registers[STATUS] |= FLAG_DONE
        return []

    def _range(self, anchor: str) -> float | None:
        metres = self._measure(anchor)
        if metres is None or metres < 0.0:
            return None
        stamp = round(self._now * 1000.0) % (1 << 32)
        self._ranges[anchor] = (stamp, round(metres * 1000.0), -81)
        return metres

    def _fail(self, error: int) -> None:
        self._registers[STATUS] |= FLAG_ERROR
        self._registers[ERROR] = error

    def _position(self, ranges: dict[str, float]) -> None:
        """Least squares over the device list, in two dimensions or three as the host set it."""
        free = 3 if self._registers[ALGORITHM] >> 4 == 3 else 2
        if len(ranges) <= free:
            self._fail(ERROR_POSITION)
            return
        places = np.array([self._list[anchor] for anchor in ranges]) / 1000.0
        metres = np.array(list(ranges.values()))
        here = places.mean(axis=0)
        here[2] = struct.unpack_from("<i", self._registers, POSITION + 8)[0] / 1000.0
        for _ in range(20):
            away = here - places
            distance = np.maximum(np.linalg.norm(away, axis=1), 1e-3)
            step = np.linalg.lstsq((away / distance[:, None])[:, :free], metres - distance)[0]
            here[:free] += step
        struct.pack_into("<iii", self._registers, POSITION, *(round(x * 1000.0) for x in here))
        self._registers[STATUS] |= FLAG_POSITION

    def feed(self, data: bytes) -> list[Reply]:
        """Answer every complete command; what is none is passed over."""
        lines, self._buffer = take_lines(self._buffer, data, b"\r")
        answers = [self._answer(line) for line in lines]
        return [(REPLY_S, b"D,%b\r\n" % a.hex().encode()) for a in answers if a]

    def _answer(self, line: bytes) -> bytes:
        if found := _READ.fullmatch(line):
            return self._read(int(found[1], 16), int(found[2]))
        if found := _WRITE.fullmatch(line):
            begin, data = int(found[1], 16), bytes.fromhex(found[2].decode())
            self._registers[begin : begin + len(data)] = data[: 256 - begin]
            return b""
        if found := _CALL.fullmatch(line):
            given = bytes.fromhex(found[2].decode())
            return self._call(int(found[1], 16), given, int(found[3]))
        return b""

    def _read(self, register: int, size: int) -> bytes:
        data = bytes(self._registers[register : register + size])
        if register <= STATUS < register + size:
            self._registers[STATUS] = 0  # reading clears
        return data

    def _call(self, function: int, given: bytes, size: int) -> bytes:
        """Status, 1 where it went well, and what the function gives, `size` bytes together."""
        anchor = f"{struct.unpack_from('<H', given)[0]:04X}" if len(given) >= 2 else ""
        if function == 0xB5 and anchor:  # range
            return self._begin([anchor])
        if function == 0xB6 and len(self._list) > 1:  # position
            return self._begin(list(self._list))
        if function == 0xC0:  # ids of the device list
            ids = b"".join(struct.pack("<H", int(known, 16)) for known in self._list)
            return b"\1" + ids[: size - 1].ljust(size - 1, b"\0")
        if function == 0xC3:  # clear it
            self._list.clear()
            self._registers[LIST_SIZE] = 0
            return b"\1"
        if function == 0xC4 and len(given) == 15:  # add to it
            self._list[anchor] = struct.unpack_from("<iii", given, 3)
            self._registers[LIST_SIZE] = len(self._list)
            return b"\1"
        if function == 0xC6 and anchor in self._list:  # its places
            return b"\1" + struct.pack("<iii", *self._list[anchor])
        if function == 0xC7 and anchor in self._ranges:  # the last range
            return struct.pack("<BIIh", 1, *self._ranges[anchor])
        return b"\0" * size

    def _begin(self, anchors: list[str]) -> bytes:
        if self._busy_until is not None:
            self._registers[ERROR] = 0x15
            return b"\0"
        self._in_flight = anchors
        answer = [self._measure(anchor) is not None for anchor in anchors]
        spent = sum(RANGING_S if there else NO_ANSWER_S for there in answer)
        self._busy_until = self._now + spent
        return b"\1"
