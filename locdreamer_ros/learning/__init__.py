# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Algorithm 1 of the LocDreamer paper: learning the world model, then tracker and scheduler in it.

Shape legend: see `world_model`; besides, K anchors asked for a fix, N subsets of K of A.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from locdreamer_ros.errors import InputError


def require_torch(what: str) -> None:
    """Raises InputError, naming `what` asked for it, where torch is not installed."""
    if find_spec("torch") is None or find_spec("safetensors") is None:
        raise InputError(f"{what} needs torch: pip install 'locdreamer_ros[learn]'")


def require_model(what: str, model: Path | None) -> Path:
    """The model file. Raises InputError where none was given or torch is not installed."""
    require_torch(what)
    if model is None:
        raise InputError(f"{what} needs a trained model: --model FILE (locdreamer train makes one)")
    return model
