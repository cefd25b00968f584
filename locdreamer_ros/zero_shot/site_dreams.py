# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dreams of one site: LocDreamer's grounded imagination for the zero-shot model.

The tag goes where real ranges say that it went. Anchors that were heard say what they said there;
ranges of those known only by their place are imagined, with the errors read off the real ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from locdreamer_ros.types import Anchors
from locdreamer_ros.zero_shot.dreams import Dreams, log_uniform, waves
from locdreamer_ros.zero_shot.pools import POOL, STEPS, dreams_of
from locdreamer_ros.zero_shot.reading import LEVELS, Reading

SCALE = (0.85, 1.2)
"""Errors are this much larger or smaller than read, so that training does not cling to them."""


def dream_site(
    reading: Reading,
    anchors: Anchors,
    tag_height: float,
    size: int,
    steps: int,
    rng: np.random.Generator,
) -> Dreams:
    """`size` dreams of `steps` steps along the walks read, with ranges of `anchors`."""
    picked = rng.integers(len(reading.walks), size=size)
    truth, dt = np.empty((size, steps, 2)), np.empty((size, steps))
    before = np.empty((size, 1, 2))
    real = np.empty((size, steps, len(reading.ids)))
    for row, number in enumerate(picked):
        walk = reading.walks[number]
        last = len(walk.position) - 1
        # A walk that is too short turns round at its ends; half of them are walked backwards.
        index = rng.integers(2 * last) + rng.choice([-1, 1]) * np.arange(steps + 1)
        index = last - np.abs(index % (2 * last) - last)
        before[row], truth[row] = walk.position[index[:1]], walk.position[index[1:]]
        real[row] = walk.ranges[index[1:]]
        dt[row] = walk.dt[np.maximum(index[1:], index[:-1])]
    velocity = np.diff(np.concatenate([before, truth], axis=1), axis=1) / dt[..., None]
    relative = anchors.positions - [0.0, 0.0, tag_height]
    delta = truth[:, :, None] - relative[:, :2]
    distance = np.sqrt((delta**2).sum(-1) + relative[:, 2] ** 2)
    length = reading.length * log_uniform(rng, 0.7, 1.4, (size,))
    score = np.sqrt(reading.share) * waves(truth, len(anchors), length, rng)
    score += np.sqrt(1.0 - reading.share) * rng.standard_normal(score.shape)
    error = np.interp(ndtr(score), LEVELS, reading.quantiles)
    error *= rng.uniform(*SCALE, (size, 1, 1))
    own = reading.common + reading.spread * rng.standard_normal((size, 1, len(anchors)))
    measured = distance + own + error
    measured[(rng.random(measured.shape) < reading.lost) | (measured < 0.05)] = np.nan
    for column, anchor in enumerate(anchors.ids):
        if anchor in reading.ids:
            measured[..., column] = real[..., reading.ids.index(anchor)]
    place = np.broadcast_to(relative, (size, *relative.shape))
    nothing = np.full(measured.shape, np.nan)
    return Dreams(*(x.astype(np.float32) for x in (place, truth, velocity, dt, measured, nothing)))


@dataclass(frozen=True, eq=False)
class SiteDreams:
    """The dreams of a training at a site: pool n is of the site where n is even, of any if odd.

    The latter keep what the model knows of places where errors are larger than they were read.
    """

    reading: Reading
    anchors: Anchors
    tag_height: float
    seed: int
    size: int = POOL
    steps: int = STEPS

    def __call__(self, number: int) -> Dreams:
        """The dreams of pool `number`: they depend on nothing else."""
        if number % 2:
            return dreams_of(number, seed=self.seed, size=self.size, steps=self.steps)
        rng = np.random.default_rng([self.seed, number, 2])
        return dream_site(self.reading, self.anchors, self.tag_height, self.size, self.steps, rng)

    @property
    def about(self) -> dict[str, object]:
        """What a model file says of the site."""
        reading = self.reading
        return {
            "heard": list(reading.ids),
            "anchors": list(self.anchors.ids),
            "offsets_m": [round(float(x), 3) for x in reading.own],
            "place_bound": reading.share,
            "length_m": round(reading.length, 2),
            "lost": round(reading.lost, 4),
        }
