# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The dynamic model, equations (8) and (9): physics plus a learned residual gives the prior."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from locdreamer_ros.locdreamer.world_model.gaussian import STATE, Gaussian
from locdreamer_ros.locdreamer.world_model.layers import mlp

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
        limits = [LARGEST_CORRECTION] * STATE + [LARGEST_LOG] * STATE
        self.register_buffer("limits", torch.tensor(limits), persistent=False)
        self.register_buffer("shift", torch.tensor([*centre, 0.0, 0.0]), persistent=False)
        self.register_buffer(
            "shrink", torch.tensor([1.0 / scale, 1.0 / scale, 1.0, 1.0]), persistent=False
        )

    def forward(self, previous: Gaussian, hidden: Tensor, dt: Tensor) -> Gaussian:
        """z_t^prior from z_{t-1}^posterior, h_t (layers, B, H) and the step dt (B,) s."""
        assert dt.shape == previous.mean.shape[:1], (dt.shape, previous.mean.shape)
        # A sample has no sigma of its own: a constant then.
        log_sigma = torch.zeros_like(previous.mean)
        if self.propagate:
            variance = torch.diagonal(previous.covariance, dim1=-2, dim2=-1)
            log_sigma = 0.5 * variance.clamp(min=1e-6).log()
        features = torch.cat(
            [
                (previous.mean - self.shift) * self.shrink,
                log_sigma,
                hidden[-1],
                dt.clamp(min=1e-3).log()[:, None],
            ],
            dim=-1,
        )
        residual = self.limits * torch.tanh(self.residual(features) / self.limits)  # (B, 2 S)
        correction, log_noise = residual.split(STATE, dim=-1)
        # A sample has no uncertainty to carry along: Q alone is left.
        start = previous
        if not self.propagate:
            start = Gaussian(previous.mean, torch.zeros_like(previous.covariance))
        prior = physics(start, dt, log_noise)
        mean, covariance = prior.mean + correction * dt[:, None], prior.covariance
        if not self.propagate:
            covariance = torch.diag_embed(torch.diagonal(covariance, dim1=1, dim2=2))
        return Gaussian(mean, covariance)


def physics(previous: Gaussian, dt: Tensor, log_noise: Tensor | None = None) -> Gaussian:
    """f^phy of equation (9): constant velocity, F z and F P F^T + Q, as the noise (B, S) scales Q.

    Without a residual on the noise it is what the learned dynamics start from.
    """
    ahead = transition(dt)
    noise = process_noise(dt, torch.zeros_like(previous.mean) if log_noise is None else log_noise)
    return Gaussian(
        torch.bmm(ahead, previous.mean[..., None])[..., 0],
        torch.baddbmm(noise, torch.bmm(ahead, previous.covariance), ahead.transpose(1, 2)),
    )


# The matrices below are linear in powers of dt, so few operations make them: their number, not
# their size, is what a step costs. For the same reason products of three-dimensional tensors are
# written `bmm` here and in the encoder: `@` is five operations, and as many on the way back.
IDENTITY = torch.eye(STATE)
DRIFT = torch.eye(STATE).roll(2, dims=1).triu()
"""Position moves with velocity: F = I + dt DRIFT."""


def transition(dt: Tensor) -> Tensor:
    """F (B, S, S) of constant velocity over dt (B,) s."""
    identity, drift, _ = _tables(dt.device, dt.dtype)
    return torch.addcmul(identity, dt[:, None, None], drift)


def _noise_table() -> Tensor:
    """What dt, dt^2 and dt^3 (first index) times each of the four noises (second) add to Q."""
    table = torch.zeros(3, STATE, STATE, STATE)
    for place in (0, 1):
        speed = place + 2
        table[0, place, place, place] = DIFFUSION**2
        table[2, speed, place, place] = ACCELERATION_PSD / 3.0
        table[1, speed, place, speed] = table[1, speed, speed, place] = ACCELERATION_PSD / 2.0
        table[0, speed, speed, speed] = ACCELERATION_PSD
    return table


NOISE_TABLE = _noise_table()


@lru_cache(maxsize=8)
def _tables(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Identity, drift and noise table where they are needed: copied once, not at each step."""
    return IDENTITY.to(device, dtype), DRIFT.to(device, dtype), NOISE_TABLE.to(device, dtype)


def process_noise(dt: Tensor, log_noise: Tensor) -> Tensor:
    """Q (B, S, S): white acceleration and diffusion, scaled by e^log_noise (B, S).

    log_noise: of the position's diffusion (x, y), then of the acceleration (x, y).
    """
    identity, _, table = _tables(dt.device, dt.dtype)
    powers = torch.stack([dt, dt**2, dt**3], dim=-1)  # (B, 3)
    each = (powers @ table.flatten(1)).view(-1, STATE, STATE**2)
    floor = 1e-6 * identity.view(1, 1, STATE**2)
    total = torch.baddbmm(floor, torch.exp(2.0 * log_noise)[:, None], each)  # (B, 1, S S)
    return total.view(-1, STATE, STATE)
