# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What overrules the scheduler's choice: who does not answer, who is held back, who is in doubt.

The scheduler chooses by what ranges would say; it cannot know that an anchor is off, out of reach
or behind a wall that lets nothing through. Who misses six times in a row is passed over, longer
each time, and then asked again where the scheduler wants it: so a dead anchor costs little, and one
that comes back is found.
"""

from __future__ import annotations

import math

import numpy as np

from locdreamer_ros.integrity.watch import Watch
from locdreamer_ros.types import BoolArray, FloatArray, IntArray

MISSES, PAUSE_S, LONGEST_S = 6, 0.5, 2.0
"""An anchor that missed so often in a row is passed over for so long, twice as long each time more,
at most. Bodies and antennas lose a few in a row."""
STRANGER = 2
"""Of one that was never heard so many misses are enough: on a large site most are out of reach."""
RUNS, NEWEST = 3.0, 0.1
"""And so many times as often as anchors miss before they answer, in the mean of late: where answers
come one at a time, each misses while others answer."""
PROBE_FIXES = 2
"""Then it is asked again, if the scheduler wants it: one such anchor in so many fixes."""
RETRY_S = 2.0
"""An anchor that is held back is asked again this often, in another's place."""
ASK_S, REST_S = 5.0, 20.0
"""Doubt has the anchors unheard for longest asked for so long, then not again until so much later:
what lasts for ever is no fault that asking mends."""
CHECK_FIXES = 5
"""Anchors suspected of being long for long are asked in one fix of so many, in another's place."""


class Asking:
    """What is known of whom to ask among the anchors of a watch. Times in s."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        count = len(watch.site.anchors)
        self._misses: IntArray = np.zeros(count, dtype=np.intp)
        """How often each anchor did not answer, in a row."""
        self._until: FloatArray = np.zeros(count)
        """Until when it is passed over if it missed often enough, s."""
        self._grace: IntArray = np.full(count, STRANGER)
        """How many misses in a row are enough for each, at least."""
        self.begin()

    def begin(self) -> None:
        """Time may have gone back: of times nothing is remembered, but who was ever heard is."""
        self._misses.fill(0)
        self.missing = False
        """Whether somebody did not answer when asked last."""
        self._run = 0.0
        self._unprobed = 0
        self._silent: BoolArray | None = None
        """Whom to pass over, by the last answers; None: to be found out."""
        self._due = 0.0
        """When the first of them is to be asked again, s."""
        self._retried = self._doubted = -math.inf
        self._unchecked = 0

    def answered(self, asked: IntArray, answers: IntArray, time: float) -> None:
        """Of rows `asked` at `time` those in `answers` did."""
        self._grace[answers] = MISSES
        if not self.missing and asked.size <= answers.size:
            return
        misses = self._misses
        self._unprobed += 1
        if asked.size == answers.size and not misses[answers].any():
            self._run -= NEWEST * self._run
            return
        missed = asked[~np.isin(asked, answers)]
        enough = self._enough[missed]
        # Where nobody answers it is not one anchor's fault: none is given up for long.
        misses[missed] += 1 if answers.size else misses[missed] < enough
        longer = 2.0 ** np.clip(misses[missed] - enough, 0, 9)
        self._until[missed] = time + np.minimum(PAUSE_S * longer, LONGEST_S)
        if answers.size:
            self._run += NEWEST * (float(misses[answers].mean()) - self._run)
        misses[answers] = 0
        self.missing = bool(misses.any())
        self._silent = None

    def silent(self, time: float, budget: int) -> BoolArray | None:
        """Anchors (A,) to pass over at `time`; `budget` others are left. None: nobody.

        Of those whose time is over one is not: the nearest.
        """
        if not self.missing:
            return None
        probes = time >= self._due and self._unprobed >= PROBE_FIXES
        if self._silent is None or probes:
            self._silent = self._misses >= self._enough
            rows = np.flatnonzero(self._silent)
            few = rows.size + min(budget, self._silent.size) - self._silent.size
            if few > 0:
                rows = rows[np.argsort(self._until[rows], kind="stable")]
                self._silent[rows[:few]] = False
                rows = rows[few:]
            due, estimate = rows[self._until[rows] <= time], self._watch.estimate
            if probes and due.size and estimate is not None:
                places = self._watch.site.anchors.positions[due, : estimate.dimensions]
                away = ((places - estimate.position) ** 2).sum(axis=1)
                probe = due[int(np.argmin(away))]
                self._silent[probe] = False
                self._until[probe] = time + LONGEST_S  # where it is not wanted it is another's turn
                self._unprobed = 0
            self._due = float(self._until[rows].min()) if rows.size else math.inf
        return self._silent if self._silent.any() else None

    @property
    def _enough(self) -> IntArray:
        """So many misses in a row are enough, of each anchor (A,)."""
        return self._grace + int(RUNS * self._run)

    def corrected(self, chosen: IntArray, time: float, silent: BoolArray | None) -> IntArray:
        """The choice without anchors that are held back or `silent` (A,); with those in doubt."""
        watch = self._watch
        named, suspects = watch.naming.named, watch.naming.suspects
        if watch.doubt.suspect and not 0.0 <= time - self._doubted < REST_S:
            self._doubted = time
        doubts = watch.doubt.suspect and time - self._doubted < ASK_S
        wrong = silent is not None and silent[chosen].any()
        if chosen.size >= self._misses.size or not (named or doubts or suspects or wrong):
            return chosen
        heard = watch.window.last
        last = np.where(silent, math.inf, heard) if silent is not None else heard
        unheard = [a for a in np.argsort(last, kind="stable").tolist() if a not in named]
        if doubts:
            kept = unheard[: chosen.size]
        else:
            answering = chosen if silent is None else chosen[~silent[chosen]]
            kept = [a for a in answering.tolist() if a not in named]
            kept += [a for a in unheard if a not in kept][: chosen.size - len(kept)]
        if named and time - self._retried >= RETRY_S and kept:
            self._retried = time
            kept[-1] = min(named, key=lambda anchor: heard[anchor])
        elif suspects.isdisjoint(kept):
            self._unchecked += 1
            if self._unchecked >= CHECK_FIXES and kept and suspects - named:
                kept[-1] = min(suspects - named, key=lambda anchor: heard[anchor])
                self._unchecked = 0
        else:
            self._unchecked = 0
        return np.sort(np.array(kept, dtype=np.intp))
