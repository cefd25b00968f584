# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
# mypy: warn-return-any=False, disallow-subclassing-any=False
"""A scheduler that starts as GDOP and learns in dreams what each anchor's range is worth.

The score of a subset K is -beta log trace (P^-1 + sum_k u_k u_k^T / R_k)^-1, GDOP with a prior;
what is learned is the variance R_k, from the place of the anchor and from what became of its last
ranges. It serves any number of anchors and any budget. In a dream every subset can be tried from
the same state, so the gradient sums over all of them instead of following one draw.

Shape legend: B states, A anchors, K asked, N subsets, F features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn

from locdreamer_ros.zero_shot.hybrid import Belief, Hybrid, squash
from locdreamer_ros.zero_shot.train import STEPS, Walks, begin

FEATURES = 18
SIGMA_M = 0.3
"""What any range is worth before anything is learned."""
FAST, SLOW = 0.5, 0.05
NEVER_S, NEVER_M = 60.0, 30.0
"""An anchor not asked for longer, or for a longer way, is as good as never asked."""
WORST_M = 2.0
"""A lost track is one bad step to the policy."""


@dataclass(frozen=True, eq=False)
class Memory:
    """What became of each anchor's ranges.

    Last residual, fast and slow running means (B, A) m of
    it, age (B, A) s and way (B, A) m walked since it was asked; common, spread (B,) m: slow means
    of all residuals and of how far they lie apart.
    """

    last: Tensor
    fast: Tensor
    slow: Tensor
    age: Tensor
    way: Tensor
    common: Tensor
    spread: Tensor

    @classmethod
    def empty(cls, size: int, anchors: int) -> Memory:
        """Nothing asked yet."""
        nothing = torch.zeros(size, anchors)
        return cls(
            nothing,
            nothing,
            nothing,
            torch.full_like(nothing, NEVER_S),
            torch.full_like(nothing, NEVER_M),
            torch.zeros(size),
            torch.full((size,), 0.1),
        )

    def later(self, dt: Tensor, way: Tensor) -> Memory:
        """After dt (B,) s and way (B,) m."""
        return replace(
            self,
            age=(self.age + dt[:, None]).clamp(max=NEVER_S),
            way=(self.way + way[:, None]).clamp(max=NEVER_M),
        )

    def seen(self, residual: Tensor, asked: Tensor) -> Memory:
        """After residuals (B, A) m of the anchors asked (B, A): range less distance to the fix."""
        fresh = self.age >= NEVER_S
        residual = torch.where(asked, residual, 0.0).clamp(-5.0, 5.0)

        def mean(old: Tensor, weight: float) -> Tensor:
            step = torch.where(fresh, 1.0, weight)
            return torch.where(asked, old + step * (residual - old), old)

        number = asked.sum(dim=1)
        middle = residual.sum(dim=1) / number.clamp(min=1)
        common = self.common + SLOW * (middle - self.common)
        apart = torch.where(asked, (residual - common[:, None]).abs(), 0.0).sum(dim=1)
        spread = self.spread + SLOW * (apart / number.clamp(min=1) - self.spread)
        some = number > 0
        return Memory(
            torch.where(asked, residual, self.last),
            mean(self.fast, FAST),
            mean(self.slow, SLOW),
            torch.where(asked, 0.0, self.age),
            torch.where(asked, 0.0, self.way),
            torch.where(some, common, self.common),
            torch.where(some, spread, self.spread),
        )


def features(
    memory: Memory,
    covariance: Tensor,
    velocity: Tensor,
    distance: Tensor,
    direction: Tensor,
    height: Tensor,
    dt: Tensor,
) -> Tensor:
    """What is known of each anchor (B, A, F) before it is asked: relative geometry only.

    covariance (B, 2, 2) m^2 of the predicted position, velocity (B, 2) m/s, distance (B, A) m and
    direction (B, A, 2) to the tag, height (B, A) m of the anchor above it, dt (B,) s.
    """
    common = memory.common[:, None]
    last, fast, slow = memory.last - common, memory.fast - common, memory.slow - common
    never = memory.age >= NEVER_S
    last, fast, slow = (torch.where(never, 0.0, x) for x in (last, fast, slow))
    near = torch.exp(-memory.way)
    along = ((direction @ covariance) * direction).sum(-1).clamp(min=1e-6)
    trace = covariance.diagonal(dim1=1, dim2=2).sum(-1)
    across = (trace[:, None] - along).clamp(min=1e-6)
    one = torch.ones_like(distance)
    return torch.stack(
        [
            distance / 10.0,
            distance.log() - 1.5,
            height / distance,
            squash(last),
            squash(last.abs()) * near,
            squash(fast),
            squash(fast.abs()),
            squash(slow),
            near,
            0.5 * (memory.age + 0.1).log(),
            0.5 * along.log() + 1.0,
            0.5 * across.log() + 1.0,
            (direction * velocity[:, None]).sum(-1),
            velocity.square().sum(-1).add(1e-4).sqrt()[:, None] * one,
            squash(memory.spread)[:, None] * one,
            squash(memory.common)[:, None] * one,
            0.5 * (dt + 0.05).log()[:, None] * one,
            one * float(np.log(distance.shape[1] / 6.0)),
        ],
        dim=-1,
    )


class Worth(nn.Module):
    """R_k, how much an anchor's range is worth; and how sharply to choose while learning."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.hidden = nn.Linear(FEATURES, width)
        self.again = nn.Linear(width, width)
        self.head = nn.Linear(width, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def variance(self, seen: Tensor) -> Tensor:
        """(B, A) m^2 for features (B, A, F)."""
        token = nn.functional.silu(self.hidden(seen))
        token = nn.functional.silu(self.again(token))
        head = self.head(token)[..., 0]
        return SIGMA_M**2 * torch.exp(3.0 * torch.tanh(head / 3.0))


def cost(variance: Tensor, covariance: Tensor, direction: Tensor, subsets: Tensor) -> Tensor:
    """Log of the expected squared error (B, N) after asking each of subsets (N, K)."""
    outer = direction[..., :, None] * direction[..., None, :] / variance[..., None, None]
    information = torch.linalg.inv(covariance)[:, None] + outer[:, subsets].sum(dim=2)
    a, b, c = information[..., 0, 0], information[..., 0, 1], information[..., 1, 1]
    return ((a + c) / (a * c - b * b)).log()


def subsets_of(anchors: int, budget: int) -> Tensor:
    """All subsets (N, K)."""
    return torch.tensor(list(combinations(range(anchors), budget)), dtype=torch.long)


def mask_of(rows: Tensor, anchors: int) -> Tensor:
    """(B, A) bool of rows (B, K)."""
    return torch.zeros(len(rows), anchors, dtype=torch.bool).scatter_(1, rows, True)


@dataclass(frozen=True, eq=False)
class Tried:
    """States in which every subset was tried, all with the same A and K.

    features (B, A, F), covariance (B, 2, 2), direction
    (B, A, 2), error (B, N) m that each subset led to.
    """

    features: Tensor
    covariance: Tensor
    direction: Tensor
    error: Tensor
    subsets: Tensor


def repeated(belief: Belief, times: int) -> Belief:
    """Each belief `times` times in a row."""
    return replace(
        belief,
        **{f.name: getattr(belief, f.name).repeat_interleave(times, 0) for f in fields(belief)},
    )


@dataclass(eq=False)
class Walker:
    """Tracks a batch of walks with a policy of its own; remembers what a scheduler would."""

    model: Hybrid
    walk: Walks
    belief: Belief
    memory: Memory

    @classmethod
    def start(cls, model: Hybrid, walk: Walks, belief: Belief) -> Walker:
        """Before the first step."""
        return cls(model, walk, belief, Memory.empty(len(walk), walk.anchor.shape[1]))

    def predict(self, t: int) -> tuple[Tensor, Tensor, Tensor]:
        """The prior of step t; features (B, A, F), covariance (B, 2, 2), direction (B, A, 2)."""
        dt = self.walk.dt[:, t]
        before = self.belief.position
        self.belief = self.model.predict(self.belief, dt)
        self.memory = self.memory.later(dt, (self.belief.position - before).norm(dim=-1))
        distance, direction = self.model.geometry(self.belief, self.belief.position)
        covariance = self.model.reported(self.belief)
        seen = features(
            self.memory,
            covariance,
            self.belief.mean[:, 2:4],
            distance,
            direction,
            self.walk.anchor[..., 2],
            dt,
        )
        return seen, covariance, direction

    def update(self, t: int, asked: Tensor) -> None:
        """The posterior of step t."""
        measured = self.walk.distance[:, t]
        asked = asked & ~torch.isnan(measured)
        self.belief = self.model.update(self.belief, measured, asked, self.walk.blocked[:, t])
        distance, _ = self.model.geometry(self.belief, self.belief.position)
        self.memory = self.memory.seen(measured - distance, asked)

    def outcomes(self, t: int, subsets: Tensor) -> Tensor:
        """Errors (B, N) m that asking each subset at step t would lead to, by the dream's truth.

        The error of the step, and half that of the next one with GDOP's choice: biases learned
        and speeds corrected show only later.
        """
        size, count = len(self.walk), self.walk.anchor.shape[1]
        number = len(subsets)
        asked = mask_of(subsets, count).repeat(size, 1)  # (B N, A)
        many = repeated(self.belief, number)

        def each(values: Tensor) -> Tensor:
            return values.repeat_interleave(number, 0)

        def answered(t: int, asked: Tensor, belief: Belief) -> Belief:
            measured = each(self.walk.distance[:, t])
            return self.model.update(
                belief, measured, asked & ~torch.isnan(measured), each(self.walk.blocked[:, t])
            )

        def error(t: int, belief: Belief) -> Tensor:
            off = (belief.position - each(self.walk.truth[:, t])).norm(dim=-1)
            return off.clamp(max=WORST_M)

        many = answered(t, asked, many)
        total = error(t, many)
        many = self.model.predict(many, each(self.walk.dt[:, t + 1]))
        _, direction = self.model.geometry(many, many.position)
        plain = torch.full(direction.shape[:2], SIGMA_M**2)
        best = cost(plain, many.covariance[:, :2, :2], direction, subsets).argmin(dim=1)
        many = answered(t + 1, mask_of(subsets[best], count), many)
        return ((total + 0.5 * error(t + 1, many)) / 1.5).reshape(size, number)


@torch.no_grad()
def gather(
    model: Hybrid,
    worth: Worth,
    walk: Walks,
    budget: int,
    generator: torch.Generator,
    every: int = 3,
) -> Tried:
    """Try every subset at every `every`-th step of walks that half follow GDOP, half the policy."""
    size, count = len(walk), walk.anchor.shape[1]
    subsets = subsets_of(count, budget)
    walker = Walker.start(model, walk, begin(model, walk, generator))
    style = torch.rand(size, generator=generator)
    found = []
    for t in range(STEPS - 1):
        seen, covariance, direction = walker.predict(t)
        variance = worth.variance(seen)
        plain = torch.full_like(variance, SIGMA_M**2)
        price = torch.where(
            (style < 0.5)[:, None],
            cost(plain, covariance, direction, subsets),
            cost(variance, covariance, direction, subsets),
        )
        any_subset = torch.randint(len(subsets), (size,), generator=generator)
        wild = (style < 0.2) | (torch.rand(size, generator=generator) < 0.1)
        choice = torch.where(wild, any_subset, price.argmin(dim=1))
        if t >= 5 and t % every == 0:
            found.append((seen, covariance, direction, walker.outcomes(t, subsets)))
        walker.update(t, mask_of(subsets[choice], count))
    parts = [torch.cat(x) for x in zip(*found, strict=True)]
    return Tried(parts[0], parts[1], parts[2], parts[3], subsets)


def improve(
    worth: Worth,
    data: list[Tried],
    *,
    epochs: int,
    rate: float = 2e-3,
    sharpness: float = 6.0,
    generator: torch.Generator,
    curve: Callable[[int, float, float, float], None] = lambda epoch, policy, gdop, best: None,
) -> None:
    """Descend the expected error of the policy, summed over all subsets of every state tried."""
    optimiser = torch.optim.Adam(worth.parameters(), lr=rate, weight_decay=1e-4)
    for epoch in range(epochs):
        sums = torch.zeros(4)
        order = [
            (tried, rows)
            for tried in data
            for rows in torch.randperm(len(tried.error), generator=generator).split(512)
        ]
        for index in torch.randperm(len(order), generator=generator).tolist():
            tried, rows = order[index]
            error = tried.error[rows]
            variance = worth.variance(tried.features[rows])
            price = cost(variance, tried.covariance[rows], tried.direction[rows], tried.subsets)
            chance = (-sharpness * price).softmax(dim=1)
            loss = (chance * (error - error.mean(dim=1, keepdim=True))).sum(dim=1).mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(worth.parameters(), 1.0)
            optimiser.step()
            with torch.no_grad():
                plain = cost(
                    torch.full_like(variance, SIGMA_M**2),
                    tried.covariance[rows],
                    tried.direction[rows],
                    tried.subsets,
                )
                pick = [price.argmin(1), plain.argmin(1), error.argmin(1)]
                sums[:3] += torch.stack([error.gather(1, p[:, None]).sum() for p in pick])
                sums[3] += len(rows)
        curve(epoch, *(float(x / sums[3]) for x in sums[:3]))
