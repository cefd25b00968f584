# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
# mypy: warn-return-any=False
"""A trained model on disk: safetensors with a readable JSON header. Nothing in it can run code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from locdreamer_ros import __version__
from locdreamer_ros.config import build
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import replaced
from locdreamer_ros.locdreamer.learning.actor import HEADS, Actor
from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig
from locdreamer_ros.locdreamer.world_model.model import Area, ModelConfig, WorldModel
from locdreamer_ros.types import Anchors, Unchanging

KEY = "locdreamer_model"
FORMAT = 2
"""Raised when a file of before can no longer be read."""


@dataclass(frozen=True, eq=False)
class Trained(Unchanging):
    """What a model file holds: model and actor ready to use, and where they come from.

    bootstrap, deploy: anchor id -> (x, y, z) m. step_s: shortest and longest time between fixes in
    training. data: SHA-256 of the ranges it was trained on.
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


def places(anchors: Anchors) -> dict[str, list[float]]:
    """(x, y, z) m by id."""
    return {i: [float(v) for v in p] for i, p in zip(anchors.ids, anchors.positions, strict=True)}


def save_model(path: Path, trained: Trained) -> None:
    """Write a model file, all or nothing."""
    from safetensors.torch import save_file

    header = {
        "format": FORMAT,
        "package": __version__,
        "area": asdict(trained.model.area),
        "step_s": list(trained.step_s),
        "tag_height": trained.tag_height,
        "bootstrap": dict(trained.bootstrap),
        "deploy": dict(trained.deploy),
        "actor": trained.actor.head,
        "model": asdict(trained.model.config),
        "train": asdict(trained.config),
        "data_sha256": trained.data,
        "seed": trained.seed,
    }
    both = torch.nn.ModuleDict({"model": trained.model, "actor": trained.actor})
    tensors = {k: v.detach().cpu().contiguous() for k, v in both.state_dict().items()}
    with replaced(path) as temporary:
        save_file(tensors, temporary, metadata={KEY: json.dumps(header, sort_keys=True)})


def read_header(path: Path) -> dict[str, Any]:
    """The header alone. Raises InputError where the file is not a model of this format."""
    return _read(path, tensors=False)[0]


def _read(path: Path, *, tensors: bool) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(f"{path}: cannot read: no such model file")
    try:
        with safe_open(path, framework="pt") as stream:
            text = (stream.metadata() or {}).get(KEY)
            values = {k: stream.get_tensor(k) for k in stream.keys()} if tensors else {}  # noqa: SIM118
    except (OSError, SafetensorError) as reason:
        problem = " ".join(str(reason).split())
        raise InputError(f"{path}: not a model file (safetensors): {problem}") from None
    if text is None:
        raise InputError(f"{path}: not a LocDreamer model: its header has no {KEY!r}")
    try:
        header = json.loads(text)
    except json.JSONDecodeError as reason:
        raise InputError(f"{path}: header: not JSON: {reason}") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else None
        raise InputError(f"{path}: header: format: expected {FORMAT}, got {found!r}")
    return header, values


def load_model(path: Path) -> Trained:
    """Read a model file. Raises InputError where it is not one or does not fit together."""
    header, tensors = _read(path, tensors=True)
    try:
        model_config = build(ModelConfig, header["model"], f"{path}: header: model")
        config = build(TrainConfig, header["train"], f"{path}: header: train")
        low, high = header["area"]["low"], header["area"]["high"]
        area = Area((float(low[0]), float(low[1])), (float(high[0]), float(high[1])))
        if header["actor"] not in HEADS:
            raise InputError(f"{path}: header: actor: expected one of {', '.join(HEADS)}")
        model = WorldModel(model_config, area)
        actor = Actor(hidden=model_config.hidden, width=model_config.width, head=header["actor"])
        trained = Trained(
            model,
            actor,
            config,
            dict(header["bootstrap"]),
            dict(header["deploy"]),
            (float(header["step_s"][0]), float(header["step_s"][1])),
            float(header["tag_height"]),
            str(header["data_sha256"]),
            int(header["seed"]),
        )
    except (KeyError, IndexError, TypeError) as reason:
        raise InputError(f"{path}: header: missing or malformed: {reason}") from None
    both = torch.nn.ModuleDict({"model": model, "actor": actor})
    wanted = both.state_dict()
    for name, tensor in wanted.items():
        if name not in tensors:
            raise InputError(f"{path}: tensor {name!r} is missing")
        if tensors[name].shape != tensor.shape:
            raise InputError(
                f"{path}: tensor {name!r}: expected shape {tuple(tensor.shape)}, "
                f"got {tuple(tensors[name].shape)}"
            )
        if not bool(torch.isfinite(tensors[name]).all()):
            raise InputError(f"{path}: tensor {name!r} is not finite")
    both.load_state_dict({name: tensors[name] for name in wanted})
    both.requires_grad_(False).eval()
    return trained
