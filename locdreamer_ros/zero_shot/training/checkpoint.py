# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where training was: parameters, their running mean, Adam's moments, the pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from locdreamer_ros import checkpoint
from locdreamer_ros.errors import InputError


@dataclass(frozen=True, eq=False)
class Learning:
    """What training changes. kept: `AveragedModel` of the model."""

    model: torch.nn.Module
    kept: torch.optim.swa_utils.AveragedModel
    optimiser: torch.optim.Optimizer


@dataclass(frozen=True)
class Done:
    """How far a training is: whole lessons; pools and updates of the one after."""

    lessons: int = 0
    pools: int = 0
    updates: int = 0


def save(path: Path, learning: Learning, done: Done, run: Mapping[str, Any]) -> None:
    """Write what there is after so much of `run`.

    A kill meanwhile leaves the file before.
    """
    checkpoint.save(
        path,
        run={"kind": "zero-shot", **run},
        progress=asdict(done),
        groups={"now": learning.model.state_dict(), "kept": learning.kept.state_dict()},
        optimisers=[learning.optimiser],
    )


def load(path: Path, learning: Learning, run: Mapping[str, Any]) -> Done:
    """Take a run up; returns how far it was.

    Raises InputError for a file that is damaged or of another run.
    """
    found = checkpoint.load(path, {"kind": "zero-shot", **run})
    done: dict[str, int] = {}
    for field in fields(Done):
        number = found.progress.get(field.name)
        if type(number) is not int or number < 0:
            raise InputError(
                f"{path}: {field.name}: expected a whole number >= 0, got {number!r:.40}"
            )
        done[field.name] = number
    now = found.group("now", learning.model.state_dict())
    kept = found.group("kept", learning.kept.state_dict())
    found.restore([learning.optimiser])
    learning.model.load_state_dict(now)
    learning.kept.load_state_dict(kept)
    return Done(**done)
