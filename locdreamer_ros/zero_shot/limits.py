# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What dreams of the family held out of training say of a trained model: its trust, its limits.

They stand for rooms nobody has seen. There the reported 95 % ellipse is made to hold 95 % of the
errors. And the running means that the model keeps of its innovations and residuals reach as far
as they may in a new room: beyond, `trackers/guard.py` does not trust it. The limits go into the
header of the model file.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from locdreamer_ros.types import FloatArray
from locdreamer_ros.zero_shot.dreams import HELD_OUT, dream
from locdreamer_ros.zero_shot.hybrid import CONTEXT, Belief, Hybrid
from locdreamer_ros.zero_shot.train import STEPS, begin, follow, score, walks

SHARE = 99.9
"""Percentage of the steps of held-out dreams that lie below a limit."""
CHI2_95_2DOF = 5.991
ANCHORS = (3, 4, 5, 6, 8, 12)
SETTLED = 10
"""Updates that are not looked at: the running means are still of a few ranges."""


@torch.no_grad()
def _held_out(model: Hybrid, seed: int, size: int) -> Iterator[tuple[Belief, Tensor]]:
    """Belief and true positions (B, 2) at each step of held-out dreams, once settled."""
    rng = np.random.default_rng([seed, 1])
    generator = torch.Generator().manual_seed(seed)
    for anchors in ANCHORS:
        walk = walks(dream(size, STEPS, anchors, rng, families=(HELD_OUT,)), generator)
        belief = begin(model, walk, generator)
        for t, now in follow(model, walk, belief, range(STEPS), generator):
            if t >= SETTLED:
                yield now, walk.truth[:, t]


def limits(model: Hybrid, *, seed: int = 0, size: int = 64) -> FloatArray:
    """The 99.9 % point of the magnitude of each running mean (8,), in held-out dreams."""
    found = [belief.context.abs().numpy() for belief, _ in _held_out(model, seed, size)]
    values = np.concatenate(found).reshape(-1, CONTEXT)
    return np.asarray(np.percentile(values, SHARE, axis=0), dtype=np.float64)


@torch.no_grad()
def calibrate(model: Hybrid, *, seed: int = 0, size: int = 64) -> float:
    """Scale the reported covariance, so that 95 % ellipses hold 95 % there; returns the factor.

    Student's t, which the training scores, leaves the ellipse of its scale matrix too small.
    """
    squares = [score(model, belief, truth)[1] for belief, truth in _held_out(model, seed, size)]
    factor = float(torch.cat(squares).quantile(0.95)) / CHI2_95_2DOF
    model.trust_head.bias += float(np.log(factor))
    return factor
