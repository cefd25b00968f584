# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pools of dreams by seed and number, drawn ahead in a process that never needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from locdreamer_ros.zero_shot.training.dreams import Dreams, dream

STEPS = 256
"""Of a dream; the belief lives through all of it."""
POOL = 384
"""Dreams drawn at once."""


def anchors_for(rng: np.random.Generator) -> int:
    """How many anchors the next dreams have: 3 to 20, five to eight most often."""
    return int(
        rng.choice(
            [3, 4, 5, 6, 7, 8, 10, 12, 16, 20],
            p=[0.05, 0.12, 0.2, 0.15, 0.12, 0.16, 0.08, 0.06, 0.04, 0.02],
        )
    )


def dreams_of(number: int, *, seed: int, size: int, steps: int) -> Dreams:
    """The dreams of one pool: they depend on nothing else."""
    rng = np.random.default_rng([seed, number])
    return dream(size, steps, anchors_for(rng), rng)


def drawn(
    imagine: Callable[[int], Dreams], numbers: Sequence[int], *, ahead: bool
) -> Iterator[tuple[int, Dreams]]:
    """The pools `numbers`, the next ones drawn `ahead` in a process of their own."""
    if not ahead:
        yield from ((number, imagine(number)) for number in numbers)
        return
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        waiting = [other.submit(imagine, number) for number in numbers[:2]]
        for number in numbers:
            if number + 2 <= numbers[-1]:
                waiting.append(other.submit(imagine, number + 2))
            yield number, waiting.pop(0).result()
