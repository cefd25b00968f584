# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`actor`: LocDreamer's learned scheduler, equation (14), with GDOP standing by.

It keeps its own memory h_t by equation (7) from the posteriors it observes, so it goes with any
tracker. It asks the most probable subset: what is drawn in training is not drawn here.
"""

from __future__ import annotations

from math import comb
from pathlib import Path

import numpy as np
import torch

from locdreamer_ros.locdreamer.learning.actor import MOST_SUBSETS, Actor
from locdreamer_ros.locdreamer.learning.algorithm1 import look
from locdreamer_ros.locdreamer.learning.data import anchor_rows
from locdreamer_ros.locdreamer.model_file import Trained, load_model
from locdreamer_ros.locdreamer.tracker import placed, refuse_other_sites
from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian
from locdreamer_ros.locdreamer.world_model.memory import first_memory, remember_ranges
from locdreamer_ros.locdreamer.world_model.model import WorldModel
from locdreamer_ros.roles import Scheduler
from locdreamer_ros.schedulers.gdop import Gdop
from locdreamer_ros.types import Anchors, Estimate, FloatArray, IntArray, Ranges, Site


class ActorScheduler(Scheduler):
    """The policy of a `Trained` model; `fallback` says why GDOP chooses in its place."""

    def __init__(self, site: Site, trained: Trained) -> None:
        self._site = site
        self._trained = trained  # unchanging: copies share it
        self._standby = Gdop(site)
        self._device = trained.device
        self._anchor = anchor_rows(site.anchors, site.tag_height)[None].to(self._device)
        self._memory = first_memory(1, len(site.anchors), self._device)
        self._hidden = self._model.sequence.initial(1)
        self.fallback = ""
        """Empty while the policy chooses."""

    @property
    def _model(self) -> WorldModel:
        return self._trained.model

    @property
    def _actor(self) -> Actor:
        return self._trained.actor

    @classmethod
    def load(cls, site: Site, path: Path, device: str = "auto") -> ActorScheduler:
        """From a model file.

        Raises InputError where it is not one, does not fit the site, or the device is not there.
        """
        refuse_other_sites(site, path)
        return cls(site, placed(load_model(path), site, device))

    def select(self, prediction: Estimate, anchors: Anchors, budget: int) -> IntArray:
        """The policy's subset, rows increasing; GDOP's where the policy has no answer."""
        count = len(anchors)
        if budget >= count:
            return np.arange(count)
        if self._actor.head == "categorical" and comb(count, budget) > MOST_SUBSETS:
            self.fallback = f"{comb(count, budget)} subsets are too many for this policy"
            return self._standby.select(prediction, anchors, budget)
        prior = Gaussian(self._tensor(prediction.mean), self._tensor(prediction.covariance))
        with torch.no_grad():
            state = look(self._model, prior, self._hidden, self._anchor, self._memory)
            policy = self._actor.policy(state, budget)
            finite = bool(torch.isfinite(policy.scores).all())
            rows = policy.best()[0]
        self.fallback = "" if finite else "policy not finite"
        if not finite:
            return self._standby.select(prediction, anchors, budget)
        return np.sort(rows.cpu().numpy())

    def observe(self, prediction: Estimate, ranges: Ranges, posterior: Estimate) -> None:
        """Remember the residuals of the anchors asked, and the motion."""
        used = ranges.usable()
        residual = used.value - self._site.expected(posterior.position[None, :], used.anchor)
        count = len(self._site.anchors)
        row = torch.zeros(1, count)
        asked = torch.zeros(1, count, dtype=torch.bool)
        row[0, used.anchor] = torch.tensor(residual, dtype=torch.float32)
        asked[0, used.anchor] = True
        self._memory = remember_ranges(self._memory, row.to(self._device), asked.to(self._device))
        with torch.no_grad():
            self._hidden = self._model.sequence(self._tensor(posterior.mean), self._hidden)
            if not bool(torch.isfinite(self._hidden).all()):
                self._hidden = self._model.sequence.initial(1)

    def _tensor(self, values: FloatArray) -> torch.Tensor:
        """Values (...) as a batch of one (1, ...)."""
        return torch.tensor(values[None], dtype=torch.float32).to(self._device)


def make(
    name: str,
    site: Site,
    *,
    seed: int,
    model: Path | None,
    accuracy: float,
    price: float,
    device: str,
) -> Scheduler:
    """The scheduler of this module by `name`, as `methods` makes it."""
    assert model is not None  # `Method.check` saw to it
    return ActorScheduler.load(site, model, device)
