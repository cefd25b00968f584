# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One step down the losses: forward, backward, clipped gradients, Adam.

On CUDA forward and backward pass are played from a graph: some twenty thousand tiny kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from locdreamer_ros.locdreamer.captured import Captured
from locdreamer_ros.locdreamer.learning.learner import Nets
from locdreamer_ros.locdreamer.world_model.chance import Chance, Slots

LARGEST_GRADIENT = 5.0


class Update:
    """`update(tensors, generators)`: losses(*tensors, source=...) a step down; returns them.

    losses: each (E,), of the seeds whose networks are `nets`.
    """

    def __init__(self, losses: Callable[..., tuple[Tensor, ...]], nets: Nets, device: str) -> None:
        self._losses = losses
        self._nets = nets
        self._slots = Slots(device)
        self._played = Captured(self._recorded) if torch.device(device).type == "cuda" else None

    def __call__(
        self, tensors: Sequence[Tensor], generators: Sequence[torch.Generator]
    ) -> tuple[Tensor, ...]:
        """The losses before the step."""
        if self._played is not None:
            self._played.prepare(*tensors)
            self._slots.fill(generators)
            found = self._played(*tensors)
        else:
            found = self._backward(tensors, Chance(generators))
        self._descend()
        return found

    def _recorded(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        self._slots.rewind()
        return self._backward(tensors, self._slots)

    def _backward(self, tensors: Sequence[Tensor], source: Chance) -> tuple[Tensor, ...]:
        """Losses, and their gradients where the parameters keep them."""
        for optimiser in self._nets.optimisers:
            optimiser.zero_grad(set_to_none=self._played is None)
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
