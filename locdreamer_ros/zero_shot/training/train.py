# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training the zero-shot model: track in dreams, learn from the dream's own truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from itertools import count
from pathlib import Path

import torch

from locdreamer_ros.garbage import seldom_collected
from locdreamer_ros.zero_shot.training.checkpoint import Done, Learning, load, save
from locdreamer_ros.zero_shot.training.chunk import Learn, learner
from locdreamer_ros.zero_shot.training.dreams import HELD_OUT, without
from locdreamer_ros.zero_shot.training.hybrid import Hybrid
from locdreamer_ros.zero_shot.training.pools import LESSONS, POOL, Lesson, drawn, dreams_of
from locdreamer_ros.zero_shot.training.walks import (
    PRECISION,
    Walks,
    first_fixes,
    kidnapped,
    lost,
    nowhere,
    orders,
    walks,
)

CHUNK = 32
"""Steps that gradients go through; the belief lives through all of a dream."""
AVERAGE_WEIGHT = 0.995
"""Weight of the past in the running mean of the parameters, which is the model that is kept."""
LARGEST_GRADIENT = 2.0
WARM_UP = 20
"""Updates until the learning rate is at its highest."""


@seldom_collected()
def train(
    lessons: Sequence[Lesson] = LESSONS,
    *,
    seed: int = 0,
    curve: Callable[[int, float, float], None] = lambda update, loss, error: None,
    model: Hybrid | None = None,
    pool: int = POOL,
    held_out: str = HELD_OUT,
    checkpoint: Path | None = None,
    workers: int = 0,
    device: torch.device | str = "cpu",
) -> Hybrid:
    """The running mean of a model over steps of Adam in dreams, lesson after lesson.

    curve(update, loss, error m) after each. All randomness of a pool of dreams comes from seed and
    the pool's number, and a checkpoint is written after each: where there is one, training goes on
    from it exactly as if it had never stopped. workers: processes that draw the next dreams.
    held_out: the family of errors that is not dreamt of.
    model: where to begin. On a GPU a chunk is captured once for each number of anchors.
    """
    torch.manual_seed(seed)
    model = (Hybrid() if model is None else model).to(device, PRECISION)
    learning = _begun(model)
    run: dict[str, object] = {"seed": seed, "pool": pool, "held_out": held_out}
    run["lessons"] = [asdict(lesson) for lesson in lessons]
    done = Done()
    if checkpoint is not None and checkpoint.is_file():
        done = load(checkpoint, learning, run)
    learn = learner(model, device)
    imagine = partial(dreams_of, seed=seed, size=pool, families=without(held_out))
    for index in range(done.lessons, len(lessons)):
        lesson = lessons[index]
        if index > done.lessons:
            model.load_state_dict(learning.kept.module.state_dict())
            learning, done = _begun(model), Done(lessons=index)
        before, update = sum(earlier.updates for earlier in lessons[:index]), done.updates
        dreamt = partial(imagine, plain=lesson.plain)
        with closing(drawn(dreamt, count(done.pools), workers=workers)) as found:
            while update < lesson.updates:
                number, dreams = next(found)
                generator = pool_generator(seed, number)
                walk = walks(dreams, generator).to(device)
                for loss, error in followed(learn, model, walk, generator):
                    _step(learning, lesson.rate * scheduled(update, lesson.updates))
                    curve(before + update, loss, error)
                    update += 1
                if checkpoint is not None:
                    save(checkpoint, learning, Done(index, number + 1, update), run)
    kept_model: Hybrid = learning.kept.module
    return kept_model.to("cpu", torch.float32)


def pool_generator(seed: int, number: int) -> torch.Generator:
    """What a pool's tracks leave to chance: it depends on nothing else."""
    return torch.Generator().manual_seed(1_000_003 * seed + number)


def followed(
    learn: Learn, model: Hybrid, walk: Walks, generator: torch.Generator
) -> Iterator[tuple[float, float]]:
    """Loss and mean error m of each chunk of the walks, yielded when its gradients are set."""
    belief = nowhere(model, walk)
    for start in range(0, walk.dt.shape[1], CHUNK):
        steps = range(start, min(start + CHUNK, walk.dt.shape[1]))
        last = max(0, start - 1)
        new = lost(walk, belief, last) | (start == 0)
        fixes = first_fixes(walk, last, new, generator)
        belief = kidnapped(belief, generator)
        order = orders(walk, steps, generator)
        loss, error, belief = learn(walk.during(steps), belief, fixes, order)
        yield float(loss), float(error.nanmean())


def _begun(model: Hybrid) -> Learning:
    """A lesson's start: a running mean and an optimiser of its own."""
    kept = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE_WEIGHT)
    )
    return Learning(model, kept, torch.optim.Adam(model.parameters()))


def _step(learning: Learning, rate: float) -> None:
    """One step of Adam along the gradients there are, if they are numbers."""
    for group in learning.optimiser.param_groups:
        group["lr"] = rate
    norm = torch.nn.utils.clip_grad_norm_(learning.model.parameters(), LARGEST_GRADIENT)
    if bool(torch.isfinite(norm)):
        learning.optimiser.step()
        learning.kept.update_parameters(learning.model)


def scheduled(update: int, updates: int) -> float:
    """Share of the learning rate: a short warm-up, then half a cosine."""
    warm = min(1.0, (update + 1) / WARM_UP)
    return warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, update / updates)))
