# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Sketches that print by themselves, in the two forms that are common: we listen.

    from: 1782\t Range: 1.02 m\t RX power: -77.12 dBm\r\n          thotro's DW1000Ranging
    {"links":[{"A":"1782","R":"1.0"},{"A":"1783","R":"2.4"}]}\n    Makerfabs ESP32 UWB, also by UDP

The first form has one anchor in a line: a cycle ends when an anchor comes again. There is no
checksum; a line that is not wholly well formed is dropped.
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
    ReadyEvent,
)
from locdreamer_ros.driver.lines import LineCodec, Passive, cycle_events, plausible

CAPABILITIES = Capabilities(
    schedulable=False,
    max_anchors=8,
    max_rate=10.0,
    baud=115200,
    range_timeout=1.0,
)

_FROM = re.compile(
    r"from: ([0-9A-Fa-f]{1,4})\t Range: (-?\d{1,4}\.\d\d) m(?:\t RX power: (-?\d{1,3}\.\d\d) dBm)?"
)
_LINK = r'\{"A":"([0-9A-Fa-f]{1,4})","R":"(-?\d{1,4}\.\d{1,3})"\}'
_LINKS = re.compile(rf'\{{"links":\[({_LINK}(?:,{_LINK})*)?\]\}}')
_ONE_LINK = re.compile(_LINK)
_STARTS = (b"from: ", b'{"links":')


class SketchStreamCodec(Passive, LineCodec):
    """Anchors are hexadecimal short addresses as printed, "1782" or "84"."""

    capabilities = CAPABILITIES

    def __init__(self) -> None:
        super().__init__()
        self.start()

    def start(self) -> bytes:
        """Nothing to send: it speaks by itself."""
        self._lines.reset()
        self._ready = False
        self._cycle: set[str] = set()
        return b""

    def _take(self, line: bytes, events: list[Event]) -> None:
        begin = max(line.rfind(start) for start in _STARTS)
        if begin > 0:
            events.append(DroppedEvent(begin, "garbage before a line"))
            line = line[begin:]
        text = line.decode("ascii", "replace")
        if found := _FROM.fullmatch(text):
            self._be_ready("DW1000Ranging", events)
            self._take_one(found, events)
        elif _LINKS.fullmatch(text):
            self._be_ready("links", events)
            links = _ONE_LINK.findall(text)
            events += cycle_events([(a.upper(), float(metres)) for a, metres in links])
        else:
            events.append(DroppedEvent(len(line), "no line with ranges"))

    def _be_ready(self, form: str, events: list[Event]) -> None:
        if not self._ready:
            self._ready = True
            events.append(ReadyEvent(f"a sketch that prints by itself ({form})"))

    def _take_one(self, found: re.Match[str], events: list[Event]) -> None:
        anchor, metres = found[1].upper(), float(found[2])
        if anchor in self._cycle:
            self._cycle.clear()
            events.append(CycleEvent())
        self._cycle.add(anchor)
        if plausible(metres):
            power = float(found[3] or "nan")
            events.append(RangeEvent(anchor, metres, power if power < 0.0 else float("nan")))
        else:
            reason = f"impossible range {metres} m"
            events.append(FailEvent(anchor, reason, Failure.UNUSABLE))
