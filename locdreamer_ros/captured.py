# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Functions of tensors as CUDA graphs: hundreds of tiny kernels started by one call.

A step for one tag is some hundreds of operations of a few numbers each. Starting them one by one
costs more than computing them, so on CUDA they are recorded once for each shape and played.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from locdreamer_ros.unchanging import Unchanging

WARM_UP = 3
"""Runs before the recording: libraries are loaded and workspaces taken in the first."""
Step = Callable[..., Sequence[Tensor]]


@dataclass(frozen=True, eq=False)
class _Recorded:
    graph: Any
    given: tuple[Tensor, ...]
    found: tuple[Tensor, ...]


class Captured(Unchanging):
    """`step(*tensors) -> tensors`, played from a graph per set of shapes; copies are given out.

    Tensors given may be on the processor. Whoever shares it (forks of a tracker) must not call it
    from two threads. pool: memory that the recordings share, where they are large.
    """

    def __init__(self, step: Step, *, pool: Any = None) -> None:
        self._step = step
        self._pool = pool
        self._recorded: dict[tuple[torch.Size, ...], _Recorded] = {}

    def prepare(self, *given: Tensor) -> _Recorded:
        """Record the step for such tensors, if it was not yet."""
        shapes = tuple(value.shape for value in given)
        if shapes not in self._recorded:
            self._recorded[shapes] = _record(self._step, given, self._pool)
        return self._recorded[shapes]

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        """The answer, on the device."""
        recorded = self.prepare(*given)
        for slot, value in zip(recorded.given, given, strict=True):
            slot.copy_(value)
        recorded.graph.replay()
        return tuple(value.clone() for value in recorded.found)


def _record(step: Step, given: Sequence[Tensor], pool: Any) -> _Recorded:
    """The step, played a few times and then recorded."""
    slots = tuple(value.to("cuda", copy=True) for value in given)
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            step(*slots)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        found = tuple(step(*slots))
    return _Recorded(graph, slots, found)
