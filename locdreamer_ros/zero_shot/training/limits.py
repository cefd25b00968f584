# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far off ranges may be before the model has seen nothing like it.

The model keeps running means of its innovations and residuals. What they reach in dreams of the
family that it was not trained on is what rooms nobody has seen may reach; beyond it,
`trackers/guard.py` does not trust the model. The limits go into the header of the model file.
"""

from __future__ import annotations

import numpy as np
import torch

from locdreamer_ros.types import FloatArray
from locdreamer_ros.zero_shot.training.dreams import HELD_OUT, dream
from locdreamer_ros.zero_shot.training.hybrid import CONTEXT, Hybrid
from locdreamer_ros.zero_shot.training.pools import STEPS
from locdreamer_ros.zero_shot.training.train import begin, follow, walks

SHARE = 99.9
"""Percentage of the steps of held-out dreams that lie below a limit."""
ANCHORS = (3, 4, 5, 6, 8, 12)
SETTLED = 10
"""Updates that are not looked at: the running means are still of a few ranges."""


@torch.no_grad()
def limits(model: Hybrid, *, seed: int = 0, size: int = 64) -> FloatArray:
    """The 99.9 % point of the magnitude of each running mean (8,), in held-out dreams."""
    rng = np.random.default_rng([seed, 1])
    generator = torch.Generator().manual_seed(seed)
    found = []
    for anchors in ANCHORS:
        walk = walks(dream(size, STEPS, anchors, rng, families=(HELD_OUT,)), generator)
        belief = begin(model, walk, generator)
        for t, now in follow(model, walk, belief, range(STEPS), generator):
            if t >= SETTLED:
                found.append(now.context.abs().numpy())
    values = np.concatenate(found).reshape(-1, CONTEXT)
    return np.asarray(np.percentile(values, SHARE, axis=0), dtype=np.float64)
