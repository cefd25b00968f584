# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pools of dreams by seed and number, drawn ahead in a process that never needs torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np

from locdreamer_ros.zero_shot.training.dreams import TRAINED, Dreams, dream

STEPS = (256, 512, 1024)
"""Of a dream, all of one pool alike: the belief lives through all of it."""
EARLY_POOLS = 32
"""The first pools are short: there is much to learn at once, and nobody waits for them."""
POOL = 512
"""Dreams drawn at once."""


def anchors_for(rng: np.random.Generator) -> int:
    """How many anchors the next dreams have: 3 to 20, five to eight most often."""
    return int(
        rng.choice(
            [3, 4, 5, 6, 7, 8, 10, 12, 16, 20],
            p=[0.05, 0.15, 0.15, 0.15, 0.1, 0.2, 0.08, 0.06, 0.04, 0.02],
        )
    )


@dataclass(frozen=True)
class Lesson:
    """A part of a training: at least `updates` of Adam at a learning rate.

    plain: in plain rooms, whose errors are all of the first family trained on.
    """

    updates: int
    rate: float
    plain: bool = False


LESSONS = (Lesson(1400, 3e-3, plain=True), Lesson(480, 1e-3))
"""The order matters, not the number: docs/notebook.md."""


def shortened(updates: int | None) -> tuple[Lesson, ...]:
    """`LESSONS` in so many updates, the last lesson at least one of them; None: as they are."""
    if updates is None:
        return LESSONS
    *first, last = LESSONS
    share = updates / sum(lesson.updates for lesson in LESSONS)
    some = [replace(lesson, updates=int(share * lesson.updates)) for lesson in first]
    return *some, replace(last, updates=updates - sum(lesson.updates for lesson in some))


def dreams_of(
    number: int,
    *,
    plain: bool = False,
    seed: int,
    size: int,
    families: tuple[str, ...] = TRAINED,
) -> Dreams:
    """The dreams of one pool: they depend on nothing else."""
    rng = np.random.default_rng([seed, number, int(plain)])
    short = plain or number < EARLY_POOLS
    steps = STEPS[0] if short else int(rng.choice(STEPS))
    families = families[:1] if plain else families
    return dream(size, steps, anchors_for(rng), rng, families=families, plain=plain)


def drawn(
    imagine: Callable[[int], Dreams], numbers: Iterator[int], *, workers: int
) -> Generator[tuple[int, Dreams], None, None]:
    """The pools `numbers` in their order, the next ones drawn ahead by `workers` processes."""
    if workers == 0:
        yield from ((number, imagine(number)) for number in numbers)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as others:
        waiting: deque[tuple[int, Future[Dreams]]] = deque()
        try:
            while True:
                while len(waiting) <= workers + 1:
                    number = next(numbers)
                    waiting.append((number, others.submit(imagine, number)))
                number, first = waiting.popleft()
                yield number, first.result()
        finally:
            others.shutdown(wait=False, cancel_futures=True)
