# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The deep state space model of equation (5): the four parts in one module, and how to run them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from locdreamer_ros.config import parameter
from locdreamer_ros.locdreamer.world_model.chance import Source
from locdreamer_ros.locdreamer.world_model.decoder import NOISES, Decoder, RangeNoise
from locdreamer_ros.locdreamer.world_model.dynamics import Dynamics
from locdreamer_ros.locdreamer.world_model.encoder import InnovationEncoder, RawEncoder
from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian
from locdreamer_ros.locdreamer.world_model.layers import of_each
from locdreamer_ros.locdreamer.world_model.observation import Observation
from locdreamer_ros.locdreamer.world_model.sequence_model import SequenceModel

OFFSET_M = 10.0
"""The unit of the common offset: Adam moves all parameters alike, by about 1e-3 in an update."""


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the world model; H and the layers are the paper's Table 1."""

    hidden: int = parameter(50, "H, the RNN state dimension", low=1, high=1024)
    layers: int = parameter(2, "RNN layers", low=1, high=8)
    width: int = parameter(32, "width of the encoder's tokens", low=4, high=512)
    encoder: str = parameter(
        "innovation",
        "what the encoder sees: raw (the paper's) or innovation",
        choices=("innovation", "raw"),
    )
    noise: str = parameter("asymmetric", "noise head of the decoder", choices=NOISES)


@dataclass(frozen=True)
class Area:
    """The horizontal rectangle a model is trained in, m: it normalises coordinates by it."""

    low: tuple[float, float]
    high: tuple[float, float]

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle."""
        return (0.5 * (self.low[0] + self.high[0]), 0.5 * (self.low[1] + self.high[1]))

    @property
    def scale(self) -> float:
        """Half its longer side."""
        return 0.5 * max(self.high[0] - self.low[0], self.high[1] - self.low[1])


class WorldModel(nn.Module):
    """Sequence model (7), dynamics (9), encoder (11) and decoder (13).

    In the paper's form (encoder `raw`) a sample of z_{t-1} goes from step to step; in the
    innovation form the whole Gaussian does.

    With the noise `bias` all ranges share one offset, which encoder and decoder know together: what
    the bootstrap anchors say of it holds for anchors never heard. Were it left to the nets, the
    encoder would have to learn to take off what the decoder learns to put on.
    """

    def __init__(self, config: ModelConfig, area: Area) -> None:
        super().__init__()
        self.config = config
        self.area = area
        self.raw = config.encoder == "raw"
        place: dict[str, Any] = {"centre": area.centre, "scale": area.scale}
        self.sequence = SequenceModel(hidden=config.hidden, layers=config.layers, **place)
        self.dynamics = Dynamics(hidden=config.hidden, propagate=not self.raw, **place)
        self.encoder: nn.Module = (
            RawEncoder(hidden=config.hidden, width=config.width, **place)
            if self.raw
            else InnovationEncoder(hidden=config.hidden, width=config.width)
        )
        self.offset: nn.Parameter | None = None
        if config.noise == "bias" and not self.raw:
            self.offset = nn.Parameter(torch.zeros(()))
        self.decoder = Decoder(
            hidden=config.hidden, noise=config.noise, relative=not self.raw, **place
        )

    def predict(self, posterior: Gaussian, hidden: Tensor, dt: Tensor) -> Gaussian:
        """z_t^prior by equation (9)."""
        return self.dynamics(posterior, hidden, dt)

    def infer(self, prior: Gaussian, hidden: Tensor, seen: Observation, dt: Tensor) -> Gaussian:
        """z_t^posterior by equation (11)."""
        if self.raw:
            return self.encoder(prior, hidden, seen)
        if self.offset is not None:
            seen = replace(seen, distance=seen.distance - self._offset(seen.distance))
        return self.encoder(prior, hidden, seen, dt)

    def reconstruct(self, state: Tensor, hidden: Tensor, anchor: Tensor) -> RangeNoise:
        """Ranges by equation (13); state (..., S), hidden (..., H), anchor (..., A, 3)."""
        noise = self.decoder(state, hidden, anchor)
        if self.offset is None:
            return noise
        return replace(noise, mean=noise.mean + self._offset(noise.mean))

    def _offset(self, like: Tensor) -> Tensor:
        """What all ranges share, m, to be added to ranges (B, ..., A)."""
        assert self.offset is not None
        return OFFSET_M * of_each(self.offset, like.shape[0], like.dim())

    def remember(self, posterior: Gaussian, hidden: Tensor) -> Tensor:
        """h_{t+1} by equation (7)."""
        return self.sequence(posterior.mean, hidden)

    def passed_on(self, posterior: Gaussian, source: Source) -> Gaussian:
        """What the next step gets in training: a sample in the paper's form, else the belief."""
        if not self.raw:
            return posterior
        return Gaussian(posterior.sample(source), posterior.covariance)
