# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""DWM1001 with PANS in its binary (TLV) mode: the tag chooses up to four anchors, we read them.

    > 0C 00
    < 40 01 00 | 41 0D <x y z i32, quality u8> | 49 <1+20n> <n> n x (address u16, mm u32,
                                                     quality u8, x y z i32, quality u8)
    < 40 01 <error>

Little endian, no checksum and no mark of where a frame begins: what is no whole, possible frame is
passed over byte by byte. The tag repeats its last fix until it has a new one, at rest for 10 s by
default: a repeated frame is no new cycle.
"""

from __future__ import annotations

import struct

from locdreamer_ros.driver.codec import (
    Capabilities,
    DroppedEvent,
    Event,
    ReadyEvent,
    SendEvent,
)
from locdreamer_ros.driver.frames import FrameCodec
from locdreamer_ros.driver.lines import Passive, cycle_events

CAPABILITIES = Capabilities(
    schedulable=False,
    max_anchors=4,
    max_rate=10.0,
    baud=115200,
    range_timeout=1.0,
    answer_time=0.05,  # five times what an answer of four anchors takes
)
POLL_S = 0.03
"""Between an answer and the next question; a third of the tag's fastest period."""
PAUSE_S = 0.1
"""After an error."""
GET_LOCATION = b"\x0c\x00"
ERRORS = {
    1: "unknown command or broken frame",
    2: "internal error",
    3: "wrong parameter",
    4: "busy",
    5: "not permitted",
}

AN_ANCHOR = "the module is set up as an anchor: make it a tag (`nmt` in its shell)"

_HEAD = 20  # up to and with the number of ranges
_RECORD = 20
_AS_TAG, _AS_ANCHOR = 0x49, 0x48
_ANCHOR_RECORD = 13


class Dwm1001Codec(Passive, FrameCodec):
    """Anchors are the last four hexadecimal digits of their address, as on the label, "1151"."""

    capabilities = CAPABILITIES
    garbage = "no frame of a DWM1001"

    def __init__(self) -> None:
        super().__init__()
        self._attempt = 0
        self._ready = False
        self._last = b""

    def start(self) -> bytes:
        """Ask for the location; where that stays without answer, leave the shell first."""
        self._buffer = b""
        self._ready = False
        self._attempt += 1
        # In the binary mode "quit" is a broken frame, whose error makes us ask again.
        return b"\rquit\r" if self._attempt % 3 == 2 else GET_LOCATION

    def again(self) -> bytes:
        """Ask again: a byte of the question or of the answer was lost."""
        self._buffer = b""
        return GET_LOCATION

    def _size(self, data: bytes, begin: int) -> int:
        return _frame_size(data, begin)

    def _take(self, frame: bytes, events: list[Event]) -> None:
        if frame[2]:
            reason = ERRORS[frame[2]]
            events.append(DroppedEvent(len(frame), f"the device says: {reason}"))
            events.append(SendEvent(GET_LOCATION, PAUSE_S))
            return
        if not self._ready:
            self._ready, self._attempt = True, 0
            events.append(ReadyEvent("DWM1001 (PANS, binary mode)"))
        self.lacks = "" if frame[18] == _AS_TAG else AN_ANCHOR
        if frame[18] == _AS_TAG and frame != self._last:
            self._last = frame
            events += cycle_events(_reported(frame))
        events.append(SendEvent(GET_LOCATION, POLL_S))


def _frame_size(data: bytes, begin: int) -> int:
    """Bytes of the whole frame at `begin`; 0 where its end is yet to come, -1 where none is."""
    have = len(data) - begin
    for offset, expected in enumerate((0x40, 0x01)):
        if have > offset and data[begin + offset] != expected:
            return -1
    if have <= 2:
        return 0
    if data[begin + 2]:
        return 3 if data[begin + 2] in ERRORS else -1
    if not b"\x41\x0d".startswith(data[begin + 3 : begin + 5]):
        return -1
    if have <= 17:
        return 0
    if data[begin + 17] > 100:
        return -1
    if have < _HEAD + 1:
        return 0 if have == 18 or data[begin + 18] in (_AS_TAG, _AS_ANCHOR) else -1
    kind, length, n = data[begin + 18], data[begin + 19], data[begin + 20]
    record, most = (_RECORD, 4) if kind == _AS_TAG else (_ANCHOR_RECORD, 15)
    if kind not in (_AS_TAG, _AS_ANCHOR) or n > most or length != 1 + record * n:
        return -1
    end = begin + _HEAD + length
    for place in range(begin + _HEAD + 1, min(end, len(data)), record):
        # Both qualities of a record are per cent, and the last byte that has come may be one.
        for quality in (6, 19) if kind == _AS_TAG else (12,):
            if place + quality < min(end, len(data)) and data[place + quality] > 100:
                return -1
    return end - begin if len(data) >= end else 0


def _reported(frame: bytes) -> list[tuple[str, float]]:
    """Address and range m of each record."""
    places = range(_HEAD + 1, len(frame), _RECORD)
    records = [struct.unpack_from("<HI", frame, place) for place in places]
    return [(f"{address:04X}", millimetres / 1000.0) for address, millimetres in records]
