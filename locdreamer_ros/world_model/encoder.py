# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
# mypy: warn-return-any=False, disallow-subclassing-any=False
"""The encoder, equations (10) and (11): q(z_t^posterior | z_{t-1}^posterior, h_t, o(alpha_t)).

Two forms of the set transformer, neither of which knows an order or a number of anchors:
`RawEncoder` is the paper's, `InnovationEncoder` looks at what the prior did not expect.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from locdreamer_ros.world_model.gaussian import STATE, Gaussian, where
from locdreamer_ros.world_model.layers import Attention, at_least_one, mlp
from locdreamer_ros.world_model.memory import MEMORY, memory_features
from locdreamer_ros.world_model.observation import Observation, expected_range

SIGMA_FLOOR_M = 0.03
SIGMA_START_M = 0.3
"""What a range is worth before anything is learned."""
LARGEST_BIAS_M = 3.0
FEATURES = 10


class RawEncoder(nn.Module):
    """Equation (11) as the paper has it: pairs (d^k, p^k) in, mean and sigma of the state out."""

    def __init__(
        self, *, hidden: int, width: int, centre: tuple[float, float], scale: float
    ) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("centre", torch.tensor(centre), persistent=False)
        self.token = nn.Linear(4, width)
        self.context = nn.Linear(STATE + hidden, width)
        self.blocks = nn.ModuleList(Attention(width=width, heads=4) for _ in range(2))
        self.pool = Attention(width=width, heads=4)
        self.head = mlp(width, width, 2 * STATE)

    def forward(self, prior: Gaussian, hidden: Tensor, seen: Observation) -> Gaussian:
        """z_t^posterior. z_{t-1}^posterior comes in as the prior's mean, a function of it."""
        where_tag = torch.cat(
            [(prior.mean[:, :2] - self.centre) / self.scale, prior.mean[:, 2:]], dim=-1
        )
        context = self.context(torch.cat([where_tag, hidden[-1]], dim=-1))[:, None]  # (B, 1, W)
        pairs = torch.cat(
            [
                torch.where(seen.asked, seen.distance, 0.0)[..., None] / self.scale,
                (seen.anchor[..., :2] - self.centre) / self.scale,
                seen.anchor[..., 2:] / self.scale,
            ],
            dim=-1,
        )  # (B, A, 4)
        present = at_least_one(seen.asked)
        tokens = self.token(pairs) + context  # (B, A, W)
        for block in self.blocks:
            tokens = block(tokens, tokens, present)
        pooled = self.pool(context, tokens, present)[:, 0]  # (B, W)
        mean, sigma = self.head(pooled).chunk(2, dim=-1)  # (B, S) each
        mean = torch.cat([self.centre + self.scale * mean[:, :2], mean[:, 2:]], dim=-1)
        posterior = Gaussian.diagonal(mean, functional.softplus(sigma) + 1e-2)
        return where(seen.asked.any(dim=1), posterior, prior)


class InnovationEncoder(nn.Module):
    """Equation (11) as a learned correction of the prior.

    A set transformer over innovations (measured less expected range) gives each range a bias and a
    sigma; the posterior follows in closed form, by Kalman's update. Its features do not change when
    the world is shifted, turned or mirrored.
    """

    def __init__(self, *, hidden: int, width: int) -> None:
        super().__init__()
        self.token = nn.Linear(FEATURES + MEMORY, width)
        self.context = nn.Linear(hidden + 1, width)
        self.block = Attention(width=width, heads=4)
        self.head = mlp(width, width, 2, zero=True)

    def forward(self, prior: Gaussian, hidden: Tensor, seen: Observation, dt: Tensor) -> Gaussian:
        """z_t^posterior after a step of dt (B,) s; the prior where nothing was seen."""
        innovation, jacobian = linearise(prior.mean, seen)  # (B, A), (B, A, S)
        features = innovation_features(prior, innovation, jacobian, seen)
        context = torch.cat([hidden[-1], dt.clamp(min=1e-3).log()[:, None]], dim=-1)
        features = torch.cat([features, memory_features(seen.memory)], dim=-1)
        tokens = self.token(features) + self.context(context)[:, None]  # (B, A, W)
        tokens = self.block(tokens, tokens, at_least_one(seen.asked))
        bias, log_sigma = self.head(tokens).unbind(dim=-1)  # (B, A) each
        bias = LARGEST_BIAS_M * torch.tanh(bias / LARGEST_BIAS_M)
        # A range that disagrees with the others counts less from the start (Huber's weight).
        doubt = features[..., 3].abs().clamp(min=1.0)
        sigma = SIGMA_FLOOR_M + SIGMA_START_M * doubt.sqrt() * torch.exp(
            3.0 * torch.tanh(log_sigma / 3.0)
        )
        return kalman_update(prior, innovation - bias, jacobian, sigma, seen.asked)


def linearise(mean: Tensor, seen: Observation) -> tuple[Tensor, Tensor]:
    """Innovations (B, A) m at state mean (B, S), each at its own stamp, and their Jacobian."""
    position = mean[:, None, :2] + seen.ahead[..., None] * mean[:, None, 2:]  # (B, A, 2)
    distance, direction = expected_range(position, seen.anchor)
    innovation = torch.where(seen.asked, seen.distance - distance, 0.0)
    return innovation, torch.cat([direction, seen.ahead[..., None] * direction], dim=-1)


def innovation_features(
    prior: Gaussian, innovation: Tensor, jacobian: Tensor, seen: Observation
) -> Tensor:
    """(B, A, FEATURES), invariant to shift, rotation and mirror.

    The fourth is the normalised leave-one-out residual: how far a range lies from what the prior
    and all the other ranges make of it, in standard deviations.
    """
    count = seen.asked.sum(dim=1, keepdim=True).to(innovation)  # (B, 1)
    direction = jacobian[..., :2]  # (B, A, 2)
    spread = (direction @ prior.covariance[:, :2, :2] * direction).sum(-1)  # (B, A)
    left_out, left_out_variance = leave_one_out(prior, innovation, direction, seen.asked)
    noise = SIGMA_START_M**2
    centred = innovation - innovation.sum(1, keepdim=True) / count.clamp(min=1.0)
    distance, _ = expected_range(prior.mean[:, :2], seen.anchor)
    features = torch.stack(
        [
            torch.asinh(innovation / 0.2),
            innovation / (spread + noise).sqrt(),
            torch.asinh(left_out / 0.2),
            left_out / (left_out_variance + noise).sqrt(),
            torch.asinh(centred / 0.2),
            (spread + 1e-4).log(),
            (left_out_variance + 1e-4).log(),
            distance / 10.0,
            seen.anchor[..., 2],
            (count / 4.0).expand_as(innovation),
        ],
        dim=-1,
    )
    return torch.where(seen.asked[..., None], features.clamp(-10.0, 10.0), 0.0)


def leave_one_out(
    prior: Gaussian, innovation: Tensor, direction: Tensor, asked: Tensor
) -> tuple[Tensor, Tensor]:
    """Residual (B, A) m of each range after an update with all the others, and its variance.

    Closed form: information is additive, so one range is taken out by subtraction.
    """
    weight = asked.to(innovation) / SIGMA_START_M**2
    own = weight[..., None, None] * direction[..., :, None] * direction[..., None, :]
    push = (weight * innovation)[..., None] * direction  # (B, A, 2)
    information = inverse_2x2(prior.covariance[:, None, :2, :2])  # (B, 1, 2, 2)
    others = information + own.sum(1, keepdim=True) - own  # (B, A, 2, 2)
    covariance = inverse_2x2(others)
    pull = (push.sum(1, keepdim=True) - push)[..., None]  # (B, A, 2, 1)
    move = (covariance @ pull)[..., 0]
    variance = ((covariance @ direction[..., None])[..., 0] * direction).sum(-1)
    return innovation - (direction * move).sum(-1), variance


def inverse_2x2(matrix: Tensor) -> Tensor:
    """Inverse of symmetric positive definite (..., 2, 2)."""
    a, b, c = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
    adjugate = torch.stack([c, -b, -b, a], dim=-1).unflatten(-1, (2, 2))
    return adjugate / (a * c - b * b).clamp(min=1e-9)[..., None, None]


def kalman_update(
    prior: Gaussian, innovation: Tensor, jacobian: Tensor, sigma: Tensor, asked: Tensor
) -> Gaussian:
    """Posterior from innovations (B, A) m of sigma (B, A) m; rows not asked do nothing."""
    jacobian = jacobian * asked[..., None]
    noise = torch.where(asked, sigma**2, 1.0)
    spread = jacobian @ prior.covariance  # (B, A, S)
    own = spread @ jacobian.transpose(1, 2) + torch.diag_embed(noise)  # (B, A, A)
    factor = torch.linalg.cholesky_ex(own).L
    white = torch.linalg.solve_triangular(
        factor, torch.cat([spread, (innovation * asked)[..., None]], dim=-1), upper=False
    )  # (B, A, S + 1)
    gain, residual = white[..., :STATE].transpose(1, 2), white[..., STATE:]
    mean = prior.mean + (gain @ residual)[..., 0]
    covariance = prior.covariance - gain @ gain.transpose(1, 2)
    covariance = 0.5 * (covariance + covariance.transpose(1, 2))
    return Gaussian(mean, covariance + 1e-5 * torch.eye(STATE, device=covariance.device))
