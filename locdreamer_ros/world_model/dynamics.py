# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
# mypy: warn-return-any=False, disallow-subclassing-any=False
"""The dynamic model, equations (8) and (9): physics plus a learned residual gives the prior."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from locdreamer_ros.world_model.gaussian import STATE, Gaussian
from locdreamer_ros.world_model.layers import mlp
from locdreamer_ros.world_model.observation import constant_velocity

ACCELERATION_PSD = 0.1
"""m^2/s^3: the motion's noise before anything is learned; a walker indoors."""
DIFFUSION = 0.1
"""m/sqrt(s): position noise that no velocity explains, before anything is learned."""
LARGEST_CORRECTION = 1.0
"""m/s and m per s: the residual on the mean is bounded, so that dreams stay walks."""
LARGEST_LOG = 2.0
"""The noise may grow or shrink by e to this power."""


class Dynamics(nn.Module):
    """Equation (9): [mu, sigma]_prior = f^phy(z_{t-1}) + MLP(z_{t-1}, h_t).

    f^phy is constant velocity. With `propagate` the uncertainty of z_{t-1} is carried along, and
    the prior is p(z_t | d_{<t}) with correlated components; without, z_{t-1} is a sample and the
    prior the diagonal transition density of equation (8).
    """

    def __init__(
        self, *, hidden: int, propagate: bool, centre: tuple[float, float], scale: float
    ) -> None:
        super().__init__()
        self.propagate = propagate
        self.residual = mlp(2 * STATE + hidden + 1, hidden, 2 * STATE, zero=True)
        self.register_buffer("shift", torch.tensor([*centre, 0.0, 0.0]), persistent=False)
        self.register_buffer(
            "shrink", torch.tensor([1.0 / scale, 1.0 / scale, 1.0, 1.0]), persistent=False
        )

    def forward(self, previous: Gaussian, hidden: Tensor, dt: Tensor) -> Gaussian:
        """z_t^prior from z_{t-1}^posterior, h_t (layers, B, H) and the step dt (B,) s."""
        assert dt.shape == previous.mean.shape[:1], (dt.shape, previous.mean.shape)
        # A sample has no sigma of its own: a constant then.
        sigma = previous.sigma if self.propagate else torch.ones_like(previous.mean)
        features = torch.cat(
            [
                (previous.mean - self.shift) * self.shrink,
                sigma.clamp(min=1e-3).log(),
                hidden[-1],
                dt.clamp(min=1e-3).log()[:, None],
            ],
            dim=-1,
        )
        residual = self.residual(features)  # (B, 2 S)
        correction = LARGEST_CORRECTION * torch.tanh(residual[:, :STATE])
        log_noise = LARGEST_LOG * torch.tanh(residual[:, STATE:] / LARGEST_LOG)
        mean = constant_velocity(previous.mean, dt) + correction * dt[:, None]
        covariance = process_noise(dt, log_noise)
        if self.propagate:
            ahead = transition(dt)
            covariance = ahead @ previous.covariance @ ahead.transpose(1, 2) + covariance
        else:
            covariance = torch.diag_embed(torch.diagonal(covariance, dim1=1, dim2=2))
        return Gaussian(mean, covariance)


def transition(dt: Tensor) -> Tensor:
    """F (B, S, S) of constant velocity over dt (B,) s."""
    matrix = torch.eye(STATE, dtype=dt.dtype, device=dt.device).repeat(dt.shape[0], 1, 1)
    matrix[:, 0, 2] = dt
    matrix[:, 1, 3] = dt
    return matrix


def process_noise(dt: Tensor, log_noise: Tensor) -> Tensor:
    """Q (B, S, S): white acceleration and diffusion, scaled by e^log_noise (B, S).

    log_noise: of the position's diffusion (x, y), then of the acceleration (x, y).
    """
    step = dt[:, None]
    diffusion = DIFFUSION**2 * step * torch.exp(2.0 * log_noise[:, :2])  # (B, 2)
    density = ACCELERATION_PSD * torch.exp(2.0 * log_noise[:, 2:])  # (B, 2)
    diagonal = torch.cat([diffusion + density * step**3 / 3.0, density * step], dim=-1)
    noise = torch.diag_embed(diagonal + 1e-6)
    cross = density * step**2 / 2.0
    index = torch.arange(2)
    off = torch.zeros_like(noise)
    off[:, index, index + 2] = cross
    return noise + off + off.transpose(1, 2)


def physics(previous: Gaussian, dt: Tensor) -> Gaussian:
    """f^phy of equation (9) alone, with its uncertainty: what the residual starts from."""
    ahead = transition(dt)
    noise = process_noise(dt, torch.zeros_like(previous.mean))
    return Gaussian(
        constant_velocity(previous.mean, dt),
        ahead @ previous.covariance @ ahead.transpose(1, 2) + noise,
    )
