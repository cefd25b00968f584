# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a training run was: one file for every training of the package.

Tensors in groups (parameters, their best, Adam's moments), `progress` (how far it is) and `run`,
what two runs must share for one to go on from the other. Without a right SHA-256 nothing is taken
up: a run that goes on from damaged numbers would end somewhere without saying so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locdreamer_ros import tensor_file
from locdreamer_ros.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

KEY = "locdreamer_checkpoint"
KIND_OF_FILE = "a checkpoint of locdreamer train"
Group = Mapping[str, "Tensor"]


def save(
    path: Path,
    *,
    run: Mapping[str, Any],
    progress: Mapping[str, Any],
    groups: Mapping[str, Group],
    optimisers: Sequence[Optimizer],
) -> None:
    """Write a checkpoint; a kill while writing leaves the file before."""
    tensors = {f"{group}/{k}": v for group, values in groups.items() for k, v in values.items()}
    for number, optimiser in enumerate(optimisers):
        for index, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"adam/{number}/{index}/{name}"] = value
    arrays = {name: value.detach().cpu().numpy() for name, value in tensors.items()}
    tensor_file.save(path, KEY, {"run": dict(run), "progress": dict(progress)}, arrays)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint read and checked; nothing has changed yet."""

    path: Path
    progress: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    def group(self, name: str, wanted: Group | None = None) -> dict[str, Tensor]:
        """The tensors of a group, in the shapes of `wanted`. Raises InputError for others."""
        found = {k[len(name) + 1 :]: v for k, v in self.tensors.items() if k.startswith(f"{name}/")}
        if wanted is not None:
            same = {k: tuple(v.shape) for k, v in found.items()} == {
                k: tuple(v.shape) for k, v in wanted.items()
            }
            if not same:
                raise InputError(f"{self.path}: tensors {name!r} are not those of this training")
        return found

    def restore(self, optimisers: Sequence[Optimizer]) -> None:
        """Give the optimisers their moments. Raises InputError where they are of others."""
        each: list[dict[int, dict[str, Tensor]]] = [{} for _ in optimisers]
        try:
            for key, value in self.group("adam").items():
                number, place, name = key.split("/")
                each[int(number)].setdefault(int(place), {})[name] = value
            for optimiser, moments in zip(optimisers, each, strict=True):
                parameters = [p for group in optimiser.param_groups for p in group["params"]]
                for index, moment in moments.items():
                    if moment["exp_avg"].shape != parameters[index].shape:
                        raise ValueError("shape")
                whole = optimiser.state_dict()
                whole["state"] = moments
                optimiser.load_state_dict(whole)
        except (ValueError, KeyError, IndexError):
            raise InputError(
                f"{self.path}: Adam's moments are not those of this training"
            ) from None


def load(path: Path, run: Mapping[str, Any]) -> Checkpoint:
    """Read a checkpoint. Raises InputError for what is none, is damaged, or is of another run."""
    import torch

    file = tensor_file.load(path, KEY, KIND_OF_FILE)
    recorded, progress = file.header.get("run"), file.header.get("progress")
    if not file.summed or not isinstance(recorded, dict) or not isinstance(progress, dict):
        raise InputError(f"{path}: expected {KIND_OF_FILE}: it is of another version; remove it")
    for key, value in run.items():
        if recorded.get(key) != value:
            raise InputError(
                f"{path}: checkpoint of another run ({key} differs); remove it to start anew"
            )
    tensors = {name: torch.from_numpy(array) for name, array in file.arrays.items()}
    return Checkpoint(path, progress, tensors)
