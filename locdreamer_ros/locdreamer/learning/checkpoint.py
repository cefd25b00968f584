# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where Algorithm 1 was: parameters now and at their best, the dreamer, Adam's moments."""

from __future__ import annotations

from pathlib import Path

from locdreamer_ros import checkpoint
from locdreamer_ros.errors import InputError
from locdreamer_ros.locdreamer.learning.imagination import frozen
from locdreamer_ros.locdreamer.learning.learner import IMAGINED, REAL, Learner, restart_optimisers


def save(path: Path, learner: Learner, run: dict[str, str]) -> None:
    """Write all of the learner; a kill while writing leaves the file before."""
    checkpoint.save(
        path,
        run={"kind": "locdreamer", **run},
        progress={
            "stage": learner.stage,
            "epoch": learner.epoch,
            "best": learner.best,
            "best_epoch": learner.best_epoch,
        },
        groups={
            "now": learner.modules.state_dict(),
            "best": learner.kept,
            "dreamer": {} if learner.dreamer is None else learner.dreamer.state_dict(),
        },
        optimisers=learner.optimisers,
    )


def load(path: Path, learner: Learner, run: dict[str, str]) -> None:
    """Take a run up where it was. Raises InputError for a file that is damaged or of another."""
    found = checkpoint.load(path, {"kind": "locdreamer", **run})
    stage, best = found.progress.get("stage"), found.progress.get("best")
    epoch, best_epoch = found.progress.get("epoch"), found.progress.get("best_epoch")
    if stage not in (REAL, IMAGINED):
        raise InputError(f"{path}: stage: expected {REAL} or {IMAGINED}, got {stage!r:.40}")
    if not (isinstance(epoch, int) and isinstance(best_epoch, int) and isinstance(best, float)):
        raise InputError(f"{path}: epoch, best_epoch, best: expected two counts and a loss")
    now = learner.modules.state_dict()
    kept = found.group("best", now) if found.group("best") else {}
    parameters = found.group("now", now)
    dreamer = frozen(learner.model) if stage == IMAGINED else None
    if dreamer is not None:
        dreamer.load_state_dict(found.group("dreamer", dreamer.state_dict()))
    learner.modules.load_state_dict(parameters)
    device = next(learner.model.parameters()).device
    learner.kept = {name: value.to(device) for name, value in kept.items()}
    learner.stage, learner.epoch = stage, epoch
    learner.best, learner.best_epoch = best, best_epoch
    learner.dreamer = dreamer
    restart_optimisers(learner)
    found.restore(learner.optimisers)
