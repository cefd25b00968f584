# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The part of the memory h_t that belongs to anchors: how far their last ranges were off.

Errors of ranges belong to places, so an anchor that was off a step ago is likely to be off again.
The recurrent state of equation (7) sees only z; this is kept per anchor, so that it neither knows
an order nor a number of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from locdreamer_ros.locdreamer.world_model.observation import Observation, expected_range

MEMORY = 3
"""M: running mean of the residual, of its magnitude (m), and steps since the anchor was asked."""
NEWEST_WEIGHT = 0.5
"""Weight of the newest residual."""
FADING_SHARE = 0.1
"""What was not asked fades by this share a step: it says little about another place."""
LARGEST_RESIDUAL_M = 3.0


def first_memory(batch: int, anchors: int, device: torch.device | str = "cpu") -> Tensor:
    """Nothing is known of any anchor (B, A, M)."""
    return torch.zeros(batch, anchors, MEMORY, device=device)


def remember_ranges(memory: Tensor, residual: Tensor, asked: Tensor) -> Tensor:
    """The memory (B, A, M) after a step that left residuals (B, A) m at the anchors asked."""
    residual = residual.clamp(-LARGEST_RESIDUAL_M, LARGEST_RESIDUAL_M)
    fresh = torch.stack([residual, residual.abs()], dim=-1)
    before = memory[..., :2]
    kept = before + torch.where(
        asked[..., None], NEWEST_WEIGHT * (fresh - before), -FADING_SHARE * before
    )
    age = torch.where(asked, 0.0, memory[..., 2] + 1.0)
    return torch.cat([kept, age[..., None]], dim=-1)


def residuals(mean: Tensor, seen: Observation) -> Tensor:
    """Measured less expected ranges (B, A) m at state mean (B, S), 0 where not asked."""
    distance, _ = expected_range(seen.positions(mean), seen.anchor)
    return torch.where(seen.asked, seen.distance - distance, 0.0)


def memory_features(memory: Tensor) -> Tensor:
    """The memory (B, A, M) at a scale for networks."""
    age = memory[..., 2:].clamp(max=10.0) / 5.0
    return torch.cat([memory[..., :2], age], dim=-1)
