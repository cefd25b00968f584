# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What protocols of binary frames share: finding whole frames in bytes that come in any pieces."""

from __future__ import annotations

from locdreamer_ros.driver.codec import DroppedEvent, Event


class FrameCodec:
    """Finds frames; `_size` knows where one ends, `_take` is given each."""

    garbage = "no frame of this device"
    """What bytes are called that are no frame."""
    lacks = ""

    def __init__(self) -> None:
        self._buffer = b""

    def start(self) -> bytes:
        """Forget the frame that has begun; nothing to send, unless a protocol knows better."""
        self._buffer = b""
        return b""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes as they come; returns what they complete."""
        self._buffer += data
        events: list[Event] = []
        begin = dropped = 0
        while begin < len(self._buffer):
            size = self._size(self._buffer, begin)
            if size > 0:
                events += self._dropped(dropped)
                self._take(self._buffer[begin : begin + size], events)
                begin, dropped = begin + size, 0
            elif size < 0:
                begin, dropped = begin + 1, dropped + 1
            else:
                break
        self._buffer = self._buffer[begin:]
        return events + self._dropped(dropped)

    def _dropped(self, count: int) -> list[Event]:
        return [DroppedEvent(count, self.garbage)] if count else []

    def _size(self, data: bytes, begin: int) -> int:
        """Bytes of the whole frame at `begin`; 0: its end is yet to come; -1: there is none."""
        raise NotImplementedError

    def _take(self, frame: bytes, events: list[Event]) -> None:
        """Add what a whole frame means."""
        raise NotImplementedError


def starts_like(data: bytes, begin: int, head: bytes) -> bool:
    """Whether what has come from `begin` on may be, or begin, a frame with this head."""
    return head.startswith(data[begin : begin + len(head)])
