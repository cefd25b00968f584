# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`zero-shot` as it is shipped: the model near the anchors, a bias EKF far outside of them.

The model was trained among its anchors. Far outside all directions are nearly one, and it takes
what the tag moved for a bias that fades: there a filter of few and calm biases answers, and
`fallback` says so. What lasts of an anchor's error is most of what is wrong of a place out there:
some centimetres between anchors a few metres apart are a metre across at fifty.
The rule is geometry alone, with a margin for the way back.
"""

from __future__ import annotations

from copy import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros.roles import Tracker
from locdreamer_ros.trackers.bias_ekf import BiasEkf, BiasEkfConfig
from locdreamer_ros.types import Estimate, Motion, Ranges, Site
from locdreamer_ros.zero_shot.model_file import SHIPPED_NAME, Weights, load_weights, shipped
from locdreamer_ros.zero_shot.tracker import ZeroShotTracker

FAR_M = 5.0
"""The tag is far this many metres outside the anchors' box, or its width where that is more."""
BACK_M = 2.0
"""It is near again this much farther in."""
UNSURE_M, UNSURE_M_S = 0.5, 0.5
"""What is added to the EKF's sigmas on the way back in."""
CALM = BiasEkfConfig(sigma_n=0.15, huber=1.0, iterations=5, anchor_sigma=0.04, anchor_time=600.0)
"""Modules are apart by .02 to .07 m, and stay so; larger biases would be learned from what walls do
to single ranges. docs/notebook.md has what else was tried."""
FAR = "far outside the anchors: bias-ekf"


class FarFieldTracker(Tracker):
    """The model, or where the tag is far outside the anchors the EKF of calm biases."""

    def __init__(self, site: Site, model: ZeroShotTracker) -> None:
        super().__init__()
        self.site = site
        self.model = model
        self.model_name = model.model_name
        places = site.anchors.positions[:, :2]
        low, high = places.min(axis=0), places.max(axis=0)
        self._margin = max(FAR_M, float((high - low).max()))
        # Plain numbers: this is looked at in every step.
        self._box = (*low.tolist(), *high.tolist())
        self._limits = np.array([*self._box, self._margin])
        self._ekf: Tracker | None = None
        """Answers while the tag is far; there only then."""

    def fork(self) -> FarFieldTracker:
        """A tracker in the same state that goes its own way."""
        other = copy(self)
        other._part()
        return other

    def _part(self) -> None:
        self.fallbacks = self.fallbacks.copy()
        self.model = self.model.fork()
        self._ekf = self._ekf and self._ekf.fork()

    @property
    def _answers(self) -> Tracker:
        return self.model if self._ekf is None else self._ekf

    def _go(self, far: bool) -> None:
        """Out, to a new EKF, or in."""
        self._ekf = BiasEkf(self.site, CALM) if far else None
        self.fallback = FAR if far else ""

    @property
    def estimate(self) -> Estimate | None:
        """The current estimate; None before `start`."""
        return self._answers.estimate

    @property
    def offset(self) -> float:
        """What all ranges are thought to be too long by, m."""
        return self._answers.offset

    def _is_far(self, estimate: Estimate) -> bool:
        x, y = estimate.mean.tolist()[:2]
        left, front, right, back = self._box
        margin = self._margin - (BACK_M if self._ekf else 0.0)
        beside = left - x > margin or x - right > margin
        return beside or front - y > margin or y - back > margin

    def _change(self, estimate: Estimate) -> Estimate:
        """Hand over where the tag went out or came in."""
        far = self._is_far(estimate)
        if far is (self._ekf is not None):
            return estimate
        covariance = estimate.covariance
        self._go(far)
        if not far:
            d = estimate.dimensions
            covariance = covariance + np.diag([UNSURE_M**2] * d + [UNSURE_M_S**2] * d)
        self._answers.start(Estimate(estimate.time, estimate.mean, covariance))
        return self.now

    def start(self, fix: Estimate) -> None:
        """(Re)start from a first fix."""
        self._go(self._is_far(fix))
        self._answers.start(fix)

    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        """Move dt >= 0 s ahead; returns the prior."""
        return self._answers.predict(dt, motion)

    def coast(self, dt: float, slowing: float, speed_variance: float) -> Estimate:
        """Move dt s ahead with nothing heard."""
        return self._answers.coast(dt, slowing, speed_variance)

    def look(self, ranges: Ranges) -> Estimate:
        """What `update` would say of ranges; it leaves no trace."""
        if self._ekf is None:
            looked = self.model.look(ranges)
            if not self._is_far(looked):
                return looked
        return super().look(ranges)

    def seat(self) -> tuple[ZeroShotTracker, tuple[Any, ...]] | None:
        """See `Tracker`."""
        found = self.model.seat() if self._ekf is None else None
        if found is None:
            return None
        model, (*kept, _) = found
        return model, (*kept, self._limits)

    def update(self, ranges: Ranges) -> Estimate:
        """Take ranges in; returns the posterior."""
        if self._ekf is None:
            near = self.model.update(ranges)
            return self._change(near) if self._is_far(near) else near
        self.fallbacks[FAR] += 1
        return self._change(self._ekf.update(ranges))


def make(site: Site, config: object, seed: int, model: Path | None) -> FarFieldTracker:
    """The tracker over a model file, or over the one shipped with the package.

    Raises InputError for a file that is no such model.
    """
    weights = _shipped() if model is None else load_weights(model)
    name = SHIPPED_NAME if model is None else str(model)
    return FarFieldTracker(site, ZeroShotTracker(site, weights, name=name))


@cache
def _shipped() -> Weights:
    return shipped()
