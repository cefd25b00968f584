# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Losses, and one step down them: forward, backward, clipped gradients, Adam.

On CUDA forward and backward pass are played from a graph: some twenty thousand tiny kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from locdreamer_ros.captured import Captured
from locdreamer_ros.locdreamer.learning.learner import Nets
from locdreamer_ros.locdreamer.world_model.chance import Chance, Slots

LARGEST_GRADIENT = 5.0
Losses = Callable[..., tuple[Tensor, ...]]
"""losses(*tensors, source=...): each (E,), one number for each seed."""


class Played:
    """`losses` with the draws of given generators; on CUDA from a graph."""

    def __init__(self, losses: Losses, device: str) -> None:
        self._losses = losses
        self._slots = Slots(device)
        self.graph = Captured(self._recorded) if torch.device(device).type == "cuda" else None

    def __call__(
        self, tensors: Sequence[Tensor], generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, ...]:
        """The losses."""
        if self.graph is None:
            return self._losses(*tensors, source=Chance(generators))
        self.graph.prepare(*tensors)
        self._slots.fill(generators)
        return self.graph(*tensors)

    def _recorded(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        self._slots.rewind()
        return self._losses(*tensors, source=self._slots)


class Update:
    """`update(tensors, generators)`: the networks' step down the sum of their losses."""

    def __init__(self, losses: Losses, nets: Nets, device: str) -> None:
        self._losses = losses
        self._nets = nets
        self._played = Played(self._backward, device)

    def __call__(
        self, tensors: Sequence[Tensor], generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, ...]:
        """The losses before the step."""
        found = self._played(tensors, generators)
        self._descend()
        return found

    def _backward(self, *tensors: Tensor, source: Chance) -> tuple[Tensor, ...]:
        """Losses, and their gradients where the parameters keep them: in a graph always there."""
        for optimiser in self._nets.optimisers:
            optimiser.zero_grad(set_to_none=self._played.graph is None)
        found = self._losses(*tensors, source=source)
        torch.stack(found).sum().backward()
        return tuple(loss.detach() for loss in found)

    def _descend(self) -> None:
        """A gradient that is not finite is passed over."""
        for optimiser in self._nets.optimisers:
            parameters = optimiser.param_groups[0]["params"]
            if self._nets.seeds > 1:
                _clip_each([p.grad for p in parameters if p.grad is not None])
                optimiser.step()
                continue
            norm = torch.nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
            if bool(torch.isfinite(norm)):
                optimiser.step()


def _clip_each(gradients: Sequence[Tensor]) -> None:
    """`clip_grad_norm_` for each seed's share (E, ...); one that is not finite becomes 0."""
    if not gradients:
        return  # a policy that is not trained
    square = torch.stack([g.reshape(len(g), -1).square().sum(1) for g in gradients]).sum(0)  # (E,)
    finite = torch.isfinite(square)
    share = (LARGEST_GRADIENT / (square.sqrt() + 1e-6)).clamp(max=1.0)
    share = torch.where(finite, share, 0.0)
    for gradient in gradients:
        gradient.nan_to_num_(0.0, 0.0, 0.0)
        gradient.mul_(share.view(-1, *[1] * (gradient.dim() - 1)))
