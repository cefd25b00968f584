# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where training was: parameters, their running mean, Adam's moments, the pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


def save(path: Path, learning: Learning, pools: int, run: Mapping[str, Any]) -> None:
    """Write what there is after `pools` pools of `run`; a kill meanwhile leaves the file before."""
    checkpoint.save(
        path,
        run={"kind": "zero-shot", **run},
        progress={"pools": pools},
        groups={"now": learning.model.state_dict(), "kept": learning.kept.state_dict()},
        optimisers=[learning.optimiser],
    )


def load(path: Path, learning: Learning, run: Mapping[str, Any]) -> int:
    """Take a run up; returns its pools so far.

    Raises InputError for a file that is damaged or of another run.
    """
    found = checkpoint.load(path, {"kind": "zero-shot", **run})
    pools = found.progress.get("pools")
    if type(pools) is not int or pools < 0:
        raise InputError(f"{path}: pools: expected a whole number >= 0, got {pools!r:.40}")
    now = found.group("now", learning.model.state_dict())
    kept = found.group("kept", learning.kept.state_dict())
    found.restore([learning.optimiser])
    learning.model.load_state_dict(now)
    learning.kept.load_state_dict(kept)
    return pools
