# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decoder, equations (12) and (13): d^k ~ g(z_t, h_t, p^k), Euclidean mean, learned noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from locdreamer_ros.locdreamer.world_model.chance import Source, normal, uniform
from locdreamer_ros.locdreamer.world_model.gaussian import STATE
from locdreamer_ros.locdreamer.world_model.layers import mlp
from locdreamer_ros.locdreamer.world_model.observation import expected_range

NOISES = ("gaussian", "bias", "asymmetric")
SIGMA_FLOOR_M = 0.03
TAIL_FLOOR_M = 0.02
OUTLIERS = 0.01
"""Share of ranges that say nothing: the asymmetric noise has a floor of this weight ..."""
OUTLIER_SPAN_M = 20.0
"""... spread evenly over this much."""


@dataclass(frozen=True, eq=False)
class RangeNoise:
    """The distribution (12) of ranges; every field (..., A), m.

    mean: distance plus learned bias; sigma; tail: mean of the exponential excess, or None where the
    noise is Gaussian. With a tail the density is that of a Gaussian plus an exponential, over a low
    floor of outliers.
    """

    mean: Tensor
    sigma: Tensor
    tail: Tensor | None = None

    def log_prob(self, distance: Tensor) -> Tensor:
        """Log density (..., A) of measured ranges (..., A) m."""
        scaled = (distance - self.mean) / self.sigma
        if self.tail is None:
            return -0.5 * scaled.square() - self.sigma.log() - 0.5 * math.log(2.0 * math.pi)
        ratio = self.sigma / self.tail
        inner = (
            0.5 * ratio.square()
            - ratio * scaled
            + torch.special.log_ndtr((scaled - ratio).clamp(min=-30.0))
            - self.tail.log()
        )
        # Far below the mean the two large terms above cancel: the Gaussian alone is left there.
        gaussian = -0.5 * scaled.square() - self.tail.log() - (ratio - scaled).clamp(min=1.0).log()
        inner = torch.where(scaled - ratio < -30.0, gaussian - 0.919, inner)
        floor = inner.new_full((), math.log(OUTLIERS / OUTLIER_SPAN_M))
        return torch.logaddexp(inner + math.log1p(-OUTLIERS), floor)

    def sample(self, score: Tensor, source: Source = None) -> Tensor:
        """Ranges (..., A) m. score (..., A) standard normal decides where in the tail each lies.

        Scores that follow each other in time make errors that belong to places, as real ones do.
        """
        if self.tail is None:
            return self.mean + self.sigma * score
        fresh = normal(score.shape, source).to(score)
        excess = -self.tail * torch.special.log_ndtr(-score)
        drawn = self.mean + self.sigma * fresh + excess
        wild = uniform(score.shape, source).to(score) < OUTLIERS
        where_wild = OUTLIER_SPAN_M * (uniform(score.shape, source).to(score) - 0.5)
        return torch.where(wild, self.mean + where_wild, drawn)


class Decoder(nn.Module):
    """Equation (13): mean |p - p^k| (13a), noise MLP(z, h, p^k) (13b).

    noise `gaussian` is the paper's; `bias` adds a learned bias to the mean; `asymmetric` an
    exponential tail besides. With `relative`, z and p^k enter as the distance between them and the
    anchor's height only, which is all that carries over to anchors never measured; without, as the
    paper has it, by their coordinates.
    """

    def __init__(
        self,
        *,
        hidden: int,
        noise: str,
        relative: bool,
        centre: tuple[float, float],
        scale: float,
    ) -> None:
        super().__init__()
        assert noise in NOISES, noise
        self.noise = noise
        self.relative = relative
        self.scale = scale
        self.register_buffer("centre", torch.tensor(centre), persistent=False)
        inputs = 2 if relative else STATE + 3
        self.head = mlp(inputs + hidden, hidden, 1 + NOISES.index(noise), zero=True)

    def forward(self, state: Tensor, hidden: Tensor, anchor: Tensor) -> RangeNoise:
        """Ranges (..., A) to anchor (..., A, 3) of a tag in state (..., S), memory h (..., H)."""
        assert state.shape[:-1] == hidden.shape[:-1] == anchor.shape[:-2]
        distance, _ = expected_range(state[..., :2], anchor)  # (..., A)
        rows = anchor.shape[-2]
        memory = hidden.unsqueeze(-2).expand(*hidden.shape[:-1], rows, hidden.shape[-1])
        if self.relative:
            place = torch.stack([distance / 10.0, anchor[..., 2]], dim=-1)
        else:
            z = torch.cat([(state[..., :2] - self.centre) / self.scale, state[..., 2:]], dim=-1)
            p = torch.cat([(anchor[..., :2] - self.centre), anchor[..., 2:]], dim=-1) / self.scale
            place = torch.cat([z.unsqueeze(-2).expand(*p.shape[:-1], STATE), p], dim=-1)
        head = self.head(torch.cat([place, memory], dim=-1))  # (..., A, 1 to 3)
        sigma = SIGMA_FLOOR_M + 0.3 * torch.exp(3.0 * torch.tanh(head[..., 0] / 3.0))
        if self.noise == "gaussian":
            return RangeNoise(distance, sigma)
        mean = distance + head[..., 1]
        if self.noise == "bias":
            return RangeNoise(mean, sigma)
        tail = TAIL_FLOOR_M + 0.3 * torch.exp(3.0 * torch.tanh(head[..., 2] / 3.0))
        # Half a Gaussian and half a tail at first, as wide as the other forms.
        return RangeNoise(mean, 0.5 * sigma, tail)
