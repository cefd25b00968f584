# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small room to learn in, and a model that has learned nothing yet."""

from __future__ import annotations

from functools import lru_cache

from worlds import circle_recording, square_anchors

from locdreamer_ros.locdreamer.learning.data import Walks, area_of
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig
from locdreamer_ros.locdreamer.learning.train import Task, begin
from locdreamer_ros.locdreamer.model_file import Trained, places
from locdreamer_ros.locdreamer.world_model.model import ModelConfig
from locdreamer_ros.recording import Recording

IDS = ("A1", "A3", "A6")


def recording(seed: int, *, sigma: float = 0.1, duration: float = 60.0) -> Recording:
    """A circle walked once a second past all eight anchors."""
    return circle_recording(
        anchors=square_anchors(), rate=1.0, duration=duration, sigma=sigma, seed=seed
    )


@lru_cache
def walks(seed: int, *, steps: int = 6, sigma: float = 0.1, duration: float = 60.0) -> Walks:
    """Of three anchors."""
    return Walks(
        [recording(seed, sigma=sigma, duration=duration).only(IDS)], tag_height=1.0, steps=steps
    )


@lru_cache
def task(*, steps: int = 6, sigma: float = 0.1, duration: float = 60.0) -> Task:
    """To learn from three anchors for the five others."""
    anchors = square_anchors()
    others = anchors.subset([i for i in anchors.ids if i not in IDS])
    train = walks(1, steps=steps, sigma=sigma, duration=duration)
    return Task(
        train,
        walks(2, steps=steps, sigma=sigma, duration=duration),
        others,
        1.0,
        area_of(train.anchors, others),
    )


def trained(step_s: tuple[float, float] = (0.1, 1.0), encoder: str = "innovation") -> Trained:
    """Physics, and ranges worth 0.3 m."""
    job, config = task(), TrainConfig()
    learner = begin(job, ModelConfig(encoder=encoder), config, 0)
    return Trained(
        learner.model.requires_grad_(False),
        learner.actor.requires_grad_(False),
        config,
        places(job.train.anchors),
        places(job.deploy),
        step_s,
        1.0,
        job.train.digest,
        0,
    )
