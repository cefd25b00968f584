# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether another place explains the ranges so much better, and for so long, that it overrules."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from locdreamer_ros.integrity.snapshot import Snapshot, explain
from locdreamer_ros.integrity.window import Gathered
from locdreamer_ros.types import Estimate, Site

TEST_S = 0.3
"""How often the track is held against the window."""
BETTER, APART_M, SIGMAS, FOR_S = 1.5, 1.5, 3.0, 1.0
"""A snapshot overrules where it costs so much less, is so far away, beyond so many sigma of its
own, for so long."""
PLAIN_WITNESSES = 2
"""With so many more witnesses, and so much more cost, one more test is enough."""
SHARE, UNCLEAR_S = 0.5, 2.0
"""A snapshot that leaves more than this share of the cost unexplained itself has to be better for
so long: walls lengthen several ranges at once, for a second or so."""
AT_ONCE_S = 0.15
"""Ranges no older than this are of one moment, for a tag that turns."""
SLACK_M_S, FAST_M_S = 3.0, 15.0
"""Places that overrule lie no farther apart than this, beyond their velocity; those of one moment,
which have none, than a tag goes."""


class Overruling:
    """What was better than a track of late."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.clear()

    def clear(self) -> None:
        """The track begins here."""
        self.since: float | None = None
        """Since when something is, s."""
        self._last: Snapshot | None = None
        self.turned: Snapshot | None = None
        """What the ranges of one moment said last."""

    def turned_to(self, latest: Gathered, estimate: Estimate, now: float) -> list[Snapshot]:
        """Where the ranges of one moment alone say that the tag is, if they agree.

        A tag that turns fast has no one velocity over a window: it is told from two such places.
        """
        enough, before = self._site.dimensions + 2, self.turned
        self.turned = None
        if latest.anchors < enough:
            return []
        found = explain(self._site, latest, time=now, seeds=[estimate.position], still=True)
        if not found or found[0].good < enough:
            return []
        if before is not None and 0.0 < now - before.time < 1.0:
            velocity = (found[0].position - before.position) / (now - before.time)
            found[0] = replace(found[0], velocity=velocity)
        self.turned = found[0]
        return found

    def persists(self, best: Snapshot, spent: float, estimate: Estimate, now: float) -> bool:
        """Whether a snapshot has been better for long enough to begin anew from it.

        spent: what the ranges cost that are explained by the track at `estimate`.
        """
        if not spent - best.cost > BETTER:
            self.since = None
            return False
        away = float(np.linalg.norm(best.position - estimate.position))
        unsure = SIGMAS * math.sqrt(max(float(np.trace(best.covariance)), 0.0))
        d = self._site.dimensions
        enough = best.good >= d + 2 or (best.good == d + 1 and abs(best.offset) < 0.5)
        better = (
            away > APART_M
            and away > unsure
            and unsure < 5.0 + 0.2 * away
            and best.mirror is None
            and enough
        )
        last = self._last
        if better and last is not None and self.since is not None:
            dt = now - last.time
            # What is of one moment knows no velocity but from two of them.
            slack = FAST_M_S if best is self.turned else SLACK_M_S
            moved = dt * best.velocity * (best is not self.turned)
            leap = float(np.linalg.norm(best.position - last.position - moved))
            if leap > 1.0 + slack * dt:
                self.since = now
        if not better:
            self.since = None
            return False
        if self.since is None:
            self.since = now
        self._last = best
        plain = (
            best.good >= d + 2 + PLAIN_WITNESSES and spent - best.cost > BETTER + PLAIN_WITNESSES
        )
        unclear = best.cost > SHARE * spent
        wait = TEST_S if plain else UNCLEAR_S if unclear else FOR_S
        return now - self.since >= wait - 1e-6
