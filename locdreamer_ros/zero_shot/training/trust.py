# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The end of a training: how large an error the model says it has, fitted to its own in dreams.

While it learns to track, Student's t scores the covariance, so that an error far out does not
decide how large it is. Read as a Gaussian's, its ellipse is too small where errors have tails, just
where it matters. So the scale alone is fitted again: to the share of errors in the ellipse.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import count, islice

import torch
from torch import Tensor

from locdreamer_ros.geometry import CHI2_95_2DOF
from locdreamer_ros.zero_shot.training.belief import Belief
from locdreamer_ros.zero_shot.training.chunk import begun, counts, score, stepped
from locdreamer_ros.zero_shot.training.dreams import HELD_OUT, without
from locdreamer_ros.zero_shot.training.hybrid import Hybrid
from locdreamer_ros.zero_shot.training.pools import POOL, drawn, dreams_of
from locdreamer_ros.zero_shot.training.train import followed, pool_generator
from locdreamer_ros.zero_shot.training.walks import PRECISION, Fixes, Walks, walks

ELLIPSE, HELD = CHI2_95_2DOF, 0.9
"""Squared Mahalanobis length at the edge of the 95 % ellipse, and the share of dreamt errors that
it shall hold: dreams are worse than most rooms (docs/notebook.md)."""
DREAMS = 4608
FIRST_POOL = 1_000_000
"""Nothing before was learned in these dreams."""
UPDATES, BATCH, RATE = 1200, 4096, 3e-3


def with_fitted_covariance(
    model: Hybrid,
    *,
    seed: int = 0,
    pool: int = POOL,
    held_out: str = HELD_OUT,
    dreams: int = DREAMS,
    curve: Callable[[int], object] = lambda size: None,
    workers: int = 0,
    device: torch.device | str = "cpu",
) -> Hybrid:
    """The model, its ellipse in the right size; it tracks as before.

    curve(size) after each pool of so many dreams. See `train` for the others.
    """
    model = model.to(device, PRECISION)
    features, squares = [], []
    imagine = partial(dreams_of, seed=seed, size=pool, families=without(held_out))
    with closing(drawn(imagine, count(FIRST_POOL), workers=workers)) as found:
        for number, dreamt in islice(found, -(-dreams // pool)):
            generator = pool_generator(seed, number)
            seen, square = errors(model, walks(dreamt, generator).to(device), generator)
            features.append(seen)
            squares.append(square)
            curve(pool)
    fit(model, torch.cat(features), torch.cat(squares), seed)
    return model.to("cpu", torch.float32)


def errors(model: Hybrid, walk: Walks, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What the scale is read off, (N, CONTEXT + 1); squared Mahalanobis lengths (N,) without it."""
    features, squares = [], []

    @torch.no_grad()
    def watched(
        part: Walks, belief: Belief, fixes: Fixes, order: Tensor
    ) -> tuple[Tensor, Tensor, Belief]:
        belief = begun(model, belief, fixes)
        for t in range(part.dt.shape[1]):
            belief = stepped(model, part, belief, order[:, t], t)
            seen, some = model.scale_features(belief), counts(part, belief, fixes, t)
            square = score(model, belief, part.truth[:, t]).square * model.scale(seen)
            features.append(seen[some])
            squares.append(square[some])
        nothing = torch.zeros(len(part))
        return nothing.sum(), nothing, belief

    for _ in followed(watched, model, walk, generator):
        pass
    return torch.cat(features), torch.cat(squares)


def fit(model: Hybrid, features: Tensor, square: Tensor, seed: int) -> None:
    """Fit the scale so that the ellipse holds `HELD` of errors like each: a quantile, by Adam."""
    parameters = [*model.trust.parameters(), *model.trust_head.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, UPDATES)
    needed = torch.log(square / ELLIPSE + 1e-6)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(UPDATES):
        some = torch.randint(len(features), (BATCH,), generator=generator).to(features.device)
        short = needed[some] - model.scale(features[some]).log()
        loss = torch.maximum(HELD * short, (HELD - 1.0) * short).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
