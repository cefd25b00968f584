# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Gaussian over the state that priors (8) and posteriors (10) are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from locdreamer_ros.locdreamer.world_model.chance import Source, normal

STATE = 4
"""S: x, y, vx, vy."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """mean (..., S) and covariance (..., S, S), symmetric and positive definite."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def diagonal(cls, mean: Tensor, sigma: Tensor) -> Gaussian:
        """With independent components, as in equations (8) and (10): mean and sigma (..., S)."""
        return cls(mean, torch.diag_embed(sigma**2))

    @property
    def sigma(self) -> Tensor:
        """Standard deviation of each component (..., S)."""
        return torch.diagonal(self.covariance, dim1=-2, dim2=-1).sqrt()

    def sample(self, source: Source = None) -> Tensor:
        """A reparameterised draw (..., S): gradients flow through mean and covariance."""
        noise = normal(self.mean.shape, source)
        factor = torch.linalg.cholesky_ex(self.covariance).L
        return self.mean + (factor @ noise.to(self.mean).unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density (...,) of value (..., S)."""
        factor = torch.linalg.cholesky_ex(self.covariance).L
        deviation = (value - self.mean).unsqueeze(-1)
        white = torch.linalg.solve_triangular(factor, deviation, upper=False).squeeze(-1)
        constant = self.mean.shape[-1] * math.log(2.0 * math.pi)
        return -0.5 * (white.square().sum(-1) + constant) - _half_log_det(factor)


def _half_log_det(factor: Tensor) -> Tensor:
    return torch.diagonal(factor, dim1=-2, dim2=-1).log().sum(-1)


def kl_divergence(posterior: Gaussian, prior: Gaussian) -> Tensor:
    """KL(posterior || prior) (...,) in nats, in closed form; never below zero but for rounding."""
    assert posterior.mean.shape == prior.mean.shape
    outer = torch.linalg.cholesky_ex(prior.covariance).L
    inner = torch.linalg.cholesky_ex(posterior.covariance).L
    deviation = (posterior.mean - prior.mean).unsqueeze(-1)
    white = torch.linalg.solve_triangular(
        outer, torch.cat([inner, deviation], dim=-1), upper=False
    )  # (..., S, S + 1)
    square = white.square().sum((-2, -1))
    return 0.5 * (square - posterior.mean.shape[-1]) + _half_log_det(outer) - _half_log_det(inner)


def stack(beliefs: list[Gaussian]) -> Gaussian:
    """T Gaussians of shape (B, S) as one of shape (B, T, S)."""
    return Gaussian(
        torch.stack([b.mean for b in beliefs], dim=1),
        torch.stack([b.covariance for b in beliefs], dim=1),
    )


def where(condition: Tensor, yes: Gaussian, no: Gaussian) -> Gaussian:
    """Row by row `yes` where condition (B,) holds, else `no`."""
    return Gaussian(
        torch.where(condition[:, None], yes.mean, no.mean),
        torch.where(condition[:, None, None], yes.covariance, no.covariance),
    )
