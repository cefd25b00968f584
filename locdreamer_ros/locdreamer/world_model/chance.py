# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where randomness comes from: one generator, or one for each of several seeds trained together.

Draws are made on the processor, seed by seed, so that a seed's are the same on every device and
with whomever it is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor


class Chance:
    """Draws for a batch of which the first share belongs to the first seed, and so on."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self.generators = list(generators)

    def draw(self, how: Callable[..., Tensor], shape: Sequence[int]) -> Tensor:
        """how(shape, generator=...) of every seed, one below the other."""
        count, *rest = shape
        share = count // len(self.generators)
        return torch.cat([how((share, *rest), generator=g) for g in self.generators])


class Slots(Chance):
    """Draws a CUDA graph reads: the same tensors on the device at each play, filled before it.

    Which there are shows when the step runs for the first time; `fill` makes them new in the order
    in which the step asks, so that they are those of a step without a graph.
    """

    def __init__(self, device: str) -> None:
        super().__init__([])
        self._device = device
        self._slots: list[tuple[Callable[..., Tensor], Tensor]] = []
        self._next = 0

    def rewind(self) -> None:
        """A step begins."""
        self._next = 0

    def draw(self, how: Callable[..., Tensor], shape: Sequence[int]) -> Tensor:
        """The next slot; made, of zeros, where there is none yet."""
        if self._next == len(self._slots):
            self._slots.append((how, torch.zeros(*shape, device=self._device)))
        self._next += 1
        return self._slots[self._next - 1][1]

    def fill(self, generators: Sequence[torch.Generator]) -> None:
        """Draw all of them anew."""
        chance = Chance(generators)
        for how, slot in self._slots:
            slot.copy_(chance.draw(how, slot.shape))


Source: TypeAlias = "torch.Generator | Chance | None"


def normal(shape: Sequence[int], source: Source) -> Tensor:
    """Standard normal draws."""
    return _drawn(torch.randn, shape, source)


def uniform(shape: Sequence[int], source: Source) -> Tensor:
    """Uniform draws strictly between 0 and 1."""
    return _drawn(torch.rand, shape, source).clamp(1e-6, 1.0 - 1e-6)


def _drawn(how: Callable[..., Tensor], shape: Sequence[int], source: Source) -> Tensor:
    if isinstance(source, Chance):
        return source.draw(how, shape)
    device = None if source is None else source.device
    return how(tuple(shape), generator=source, device=device)
