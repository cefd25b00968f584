# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Makerfabs MaUWB (DW3000, STM32 with AT firmware): the tag ranges by itself, we listen.

    AT+RANGE=tid:1,mask:04,seq:63,range:(0,0,30,0,0,0,0,0),rssi:(0.00,0.00,-77.93,...)\r\n
    AT+RANGE=tid:0,mask:0F,seq:79,range:(522,360,...),ancid:(0,1,2,3,-1,-1,-1,-1)\r\n

Ranges in cm, eight places; the mask (hexadecimal) has a bit for each place that holds a range. The
second form says in ancid whose place it is. A place without its bit is 0 and has no id: a line in
which mask, ranges and ids contradict each other is damaged, and one that lacks rssi or ancid where
lines before it had them: without its ancid a range would be another anchor's.
"""

from __future__ import annotations

import re

from locdreamer_ros.driver.codec import (
    Capabilities,
    CycleEvent,
    DroppedEvent,
    Event,
    FailEvent,
    Failure,
    RangeEvent,
)
from locdreamer_ros.driver.lines import LineCodec, Passive, Reports, plausible

CAPABILITIES = Capabilities(
    schedulable=False,
    max_anchors=8,
    max_rate=10.0,  # AT+SETCAP=10,10: ten tags, 10 ms each; up to 100 with one tag
    baud=115200,
    range_timeout=1.0,
)
PLACES = 8
NOBODY = "-1"

_START = b"AT+RANGE="
_INTS = r"(-?\d{1,6}(?:,-?\d{1,6}){7})"
_LINE = re.compile(
    rf"AT\+RANGE=tid:(\d{{1,3}}),mask:([0-9A-Fa-f]{{2}}),seq:(\d{{1,3}}),range:\({_INTS}\)"
    rf"(?:,rssi:\((-?\d{{1,3}}\.\d\d(?:,-?\d{{1,3}}\.\d\d){{7}})\))?(?:,ancid:\({_INTS}\))?"
)


class MauwbCodec(Passive, LineCodec):
    """Anchors are "0" to "7"; a line says which tag's ranges it holds."""

    capabilities = CAPABILITIES

    def __init__(self) -> None:
        super().__init__()
        self._reports = Reports("Makerfabs MaUWB, AT firmware", 256)
        self._parts = 0

    def start(self) -> bytes:
        """Nothing to send: it speaks by itself, once set up (AT+SETRPT=1)."""
        self._reports.reset()
        self._parts = 0
        return super().start()

    def _take(self, line: bytes, events: list[Event]) -> None:
        begin = line.rfind(_START)
        if begin > 0:
            events.append(DroppedEvent(begin, "garbage before a line"))
            line = line[begin:]
        found = _LINE.fullmatch(line.decode("ascii", "replace"))
        reported = None if found is None else _places(found)
        parts = 0 if found is None else (found[5] is not None) + (found[6] is not None)
        if found is None or reported is None or parts < self._parts:
            events.append(DroppedEvent(len(line), "no line of a MaUWB"))
        elif self._reports.is_news(line, int(found[3]), tag := found[1], events):
            self._parts = parts
            for anchor, metres, power in reported:
                if plausible(metres):
                    events.append(RangeEvent(anchor, metres, power, tag=tag))
                else:
                    reason = f"impossible range {metres} m"
                    events.append(FailEvent(anchor, reason, Failure.UNUSABLE, tag))
            events.append(CycleEvent(tag))


def _places(found: re.Match[str]) -> list[tuple[str, float, float]] | None:
    """Anchor, m and dBm of each place with a range; None where the line contradicts itself."""
    mask = int(found[2], 16)
    ranges = [int(word) for word in found[4].split(",")]
    powers = [float(word) for word in found[5].split(",")] if found[5] else [0.0] * PLACES
    ids = found[6].split(",") if found[6] else [str(place) for place in range(PLACES)]
    reported = []
    for place in range(PLACES):
        there = bool(mask >> place & 1)
        if not there and (ranges[place] != 0 or (found[6] and ids[place] != NOBODY)):
            return None
        if there:
            if ids[place] not in [str(number) for number in range(PLACES)]:
                return None
            power = powers[place] if powers[place] < 0.0 else float("nan")
            reported.append((ids[place], ranges[place] / 100.0, power))
    if len({anchor for anchor, _, _ in reported}) != len(reported):
        return None
    return reported
