# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One step of any number of tags at once, without gradients: equations (9), (11) and (7).

Tracking one tag and a fleet are the same code; N tags are a batch, B = N.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian
from locdreamer_ros.locdreamer.world_model.memory import (
    MEMORY,
    first_memory,
    remember_ranges,
    residuals,
)
from locdreamer_ros.locdreamer.world_model.model import WorldModel
from locdreamer_ros.locdreamer.world_model.observation import Observation


class Carried(NamedTuple):
    """What the model carries of N tags from step to step.

    mean (N, S) and covariance (N, S, S) of the belief; hidden (layers, N, H); memory (N, A, M).
    """

    mean: Tensor
    covariance: Tensor
    hidden: Tensor
    memory: Tensor


@dataclass(frozen=True, eq=False)
class Heard:
    """Ranges of one step: rows (N, K) of anchors, each at most once per tag.

    distance (N, K) m; asked (N, K), False where a tag has fewer answers than K; ahead (N, K) s: a
    range's own stamp less the time of the step; since (N,) s since the last ranges.
    """

    rows: Tensor
    distance: Tensor
    asked: Tensor
    ahead: Tensor
    since: Tensor


def begin(model: WorldModel, mean: Tensor, covariance: Tensor, anchors: int) -> Carried:
    """z_0^posterior of first fixes (N, S), (N, S, S), and h_1."""
    size = mean.shape[0]
    memory = first_memory(size, anchors, mean.device)
    return Carried(mean, covariance, model.sequence.initial(size), memory)


@torch.no_grad()
def predict(model: WorldModel, tags: Carried, dt: Tensor) -> Carried:
    """Equation (9), dt (N,) s ahead."""
    prior = model.predict(Gaussian(tags.mean, tags.covariance), tags.hidden, dt)
    return tags._replace(mean=prior.mean, covariance=prior.covariance)


@torch.no_grad()
def update(model: WorldModel, anchor: Tensor, tags: Carried, heard: Heard) -> Carried:
    """Ranges in by equation (11), and the memories for the next step; anchor (A, 3)."""
    rows, asked = heard.rows, heard.asked
    memory = tags.memory.gather(1, rows[..., None].expand(-1, -1, MEMORY))
    seen = Observation(heard.distance, asked, anchor[rows], memory, heard.ahead)
    prior = Gaussian(tags.mean, tags.covariance)
    posterior = model.infer(prior, tags.hidden, seen, heard.since)
    nothing = torch.zeros_like(tags.memory[..., 0])
    off = nothing.scatter(1, rows, residuals(posterior.mean, seen))
    of_whom = torch.zeros_like(nothing, dtype=torch.bool).scatter(1, rows, asked)
    return Carried(
        posterior.mean,
        posterior.covariance,
        model.remember(posterior, tags.hidden),
        remember_ranges(tags.memory, off, of_whom),
    )
