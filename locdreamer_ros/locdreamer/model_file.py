# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A trained model on disk: safetensors with a readable JSON header. Nothing in it can run code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from locdreamer_ros import __version__, tensor_file
from locdreamer_ros.config import build
from locdreamer_ros.errors import InputError
from locdreamer_ros.locdreamer.learning.actor import HEADS, Actor
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig
from locdreamer_ros.locdreamer.world_model.model import Area, ModelConfig, WorldModel
from locdreamer_ros.types import Anchors
from locdreamer_ros.unchanging import Unchanging

if TYPE_CHECKING:
    from locdreamer_ros.locdreamer.learning.learner import Learner
    from locdreamer_ros.locdreamer.learning.train import Task

KEY = "locdreamer_model"
POLICIES = ("physics", "literal")
"""What the policy's scores begin from. Files of before do not say: from physics."""
FORMAT = 2
"""Raised when a file of before can no longer be read."""


@dataclass(frozen=True, eq=False)
class Trained(Unchanging):
    """What a model file holds: model and actor ready to use, and where they come from.

    bootstrap, deploy: anchor id -> (x, y, z) m. step_s: shortest and longest time between fixes in
    training. data: SHA-256 of the ranges it was trained on. lasting_m: sigma of what those were off
    by for long.
    """

    model: WorldModel
    actor: Actor
    config: TrainConfig
    bootstrap: Mapping[str, list[float]]
    deploy: Mapping[str, list[float]]
    step_s: tuple[float, float]
    tag_height: float
    data: str
    seed: int
    lasting_m: float = 0.0

    @property
    def device(self) -> str:
        """Where it is."""
        return str(next(self.model.parameters()).device)

    def to(self, device: str) -> Trained:
        """Itself, moved."""
        self.model.to(device)
        self.actor.to(device)
        return self


def trained_of(learner: Learner, task: Task, *, seed: int) -> Trained:
    """What Algorithm 1 made of a task, as a model file holds it."""
    step_s = task.train.step_s
    return Trained(
        learner.model,
        learner.actor,
        learner.config,
        places(task.train.anchors),
        places(task.deploy),
        (step_s, step_s),
        task.tag_height,
        task.train.digest,
        seed,
        learner.lasting_m,
    )


def places(anchors: Anchors) -> dict[str, list[float]]:
    """(x, y, z) m by id."""
    return {i: [float(v) for v in p] for i, p in zip(anchors.ids, anchors.positions, strict=True)}


def save_model(path: Path, trained: Trained) -> None:
    """Write a model file, all or nothing."""
    header = {
        "format": FORMAT,
        "package": __version__,
        "area": asdict(trained.model.area),
        "step_s": list(trained.step_s),
        "tag_height": trained.tag_height,
        "bootstrap": dict(trained.bootstrap),
        "deploy": dict(trained.deploy),
        "actor": trained.actor.head,
        "policy": POLICIES[trained.actor.literal],
        "model": asdict(trained.model.config),
        "train": asdict(trained.config),
        "data_sha256": trained.data,
        "seed": trained.seed,
        "lasting_m": trained.lasting_m,
    }
    both = torch.nn.ModuleDict({"model": trained.model, "actor": trained.actor})
    arrays = {k: v.detach().cpu().numpy() for k, v in both.state_dict().items()}
    tensor_file.save(path, KEY, header, arrays)


def load_model(path: Path) -> Trained:
    """Read a model file. Raises InputError where it is not one or does not fit together."""
    file = tensor_file.load(path, KEY, "a LocDreamer model")
    header = file.header
    if header.get("format") != FORMAT:
        raise InputError(
            f"{path}: header: format: expected {FORMAT}, got {header.get('format')!r:.40}"
        )
    try:
        model_config = build(ModelConfig, header["model"], f"{path}: header: model")
        config = build(TrainConfig, header["train"], f"{path}: header: train")
        low, high = header["area"]["low"], header["area"]["high"]
        area = Area((float(low[0]), float(low[1])), (float(high[0]), float(high[1])))
        step_s = (float(header["step_s"][0]), float(header["step_s"][1]))
        height = float(header["tag_height"])
        lasting = float(header.get("lasting_m", 0.0))  # files of before do not say
        numbers = (*area.low, *area.high, *step_s, height, lasting)
        if not (all(map(isfinite, numbers)) and min(area.scale, *step_s) > 0.0):
            raise InputError(f"{path}: header: area, step_s, tag_height: expected finite, in order")
        if header["actor"] not in HEADS:
            raise InputError(f"{path}: header: actor: expected one of {', '.join(HEADS)}")
        model = WorldModel(model_config, area)
        policy = header.get("policy", POLICIES[0])
        if policy not in POLICIES:
            raise InputError(f"{path}: header: policy: expected one of {', '.join(POLICIES)}")
        actor = Actor(
            hidden=model_config.hidden,
            width=model_config.width,
            head=header["actor"],
            literal=policy == POLICIES[1],
        )
        trained = Trained(
            model,
            actor,
            config,
            dict(header["bootstrap"]),
            dict(header["deploy"]),
            step_s,
            height,
            str(header["data_sha256"]),
            int(header["seed"]),
            max(lasting, 0.0),
        )
    except InputError:
        raise
    except (KeyError, IndexError, TypeError, ValueError) as reason:
        raise InputError(f"{path}: header: missing or malformed: {reason}") from None
    both = torch.nn.ModuleDict({"model": model, "actor": actor})
    wanted = both.state_dict()
    tensor_file.check_arrays(path, file.arrays, tensor_file.shapes_of(wanted.items()))
    both.load_state_dict({name: torch.from_numpy(file.arrays[name]) for name in wanted})
    both.requires_grad_(False).eval()
    return trained
