# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training the zero-shot model: track in dreams, learn from the dream's own truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from locdreamer_ros.zero_shot.layout import VERTICAL_SPEED
from locdreamer_ros.zero_shot.training.checkpoint import Learning, load, save
from locdreamer_ros.zero_shot.training.dreams import Dreams
from locdreamer_ros.zero_shot.training.hybrid import Belief, Hybrid
from locdreamer_ros.zero_shot.training.pools import POOL, STEPS, drawn, dreams_of

CHUNK = 32
"""Steps that gradients go through; the belief lives through all `STEPS` of a dream."""
BATCH = 96
GDOP_SIGMA_M = 0.3
FRESH_M = 0.1
"""Fresh noise of the ranges that foresight chooses among."""
CHOICES = ("random", "gdop", "foresight")
"""How a dream's anchors are asked: a third of the dreams each."""
FREEDOM = 5.0
"""Of Student's t that scores the covariance: its 95 % ellipse is found on held-out dreams."""
FARTHEST_M = 4.0
"""A track lost farther than this is not worse than lost."""
HEIGHT_SHARE = 0.2
"""What the height counts beside the place in the plane, where it is a state."""
KIDNAPPED, KIDNAP_SIGMA_M = 0.04, 1.5
"""Share of beliefs displaced between chunks, so that a lost track learns to find back; how far."""
AVERAGE = 0.99
"""Weight of the past in the running mean of the parameters, which is the model that is kept."""
LARGEST_GRADIENT = 2.0
WARM_UP = 20
"""Updates until the learning rate is at its highest."""


@dataclass(frozen=True, eq=False)
class Walks:
    """`Dreams` as tensors, with how each asks: budget (B,) anchors, choice (B,) of `CHOICES`."""

    anchor: Tensor
    truth: Tensor
    dt: Tensor
    distance: Tensor
    blocked: Tensor
    height: Tensor
    known: Tensor
    budget: Tensor
    choice: Tensor

    def __len__(self) -> int:
        return self.anchor.shape[0]

    def rows(self, which: Tensor | slice) -> Walks:
        """Only these walks."""
        return replace(self, **{f.name: getattr(self, f.name)[which] for f in fields(self)})


@dataclass(frozen=True, eq=False)
class Score:
    """How far beliefs are off, all (B,).

    error m in the plane, its squared Mahalanobis length, the logarithm of the covariance's
    determinant; error m and variance m^2 of the height; climbs 1 where that is a state.
    """

    error: Tensor
    square: Tensor
    log_determinant: Tensor
    height_error: Tensor
    height_variance: Tensor
    climbs: Tensor


def walks(dreams: Dreams, generator: torch.Generator) -> Walks:
    """Dreams with budgets, three most often, all now and then; and with choices."""
    size, count = dreams.anchor.shape[:2]
    anything = torch.randint(1, count + 1, (size,), generator=generator)
    kind = torch.rand(size, generator=generator)
    budget = torch.where(kind < 0.5, min(3, count), torch.where(kind < 0.75, anything, count))
    return Walks(
        torch.from_numpy(dreams.anchor),
        torch.from_numpy(dreams.truth),
        torch.from_numpy(dreams.dt),
        torch.from_numpy(dreams.distance),
        torch.from_numpy(dreams.blocked),
        torch.from_numpy(dreams.height),
        torch.from_numpy(dreams.known),
        budget,
        torch.randint(len(CHOICES), (size,), generator=generator),
    )


def greedy_gdop(model: Hybrid, belief: Belief, most: int) -> Tensor:
    """Rank (B, A) of each anchor when the one that helps most is added again and again."""
    _, direction = model.geometry(belief, belief.position)
    direction = direction[..., :2]
    outer = direction[..., :, None] * direction[..., None, :] / GDOP_SIGMA_M**2  # (B, A, 2, 2)
    information = torch.linalg.inv(belief.covariance[:, :2, :2])
    size, count = direction.shape[:2]
    rank = torch.full((size, count), count, dtype=torch.long)
    rows = torch.arange(size)
    for turn in range(most):
        total = information[:, None] + outer
        determinant = total[..., 0, 0] * total[..., 1, 1] - total[..., 0, 1] ** 2
        trace = (total[..., 0, 0] + total[..., 1, 1]) / determinant
        best = torch.where(rank < count, torch.inf, trace).argmin(dim=1)
        rank[rows, best] = turn
        information = information + outer[rows, best]
    return rank


def greedy_foresight(model: Hybrid, belief: Belief, most: int) -> Tensor:
    """Rank (B, A) by what each leaves of the position's variance under the whole covariance."""
    _, direction = model.geometry(belief, belief.position)
    spread, inner = model.project(belief.covariance, direction)
    cross = spread[..., :2]  # (B, A, 2)
    size, count = direction.shape[:2]
    rank = torch.full((size, count), count, dtype=torch.long)
    rows = torch.arange(size)
    for turn in range(most):
        variance = inner.diagonal(dim1=1, dim2=2) + FRESH_M**2
        gained = cross.square().sum(-1) / variance
        best = torch.where(rank < count, -torch.inf, gained).argmax(dim=1)
        rank[rows, best] = turn
        gain = inner[rows, :, best] / variance[rows, best, None]  # (B, A)
        cross = cross - gain[..., None] * cross[rows, best][:, None]
        inner = inner - gain[..., None] * inner[rows, best][:, None]
    return rank


def choose(model: Hybrid, belief: Belief, walk: Walks, generator: torch.Generator) -> Tensor:
    """Who is asked, (B, A) bool."""
    size, count = walk.anchor.shape[:2]
    order = torch.rand(size, count, generator=generator).argsort(dim=1).argsort(dim=1)
    for choice, ranked in ((1, greedy_gdop), (2, greedy_foresight)):
        chosen = (walk.choice == choice) & (walk.budget < count)
        if bool(chosen.any()):
            rank = ranked(model, belief, int(walk.budget[chosen].max()))
            order = torch.where(chosen[:, None], rank, order)
    return order < walk.budget[:, None]


def begin(model: Hybrid, walk: Walks, generator: torch.Generator) -> Belief:
    """A first fix some decimetres off, at rest; of the height more, or only what is believed."""
    size = len(walk)

    def sigmas(low: float, high: float) -> Tensor:
        drawn = torch.empty(size, 1).uniform_(math.log(low), math.log(high), generator=generator)
        return torch.exp(drawn)

    level, tall = sigmas(0.1, 0.6), sigmas(0.2, 2.0)
    off = torch.cat([level.expand(-1, 2), tall], dim=-1) * torch.randn(size, 3, generator=generator)
    place = walk.truth[:, 0] + off
    place[:, 2] = torch.where(walk.known, walk.height, place[:, 2])
    climbs = (~walk.known).to(place.dtype)[:, None]
    variance = torch.cat(
        [
            (level.square() + 0.04).expand(-1, 2),
            climbs * (tall.square() + 0.04),
            torch.ones(size, 2),
            climbs * VERTICAL_SPEED**2,
        ],
        dim=-1,
    )
    mean = torch.cat([place, torch.zeros(size, 3)], dim=-1)
    return model.start(walk.anchor, mean, torch.diag_embed(variance))


def follow(
    model: Hybrid,
    walk: Walks,
    belief: Belief,
    steps: range,
    generator: torch.Generator,
) -> Iterator[tuple[int, Belief]]:
    """Track through `steps`, one posterior after the other."""
    for t in steps:
        belief = model.predict(belief, walk.dt[:, t])
        with torch.no_grad():
            asked = choose(model, belief, walk, generator)
        measured = walk.distance[:, t]
        asked = asked & ~torch.isnan(measured)
        belief = model.update(belief, measured, asked, walk.blocked[:, t])
        yield t, belief


def score(model: Hybrid, belief: Belief, truth: Tensor) -> Score:
    """How far a belief is from the truth (B, 3)."""
    off = belief.position - truth
    covariance = model.reported(belief)
    a, b, c = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    determinant = (a * c - b * b).clamp(min=1e-10)
    square = (c * off[:, 0] ** 2 - 2 * b * off[:, 0] * off[:, 1] + a * off[:, 1] ** 2) / determinant
    return Score(
        (off[:, :2].square().sum(-1) + 1e-8).sqrt(),
        square,
        determinant.log(),
        off[:, 2].abs(),
        torch.where(belief.climbs > 0.0, covariance[:, 2, 2], 1.0).clamp(min=1e-6),
        belief.climbs,
    )


def loss_of(found: Score) -> Tensor:
    """Mean of the error and its logarithm (small errors count, too), and of Student's t."""
    tail = 0.5 * (FREEDOM + 2) * torch.log1p(found.square / FREEDOM)
    likelihood = 0.5 * found.log_determinant + tail
    far = found.error.clamp(max=FARTHEST_M)
    level = 1.5 * torch.log(0.05 + found.error) + far + 0.3 * likelihood
    ratio = found.height_error.square() / found.height_variance
    tail = 0.5 * (FREEDOM + 1) * torch.log1p(ratio / FREEDOM)
    tall = torch.log(0.2 + found.height_error)
    tall = tall + 0.3 * (0.5 * found.height_variance.log() + tail)
    return (level + HEIGHT_SHARE * found.climbs * tall).mean()


def detached(belief: Belief) -> Belief:
    """The belief without its history."""
    return replace(belief, **{f.name: getattr(belief, f.name).detach() for f in fields(belief)})


def kidnapped(belief: Belief, generator: torch.Generator) -> Belief:
    """Some beliefs are somewhere else and do not know it."""
    size = len(belief.mean)
    taken = torch.rand(size, 1, generator=generator) < KIDNAPPED
    off = KIDNAP_SIGMA_M * torch.randn(size, 2, generator=generator)
    mean = belief.mean.clone()
    mean[:, :2] += torch.where(taken, off, 0.0)
    return replace(belief, mean=mean)


def train(
    updates: int,
    *,
    seed: int = 0,
    rate: float = 3e-3,
    curve: Callable[[int, float, float], None] = lambda update, loss, error: None,
    model: Hybrid | None = None,
    pool: int = POOL,
    batch: int = BATCH,
    checkpoint: Path | None = None,
    ahead: bool = False,
) -> Hybrid:
    """The running mean of a model over at least `updates` steps of Adam in dreams.

    curve(update, loss, error m) after each. All randomness of a pool of dreams comes from seed and
    the pool's number, and a checkpoint is written after each: where there is one, training goes on
    from it exactly as if it had never stopped. ahead: draw the next dreams in another process.
    model: where to begin.
    """
    torch.manual_seed(seed)
    model = Hybrid() if model is None else model
    kept = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE)
    )
    learning = Learning(model, kept, torch.optim.Adam(model.parameters(), lr=rate))
    run: dict[str, object] = {
        "seed": seed,
        "updates": updates,
        "rate": rate,
        "pool": pool,
        "batch": batch,
    }
    done = 0
    if checkpoint is not None and checkpoint.is_file():
        done = load(checkpoint, learning, run)
    each = len(range(0, pool, batch)) * len(range(0, STEPS, CHUNK))
    numbers = range(done, -(-updates // each))
    imagine = partial(dreams_of, seed=seed, size=pool, steps=STEPS)
    for number, dreams in drawn(imagine, numbers, ahead=ahead):
        generator = torch.Generator().manual_seed(1_000_003 * seed + number)
        walk = walks(dreams, generator)
        steps = _learn_pool(learning, walk, batch, generator)
        for update, (loss, error) in enumerate(
            _scheduled(learning.optimiser, steps, rate, number * each, updates), number * each
        ):
            curve(update, loss, error)
        if checkpoint is not None:
            save(checkpoint, learning, number + 1, run)
    kept_model: Hybrid = kept.module
    return kept_model


def _scheduled(
    optimiser: torch.optim.Optimizer,
    steps: Iterator[tuple[float, float]],
    rate: float,
    first: int,
    updates: int,
) -> Iterator[tuple[float, float]]:
    """The steps, each with its rate: a short warm-up, then half a cosine."""
    update = first
    while True:
        warm = min(1.0, (update + 1) / WARM_UP)
        fall = 0.5 * (1.0 + math.cos(math.pi * min(1.0, update / updates)))
        for group in optimiser.param_groups:
            group["lr"] = rate * warm * fall
        found = next(steps, None)
        if found is None:
            return
        yield found
        update += 1


def _learn_pool(
    learning: Learning, pool: Walks, batch: int, generator: torch.Generator
) -> Iterator[tuple[float, float]]:
    """Learn from each chunk of each batch; yields its loss and error m."""
    model = learning.model
    assert isinstance(model, Hybrid)
    for start in range(0, len(pool), batch):
        walk = pool.rows(slice(start, start + batch))
        belief = begin(model, walk, generator)
        for chunk in range(0, STEPS, CHUNK):
            total, errors = torch.zeros(()), []
            taken = kidnapped(detached(belief), generator)
            for t, belief in follow(model, walk, taken, range(chunk, chunk + CHUNK), generator):
                found = score(model, belief, walk.truth[:, t])
                if t >= 3:
                    total = total + loss_of(found) / CHUNK
                    errors.append(found.error.detach().mean())
            learning.optimiser.zero_grad(set_to_none=True)
            total.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
            if bool(torch.isfinite(norm)):
                learning.optimiser.step()
                learning.kept.update_parameters(model)
            yield float(total.detach()), float(torch.stack(errors).mean())
