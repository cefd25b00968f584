# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where tensors are computed: the processor, or a CUDA device."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import torch

from locdreamer_ros.errors import InputError

DEVICES = ("auto", "cpu", "cuda")
TRIALS = 20
"""Steps timed on each device where the quicker one is to be taken."""


def device_of(name: str) -> str:
    """The device that `name` means, `auto` being CUDA where it is.

    Raises InputError for an unknown name, and for a device that is not there.
    """
    if name not in DEVICES:
        raise InputError(f"device: expected {', '.join(DEVICES)}, got {name!r}")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise InputError("device cuda: torch sees no such device here")
    return "cuda" if name != "cpu" and there else "cpu"


def quicker(step: Callable[[str], object], devices: tuple[str, ...] = ("cpu", "cuda")) -> str:
    """The device on which `step(device)`, whose answer is on the processor, takes least.

    A step for one tag is hundreds of tiny operations: a GPU is often the slower one.
    """

    def seconds(device: str) -> float:
        step(device)  # the first one also loads kernels
        begin = perf_counter()
        for _ in range(TRIALS):
            step(device)
        return perf_counter() - begin

    return min(devices, key=seconds)
