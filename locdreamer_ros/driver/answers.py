# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of exchanges with anchors: answers, what they cost, and how often they fail."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from locdreamer_ros.driver.quality import nlos_probability
from locdreamer_ros.types import RangeStatus


@dataclass
class AnchorStatistics:
    """What became of the exchanges with one anchor since the start."""

    asked: int = 0
    ok: int = 0
    timeouts: int = 0
    invalid: int = 0
    rested: int = 0
    """Schedules it was left out of, because it had been silent."""
    strikes: int = 0
    """Failures in a row, up to now."""
    rest_until: float = field(default=0.0, repr=False)
    asked_at: float = field(default=0.0, repr=False)


class Spent(NamedTuple):
    """Exchanges of the radio for one answer, wanted or not; s waited in those that failed."""

    good: int = 0
    failed: int = 0
    waited: float = 0.0

    def plus(self, more: Spent) -> Spent:
        """Both together."""
        return Spent(self.good + more.good, self.failed + more.failed, self.waited + more.waited)


@dataclass
class Exchange:
    """One in flight, with the anchor of a row, since monotonic time `begun`."""

    row: int
    begun: float
    gone_at: float
    """Monotonic time when it has surely failed."""


NO_NUMBERS = (float("nan"),) * 5


class Answer(NamedTuple):
    """What an anchor answered, or that it did not."""

    status: RangeStatus
    stamp: float
    numbers: tuple[float, float, float, float, float] = NO_NUMBERS
    """Range m, variance m^2, RX power and first-path power dBm, NLOS probability."""


def blocked(rx_power: float, first_path_power: float) -> float:
    """NLOS probability; NaN without both powers, as with most devices: not worth an array."""
    if math.isnan(rx_power) or math.isnan(first_path_power):
        return math.nan
    return float(nlos_probability(np.array([rx_power]), np.array([first_path_power]))[0])
