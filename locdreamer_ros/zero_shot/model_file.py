# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The zero-shot model on disk: safetensors with a readable header, read with numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros import tensor_file
from locdreamer_ros.errors import InputError
from locdreamer_ros.types import FloatArray
from locdreamer_ros.unchanging import Unchanging

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

    @cached_property
    def noises(self) -> dict[str, float]:
        """The filter's noises themselves."""
        return {name: float(np.exp(value)) for name, value in self.noise.items()}


def save_weights(path: Path, weights: Weights) -> None:
    """Write a model file, all or nothing."""
    arrays = {k: np.asarray(v, dtype=np.float32) for k, v in weights.arrays.items()}
    tensor_file.save(path, KEY, {"format": FORMAT, **weights.header}, arrays)


def load_weights(path: Path) -> Weights:
    """The model of a file.

    Raises InputError where it is none, is damaged, is of another format, or lacks a part of what
    the shipped model has.
    """
    weights = _read(path)
    tensor_file.check_arrays(path, weights.arrays, tensor_file.shapes_of(shipped().arrays.items()))
    return weights


def _read(path: Path) -> Weights:
    file = tensor_file.load(path, KEY, "a zero-shot model")
    if file.header.get("format") != FORMAT:
        raise InputError(f"{path}: format {file.header.get('format')!r:.40}, expected {FORMAT}")
    return Weights({k: v.astype(np.float64) for k, v in file.arrays.items()}, file.header)


def shipped() -> Weights:
    """The model that comes with the package."""
    with as_file(files("locdreamer_ros.zero_shot") / SHIPPED) as path:
        return _read(path)
