# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A DWM3001CDK as `locdreamer_ros.driver.devices.dwm3001cdk.codec` sees it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from locdreamer_ros.driver.firmware import Measure, Reply, line_time, take_lines
from locdreamer_ros.errors import InputError

BAUD = 115200
ANSWER_S = 0.002
OPEN_S = 0.4
"""From INITF to the first notification."""
BLOCK_S = 0.2
STATE = 'SESSION_STATUS_NTF: {state="%s", reason="State change with session management commands"}'
IDENTITY = (
    b'JS004E{"Info":{\r\n"Device":"DWM3001CDK - DW3_QM33_SDK - FreeRTOS",\r\n'
    b'"Current App":"%b"}}\r\n'
)

_INITF = re.compile(r"INITF -MULTI(?: -ADDR=(\d+))? -PADDR=\[([\d,]+)\](?: -BLOCK=(\d+))?", re.I)


class Dwm3001cdkFirmware:
    """Idle until INITF; then a notification in each block with all peers of the session."""

    def __init__(self, anchors: Sequence[str], measure: Measure) -> None:
        if unknown := [a for a in anchors if not re.fullmatch("[0-9A-F]{4}", a)]:
            raise InputError(f"dwm3001cdk: anchors are four hexadecimal digits: {unknown[0]!r}")
        self._measure = measure
        self.reboot()

    def reboot(self) -> bytes:
        """Nothing was saved, so no session begins by itself."""
        self._buffer = b""
        self._peers: tuple[str, ...] = ()
        self._now = 0.0
        self._next = float("inf")
        self._period = BLOCK_S
        self._count = 0
        return b""

    def tick(self, now: float) -> list[Reply]:
        """A notification when it is time."""
        self._now = now
        if now < self._next:
            return []
        self._next = max(self._next + self._period, now)
        measured = [(peer, self._measure(peer)) for peer in self._peers]
        number, self._count = self._count, self._count + 1
        head = f"SESSION_INFO_NTF: {{session_handle=1, sequence_number={number}, "
        head += f"block_index={number}, n_measurements={len(measured)}\r\n"
        data = (head + ";\r\n".join(_one(*pair) for pair in measured) + "}\r\n").encode()
        return [(line_time(len(data), BAUD), data)]

    def feed(self, data: bytes) -> list[Reply]:
        """Answer every line."""
        lines, self._buffer = take_lines(self._buffer, data, b"\n")
        return [reply for line in lines for reply in self._answer(line.strip().decode("latin-1"))]

    def _answer(self, line: str) -> list[Reply]:
        if line.upper() == "STOP":
            running, self._next = self._next < float("inf"), float("inf")
            text = STATE % "IDLE" + "\r\n" if running else ""
            return [_reply(f"{text}ok\r\n".encode())]
        if line.upper() == "STAT":
            app = b"STOP" if self._next == float("inf") else b"INITF"
            return [_reply(IDENTITY % app), _reply(b"ok\r\n")]
        if found := _INITF.fullmatch(line):
            self._peers = tuple(f"{int(word):04X}" for word in found[2].split(",") if word)
            self._period = int(found[3] or 200) / 1000.0
            self._next, self._count = self._now + OPEN_S, 0
            states = "".join(STATE % state + "\r\n" for state in ("INIT", "IDLE", "ACTIVE"))
            return [
                _reply(
                    b"FiRa Session Parameters: {\r\nSESSION_ID: 42\r\n}\r\nok\r\n" + states.encode()
                )
            ]
        return [_reply(b"error\r\n")] if line else []


def _one(peer: str, metres: float | None) -> str:
    if metres is None:
        return f' [mac_address=0x{peer.lower()}, status="RX_TIMEOUT"]'
    distance = round(metres * 100.0)
    return (
        f' [mac_address=0x{peer.lower()}, status="SUCCESS", distance[cm]={distance}, '
        "RSSI[dBm]=-78.0]"
    )


def _reply(data: bytes) -> Reply:
    return ANSWER_S + line_time(len(data), BAUD), data
