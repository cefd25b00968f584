# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether anchors and ranges can belong together: units and heights, judged by the first fixes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.types import FloatArray, Ranges, Site
from locdreamer_ros.units import check_units, hang, out_of_reach

FIXES = 20
"""Fixes that are judged by: some seconds, as the pace is."""


def row_of(ranges: Ranges, count: int) -> FloatArray:
    """The usable ranges (count,) m by anchor, NaN where there is none."""
    row = np.full(count, np.nan)
    good = ranges.usable()
    row[good.anchor] = good.value
    return row


def impossible(site: Site, heard: Sequence[tuple[float, FloatArray]], where: str) -> str:
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
