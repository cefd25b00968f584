# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated places, walks and ranges with the error structure of real ones; see docs/simulator.md.

One `seed` gives independent streams by numpy's SeedSequence: spawn key (0,) the world (what
belongs to places: bias fields, and in `random` the building itself), spawn key (1,) the run (the
walk and what is drawn anew at each range), spawn key (2,) the odometry.
"""

from __future__ import annotations

import math

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation.environments import (
    ENVIRONMENTS,
    HOUSE_BOOTSTRAP,
    HOUSE_DEPLOY,
    make_world,
)
from locdreamer_ros.simulation.odometry import with_odometry
from locdreamer_ros.simulation.ranges import draw_ranges, place_bias
from locdreamer_ros.simulation.walk import draw_walk
from locdreamer_ros.simulation.world import (
    ODOMETRY_STREAM,
    RUN_STREAM,
    WORLD_STREAM,
    ErrorModel,
    World,
    stream,
)

__all__ = [
    "ENVIRONMENTS",
    "HOUSE_BOOTSTRAP",
    "HOUSE_DEPLOY",
    "ODOMETRY_STREAM",
    "RUN_STREAM",
    "WORLD_STREAM",
    "ErrorModel",
    "World",
    "draw_ranges",
    "draw_walk",
    "make_world",
    "place_bias",
    "simulate",
    "simulate_in",
    "stream",
    "with_odometry",
]


MAX_EPOCHS = 1_000_000
"""A day at 10 Hz; more would fill the memory."""


def simulate(
    environment: str,
    *,
    duration: float,
    rate: float = 10.0,
    seed: int = 0,
    deploy: tuple[str, ...] | None = None,
    odometry: float | None = None,
) -> Recording:
    """A recording of a walk of `duration` s at `rate` Hz.

    deploy: ids of the anchors in it; None: those the environment deploys (house: the five of
    `HOUSE_DEPLOY`, else all). odometry: the drift of wheel odometry (.02: 2 % of the distance) that
    it holds, with a gyro's rate; None: it holds none. Walk and ranges are the same with and
    without. Raises InputError for an unknown environment or id, and for a duration, rate, seed or
    drift that makes no sense.
    """
    world = make_world(environment, seed)
    rng = stream(seed, RUN_STREAM)
    recording = simulate_in(world, duration=duration, rate=rate, rng=rng)
    if odometry is not None:
        recording = with_odometry(recording, drift=odometry, rng=stream(seed, ODOMETRY_STREAM))
    return recording.only(world.deploy if deploy is None else deploy)


def simulate_in(
    world: World, *, duration: float, rate: float, rng: np.random.Generator
) -> Recording:
    """A recording of one walk in `world` with all its anchors; another `rng`, another walk.

    Its `nlos` is what a device would guess from the powers; which ranges were blocked stays here.
    """
    for name, value in (("duration", duration), ("rate", rate)):
        if not (math.isfinite(value) and value > 0.0):
            raise InputError(f"{name}: expected a number > 0, got {value:g}")
    if duration * rate > MAX_EPOCHS:
        raise InputError(
            f"duration: {duration:g} s at {rate:g} Hz are more than {MAX_EPOCHS} epochs"
        )
    truth = draw_walk(world, duration=duration, rate=rate, rng=rng)
    drawn = draw_ranges(world, truth, rng)
    return Recording(
        world.name,
        world.anchors,
        np.arange(truth.shape[0]) / rate,
        drawn.ranges,
        truth,
        nlos=drawn.nlos,
        rx_power=drawn.rx_power,
        first_path_power=drawn.first_path_power,
    )
