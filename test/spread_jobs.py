# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs that `benchmarks/test_spreading.py` gives to others: they must find them by this name."""

from __future__ import annotations

import os

from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.run import evaluate
from locdreamer_ros.methods import Method
from locdreamer_ros.simulation import simulate


def worker(number: int) -> tuple[int, int]:
    return number, os.getpid()


def failing(number: int) -> int:
    raise InputError(f"job {number}: no")


def error_of(seed: int) -> float:
    """MAE m of a short walk."""
    recording = simulate("lab", duration=8.0, rate=5.0, seed=seed)
    method = Method(tracker="ekf", scheduler="random", budget=3, seed=seed)
    return float(evaluate(recording, method)[1]["mae"])
