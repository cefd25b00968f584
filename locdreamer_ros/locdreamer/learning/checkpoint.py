# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
# mypy: warn-return-any=False
"""Where a training run was, in safetensors: parameters, Adam's moments, the best so far."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import replaced
from locdreamer_ros.locdreamer.learning.imagination import frozen
from locdreamer_ros.locdreamer.learning.learner import IMAGINED, Learner, restart_optimisers

KEY = "locdreamer_checkpoint"


def save(path: Path, learner: Learner, fingerprint: dict[str, str]) -> None:
    """Write all of the learner; a kill while writing leaves the file before."""
    from safetensors.torch import save_file

    tensors = {f"now/{k}": v for k, v in learner.modules.state_dict().items()}
    tensors |= {f"best/{k}": v for k, v in learner.kept.items()}
    if learner.dreamer is not None:
        tensors |= {f"dreamer/{k}": v for k, v in learner.dreamer.state_dict().items()}
    for number, optimiser in enumerate(learner.optimisers):
        for index, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"adam/{number}/{index}/{name}"] = value
    header = {
        "fingerprint": fingerprint,
        "stage": learner.stage,
        "epoch": learner.epoch,
        "best": learner.best,
        "best_epoch": learner.best_epoch,
    }
    with replaced(path) as temporary:
        save_file(
            {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()},
            temporary,
            metadata={KEY: json.dumps(header)},
        )


def load(path: Path, learner: Learner, fingerprint: dict[str, str]) -> None:
    """Take a run up where it was. Raises InputError for a file of another run."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stream:
            metadata = stream.metadata() or {}
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
        header = json.loads(metadata[KEY])
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError):
        raise InputError(f"{path}: not a checkpoint of locdreamer train") from None
    for key, value in fingerprint.items():
        if header["fingerprint"].get(key) != value:
            raise InputError(
                f"{path}: checkpoint of another run ({key} differs); remove it to start anew"
            )

    def group(name: str) -> dict[str, torch.Tensor]:
        return {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(f"{name}/")}

    learner.modules.load_state_dict(group("now"))
    learner.kept = group("best")
    learner.stage, learner.epoch = header["stage"], header["epoch"]
    learner.best, learner.best_epoch = header["best"], header["best_epoch"]
    if learner.stage == IMAGINED:
        learner.dreamer = frozen(learner.model)
        learner.dreamer.load_state_dict(group("dreamer"))
    restart_optimisers(learner)
    moments = group("adam")
    for number, optimiser in enumerate(learner.optimisers):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in moments.items():
            which, index, name = key.split("/")
            if int(which) == number:
                state.setdefault(int(index), {})[name] = value
        whole = optimiser.state_dict()
        whole["state"] = state
        optimiser.load_state_dict(whole)
