# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When a node logs what is wrong: once it has lasted, again after a while, when it is over."""

from __future__ import annotations

import re
from time import monotonic
from typing import Any

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
