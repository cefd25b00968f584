# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where stage 2 dreams: ranges of anchors that are known only by position.

`LiteralDream` follows line 16 of Algorithm 1: ranges around the model's own prior. `GroundedDream`
first infers from the real bootstrap ranges where the tag went, and imagines along that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from locdreamer_ros.locdreamer.learning.data import Batch, Walks
from locdreamer_ros.locdreamer.world_model.chance import Source, normal
from locdreamer_ros.locdreamer.world_model.dynamics import transition
from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian, stack
from locdreamer_ros.locdreamer.world_model.memory import first_memory, remember_ranges, residuals
from locdreamer_ros.locdreamer.world_model.model import Area, WorldModel
from locdreamer_ros.locdreamer.world_model.observation import expected_range

NOISE_BINS = 4
"""From near to far; fewer where there are few ranges."""
LASTING_STEPS = 8
"""An error that is the same so many steps later does not average out in a filter."""
LEAST_LASTING_M = 0.1
"""Lasting errors of three anchors hide: a position and an offset common to all explain them. So
they are never taken for less than calibrated rooms have (published: .10 to .15 m)."""
LOST_SHARE = 0.03
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
    source: Source
    truth: Tensor | None = None

    def ranges(self, t: int, prior: Gaussian, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Sampled around a sample of the prior; they are data: no gradient flows into them."""
        with torch.no_grad():
            noise = self.model.reconstruct(prior.sample(self.source), hidden[-1], self.anchor)
            score = normal(noise.mean.shape, self.source).to(noise.mean)
            drawn = noise.sample(score, self.source).clamp(min=0.05)
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

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> GroundedDream:
        """From what `tensors` gives."""
        distance, comes, anchor, dt, mean, covariance, truth = tensors
        return cls(distance, comes, anchor, dt, Gaussian(mean, covariance), truth)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of it."""
        assert self.truth is not None
        start = (self.start.mean, self.start.covariance)
        return (self.distance, self.comes, self.anchor, self.dt, *start, self.truth)

    def ranges(self, t: int, prior: Gaussian, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Whatever the tracker believes."""
        return self.distance[:, t], self.comes[:, t]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Where a frozen tracker thinks the tag went: state (T, S), dt (T,) s."""

    state: Tensor
    dt: Tensor


class ResidualNoise:
    """The errors that the decoder leaves to chance, as the real ranges of R show them.

    Quantiles of measured less expected range along the smoothed trajectories, for ranges from near
    to far. The decoder's own noise is what one filtering step cannot explain; smoothing sees more
    of it: the narrow core, the bias, the heavy tail.
    """

    def __init__(self, distance: Tensor, residual: Tensor) -> None:
        """From expected ranges and residuals (M,) m."""
        order = distance.argsort()
        bins = max(1, min(NOISE_BINS, len(order) // 200))
        self.levels = torch.linspace(0.0, 1.0, 201).to(residual)
        self.quantiles = torch.stack(
            [residual[part].quantile(self.levels) for part in order.chunk(bins)]
        )  # (bins, 201)
        self.edges = distance.quantile(torch.linspace(0.0, 1.0, bins + 1).to(distance)[1:-1])

    def errors(self, distance: Tensor, score: Tensor) -> Tensor:
        """Errors (..., A) m of ranges of this distance whose standard normal scores are given."""
        row = torch.bucketize(distance, self.edges)
        at = torch.special.ndtr(score) * (len(self.levels) - 1)
        low = at.floor().clamp(max=len(self.levels) - 2)
        share = at - low
        index = low.long()
        return (1.0 - share) * self.quantiles[row, index] + share * self.quantiles[row, index + 1]


class Ground:
    """The frozen stage-1 model's reading of the real walks, and dreams along them."""

    def __init__(
        self,
        model: WorldModel,
        walks: Walks,
        *,
        area: Area,
        steps: int,
        noise: ResidualNoise | None = None,
        device: str = "cpu",
    ) -> None:
        """`noise`: that of other walks, where these are too few to say."""
        self.steps = steps
        self.trajectories: list[Trajectory] = []
        errors: list[Tensor] = []
        distances: list[Tensor] = []
        for walk in walks.whole():
            batch = walk.to(device)
            state = follow(model, batch, area)
            self.trajectories += [Trajectory(*pair) for pair in zip(state, batch.dt, strict=True)]
            expected, residual = residuals_along(batch, state)
            distances.append(expected[torch.isfinite(residual)])
            errors += list(residual)
        self.correlation = rank_correlation(errors, 1)
        self.lasting_m = max(LEAST_LASTING_M, lasting_sigma(errors))
        every = torch.cat([e[torch.isfinite(e)] for e in errors])
        self.noise = noise or ResidualNoise(torch.cat(distances), every)
        self.starts = [
            (number, epoch)
            for number, trajectory in enumerate(self.trajectories)
            for epoch in range(trajectory.dt.shape[0] - steps)
        ]

    def dream(
        self, starts: list[tuple[int, int]], anchor: Tensor, generator: torch.Generator
    ) -> GroundedDream:
        """Dreams of `steps` steps from each (walk, epoch), with ranges of anchor (A, 3)."""
        size, rows = len(starts), anchor.shape[0]
        more = self.steps + 1
        state = torch.stack([self.trajectories[w].state[e : e + more] for w, e in starts])
        dt = torch.stack([self.trajectories[w].dt[e + 1 : e + more] for w, e in starts])
        truth = state[:, 1:]  # (B, T, S)
        places = anchor.expand(size, self.steps, rows, 3)
        score = self.scores(truth, rows, generator).to(truth)
        expected, _ = expected_range(truth[..., :2], places)
        distance = (expected + self.noise.errors(expected, score)).clamp(min=0.05)  # (B, T, A)
        comes = (torch.rand(distance.shape, generator=generator) >= LOST_SHARE).to(distance.device)
        first = state[:, 0].clone()
        wrong = FIX_SIGMA_M * torch.randn(size, 2, generator=generator).to(first)
        first[:, :2] += wrong
        first[:, 2:] = 0.0
        sigma = torch.tensor([FIX_SIGMA_M, FIX_SIGMA_M, SPEED_SIGMA, SPEED_SIGMA]).to(first)
        return GroundedDream(
            distance,
            comes,
            anchor.expand(size, rows, 3),
            dt,
            Gaussian.diagonal(first, sigma.expand(size, 4)),
            truth,
        )

    def scores(self, truth: Tensor, rows: int, generator: torch.Generator) -> Tensor:
        """Standard normal scores (B, T, A) of the errors along states (B, T, S)."""
        return correlated_scores((*truth.shape[:2], rows), self.correlation, generator)

    def draw(self, size: int, anchor: Tensor, generator: torch.Generator) -> GroundedDream:
        """`size` dreams that begin anywhere."""
        picks = torch.randint(len(self.starts), (size,), generator=generator).tolist()
        return self.dream([self.starts[i] for i in picks], anchor, generator)

    def in_order(self, anchor: Tensor, generator: torch.Generator) -> GroundedDream:
        """Dreams that follow each other through all walks, for validation."""
        starts = [(w, e) for w, e in self.starts if e % self.steps == 0]
        return self.dream(starts, anchor, generator)


def follow(model: WorldModel, batch: Batch, area: Area) -> Tensor:
    """States (B, T, S): tracked with the frozen model, smoothed, kept in the area."""
    posterior, hidden = batch.start, model.sequence.initial(batch.anchor.shape[0])
    memory = first_memory(batch.anchor.shape[0], batch.anchor.shape[1], batch.dt.device)
    priors, posteriors = [], []
    with torch.no_grad():
        for t in range(batch.steps):
            prior = model.predict(posterior, hidden, batch.dt[:, t])
            seen = batch.at(t, memory)
            posterior = model.infer(prior, hidden, seen, batch.dt[:, t])
            memory = remember_ranges(memory, residuals(posterior.mean, seen), seen.asked)
            hidden = model.remember(posterior, hidden)
            priors.append(prior)
            posteriors.append(posterior)
        mean = smoothed(stack(priors), stack(posteriors), batch.dt)  # (B, T, S)
    low, high = (torch.tensor(corner).to(mean) for corner in (area.low, area.high))
    position = torch.maximum(torch.minimum(mean[..., :2], high), low)
    return torch.cat([position, mean[..., 2:]], dim=-1)


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


def residuals_along(batch: Batch, state: Tensor) -> tuple[Tensor, Tensor]:
    """Expected ranges (B, T, R) m along states, and measured less those; NaN where none."""
    distance, _ = expected_range(
        state[..., :2], batch.anchor[:, None].expand(-1, batch.steps, -1, -1)
    )
    return distance, torch.where(batch.asked, batch.distance - distance, math.nan)


def rank_correlation(residuals: list[Tensor], lag: int) -> float:
    """How alike (0 to 0.95) the errors (T, A) of an anchor are `lag` steps apart."""
    residuals = [r for r in residuals if len(r) > lag]
    if not residuals:
        return 0.0
    now = torch.cat([r[:-lag].flatten() for r in residuals])
    then = torch.cat([r[lag:].flatten() for r in residuals])
    both = torch.isfinite(now) & torch.isfinite(then)
    if int(both.sum()) < 10:
        return 0.0
    # Ranks, because a few outliers would decide a plain correlation.
    ranks = [x[both].argsort().argsort().double() for x in (now, then)]
    rank = float(torch.corrcoef(torch.stack(ranks))[0, 1])
    return min(max(2.0 * math.sin(math.pi * rank / 6.0), 0.0), 0.95)


def lasting_sigma(residuals: list[Tensor]) -> float:
    """Sigma m of what an anchor's ranges are off by for longer than a filter averages.

    From residuals (T, R) along a trajectory that was itself inferred from those R anchors, which
    absorbs two of R such errors (the position): what is left shows a share (R - 2) / R of them.
    """
    count = residuals[0].shape[1]
    every = torch.cat([r[torch.isfinite(r)] for r in residuals])
    if count < 3 or every.numel() < 10:
        return 0.0
    # Half the middle 68 %: a few outliers would decide a standard deviation.
    low, high = map(float, torch.quantile(every, torch.tensor([0.16, 0.84]).to(every)))
    share = rank_correlation(residuals, LASTING_STEPS)
    return 0.5 * (high - low) * math.sqrt(share * count / (count - 2))


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
