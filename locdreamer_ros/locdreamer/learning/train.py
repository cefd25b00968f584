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
from torch import Tensor

from locdreamer_ros.garbage import memory_kept, seldom_collected
from locdreamer_ros.locdreamer.learning import checkpoint
from locdreamer_ros.locdreamer.learning.actor import Actor, head_for
from locdreamer_ros.locdreamer.learning.algorithm1 import DreamLoss, dream_loss, real_loss
from locdreamer_ros.locdreamer.learning.critic import Critic
from locdreamer_ros.locdreamer.learning.data import (
    Batch,
    Walks,
    anchor_rows,
    cat,
    moved,
    side_by_side,
)
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig
from locdreamer_ros.locdreamer.learning.imagination import (
    Dream,
    Ground,
    GroundedDream,
    LiteralDream,
    ResidualNoise,
    frozen,
)
from locdreamer_ros.locdreamer.learning.learner import (
    IMAGINED,
    REAL,
    Learner,
    Nets,
    joined,
    put_back,
    restart_optimisers,
)
from locdreamer_ros.locdreamer.learning.update import Played, Update
from locdreamer_ros.locdreamer.world_model.chance import Source
from locdreamer_ros.locdreamer.world_model.model import Area, ModelConfig, WorldModel
from locdreamer_ros.types import Anchors

VALIDATE_EVERY = 5
"""Epochs of stage 2 between looks at the validation walk (stage 1: every epoch)."""
CHECKPOINT_EVERY = 10
JUDGE_EVERY = 3
"""Epochs between the starts of the dreams in which the policy is judged at the end."""
Curve = Callable[[str, float, int], None]
Snapshot = Callable[[Sequence[Learner], Sequence[float]], None]


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
    pretrained: WorldModel | None = None,
) -> Learner:
    """Algorithm 1, both stages. Checkpoints go to `resume` and are taken up from there.

    curve(name, value, epoch) gets the losses; pretrained: what stage 1 gave, where it is not to be
    run again. Raises InputError for a checkpoint of another run.
    """
    learner = begin(task, model_config, config, seed)
    learner.modules.to(device)
    restart_optimisers(learner)
    if resume is not None and resume.exists():
        checkpoint.load(resume, learner, _fingerprint(task, model_config, config, seed))
    run = _Run([task], config, [seed], device, resume, curve, progress)
    run.fingerprint = _fingerprint(task, model_config, config, seed)
    run.through([learner], [] if pretrained is None else [pretrained])
    return learner


def train_together(
    tasks: Sequence[Task],
    model_config: ModelConfig,
    config: TrainConfig,
    *,
    seeds: Sequence[int],
    device: str = "cpu",
    progress: bool = False,
    snapshot: Snapshot = lambda learners, losses: None,
    pretrained: Sequence[WorldModel] = (),
) -> list[Learner]:
    """`train` of each task with its seed, side by side in one batch; the same but for rounding.

    Their areas and numbers of anchors must be the same. snapshot(learners, losses) gets them, to be
    left as they are, and their losses at each validation of stage 2.
    """
    learners = [begin(t, model_config, config, s) for t, s in zip(tasks, seeds, strict=True)]
    for learner in learners:
        learner.modules.to(device)
        restart_optimisers(learner)
    run = _Run(list(tasks), config, list(seeds), device, progress=progress, snapshot=snapshot)
    run.through(learners, pretrained)
    return learners


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
    """One run of Algorithm 1, of one learner or of several side by side."""

    tasks: list[Task]
    config: TrainConfig
    seeds: list[int]
    device: str
    resume: Path | None = None
    curve: Curve = lambda name, value, epoch: None
    progress: bool = False
    snapshot: Snapshot = lambda learners, losses: None
    fingerprint: dict[str, str] = field(default_factory=dict)

    @seldom_collected()
    def through(self, learners: list[Learner], pretrained: Sequence[WorldModel]) -> None:
        """Both stages, or what is left of them."""
        memory_kept()
        first = learners[0]
        if pretrained and first.stage == REAL:
            for learner, model in zip(learners, pretrained, strict=True):
                learner.model.load_state_dict(model.state_dict())
                _next_stage(learner)
        if first.stage == REAL:
            self.real(learners)  # lines 2-11
            if self.config.imagine_epochs == 0:
                self.look_for_what_lasts(learners)
                return
            for learner in learners:
                _next_stage(learner)
        self.imagined(learners)  # lines 12-24

    def look_for_what_lasts(self, learners: list[Learner]) -> None:
        """Sigma of lasting errors, where no stage 2 reads the real walks for its dreams."""
        if self.config.mode == "grounded":
            for learner, task in zip(learners, self.tasks, strict=True):
                learner.lasting_m = read(learner.model, task, self.config, self.device).lasting_m

    def generators(self, stage: int, epoch: int) -> list[torch.Generator]:
        """The randomness of one epoch, of each seed; validation is epoch -1."""
        numbers = [((s * 4 + stage) * 1_000_003 + epoch + 1) % 2**63 for s in self.seeds]
        return [torch.Generator().manual_seed(number) for number in numbers]

    def epochs(self, learner: Learner, last: int, what: str) -> Iterable[int]:
        """The epochs left, with a bar."""
        left = range(learner.epoch, last)
        if not self.progress:
            return left
        from tqdm import tqdm

        return tqdm(left, desc=what, unit="epoch", initial=learner.epoch, total=last, leave=False)

    def real(self, learners: list[Learner]) -> None:
        """Stage 1 on the real ranges of R."""
        config, seeds = self.config, len(learners)
        nets = joined(learners)
        model = nets.model
        validation = side_by_side([task.validation.in_order() for task in self.tasks], self.device)

        def losses(*tensors: Tensor, source: Source) -> tuple[Tensor, ...]:
            return (real_loss(model, Batch.of(tensors), source, seeds),)

        update, judge = Update(losses, nets, self.device), Played(losses, self.device)
        for epoch in self.epochs(learners[0], config.epochs, "stage 1, real ranges"):  # line 2
            generators = self.generators(REAL, epoch)
            _anneal(nets.optimisers, config, epoch / config.epochs)
            total = torch.zeros(seeds)
            for _ in range(config.minibatches):
                batches = []
                for task, generator in zip(self.tasks, generators, strict=True):
                    batch = task.train.draw(config.batch, generator)
                    batches.append(batch if model.raw else moved(batch, task.area, generator))
                (loss,) = update(side_by_side(batches, self.device).tensors, generators)  # line 11
                total += loss.cpu() / config.minibatches
            with torch.no_grad():
                (found,) = judge(validation.tensors, self.generators(REAL, -1))
            scores = found.cpu().tolist()
            self.curve("real/loss", float(total.mean()), epoch)
            self.curve("real/validation", sum(scores) / seeds, epoch)
            self._end_of_epoch(learners, nets, scores)
        for learner in learners:
            learner.restore()

    def imagined(self, learners: list[Learner]) -> None:
        """Stage 2 in dreams of A."""
        config, seeds = self.config, len(learners)
        every = [
            Dreams(x, t, config, self.device) for x, t in zip(learners, self.tasks, strict=True)
        ]
        nets = joined(learners)

        def losses(*tensors: Tensor, source: Source) -> tuple[Tensor, ...]:
            found = every[0].loss(nets, tensors, source, seeds)
            return found.tracker, found.actor, found.critic

        def judged(*tensors: Tensor, source: Source) -> tuple[Tensor, ...]:
            found = every[0].loss(nets, tensors, source, seeds, judge=False)
            return found.tracker, found.cost

        update, judge = Update(losses, nets, self.device), Played(judged, self.device)
        stopped = [False] * seeds
        for epoch in self.epochs(learners[0], config.imagine_epochs, "stage 2, imagination"):
            generators = self.generators(IMAGINED, epoch)  # line 12
            _anneal(nets.optimisers, config, epoch / config.imagine_epochs)
            drawn = [d.draw(g) for d, g in zip(every, generators, strict=True)]
            tracker, _, critic = update(cat(drawn), generators)  # line 24
            self.curve("dream/loss", float(tracker.mean()), epoch)
            self.curve("dream/critic", float(critic.mean()), epoch)
            last = epoch + 1 == config.imagine_epochs
            if (epoch + 1) % VALIDATE_EVERY and not last:
                for learner in learners:
                    learner.epoch += 1
                continue
            generators = self.generators(IMAGINED, -1)
            walked = [d.in_order(g) for d, g in zip(every, generators, strict=True)]
            with torch.no_grad():
                tracker, cost = judge(cat(walked), generators)
            scores = tracker.cpu().tolist()
            put_back(nets, learners)
            self.snapshot(learners, scores)
            self.curve("dream/validation", sum(scores) / seeds, epoch)
            if config.subsets != "all":
                self.curve("dream/policy_cost", float(cost.mean()), epoch)
            # Who has stopped keeps what was best until then, however the others go on.
            scores = [math.inf if s else x for s, x in zip(stopped, scores, strict=True)]
            self._end_of_epoch(learners, nets, scores)
            # The letter knows no early stopping, and its loss is another dream's at each epoch.
            if config.mode != "literal":
                stopped = [x.epoch - x.best_epoch > config.patience for x in learners]
                if all(stopped):
                    break
        if config.mode == "literal":
            put_back(nets, learners)
            return
        for learner, dreams, seed in zip(
            learners, every, self.generators(IMAGINED, -1), strict=True
        ):
            learner.restore()
            if not dreams.worth_learning(learner, seed):
                learner.actor.forget()

    def _end_of_epoch(self, learners: list[Learner], nets: Nets, scores: list[float]) -> None:
        if any(score < x.best for score, x in zip(scores, learners, strict=True)):
            put_back(nets, learners)
        for learner, score in zip(learners, scores, strict=True):
            learner.epoch += 1
            if score < learner.best:
                learner.best = score
                learner.keep()
        if self.resume is not None and learners[0].epoch % CHECKPOINT_EVERY == 0:
            checkpoint.save(self.resume, learners[0], self.fingerprint)


def read(
    model: WorldModel,
    task: Task,
    config: TrainConfig,
    device: str,
    noise: ResidualNoise | None = None,
) -> Ground:
    """What the model makes of the walks that train; with their `noise`, of those that validate."""
    walks = task.train if noise is None else task.validation
    return Ground(model, walks, area=task.area, steps=config.steps, noise=noise, device=device)


class Dreams:
    """Makes one seed's dreams, of either mode, as tensors for `loss`."""

    def __init__(self, learner: Learner, task: Task, config: TrainConfig, device: str) -> None:
        assert learner.dreamer is not None
        self.task, self.config, self.device = task, config, device
        self.anchor = anchor_rows(task.deploy, task.tag_height).to(device)
        self.grounds: list[Ground] = []
        if config.mode == "grounded":
            train = read(learner.dreamer, task, config, device)
            self.grounds = [train, read(learner.dreamer, task, config, device, train.noise)]
            learner.lasting_m = train.lasting_m

    def draw(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """A fresh dream: its tensors, or in mode `literal` those of the real ranges beside it."""
        if self.grounds:
            return self.grounds[0].draw(self.config.batch, self.anchor, generator).tensors
        return self._beside(self.task.train.draw(self.config.batch, generator))

    def in_order(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Dreams from the validation walk, the same every time."""
        if self.grounds:
            return self.grounds[1].in_order(self.anchor, generator).tensors
        return self._beside(self.task.validation.in_order())

    def _beside(self, real: Batch) -> tuple[Tensor, ...]:
        anchor = self.anchor.expand(real.anchor.shape[0], *self.anchor.shape)
        return (anchor, *real.to(self.device).tensors)

    def loss(
        self,
        nets: Learner | Nets,
        tensors: Sequence[Tensor],
        source: Source,
        seeds: int = 1,
        judge: bool = True,
    ) -> DreamLoss:
        """Losses of dreams whose tensors are given."""
        real: Batch | None = None
        dream: Dream
        if self.grounds:
            dream = GroundedDream.of(tensors)
        else:
            anchor, *others = tensors
            real = Batch.of(others)
            dream = LiteralDream(nets.model, anchor, real.dt, real.start, source)
        networks = (nets.model, nets.actor, nets.critic)
        return dream_loss(*networks, dream, self.config, source, real, judge, seeds)

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
            gain = self.loss(learner, dream.tensors, generator).gain
        assert gain is not None
        return clearly_better(gain)


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
