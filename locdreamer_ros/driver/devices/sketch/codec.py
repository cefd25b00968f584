# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Lines for a sketch of one's own: the host picks every anchor.

    > WHO\r\n                < UWB <name> *hh\r\n
    > ASK <anchor> <n>\r\n   < RANGE <anchor> <m> [<rx dBm> [<first path dBm>]] #<n> *hh\r\n
                             < FAIL <anchor> #<n> *hh\r\n

n counts from 0 to 99 and comes back, so that no late answer is taken for a new one. hh: all
characters before " *" combined by exclusive or, two hexadecimal digits, as in NMEA 0183.
"""

from __future__ import annotations

import re

from locdreamer_ros.driver.codec import (
    LATE,
    Capabilities,
    DroppedEvent,
    Event,
    FailEvent,
    Failure,
    RangeEvent,
    ReadyEvent,
)
from locdreamer_ros.driver.lines import LineCodec, checksum, plausible

CAPABILITIES = Capabilities(
    schedulable=True,
    max_anchors=65535,
    max_rate=50.0,
    baud=115200,
    range_timeout=0.1,
)

_NUMBER = r"-?\d{1,4}(?:\.\d{1,4})?"
_RANGE = re.compile(
    rf"RANGE ([!-~]{{1,16}}) ({_NUMBER})(?: ({_NUMBER})(?: ({_NUMBER}))?)? #(\d{{1,2}})"
)
_ANSWER = re.compile(r"RANGE ([!-~]{1,16}) [ -~]* ?#(\d{1,2})")
_SUM = re.compile(b"[0-9A-Fa-f]{1,2}")
_FAIL = re.compile(r"FAIL ([!-~]{1,16}) #(\d{1,2})")
_WHO = re.compile(r"UWB ([!-~]{1,16})")
_STARTS = (b"RANGE ", b"FAIL ", b"UWB ")


class SketchCodec(LineCodec):
    """Anchors are whatever the sketch calls them: up to 16 characters without a space."""

    capabilities = CAPABILITIES

    def __init__(self) -> None:
        super().__init__()
        self._asked = ""
        self._count = 0

    def start(self) -> bytes:
        """Ask who it is."""
        self._lines.reset()
        self._asked = ""
        return b"\r\nWHO\r\n"

    def request(self, anchor: str) -> bytes:
        """One range; empty for what cannot be an id."""
        if not re.fullmatch("[!-~]{1,16}", anchor):
            return b""
        self._asked = anchor
        self._count = (self._count + 1) % 100
        return b"ASK %b %d\r\n" % (anchor.encode(), self._count)

    def cancel(self) -> None:
        """Forget the exchange in flight."""
        self._asked = ""

    def _take(self, line: bytes, events: list[Event]) -> None:
        begin = max(line.rfind(start) for start in _STARTS)
        if begin > 0:
            events.append(DroppedEvent(begin, "garbage before a line"))
            line = line[begin:]
        body, mark, given = line.rpartition(b" *")
        # A sketch may print the sum in small letters, or without its first 0.
        if not mark or not _SUM.fullmatch(given) or int(given, 16) != checksum(body):
            events.append(DroppedEvent(len(line), "no line with its checksum"))
            return
        text = body.decode("ascii", "replace")
        if found := _RANGE.fullmatch(text):
            self._take_answer(found[1], int(found[5]), self._range(found), len(line), events)
        elif found := _ANSWER.fullmatch(text):  # "nan", say
            answer = FailEvent(found[1], "no range in the answer", Failure.UNUSABLE)
            self._take_answer(found[1], int(found[2]), answer, len(line), events)
        elif found := _FAIL.fullmatch(text):
            answer = FailEvent(found[1], "no answer")
            self._take_answer(found[1], int(found[2]), answer, len(line), events)
        elif found := _WHO.fullmatch(text):
            events.append(ReadyEvent(f"sketch {found[1]}"))
        else:
            events.append(DroppedEvent(len(line), "no line of this protocol"))

    def _range(self, found: re.Match[str]) -> RangeEvent | FailEvent:
        metres = float(found[2])
        if not plausible(metres):
            return FailEvent(found[1], f"impossible range {metres} m", Failure.UNUSABLE)
        received, first_path = (float(word or "nan") for word in (found[3], found[4]))
        return RangeEvent(found[1], metres, _power(received), _power(first_path))

    def _take_answer(
        self, anchor: str, count: int, answer: Event, size: int, events: list[Event]
    ) -> None:
        if anchor == self._asked and count == self._count:
            self._asked = ""
            events.append(answer)
        else:
            events.append(DroppedEvent(size, LATE))


def _power(dbm: float) -> float:
    return dbm if dbm < 0.0 else float("nan")
