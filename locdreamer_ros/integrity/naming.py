# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which anchors do not fit: counted in snapshots that others agree on, named, cleared again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping

from locdreamer_ros.integrity.lasting import Lasting
from locdreamer_ros.integrity.snapshot import Snapshot
from locdreamer_ros.types import FloatArray, Site

SHORT_M, LONG_M = -0.8, 4.3
"""Residuals beyond these are not those of walls: nothing shortens a range, little lengthens it
so far."""
NAMED, NAMED_LONG = 4, 7
"""So many votes name an anchor that is short, or long, as a wall makes it for a second or two; none
clears it."""
LINGERS_M, LINGERS_S = 4.0, 2.0
"""An anchor that the track, right by the others, finds so long for so long is named too."""
SHRINKS_M, SHRINKS_TESTS, AS_LONG = -0.3, 3, 1.5
"""The only anchor that the track finds so short, at so many tests in a row with new ranges, is
named: nothing shortens a range. Unless another is longer by so many times as much: that one may
have dragged the track."""
SENTENCE, LONGEST = 10, 80
"""Tests in which a named anchor must fit to be cleared; twice as many each time it is named."""
FITS_M = (-0.4, 1.5)
"""Residuals of an anchor that fits again."""
AGREES_M = 0.7
"""An anchor whose ranges of the window are off by no more agrees with the track."""
FITTING_COST = 0.6
"""Mean cost of the anchors that agree, beyond which nobody is to be blamed."""
BIASED_M = 0.5
"""A common offset beyond this takes one more witness."""


class Naming:
    """Votes by anchor, and the anchors named."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._votes: Counter[int] = Counter()
        self._times: Counter[int] = Counter()
        self._voted: dict[int, float] = {}
        self._long: dict[int, float] = {}
        self._short: dict[int, tuple[float, int]] = {}
        self.lasting = Lasting(len(site.anchors))
        self.suspects: frozenset[int] = frozenset()
        """Whose ranges all are long of late; a named anchor among them is not cleared."""
        self.named: frozenset[int] = frozenset()

    @property
    def calm(self) -> bool:
        """Whether there is nothing against anybody."""
        return not (self.named or self._votes or self._long or self._short or self.suspects)

    def begin(self) -> None:
        """The track begins here."""
        self.lasting.clear()
        self.suspects = frozenset()

    def judges(self, snapshot: Snapshot) -> bool:
        """Whether a snapshot has the redundancy to blame an anchor."""
        others = snapshot.anchors - snapshot.good
        return (
            snapshot.mirror is None
            and snapshot.good >= self._site.dimensions + 1
            and snapshot.good >= 2 * others + (abs(snapshot.offset) > BIASED_M)
            and snapshot.fit < FITTING_COST
        )

    def blame(self, residual: Mapping[int, float], heard: Mapping[int, float] | FloatArray) -> None:
        """One vote for each anchor whose residual m is off, one less for each that fits.

        heard: when each was heard last, s: the same ranges vote once.
        """
        for anchor, value in residual.items():
            if value < SHORT_M or value > LONG_M:
                if heard[anchor] == self._voted.get(anchor):
                    continue
                self._voted[anchor] = heard[anchor]
                self._votes[anchor] += 1
                if self._votes[anchor] >= (NAMED if value < 0.0 else NAMED_LONG):
                    self.accuse(anchor, residual)
            else:
                self._forgive_one(anchor, value)

    def name_long(
        self, residual: Mapping[int, float], heard: Mapping[int, float] | FloatArray
    ) -> bool:
        """Name an anchor whose residual m by the track stays long from one range to a later one.

        heard: when each was heard last, s. Snapshots need more witnesses than the track does; but
        without one of four a field of long ranges leads the track anywhere: True where there are no
        more.
        """
        if not self._long and max(residual.values(), default=0.0) <= LINGERS_M:
            return False
        few = len(residual) < self._site.dimensions + 3
        stays = False
        for anchor, off in residual.items():
            if off <= LINGERS_M or not self.others_agree(anchor, residual):
                self._long.pop(anchor, None)
            elif heard[anchor] - self._long.setdefault(anchor, heard[anchor]) >= LINGERS_S:
                stays = True
                if not few:
                    self.accuse(anchor, residual)
        return stays and few

    def name_short(
        self,
        residual: Mapping[int, float],
        heard: Mapping[int, float] | FloatArray,
        common: float,
    ) -> None:
        """Name an anchor whose residual m by the track stays short, and of no other so.

        heard: when each was heard last, s; common m: what is off the residuals as all share it.
        """
        # Where most are long, those that are right look short beside them.
        beside = max(common, 0.0)
        if not self._short and min(residual.values(), default=0.0) + beside >= SHRINKS_M:
            return
        off = {anchor: v + beside for anchor, v in residual.items() if anchor not in self.named}
        short = [anchor for anchor, value in off.items() if value < SHRINKS_M]
        before, self._short = self._short, {}
        if len(short) != 1 or len(off) < self._site.dimensions + 3:
            return
        anchor = short[0]
        others = [value for other, value in off.items() if other != anchor]
        agree = sum(abs(value - beside) < AGREES_M for value in others)
        if agree < self._site.dimensions or max(others) > AS_LONG * -off[anchor]:
            return
        last, tests = before.get(anchor, (-math.inf, 0))
        tests += heard[anchor] > last
        self._short[anchor] = heard[anchor], tests
        if tests >= SHRINKS_TESTS:
            self.accuse(anchor, residual)

    def name_drifting(
        self,
        residual: Mapping[int, float],
        heard: Mapping[int, float] | FloatArray,
        now: float,
        place: FloatArray,
    ) -> None:
        """Name an anchor all of whose ranges have been long for long, wherever the tag went.

        Unless another is short: that one may have dragged the track. heard: when each was heard
        last, s; place m: where the track is at `now` s.
        """
        self.suspects = self.lasting.suspects(now, heard)
        suspects = sorted(self.suspects - self.named)
        if not suspects or len(residual) < self._site.dimensions + 3:
            return
        if min(v for anchor, v in residual.items() if anchor not in self.named) < SHRINKS_M:
            return
        for anchor in suspects:
            if self.lasting.lasts(anchor, now, place) and self.others_agree(anchor, residual):
                self.accuse(anchor, residual)

    def others_agree(self, anchor: int, residual: Mapping[int, float]) -> bool:
        """Whether the track fits the other anchors of the window, by residual m."""
        others = [off for other, off in residual.items() if other != anchor]
        agree = sum(abs(off) < AGREES_M for off in others)
        return agree >= self._site.dimensions and 3 * agree >= 2 * len(others)

    def accuse(self, anchor: int, heard: Collection[int]) -> None:
        """Name an anchor, if enough of those heard lately are left to tell where the tag is."""
        left = len(set(heard) - self.named - {anchor})
        if anchor not in self.named and left >= self._site.dimensions + 1:
            self._votes[anchor] = min(SENTENCE * 2 ** self._times[anchor], LONGEST)
            self._times[anchor] += 1
            self.named |= {anchor}

    def forgive(self, residual: Mapping[int, float]) -> None:
        """All is explained: an anchor whose residual m fits has a vote less."""
        if not self._votes:
            return
        for anchor, value in residual.items():
            self._forgive_one(anchor, value)

    def _forgive_one(self, anchor: int, value: float) -> None:
        if not self._votes.get(anchor) or anchor in self.named & self.suspects:
            return  # nor is it named; or it is, and still long
        low, high = FITS_M if anchor in self.named else (SHORT_M, LONG_M)
        if low <= value <= high:
            self._votes[anchor] -= 1
            if self._votes[anchor] == 0:
                del self._votes[anchor]
                self.named -= {anchor}
