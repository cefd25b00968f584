# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which anchors do not fit: counted in snapshots that others agree on, named, cleared again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from locdreamer_ros.integrity.snapshot import Snapshot
from locdreamer_ros.types import Site

SHORT_M, LONG_M = -0.8, 3.0
"""Residuals beyond these are not those of walls: nothing shortens a range, little lengthens it
so far."""
NAMED, MOST = 4, 10
"""So many votes name an anchor; no more are counted. None clears it."""
FITTING = 0.6
"""Mean cost of the anchors that agree, beyond which nobody is to be blamed."""
BIASED_M = 0.5
"""A common offset beyond this takes one more witness."""


class Naming:
    """Votes by anchor, and the anchors named."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._votes: Counter[int] = Counter()
        self.named: frozenset[int] = frozenset()

    def judges(self, snapshot: Snapshot) -> bool:
        """Whether a snapshot has the redundancy to blame an anchor."""
        others = snapshot.anchors - snapshot.good
        return (
            snapshot.mirror is None
            and snapshot.fit < FITTING
            and snapshot.good >= self._site.dimensions + 1
            and snapshot.good >= 2 * others + (abs(snapshot.offset) > BIASED_M)
        )

    def blame(self, residual: Mapping[int, float]) -> None:
        """One vote for each anchor whose residual m is off, one less for each that fits."""
        for anchor, value in residual.items():
            off = value < SHORT_M or value > LONG_M
            self._votes[anchor] = min(max(self._votes[anchor] + (1 if off else -1), 0), MOST)
        self._count()

    def accuse(self, anchor: int) -> None:
        """Name an anchor whose ranges leapt away while those of the others went on."""
        self._votes[anchor] = max(self._votes[anchor], NAMED)
        self._count()

    def calm(self, residual: Mapping[int, float]) -> None:
        """All is explained: an anchor that fits has a vote less."""
        for anchor, value in residual.items():
            if SHORT_M <= value <= LONG_M:
                self._votes[anchor] = max(self._votes[anchor] - 1, 0)
        self._count()

    def _count(self) -> None:
        named = set(self.named)
        for anchor, votes in self._votes.items():
            if votes >= NAMED:
                named.add(anchor)
            elif votes == 0:
                named.discard(anchor)
        self.named = frozenset(named)
