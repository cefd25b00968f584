# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A TREK1000 tag as `locdreamer_ros.driver.devices.trek1000.codec` sees it, over USB."""

from __future__ import annotations

from collections.abc import Sequence

from locdreamer_ros.driver.firmware import Measure, Reply, Reporting
from locdreamer_ros.errors import InputError


class Trek1000Firmware(Reporting):
    """Tag 0 with the anchors A0 to A3, or to A7 as clones have them; a cycle as at 6.8 Mb/s."""

    def __init__(self, anchors: Sequence[str], measure: Measure) -> None:
        names = [f"A{number}" for number in range(8)]
        if unknown := [anchor for anchor in anchors if anchor not in names]:
            raise InputError(f"trek1000: anchors are A0 to A7, got {unknown[0]!r}")
        self._names = names if any(anchor in names[4:] for anchor in anchors) else names[:4]
        self._absent = 0 if len(self._names) == 4 else 0xFFFFFFFF
        super().__init__([name for name in self._names if name in anchors], measure)

    def _report(self, heard: dict[str, float], now: float) -> list[Reply]:
        mask = sum(1 << place for place, name in enumerate(self._names) if name in heard)
        words = [
            round(heard[name] * 1000.0) if name in heard else self._absent for name in self._names
        ]
        text = f"mc {mask:02x} " + " ".join(f"{word:08x}" for word in words)
        text += f" {self._count % 65536:04x} {self._count % 256:02x}"
        text += f" {round(now * 1000.0) % (1 << 32):08x} t0:0\r\n"
        return [(0.001, text.encode())]
