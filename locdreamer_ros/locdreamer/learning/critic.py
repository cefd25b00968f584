# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The critic, equation (15), and the losses of both, equations (16) and (17)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from locdreamer_ros.locdreamer.learning.actor import AnchorView, State
from locdreamer_ros.locdreamer.world_model.layers import mlp

ENTROPY = 0.01
"""Weight of the policy's entropy in its loss, against settling before it has looked around."""


class Critic(nn.Module):
    """Equation (15): V(s_t), the discounted reward expected from here on."""

    def __init__(self, *, hidden: int, width: int) -> None:
        super().__init__()
        self.view = AnchorView(hidden=hidden, width=width)
        self.value = mlp(width, width, 1)

    def forward(self, state: State) -> Tensor:
        """(B,)."""
        return self.value(self.view(state).mean(dim=1))[:, 0]


def discounted(reward: Tensor, gamma: float) -> Tensor:
    """sum_{tau >= t} gamma^(tau - t) R_tau (B, T) of rewards (B, T)."""
    total = torch.zeros_like(reward[:, 0])
    returns = []
    for t in reversed(range(reward.shape[1])):
        total = reward[:, t] + gamma * total
        returns.append(total)
    return torch.stack(returns[::-1], dim=1)


def mean_over(value: Tensor, counted: Tensor) -> Tensor:
    """Mean (...,) of values (..., M) where counted (..., M); 0 where none is."""
    return torch.where(counted, value, 0.0).sum(-1) / counted.sum(-1).clamp(min=1)


def actor_loss(log_prob: Tensor, advantage: Tensor, entropy: Tensor, mine: Tensor) -> Tensor:
    """Equation (16), all (..., M), over what is mine; the advantage is brought to unit variance."""
    deviation = advantage - mean_over(advantage, mine)[..., None]
    count = mine.sum(-1)
    variance = mean_over(deviation.square(), mine) * count / (count - 1).clamp(min=1)
    scaled = deviation / (variance.sqrt()[..., None] + 1e-6)
    return -mean_over(log_prob * scaled.detach(), mine) - ENTROPY * mean_over(entropy, mine)


def expected_loss(logits: Tensor, reward: Tensor) -> Tensor:
    """Equation (16) with its expectation the sum over all subsets: logits, reward (..., M, N).

    Neither baseline nor entropy is needed: what all subsets share has no gradient, and every subset
    is tried at every step.
    """
    chance = logits.softmax(dim=-1)
    spread = reward.flatten(-2).std(dim=-1)[..., None, None]
    scaled = (reward - reward.mean(dim=-1, keepdim=True)) / (spread + 1e-6)
    return -(chance * scaled).sum(dim=-1).mean(dim=-1)


def critic_loss(value: Tensor, returns: Tensor, mine: Tensor) -> Tensor:
    """Equation (17), all (..., M), over what is mine."""
    return mean_over((value - returns.detach()).square(), mine)
