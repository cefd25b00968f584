# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dreams of rooms nobody has seen: random places, walks and range errors, many at a time.

This is not `simulation`, and shares no code with it: a model trained here is tested there and on
real recordings. Errors come from families of unlike form, a module each: `walls` (walls nobody
knows of, quantile functions of waves), `patterns` (antennas, bodies, lags, bursts), `physics`
(image sources, an impulse response and its leading edge). One family is held out.

Shape legend: B dreams, T steps, A anchors.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from locdreamer_ros.zero_shot.training.dreams import patterns, physics, walls
from locdreamer_ros.zero_shot.training.dreams.rooms import Floats, room

FAMILIES = {"walls": walls.errors, "patterns": patterns.errors, "physics": physics.errors}
"""Where the errors of a dream come from."""
HELD_OUT = "physics"
"""Never trained on: the honest figure is that of its dreams."""


def without(held_out: str) -> tuple[str, ...]:
    """The families to train on where one is held out."""
    return tuple(family for family in FAMILIES if family != held_out)


TRAINED = without(HELD_OUT)
FREE_OFFSET_SHARE = 0.15
"""Share of the dreams whose ranges of one fix share an offset that nobody knows: blinks (TDoA)."""


@dataclass(frozen=True, eq=False)
class Dreams:
    """Places, walks and what was measured there.

    anchor (B, A, 3) m as surveyed; truth (B, T, 3) m; velocity (B, T, 3) m/s; dt (B, T) s before
    each step; distance (B, T, A) m measured, NaN where lost, ahead (B, T, A) s after it; blocked
    (B, T, A) what a device would guess of it, 0 to 1, NaN where the device has no such guess;
    height (B,) m believed of the tag; known (B,) whether that is all there is to know of its
    height; free (B,) whether the ranges of a fix are known but for an offset that they share, and
    all are heard.
    """

    anchor: Floats
    truth: Floats
    velocity: Floats
    dt: Floats
    distance: Floats
    ahead: Floats
    blocked: Floats
    height: Floats
    known: NDArray[np.bool_]
    free: NDArray[np.bool_]

    def __len__(self) -> int:
        return int(self.anchor.shape[0])

    def rows(self, which: NDArray[np.intp] | slice) -> Dreams:
        """Only these dreams."""
        return replace(self, **{f.name: getattr(self, f.name)[which] for f in fields(self)})


def dream(
    size: int,
    steps: int,
    anchors: int,
    rng: np.random.Generator,
    *,
    families: tuple[str, ...] = TRAINED,
    rate: float | None = None,
    plain: bool = False,
) -> Dreams:
    """`size` dreams of `steps` steps with `anchors` anchors, each in a place of its own.

    rate Hz: of all; without, each has a pace of its own. plain: in `room`'s simplest places.
    """
    place = room(size, steps, anchors, rng, rate=rate, plain=plain)
    measured = np.empty((size, steps, anchors))
    blocked = np.empty((size, steps, anchors))
    kind = rng.integers(len(families), size=size)
    for index, family in enumerate(families):
        here = kind == index
        if here.any():
            some = place.rows(here)
            error, blocked[here] = FAMILIES[family](some, rng)
            measured[here] = some.when_measured + error
    measured[measured < 0.05] = np.nan
    return Dreams(
        place.surveyed.astype(np.float32),
        place.truth.astype(np.float32),
        place.velocity.astype(np.float32),
        place.dt.astype(np.float32),
        measured.astype(np.float32),
        place.ahead.astype(np.float32),
        blocked.astype(np.float32),
        place.height.astype(np.float32),
        place.known,
        (rng.random(size) < FREE_OFFSET_SHARE) & (not plain),
    )
