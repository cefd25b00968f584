# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A Makerfabs MaUWB tag as `locdreamer_ros.driver.devices.mauwb.codec` sees it."""

from __future__ import annotations

from collections.abc import Sequence

from locdreamer_ros.driver.firmware import Measure, Reply, Reporting, line_time
from locdreamer_ros.errors import InputError

BAUD = 115200


class MauwbFirmware(Reporting):
    """Tag 0 with the anchors 0 to 7, reporting ten times a second with signal strengths."""

    def __init__(self, anchors: Sequence[str], measure: Measure) -> None:
        if unknown := [a for a in anchors if a not in "01234567" or len(a) != 1]:
            raise InputError(f"mauwb: anchors are 0 to 7, got {unknown[0]!r}")
        super().__init__(anchors, measure)

    def _report(self, heard: dict[str, float], now: float) -> list[Reply]:
        places = [heard.get(str(place)) for place in range(8)]
        mask = sum(1 << place for place, metres in enumerate(places) if metres is not None)
        ranges = ",".join("0" if m is None else str(round(m * 100.0)) for m in places)
        powers = ",".join("0.00" if m is None else "-77.93" for m in places)
        text = f"AT+RANGE=tid:0,mask:{mask:02X},seq:{self._count % 256},"
        data = f"{text}range:({ranges}),rssi:({powers})\r\n".encode()
        return [(line_time(len(data), BAUD), data)]
