# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
# mypy: warn-return-any=False
"""Where stage 2 dreams: ranges of anchors that are known only by position.

`LiteralDream` follows line 16 of Algorithm 1: ranges around the model's own prior. `GroundedDream`
first infers from the real bootstrap ranges where the tag went, and imagines along that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from locdreamer_ros.learning.data import Batch, Walks
from locdreamer_ros.world_model.dynamics import transition
from locdreamer_ros.world_model.gaussian import Gaussian, stack
from locdreamer_ros.world_model.model import Area, WorldModel
from locdreamer_ros.world_model.observation import expected_range

LOST = 0.03
"""Share of imagined ranges that never come, so that trackers and schedulers have met it."""
FIX_SIGMA_M = 0.45
SPEED_SIGMA = 1.0
"""What a first fix knows: a dream begins as carelessly as the loop does."""


class Dream(Protocol):
    """One batch of imagined sequences for the anchors A."""

    anchor: Tensor  # (B, A, 3)
    dt: Tensor  # (B, T)
    start: Gaussian
    truth: Tensor | None  # (B, T, S): the dream's own, where it has one

    def ranges(self, t: int, prior: Gaussian, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Distances (B, A) m imagined at step t, and which of them come (B, A)."""


@dataclass(eq=False)
class LiteralDream:
    """Line 16: d_t^k ~ g(z_t^prior, h_t, p^k), the prior being what the dream itself led to."""

    model: WorldModel
    anchor: Tensor
    dt: Tensor
    start: Gaussian
    generator: torch.Generator
    truth: Tensor | None = None

    def ranges(self, t: int, prior: Gaussian, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Sampled around a sample of the prior; they are data: no gradient flows into them."""
        with torch.no_grad():
            noise = self.model.reconstruct(prior.sample(self.generator), hidden[-1], self.anchor)
            score = torch.randn(noise.mean.shape, generator=self.generator).to(noise.mean)
            drawn = noise.sample(score, self.generator).clamp(min=0.05)
        return drawn, torch.ones_like(drawn, dtype=torch.bool)


@dataclass(eq=False)
class GroundedDream:
    """Ranges drawn beforehand along trajectories that real ranges support."""

    distance: Tensor
    comes: Tensor
    anchor: Tensor
    dt: Tensor
    start: Gaussian
    truth: Tensor | None

    def ranges(self, t: int, prior: Gaussian, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Whatever the tracker believes."""
        return self.distance[:, t], self.comes[:, t]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Where a frozen tracker thinks the tag went: state (T, S), hidden (T, H), dt (T,) s."""

    state: Tensor
    hidden: Tensor
    dt: Tensor


class Ground:
    """The frozen stage-1 model's reading of the real walks, and dreams along them."""

    def __init__(self, model: WorldModel, walks: Walks, *, area: Area, steps: int) -> None:
        self.model = model
        self.steps = steps
        self.trajectories: list[Trajectory] = []
        residuals: list[Tensor] = []
        for batch in walks.whole():
            trajectory = follow(model, batch, area)
            self.trajectories.append(trajectory)
            residuals.append(_residuals(batch, trajectory))
        self.correlation = lag_one_correlation(residuals)
        self.starts = [
            (walk, epoch)
            for walk, trajectory in enumerate(self.trajectories)
            for epoch in range(trajectory.dt.shape[0] - steps)
        ]

    def dream(
        self, starts: list[tuple[int, int]], anchor: Tensor, generator: torch.Generator
    ) -> GroundedDream:
        """Dreams of `steps` steps from each (walk, epoch), with ranges of anchor (A, 3)."""
        size, rows = len(starts), anchor.shape[0]
        index = torch.arange(self.steps + 1)
        state = torch.stack([self.trajectories[w].state[e + index] for w, e in starts])
        hidden = torch.stack([self.trajectories[w].hidden[e + index[1:]] for w, e in starts])
        dt = torch.stack([self.trajectories[w].dt[e + index[1:]] for w, e in starts])
        truth = state[:, 1:]  # (B, T, S)
        places = anchor.expand(size, self.steps, rows, 3)
        score = correlated_scores((size, self.steps, rows), self.correlation, generator).to(truth)
        with torch.no_grad():
            noise = self.model.reconstruct(truth, hidden, places)
            distance = noise.sample(score, generator).clamp(min=0.05)  # (B, T, A)
        comes = (torch.rand(distance.shape, generator=generator) >= LOST).to(distance.device)
        first = state[:, 0].clone()
        wrong = FIX_SIGMA_M * torch.randn(size, 2, generator=generator).to(first)
        first[:, :2] += wrong
        first[:, 2:] = 0.0
        sigma = first.new_tensor([FIX_SIGMA_M, FIX_SIGMA_M, SPEED_SIGMA, SPEED_SIGMA])
        return GroundedDream(
            distance,
            comes,
            anchor.expand(size, rows, 3),
            dt,
            Gaussian.diagonal(first, sigma.expand(size, 4)),
            truth,
        )

    def draw(self, size: int, anchor: Tensor, generator: torch.Generator) -> GroundedDream:
        """`size` dreams that begin anywhere."""
        picks = torch.randint(len(self.starts), (size,), generator=generator).tolist()
        return self.dream([self.starts[i] for i in picks], anchor, generator)

    def in_order(self, anchor: Tensor, generator: torch.Generator) -> GroundedDream:
        """Dreams that follow each other through all walks, for validation."""
        starts = [(w, e) for w, e in self.starts if e % self.steps == 0]
        return self.dream(starts, anchor, generator)


def follow(model: WorldModel, batch: Batch, area: Area) -> Trajectory:
    """Track one long sequence (B = 1) with the frozen model, smooth it, keep it in the area."""
    posterior, hidden = batch.start, model.sequence.initial(1)
    priors, posteriors, memory = [], [], []
    with torch.no_grad():
        for t in range(batch.steps):
            prior = model.predict(posterior, hidden, batch.dt[:, t])
            posterior = model.infer(prior, hidden, batch.at(t), batch.dt[:, t])
            memory.append(hidden[-1, 0])
            hidden = model.remember(posterior, hidden)
            priors.append(prior)
            posteriors.append(posterior)
        mean = smoothed(stack(priors), stack(posteriors), batch.dt)[0]  # (T, S)
    low, high = mean.new_tensor(area.low), mean.new_tensor(area.high)
    position = torch.maximum(torch.minimum(mean[:, :2], high), low)
    return Trajectory(torch.cat([position, mean[:, 2:]], dim=-1), torch.stack(memory), batch.dt[0])


def smoothed(prior: Gaussian, posterior: Gaussian, dt: Tensor) -> Tensor:
    """Means (B, T, S) of the Rauch-Tung-Striebel smoother over filtered steps (B, T, S)."""
    mean = posterior.mean[:, -1]
    means = [mean]
    for t in reversed(range(dt.shape[1] - 1)):
        ahead = transition(dt[:, t + 1])
        spread = posterior.covariance[:, t] @ ahead.transpose(1, 2)
        gain = torch.linalg.solve(prior.covariance[:, t + 1], spread.transpose(1, 2))
        move = (gain.transpose(1, 2) @ (mean - prior.mean[:, t + 1])[..., None])[..., 0]
        mean = posterior.mean[:, t] + move
        means.append(mean)
    return torch.stack(means[::-1], dim=1)


def _residuals(batch: Batch, trajectory: Trajectory) -> Tensor:
    """Measured less expected (T, R) m of the real ranges along a trajectory; NaN where none."""
    distance, _ = expected_range(trajectory.state[:, :2], batch.anchor.expand(batch.steps, -1, 3))
    return torch.where(batch.asked[0], batch.distance[0] - distance, math.nan)


def lag_one_correlation(residuals: list[Tensor]) -> float:
    """How alike (0 to 0.95) the errors of one anchor are from one step to the next."""
    now = torch.cat([r[:-1].flatten() for r in residuals])
    then = torch.cat([r[1:].flatten() for r in residuals])
    both = torch.isfinite(now) & torch.isfinite(then)
    if int(both.sum()) < 10:
        return 0.0
    # Ranks, because a few outliers would decide a plain correlation.
    ranks = [x[both].argsort().argsort().double() for x in (now, then)]
    rank = float(torch.corrcoef(torch.stack(ranks))[0, 1])
    return min(max(2.0 * math.sin(math.pi * rank / 6.0), 0.0), 0.95)


def correlated_scores(
    shape: tuple[int, int, int], correlation: float, generator: torch.Generator
) -> Tensor:
    """Standard normal scores (B, T, A), each step's correlated with the one before."""
    fresh = torch.randn(shape, generator=generator)
    scores = [fresh[:, 0]]
    share = math.sqrt(1.0 - correlation**2)
    for t in range(1, shape[1]):
        scores.append(correlation * scores[-1] + share * fresh[:, t])
    return torch.stack(scores, dim=1)


def frozen(model: WorldModel) -> WorldModel:
    """A copy that no longer learns: what stage 2 dreams with."""
    copy = WorldModel(replace(model.config), model.area)
    copy.load_state_dict(model.state_dict())
    copy.to(next(model.parameters()).device)
    return copy.requires_grad_(False).eval()
