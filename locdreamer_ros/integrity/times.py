# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stamps say: whose time is believed, which ranges are of now, or known, or of another clock.

All times in s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Set
from dataclasses import dataclass

import numpy as np

from locdreamer_ros.types import MAX_AGE_S, FloatArray, Ranges

APART_S = 0.5
"""Where no range of a turn is nearer to the tracker's time, its clock is another's, perhaps."""
TURNS = 3
"""So many such turns in a row tell; so many more turns than others, where stamps are coarse."""
MOST_TURNS = 20
"""What coarse stamps count up to."""
FAR_S, FORGOTTEN_S = 2.0, 10.0
"""An anchor whose ranges are over a second off, and by the same, for so long has another clock or a
slow way; not heard for so long it is no longer said."""

JUMP_S, BACK_S = 10.0, 1.0
"""A time so far ahead of the last, or so far back, is a leap."""
FEWEST_AGREE, FEW_AGREE, MOST_AGREE = 2, 50, 100
"""So many times in a row that agree make a leap believed; so many a leap back of no more than half
of the anchors; up to so many where leaps went to and fro."""
LATELY_S = 2.0
"""How long before the last time an anchor was heard of late."""
SETTLED = 50
"""So many times after a leap it was none to and fro."""


class Leaps:
    """Whether a time of others, which nobody here asked for, is believed.

    A driver whose clock is set, or whose bag is played again, goes on from there, with all anchors.
    Stamps of a few that are late, or by another clock, come among those of the others, or all at
    once: then more must agree, and after the first time that this was taken for a leap at least
    twice as many as had come before the return.
    """

    def __init__(self) -> None:
        self._needed = FEWEST_AGREE
        self._left: float | None = None
        """The last time before the last leap, while a return is looked for."""
        self._by = 0.0
        """By how much that leap was ahead, s."""
        self._since = 0
        """Times since before that leap."""
        self.settle()

    def settle(self) -> None:
        """The present time is as the last."""
        self._strange: float | None = None
        self._agreed = 0
        self._who: set[int] = set()
        """Whose ranges came with times that agree and are not believed yet."""

    @property
    def looks(self) -> bool:
        """Whether a return is looked for."""
        return self._left is not None

    def passed(self, anchors: Iterable[int]) -> None:
        """Whose ranges (rows) came with a time that was not believed."""
        self._who.update(anchors)

    def believe(self, time: float, last: float, lately: Set[int]) -> bool:
        """Whether `time` is the present one, after `last`; lately: anchors (rows) heard before."""
        leaps = not -BACK_S <= time - last <= JUMP_S
        returns = self._left is not None and abs(time - self._left) <= JUMP_S
        returns = returns and 2.0 * (last - time) / self._by >= 1.0
        if leaps:
            strange, self._strange = self._strange, time
            agrees = strange is not None and strange <= time
            agrees = agrees and (time > last or time - (strange or 0.0) <= JUMP_S)
            if not agrees:
                self._agreed = 0
                self._who.clear()
            self._agreed += 1
            few = time < last and 0 < len(self._who) <= len(lately - self._who)
            needed = max(self._needed, FEW_AGREE) if few else self._needed
            if self._agreed < (FEWEST_AGREE if returns else needed):
                return False
        agreed = self._agreed
        self.settle()
        if returns:
            self._needed = min(max(4 * self._needed, 2 * self._since), MOST_AGREE)
            self._left = None
        elif leaps:
            self._left, self._by, self._since = last, time - last, agreed
        else:
            self._since += 1
            if self._since > SETTLED:
                self._left = None
        return True


@dataclass(frozen=True)
class Far:
    """Ranges of one anchor in a row that were passed over.

    off s: the first one's stamp less the tracker's time; since, last s: from when to when; many.
    """

    off: float
    since: float
    last: float
    many: int

    @property
    def lasts(self) -> bool:
        """Whether it is no burst of late ones."""
        return self.many >= TURNS and self.last - self.since >= FAR_S


class Times:
    """Ranges by their stamps, and what was odd about them."""

    def __init__(self, anchors: int) -> None:
        self.late = self.duplicates = 0
        """Ranges passed over: more than a second off; heard before."""
        self.looks_back = False
        """Whether this turn is of no later time than one before: what it brings may be known."""
        self.remembers = False
        """Whether ranges come unasked, which may come again."""
        self.newest: FloatArray = np.empty((anchors, 2))
        """Stamp s and value m of each anchor's last range; the kernel writes into it too."""
        self.clear()

    def clear(self) -> None:
        """Forget what was heard."""
        self.newest.fill(np.nan)
        self._heard: deque[tuple[float, Ranges]] = deque()
        self._apart = self._coarse = 0
        self._nearest = 0.0
        self._far: dict[int, Far] = {}

    @property
    def far(self) -> tuple[tuple[int, float], ...]:
        """Anchors (rows) whose ranges are passed over, all off by the same: stamps less time, s."""
        if not self._far:
            return ()
        found = [(anchor, far.off) for anchor, far in self._far.items() if far.lasts]
        return tuple(sorted(found))

    @property
    def skew(self) -> float:
        """Stamps less the tracker's time, where turn after turn all are far from it; else 0."""
        return self._nearest if self._apart >= TURNS else 0.0

    @property
    def coarse(self) -> bool:
        """Whether in most turns an anchor has another range at the very time of its last one."""
        return self._coarse >= TURNS

    @property
    def odd(self) -> bool:
        """Whether stamps are odd, or were of late: the turn is no ordinary one."""
        return self.looks_back or self._apart > 0 or self._coarse > 0 or bool(self._far)

    def lately(self, time: float) -> set[int]:
        """Rows of the anchors that were heard in the last seconds up to `time`."""
        return set(np.flatnonzero(self.newest[:, 0] >= time - LATELY_S).tolist())

    def ordinary(self, ranges: Ranges, time: float) -> None:
        """Take in a turn whose ranges are all of about `time` and new."""
        self._apart, self._coarse = 0, max(self._coarse - 1, 0)
        if self._far:
            for anchor in ranges.anchor.tolist():
                self._far.pop(anchor, None)
            self._forget(time)
        self.remember(ranges, time)

    def pass_over(self, ranges: Ranges, time: float, *, past: bool) -> None:
        """Ranges whose whole message is of another time; `past`: of an earlier one."""
        usable = ranges.usable()
        self.late += len(usable) if past else 0
        for anchor, stamp in zip(usable.anchor.tolist(), usable.stamp.tolist(), strict=True):
            if abs(stamp - time) > MAX_AGE_S:
                self._note_far(anchor, stamp - time, time)

    def _note_far(self, anchor: int, off: float, time: float) -> None:
        """A range of the anchor is stamped so far off, s, at `time`."""
        known = self._far.get(anchor)
        if known is None or abs(off - known.off) > APART_S:
            self._far[anchor] = Far(off, time, time, 1)
        else:
            self._far[anchor] = Far(known.off, known.since, time, known.many + 1)

    def _forget(self, time: float) -> None:
        """No longer speak of anchors that were not heard for long."""
        for anchor in [a for a, far in self._far.items() if far.last < time - FORGOTTEN_S]:
            del self._far[anchor]

    def remember(self, ranges: Ranges, time: float) -> None:
        """These are used at `time`, and not again."""
        if not self.remembers:
            return
        heard = self._heard
        heard.append((time, ranges))
        while heard[0][0] < time - 2.0 * MAX_AGE_S:  # all its stamps are too old by now
            heard.popleft()

    def fresh(self, ranges: Ranges, time: float, *, count: bool = True) -> Ranges:
        """Usable ranges of about `time` that were not heard before; `count`: leaving traces."""
        usable = ranges.usable()
        keep = []
        late = old = 0
        coarse = False
        for anchor, stamp, value in zip(
            usable.anchor.tolist(), usable.stamp.tolist(), usable.value.tolist(), strict=True
        ):
            near = abs(stamp - time) <= MAX_AGE_S
            last, metres = self.newest[anchor].tolist()
            known = stamp == last and (ranges.differences or value == metres)
            if self.looks_back:
                known = known or (
                    stamp <= last and self._knows(anchor, stamp, value, ranges.differences)
                )
                coarse = coarse or (near and stamp == last and not known)
            if count and near and not (self.looks_back and stamp < last):
                self.newest[anchor] = stamp, value
            if count and near:
                self._far.pop(anchor, None)
            elif count:
                self._note_far(anchor, stamp - time, time)
            late += not near
            old += near and known
            keep.append(near and not known)
        fresh = usable if all(keep) else usable[np.array(keep)]
        if count:
            self.late += late
            self.duplicates += old
            self._forget(time)
            self._note(usable, time, coarse)
            if len(fresh):
                self.remember(fresh, time)
        return fresh

    def _knows(self, anchor: int, stamp: float, value: float, differences: bool) -> bool:
        """Whether the very range was used of late; of differences, whatever was added to it."""
        return any(
            ((x.anchor == anchor) & (x.stamp == stamp) & (differences | (x.value == value))).any()
            for _, x in self._heard
        )

    def _note(self, usable: Ranges, time: float, coarse: bool) -> None:
        """What the stamps of a turn say of the clocks."""
        if len(usable) == 0:
            return
        off = usable.stamp - time
        self._nearest = float(off[np.argmin(np.abs(off))])
        self._apart = min(self._apart + 1, MOST_TURNS) if abs(self._nearest) > APART_S else 0
        self._coarse = min(max(self._coarse + (1 if coarse else -1), 0), MOST_TURNS)
