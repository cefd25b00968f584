# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether what comes can be: anchors and ranges together, by the first fixes; wheels and gyro."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.motion import LEAST_STEP_S, MAX_GAP_S, MAX_SPEED_M_S
from locdreamer_ros.types import FloatArray, Ranges, Site
from locdreamer_ros.units import FAST_TURN, check_units, hang, out_of_reach

FIXES = 20
"""Fixes that are judged by: some seconds, as the pace is."""
SLOW_M_S, STOOD_M = 0.05, 1.0
"""A twist that is no noise; so far it goes while the pose is to the last bit the same."""
JUMPS = 5
"""So many in a row, and nobody sets odometry anew."""
SPUN_S, SPUN_PART = 1.0, 0.1
"""So long, and in so much of the time, nothing that carries a tag turns faster than `FAST_TURN`."""


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
        if self._heard is None or ranges.free:
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


class MotionJudge:
    """Looks at what a robot says of its motion, message by message."""

    def __init__(self) -> None:
        self._pose: tuple[float, tuple[float, float, float]] | None = None
        """Time s and pose of the last odometry."""
        self._stood = 0.0
        """m that its twist went while the pose stayed."""
        self._jumps = 0
        self._gyro_at = math.nan
        self._heard = self._spun = 0.0
        """s that the gyro was heard, and that it turned too fast."""

    def wheels(self, time: float, pose: tuple[float, float, float], speed: float) -> None:
        """Odometry at `time` s: pose m, m, rad; speed m/s of its twist. Raises InputError."""
        before, self._pose = self._pose, (time, pose)
        if before is None or not time > before[0]:
            return
        step, last = time - before[0], before[1]
        moves = speed > SLOW_M_S  # not where it is NaN
        if pose == last:
            self._stood += min(step, MAX_GAP_S) * speed if moves else 0.0
        else:
            self._stood = 0.0
        if self._stood > STOOD_M:
            raise InputError("its pose stands still while its twist moves; a pose is needed")
        gone = math.hypot(pose[0] - last[0], pose[1] - last[1])
        self._jumps = self._jumps + 1 if gone > MAX_SPEED_M_S * max(step, LEAST_STEP_S) else 0
        if self._jumps >= JUMPS:
            raise InputError(f"it goes {gone:.3g} m in {step:.2g} s, again and again: is it in m?")

    def gyro(self, time: float, rate: float) -> None:
        """A gyro's rad/s at `time` s. Raises InputError."""
        step = min(time - self._gyro_at, MAX_GAP_S)
        self._gyro_at = time
        if step > 0.0:
            self._heard += step
            self._spun += step if abs(rate) > FAST_TURN else 0.0
        if self._spun > max(SPUN_S, SPUN_PART * self._heard):
            raise InputError(
                f"it turns by more than {FAST_TURN:g} rad/s again and again: are they degrees?"
            )
