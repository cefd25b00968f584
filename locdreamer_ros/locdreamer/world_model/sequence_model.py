# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The sequence model, equation (7): h_t = r(z_{t-1}^posterior, h_{t-1})."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from locdreamer_ros.locdreamer.world_model.gaussian import STATE


class SequenceModel(nn.Module):
    """Equation (7): two recurrent (GRU) layers of H = 50 remember how the tag has moved.

    centre (2,) and scale bring positions of the training area to about one.
    """

    def __init__(
        self, *, hidden: int, layers: int, centre: tuple[float, float], scale: float
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.cells = nn.ModuleList(
            nn.GRUCell(STATE if layer == 0 else hidden, hidden) for layer in range(layers)
        )
        self.register_buffer("shift", torch.tensor([*centre, 0.0, 0.0]), persistent=False)
        self.register_buffer(
            "shrink", torch.tensor([1.0 / scale, 1.0 / scale, 1.0, 1.0]), persistent=False
        )

    def initial(self, batch: int) -> Tensor:
        """h_1 (layers, B, H): nothing remembered."""
        return self.shift.new_zeros(len(self.cells), batch, self.hidden)

    def forward(self, state: Tensor, hidden: Tensor) -> Tensor:
        """h_{t+1} (layers, B, H) from the posterior state z_t (B, S) and h_t (layers, B, H)."""
        assert state.shape == (hidden.shape[1], STATE), (state.shape, hidden.shape)
        signal = (state - self.shift) * self.shrink  # (B, S)
        layers = []
        for cell, before in zip(self.cells, hidden, strict=True):
            signal = cell(signal, before)  # (B, H)
            layers.append(signal)
        return torch.stack(layers)
