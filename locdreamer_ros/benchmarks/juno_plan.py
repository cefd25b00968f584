# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of the JUNO paper runs, under which names, and what one seed gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from locdreamer_ros.types import FloatArray

STEPS = 10_000
"""Of the walk that scores a method."""
EPOCHS = 8000
SWEEP_EPOCHS = 2000
TRACKED_STEPS = 200_000
REDRAWN = 0.3
FIRST_EPOCHS = 100
EPOCHS_OF_A_POINT = 20
"""Epochs averaged into a point of a curve."""
DECAYING: dict[str, Any] = {"epsilon": 1.0, "epsilon_fall": 0.998}
ALPHAS = (0.05, 0.1, 0.3, 0.5, 0.9)
EPSILONS: dict[str, dict[str, Any]] = {
    "1 x .998^n": DECAYING,
    "1 x .99^n": {"epsilon": 1.0, "epsilon_fall": 0.99},
    ".02": {},
    ".1": {"epsilon": 0.1, "epsilon_last": 0.1},
    ".5": {"epsilon": 0.5, "epsilon_last": 0.5},
}
HORIZONS = (0, 25, 50, 75, 100)
IID, WALLS = "iid links", "obstacles"
HIDDEN, CIRCLES = "iid links, reference blocked too", "iid links, two circles"
"""What equation (3) could also mean: docs/juno.md."""
TRACKED = "tracked"
JUNO, PLAIN, WARM = "JUNO (related guide)", "Q-learning", "warm start (related Q)"
RANDOM_GUIDE, GDOP_GUIDE = "JUNO (random guide)", "JUNO (GDOP guide)"
UNRELATED = "JUNO (unrelated guide)"
MEASURES = ("mean_error", "rmse", "p90", "success", "no_root", "first100")


@dataclass
class Seed:
    """What one seed gave: scores by (setting, method), curves and errors by method."""

    scores: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    curves: dict[str, FloatArray] = field(default_factory=dict)
    rewards: dict[str, FloatArray] = field(default_factory=dict)
    errors: dict[str, FloatArray] = field(default_factory=dict)
    paths: dict[str, FloatArray] = field(default_factory=dict)
    beacons: FloatArray = field(default_factory=lambda: np.empty((0, 2)))
