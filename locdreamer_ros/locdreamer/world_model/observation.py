# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is observed, o(alpha_t), and the geometry of a range: equation (1) without its noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Observation:
    """The ranges of one step, o(alpha_t) = {(d_t^k, p^k) | alpha_t^k = 1}, in rows of anchors.

    distance (B, A) m, slant, any number where not asked; asked (B, A) bool, alpha_t; anchor
    (B, A, 3) m: x, y and how far the tag is above the anchor; memory (B, A, M): see `memory`;
    ahead (B, A) s: a range's own stamp less the time of the step, None where all are of that time.
    """

    distance: Tensor
    asked: Tensor
    anchor: Tensor
    memory: Tensor
    ahead: Tensor | None = None

    def __post_init__(self) -> None:
        rows = self.distance.shape
        assert self.asked.shape == rows, (self.asked.shape, rows)
        assert self.anchor.shape == (*rows, 3), (self.anchor.shape, rows)
        assert self.memory.shape[:-1] == rows, (self.memory.shape, rows)
        assert self.ahead is None or self.ahead.shape == rows, (self.ahead, rows)

    def positions(self, mean: Tensor) -> Tensor:
        """Where a tag in state (B, S) was when it was measured: (B, 2) m, or (B, A, 2)."""
        if self.ahead is None:
            return mean[:, :2]
        return mean[:, None, :2] + self.ahead[..., None] * mean[:, None, 2:]


def expected_range(position: Tensor, anchor: Tensor) -> tuple[Tensor, Tensor]:
    """Slant range (..., A) m of equation (13a) and its direction (..., A, 2).

    position (..., 2) or one per anchor (..., A, 2); anchor (..., A, 3) as in `Observation`.
    """
    if position.dim() < anchor.dim():
        position = position.unsqueeze(-2)
    delta = functional.pad(position, (0, 1)) - anchor  # (..., A, 3)
    # The floor keeps the gradient finite for a tag at the anchor.
    distance = torch.linalg.vector_norm(delta, dim=-1).clamp(min=1e-2)
    return distance, delta[..., :2] / distance.unsqueeze(-1)
