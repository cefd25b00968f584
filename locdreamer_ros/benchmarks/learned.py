# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `table2` and `figures` share: the paper's models, trained in one seed's house."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.metrics import Track
from locdreamer_ros.evaluation.run import Report, report, run_offline
from locdreamer_ros.recording import Recording
from locdreamer_ros.roles import Scheduler, Tracker
from locdreamer_ros.types import Site

RATE_HZ = 1.0
DURATION_S = 600.0
"""The test walk: that of the benchmark `house`, on which nothing is trained."""
BUDGET = 3
EPOCHS: dict[str, int] = {}
"""Fewer epochs than the paper's, for tests: fields of `TrainConfig`."""


@dataclass(frozen=True, eq=False)
class House:
    """One seed's house: the test walk of the five unseen anchors, and what to learn from."""

    seed: int
    test: Recording
    site: Site
    task: Any
    real_task: Any


def house(seed: int, environment: str) -> House:
    """Raises InputError for an environment that has no bootstrap anchors."""
    from locdreamer_ros.learning.tasks import simulated_task
    from locdreamer_ros.simulation import HOUSE_BOOTSTRAP, HOUSE_DEPLOY, make_world, simulate

    if environment != "house":
        raise InputError(f"--environment: the paper's table is made for house, not {environment!r}")
    test = simulate(environment, duration=DURATION_S, rate=RATE_HZ, seed=seed, deploy=HOUSE_DEPLOY)
    world = make_world(environment, seed)
    steps = configs({})[1].steps

    def task(bootstrap: tuple[str, ...]) -> Any:
        return simulated_task(
            environment, seed=seed, bootstrap=bootstrap, deploy=HOUSE_DEPLOY, steps=steps
        )

    site = Site(test.anchors, 2, world.tag_height)
    return House(seed, test, site, task(HOUSE_BOOTSTRAP), task(HOUSE_DEPLOY))


def configs(changes: Mapping[str, object], preset: str = "default") -> tuple[Any, Any]:
    """Model and training hyperparameters of a preset with `changes` of the latter."""
    from locdreamer_ros.config import build
    from locdreamer_ros.learning.hyperparameters import PRESETS, TrainConfig
    from locdreamer_ros.world_model.model import ModelConfig

    model, values = PRESETS[preset]
    merged = {**values, **EPOCHS, **changes}
    return build(ModelConfig, model, preset), build(TrainConfig, merged, preset)


def learn(
    task: Any, seed: int, *, preset: str = "default", pretrained: Any = None, **changes: object
) -> Any:
    """A learner after Algorithm 1, in one thread."""
    import torch

    from locdreamer_ros.learning.train import train

    torch.set_num_threads(1)
    model_config, config = configs(changes, preset)
    return train(task, model_config, config, seed=seed, pretrained=pretrained)


def as_trained(learner: Any, task: Any) -> Any:
    """What a model file would hold of the learner."""
    from locdreamer_ros.learning.model_file import Trained, places

    step = task.train.step_s
    return Trained(
        learner.model.requires_grad_(False).eval(),
        learner.actor.requires_grad_(False).eval(),
        learner.config,
        places(task.train.anchors),
        places(task.deploy),
        (step, step),
        task.tag_height,
        task.train.digest,
        0,
    )


def learned(learner: Any, task: Any, site: Site) -> tuple[Callable[[], Tracker], Any]:
    """How to make the learner's tracker, and its policy as a scheduler."""
    from locdreamer_ros.schedulers.actor import ActorScheduler
    from locdreamer_ros.trackers.locdreamer import LocDreamerTracker

    trained = as_trained(learner, task)
    return (lambda: LocDreamerTracker(site, trained)), (lambda: ActorScheduler(site, trained))


def run_test(
    where: House, name: str, tracker: Tracker, scheduler: Scheduler
) -> tuple[Track, Report]:
    """Track and score the test walk."""
    (track,), seconds = run_offline(where.test, where.site, tracker, scheduler, budget=BUDGET)
    return track, report(
        track,
        tracker=name,
        scheduler="",
        budget=BUDGET,
        seed=where.seed,
        step_us=1e6 * seconds[0],
    )


def mean_of(reports: Sequence[Report], key: str) -> float:
    """Mean of a measure over seeds."""
    return float(sum(r[key] for r in reports)) / len(reports)
