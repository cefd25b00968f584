# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""DWM1001 with PANS in its text shell: the tag chooses up to four anchors, we read its lines.

    1151[5.00,8.00,2.25]=6.48 0CA8[...]=6.51 le_us=2576 est[2.57,1.98,1.68,100]      (les)
    DIST,4,AN0,1151,5.00,8.00,2.25,6.44,AN1,...,POS,2.55,2.01,1.71,98                  (lec)

At power-on it is in binary mode (text is answered by 40 01 01) and `\r\r` opens the shell, which
takes about 1 s. `les` switches the lines on *and off*, so we look before we type: `si` changes
nothing in either mode. There is no checksum: of a broken `les` line the words that stand whole
between spaces are taken, of a broken `lec` line nothing (at high rates its records run together).
"""

from __future__ import annotations

import re
from dataclasses import replace

from locdreamer_ros.driver.codec import (
    DroppedEvent,
    Event,
    ReadyEvent,
    SendEvent,
)
from locdreamer_ros.driver.devices.dwm1001 import codec as dwm1001
from locdreamer_ros.driver.lines import LineCodec, Passive, cycle_events

LOOK = b"si\r"
OPEN_SHELL = b"\r\r"
STREAM = b"les\r"
NO_RANGES = (
    "its shell answers, but prints no ranges: is it set up as a tag (`nmt`), and are anchors of "
    "its network on?"
)
CAPABILITIES = replace(dwm1001.CAPABILITIES, probe=LOOK)

_PROMPT, _BINARY = b"dwm> ", b"\x40\x01\x01"
_MARK = re.compile(rb"dwm> |\x40\x01\x01")
_N = rb"-?\d{1,4}\.\d\d"
_ANCHOR = rb"[0-9A-F]{4}\[%b,%b,%b\]=\d{1,3}\.\d\d" % (_N, _N, _N)
_LES = re.compile(
    rb"((?:%b )*%b)(?: le_us=\d{1,7})?(?: est\[%b,%b,%b,\d{1,3}\])? ?"
    % (_ANCHOR, _ANCHOR, _N, _N, _N)
)
_WORD = re.compile(rb"(?<![^ ])(%b)(?![^ ])" % _ANCHOR)
_LES_HEAD = re.compile(rb"(?:.*[^0-9A-Za-z.,=\]-]|(?:.*\W)?le[scp]?|)", re.DOTALL)
_LEC = re.compile(
    rb"DIST,(\d)((?:,AN\d,[0-9A-F]{4},%b,%b,%b,\d{1,3}\.\d\d){1,9})(?:,POS,%b,%b,%b,\d{1,3})? ?"
    % ((_N,) * 6)
)
_LEP = re.compile(rb"POS,%b,%b,%b,\d{1,3} ?" % ((_N,) * 3))
_LOG = re.compile(rb"\[\d{6}\.\d{3} [A-Z]{3}\] .*")


class Dwm1001ShellCodec(Passive, LineCodec):
    """Anchors are the last four hexadecimal digits of their address, as on the label, "1151"."""

    capabilities = CAPABILITIES

    def __init__(self) -> None:
        super().__init__()
        self._step = 0
        self._ready = False
        self._shell = False  # it showed a prompt
        self._opening = False  # the next prompt is that of a new shell
        self._asked_stream = False
        self._marks = 0  # seen in the line that has begun

    def start(self) -> bytes:
        """Look; next time, as still no ranges came, open the shell or switch the lines on; wait."""
        self._lines.reset()
        shell = self._shell
        self._forget()
        self._step += 1
        if self._step % 3 == 1:
            return LOOK
        if self._step % 3 == 2:
            self._shell, self._opening = shell, not shell
            return STREAM if shell else OPEN_SHELL
        # The shell may just be opening, or a slow tag be about to report.
        self._opening = True
        return b""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes as they come; returns what they complete."""
        events = super().feed(data)
        # Neither prompt nor binary answer ends its line.
        self._look_for_marks(self._lines.rest, events)
        return events

    def _forget(self) -> None:
        self._ready = self._shell = self._opening = self._asked_stream = False
        self._marks = 0

    def _look_for_marks(self, line: bytes, events: list[Event]) -> None:
        marks = _MARK.findall(line)
        for mark in marks[self._marks :]:
            if mark == _BINARY and not self._opening:
                self._forget()  # where it was ready, it has restarted
                self._opening = True
                events.append(SendEvent(OPEN_SHELL))
                self._step = 2  # the next start waits for the shell
            elif mark == _PROMPT:
                self._shell = True
                self.lacks = NO_RANGES
                if self._opening:  # a new shell prints no ranges yet
                    self._opening = False
                    self._stream(events)
        self._marks = len(marks)

    def _stream(self, events: list[Event]) -> None:
        if not (self._ready or self._asked_stream):
            self._asked_stream = True
            self._step = 2
            events.append(SendEvent(STREAM))

    def _take(self, line: bytes, events: list[Event]) -> None:
        self._look_for_marks(line, events)
        self._marks = 0
        begin, reported = _parse(line)
        if begin and not _is_echo(line[:begin]):
            events.append(DroppedEvent(begin, "garbage before a line"))
        if reported:
            self._opening = False
            if not self._ready:
                self._ready, self._step, self.lacks = True, 0, ""
                events.append(ReadyEvent("DWM1001 (PANS, shell mode)"))
            events += cycle_events(reported)
        elif _LEP.fullmatch(line):
            self._stream(events)  # somebody's `lep`: positions without ranges
        elif not _LOG.fullmatch(line) and not _is_echo(line):
            events.append(DroppedEvent(len(line), "no line with ranges"))


def _parse(line: bytes) -> tuple[int, list[tuple[str, float]]]:
    """Where the ranges begin, and anchor and m of each; (0, []) for any other line."""
    if (begin := line.rfind(b"DIST,")) >= 0:
        found = _LEC.fullmatch(line, begin)
        fields = found[2].split(b",")[1:] if found else []
        indices = [int(word[2:]) for word in fields[0::6]]
        if found and indices == list(range(int(found[1]))):
            ranges = zip(fields[1::6], fields[5::6], strict=True)
            return begin, [(anchor.decode(), float(metres)) for anchor, metres in ranges]
    elif (
        (begin := line.find(b"[") - 4) >= 0
        and _LES_HEAD.fullmatch(line, 0, begin)
        and (found := _LES.fullmatch(line, begin))
    ):
        return begin, _words(found[1].split())
    elif words := list(_WORD.finditer(line)):
        return words[0].start(), _words([word[1] for word in words])
    return 0, []


def _words(words: list[bytes]) -> list[tuple[str, float]]:
    return [(word[:4].decode(), float(word.rsplit(b"=")[-1])) for word in words]


def _is_echo(text: bytes) -> bool:
    """Whether this is what the shell prints around a command of ours."""
    return _MARK.sub(b"", text).strip() in (b"", LOOK[:-1], STREAM[:-1], b"lec", b"lep", b"le")
