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
EVERYBODY = np.arange(64)
"""Sites of more anchors choose one by one, among those that are near."""


def plan_together(asked: Sequence[tuple[ZeroShotTracker, float, Choice | None]]) -> None:
    """Predict filters by dt > 0 s, and choose anchors where it is said by what."""
    if compiled.together is None:
        return
    calls, left = [], []
    for tracker, dt, choice in asked:
        step = tracker._compiled
        if step is None or tracker._framed:
            continue
        state = tracker.state
        room, by = step.room(state), choice or NO_CHOICE
        rows = np.empty(by.budget, dtype=np.intp)
        given = (step.model, dt, state.slots, state.packed, room[0].packed, room[1], room[2])
        everybody = EVERYBODY[: tracker._slot.size]
        calls.append((*given, tracker._slot, everybody, *by, rows))
        left.append((tracker, dt, room, by, rows))
    said = compiled.together.plan_many(calls)
    for done, (tracker, dt, room, by, rows) in zip(said, left, strict=True):
        if done:
            chosen = Chosen(by.budget, by.sigma, rows) if done == 2 else None
            tracker.predicted = Beforehand(tracker.state, dt, (room, chosen))


def update_together(answered: Sequence[tuple[ZeroShotTracker, Ranges]]) -> None:
    """Take in ranges, of each filter those that it is going to be given."""
    if compiled.together is None:
        return
    calls, left = [], []
    for tracker, ranges in answered:
        step, now = tracker._compiled, tracker.estimate
        if step is None or now is None or tracker._framed or tracker._riding:
            continue
        room = step.room(tracker.state)
        given = (tracker.state, tracker._slot, now.time, ranges, room)
        calls.append(step.update_of(*given))
        left.append((tracker, ranges, room))
    said = compiled.together.update_many(calls)
    for used, (tracker, ranges, room) in zip(said, left, strict=True):
        if used > 0:
            tracker.updated = Beforehand(tracker.state, ranges, (used, room))
