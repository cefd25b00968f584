# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether anchors and ranges can belong together, by the first fixes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.types import FloatArray, Ranges, Site
from locdreamer_ros.units import check_units, hang, out_of_reach

FIXES = 20
"""Fixes that are judged by: some seconds, as the pace is."""


class Judge:
    """Looks at what one tag's ranges say of a site until that is found possible."""

    def __init__(self, site: Site, where: str) -> None:
        self._site, self._where = site, where
        self._heard: list[tuple[float, FloatArray]] | None = []
        """Time and ranges of the first fixes; None: they are possible."""
        self.impossible = ""
        """Why anchors and ranges cannot belong together: no pose is published then."""

    def hear(self, time: float, ranges: Ranges) -> None:
        """Take in the ranges of a fix at `time` s, and look again where there are `FIXES`."""
        if self._heard is None or ranges.differences:
            return
        row = np.full(len(self._site.anchors), np.nan)
        good = ranges.usable()
        row[good.anchor] = good.value
        self._heard.append((time, row))
        if len(self._heard) >= FIXES:
            self.impossible = _impossible(self._site, self._heard, self._where)
            self._heard = [] if self.impossible else None


def _impossible(site: Site, heard: Sequence[tuple[float, FloatArray]], where: str) -> str:
    """What cannot be, in words; empty: all can.

    heard: time s and ranges (A,) m of each fix; where: what the anchors come from.
    """
    times, ranges = np.array([time for time, _ in heard]), np.array([row for _, row in heard])
    try:
        check_units(site.anchors, times, ranges, where, "uwb/ranges")
    except InputError as reason:
        return str(reason)
    if out_of_reach(site, ranges):
        return (
            f"tag_height {site.tag_height:g}: {hang(site.anchors)}, and most ranges are shorter "
            "than that is away; set it"
        )
    return ""
