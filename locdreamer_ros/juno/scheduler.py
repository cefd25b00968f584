# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`juno`: the anchors that were worth most around here in training, with GDOP standing by."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.juno.policy import Policy
from locdreamer_ros.roles import Scheduler
from locdreamer_ros.schedulers.gdop import Gdop
from locdreamer_ros.types import Anchors, Estimate, IntArray, Site


class JunoScheduler(Scheduler):
    """The table of a `Policy`, its values averaged over the prediction."""

    def __init__(self, site: Site, policy: Policy) -> None:
        self._policy = policy.at(site.anchors)
        self._standby = Gdop(site)
        self.fallback = ""
        """Empty while the table chooses."""

    @classmethod
    def load(cls, site: Site, path: Path) -> JunoScheduler:
        """From a model file. Raises InputError where it is not one or does not fit the site."""
        return cls(site, Policy.load(path))

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """The subset of most value, rows increasing; GDOP's where nothing was learned.

        Raises InputError for a budget that the model was not trained for.
        """
        if budget >= len(anchors):
            return np.arange(len(anchors))
        if budget != self._policy.budget:
            raise InputError(
                f"scheduler juno: this model chooses {self._policy.budget} anchors, the budget is "
                f"{budget}; train one with --budget {budget}"
            )
        rows = self._policy.choose(prediction.mean[:2], prediction.covariance[:2, :2])
        self.fallback = "" if rows is not None else "nothing learned here"
        return self._standby.select(prediction, anchors, budget) if rows is None else rows


def make(
    name: str, site: Site, *, seed: int, model: Path | None, accuracy: float, price: float
) -> Scheduler:
    """The scheduler of this module by `name`, as `methods` makes it."""
    assert model is not None  # `Method.check` saw to it
    return JunoScheduler.load(site, model)
