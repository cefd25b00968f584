# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The losses that Algorithm 1 goes down but for the ELBO: actor (16), critic (17), sleep.

Shape legend: see `learning`; besides, M steps over which a mean is taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian

ENTROPY = 0.01
"""Weight of the policy's entropy in its loss, against settling before it has looked around."""


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


def actor_loss(log_prob: Tensor, advantage: Tensor, entropy: Tensor, counted: Tensor) -> Tensor:
    """Equation (16), all (..., M), where counted; the advantage is brought to unit variance."""
    deviation = advantage - mean_over(advantage, counted)[..., None]
    count = counted.sum(-1)
    variance = mean_over(deviation.square(), counted) * count / (count - 1).clamp(min=1)
    scaled = deviation / (variance.sqrt()[..., None] + 1e-6)
    return -mean_over(log_prob * scaled.detach(), counted) - ENTROPY * mean_over(entropy, counted)


def expected_actor_loss(logits: Tensor, reward: Tensor) -> Tensor:
    """Equation (16) with its expectation the sum over all subsets: logits, reward (..., M, N).

    Neither baseline nor entropy is needed: what all subsets share has no gradient, and every subset
    is tried at every step.
    """
    chance = logits.softmax(dim=-1)
    spread = reward.flatten(-2).std(dim=-1)[..., None, None]
    scaled = (reward - reward.mean(dim=-1, keepdim=True)) / (spread + 1e-6)
    return -(chance * scaled).sum(dim=-1).mean(dim=-1)


def critic_loss(value: Tensor, returns: Tensor, counted: Tensor) -> Tensor:
    """Equation (17), all (..., M), where counted."""
    return mean_over((value - returns.detach()).square(), counted)


def sleep_loss(belief: Gaussian, truth: Tensor) -> Tensor:
    """How badly (B, T) the posterior (B, T, S) recovers the dream's own state (B, T, S).

    The sleep phase of wake-sleep (Hinton et al. 1995): the recognition model learns from dreams
    whose cause is known. A Student-t score (4 dof) keeps the covariance honest, the distance
    itself the mean; a lost track does not outweigh the rest.
    """
    deviation = belief.mean - truth
    error = (deviation[..., :2].square().sum(-1) + 1e-4).sqrt()
    speed_error = (deviation[..., 2:].square().sum(-1) + 1e-4).sqrt()
    covariance = belief.covariance[..., :2, :2]
    a, b, c = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    determinant = (a * c - b * b).clamp(min=1e-9)
    dx, dy = deviation[..., 0], deviation[..., 1]
    square = (c * dx * dx - 2.0 * b * dx * dy + a * dy * dy) / determinant
    score = 0.5 * determinant.log() + 3.0 * (square / 4.0).log1p()
    return error + 0.2 * speed_error + 0.3 * score
