# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What changes while Algorithm 1 runs: the three networks, their Adams, the best so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from locdreamer_ros.locdreamer.learning.actor import Actor
from locdreamer_ros.locdreamer.learning.critic import Critic
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig
from locdreamer_ros.locdreamer.learning.together import put, together
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


@dataclass(eq=False)
class Nets:
    """The networks of one learner, or of several as one (`together`), and their Adams."""

    model: WorldModel
    actor: Actor
    critic: Critic
    optimisers: list[torch.optim.Optimizer]
    seeds: int


def joined(learners: Sequence[Learner]) -> Nets:
    """To train them side by side; with one learner its own, with more fresh Adams."""
    first = learners[0]
    nets = Nets(
        together([x.model for x in learners]),
        together([x.actor for x in learners]),
        together([x.critic for x in learners]),
        first.optimisers,
        len(learners),
    )
    if len(learners) > 1:
        nets.optimisers = _optimisers(nets, first.config, first.stage)
    return nets


def put_back(nets: Nets, learners: Sequence[Learner]) -> None:
    """What the networks learned together, into each learner."""
    put(nets.model, [x.model for x in learners])
    put(nets.actor, [x.actor for x in learners])
    put(nets.critic, [x.critic for x in learners])


def restart_optimisers(learner: Learner) -> None:
    """Fresh Adams for the stage: of the world model, then of actor and critic."""
    config = learner.config
    if learner.stage == IMAGINED:
        learner.model.decoder.requires_grad_(config.mode == "literal")
        if learner.model.offset is not None:
            learner.model.offset.requires_grad_(config.mode == "literal")
    learner.optimisers = _optimisers(learner, config, learner.stage)


def _optimisers(
    nets: Learner | Nets, config: TrainConfig, stage: int
) -> list[torch.optim.Optimizer]:
    adams: list[torch.optim.Optimizer] = [_adam(nets.model, config, config.weight_decay)]
    if stage == IMAGINED:
        adams.append(_adam(torch.nn.ModuleList([nets.actor, nets.critic]), config, 0.0))
    return adams


def _adam(module: torch.nn.Module, config: TrainConfig, decay: float) -> torch.optim.Adam:
    parameters = [p for p in module.parameters() if p.requires_grad]
    fused = parameters[0].device.type in ("cpu", "cuda")
    return torch.optim.Adam(parameters, lr=config.learning_rate, weight_decay=decay, fused=fused)
