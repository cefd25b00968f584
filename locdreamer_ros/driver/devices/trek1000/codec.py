# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""TREK1000 / EVK1000 and its clones over USB: the tag ranges with all by itself, we listen.

    mc <mask> <r0> <r1> <r2> <r3> <cycle> <sequence> <time> <a|t><tag>:<anchor> [<diagnostic>]\r\n

Ranges in mm, all hexadecimal; clones report eight. A range counts where its mask bit is set and it
is not ffffffff. Lines `ma` of anchor 0 have the ranges between anchors: r1 of A0 and A1, r2 of A0
and A2, r3 of A1 and A2. `mr` (raw) and `me` (counters) lines are passed over. There is no checksum;
a line that lost a character shows in ranges of unequal width.
"""

from __future__ import annotations

import re

from locdreamer_ros.driver.codec import BetweenEvent, Capabilities, DroppedEvent, Event
from locdreamer_ros.driver.lines import LineCodec, Passive, Reports, cycle_events, plausible

CAPABILITIES = Capabilities(
    schedulable=False,
    max_anchors=8,
    max_rate=10.0,  # 3.57 with the slow radio settings
    baud=115200,  # USB: any
    range_timeout=1.0,
)

_WORD = rb"[0-9a-fA-F]{1,8}"
_CYCLE = re.compile(
    rb"mc ((?:%b ){8}(?:(?:%b ){4})?)([at])(\d):(\d)(?: %b)? *" % (_WORD, _WORD, _WORD)
)
_BETWEEN = re.compile(rb"ma ((?:%b ){7})(?:%b )?a0:\d *" % (_WORD, _WORD))
_PAIRS = {1: ("A0", "A1"), 2: ("A0", "A2"), 3: ("A1", "A2")}
"""Which anchors a range of four between anchors is of."""
_OTHER = re.compile(rb"m[rae] [0-9a-fA-F ]+(?:[at]\d:\d)?(?: %b)? *" % _WORD)


class Trek1000Codec(Passive, LineCodec):
    """Anchors are "A0" to "A7". An anchor's USB reports several tags, by number."""

    capabilities = CAPABILITIES

    def __init__(self) -> None:
        super().__init__()
        self._reports = Reports("TREK1000", 1 << 16)

    def start(self) -> bytes:
        """Nothing to send: it speaks by itself."""
        self._reports.reset()
        return super().start()

    def _take(self, line: bytes, events: list[Event]) -> None:
        begin = max(line.rfind(start) for start in (b"mc ", b"mr ", b"ma ", b"me "))
        if begin > 0:
            events.append(DroppedEvent(begin, "garbage before a line"))
            line = line[begin:]
        if found := _CYCLE.fullmatch(line):
            self._take_cycle(found, events)
        elif found := _BETWEEN.fullmatch(line):
            self._take_between(found, events)
        elif not _OTHER.fullmatch(line):
            events.append(DroppedEvent(len(line), "no line of a TREK1000"))

    def _take_between(self, found: re.Match[bytes], events: list[Event]) -> None:
        mask, *ranges = found[1].split()[:5]
        if len({len(word) for word in ranges}) > 1:
            events.append(DroppedEvent(len(found[0]), "malformed line"))
            return
        for number, pair in _PAIRS.items():
            metres = int(ranges[number], 16) / 1000.0
            if int(mask, 16) >> number & 1 and plausible(metres):
                events.append(BetweenEvent(*pair, metres))

    def _take_cycle(self, found: re.Match[bytes], events: list[Event]) -> None:
        mask, *ranges, number, _, _ = found[1].split()
        tag = found[3].decode()
        if len({len(word) for word in ranges}) > 1:
            events.append(DroppedEvent(len(found[0]), "malformed line"))
        elif self._reports.is_news(found[0], int(number, 16) % (1 << 16), tag, events):
            events += cycle_events(
                [
                    (f"A{number}", int(word, 16) / 1000.0)
                    for number, word in enumerate(ranges)
                    if int(mask, 16) >> number & 1
                ],
                tag,
            )
