# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Pozyx tag on USB (DW1000), registers as hexadecimal text: the host picks every anchor.

    > R,05,1\r          < D,00\r\n     read and clear INT_STATUS, or an old flag ends the poll early
    > F,b5,106e,1\r     < D,01         range with 6E10 (little endian); 01 accepted
    > R,05,1\r          < D,10         poll: 10 done, 01 error, whose code R,04,1 reads
    > F,c7,106e,11\r    < D,01<ms u32><mm u32><dBm i16>

Replies carry no address, so a late one is told by its length only: after an exchange was given up
the next begins by reading two registers at once, a length nothing else has. A range that the tag
finished after it was given up lies there still: of an anchor whose stored range is not known the
driver reads that, once its own request is accepted, and takes only one with another stamp.
"""

from __future__ import annotations

import re
import struct
from enum import Enum

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
    max_rate=18.0,  # at its default radio settings
    baud=115200,  # USB: any
    range_timeout=0.25,
    answer_time=0.02,
)
POLL_S = 0.002
"""Between two looks at INT_STATUS."""
WHO_AM_I = 0x43
BUSY, BUSY_S = 0x15, 0.005
"""Error code, and the pause before trying again."""
ERRORS = {0x11: "ranging failed", 0x12: "timeout", 0x13: "timeout", 0x17: "no ack"}

_REPLY = re.compile(rb"D,((?:[0-9a-fA-F]{2}){1,28})")
_CLEAR_OR_POLL = b"R,05,1\r"


class _Wait(Enum):
    """What the reply awaited answers; the value is its length in bytes."""

    def __init__(self, _: str, size: int) -> None:
        self.size = size

    NOTHING = "nothing", 0
    WHO = "who am I", 1
    SYNC = "who am I and version", 2
    CLEAR = "flags cleared", 1
    ACCEPTED = "ranging accepted", 1
    STORED = "range from before", 11
    POLL = "flags", 1
    ERROR = "error code", 1
    RANGE = "range", 11
    PEEK = "range, perhaps", 11


class PozyxCodec(LineCodec):
    """Anchors are network ids of four hexadecimal digits as printed on the device, "6E10"."""

    capabilities = CAPABILITIES

    def __init__(self) -> None:
        super().__init__()
        self._wait = _Wait.NOTHING
        self._asked = ""
        self._unsure = False  # an old reply may still come
        self._stamps: dict[str, int] = {}  # of the ranges that the tag has stored, where known
        self._old = 0  # answers with the stored range in this exchange

    def start(self) -> bytes:
        """Ask who it is."""
        self._lines.reset()
        self._wait, self._asked, self._unsure = _Wait.WHO, "", True
        self._stamps.clear()
        return b"R,00,1\r"

    def request(self, anchor: str) -> bytes:
        """Begin a range; empty for what is no network id."""
        if not re.fullmatch("[0-9a-fA-F]{4}", anchor):
            return b""
        self.cancel()
        self._asked = anchor.upper()
        self._old = 0
        self._wait = _Wait.SYNC if self._unsure else _Wait.CLEAR
        return self._question()

    def cancel(self) -> None:
        """Forget the exchange in flight."""
        if self._asked:
            self._unsure = True
            self._stamps.pop(self._asked, None)
            self._wait, self._asked = _Wait.NOTHING, ""

    def again(self) -> bytes:
        """Ask again for what was lost; a flag read and lost is gone, so the range is looked at."""
        if self._wait is _Wait.POLL:
            self._wait = _Wait.PEEK
        return self._question()

    def _question(self) -> bytes:
        """What the reply awaited answers."""
        fixed = {
            _Wait.NOTHING: b"",
            _Wait.WHO: b"R,00,1\r",
            _Wait.SYNC: b"R,00,2\r",
            _Wait.CLEAR: _CLEAR_OR_POLL,
            _Wait.POLL: _CLEAR_OR_POLL,
            _Wait.ERROR: b"R,04,1\r",
        }
        if self._wait in fixed:
            return fixed[self._wait]
        address = struct.pack("<H", int(self._asked, 16)).hex().encode()
        return (b"F,b5,%b,1\r" if self._wait is _Wait.ACCEPTED else b"F,c7,%b,11\r") % address

    def _take(self, line: bytes, events: list[Event]) -> None:
        begin = max(line.rfind(b"D,"), 0)
        if begin:
            events.append(DroppedEvent(begin, "garbage before a reply"))
        found = _REPLY.fullmatch(line, begin)
        if found is None:
            events.append(DroppedEvent(len(line) - begin, "no reply of a Pozyx"))
        elif (reply := bytes.fromhex(found[1].decode())) and self._awaits(reply):
            self._take_reply(reply, events)
        else:
            events.append(DroppedEvent(len(line) - begin, LATE))

    def _awaits(self, reply: bytes) -> bool:
        # A tag without a range to this anchor may say no more than that.
        none = self._wait in (_Wait.STORED, _Wait.PEEK) and reply == b"\0"
        return len(reply) == self._wait.size or none

    def _take_reply(self, reply: bytes, events: list[Event]) -> None:
        if self._wait is _Wait.WHO:
            if reply[0] == WHO_AM_I:
                self._wait, self._unsure = _Wait.NOTHING, False
                events.append(ReadyEvent("Pozyx tag"))
            else:
                events.append(DroppedEvent(4, "not a Pozyx: WHO_AM_I differs"))
        elif self._wait is _Wait.SYNC:
            self._unsure = False
            self._send(_Wait.CLEAR, events)
        elif self._wait is _Wait.CLEAR:
            self._send(_Wait.ACCEPTED, events)
        elif self._wait is _Wait.ACCEPTED:
            if reply[0] != 1:
                self._send(_Wait.ERROR, events)
            elif self._asked in self._stamps:
                self._send(_Wait.POLL, events)
            else:
                self._send(_Wait.STORED, events)
        elif self._wait is _Wait.STORED:
            stored = struct.unpack_from("<I", reply, 1)[0] if reply[0] == 1 else -1
            self._stamps[self._asked] = stored
            self._send(_Wait.POLL, events)
        elif self._wait is _Wait.POLL:
            if reply[0] & 0x01:
                self._send(_Wait.ERROR, events)
            elif reply[0] & 0x10:
                self._send(_Wait.RANGE, events)
            else:
                self._send(_Wait.POLL, events, POLL_S)
        elif self._wait is _Wait.ERROR:
            if reply[0] == BUSY:  # with a range given up before; its flag is to be cleared too
                self._send(_Wait.CLEAR, events, BUSY_S)
            else:
                reason = ERRORS.get(reply[0], f"error 0x{reply[0]:02x}")
                self._end(FailEvent(self._asked, reason), events)
        elif (answer := self._range(reply)) is None:
            self._send(_Wait.POLL, events, POLL_S)
        else:
            self._end(answer, events)

    def _range(self, reply: bytes) -> RangeEvent | FailEvent | None:
        """What a stored range is; None where it is the one from before: not done yet."""
        if self._wait is _Wait.PEEK and reply[0] != 1:
            return None
        status, stamp, millimetres, power = struct.unpack("<BIIh", reply)
        metres = millimetres / 1000.0
        if status != 1:
            return FailEvent(self._asked, "the tag has no range to this anchor")
        # A tag that was not done hands out its last range again, or what lay in its memory.
        if not (plausible(metres) and -150 < power < 0):
            reason = f"impossible range {metres} m, {power} dBm"
            return FailEvent(self._asked, reason, Failure.UNUSABLE)
        if self._stamps.get(self._asked) == stamp:
            self._old += self._wait is _Wait.RANGE
            if self._old < 2:  # the flag that was read may be as old
                return None
            return FailEvent(self._asked, "an old range again", Failure.UNUSABLE)
        self._stamps[self._asked] = stamp
        return RangeEvent(self._asked, metres, rx_power=float(power))

    def _send(self, wait: _Wait, events: list[Event], delay: float = 0.0) -> None:
        self._wait = wait
        events.append(SendEvent(self._question(), delay))

    def _end(self, event: Event, events: list[Event]) -> None:
        if isinstance(event, FailEvent):  # the tag may yet finish, and store what nobody awaits
            self._stamps.pop(self._asked, None)
        self._wait, self._asked = _Wait.NOTHING, ""
        events.append(event)
