# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A Makerfabs ESP32 UWB tag as `driver.devices.sketch_stream.codec` sees it: links in JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence

from locdreamer_ros.driver.firmware import Measure, Reply, Reporting, line_time
from locdreamer_ros.errors import InputError

BAUD = 115200


class SketchStreamFirmware(Reporting):
    """Ten lines a second with all anchors in each."""

    def __init__(self, anchors: Sequence[str], measure: Measure) -> None:
        if unknown := [a for a in anchors if not re.fullmatch("[0-9A-F]{1,4}", a)]:
            raise InputError(f"sketch-stream: anchors are hexadecimal digits, got {unknown[0]!r}")
        super().__init__(anchors, measure)

    def _report(self, heard: dict[str, float], now: float) -> list[Reply]:
        links = ",".join(f'{{"A":"{anchor}","R":"{m:.2f}"}}' for anchor, m in heard.items())
        data = f'{{"links":[{links}]}}\r\n'.encode()
        return [(line_time(len(data), BAUD), data)]
