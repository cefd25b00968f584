# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The zero-shot model on disk: safetensors with a readable header, read with numpy alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import replaced
from locdreamer_ros.types import FloatArray, Unchanging

KEY = "locdreamer_zero_shot"
FORMAT = 1
SHIPPED = "zero_shot.safetensors"
SHIPPED_NAME = f"{SHIPPED} (shipped)"
"""What reports call it."""


@dataclass(frozen=True, eq=False)
class Weights(Unchanging):
    """Arrays by name, as float64; header: how the model was made."""

    arrays: Mapping[str, FloatArray]
    header: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> FloatArray:
        return self.arrays[name]

    @property
    def noise(self) -> dict[str, FloatArray]:
        """The logarithms of the filter's noises."""
        return {k.removeprefix("noise."): v for k, v in self.arrays.items() if "noise." in k}


def save_weights(path: Path, weights: Weights) -> None:
    """Write a model file, all or nothing."""
    from safetensors.numpy import save_file

    arrays = {k: np.asarray(v, dtype=np.float32) for k, v in weights.arrays.items()}
    header = json.dumps({"format": FORMAT, **weights.header}, sort_keys=True)
    with replaced(path) as temporary:
        save_file(arrays, temporary, metadata={KEY: header})


def load_weights(path: Path) -> Weights:
    """The model of a file. Raises InputError where it is none, or of another format."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stream:
            header = json.loads((stream.metadata() or {}).get(KEY, "null"))
            arrays = {k: stream.get_tensor(k).astype(np.float64) for k in stream.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as reason:
        raise InputError(f"{path}: not a model file: {reason}") from None
    if not isinstance(header, dict):
        raise InputError(f"{path}: not a zero-shot model: its header has no {KEY}")
    if header.get("format") != FORMAT:
        raise InputError(f"{path}: format {header.get('format')}, expected {FORMAT}")
    bad = [name for name, value in arrays.items() if not np.isfinite(value).all()]
    if bad:
        raise InputError(f"{path}: {bad[0]}: not finite")
    return Weights(arrays, header)


def shipped() -> Weights:
    """The model that comes with the package."""
    with as_file(files("locdreamer_ros.zero_shot") / SHIPPED) as path:
        return load_weights(path)
