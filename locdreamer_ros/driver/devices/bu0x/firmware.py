# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An Ai-Thinker BU04 tag as `locdreamer_ros.driver.devices.bu0x.codec` sees it."""

from __future__ import annotations

from collections.abc import Sequence

from locdreamer_ros.driver.devices.bu0x.codec import BODY, END, HEAD
from locdreamer_ros.driver.firmware import Measure, Reply, Reporting, line_time
from locdreamer_ros.errors import InputError

BAUD = 115200


class Bu0xFirmware(Reporting):
    """Tag 0 with the anchors 0 to 7, ten frames a second, without filter and position."""

    def __init__(self, anchors: Sequence[str], measure: Measure) -> None:
        if unknown := [a for a in anchors if a not in "01234567" or len(a) != 1]:
            raise InputError(f"bu0x: anchors are 0 to 7, got {unknown[0]!r}")
        super().__init__(anchors, measure)

    def _report(self, heard: dict[str, float], now: float) -> list[Reply]:
        places = [heard.get(str(place)) for place in range(8)]
        mask = sum(1 << place for place, metres in enumerate(places) if metres is not None)
        raw = [0 if metres is None else round(metres * 1000.0) for metres in places]
        time_ms, sequence = round(now * 1000.0) % (1 << 32), self._count % 256
        body = BODY.pack(time_ms, 0, 0, sequence, mask, *raw, 0, *[0] * 8, 0, 0, 0, 0, 0, 0, 0)
        frame = HEAD + bytes([len(body)]) + body + bytes([sum(body) % 256]) + END
        return [(line_time(len(frame), BAUD), frame)]
