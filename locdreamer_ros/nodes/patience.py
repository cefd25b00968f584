# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long an answer is waited for before the next question goes out."""

from __future__ import annotations

from time import perf_counter

LEAST_S, MOST_S = 0.05, 1.0
"""A question that is younger, or younger than twice what answers take, is not given up: its answer
is on its way. What is learned of that ends at the second."""
LEARNED = 0.2
"""Weight of the last answer in what answers take."""


class Patience:
    """Learned from the answers that came, late ones too."""

    def __init__(self) -> None:
        self._took = 0.0

    def answered(self, since: float) -> None:
        """An answer to what was asked at `since` (perf_counter) has come."""
        self._took += LEARNED * (min(perf_counter() - since, MOST_S) - self._took)

    def lasts(self, since: float) -> bool:
        """Whether the answer to what was asked at `since` may still be on its way."""
        return perf_counter() - since < max(LEAST_S, 2.0 * self._took)
