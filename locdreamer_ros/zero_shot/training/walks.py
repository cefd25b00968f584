# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dreams as tensors: how their tracks ask, start, get lost.

Shape legend: B dreams, T steps, A anchors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from locdreamer_ros.zero_shot.layout import VERTICAL_SPEED
from locdreamer_ros.zero_shot.training.belief import Belief
from locdreamer_ros.zero_shot.training.dreams import Dreams
from locdreamer_ros.zero_shot.training.hybrid import Hybrid

PRECISION = torch.float64
"""As at run time: a float32 does not hold 100 m after a gap beside centimetres."""
BY_STEP = ("truth", "dt", "distance", "ahead", "blocked")
"""Parts of a walk that have steps."""
CHOICES = ("random", "turn", "gdop", "foresight")
"""How a dream's anchors are asked: a quarter of the dreams each."""
FARTHEST_FIX = 8.0
"""First fixes are at most this many times worse far out."""
LOST_M, LOST_SHARE = 2.0, 0.1
"""A track off by more, and this share of the way to its anchors, is not scored, and starts anew."""
KIDNAPPED, KIDNAP_SIGMA_M = 0.01, 1.5
"""Share of beliefs displaced between chunks, so that a lost track learns to find back; how far."""


@dataclass(frozen=True, eq=False)
class Walks:
    """`Dreams` as tensors, with how each asks: budget (B,) anchors, choice (B,) of `CHOICES`."""

    anchor: Tensor
    truth: Tensor
    dt: Tensor
    distance: Tensor
    ahead: Tensor
    blocked: Tensor
    height: Tensor
    known: Tensor
    free: Tensor
    budget: Tensor
    choice: Tensor

    def __len__(self) -> int:
        return self.anchor.shape[0]

    def during(self, steps: range) -> Walks:
        """Only these steps."""
        at = slice(steps.start, steps.stop)
        return replace(
            self,
            **{name: getattr(self, name)[:, at] for name in BY_STEP},
        )

    def to(self, device: torch.device | str) -> Walks:
        """The same walks there, in `PRECISION`."""

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device, PRECISION if tensor.is_floating_point() else None)

        return replace(self, **{f.name: moved(getattr(self, f.name)) for f in fields(self)})


def walks(dreams: Dreams, generator: torch.Generator) -> Walks:
    """Dreams with budgets, three most often, all now and then; and with choices."""
    size, count = dreams.anchor.shape[:2]
    anything = torch.randint(1, count + 1, (size,), generator=generator)
    kind = torch.rand(size, generator=generator)
    budget = torch.where(kind < 0.5, min(3, count), torch.where(kind < 0.75, anything, count))
    free = torch.from_numpy(dreams.free)
    return Walks(
        torch.from_numpy(dreams.anchor),
        torch.from_numpy(dreams.truth),
        torch.from_numpy(dreams.dt),
        torch.from_numpy(dreams.distance),
        torch.from_numpy(dreams.ahead),
        torch.from_numpy(dreams.blocked),
        torch.from_numpy(dreams.height),
        torch.from_numpy(dreams.known),
        free,
        torch.where(free, count, budget),
        torch.randint(len(CHOICES), (size,), generator=generator),
    )


def orders(walk: Walks, steps: range, generator: torch.Generator) -> Tensor:
    """Ranks (B, T, A) of the anchors where nobody looks: at random, or in turn."""
    size, count = walk.anchor.shape[:2]
    drawn = torch.rand(size, len(steps), count, generator=generator)
    step = torch.arange(steps.start, steps.stop)[:, None]
    budget, choice = walk.budget.cpu(), walk.choice.cpu()
    turn = (torch.arange(count) - step * budget[:, None, None]) % count
    in_turn = (choice == CHOICES.index("turn"))[:, None, None]
    return torch.where(in_turn, turn / count, drawn).to(walk.anchor.device)


@dataclass(frozen=True, eq=False)
class Fixes:
    """Where tracks start: mean (B, 6), covariance (B, 6, 6); new (B,): these do, now."""

    mean: Tensor
    covariance: Tensor
    new: Tensor


def first_fixes(walk: Walks, step: int, new: Tensor, generator: torch.Generator) -> Fixes:
    """First fixes some decimetres off, far out more, at rest; of the height more, or as believed.

    new (B,): the tracks that start at `step`.
    """
    size = len(walk)

    def sigmas(low: float, high: float) -> Tensor:
        drawn = torch.empty(size, 1).uniform_(math.log(low), math.log(high), generator=generator)
        return torch.exp(drawn).to(walk.anchor.device)

    middle = walk.anchor.mean(dim=1)
    spread = (walk.anchor - middle[:, None])[..., :2].square().sum(-1).mean(dim=1).sqrt()
    away = (walk.truth[:, step] - middle)[:, :2].square().sum(-1).sqrt()
    far = (0.5 * away / spread.clamp(min=0.3)).clamp(1.0, FARTHEST_FIX)
    level, tall = sigmas(0.1, 0.6) * far[:, None], sigmas(0.2, 2.0)
    normal = torch.randn(size, 3, generator=generator).to(walk.anchor.device)
    off = torch.cat([level.expand(-1, 2), tall], dim=-1) * normal
    place = walk.truth[:, step] + off
    believed = torch.where(walk.known, walk.height, place[:, 2])
    climbs = (~walk.known).to(place.dtype)[:, None]
    variance = torch.cat(
        [
            (level.square() + 0.04).expand(-1, 2),
            climbs * (tall.square() + 0.04),
            torch.ones_like(level).expand(-1, 2),
            climbs * VERTICAL_SPEED**2,
        ],
        dim=-1,
    )
    mean = torch.cat([place[:, :2], believed[:, None], torch.zeros_like(place)], dim=-1)
    return Fixes(mean, torch.diag_embed(variance), new)


def lost(walk: Walks, belief: Belief, step: int) -> Tensor:
    """(B,) bool: tracks that are hopelessly off at `step`."""
    truth = walk.truth[:, step]
    off = (belief.position - truth)[:, :2].square().sum(-1).sqrt()
    away = (truth - walk.anchor.mean(dim=1))[:, :2].square().sum(-1).sqrt()
    return ~(off < LOST_M + LOST_SHARE * away)


def nowhere(model: Hybrid, walk: Walks) -> Belief:
    """A belief that no first fix has begun."""
    mean = torch.zeros_like(walk.truth[:, 0]).repeat(1, 2)
    with torch.no_grad():
        return model.start(walk.anchor, mean, torch.diag_embed(torch.ones_like(mean)))


def kidnapped(belief: Belief, generator: torch.Generator) -> Belief:
    """Some beliefs are somewhere else and do not know it."""
    size = len(belief.mean)
    taken = torch.rand(size, 1, generator=generator) < KIDNAPPED
    off = taken * KIDNAP_SIGMA_M * torch.randn(size, 2, generator=generator)
    off = torch.nn.functional.pad(off, (0, belief.mean.shape[1] - 2))
    return replace(belief, mean=belief.mean + off.to(belief.mean.device))
