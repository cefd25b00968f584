# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Ai-Thinker BU03 and BU04 (DW3000, STM32): the tag ranges by itself, we listen.

    "CmdM:4" <length> <time u32> <tag u16> <anchor u16> <sequence u8> <mask u8> <8 raw i32 mm>
    <filtered? u8> <8 filtered i32 mm> <position? u8> <dimensions u8> <anchors u8> <valid u8>
    <x y z float> <check u8> \r \n                                  101 bytes, little endian
    AA 25 01 <8 u32 mm>                                             35 bytes, BU03 only; 0: not seen

The raw ranges are taken where their mask bit is set. How the check is made is not published with
the firmware's library; where it is the sum of the bytes between length and check, as told by three
frames, frames with another sum are dropped from then on.
"""

from __future__ import annotations

import struct

from locdreamer_ros.driver.codec import Capabilities, Event
from locdreamer_ros.driver.frames import FrameCodec, starts_like
from locdreamer_ros.driver.lines import MAX_RANGE_M, Passive, Reports, cycle_events

CAPABILITIES = Capabilities(
    schedulable=False,
    max_anchors=8,
    max_rate=10.0,
    baud=115200,
    range_timeout=1.0,
)
HEAD, HEAD_SHORT = b"CmdM:4", b"\xaa\x25\x01"
SIZE, SIZE_SHORT = 101, 35
END = b"\r\n"
BODY = struct.Struct("<IHHBB8iB8iBBBB3f")
FAR_MM = round(MAX_RANGE_M * 1000.0)
APART_MM = 5000
"""A filtered range farther from its raw one is damage."""
SURE_FRAMES = 3


class Bu0xCodec(Passive, FrameCodec):
    """Anchors are "0" to "7"."""

    capabilities = CAPABILITIES
    garbage = "no frame of a BU03 or BU04"

    def __init__(self) -> None:
        super().__init__()
        self._sums = 0  # frames whose check was the sum
        self._reports = Reports("Ai-Thinker BU03 or BU04", 1 << 32)

    def start(self) -> bytes:
        """Nothing to send: it speaks by itself."""
        self._reports.reset()
        return super().start()

    def _size(self, data: bytes, begin: int) -> int:
        for head, size in ((HEAD, SIZE), (HEAD_SHORT, SIZE_SHORT)):
            if not starts_like(data, begin, head):
                continue
            frame = data[begin : begin + size]
            if len(frame) < size:
                return 0
            return size if self._is_whole(frame) else -1
        return -1

    def _is_whole(self, frame: bytes) -> bool:
        """Whether the frame can be what the device sent."""
        if len(frame) == SIZE_SHORT:
            return all(mm <= FAR_MM for mm in struct.unpack_from("<8I", frame, 3))
        if not frame.endswith(END):
            return False
        _, _, _, _, mask, *rest = BODY.unpack_from(frame, 7)
        raw, filtered = rest[:8], rest[9:17]
        for place in range(8):
            if abs(raw[place]) > FAR_MM or abs(filtered[place]) > FAR_MM:
                return False
            both = rest[8] and mask >> place & 1 and raw[place] > 0 and filtered[place] > 0
            if both and abs(raw[place] - filtered[place]) > APART_MM:
                return False
        fits = sum(frame[7:98]) % 256 == frame[98]
        self._sums += fits and self._sums < SURE_FRAMES
        return fits or self._sums < SURE_FRAMES

    def _take(self, frame: bytes, events: list[Event]) -> None:
        tag = ""
        if len(frame) == SIZE:
            stamp, number, _, _, mask, *rest = BODY.unpack_from(frame, 7)
            tag = str(number)
            if not self._reports.is_news(frame, stamp, tag, events):
                return
        else:  # it carries no time: nothing tells a repeated one
            self._reports.begin(events)
            rest = list(struct.unpack_from("<8I", frame, 3))
            mask = sum(1 << place for place, millimetres in enumerate(rest) if millimetres)
        events += cycle_events(
            [(str(place), rest[place] / 1000.0) for place in range(8) if mask >> place & 1], tag
        )
