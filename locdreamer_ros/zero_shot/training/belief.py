# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the filter thinks while it is trained, in batches, and tensors that a GPU need not wait for.

Shape legend: B sequences, A anchors, N = 7 + 2 A states.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from locdreamer_ros.zero_shot.layout import SPACE


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
