# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""NiceRF UWB650 (DW3000 with an amplifier), commands on a UART: the host picks every anchor.

    > UWBRFAT+RANGING=1,0002\r\n      < \r\n+RANGING=(3.46),(-67.50)\r\n    m, dBm
                                      < \r\n+RANGING=(-1),(0.00)\r\n        nobody answered
    > UWBRFAT+VERSION?\r\n            < \r\nV1.2\r\n
    < \r\nFinished Startup\r\n        at boot

Some firmware adds a line OK. An answer names no anchor: after an exchange was given up the next
begins by asking for the version, which comes when the module is through with the old one. An answer
that repeats that of another anchor to the last digit is taken for that one once more. There is no
checksum; two decimals are all the redundancy that there is: a lost point or digit behind it shows.
It takes what it hears as one command until the line is silent for 5 ms.
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
    SendEvent,
)
from locdreamer_ros.driver.lines import LineCodec, plausible

CAPABILITIES = Capabilities(
    schedulable=True,
    max_anchors=65535,
    max_rate=10.0,
    baud=115200,
    range_timeout=1.0,  # it says itself that nobody answered
    answer_time=0.25,
    names_anchor=False,
)
PAUSE_S = 0.006
"""Silence between two commands, or the module takes them for one."""
VERSION = b"UWBRFAT+VERSION?\r\n"

_RANGE = re.compile(rb"\+RANGING=\((-1|\d{1,4}\.\d\d)\),\((-?\d{1,3}\.\d\d)\)")
_VERSION = re.compile(rb"V\d{1,2}\.\d{1,2}")
_BOOT = b"Finished Startup"
_ECHO = re.compile(rb"UWBRFAT|RANGING=1,")
"""What a command of ours leaves of itself where the module, or what is between, repeats it."""


class Uwb650Codec(LineCodec):
    """Anchors are addresses of four hexadecimal digits, "0002", in the module's own network."""

    capabilities = CAPABILITIES

    def __init__(self) -> None:
        super().__init__()
        self._asked = ""
        self._waits = False  # for the version, before the request goes out
        self._unsure = False  # an answer to an exchange that was given up may still come
        self._last = ("", 0.0, 0.0)  # anchor and numbers of the last answer
        self._ready = False

    def start(self) -> bytes:
        """Ask for the version."""
        self._lines.reset()
        self.cancel()
        self._ready, self._waits = False, False
        self._last = ("", 0.0, 0.0)
        return VERSION

    def request(self, anchor: str) -> bytes:
        """One range; empty for what is no address."""
        if not re.fullmatch("[0-9a-fA-F]{4}", anchor):
            return b""
        self._asked, self._waits = anchor.upper(), self._unsure
        return VERSION if self._unsure else self._request()

    def _request(self) -> bytes:
        return b"UWBRFAT+RANGING=1,%b\r\n" % self._asked.encode()

    def cancel(self) -> None:
        """Forget the exchange in flight."""
        self._unsure = self._unsure or bool(self._asked)
        self._asked, self._waits = "", False

    def again(self) -> bytes:
        """Ask again: the command was lost, or its answer; two answers may come to this one."""
        if self._waits:
            return VERSION
        self._unsure = self._unsure or bool(self._asked)
        return self._request() if self._asked else b""

    def _take(self, line: bytes, events: list[Event]) -> None:
        line = line.lstrip(b"> ")  # a prompt
        begin = max(line.rfind(b"+RANGING=("), line.rfind(_BOOT), 0)
        if begin:
            events.append(DroppedEvent(begin, "garbage before an answer"))
            line = line[begin:]
        if found := _RANGE.fullmatch(line):
            self._take_range(float(found[1]), float(found[2]), len(line), events)
        elif line.lower() == _BOOT.lower():
            self._end("the module restarted", events)
            events.append(SendEvent(self.start(), PAUSE_S))
        elif _VERSION.fullmatch(line):
            self._unsure = False
            if not self._ready:
                self._ready = True
                events.append(ReadyEvent(f"NiceRF UWB650, firmware {line.decode()}"))
            if self._waits:
                self._waits = False
                events.append(SendEvent(self._request(), PAUSE_S))
        elif line == b"ERROR" and self._asked and not self._waits:
            self._end("the module refuses the command", events)
        elif line not in (b"OK", b"ERROR", b""):  # nothing is left of a prompt
            events.append(DroppedEvent(len(line), "no answer of this module"))
            if b"RANG" in line and not _ECHO.search(line) and not self._waits:
                self._end("malformed answer", events, Failure.UNUSABLE)

    def _take_range(self, metres: float, power: float, size: int, events: list[Event]) -> None:
        again = self._last[0] != self._asked and self._last[1:] == (metres, power)
        if not self._asked or self._waits:
            events.append(DroppedEvent(size, LATE))
        elif metres == -1.0 and power == 0.0:
            self._unsure = self._unsure or again  # or two in turn are silent
            self._last = (self._asked, metres, power)
            self._end("no answer", events)
        elif again:
            events.append(DroppedEvent(size, "the answer of another anchor once more"))
        elif not plausible(metres):
            self._end(f"impossible range {metres} m", events, Failure.UNUSABLE)
        else:
            anchor, self._asked = self._asked, ""
            self._last = (anchor, metres, power)
            events.append(RangeEvent(anchor, metres, power if power < 0.0 else float("nan")))

    def _end(self, reason: str, events: list[Event], kind: Failure = Failure.SILENT) -> None:
        if self._asked:
            events.append(FailEvent(self._asked, reason, kind))
            self._asked, self._waits = "", False
