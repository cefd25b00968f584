# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Nooploop LinkTrack: the tag ranges by itself and reports in frames, we listen.

    55 01 <id> <role> ... <8 ranges i24 mm at 22> ... <sum>          TagFrame0, 128 bytes
    55 04 <length u16> <role> <id> <time u32> ... <nodes u8 at 118>  NodeFrame2
    nodes x {role u8, id u8, mm i24, first path u8, received u8, time u32, 2 reserved} <sum>

Little endian; the last byte is the sum of all before it; powers are in -1/2 dBm. An anchor's own
output lists tags: its frame's id is then the anchor.
"""

from __future__ import annotations

import struct

from locdreamer_ros.driver.codec import (
    Capabilities,
    CycleEvent,
    Event,
    FailEvent,
    Failure,
    RangeEvent,
)
from locdreamer_ros.driver.frames import FrameCodec
from locdreamer_ros.driver.lines import Passive, Reports, cycle_events, plausible

CAPABILITIES = Capabilities(
    schedulable=False,
    max_anchors=40,
    max_rate=50.0,
    baud=921600,
    range_timeout=1.0,
)
MARK, TAG_FRAME, NODE_FRAME = 0x55, 0x01, 0x04
TAG_SIZE, NODE_HEAD, NODE = 128, 119, 13
MOST_NODES = 60
ANCHOR, TAG = 1, 2
"""Roles."""


class LinktrackCodec(Passive, FrameCodec):
    """Anchors are "0" to "39"."""

    capabilities = CAPABILITIES
    garbage = "no frame of a LinkTrack"

    def __init__(self) -> None:
        super().__init__()
        self._reports = Reports("Nooploop LinkTrack", 1 << 32)

    def start(self) -> bytes:
        """Nothing to send: it speaks by itself."""
        self._reports.reset()
        return super().start()

    def _size(self, data: bytes, begin: int) -> int:
        head = data[begin : begin + 4]
        if head[0] != MARK or (len(head) > 1 and head[1] not in (TAG_FRAME, NODE_FRAME)):
            return -1
        if len(head) < 4:
            return 0
        size = TAG_SIZE
        if head[1] == NODE_FRAME:
            size = head[2] | head[3] << 8
            if (size - NODE_HEAD - 1) % NODE or not 0 <= (
                size - NODE_HEAD - 1
            ) // NODE <= MOST_NODES:
                return -1
        frame = data[begin : begin + size]
        if len(frame) < size:
            return 0
        if sum(frame[:-1]) % 256 != frame[-1]:
            return -1
        whole = head[1] == TAG_FRAME or NODE_HEAD + NODE * frame[NODE_HEAD - 1] + 1 == size
        return size if whole else -1

    def _take(self, frame: bytes, events: list[Event]) -> None:
        (stamp,) = struct.unpack_from("<I", frame, 112 if frame[1] == TAG_FRAME else 6)
        if not self._reports.is_news(frame, stamp, "", events):
            return
        if frame[1] == TAG_FRAME:
            ranges = [_i24(frame, 22 + 3 * place) / 1000.0 for place in range(8)]
            reported = [(str(place), metres) for place, metres in enumerate(ranges) if metres]
            events += cycle_events(reported, str(frame[2]))
        else:
            self._take_nodes(frame, events)

    def _take_nodes(self, frame: bytes, events: list[Event]) -> None:
        role, mine = frame[4], str(frame[5])
        seen: set[str] = set()
        for place in range(NODE_HEAD, len(frame) - 1, NODE):
            theirs, number = frame[place], str(frame[place + 1])
            if {role, theirs} != {ANCHOR, TAG} or number in seen:
                continue
            seen.add(number)
            anchor, tag = (number, mine) if role == TAG else (mine, number)
            metres = _i24(frame, place + 2) / 1000.0
            first_path, received = frame[place + 5] / -2.0, frame[place + 6] / -2.0
            if plausible(metres):
                events.append(RangeEvent(anchor, metres, _power(received), _power(first_path), tag))
            else:
                reason = f"impossible range {metres} m"
                events.append(FailEvent(anchor, reason, Failure.UNUSABLE, tag))
            if role == ANCHOR:
                events.append(CycleEvent(tag))
        if role == TAG:
            events.append(CycleEvent(mine))


def _i24(frame: bytes, at: int) -> int:
    return int(struct.unpack("<i", b"\0" + frame[at : at + 3])[0]) >> 8


def _power(dbm: float) -> float:
    return dbm if dbm < 0.0 else float("nan")
