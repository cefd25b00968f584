# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The critic, equation (15). Its loss, equation (17), is in `losses`."""

from __future__ import annotations

from torch import Tensor, nn

from locdreamer_ros.locdreamer.learning.actor import AnchorView, State
from locdreamer_ros.locdreamer.world_model.layers import mlp


class Critic(nn.Module):
    """Equation (15): V(s_t), the discounted reward expected from here on."""

    def __init__(self, *, hidden: int, width: int) -> None:
        super().__init__()
        self.view = AnchorView(hidden=hidden, width=width)
        self.value = mlp(width, width, 1)

    def forward(self, state: State) -> Tensor:
        """(B,)."""
        return self.value(self.view(state).mean(dim=1))[:, 0]
