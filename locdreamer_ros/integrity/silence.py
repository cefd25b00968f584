# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When ranges were used last, how often they usually are, and what a silence means. Times in s."""

from __future__ import annotations

import math

import numpy as np

from locdreamer_ros.roles import Tracker
from locdreamer_ros.types import Estimate, Motion

OPEN_S = 1.0
"""With nothing used for so long the gate opens."""
COAST_S = 3.0
"""With nothing used for so long the velocity decays, over as long again."""
WALK_M_S = 1.0
"""What the velocity's sigma grows to."""
LOST_S = 8.0
"""With nothing used so long, or for `USUAL_FACTOR` usual intervals, a return is a new first fix."""
USUAL_FACTOR = 4.0
FORGET_S = 600.0
"""After so long nothing is known any more."""


class Silence:
    """Since when nothing was used, and how long that usually is: times (2,), the kernel's too."""

    def __init__(self) -> None:
        self.times = np.empty(2)
        self.clear()

    def clear(self) -> None:
        """Nothing was used yet."""
        self.times[:] = -math.inf, 0.0

    @property
    def since(self) -> float:
        """When ranges were used last."""
        return self.times.item(0)

    @property
    def usual(self) -> float:
        """How long a silence usually is."""
        return self.times.item(1)

    def begins(self, time: float) -> None:
        """The track begins with what was heard until `time`."""
        self.times[0] = time

    def ends(self, time: float) -> None:
        """Ranges are used at `time`."""
        since, usual = self.times.tolist()
        interval = time - since
        usual += 0.1 * (interval - usual) if usual else interval
        self.times[:] = time, usual

    @property
    def patience(self) -> float:
        """A longer silence makes the return a new first fix."""
        return max(LOST_S, USUAL_FACTOR * self.usual)

    def opens(self, time: float) -> bool:
        """Whether the gate is open at `time`."""
        return time - self.since > max(OPEN_S, 1.5 * self.usual)

    def forgets(self, time: float) -> bool:
        """Whether nothing is known any more at `time`."""
        return time - self.since > max(FORGET_S, USUAL_FACTOR * self.usual)

    def plain(self, now: float, dt: float) -> float:
        """How much of the dt after `now` the tag goes on as it went; then its velocity decays."""
        return min(max(self.since + COAST_S - now, 0.0), dt)

    def move(self, tracker: Tracker, now: Estimate, dt: float, motion: Motion | None) -> Estimate:
        """Predict; with nothing heard for long the velocity decays, unless odometry knows it."""
        known = motion is not None and motion.displacement is not None
        plain = dt if known else self.plain(now.time, dt)
        if plain > 0.0:
            now = tracker.predict(plain, motion)
        if dt > plain:
            slowing = math.exp(-(dt - plain) / COAST_S)
            now = tracker.coast(dt - plain, slowing, WALK_M_S**2 * (1.0 - slowing**2))
        return now
