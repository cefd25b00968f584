# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What changes while Algorithm 1 runs: the three networks, their Adams, the best so far."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from locdreamer_ros.locdreamer.learning.actor import Actor
from locdreamer_ros.locdreamer.learning.critic import Critic
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig
from locdreamer_ros.locdreamer.world_model.model import WorldModel

REAL, IMAGINED = 1, 2
"""The stages."""


@dataclass(eq=False)
class Learner:
    """All that changes while Algorithm 1 runs. `epoch` is the next one of `stage`."""

    model: WorldModel
    actor: Actor
    critic: Critic
    config: TrainConfig
    stage: int = REAL
    epoch: int = 0
    best: float = math.inf
    best_epoch: int = 0
    kept: dict[str, torch.Tensor] = field(default_factory=dict)
    dreamer: WorldModel | None = None
    optimisers: list[torch.optim.Optimizer] = field(default_factory=list)
    lasting_m: float = 0.0
    """Sigma of what the real ranges are off by for long; known once stage 2 has begun."""

    @property
    def modules(self) -> torch.nn.ModuleDict:
        """Model, actor and critic under their names."""
        return torch.nn.ModuleDict(
            {"model": self.model, "actor": self.actor, "critic": self.critic}
        )

    def keep(self) -> None:
        """Remember the parameters as the best so far."""
        self.kept = {k: v.detach().clone() for k, v in self.modules.state_dict().items()}
        self.best_epoch = self.epoch

    def restore(self) -> None:
        """Go back to the best."""
        if self.kept:
            self.modules.load_state_dict(self.kept)


def restart_optimisers(learner: Learner) -> None:
    """Fresh Adams for the stage: of the world model, then of actor and critic."""
    config = learner.config
    if learner.stage == IMAGINED:
        learner.model.decoder.requires_grad_(config.mode == "literal")
        if learner.model.offset is not None:
            learner.model.offset.requires_grad_(config.mode == "literal")
    learner.optimisers = [_adam(learner.model, config, config.weight_decay)]
    if learner.stage == IMAGINED:
        both = torch.nn.ModuleList([learner.actor, learner.critic])
        learner.optimisers.append(_adam(both, config, 0.0))


def _adam(module: torch.nn.Module, config: TrainConfig, decay: float) -> torch.optim.Adam:
    parameters = [p for p in module.parameters() if p.requires_grad]
    fused = parameters[0].device.type in ("cpu", "cuda")
    return torch.optim.Adam(parameters, lr=config.learning_rate, weight_decay=decay, fused=fused)
