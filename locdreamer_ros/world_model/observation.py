# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
# mypy: warn-return-any=False
"""What is observed, o(alpha_t), and the geometry of a range: equation (1) without its noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Observation:
    """The ranges of one step, o(alpha_t) = {(d_t^k, p^k) | alpha_t^k = 1}, in rows of anchors.

    distance (B, A) m, slant, any number where not asked; asked (B, A) bool, alpha_t; anchor
    (B, A, 3) m: x, y and how far the tag is above the anchor; ahead (B, A) s: a range's own stamp
    less the time of the step; memory (B, A, M): see `memory`.
    """

    distance: Tensor
    asked: Tensor
    anchor: Tensor
    ahead: Tensor
    memory: Tensor

    def __post_init__(self) -> None:
        rows = self.distance.shape
        assert self.asked.shape == rows, (self.asked.shape, rows)
        assert self.ahead.shape == rows, (self.ahead.shape, rows)
        assert self.anchor.shape == (*rows, 3), (self.anchor.shape, rows)
        assert self.memory.shape[:-1] == rows, (self.memory.shape, rows)


def expected_range(position: Tensor, anchor: Tensor) -> tuple[Tensor, Tensor]:
    """Slant range (..., A) m of equation (13a) and its direction (..., A, 2).

    position (..., 2) or one per anchor (..., A, 2); anchor (..., A, 3) as in `Observation`.
    """
    if position.dim() < anchor.dim():
        position = position.unsqueeze(-2)
    delta = position - anchor[..., :2]  # (..., A, 2)
    # The floor keeps the gradient finite for a tag at the anchor.
    square = delta.square().sum(-1) + anchor[..., 2].square()
    distance = square.clamp(min=1e-4).sqrt()
    return distance, delta / distance.unsqueeze(-1)


def constant_velocity(mean: Tensor, dt: Tensor) -> Tensor:
    """The mean (B, S) of f^phy in equation (9) after dt (B,) s."""
    return torch.cat([mean[:, :2] + mean[:, 2:] * dt[:, None], mean[:, 2:]], dim=-1)
