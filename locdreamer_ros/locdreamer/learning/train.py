# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Both stages of Algorithm 1 with what training needs around them: seeds, rates, curves, stopping.

All that is random in an epoch comes from one generator seeded by (seed, stage, epoch). So a run
that was killed goes on from its checkpoint exactly as if it had not been.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from locdreamer_ros.locdreamer.learning import checkpoint
from locdreamer_ros.locdreamer.learning.actor import Actor, head_for
from locdreamer_ros.locdreamer.learning.algorithm1 import DreamLoss, dream_loss, real_loss
from locdreamer_ros.locdreamer.learning.critic import Critic
from locdreamer_ros.locdreamer.learning.data import Batch, Walks, anchor_rows, moved
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig
from locdreamer_ros.locdreamer.learning.imagination import Dream, Ground, LiteralDream, frozen
from locdreamer_ros.locdreamer.learning.learner import IMAGINED, REAL, Learner, restart_optimisers
from locdreamer_ros.locdreamer.world_model.model import Area, ModelConfig, WorldModel
from locdreamer_ros.types import Anchors

LARGEST_GRADIENT = 5.0
VALIDATE_EVERY = 5
"""Epochs of stage 2 between looks at the validation walk (stage 1: every epoch)."""
CHECKPOINT_EVERY = 10
JUDGE_EVERY = 3
"""Epochs between the starts of the dreams in which the policy is judged at the end."""
Curve = Callable[[str, float, int], None]


@dataclass(frozen=True, eq=False)
class Task:
    """What to learn from and for: walks of the bootstrap anchors R, and the anchors A."""

    train: Walks
    validation: Walks
    deploy: Anchors
    tag_height: float
    area: Area


def begin(task: Task, model_config: ModelConfig, config: TrainConfig, seed: int) -> Learner:
    """Line 1: initialise LocDreamer from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = head_for(len(task.deploy), min(config.budget, len(task.deploy)))
        shape: dict[str, Any] = {"hidden": model_config.hidden, "width": model_config.width}
        learner = Learner(
            WorldModel(model_config, task.area),
            Actor(head=head, literal=config.mode == "literal", **shape),
            Critic(**shape),
            config,
        )
    restart_optimisers(learner)
    return learner


def train(
    task: Task,
    model_config: ModelConfig,
    config: TrainConfig,
    *,
    seed: int = 0,
    device: str = "cpu",
    resume: Path | None = None,
    curve: Curve = lambda name, value, epoch: None,
    progress: bool = False,
    snapshot: Callable[[Learner], None] = lambda learner: None,
    pretrained: WorldModel | None = None,
) -> Learner:
    """Algorithm 1, both stages. Checkpoints go to `resume` and are taken up from there.

    curve(name, value, epoch) gets the losses; snapshot(learner) is called at each validation of
    stage 2; pretrained: what stage 1 gave, where it is not to be run again. Raises InputError for
    a checkpoint of another run.
    """
    learner = begin(task, model_config, config, seed)
    learner.modules.to(device)
    restart_optimisers(learner)
    if resume is not None and resume.exists():
        checkpoint.load(resume, learner, _fingerprint(task, model_config, config, seed))
    run = _Run(task, config, seed, device, resume, curve, progress, snapshot)
    run.fingerprint = _fingerprint(task, model_config, config, seed)
    if pretrained is not None and learner.stage == REAL:
        learner.model.load_state_dict(pretrained.state_dict())
        _next_stage(learner)
    if learner.stage == REAL:
        run.real(learner)  # lines 2-11
        if config.imagine_epochs == 0:
            return learner
        _next_stage(learner)
    run.imagined(learner)  # lines 12-24
    return learner


def _fingerprint(
    task: Task, model_config: ModelConfig, config: TrainConfig, seed: int
) -> dict[str, str]:
    """What two runs must share for one to go on from the other's checkpoint."""
    return {
        "data": task.train.digest,
        "deploy": ",".join(task.deploy.ids),
        "model": repr(model_config),
        "train": repr(config),
        "seed": str(seed),
    }


def _next_stage(learner: Learner) -> None:
    learner.dreamer = frozen(learner.model)
    learner.stage, learner.epoch, learner.best, learner.kept = IMAGINED, 0, math.inf, {}
    restart_optimisers(learner)


@dataclass(eq=False)
class _Run:
    task: Task
    config: TrainConfig
    seed: int
    device: str
    resume: Path | None
    curve: Curve
    progress: bool
    snapshot: Callable[[Learner], None]
    fingerprint: dict[str, str] = field(default_factory=dict)

    def generator(self, stage: int, epoch: int) -> torch.Generator:
        """The randomness of one epoch; validation is epoch -1."""
        number = ((self.seed * 4 + stage) * 1_000_003 + epoch + 1) % 2**63
        return torch.Generator().manual_seed(number)

    def epochs(self, learner: Learner, last: int, what: str) -> Iterable[int]:
        """The epochs left, with a bar."""
        left = range(learner.epoch, last)
        if not self.progress:
            return left
        from tqdm import tqdm

        return tqdm(left, desc=what, unit="epoch", initial=learner.epoch, total=last, leave=False)

    def real(self, learner: Learner) -> None:
        """Stage 1 on the real ranges of R."""
        config, model = self.config, learner.model
        validation = self.task.validation.in_order().to(self.device)
        for epoch in self.epochs(learner, config.epochs, "stage 1, real ranges"):  # line 2
            generator = self.generator(REAL, epoch)
            _anneal(learner.optimisers, config, epoch / config.epochs)
            total = 0.0
            for _ in range(config.minibatches):
                batch = self.task.train.draw(config.batch, generator)
                if not model.raw:
                    batch = moved(batch, self.task.area, generator)
                loss = real_loss(model, batch.to(self.device), generator)
                _descend(loss, learner.optimisers)  # line 11
                total += float(loss.detach()) / config.minibatches
            with torch.no_grad():
                score = float(real_loss(model, validation, self.generator(REAL, -1)))
            self.curve("real/loss", total, epoch)
            self.curve("real/validation", score, epoch)
            self._end_of_epoch(learner, score)
        learner.restore()

    def imagined(self, learner: Learner) -> None:
        """Stage 2 in dreams of A."""
        config, task = self.config, self.task
        dreamer = learner.dreamer
        assert dreamer is not None
        dreams = _Dreams(dreamer, learner.model, task, config, self.device)
        if dreams.grounds:
            learner.lasting_m = dreams.grounds[0].lasting_m
        for epoch in self.epochs(learner, config.imagine_epochs, "stage 2, imagination"):  # line 12
            generator = self.generator(IMAGINED, epoch)
            _anneal(learner.optimisers, config, epoch / config.imagine_epochs)
            losses = dreams.loss(learner, generator)
            loss = losses.tracker + losses.actor + losses.critic
            _descend(loss, learner.optimisers)  # line 24
            self.curve("dream/loss", float(losses.tracker.detach()), epoch)
            self.curve("dream/critic", float(losses.critic.detach()), epoch)
            last = epoch + 1 == config.imagine_epochs
            if (epoch + 1) % VALIDATE_EVERY and not last:
                learner.epoch += 1
                continue
            with torch.no_grad():
                losses = dreams.validation(learner, self.generator(IMAGINED, -1))
            score = float(losses.tracker)
            self.curve("dream/validation", score, epoch)
            if config.subsets != "all":
                self.curve("dream/policy_cost", losses.cost, epoch)
            self.snapshot(learner)
            self._end_of_epoch(learner, score)
            # The letter knows no early stopping, and its loss is another dream's at each epoch.
            if config.mode != "literal" and learner.epoch - learner.best_epoch > config.patience:
                break
        if config.mode == "literal":
            return
        learner.restore()
        if not dreams.worth_learning(learner, self.generator(IMAGINED, -1)):
            learner.actor.forget()

    def _end_of_epoch(self, learner: Learner, score: float) -> None:
        learner.epoch += 1
        if score < learner.best:
            learner.best = score
            learner.keep()
        if self.resume is not None and learner.epoch % CHECKPOINT_EVERY == 0:
            checkpoint.save(self.resume, learner, self.fingerprint)


class _Dreams:
    """Makes the dreams of either mode."""

    def __init__(
        self, dreamer: WorldModel, model: WorldModel, task: Task, config: TrainConfig, device: str
    ) -> None:
        self.model, self.task, self.config, self.device = model, task, config, device
        self.anchor = anchor_rows(task.deploy, task.tag_height).to(device)
        self.grounds: list[Ground] = []
        if config.mode == "grounded":
            where: dict[str, Any] = {"area": task.area, "steps": config.steps, "device": device}
            train = Ground(dreamer, task.train, **where)
            self.grounds = [
                train,
                Ground(dreamer, task.validation, noise=train.noise, **where),
            ]

    def loss(self, learner: Learner, generator: torch.Generator) -> DreamLoss:
        """Loss of one fresh dream."""
        config = self.config
        real = None
        dream: Dream
        if self.grounds:
            dream = self.grounds[0].draw(config.batch, self.anchor, generator)
        else:
            real = self.task.train.draw(config.batch, generator).to(self.device)
            dream = self._literal(real, generator)
        return dream_loss(
            learner.model,
            learner.actor,
            learner.critic,
            dream,
            config,
            generator,
            real,
        )

    def _literal(self, real: Batch, generator: torch.Generator) -> LiteralDream:
        anchor = self.anchor.expand(real.anchor.shape[0], *self.anchor.shape)
        return LiteralDream(self.model, anchor, real.dt, real.start, generator)

    def worth_learning(self, learner: Learner, generator: torch.Generator) -> bool:
        """Whether what the policy learned helps in dreams of the validation walks.

        It must bring more reward than physics alone by two standard errors. Rewards are mostly the
        luck of the noise: without this test a policy drifts where its dreams see no harm.
        """
        if not self.grounds or learner.actor.head != "categorical" or self.config.subsets == "all":
            return True
        ground = self.grounds[1]
        starts = [ground.starts[i] for i in range(0, len(ground.starts), JUDGE_EVERY)]
        dream = ground.dream(starts, self.anchor, generator)
        with torch.no_grad():
            gain = dream_loss(
                learner.model, learner.actor, learner.critic, dream, self.config, generator
            ).gain
        assert gain is not None
        return clearly_better(gain)

    def validation(self, learner: Learner, generator: torch.Generator) -> DreamLoss:
        """The losses in dreams from the validation walk, the same every time; nobody guides."""
        real = None
        dream: Dream
        if self.grounds:
            dream = self.grounds[1].in_order(self.anchor, generator)
        else:
            real = self.task.validation.in_order().to(self.device)
            dream = self._literal(real, generator)
        return dream_loss(
            learner.model,
            learner.actor,
            learner.critic,
            dream,
            self.config,
            generator,
            real,
            judge=False,
        )


def clearly_better(gain: torch.Tensor) -> bool:
    """Whether gains (B,) lie above 0 by two standard errors of their mean."""
    return float(gain.mean()) > 2.0 * float(gain.std()) / len(gain) ** 0.5


def _anneal(
    optimisers: Sequence[torch.optim.Optimizer], config: TrainConfig, progress: float
) -> None:
    """Cosine annealing (Table 1) at a share of all epochs."""
    rate = 0.5 * config.learning_rate * (1.0 + math.cos(math.pi * progress))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = rate


def _descend(loss: torch.Tensor, optimisers: Sequence[torch.optim.Optimizer]) -> None:
    """One step down; a gradient that is not finite is passed over."""
    for optimiser in optimisers:
        optimiser.zero_grad(set_to_none=True)
    loss.backward()
    for optimiser in optimisers:
        parameters = optimiser.param_groups[0]["params"]
        norm = torch.nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
        if bool(torch.isfinite(norm)):
            optimiser.step()
