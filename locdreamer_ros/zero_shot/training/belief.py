# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the filter thinks while it is trained, in batches; where its ranges come from in it.

Shape legend: B sequences, A anchors, N = 7 + 2 A states.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from locdreamer_ros.zero_shot.layout import COMMON, FIRST_BIAS, KINEMATIC, SPACE


@dataclass(frozen=True, eq=False)
class Belief:
    """What the filter thinks.

    mean (B, N), covariance (B, N, N); anchor (B, A, 3) m; climbs (B,) 1 where the height is a
    state, 0 where it is known; age (B, A) s since the anchor was asked, surprise (B, A) m running
    mean of its |innovation|; context (B, CONTEXT) running means over updates, since (B,) s since
    the last update, count (B,) updates so far.
    """

    anchor: Tensor
    climbs: Tensor
    mean: Tensor
    covariance: Tensor
    age: Tensor
    surprise: Tensor
    context: Tensor
    since: Tensor
    count: Tensor

    @property
    def position(self) -> Tensor:
        """(B, 3) m."""
        return self.mean[:, :SPACE]


def only(here: Tensor, values: Tensor, otherwise: float = 0.0) -> Tensor:
    """The values here; no scalar is copied to a GPU, as `torch.where` does."""
    return values.masked_fill(~here, otherwise)


def inverse(matrix: Tensor) -> Tensor:
    """Of regular matrices; a GPU is not waited for, as it is by `torch.linalg.inv`."""
    found: Tensor = torch.linalg.inv_ex(matrix).inverse
    return found


def squash(metres: Tensor) -> Tensor:
    """Lengths as the network sees them: fine near 0, coarse far off."""
    return torch.asinh(metres / 0.1) / 3.0


def geometry(belief: Belief, mean: Tensor, ahead: Tensor) -> tuple[Tensor, Tensor]:
    """Slant distances (B, A) m, `ahead` (B, A) s on from a mean; their gradients (B, A, 3)."""
    delta = places(mean, ahead) - belief.anchor
    distance = delta.square().sum(-1).clamp(min=1e-4).sqrt()
    return distance, delta / distance[..., None]


def places(mean: Tensor, ahead: Tensor) -> Tensor:
    """Places (B, A, 3) where a mean (B, N) is after `ahead` (B, A) s."""
    return mean[:, None, :SPACE] + ahead[..., None] * mean[:, None, SPACE:KINEMATIC]


def project(covariance: Tensor, direction: Tensor, ahead: Tensor) -> tuple[Tensor, Tensor]:
    """H P (B, A, N), H P H^T (B, A, A) for ranges in directions (B, A, 3), `ahead` (B, A) s."""
    kinematic = torch.cat([direction, ahead[..., None] * direction], dim=-1)
    count = direction.shape[1]
    own, local = slice(FIRST_BIAS, FIRST_BIAS + count), slice(FIRST_BIAS + count, None)
    cross = (
        kinematic @ covariance[:, :KINEMATIC]
        + covariance[:, COMMON : COMMON + 1]
        + covariance[:, own]
        + covariance[:, local]
    )
    projected = (
        cross[:, :, :KINEMATIC] @ kinematic.transpose(1, 2)
        + cross[:, :, COMMON : COMMON + 1]
        + cross[:, :, own]
        + cross[:, :, local]
    )
    return cross, projected
