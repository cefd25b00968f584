# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The encoder, equations (10) and (11): q(z_t^posterior | z_{t-1}^posterior, h_t, o(alpha_t)).

Two forms of the set transformer, neither of which knows an order or a number of anchors:
`RawEncoder` is the paper's, `InnovationEncoder` looks at what the prior did not expect.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from locdreamer_ros.locdreamer.world_model.gaussian import STATE, Gaussian, where
from locdreamer_ros.locdreamer.world_model.layers import Attention, at_least_one, mlp
from locdreamer_ros.locdreamer.world_model.memory import MEMORY, memory_features
from locdreamer_ros.locdreamer.world_model.observation import Observation, expected_range

SIGMA_FLOOR_M = 0.03
SIGMA_START_M = 0.3
"""What a range is worth before anything is learned."""
LARGEST_HEAD = 3.0
"""Most that a range's bias (m) and the log of its sigma may become."""
FEATURES = 10
LEFT_OUT = 4
"""Which feature is the normalised leave-one-out residual."""


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
        ranges, distance = linearise(prior, seen)
        features = innovation_features(ranges, distance, seen)  # (B, A, FEATURES + M)
        context = torch.cat([hidden[-1], dt.clamp(min=1e-3).log()[:, None]], dim=-1)
        tokens = self.token(features) + self.context(context)[:, None]  # (B, A, W)
        tokens = self.block(tokens, tokens, at_least_one(seen.asked))
        head = LARGEST_HEAD * torch.tanh(self.head(tokens) / LARGEST_HEAD)
        bias, log_sigma = head.unbind(dim=-1)  # (B, A) each, m and log
        # A range that disagrees with the others counts less from the start (Huber's weight).
        doubt = features[..., LEFT_OUT].abs().clamp(min=1.0)
        sigma = SIGMA_FLOOR_M + SIGMA_START_M * doubt.sqrt() * torch.exp(log_sigma)
        return kalman_update(prior, ranges, ranges.innovation - bias, sigma)


@dataclass(frozen=True, eq=False)
class Linearised:
    """Ranges as linear functions of the state around the prior; rows not asked are zero.

    innovation (B, A) m; with H (B, A, S) their Jacobian: cross = H P (B, A, S), projected = H P H^T
    (B, A, A), how the prior makes ranges vary; asked (B, A).
    """

    innovation: Tensor
    cross: Tensor
    projected: Tensor
    asked: Tensor

    @classmethod
    def of(cls, prior: Gaussian, innovation: Tensor, jacobian: Tensor, asked: Tensor) -> Linearised:
        """From innovations (B, A) m and H, whatever they are where not asked.

        jacobian (B, A, J) by the first J components of the state; by the others it is zero.
        """
        jacobian = jacobian * asked[..., None]
        parts = jacobian.shape[-1]
        cross = torch.bmm(jacobian, prior.covariance[:, :parts])
        projected = torch.bmm(cross[..., :parts], jacobian.transpose(1, 2))
        return cls(torch.where(asked, innovation, 0.0), cross, projected, asked)


def linearise(prior: Gaussian, seen: Observation) -> tuple[Linearised, Tensor]:
    """Ranges at the prior, each at its own stamp, and their expected values (B, A) m."""
    distance, jacobian = expected_range(seen.positions(prior.mean), seen.anchor)
    if seen.ahead is not None:
        jacobian = torch.cat([jacobian, seen.ahead[..., None] * jacobian], dim=-1)
    return Linearised.of(prior, seen.distance - distance, jacobian, seen.asked), distance


def innovation_features(ranges: Linearised, distance: Tensor, seen: Observation) -> Tensor:
    """(B, A, FEATURES + M), invariant to shift, rotation and mirror.

    The number `LEFT_OUT` is the normalised leave-one-out residual: how far a range lies from what
    the prior and all the other ranges make of it, in standard deviations.
    """
    innovation = ranges.innovation
    count = seen.asked.sum(dim=1, keepdim=True).to(innovation)  # (B, 1)
    left_out, left_out_variance = leave_one_out(ranges)
    centred = innovation - innovation.sum(1, keepdim=True) / count.clamp(min=1.0)
    residual = torch.stack([innovation, left_out, centred], dim=-1)
    own = torch.diagonal(ranges.projected, dim1=1, dim2=2)
    variance = torch.stack([own, left_out_variance], dim=-1)
    plain = [distance / 10.0, seen.anchor[..., 2], (count / 4.0).expand_as(innovation)]
    features = [
        torch.asinh(residual / 0.2),
        residual[..., :2] * (variance + SIGMA_START_M**2).rsqrt(),
        (variance + 1e-4).log(),
        torch.stack(plain, dim=-1),
        memory_features(seen.memory),
    ]
    return torch.cat(features, dim=-1).clamp(-10.0, 10.0)


def leave_one_out(ranges: Linearised) -> tuple[Tensor, Tensor]:
    """Residual (B, A) m of each range after an update with all the others, and its variance.

    Closed form: with R = H P H^T + sigma^2 I, these are (R^-1 y)_k / (R^-1)_kk and 1 / (R^-1)_kk,
    of which the last still holds the noise of the range itself.
    """
    noise = SIGMA_START_M**2
    precision = torch.linalg.inv_ex(ranges.projected + noise * _eye(ranges.projected)).inverse
    variance = 1.0 / torch.diagonal(precision, dim1=1, dim2=2)
    residual = torch.bmm(precision, ranges.innovation[..., None])[..., 0] * variance
    return residual, (variance - noise).clamp(min=0.0)


def kalman_update(
    prior: Gaussian, ranges: Linearised, innovation: Tensor, sigma: Tensor
) -> Gaussian:
    """Posterior from innovations (B, A) m of sigma (B, A) m; rows not asked do nothing."""
    noise = torch.where(ranges.asked, sigma**2, 1.0)
    innovation_covariance = ranges.projected + torch.diag_embed(noise)  # (B, A, A)
    gain = torch.bmm(
        torch.linalg.inv_ex(innovation_covariance).inverse, ranges.cross
    )  # K^T (B, A, S)
    mean = torch.baddbmm(prior.mean[:, None], innovation[:, None], gain)[:, 0]
    covariance = torch.baddbmm(prior.covariance, ranges.cross.transpose(1, 2), gain, alpha=-1.0)
    covariance = 0.5 * (covariance + covariance.transpose(1, 2))
    return Gaussian(mean, covariance + 1e-5 * _eye(covariance))


def _eye(like: Tensor) -> Tensor:
    return torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)
