# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who answers where the zero-shot model cannot be trusted, and how that is noticed.

The model was trained at certain rates, in certain places and on ranges that are off by so much. A
step outside of that, or an estimate that no room explains, is answered by a robust EKF that starts
from the last good estimate, and `fallback` says why. The model goes on beside it, and answers again
as soon as the reason is gone. While all is well the guard costs a few comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from locdreamer_ros.roles import Tracker
from locdreamer_ros.trackers.bias_ekf import BiasEkf, BiasEkfConfig
from locdreamer_ros.trackers.ekf import RobustEkfConfig, robust_ekf
from locdreamer_ros.trackers.kalman import started
from locdreamer_ros.types import Estimate, FloatArray, Motion, Ranges, Site
from locdreamer_ros.zero_shot.model_file import SHIPPED_NAME, Weights, load_weights, shipped
from locdreamer_ros.zero_shot.tracker import COMMON, ZeroShotTracker

SHORTEST_S, LONGEST_S = 0.03, 3.0
"""Steps of the dreams, whose rates are 0.8 to 20 Hz with jitter."""
LEAST_MARGIN_M = 10.0
"""The tag may be this far outside the anchors' box, or as far as the box is wide."""
SETTLED = 10
"""Updates before the running means of how far ranges were off say anything."""
RETRY_S = 10.0
"""A model that is set aside for longer may be lost itself: it starts again from the standby."""
DISAGREE_M = 1.5
"""It does as well where the two are farther apart when the reason is gone."""
UNSURE_M = 1.0
"""How much less than the last good estimate said is known where the model lost its way."""
LIMITS = (1.22, 0.86, 0.89, 1.36, 1.13, 0.74, 0.80, 1.23)
"""Largest magnitudes of the model's running means of how far ranges were off (see
`ZeroShotTracker`), where the model's file names none: the 99.9 % point over 100,000 steps of
dreams of the family that is held out of training, by `zero_shot.limits`."""
MOST_COMMON_M = 0.8
"""The 99.9 % point, in dreams of the held-out family, of the bias that all ranges share: what
ranges of another unit or scale are taken for."""
STEP, STRANGE = "step", "ranges unlike any of the training"


class GuardedZeroShot(Tracker):
    """The zero-shot tracker with a robust EKF that stands in.

    limits (8,): see `LIMITS`. model_name: what reports call it.
    """

    def __init__(
        self, site: Site, inner: ZeroShotTracker, limits: FloatArray, model_name: str
    ) -> None:
        super().__init__()
        self.site = site
        self.inner = inner
        self.model_name = model_name
        self.fallback = ""
        """Why the robust EKF answers in the model's place; empty while the model does."""
        self._standby = robust_ekf(site, RobustEkfConfig())
        self._limits = limits
        low, high = site.anchors.positions[:, :2].min(axis=0), site.anchors.positions[:, :2].max(0)
        margin = max(LEAST_MARGIN_M, float((high - low).max()))
        self._box = (*(low - margin), *(high + margin))
        self._estimate: Estimate | None = None
        self._begin()

    def _begin(self) -> None:
        self._updates = 0  # of the model since it started
        self._aside = 0.0  # s that the model has been set aside
        self._broken = False  # it must start again
        self._reason = ""  # why this step is not the model's

    @property
    def estimate(self) -> Estimate | None:
        """The current estimate; None before `start`."""
        return self._estimate

    def start(self, fix: Estimate) -> None:
        """(Re)start from a first fix."""
        self.inner.start(fix)
        self._begin()
        self.fallback = ""
        self._estimate = fix

    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        """Move dt >= 0 s ahead; returns the prior."""
        before = started(self._estimate)
        if dt == 0.0:
            return before
        if self._broken:
            self._restart(before)
        said = self._ask(self.inner.predict, dt, motion)
        self._reason = self._unfit(said)
        if not self._reason and not SHORTEST_S <= dt <= LONGEST_S:
            self._reason = f"{STEP} not of {SHORTEST_S:g} to {LONGEST_S:g} s"
        if self._reason:
            if not self.fallback:
                self._set_aside(before)
            self.fallback = self._reason
        # The model takes over again only after an update, when both know the same.
        if said is None or self.fallback:
            self._aside += dt
            said = self._standby.predict(dt)
        self._estimate = said
        return said

    def update(self, ranges: Ranges) -> Estimate:
        """Take ranges in (unusable ones are passed over); returns the posterior."""
        before = started(self._estimate)
        said = None if self._broken else self._ask(self.inner.update, ranges)
        self._updates += 1
        self._reason = self._reason or self._unfit(said) or self._strange()
        if said is not None and not self._reason and not self.fallback:
            self._estimate = said
            return said
        if not self.fallback:
            self._set_aside(before)
        standby = self._standby.update(ranges)
        if said is not None and not self._reason:
            return self._take_over(said, standby)
        self.fallback = self._reason
        self.fallbacks[self._reason] += 1
        self._broken = self._broken or self._aside > RETRY_S
        self._estimate = standby
        return standby

    def _ask(self, method: Callable[..., Estimate], *arguments: object) -> Estimate | None:
        """What the model says; None where its numbers fail."""
        try:
            with np.errstate(all="ignore"):
                said = method(*arguments)
        except (ArithmeticError, ValueError):
            self._broken = True
            return None
        if not math.isfinite(float(said.mean.sum() + said.covariance.sum())):
            self._broken = True
            return None
        return said

    def _unfit(self, said: Estimate | None) -> str:
        """Why what the model said cannot be right."""
        if said is None:
            return "model not finite"
        x, y = said.mean[:2]
        if self._box[0] < x < self._box[2] and self._box[1] < y < self._box[3]:
            return ""
        self._broken = True
        return "model far outside the anchors"

    def _strange(self) -> str:
        """Whether ranges are off by more than the model has ever seen."""
        if self._updates < SETTLED:
            # A model that started again while it was set aside stays there until it is known.
            return STRANGE if self.fallback == STRANGE else ""
        inner = self.inner
        if abs(inner._mean[COMMON]) > MOST_COMMON_M:
            return STRANGE
        return STRANGE if (np.abs(inner._context) > self._limits).any() else ""

    def _set_aside(self, good: Estimate) -> None:
        """Let the standby begin where the model was last good."""
        covariance = good.covariance.copy()
        if not self._reason.startswith(STEP):
            covariance[:2, :2] += UNSURE_M**2 * np.eye(2)
        self._standby.start(Estimate(good.time, good.mean, covariance))
        self._aside = 0.0

    def _restart(self, estimate: Estimate) -> None:
        """Let the model begin anew from what the standby knows; its biases are lost."""
        self.inner.start(estimate)
        self._begin()

    def _take_over(self, said: Estimate, standby: Estimate) -> Estimate:
        """The reason is gone: the model's estimate, unless it lost its way meanwhile."""
        if float(np.hypot(*(said.mean[:2] - standby.mean[:2]))) > DISAGREE_M:
            self._restart(standby)
            said = standby
        self.fallback = ""
        self._estimate = said
        return said


class StandIn(Tracker):
    """A tracker in place of one that cannot serve the site at all; `fallback` says why."""

    def __init__(self, tracker: Tracker, fallback: str, model_name: str) -> None:
        super().__init__()
        self._tracker = tracker
        self.fallback = fallback
        self.model_name = model_name

    @property
    def estimate(self) -> Estimate | None:
        """The current estimate; None before `start`."""
        return self._tracker.estimate

    def start(self, fix: Estimate) -> None:
        """(Re)start from a first fix."""
        self._tracker.start(fix)

    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        """Move dt >= 0 s ahead; returns the prior."""
        return self._tracker.predict(dt, motion)

    def update(self, ranges: Ranges) -> Estimate:
        """Take ranges in; returns the posterior."""
        self.fallbacks[self.fallback] += 1
        return self._tracker.update(ranges)


def make(site: Site, config: object, seed: int, model: Path | None) -> Tracker:
    """The zero-shot tracker over a model file, or over the one shipped with the package.

    A site of 3 dimensions gets bias-ekf. Raises InputError for a file that is no such model.
    """
    weights = _shipped() if model is None else load_weights(model)
    name = SHIPPED_NAME if model is None else str(model)
    if site.dimensions != 2:
        return StandIn(
            BiasEkf(site, BiasEkfConfig()), "zero-shot tracks in 2 dimensions: bias-ekf", name
        )
    limits = np.asarray(weights.header.get("limits", LIMITS), dtype=np.float64)
    return GuardedZeroShot(site, ZeroShotTracker(site, weights), limits, name)


@cache
def _shipped() -> Weights:
    return shipped()
