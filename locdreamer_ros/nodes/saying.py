# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong, in words; and when a node logs it: once it has lasted, again, when it is over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from time import monotonic
from typing import Any

from locdreamer_ros.integrity.status import State, Status, far_off

SAY_AFTER_S, SAY_AGAIN_S = 2.0, 30.0
"""It may be over at once, and nobody reads every line."""
APART_S = 1.0
"""Between two lines on dropped messages, whoever sends what."""
NUMBER = re.compile(r"(?<!['\w])\d[\d.]*")
"""One that stands alone: what differs by it is the same complaint. Ids have quotes."""
MOST_REASONS = 100
"""Reasons of dropped messages that are remembered."""


def _plain(text: str) -> str:
    return NUMBER.sub("", text)


def off_time(status: Status) -> str:
    """What is wrong with the stamps of ranges, in words; empty: nothing."""
    if status.skew:
        way = "ahead of" if status.skew > 0.0 else "behind"
        return f"ranges are stamped {abs(status.skew):.1f} s {way} the time of this node"
    if status.coarse:
        return "an anchor has several ranges at one time: does the driver's clock count by steps?"
    return ""


def trouble(status: Status, ids: Sequence[str]) -> str:
    """What is wrong with ranges or estimate, in words; empty: nothing. ids: of the anchors."""
    if said := off_time(status):
        return said
    said = {
        State.DOUBTFUL: "the ranges do not agree with the estimate, or with two alike",
        State.COASTING: f"no usable range for {status.silence:.1f} s",
        State.LOST: f"no usable range for {status.silence:.1f} s: looking for a new first fix",
    }.get(status.state, "")
    if status.excluded:
        names = ", ".join(ids[row] for row in status.excluded)
        said = f"ranges of {names} do not fit and are held back"
    return "; ".join(filter(None, (said, far_off(status.far, ids))))


class Sayer:
    """What one node has said. logger: rclpy's."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._complaint, self._due, self._said = "", 0.0, False
        self._next_drop = 0.0
        self._reasons: dict[str, float] = {}
        """When each is said again (monotonic)."""

    def state(self, warning: str) -> None:
        """How it is now, each second; empty: all is well."""
        now = monotonic()
        if _plain(warning) != _plain(self._complaint):
            if self._said and not warning:
                self._logger.info(f"over: {self._complaint}")
            self._due = now + SAY_AFTER_S
            self._said = self._said and bool(warning)
        self._complaint = warning
        if warning and now >= self._due:
            self._due, self._said = now + SAY_AGAIN_S, True
            self._logger.warning(warning)

    def dropped(self, reason: str) -> None:
        """A message is not used: each reason at once, and not again for a while."""
        now, kind = monotonic(), _plain(reason)
        if now < self._next_drop or now < self._reasons.get(kind, now):
            return
        if len(self._reasons) >= MOST_REASONS:
            self._reasons.clear()
        self._next_drop, self._reasons[kind] = now + APART_S, now + SAY_AGAIN_S
        self._logger.warning(f"dropped: {reason}")
