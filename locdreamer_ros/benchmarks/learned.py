# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks that train share: the paper's models, in a house or on recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, combinations
from typing import TYPE_CHECKING

import numpy as np

from locdreamer_ros.benchmarks.result import Settings
from locdreamer_ros.benchmarks.spreading import Answer, spread
from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.metrics import Track
from locdreamer_ros.evaluation.run import Report, report, run_offline
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.roles import Scheduler, Tracker
from locdreamer_ros.types import Anchors, FloatArray, Site

if TYPE_CHECKING:
    from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig
    from locdreamer_ros.locdreamer.learning.learner import Learner
    from locdreamer_ros.locdreamer.learning.train import Task
    from locdreamer_ros.locdreamer.model_file import Trained
    from locdreamer_ros.locdreamer.world_model.model import ModelConfig, WorldModel

RATE_HZ = 1.0
DURATION_S = 600.0
"""The test walk: that of the benchmark `house`, on which nothing is trained."""
BUDGET = 3
TRAIN_SHARE = 0.6
"""Of a single recording; the rest tests."""
SAME_M = 0.05
"""Anchors of two recordings are in the same places where they differ by no more."""
EPOCHS: dict[str, int] = {}
"""Fewer epochs than the paper's, for tests: fields of `TrainConfig`."""


@dataclass(frozen=True, eq=False)
class Place:
    """One seed's place: the test walk of the unseen anchors, and what to learn from.

    noise: the head of the models' decoder, empty for the default. climbs: how far from its usual
    height the tag goes, m.
    """

    seed: int
    test: Recording
    site: Site
    task: Task
    real_task: Task
    walls: FloatArray | None = None
    noise: str = ""
    climbs: float = 0.0


def place(seed: int, settings: Settings) -> Place:
    """The simulated place of the seed, or the recordings of the settings.

    Of one recording the first part trains (and validates), the rest tests; of two, the first trains
    and the second tests. Raises InputError where they cannot be used so, or anchors are not known.
    """
    if settings.recordings:
        return _recorded(seed, settings)
    from locdreamer_ros.locdreamer.learning.tasks import simulated_task
    from locdreamer_ros.simulation import HOUSE_BOOTSTRAP, HOUSE_DEPLOY, make_world, simulate

    environment = settings.environment
    if environment != "house" and not (settings.bootstrap and settings.deploy):
        raise InputError(f"--environment {environment}: name --bootstrap IDS and --deploy IDS")
    bootstrap, deploy = settings.bootstrap or HOUSE_BOOTSTRAP, settings.deploy or HOUSE_DEPLOY
    test = simulate(environment, duration=DURATION_S, rate=RATE_HZ, seed=seed, deploy=deploy)
    world = make_world(environment, seed)
    steps = configs({})[1].steps

    def task(real: tuple[str, ...]) -> Task:
        return simulated_task(environment, seed=seed, bootstrap=real, deploy=deploy, steps=steps)

    site = Site(test.anchors, 2, world.tag_height)
    tasks = task(bootstrap), task(deploy)
    return Place(seed, test, site, *tasks, world.walls, settings.noise)


def _recorded(seed: int, settings: Settings) -> Place:
    from locdreamer_ros.locdreamer.learning.tasks import recorded_task

    train, test = _train_and_test(settings)
    bootstrap, deploy = roles(train, settings)
    height, climbs = _height(test)
    steps = configs({})[1].steps

    def task(real: tuple[str, ...]) -> Task:
        return recorded_task(
            train,
            train.anchors,
            bootstrap=real,
            deploy=deploy,
            tag_height=height,
            steps=steps,
        )

    tasks = task(bootstrap), task(deploy)
    test = test.only(deploy)
    site = Site.of(test.anchors, "2", height)
    return Place(seed, test, site, *tasks, noise=settings.noise, climbs=climbs)


def _train_and_test(settings: Settings) -> tuple[Recording, Recording]:
    """Stretches of one recording, or two recordings. Raises InputError."""
    from locdreamer_ros.datasets import load_recording
    from locdreamer_ros.locdreamer.learning.tasks import piece

    if len(settings.recordings) > 2:
        raise InputError(
            f"--recording: expected one, or one to train and one to test on, got "
            f"{len(settings.recordings)}"
        )
    train, *others = (load_recording(*files) for files in settings.recordings)
    if others:
        test = others[0]
        here, there = train.anchors, test.anchors
        known = set(there.ids) == set(here.ids)
        if not known or np.abs(there.subset(here.ids).positions - here.positions).max() > SAME_M:
            raise InputError(f"{test.where}: expected the anchors of {train.where}, ids and places")
    else:
        cut = round(TRAIN_SHARE * len(train))
        train, test = piece(train, 0, cut), piece(train, cut, len(train), truth=True)
    if test.truth is None or not np.isfinite(test.truth[:, :2]).all(axis=1).any():
        raise InputError(f"{test.where}: the benchmark needs ground truth (gt_x, gt_y, gt_z)")
    return train, test


def roles(train: Recording, settings: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who has real ranges, and who is imagined: those named, else three far apart and the others.

    Raises InputError where too few are left to choose from.
    """
    anchors = train.anchors
    bootstrap = settings.bootstrap or (_far_apart(anchors) if len(anchors) > 3 else anchors.ids)
    deploy = settings.deploy or tuple(name for name in anchors.ids if name not in bootstrap)
    anchors.rows((*bootstrap, *deploy))
    if len(deploy) <= BUDGET:
        raise InputError(
            f"{train.where}: {len(anchors)} anchors, of them {', '.join(bootstrap)} real: expected "
            f"more than {BUDGET} to deploy, to choose from (--bootstrap IDS, --deploy IDS)"
        )
    return bootstrap, deploy


def _far_apart(anchors: Anchors) -> tuple[str, ...]:
    """The three anchors that span the largest triangle on the floor."""
    places = dict(zip(anchors.ids, anchors.positions[:, :2], strict=True))

    def area(three: tuple[str, ...]) -> float:
        a, b, c = (places[name] for name in three)
        return float(abs(np.linalg.det(np.stack([b - a, c - a]))))

    return max(combinations(anchors.ids, 3), key=area)


def _height(test: Recording) -> tuple[float | None, float]:
    """The tag's height m, median of the truth where that has one, and how far it moves from it."""
    assert test.truth is not None
    heights = test.truth[np.isfinite(test.truth[:, 2]), 2]
    if heights.size == 0:
        return None, 0.0
    middle = float(np.median(heights))
    return middle, float(np.abs(heights - middle).max())


def configs(
    changes: Mapping[str, object], preset: str = "default", noise: str = ""
) -> tuple[ModelConfig, TrainConfig]:
    """Model and training hyperparameters of a preset with `changes` of the latter.

    Raises InputError for an unknown noise head.
    """
    from locdreamer_ros.config import build
    from locdreamer_ros.locdreamer.learning.hyperparameters import PRESETS, TrainConfig
    from locdreamer_ros.locdreamer.world_model.model import ModelConfig

    model, values = PRESETS[preset]
    if noise:
        model = {**model, "noise": noise}
    merged = {**values, **EPOCHS, **changes}
    return build(ModelConfig, model, preset), build(TrainConfig, merged, preset)


def in_groups(
    function: Callable[[Sequence[int]], list[Answer]], settings: Settings
) -> list[Answer]:
    """The function's answer for each seed; it gets those that are trained side by side.

    On a GPU all are, else there are as many groups as jobs.
    """
    import torch

    shares = 1 if torch.cuda.is_available() else min(settings.jobs, len(settings.seeds))
    groups = [settings.seeds[i::shares] for i in range(shares)]
    found = spread(function, groups, settings, label="trainings")
    by_seed = dict(zip(chain(*groups), chain(*found), strict=True))
    return [by_seed[seed] for seed in settings.seeds]


def learn(
    tasks: Sequence[Task],
    seeds: Sequence[int],
    *,
    preset: str = "default",
    noise: str = "",
    pretrained: Sequence[WorldModel] = (),
    snapshot: Callable[..., None] = lambda seeds, learners, losses: None,
    **changes: object,
) -> list[Learner]:
    """Learners after Algorithm 1, on a GPU or in one thread; alike tasks side by side.

    snapshot(seeds, learners, losses): at each validation of stage 2, of those side by side.
    """
    import torch

    from locdreamer_ros.locdreamer.device import device_of
    from locdreamer_ros.locdreamer.learning.train import train_together

    torch.set_num_threads(1)
    model_config, config = configs(changes, preset, noise)
    shapes = {(task.area, len(task.deploy), len(task.train.anchors)) for task in tasks}
    every = range(len(tasks))
    groups = [every] if len(shapes) == 1 else [range(i, i + 1) for i in every]
    learners = []
    for rows in groups:
        own = [seeds[i] for i in rows]
        learners += train_together(
            [tasks[i] for i in rows],
            model_config,
            config,
            seeds=own,
            device=device_of("auto"),
            snapshot=partial(snapshot, own),
            pretrained=[pretrained[i] for i in rows] if pretrained else (),
        )
    return learners


def as_trained(learner: Learner, task: Task) -> Trained:
    """What a model file would hold of the learner, on the processor."""
    from locdreamer_ros.locdreamer.model_file import trained_of

    learner.model.requires_grad_(False).eval()
    learner.actor.requires_grad_(False).eval()
    return trained_of(learner, task, seed=0).to("cpu")


def learned(trained: Trained, site: Site) -> tuple[Callable[[], Tracker], Callable[[], Scheduler]]:
    """How to make a trained model's tracker, and its policy as a scheduler."""
    from locdreamer_ros.locdreamer.scheduler import ActorScheduler
    from locdreamer_ros.locdreamer.tracker import LocDreamerTracker

    return (lambda: LocDreamerTracker(site, trained)), (lambda: ActorScheduler(site, trained))


def run_test(
    where: Place, name: str, tracker: Tracker, scheduler: Scheduler
) -> tuple[Track, Report]:
    """Track and score the test walk."""
    run = run_offline(where.test, where.site, tracker, scheduler, budget=BUDGET)
    track, seconds = run.tracks[0], run.seconds[0]
    method = Method(tracker=name, scheduler="", budget=BUDGET, seed=where.seed)
    others = run.loops[0].tracker.fallbacks
    return track, report(track, method, step_us=1e6 * seconds, fallbacks=others)
