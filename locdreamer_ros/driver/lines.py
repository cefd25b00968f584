# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the protocols share: cutting bytes into lines, and what a range may be."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Sequence

from locdreamer_ros.driver.codec import (
    CycleEvent,
    DroppedEvent,
    Event,
    FailEvent,
    Failure,
    RangeEvent,
    ReadyEvent,
)

MAX_RANGE_M = 300.0
"""A DW1000 reaches this far in the open at 110 kb/s; more is garbage that looks like a range."""

RESTARTED = 3
"""Reports in a row that seem late after which it is the counter that began anew."""

_END = re.compile(rb"[\r\n]")


def plausible(metres: float) -> bool:
    """Whether a range may be real: in (0, 300] m. False for NaN."""
    return 0.0 < metres <= MAX_RANGE_M


def cycle_events(reported: Sequence[tuple[str, float]], tag: str = "") -> list[Event]:
    """Events of one cycle's (anchor, m) of a passive device, one per anchor, and its end.

    An anchor reported twice fails: nothing says which of its ranges is the true one.
    """
    anchors = [anchor for anchor, _ in reported]
    events: list[Event] = []
    for anchor, metres in dict(reported).items():
        if anchors.count(anchor) > 1:
            events.append(FailEvent(anchor, "reported twice", Failure.UNUSABLE, tag))
        elif plausible(metres):
            events.append(RangeEvent(anchor, metres, tag=tag))
        else:
            reason = f"impossible range {metres} m"
            events.append(FailEvent(anchor, reason, Failure.UNUSABLE, tag))
    return [*events, CycleEvent(tag)]


def checksum(text: bytes) -> int:
    """All bytes combined by exclusive or, as NMEA 0183 does it."""
    return functools.reduce(operator.xor, text, 0)


class Order:
    """Tells reports that come late by the counter or clock they carry, which wraps at `modulus`."""

    def __init__(self, modulus: int) -> None:
        self._modulus = modulus
        self._last: int | None = None
        self._strikes = 0

    def is_late(self, value: int) -> bool:
        """Whether a newer report came before; after a few in a row the device has restarted."""
        behind = 0 if self._last is None else (self._last - value) % self._modulus
        if 0 < behind < self._modulus // 2 and self._strikes < RESTARTED:
            self._strikes += 1
            return True
        self._last, self._strikes = value, 0
        return False


class Reports:
    """Of a device that speaks by itself: which of its reports are news.

    device: what the first of them tells us it is. modulus: of the counter or clock they carry.
    """

    def __init__(self, device: str, modulus: int) -> None:
        self._device = device
        self._modulus = modulus
        self.reset()

    def reset(self) -> None:
        """Forget what came."""
        self._ready = False
        self._last = b""
        self._order: dict[str, Order] = {}

    def is_news(self, report: bytes, count: int, tag: str, events: list[Event]) -> bool:
        """Whether it is neither the last once more nor older than it; adds what is to be said."""
        if report == self._last:
            events.append(DroppedEvent(len(report), "duplicate report"))
            return False
        if self._order.setdefault(tag, Order(self._modulus)).is_late(count):
            events.append(DroppedEvent(len(report), "late report"))
            return False
        self._last = report
        self.begin(events)
        return True

    def begin(self, events: list[Event]) -> None:
        """Say what it is, once."""
        if not self._ready:
            self._ready = True
            events.append(ReadyEvent(self._device))


class Passive:
    """The part of a codec in which devices that choose their anchors by themselves are alike."""

    def request(self, anchor: str) -> bytes:
        """Nothing: it cannot be asked."""
        return b""

    def choose(self, anchors: Sequence[str]) -> bool:
        """Nothing: it has no sessions."""
        return False

    def cancel(self) -> None:
        """Nothing is ever in flight."""

    def again(self) -> bytes:
        """Nothing: it speaks by itself."""
        return b""


class LineCodec:
    """The part of a codec in which protocols of lines are alike: `_take` is given each line."""

    lacks = ""

    def __init__(self, cap: int = 512) -> None:
        self._lines = LineSplitter(cap)

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes as they come; returns what they complete."""
        events: list[Event] = []
        for line in self._lines.feed(data):
            if isinstance(line, DroppedEvent):
                events.append(line)
            else:
                self._take(line, events)
        return events

    def start(self) -> bytes:
        """Forget the line that has begun; nothing to send, unless a protocol knows better."""
        self._lines.reset()
        return b""

    def choose(self, anchors: Sequence[str]) -> bool:
        """Nothing: it has no sessions."""
        return False

    def again(self) -> bytes:
        """Nothing, unless a protocol knows better."""
        return b""

    def _take(self, line: bytes, events: list[Event]) -> None:
        """Add what a whole line, never an empty one, means."""
        raise NotImplementedError


class LineSplitter:
    """Cuts bytes that come in any pieces into lines; CR, LF and CRLF end one, empty ones vanish.

    A line of more than `cap` bytes is dropped in pieces of `cap` as they come, so that memory
    stays bounded where no end ever comes, and the rest up to its end is dropped too.
    """

    def __init__(self, cap: int = 512) -> None:
        self._cap = cap
        self._rest = b""
        self._oversize = False

    @property
    def rest(self) -> bytes:
        """The line that has begun and not ended yet (a prompt has no end)."""
        return b"" if self._oversize else self._rest

    def reset(self) -> None:
        """Forget what has begun."""
        self._rest, self._oversize = b"", False

    def feed(self, data: bytes) -> list[bytes | DroppedEvent]:
        """Lines without their ends, and what was dropped, in order."""
        out: list[bytes | DroppedEvent] = []
        *lines, rest = _END.split(self._rest + data)
        for line in lines:
            tail = self._shed(line, out)
            if self._oversize:
                if tail:
                    out.append(DroppedEvent(len(tail), "oversize line"))
                self._oversize = False
            elif tail:
                out.append(tail)
        self._rest = self._shed(rest, out)
        return out

    def _shed(self, line: bytes, out: list[bytes | DroppedEvent]) -> bytes:
        while len(line) > self._cap:
            out.append(DroppedEvent(self._cap, "oversize line"))
            line, self._oversize = line[self._cap :], True
        return line
