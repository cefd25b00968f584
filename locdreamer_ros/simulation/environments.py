# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The places by name: a house, an industrial hall, a laboratory, and any number of others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.simulation.random_world import random_world
from locdreamer_ros.simulation.world import WORLD_STREAM, ErrorModel, World, box, stream, wall
from locdreamer_ros.types import Anchors

HOUSE_BOOTSTRAP: tuple[str, ...] = ("A3", "A6", "A8")
"""The three anchors whose real ranges bootstrap a model: the set R of the LocDreamer paper."""
HOUSE_DEPLOY: tuple[str, ...] = ("A1", "A2", "A4", "A5", "A7")
"""The five anchors it has not seen: the set A."""

HOUSE_ERRORS = ErrorModel(
    anchor_offset=0.05,
    ripple=0.06,
    wall_delay=0.06,
    multipath=0.12,
    tail=0.5,
    correlation=0.7,
    noise=0.06,
    late=0.05,
    late_mean=0.4,
    outlier=0.01,
    lost=0.02,
)
"""Fitted: the paper's EKF errs here about as much as on the recordings of the paper."""

HALL_ERRORS = ErrorModel(
    common_offset=-0.07,
    anchor_offset=0.05,
    ripple=0.095,
    wall_delay=0.0,
    multipath=0.15,
    tail=0.78,
    correlation=1.0,
    noise=0.026,
    lost=0.01,
    wall_loss=1.5,
)
"""Fitted to a published survey of an industrial hall; see docs/simulator.md."""

LAB_ERRORS = ErrorModel(
    common_offset=0.217,
    anchor_offset=0.055,
    ripple=0.07,
    correlation=1.0,
    noise=0.05,
    late=0.01,
    late_mean=0.1,
    lost=0.004,
)
"""As in the LIAS recordings: above all a bias that every range shares."""


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


def hall(rng: np.random.Generator) -> World:
    """An industrial hall of 25 x 11 m with racks, an office and 19 anchors; 70 % NLoS."""
    racks = [
        *box((2.5, 2.2), (8.5, 3.0)),
        *box((10.5, 2.2), (15.5, 3.0)),
        *box((17.5, 2.2), (22.5, 3.0)),
        *box((2.5, 5.1), (7.0, 5.9)),
        *box((9.0, 5.1), (14.0, 5.9)),
        *box((16.0, 5.1), (19.0, 5.9)),
        *box((2.5, 8.0), (8.5, 8.8)),
        *box((10.5, 8.0), (16.5, 8.8)),
    ]
    office = [*wall((19.5, 7.0), (25.0, 7.0), 1.0, 2.2), *wall((19.5, 7.0), (19.5, 11.0))]
    along = [(x, y) for y in (0.15, 10.85) for x in (1.5, 6.0, 9.5, 13.0, 17.0, 23.5)]
    ends = [(0.15, 4.0), (0.15, 7.0), (24.85, 4.5)]
    inside = [(9.5, 4.0), (16.5, 4.0), (8.0, 7.0), (18.0, 7.0)]
    places = np.array(along + ends + inside)
    heights = np.resize([2.5, 1.5, 3.5, 2.0, 3.0], len(places))
    return World.furnish(
        "hall",
        bounds=np.array([[0.0, 0.0], [25.0, 11.0]]),
        walls=np.array([*box((0.0, 0.0), (25.0, 11.0)), *racks, *office]),
        anchors=Anchors(
            tuple(f"A{i}" for i in range(1, len(places) + 1)), np.column_stack([places, heights])
        ),
        tag_height=1.2,
        errors=HALL_ERRORS,
        rng=rng,
    )


def lab(rng: np.random.Generator) -> World:
    """A motion-capture room of 7.4 x 6.4 m, nothing in the way, eight anchors around it."""
    x, y = 3.5, 3.0
    places = [(-x, y), (0.0, y), (x, y), (x, 0.0), (x, -y), (0.0, -y), (-x, -y), (-x, 0.0)]
    return World.furnish(
        "lab",
        bounds=np.array([[-3.7, -3.2], [3.7, 3.2]]),
        walls=np.array(box((-3.7, -3.2), (3.7, 3.2))),
        anchors=Anchors(
            tuple(f"A{i}" for i in range(1, 9)), np.column_stack([places, np.full(8, 1.05)])
        ),
        tag_height=0.97,
        errors=LAB_ERRORS,
        rng=rng,
    )


_BUILD: dict[str, Callable[[np.random.Generator], World]] = {
    "house": house,
    "hall": hall,
    "lab": lab,
    "random": random_world,
}

ENVIRONMENTS: tuple[str, ...] = tuple(_BUILD)


def make_world(environment: str, seed: int = 0) -> World:
    """The place of this name with the place-bound errors of `seed` (`random`: all of it).

    Raises InputError for an unknown name or a negative seed.
    """
    if environment not in _BUILD:
        raise InputError(
            f"unknown environment {environment!r}; expected one of {', '.join(ENVIRONMENTS)}"
        )
    return _BUILD[environment](stream(seed, WORLD_STREAM))
