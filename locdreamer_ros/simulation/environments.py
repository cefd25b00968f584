# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The places: a house, an industrial hall, a motion-capture laboratory, and any number of others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.simulation.world import ErrorModel, World, box, wall
from locdreamer_ros.types import Anchors

HOUSE_BOOTSTRAP: tuple[str, ...] = ("A3", "A6", "A8")
"""The three anchors whose real ranges bootstrap a model: the set R of the LocDreamer paper."""
HOUSE_DEPLOY: tuple[str, ...] = ("A1", "A2", "A4", "A5", "A7")
"""The five anchors it has not seen: the set A."""

HOUSE_ERRORS = ErrorModel(
    anchor_offset=0.05,
    ripple=0.06,
    wall_delay=0.1,
    multipath=0.45,
    tail=0.7,
    correlation=1.0,
    noise=0.06,
    late=0.05,
    late_mean=0.4,
    outlier=0.01,
    lost=0.02,
)


def house(rng: np.random.Generator) -> World:
    """A house floor of 9.18 x 12.06 m with brick walls and eight rooms."""
    positions = np.array(
        [  # x, y of Bregar 2023, environment 0; the heights are not published: plausible ones
            (8.47, 11.87, 2.0),
            (8.41, 7.85, 1.4),
            (5.95, 7.45, 2.1),
            (5.45, 6.71, 1.6),
            (6.95, 0.05, 1.9),
            (2.24, 0.05, 1.3),
            (3.06, 8.33, 2.2),
            (4.47, 11.21, 1.5),
        ]
    )
    walls = [
        *box((0.0, 0.0), (9.18, 12.06)),
        *wall((0.0, 7.05), (9.18, 7.05), 1.2, 2.1, 4.0, 4.9, 6.6, 7.5),
        *wall((5.2, 0.0), (5.2, 7.05), 4.2, 5.1),
        *wall((5.2, 3.4), (9.18, 3.4), 2.4, 3.3),
        *wall((3.4, 7.05), (3.4, 12.06), 1.5, 2.4),
        *wall((5.7, 7.05), (5.7, 9.6), 1.0, 1.9),
        *wall((3.4, 9.6), (9.18, 9.6), 0.6, 1.5, 3.6, 4.5),
        *wall((6.3, 9.6), (6.3, 12.06)),
    ]
    return World.furnish(
        "house",
        bounds=np.array([[0.0, 0.0], [9.18, 12.06]]),
        walls=np.array(walls),
        anchors=Anchors(tuple(f"A{i}" for i in range(1, 9)), positions),
        tag_height=1.2,
        errors=HOUSE_ERRORS,
        rng=rng,
        deploy=HOUSE_DEPLOY,
    )


_BUILD: dict[str, Callable[[np.random.Generator], World]] = {"house": house}

ENVIRONMENTS: tuple[str, ...] = tuple(_BUILD)


def make_world(environment: str, seed: int = 0) -> World:
    """The place of this name with the place-bound errors of `seed` (`random`: all of it).

    Raises InputError for an unknown name.
    """
    if environment not in _BUILD:
        raise InputError(
            f"unknown environment {environment!r}; expected one of {', '.join(ENVIRONMENTS)}"
        )
    return _BUILD[environment](np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,))))
