# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Jump start of the actor (JUNO, section III-A): any scheduler leads the first steps of a dream.

How many it leads falls from all to none while it withdraws; what it chose teaches the tracker, but
is masked in the losses of actor and critic, for the policy did not choose it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from locdreamer_ros.errors import InputError
from locdreamer_ros.juno.jump_start import jump_start_steps
from locdreamer_ros.learning.actor import State
from locdreamer_ros.learning.hyperparameters import TrainConfig
from locdreamer_ros.schedulers import NAMES, make_scheduler
from locdreamer_ros.types import Anchors, Estimate, Site


class Guide:
    """A scheduler by its name, asked for each sequence of a dream as it is asked in the loop."""

    def __init__(self, name: str, anchors: Anchors, tag_height: float, *, seed: int) -> None:
        """anchors: A, those that the dream imagines.

        Raises InputError for a name that is unknown or of a scheduler that must measure to choose.
        """
        if name not in NAMES:
            raise InputError(f"guide: expected one of {', '.join(NAMES)}, got {name!r}")
        self._scheduler = make_scheduler(name, Site(anchors, 2, tag_height), seed=seed)
        if self._scheduler.needs_all:
            raise InputError(f"guide: {name} needs all ranges before it can choose")
        self._anchors = anchors

    def choose(self, state: State, budget: int) -> Tensor:
        """Rows (B, K) by the scheduler at the priors (B,) of the state."""
        means = state.prior.mean.double().cpu().numpy()
        covariances = state.prior.covariance.double().cpu().numpy()
        rows = [
            self._scheduler.select(Estimate(0.0, mean, covariance), self._anchors, budget)
            for mean, covariance in zip(means, covariances, strict=True)
        ]
        return torch.from_numpy(np.stack(rows)).to(state.prior.mean.device, torch.long)


def led_steps(config: TrainConfig, epoch: int) -> int:
    """h: steps of each dream of `epoch` that the guide leads, from T down to 0."""
    if not config.guide:
        return 0
    return jump_start_steps(epoch, round(config.guide_share * config.imagine_epochs), config.steps)
