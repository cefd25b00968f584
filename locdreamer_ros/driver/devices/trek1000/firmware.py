# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A TREK1000 tag as `locdreamer_ros.driver.devices.trek1000.codec` sees it, over USB."""

from __future__ import annotations

from collections.abc import Sequence

from locdreamer_ros.driver.firmware import Measure, Reply
from locdreamer_ros.errors import InputError

PERIOD_S = 0.1
"""At 6.8 Mb/s; 0.28 s at 110 kb/s."""


class Trek1000Firmware:
    """Tag 0 with the anchors A0 to A3, or to A7 as clones have them."""

    def __init__(self, anchors: Sequence[str], measure: Measure) -> None:
        names = [f"A{number}" for number in range(8)]
        if unknown := [anchor for anchor in anchors if anchor not in names]:
            raise InputError(f"trek1000: anchors are A0 to A7, got {unknown[0]!r}")
        self._names = names if any(anchor in names[4:] for anchor in anchors) else names[:4]
        self._anchors = set(anchors)
        self._measure = measure
        self.reboot()

    def reboot(self) -> bytes:
        """It prints nothing at boot."""
        self._cycle = 0
        self._next: float | None = None
        return b""

    def feed(self, data: bytes) -> list[Reply]:
        """Nothing: it does not listen."""
        return []

    def tick(self, now: float) -> list[Reply]:
        """One `mc` line per period."""
        if self._next is None:
            self._next = now
        if now < self._next:
            return []
        self._next = max(self._next + PERIOD_S, now)
        self._cycle += 1
        mask, words = 0, []
        for number, anchor in enumerate(self._names):
            metres = self._measure(anchor) if anchor in self._anchors else None
            if metres is not None:
                mask |= 1 << number
            absent = 0 if len(self._names) == 4 else 0xFFFFFFFF
            words.append(absent if metres is None else round(max(metres, 0.0) * 1000.0))
        text = f"mc {mask:02x} " + " ".join(f"{word:08x}" for word in words)
        text += f" {self._cycle % 65536:04x} {self._cycle % 256:02x}"
        text += f" {round(now * 1000.0) % (1 << 32):08x} t0:0\r\n"
        return [(0.001, text.encode())]
