# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A DWM1001 tag with PANS as the `dwm1001` codecs see it: binary mode and shell, at 115200 baud."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from locdreamer_ros.driver.firmware import Measure, Reply, line_time, take_lines
from locdreamer_ros.errors import InputError

BAUD = 115200
PERIOD_S = 0.1
"""The fastest a tag ranges."""
ANSWER_S = 0.0015
SHELL_S = 0.8
"""Until a new shell shows its prompt."""
ANCHORS_CHOSEN = 4
PROMPT = b"dwm> "
BROKEN = b"\x40\x01\x01"
ADDRESS = b"\x51\x11\x02\xe6\xb5\x0d\xca\xde"
ANSWERS = {
    b"si": b"[000541.880 INF] sys: fw2 fw_ver=x01030001 cfg_ver=x00010700\r\n"
    b"[000541.880 INF] uwb0: panid=x1234 addr=xDECA0DB5E6021151\r\n"
    b"[000541.890 INF] mode: tn (act,twr,np,le)\r\n"
    b"[000541.890 INF] uwbmac: connected\r\n"
    b"[000541.900 INF] uwbmac: bh disconnected\r\n"
    b"[000541.900 INF] cfg: sync=0 fwup=1 ble=1 leds=1 init=0 upd_rate_stat=1 label=DW1151\r\n"
    b"[000541.900 INF] enc: off\r\n",
    b"nmg": b"mode: tn (act,twr,np,le)\r\n",
    b"apg": b"x:0 y:0 z:0 qf:0\r\n",
}


class Dwm1001Firmware:
    """Wakes in binary mode. It ranges with the nearest four; the real tag minds geometry as well.

    It has no places of anchors, so it reports them at (0, 0, 0) and no position of its own.
    """

    def __init__(self, anchors: Sequence[str], measure: Measure) -> None:
        if unknown := [a for a in anchors if not re.fullmatch("[0-9A-F]{4}", a)]:
            raise InputError(f"dwm1001: anchors are four hexadecimal digits, got {unknown[0]!r}")
        self._anchors = tuple(anchors)
        self._measure = measure
        self._next: float | None = None
        self._cycle: list[tuple[str, float]] = []
        self.reboot()

    def reboot(self) -> bytes:
        """Back in binary mode, with nothing printed."""
        self._line = b""
        self._shell = False
        self._streams: set[str] = set()
        self._cycle = []
        return b""

    def tick(self, now: float) -> list[Reply]:
        """Range when it is time; in the shell, print what is switched on."""
        if self._next is None:
            self._next = now
        if now < self._next:
            return []
        self._next = max(self._next + PERIOD_S, now)
        measured = [(anchor, self._measure(anchor)) for anchor in self._anchors]
        heard = sorted((metres, anchor) for anchor, metres in measured if metres is not None)
        self._cycle = [(anchor, max(metres, 0.0)) for metres, anchor in heard[:ANCHORS_CHOSEN]]
        printed = {"les": self._les, "lec": self._lec, "lep": self._lep}
        return [_reply(printed[name]()) for name in sorted(self._streams) if self._cycle]

    def feed(self, data: bytes) -> list[Reply]:
        """Take one write of the host: the binary mode takes its end for that of the request."""
        if not self._shell:
            return self._answer_binary(data)
        lines, self._line = take_lines(self._line, data.replace(b"\n", b"\r"), b"\r")
        replies: list[Reply] = []
        for number, line in enumerate(lines):
            replies += self._answer_shell(line.strip(b"\n"))
            if not self._shell:  # `quit`, and the rest is for the binary mode
                after = b"\r".join([*lines[number + 1 :], self._line])
                self._line = b""
                return replies + (self._answer_binary(after) if after else [])
        return replies

    def _answer_binary(self, request: bytes) -> list[Reply]:
        if request == b"\r\r":
            self._shell = True
            text = b"\r\n\r\n DWM1001 TWR Real Time Location System\r\n\r\n" + PROMPT
            return [_reply(text, SHELL_S)]
        if request == b"\x0c\x00":
            return [_reply(self._location())]
        fixed = {
            b"\x02\x00": b"\x41\x0d" + bytes(13),  # position: none, for want of anchors' places
            b"\x08\x00": b"\x46\x02\xd2\x00",  # configuration: a tag that ranges and is led
            b"\x30\x00": b"\x4e\x08" + ADDRESS,
            b"\x32\x00": b"\x5a\x01\x03",
        }
        if request in fixed:
            return [_reply(b"\x40\x01\x00" + fixed[request])]
        return [_reply(BROKEN)]

    def _location(self) -> bytes:
        frame = b"\x40\x01\x00\x41\x0d" + struct.pack("<iiiB", 0, 0, 0, 0)
        frame += bytes([0x49, 1 + 20 * len(self._cycle), len(self._cycle)])
        for anchor, metres in self._cycle:
            millimetres = round(metres * 1000.0)
            frame += struct.pack("<HIBiiiB", int(anchor, 16), millimetres, 100, 0, 0, 0, 100)
        return frame

    def _answer_shell(self, line: bytes) -> list[Reply]:
        text = ANSWERS.get(line.strip(), b"unknown command\r\n" if line.strip() else b"")
        command = line.decode("ascii", "replace").strip()
        if command == "quit":
            self._shell = False
            self._streams.clear()
            return [_reply(b"quit\r\n")]
        if command == "reset":
            self.reboot()
            return []
        if command in ("les", "lec", "lep"):
            text = b""
            self._streams ^= {command}
        return [_reply(line + b"\r\n" + text + PROMPT)]

    def _les(self) -> bytes:
        return (
            b" ".join(
                b"%b[0.00,0.00,0.00]=%.2f" % (anchor.encode(), metres)
                for anchor, metres in self._cycle
            )
            + b" \r\n"
        )

    def _lep(self) -> bytes:
        return b"POS,0.00,0.00,0.00,0\r\n"

    def _lec(self) -> bytes:
        groups = b"".join(
            b",AN%d,%b,0.00,0.00,0.00,%.2f" % (number, anchor.encode(), metres)
            for number, (anchor, metres) in enumerate(self._cycle)
        )
        return b"DIST,%d%b\r\n" % (len(self._cycle), groups)


def _reply(data: bytes, delay: float = ANSWER_S) -> Reply:
    return delay + line_time(len(data), BAUD), data
