# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What there is to learn from: walks in a simulated place, or a recording.

Training and validation are different walks (of a recording: different stretches of time), and the
walk that `simulate` makes of the same seed is neither: it is left for testing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.locdreamer.learning.data import Walks, area_of
from locdreamer_ros.locdreamer.learning.train import Task
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import World, make_world, simulate_in, stream
from locdreamer_ros.types import Anchors, Site

WALKS, VALIDATION_WALKS = 8, 2
WALK_S = 300.0
TRAIN_STREAM, VALIDATION_STREAM = 1000, 2000
"""Streams of the seed far from the world's and the test walk's."""
VALIDATION_SHARE = 0.2
"""The end of a recording that is kept for validation."""


def simulated_task(
    environment: str,
    *,
    seed: int,
    bootstrap: Sequence[str],
    deploy: Sequence[str],
    rate: float = 1.0,
    steps: int,
) -> Task:
    """Walks in the place of this seed, with ranges of the bootstrap anchors only.

    Raises InputError for an unknown environment or anchor.
    """
    world = make_world(environment, seed)

    def walks(first: int, count: int) -> Walks:
        recordings = walks_in(world, bootstrap, seed=seed, first=first, count=count, rate=rate)
        return Walks(recordings, tag_height=world.tag_height, steps=steps)

    anchors = world.anchors.subset(tuple(deploy))
    real = world.anchors.subset(check_bootstrap(bootstrap))
    return Task(
        walks(TRAIN_STREAM, WALKS),
        walks(VALIDATION_STREAM, VALIDATION_WALKS),
        anchors,
        world.tag_height,
        area_of(real, anchors),
    )


def walks_in(
    world: World, ids: Sequence[str], *, seed: int, first: int, count: int, rate: float
) -> list[Recording]:
    """Walks of `WALK_S` with ranges of the anchors `ids`, from the seed's streams `first` on."""
    return [
        simulate_in(world, duration=WALK_S, rate=rate, rng=stream(seed, first + i)).only(tuple(ids))
        for i in range(count)
    ]


def recorded_task(
    recording: Recording,
    anchors: Anchors,
    *,
    bootstrap: Sequence[str],
    deploy: Sequence[str],
    tag_height: float | None = None,
    steps: int,
) -> Task:
    """A recording's ranges of the bootstrap anchors; its end validates.

    anchors: all known places, also of anchors that the recording has no range of. Raises
    InputError for an unknown anchor, or a recording too short.
    """
    check_bootstrap(bootstrap)
    whole = recording.only(tuple(bootstrap))
    cut = round(len(whole) * (1.0 - VALIDATION_SHARE))
    height = Site.of(anchors, "2", tag_height).tag_height
    deployed = anchors.subset(tuple(deploy))
    return Task(
        Walks([piece(whole, 0, cut)], tag_height=height, steps=steps),
        Walks([piece(whole, cut, len(whole))], tag_height=height, steps=steps),
        deployed,
        height,
        area_of(whole.anchors, deployed),
    )


def check_bootstrap(bootstrap: Sequence[str]) -> tuple[str, ...]:
    """The ids. Raises InputError for fewer than three: no position follows from those."""
    if len(set(bootstrap)) < 3:
        raise InputError(
            f"--bootstrap: expected at least 3 different anchors, got {', '.join(bootstrap)}"
        )
    return tuple(bootstrap)


def piece(recording: Recording, begin: int, end: int, *, truth: bool = False) -> Recording:
    """Epochs begin <= row < end; the truth stays behind unless it is asked for.

    Raises InputError where nothing is left.
    """
    if end - begin < 2:
        raise InputError(f"{recording.where}: {len(recording)} epochs are too few to learn from")
    rows = np.arange(begin, end)
    return Recording(
        recording.name,
        recording.anchors,
        recording.times[rows],
        recording.ranges[rows],
        recording.truth[rows] if truth and recording.truth is not None else None,
        file=recording.file,
    )
