# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A chunk of a dream: track through it, score, and the gradient of that; on a GPU in one launch.

Shape legend: B dreams, T steps, A anchors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from torch import Tensor

from locdreamer_ros.captured import Captured
from locdreamer_ros.zero_shot.layout import COMMON, FIRST_BIAS, FREE_M
from locdreamer_ros.zero_shot.training.asking import choose
from locdreamer_ros.zero_shot.training.belief import Belief, geometry, only
from locdreamer_ros.zero_shot.training.hybrid import Hybrid
from locdreamer_ros.zero_shot.training.walks import Fixes, Walks, lost

FREEDOM = 5.0
"""Of Student's t that scores the covariance; `training/trust.py` finds its 95 % ellipse."""
FARTHEST_M = 4.0
"""A track lost farther than this is not worse than lost."""
HEIGHT_SHARE = 0.2
"""What the height counts beside the place in the plane, where it is a state."""
SETTLE = 3
"""Steps after a first fix that do not count."""
TAME_GRADIENT = 2.0
"""Of a track's gradient, for a change of one sigma of what the filter thinks."""


Part = TypeVar("Part", Walks, Belief, Fixes)
Learn = Callable[[Walks, Belief, Fixes, Tensor], tuple[Tensor, Tensor, Belief]]
"""Loss, errors (B,) m and last belief of a chunk; gradients are set."""


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
        only(belief.climbs > 0.0, covariance[:, 2, 2], 1.0).clamp(min=1e-6),
        belief.climbs,
    )


def loss_of(found: Score) -> Tensor:
    """(B,): the error and its logarithm (small errors count, too), and Student's t."""
    tail = 0.5 * (FREEDOM + 2) * torch.log1p(found.square / FREEDOM)
    likelihood = 0.5 * found.log_determinant + tail
    far = found.error.clamp(max=FARTHEST_M)
    level = 1.5 * torch.log(0.03 + found.error) + far + 0.3 * likelihood
    ratio = found.height_error.square() / found.height_variance
    tail = 0.5 * (FREEDOM + 1) * torch.log1p(ratio / FREEDOM)
    tall = torch.log(0.2 + found.height_error)
    tall = tall + 0.3 * (0.5 * found.height_variance.log() + tail)
    return level + HEIGHT_SHARE * found.climbs * tall


def begun(model: Hybrid, belief: Belief, fixes: Fixes) -> Belief:
    """The belief, begun anew from a first fix where there is one."""
    fresh = model.start(belief.anchor, fixes.mean, fixes.covariance)

    def merged(name: str) -> Tensor:
        new, old = getattr(fresh, name), getattr(belief, name)
        return torch.where(fixes.new.view(-1, *(1,) * (new.dim() - 1)), new, old)

    return Belief(**{f.name: merged(f.name) for f in fields(belief)})


def freed(
    model: Hybrid,
    belief: Belief,
    measured: Tensor,
    ahead: Tensor,
    asked: Tensor,
    free: Tensor,
) -> tuple[Belief, Tensor, Tensor]:
    """Where `free` (B,) nothing is known of the bias that the ranges of a fix share.

    Returns a belief without it, the ranges (B, A) m moved to where most are as expected, and who
    is asked (B, A): one range alone would say nothing. `zero_shot/tracker.py` does the same.
    """
    asked = asked & ~(free & (asked.sum(dim=1) < 2))[:, None]
    with torch.no_grad():
        count = asked.shape[1]
        distance, _ = geometry(belief, belief.mean, ahead)
        own, local = (
            belief.mean[:, FIRST_BIAS : FIRST_BIAS + count],
            belief.mean[:, FIRST_BIAS + count :],
        )
        off = only(asked, measured - distance - own - local, torch.nan)
        measured = measured - only(free, off.nanquantile(0.5, dim=1))[:, None]
    shared = torch.zeros_like(belief.mean)
    shared[:, COMMON] = free.to(shared.dtype)
    kept = 1.0 - shared
    covariance = belief.covariance * kept[:, :, None] * kept[:, None, :]
    covariance = covariance + torch.diag_embed(FREE_M**2 * shared)
    return replace(belief, mean=belief.mean * kept, covariance=covariance), measured, asked


def detached(belief: Belief) -> Belief:
    """The belief without its history."""
    return replace(belief, **{f.name: getattr(belief, f.name).detach() for f in fields(belief)})


def tamed(belief: Belief) -> Belief:
    """The belief; on the way back no track's gradient grows beyond `TAME_GRADIENT`.

    Through 32 steps a track that nearly gets lost has a gradient a thousand times that of all
    others. A gradient is measured by what it says of a change of one sigma, so that all states, and
    rooms of any size, are alike.
    """
    covariance = belief.covariance.detach()
    most = TAME_GRADIENT / len(covariance)

    def shortened(gradient: Tensor, square: Tensor) -> Tensor:
        scale = (most / (square.clamp(min=0.0) + 1e-30).sqrt()).clamp(max=1.0)
        gradient = gradient * scale.view(-1, *(1,) * (gradient.dim() - 1))
        return gradient.nan_to_num(0.0, 0.0, 0.0)

    def of_mean(gradient: Tensor) -> Tensor:
        return shortened(gradient, (gradient * (covariance @ gradient[..., None])[..., 0]).sum(-1))

    def of_covariance(gradient: Tensor) -> Tensor:
        change = covariance @ (0.5 * (gradient + gradient.transpose(1, 2)))
        return shortened(gradient, (change * change.transpose(1, 2)).sum(dim=(1, 2)))

    def of_others(gradient: Tensor) -> Tensor:
        return shortened(gradient, gradient.square().sum(-1))

    hooks = {"mean": of_mean, "covariance": of_covariance}
    for name in ("mean", "covariance", "context", "surprise"):
        tensor = getattr(belief, name)
        if tensor.requires_grad:
            tensor.register_hook(hooks.get(name, of_others))
    return belief


def stepped(model: Hybrid, walk: Walks, belief: Belief, order: Tensor, t: int) -> Belief:
    """The belief after step t of a walk; order (B, A): of this step."""
    belief = model.predict(belief, walk.dt[:, t])
    with torch.no_grad():
        asked = choose(belief, walk, order)
    measured, ahead = walk.distance[:, t], walk.ahead[:, t]
    asked = asked & ~torch.isnan(measured)
    belief, measured, asked = freed(model, belief, measured, ahead, asked, walk.free)
    return model.update(belief, measured, ahead, asked, walk.blocked[:, t])


def counts(walk: Walks, belief: Belief, fixes: Fixes, t: int) -> Tensor:
    """(B,) bool: whose error after step t counts."""
    known = ~lost(walk, belief, t)
    return known & ~fixes.new if t < SETTLE else known


def chunk(
    model: Hybrid, walk: Walks, belief: Belief, fixes: Fixes, order: Tensor
) -> tuple[Tensor, Tensor, Belief]:
    """Track through all steps of a walk; its loss, the error m of each (B,), and the last belief.

    order (B, T, A): `orders`.
    """
    belief = begun(model, belief, fixes)
    steps = walk.dt.shape[1]
    total, errors = torch.zeros_like(walk.dt[:, 0]), torch.zeros_like(walk.dt[:, 0])
    for t in range(steps):
        belief = tamed(stepped(model, walk, belief, order[:, t], t))
        found = score(model, belief, walk.truth[:, t])
        total = total + only(counts(walk, belief, fixes, t), loss_of(found))
        errors = errors + found.error.detach()
    return total.mean() / steps, errors / steps, detached(belief)


def learner(model: Hybrid, device: torch.device | str) -> Learn:
    """Forward and backward of chunks; on CUDA from a graph for each number of anchors."""
    parameters = list(model.parameters())

    def step(*given: Tensor) -> list[Tensor]:
        values = iter(given)
        parts = (_taken(Walks, values), _taken(Belief, values), _taken(Fixes, values))
        loss, errors, last = chunk(model, *parts, next(values))
        gradients = torch.autograd.grad(loss, parameters)
        return [loss.detach(), errors, *_tensors(last), *gradients]

    # All graphs in one memory: one plays at a time, and copies of its answer are given out.
    on_cuda = torch.device(device).type == "cuda"
    play = Captured(step, pool=torch.cuda.graph_pool_handle()) if on_cuda else step

    def learn(
        walk: Walks, belief: Belief, fixes: Fixes, order: Tensor
    ) -> tuple[Tensor, Tensor, Belief]:
        found = iter(play(*_tensors(walk), *_tensors(belief), *_tensors(fixes), order))
        loss, errors, last = next(found), next(found), _taken(Belief, found)
        for parameter, gradient in zip(parameters, found, strict=True):
            parameter.grad = gradient
        return loss, errors, last

    return learn


def _tensors(part: Walks | Belief | Fixes) -> list[Tensor]:
    return [getattr(part, f.name) for f in fields(part)]


def _taken(kind: type[Part], values: Iterator[Tensor]) -> Part:
    """One of a kind, of the next values: the other way round."""
    return kind(**{f.name: next(values) for f in fields(kind)})
