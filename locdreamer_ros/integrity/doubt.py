# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is not explained, or not decided: it widens the covariance, and `Status` says so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from locdreamer_ros.integrity.mirror import Mirror
from locdreamer_ros.integrity.naming import Naming
from locdreamer_ros.integrity.overruling import APART_M
from locdreamer_ros.integrity.snapshot import MIRROR_COST, Snapshot
from locdreamer_ros.integrity.track import Held
from locdreamer_ros.integrity.window import Window
from locdreamer_ros.types import Estimate, FloatArray, Site

DOUBTS_S = 1.0
"""How long the ranges must go unexplained before it is said."""
RIVALLED, RIVALLED_EACH, LOOK_S, GLANCE_S = 1.5, 0.3, 0.5, 1.0
"""Cost, and cost per anchor, beyond which other places are looked at so often, and at each test
while one is doubt enough. One anchor that is off costs as much. Ranges that cost less are looked at
now and then: few of them, or those that an anchor's name leaves, fit two places alike."""
RIVAL, BEST = 1.0, 2.0
"""Another place is a rival where it costs no more than so much above the track, and so much above
the best place."""
ELSEWHERE_M, SIGMAS = 1.0, 2.0
"""And where it is so far away, and so many sigma of the track."""
RIVALS = (RIVALLED, RIVALLED_EACH, LOOK_S, GLANCE_S, RIVAL, BEST, ELSEWHERE_M, SIGMAS)
"""What the kernel has to know of rivals."""
SETTLED_S, UNSURE_S = 3.0, 30.0
"""Ranges that go unexplained so long after an anchor was named, with few others left, say that it
may be the wrong one; so long it is doubted."""


def is_costly(held: Held) -> bool:
    """Whether the ranges cost so much by the track that another place may overrule it."""
    return held.cost >= max(RIVALLED, RIVALLED_EACH * held.anchors)


class Doubt:
    """What was in doubt of late about a track, its window and the anchors named."""

    def __init__(self, site: Site, mirror: Mirror, naming: Naming, window: Window) -> None:
        self._site = site
        self._mirror = mirror
        self._naming = naming
        self._window = window
        self.looked = np.empty(1)
        """When other places were looked at last, s; the kernel writes into it too."""
        self.clear()

    def clear(self) -> None:
        """Forget where the tag is; what is known of anchors stays."""
        self._named, self._named_at = self._naming.named, -math.inf
        self._unsure_at = -math.inf
        self.begin()

    def begin(self) -> None:
        """The track begins here."""
        self.looked[0] = -math.inf
        self.odd_since: float | None = None
        """Since when the ranges go unexplained, s."""
        self.covariance: FloatArray | None = None
        """What doubt adds to the covariance (D, D) m^2 of the position."""
        self.strayed = 0.0
        """How far, m, the tag may have gone while too few anchors were heard."""
        self.suspect = False
        """Whether the ranges of the window are explained better elsewhere."""

    def note_names(self, now: float) -> None:
        """Remember when an anchor was named, or cleared, last."""
        if self._naming.named != self._named:
            self._named, self._named_at = self._naming.named, now

    @property
    def calm(self) -> bool:
        """Whether there is none, and all names are noted."""
        odd = self.odd_since is not None or self.covariance is not None or self.suspect
        return not odd and self._naming.named == self._named

    @property
    def widens(self) -> bool:
        """Whether it adds to the covariance."""
        return self.covariance is not None or self.strayed > 0.0

    def ambiguous(self, now: float) -> bool:
        """Whether the anchors that are left cannot tell where the tag is, or who of them is wrong.

        All on a line; or two and more named, and no more left than there are unknowns and one; or
        one of few was named and the others disagreed even then, of late.
        """
        named, most = self._naming.named, self._site.dimensions + 1
        unchecked = len(named) > 1 and len(self._window.heard - named) <= most
        return self._mirror.flat or unchecked or now - self._unsure_at < UNSURE_S

    def widened(self, estimate: Estimate, other: Estimate | None) -> Estimate:
        """An estimate with a covariance that holds the doubt, and where its twin `other` is."""
        if other is None and not self.widens and not self._mirror.flat:
            return estimate
        away = [] if other is None else [other.position - estimate.position]
        if self._mirror.flat:
            away.append(self._mirror.across(estimate.position))
        d = estimate.dimensions
        covariance = estimate.covariance.copy()
        if self.covariance is not None:
            covariance[:d, :d] += self.covariance
        covariance[:d, :d] += self.strayed**2 * np.eye(d)
        for vector in away:
            covariance[:d, :d] += np.outer(vector, vector)
        told = estimate.foresight, estimate.offset
        return Estimate(estimate.time, estimate.mean, covariance, *told)

    def looks_around(self, held: Held, now: float) -> bool:
        """Whether other places are to be looked at, though the track explains the ranges.

        What was in doubt is so no more, until they are.
        """
        rivalled = self.covariance is not None
        self.odd_since = None
        if not self.ambiguous(now):
            self.covariance = None
        if not rivalled and now < self.looked.item() + (LOOK_S if is_costly(held) else GLANCE_S):
            return False
        self.looked[0] = now
        return True

    def compare(self, found: Sequence[Snapshot], spent: float, estimate: Estimate) -> None:
        """Places that explain the ranges nearly as well as the track widen the covariance at once.

        By as much as they may be right: few anchors, one of them off, are often explained by
        several places. found, the best first; spent: what the ranges cost by the track.
        """
        sigma = math.sqrt(max(float(np.trace(estimate.covariance[:2, :2])), 0.0))
        farthest = 0.0
        for place in found:
            if place.cost > min(spent + RIVAL, found[0].cost + BEST):
                continue
            away = place.position - estimate.position
            apart = math.hypot(away[0], away[1])
            share = 1.0 / (1.0 + math.exp(place.cost - spent))
            if apart > max(ELSEWHERE_M, SIGMAS * sigma) and share * apart**2 > farthest:
                farthest = share * apart**2
                self.covariance = share * np.outer(away, away)

    def note_unexplained(
        self,
        found: Sequence[Snapshot],
        spent: float,
        estimate: Estimate,
        now: float,
        fit: Mapping[int, float],
        *,
        unexplained: bool,
    ) -> None:
        """What goes unexplained for long widens the covariance to where the tag may be instead.

        Where no place is better, and none good, by as much as the ranges are off: fit m by anchor.
        """
        if self.odd_since is None:
            self.odd_since = now
        if now - self.odd_since < DOUBTS_S:
            return
        if self._named and self.suspect and now - self._named_at > SETTLED_S:
            few = len(self._window.heard - self._named) <= self._site.dimensions + 2
            apart = float(np.linalg.norm(found[0].position - estimate.position))
            if few and apart > APART_M:
                self._unsure_at = now
        near = [s for s in found if s.cost < min(spent, found[0].cost + MIRROR_COST)]
        away = [s.position - estimate.position for s in near]
        if away:
            farthest = max(away, key=lambda v: float(v @ v))
            self.covariance = np.outer(farthest, farthest)
        elif unexplained:
            off = [v for a, v in fit.items() if a not in self._naming.named]
            self.covariance = float(np.mean(np.square(off))) * np.eye(estimate.dimensions)
