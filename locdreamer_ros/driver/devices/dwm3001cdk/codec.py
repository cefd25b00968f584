# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""Qorvo DWM3001CDK with the FiRa CLI (DW3_QM33_SDK): anchors are chosen for a whole session.

    > STOP\r\n                                        < ok
    > INITF -MULTI -ADDR=0 -PADDR=[1,2,3] -BLOCK=100\r\n
    < SESSION_INFO_NTF: {session_handle=1, sequence_number=3, block_index=3, n_measurements=2\n
       [mac_address=0x0001, status="SUCCESS", distance[cm]=210, RSSI[dBm]=-78.0];\n
       [mac_address=0x0002, status="RX_TIMEOUT"]}\n

-MULTI comes first, or it is refused. Another choice of anchors is another session: it costs about a
second without ranges, so the session holds all anchors that fit. Line ends vary; a notification
counts when as many measurements have come as it announced.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from locdreamer_ros.driver.codec import (
    Capabilities,
    CycleEvent,
    DroppedEvent,
    Event,
    FailEvent,
    Failure,
    RangeEvent,
    ReadyEvent,
    SendEvent,
)
from locdreamer_ros.driver.lines import LineCodec, Order, Passive, plausible

CAPABILITIES = Capabilities(
    schedulable=False,
    max_anchors=8,
    max_rate=10.0,
    baud=115200,
    range_timeout=1.0,
    session_change=1.0,
    probe=b"\r\nSTAT\r\n",
)
BLOCK_MS = 100
"""Between two rounds; the firmware's own is 200."""
PAUSE_S = 0.2
"""After STOP, before the next session is asked for."""
STOP = b"STOP\r\n"
NO_SESSION = "it answers, but begins no session: does its firmware know INITF -MULTI (1.0.2 on)?"

_HEAD = re.compile(
    r"SESSION_INFO_NTF: \{session_handle=\d{1,10}, sequence_number=(\d{1,10}), "
    r"block_index=\d{1,10}, n_measurements=(\d{1,2})"
)
_ONE = re.compile(
    r'\[mac_address=0x([0-9a-fA-F]{4}), status="([A-Za-z_]{1,32})"'
    r"(?:, distance\[cm\]=(-?\d{1,6}))?((?:, [A-Za-z_]+(?:\[\w+\])?=-?[\w.%]+)*)\](?:;|\}|$)"
)
_POWER = re.compile(r", RSSI\[dBm\]=(-\d{1,3}\.\d)")
_START = "SESSION_INFO_NTF"
_IDLE = '"Current App":"STOP"'


class Dwm3001cdkCodec(Passive, LineCodec):
    """Anchors are short addresses of four hexadecimal digits, "0001"."""

    capabilities = CAPABILITIES

    def __init__(self) -> None:
        super().__init__()
        self._chosen: tuple[str, ...] = ()
        self._forget()

    def choose(self, anchors: Sequence[str]) -> bool:
        """Range with these from the next `start` on."""
        if set(anchors) == set(self._chosen):
            return False
        self._chosen = tuple(anchors)
        return True

    def start(self) -> bytes:
        """End what runs; the session begins when that is answered. Without a choice, listen."""
        self._lines.reset()
        self._forget()
        self._stopping = bool(self._chosen)
        return b"\r\n" + STOP if self._chosen else b""

    def _forget(self) -> None:
        self._stopping = self._ready = False
        self._awaited = 0  # measurements of the notification that has begun
        self._got: list[tuple[str, str, str, str]] = []
        self._sequence = ""
        self._order = Order(1 << 32)

    def _take(self, line: bytes, events: list[Event]) -> None:
        text = line.decode("ascii", "replace").strip()
        begin = text.rfind(_START)
        if begin >= 0:
            self._begin(text[begin:], events)
            text = text[begin:]
        elif text.lstrip("> ") == "ok" and self._stopping:
            self._stopping = False
            self.lacks = NO_SESSION
            peers = ",".join(str(int(anchor, 16)) for anchor in self._chosen)
            command = f"INITF -MULTI -ADDR=0 -PADDR=[{peers}] -BLOCK={BLOCK_MS}\r\n"
            events.append(SendEvent(command.encode(), PAUSE_S))
            return
        elif _IDLE in text and self._ready:  # it restarted, and saved nothing
            events.append(SendEvent(self.start()))
            return
        if self._awaited:
            self._got += [(m[1], m[2], m[3] or "", m[4]) for m in _ONE.finditer(text)]
            if len(self._got) >= self._awaited:
                self._finish(events)
        elif begin < 0 and "mac_address" in text:
            events.append(DroppedEvent(len(line), "measurements without their notification"))

    def _begin(self, text: str, events: list[Event]) -> None:
        if self._awaited:
            events.append(DroppedEvent(self._awaited, "a notification without its end"))
        self._awaited, self._got = 0, []
        if self._stopping:
            return  # of the session that is being ended
        found = _HEAD.match(text)
        if found is None:
            events.append(DroppedEvent(len(text), "malformed notification"))
        elif found[1] == self._sequence:
            events.append(DroppedEvent(len(text), "duplicate notification"))
        elif self._order.is_late(int(found[1])):
            events.append(DroppedEvent(len(text), "late notification"))
        else:
            self._sequence, self._awaited = found[1], int(found[2])

    def _finish(self, events: list[Event]) -> None:
        got, awaited, self._awaited = self._got, self._awaited, 0
        if len(got) != awaited or len({one[0].upper() for one in got}) != awaited:
            events.append(DroppedEvent(awaited, "a notification with other measurements"))
            return
        if not self._ready:
            self._ready, self.lacks = True, ""
            events.append(ReadyEvent("DWM3001CDK, FiRa session"))
        for address, status, distance, more in got:
            anchor = address.upper()
            if status != "SUCCESS" or not distance:
                events.append(FailEvent(anchor, status.lower()))
            elif plausible(metres := int(distance) / 100.0):
                power = _POWER.search(more)
                events.append(RangeEvent(anchor, metres, float(power[1] if power else "nan")))
            else:
                reason = f"impossible range {metres} m"
                events.append(FailEvent(anchor, reason, Failure.UNUSABLE))
        events.append(CycleEvent())
