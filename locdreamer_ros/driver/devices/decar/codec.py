# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
r"""DECAR/MRASL firmware for the DW1000 (`shalabymhd/uwb_firmware`): the host picks every anchor.

    > C05|<anchor>|<anchor also measures>|<double-sided>|<impulse response>\r
    < R05|<anchor>|<m>|tx1|rx1|tx2|rx2|tx3|rx3|fpp1|fpp2|skew1|skew2\r\n
    < COMMANDED TASK FAILED AFTER 5 ATTEMPTS.\r\n

tx, rx: low 32 bits of the clocks in 15.65 ps ticks (they wrap every 67 ms); fpp1, fpp2: first-path
power dBm at the anchor and at the tag; skew: parts per million; numbers have four decimals. There
is no checksum, but the six stamps determine the range by the firmware's own formula: a line whose
stamps say otherwise is damaged.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

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
from locdreamer_ros.driver.lines import LineCodec, plausible

CAPABILITIES = Capabilities(
    schedulable=True,
    max_anchors=255,  # ids are one byte on air
    max_rate=250.0,
    baud=115200,  # USB: any
    range_timeout=0.06,  # 6 attempts of 6.5 ms, and a slow host
)

TICK_M = 299_702_547.0 / (499.2e6 * 128)
"""Light's way in air in one tick, as the firmware has it."""
TOLERANCE_M = 0.002
"""Of the firmware's four decimals, cut off, and its single precision."""
_WRAP = 1 << 32

_NUMBER = rb"-?\d{1,5}\.\d{4}"
_RANGE = re.compile(
    rb"R05\|(\d{1,3})\|(-?\d{1,7}\.\d{4})((?:\|\d{1,10}){6})"
    rb"\|(%b)\|(%b)\|%b\|%b" % (_NUMBER, _NUMBER, _NUMBER, _NUMBER)
)
_RANGE_OF = re.compile(rb"R05\|(\d{1,3})\|")
_IDENTITY = re.compile(rb"R01\|(\d{1,3})")
_FAILED = b"COMMANDED TASK FAILED AFTER 5 ATTEMPTS."
_SELF = b"TWR FAIL: The target ID is the same as the initiator's ID."
_ROUTED = (b"R00", b"R02", b"R03", b"R04", b"R06", b"R07", b"R08", b"R09")
_UNSOLICITED = (b"S01|", b"S05|", b"S06|", b"S10|")
_STARTS = (b"R0", b"S0", b"S10|", b"COMMANDED", b"TWR FAIL")


class DecarCodec(LineCodec):
    """Anchors are decimal board numbers, "0" to "255"."""

    capabilities = CAPABILITIES

    def __init__(self) -> None:
        super().__init__(cap=8192)  # S10 holds a whole impulse response
        self._asked: str | None = None

    def start(self) -> bytes:
        """Ask for the board number."""
        self._lines.reset()
        self._asked = None
        return b"C01\r"

    def request(self, anchor: str) -> bytes:
        """One double-sided range; empty for what is no board number."""
        if not re.fullmatch("0|[1-9][0-9]{0,2}", anchor) or int(anchor) > 255:
            return b""
        self._asked = anchor
        return b"C05|%d|0|1|0\r" % int(anchor)

    def cancel(self) -> None:
        """Forget the exchange in flight."""
        self._asked = None

    def _take(self, line: bytes, events: list[Event]) -> None:
        # Garbage without an end of its own may stand before a reply: the last start counts.
        begin = max(line.rfind(start) for start in _STARTS)
        if begin > 0 and not line.startswith(b"S06|"):  # whose text is another board's
            events.append(DroppedEvent(begin, "garbage before a reply"))
            line = line[begin:]
        if found := _RANGE.fullmatch(line):
            self._take_range(found, events)
        elif found := _IDENTITY.fullmatch(line):
            events.append(ReadyEvent(f"DECAR/MRASL firmware, board {int(found[1])}"))
        elif line == _FAILED:
            # It does not say whose: the firmware drops an older command for a newer one.
            self._end("no answer in the firmware's attempts", len(line), events)
        elif line == _SELF:
            self._end("this anchor is the module itself", len(line), events)
        elif (about := _RANGE_OF.match(line)) and str(int(about[1])) == self._asked:
            self._end("malformed answer", len(line), events, Failure.UNUSABLE)
        elif not line.startswith(_UNSOLICITED) and line[:3] not in _ROUTED:
            events.append(DroppedEvent(len(line), "no reply of this firmware"))

    def _take_range(self, found: re.Match[bytes], events: list[Event]) -> None:
        anchor, metres = str(int(found[1])), float(found[2])
        if anchor != self._asked:
            events.append(DroppedEvent(len(found[0]), LATE))
        elif not _agrees(metres, [int(ticks) for ticks in found[3].split(b"|")[1:]]):
            self._end("stamps that contradict the range", len(found[0]), events, Failure.UNUSABLE)
        elif not plausible(metres):
            self._end(f"impossible range {metres} m", len(found[0]), events, Failure.UNUSABLE)
        else:
            self._asked = None
            powers = [p for p in (float(found[4]), float(found[5])) if -150.0 < p < 0.0]
            power = sum(powers) / len(powers) if powers else math.nan
            events.append(RangeEvent(anchor, metres, first_path_power=power))

    def _end(
        self, reason: str, size: int, events: list[Event], kind: Failure = Failure.SILENT
    ) -> None:
        if self._asked is None:
            events.append(DroppedEvent(size, "late failure"))
        else:
            events.append(FailEvent(self._asked, reason, kind))
            self._asked = None


def stamped_range(stamps: Sequence[int]) -> float:
    """The range m of the six stamps (tx1, rx1, tx2, rx2, tx3, rx3) of a double-sided exchange.

    Half of the round trip less the turn at the anchor, its clock scaled by that between the second
    and the third message; infinite where those two have one stamp.
    """
    tx1, rx1, tx2, rx2, tx3, rx3 = stamps
    way, apart = (rx2 - tx1) % _WRAP, (rx3 - rx2) % _WRAP
    turn, theirs = (tx2 - rx1) % _WRAP, (tx3 - tx2) % _WRAP
    return 0.5 * (way - apart / theirs * turn) * TICK_M if theirs else math.inf


def _agrees(metres: float, stamps: Sequence[int]) -> bool:
    """Whether the line's range is that of its stamps; single-sided ones have no third pair."""
    if any(ticks >= _WRAP for ticks in stamps):
        return False
    if stamps[4] == stamps[5] == 0:
        return True
    return abs(stamped_range(stamps) - metres) <= TOLERANCE_M
