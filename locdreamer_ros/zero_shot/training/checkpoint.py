# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
# mypy: warn-return-any=False
"""Where training was, in safetensors: parameters, their running mean, Adam's moments, the pool."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import replaced

KEY = "locdreamer_zero_shot_checkpoint"


@dataclass(frozen=True, eq=False)
class Learning:
    """What training changes. kept: `AveragedModel` of the model."""

    model: torch.nn.Module
    kept: torch.optim.swa_utils.AveragedModel
    optimiser: torch.optim.Optimizer


def save(path: Path, learning: Learning, pools: int, run: Mapping[str, Any]) -> None:
    """Write what there is after `pools` pools of `run`; a kill meanwhile leaves the file before."""
    from safetensors.torch import save_file

    tensors = {f"now/{k}": v for k, v in learning.model.state_dict().items()}
    tensors |= {f"kept/{k}": v for k, v in learning.kept.state_dict().items()}
    for index, state in learning.optimiser.state_dict()["state"].items():
        tensors |= {f"adam/{index}/{name}": value for name, value in state.items()}
    with replaced(path) as temporary:
        save_file(
            {k: v.detach().contiguous().clone() for k, v in tensors.items()},
            temporary,
            metadata={KEY: json.dumps({"pools": pools, "run": dict(run)})},
        )


def load(path: Path, learning: Learning, run: Mapping[str, Any]) -> int:
    """Take a run up; returns its pools so far. Raises InputError for a file of another run."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stream:
            header = json.loads((stream.metadata() or {})[KEY])
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError):
        raise InputError(f"{path}: not a checkpoint of train --preset zero-shot") from None
    for key, value in run.items():
        if header["run"].get(key) != value:
            raise InputError(
                f"{path}: checkpoint of another run ({key} differs); remove it to start anew"
            )

    def group(name: str) -> dict[str, Tensor]:
        return {k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(f"{name}/")}

    learning.model.load_state_dict(group("now"))
    learning.kept.load_state_dict(group("kept"))
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in group("adam").items():
        index, name = key.split("/")
        moments.setdefault(int(index), {})[name] = value
    whole = learning.optimiser.state_dict()
    whole["state"] = moments
    learning.optimiser.load_state_dict(whole)
    return int(header["pools"])
