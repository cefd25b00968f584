# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""REYAX RYUW122 (DW3000), AT commands: the host picks every anchor.

The mobile unit is what REYAX calls the anchor (MODE 1), the fixed ones are its tags (MODE 0).

    > AT+ANCHOR_SEND=TAG00001,1,P\r\n    < +OK    < +ANCHOR_RCV=TAG00001,0,,40 cm,-72    or nothing

The answer's payload may hold commas: its length counts. Spaces, leading zeros and units vary. An
answer does not say which request it is to: it counts only after this request's `+OK`, and after an
exchange was given up the next begins by asking for the mode, which a module that works off its
commands one by one answers when it is through with the old ones.
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
    max_anchors=1000,  # addresses are eight letters
    max_rate=15.0,
    baud=115200,
    range_timeout=0.35,  # a tag that is not there gives no line at all; peers wait 0.25 to 0.5 s
    answer_time=0.1,
    settle=0.5,
)
ERRORS = {
    1: "command without an end",
    2: "not an AT command",
    3: "wrong parameter",
    4: "not executed",
    5: "unknown command",
}

_ANSWER = re.compile(rb"\+ANCHOR_RCV=([^,]{1,8}), *(\d{1,2}),")
_RANGE = re.compile(rb", *(\d{1,6}) *cm(?:, *(-?\d{1,3})(?: *dBm)?)? *")
_ERROR = re.compile(rb"\+ERR=(\d)")
_DAMAGED = re.compile(rb"RCV|R_|\d *cm")
"""What an answer leaves of itself when it lost a byte."""
_ANSWER_START = b"+ANCHOR_RCV="
_STARTS = (b"+OK", b"+ERR=", b"+MODE=", b"+READY")


class Ryuw122Codec(LineCodec):
    """Anchors are the addresses of the fixed units, up to eight letters, "TAG00001"."""

    capabilities = CAPABILITIES

    def __init__(self) -> None:
        super().__init__()
        self._asked = ""
        self._accepted = False  # the module said +OK to this request
        self._unsure = False  # an answer to a request that was given up may still come
        self._setting = ""

    def start(self) -> bytes:
        """Ask for the mode; the rest follows from the answers."""
        self._lines.reset()
        self.cancel()
        self._setting = "ask mode"
        return b"AT+MODE?\r\n"

    def request(self, anchor: str) -> bytes:
        """One range; empty for what is no address."""
        if not re.fullmatch(r"[!-+\-.-~]{1,8}", anchor):
            return b""
        self._asked, self._accepted = anchor, False
        self._setting = "sync" if self._unsure else ""
        return b"AT+MODE?\r\n" if self._unsure else self._request()

    def _request(self) -> bytes:
        return b"AT+ANCHOR_SEND=%b,1,P\r\n" % self._asked.encode()

    def cancel(self) -> None:
        """Forget the exchange in flight."""
        self._unsure = self._unsure or bool(self._asked)
        self._asked, self._accepted = "", False

    def again(self) -> bytes:
        """Ask for the mode again, or for the range where the module did not take the command."""
        if not self._asked or self._accepted:
            return b""
        if self._setting == "sync":
            return b"AT+MODE?\r\n"
        self._unsure = True  # it may have, and two answers come
        return self._request()

    def _take(self, line: bytes, events: list[Event]) -> None:
        begin = line.rfind(_ANSWER_START)
        if begin < 0:  # only then, as a payload may hold anything
            begin = max(line.rfind(start) for start in _STARTS)
        if begin > 0:
            events.append(DroppedEvent(begin, "garbage before an answer"))
            line = line[begin:]
        if found := _ANSWER.match(line):
            self._take_answer(found, line, events)
        elif found := _ERROR.fullmatch(line):
            self._take_error(int(found[1]), len(line), events)
        elif line == b"+READY":
            self._end("the module restarted", events)
            events.append(SendEvent(self.start()))
        elif self._asked and not self._setting and line == b"+OK":
            self._accepted = True
        elif line == b"+OK" or re.fullmatch(rb"\+MODE=\d", line):
            self._set_up(line, events)
        else:
            events.append(DroppedEvent(len(line), "no answer of this module"))
            if _DAMAGED.search(line) and self._accepted:
                self._end("malformed answer", events, Failure.UNUSABLE)

    def _take_answer(self, found: re.Match[bytes], line: bytes, events: list[Event]) -> None:
        anchor = found[1].decode("ascii", "replace")
        if anchor != self._asked or self._setting:
            events.append(DroppedEvent(len(line), LATE))
            return
        measured = _RANGE.fullmatch(line, found.end() + int(found[2]))
        if not self._accepted:
            self._end("an answer before its request was accepted", events, Failure.UNUSABLE)
            self._unsure = True
        elif measured is None:
            self._end("malformed answer", events, Failure.UNUSABLE)
        elif not plausible(metres := int(measured[1]) / 100.0):
            self._end(f"impossible range {metres} m", events, Failure.UNUSABLE)
        else:
            self._asked, self._accepted = "", False
            power = float(measured[2] or "nan")
            events.append(RangeEvent(anchor, metres, power if power < 0.0 else float("nan")))

    def _take_error(self, number: int, size: int, events: list[Event]) -> None:
        reason = ERRORS.get(number, f"error {number}")
        if self._setting == "sync":
            events.append(DroppedEvent(size, f"late error: {reason}"))
        elif self._setting:
            self._set_up(b"+ERR", events)
        elif self._asked:
            self._end(reason, events)
        else:
            events.append(DroppedEvent(size, f"late error: {reason}"))

    def _set_up(self, line: bytes, events: list[Event]) -> None:
        """Mode 1 (written to flash, so only where it is another), then signal strengths."""
        if self._setting == "sync":
            if line == b"+MODE=1":
                self._setting, self._unsure = "", False
                events.append(SendEvent(self._request()))
            elif line.startswith(b"+MODE"):  # it restarted, and lost its mode
                self._end("the module is in another mode", events)
                events.append(SendEvent(self.start()))
        elif self._setting == "ask mode" and line != b"+OK":
            if line == b"+MODE=1":
                self._setting = "rssi"
                events.append(SendEvent(b"AT+RSSI=1\r\n"))
            else:
                self._setting = "set mode"
                self.lacks = "the module does not take AT+MODE=1"
                events.append(SendEvent(b"AT+MODE=1\r\n"))
        elif self._setting == "set mode" and line == b"+OK":
            self._setting = "rssi"
            events.append(SendEvent(b"AT+RSSI=1\r\n"))
        elif self._setting == "rssi" and line in (b"+OK", b"+ERR"):  # old firmware has no RSSI
            self._setting, self._unsure, self.lacks = "", False, ""
            events.append(ReadyEvent("REYAX RYUW122 in mode 1"))

    def _end(self, reason: str, events: list[Event], kind: Failure = Failure.SILENT) -> None:
        if self._asked:
            events.append(FailEvent(self._asked, reason, kind))
            self._asked, self._accepted = "", False
