# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Steps of many filters in one call of the kernel, made before each filter is asked for its own.

A step made beforehand is left with the filter, which takes it where it is still in the state that
it was made for, and else makes it itself. So nothing that steers a filter knows of the others, and
what cannot be done together is done as ever. These functions are the filter's own, for several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.types import Chosen, FloatArray, Ranges
from locdreamer_ros.zero_shot.tracker import Beforehand, ZeroShotTracker


class Choice(NamedTuple):
    """What anchors are chosen by: see `schedulers.foresight.ForesightScheduler.choice`.

    weights of the axes (D,), budget, noise sigma m of a range, up to how many subsets all are
    tried, and by which share an exchange must be better.
    """

    weights: FloatArray
    budget: int
    sigma: float
    subsets: int
    clearly: float


NO_CHOICE = Choice(np.empty(0), 0, 0.0, 0, 0.0)


def plan_together(asked: Sequence[tuple[ZeroShotTracker, float, Choice | None]]) -> None:
    """Predict filters by dt > 0 s, and choose anchors where it is said by what."""
    if compiled.together is None:
        return
    calls, left = [], []
    for tracker, dt, choice in asked:
        step = tracker._compiled
        if step is None or tracker._framed:
            continue
        room, ages = step.room(tracker._mean), np.empty(tracker._age.size)
        by = choice or NO_CHOICE
        rows = np.empty(by.budget, dtype=np.intp)
        state = (tracker._mean, tracker._covariance, tracker._age, tracker._context)
        given = (*step.of_model, dt, *state, *room, ages, step.places, tracker._slot)
        calls.append((*given, *by, rows))
        left.append((tracker, dt, room, ages, by, rows))
    said = compiled.together.plan_many(calls)
    for done, (tracker, dt, room, ages, by, rows) in zip(said, left, strict=True):
        if done:
            chosen = Chosen(by.budget, by.sigma, rows) if done == 2 else None
            tracker.predicted = Beforehand(tracker._mean, dt, ((room, ages), chosen))


def update_together(answered: Sequence[tuple[ZeroShotTracker, Ranges]]) -> None:
    """Take in ranges, of each filter those that it is going to be given."""
    if compiled.together is None:
        return
    calls, left = [], []
    for tracker, ranges in answered:
        step, now = tracker._compiled, tracker.estimate
        if step is None or now is None or tracker._framed or tracker._riding:
            continue
        room = step.room(tracker._mean)
        # The kernel writes into these; the filter's own stay as they are until it takes the step.
        memory = (tracker._age.copy(), tracker._surprise.copy(), tracker._context.copy())
        times = (now.time, tracker._since, tracker._updates)
        state = (tracker._slot, tracker._mean, tracker._covariance, *memory)
        calls.append((*step.of_model[:2], *times, step.places, *state, *step.of(ranges), *room))
        left.append((tracker, ranges, room, memory))
    said = compiled.together.update_many(calls)
    for used, (tracker, ranges, room, memory) in zip(said, left, strict=True):
        if used > 0:
            tracker.updated = Beforehand(tracker._mean, ranges, (used, room, memory))
