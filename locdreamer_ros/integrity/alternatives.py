# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where else the tag may be: snapshots of a window, and what its track costs beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from locdreamer_ros.integrity.snapshot import Snapshot, cost_of, explain
from locdreamer_ros.integrity.track import RecentTrack
from locdreamer_ros.integrity.window import Gathered
from locdreamer_ros.types import FloatArray, Site


@dataclass(frozen=True, eq=False)
class Alternatives:
    """Places that explain the ranges gathered, the best first, and the cost of the track with them.

    known m: the offset that is off these ranges already.
    """

    gathered: Gathered
    known: float
    found: list[Snapshot]
    spent: float

    @property
    def best(self) -> Snapshot:
        """The place that explains them best."""
        return self.found[0]

    def recosted(self, site: Site, track: RecentTrack, now: float) -> Alternatives:
        """The same, with what the track costs with these ranges, those of named anchors too."""
        cost, _ = cost_of(track.residuals(site, self.gathered, now), self.gathered)
        return replace(self, spent=cost)


def find_alternatives(
    site: Site, gathered: Gathered, now: float, position: FloatArray, known: float, spent: float
) -> Alternatives | None:
    """Places that explain ranges at `now` s, looked for from `position` too; see `Alternatives`."""
    found = explain(site, gathered, time=now, seeds=[position])
    return Alternatives(gathered, known, found, spent) if found else None
