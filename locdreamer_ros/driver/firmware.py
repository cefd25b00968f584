# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a simulated firmware is: the device's side of the wire, pure, with the device's timing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

Measure = Callable[[str], "float | None"]
"""The range m that the radio would measure to an anchor now; None where it does not answer."""

Reply = tuple[float, bytes]
"""s after the call at which the last of these bytes has crossed the wire, and the bytes."""


BUFFER = 256
"""Bytes that a device keeps of a command without an end."""


class Firmware(Protocol):
    """One per protocol, made from (anchor ids, measure). It has no port, and its clock is `tick`.

    A device works off its commands one after another: whoever writes the replies keeps their order
    and starts a delay no earlier than the reply before it has gone out.
    """

    def feed(self, data: bytes) -> list[Reply]:
        """Take what the host wrote, in any pieces; returns the answers in order."""

    def tick(self, now: float) -> list[Reply]:
        """What the device says by itself up to `now` s, any clock that does not go back.

        To be called before every `feed` (it tells the device the time) and every 10 ms or more
        often; returns nothing where the host must ask.
        """

    def reboot(self) -> bytes:
        """Lose all state, as by switching off and on; returns what the device prints at boot."""


class Reporting:
    """The part of a simulated firmware in which those that report by themselves are alike.

    One report a `period` from the first `tick` on, which `_report` makes of what was measured.
    """

    period = 0.1

    def __init__(self, anchors: Sequence[str], measure: Measure) -> None:
        self._anchors = tuple(anchors)
        self._measure = measure
        self.reboot()

    def reboot(self) -> bytes:
        """It prints nothing at boot."""
        self._next: float | None = None
        self._count = 0
        return b""

    def feed(self, data: bytes) -> list[Reply]:
        """Nothing: it does not listen."""
        return []

    def tick(self, now: float) -> list[Reply]:
        """What is due."""
        if self._next is None:
            self._next = now
        if now < self._next:
            return []
        self._next = max(self._next + self.period, now)
        self._count += 1
        measured = ((anchor, self._measure(anchor)) for anchor in self._anchors)
        heard = {anchor: max(metres, 0.0) for anchor, metres in measured if metres is not None}
        return self._report(heard, now)

    def _report(self, heard: dict[str, float], now: float) -> list[Reply]:
        """The replies of one cycle: m by anchor of those that answered."""
        raise NotImplementedError


def take_lines(begun: bytes, data: bytes, end: bytes) -> tuple[list[bytes], bytes]:
    """Commands without their ends, and the one that has begun; a device's buffer is small."""
    *lines, rest = (begun + data).split(end)
    return lines, rest[-BUFFER:]


def line_time(size: int, baud: int) -> float:
    """Seconds that `size` bytes take on a UART with one start and one stop bit."""
    return 10.0 * size / baud
