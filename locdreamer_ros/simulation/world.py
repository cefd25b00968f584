# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a simulated place is: walls, anchors, and range errors that belong to places.

Shape legend: A anchors, W wall segments, T epochs, M waves of a random field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.types import Anchors, FloatArray, IntArray

WAVES = 96
"""Plane waves per anchor in a random field: enough that its values look Gaussian."""
MATERN_FALL = 1.239
"""Distance, in length scales, at which Matern's correlation of smoothness 3/2 is 1/e."""

WORLD_STREAM = 0
"""What belongs to the place: bias fields, and in `random` the building and its anchors."""
RUN_STREAM = 1
"""What belongs to one run: the walk, and what is drawn anew at each range."""
ODOMETRY_STREAM = 2
"""What wheels and gyro add to it."""


def stream(seed: int, which: int) -> np.random.Generator:
    """One of the independent streams of a seed: `WORLD_STREAM`, `RUN_STREAM`, `ODOMETRY_STREAM`.

    Raises InputError for a negative seed.
    """
    if seed < 0:
        raise InputError(f"seed: expected a whole number >= 0, got {seed}")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(which,)))


@dataclass(frozen=True)
class ErrorModel:
    """How ranges err in one place. Lengths in m, powers in dB or dBm, probabilities per range."""

    # What belongs to the place and the anchor: the same whenever the tag comes back.
    common_offset: float = 0.0
    """Antenna delays that all anchors share."""
    anchor_offset: float = 0.03
    """Sigma of each anchor's own offset."""
    ripple: float = 0.04
    """Sigma of the bias where nothing is in the way (ground and ceiling reflections)."""
    wall_delay: float = 0.1
    """Each wall crossed slows the wave down by this much."""
    multipath: float = 0.25
    """Scale of the excess path where the direct one is blocked once; it grows with sqrt(walls)."""
    tail: float = 0.78
    """Weibull shape of that excess: 1 is exponential, less has a heavier tail."""
    correlation: float = 1.0
    """Distance over which the tag sees the same multipath."""

    # What is drawn anew at each range.
    noise: float = 0.026
    """Sigma of the receiver's time stamps."""
    late: float = 0.0
    """Probability that somebody or something moving delays the range ..."""
    late_mean: float = 0.5
    """... by an exponential with this mean."""
    outlier: float = 0.0
    """Probability that the range says nothing ..."""
    outlier_span: float = 10.0
    """... and lies anywhere within this much around the truth."""
    lost: float = 0.0
    """Probability of a drop-out whatever the power; weak signals are lost besides."""

    # Power.
    wall_loss: float = 4.0
    """Loss per wall crossed."""
    shadowing: float = 2.0
    """Sigma of the place-bound fading."""
    sensitivity: float = -103.0
    """Half of the ranges received this weakly are lost."""


@dataclass(frozen=True, eq=False)
class Field:
    """A standard normal random field over the plane for each anchor, as a sum of plane waves.

    wave (A, M, 2) rad/m, phase (A, M) rad. Its covariance is Matern's of smoothness 3/2: rough, as
    interference is, but a step aside changes it little.
    """

    wave: FloatArray
    phase: FloatArray

    @classmethod
    def draw(cls, anchors: int, correlation: float, rng: np.random.Generator) -> Field:
        """A field whose correlation falls to 1/e at `correlation` m."""
        # The spectrum in 2-D has P(|wave| > k) = (1 + (k length)^2 / 3)^(-3/2). Each wave stands
        # for an equal share of it: fully random ones leave visible stripes.
        share = (np.arange(WAVES) + rng.random((anchors, WAVES))) / WAVES
        number = np.sqrt(3.0 * ((1.0 - share) ** (-2.0 / 3.0) - 1.0))
        length = correlation / MATERN_FALL
        angle = rng.uniform(0.0, 2.0 * np.pi, (anchors, WAVES))
        direction = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        phase = rng.uniform(0.0, 2.0 * np.pi, (anchors, WAVES))
        return cls(number[..., None] / length * direction, phase)

    def at(self, position: FloatArray) -> FloatArray:
        """Values (T, A) at positions (T, 2) m."""
        values = np.empty((position.shape[0], self.wave.shape[0]))
        for anchor, (wave, phase) in enumerate(zip(self.wave, self.phase, strict=True)):
            values[:, anchor] = np.cos(position @ wave.T + phase).sum(axis=1)
        return np.asarray(values * np.sqrt(2.0 / WAVES))


@dataclass(frozen=True, eq=False)
class World:
    """A place to walk and range in.

    bounds (2, 2) m: lower and upper corner of the floor. walls (W, 2, 2) m: both ends of each
    straight piece; a door is a gap. anchor_offset (A,) m. `deploy`: the anchors a recording has
    unless others are asked for.
    """

    name: str
    bounds: FloatArray
    walls: FloatArray
    anchors: Anchors
    deploy: tuple[str, ...]
    tag_height: float
    errors: ErrorModel
    anchor_offset: FloatArray
    multipath: Field
    fading: Field

    @classmethod
    def furnish(
        cls,
        name: str,
        *,
        bounds: FloatArray,
        walls: FloatArray,
        anchors: Anchors,
        tag_height: float,
        errors: ErrorModel,
        rng: np.random.Generator,
        deploy: tuple[str, ...] | None = None,
    ) -> World:
        """The world with its place-bound errors drawn from `rng`."""
        n = len(anchors)
        return cls(
            name,
            bounds,
            walls,
            anchors,
            anchors.ids if deploy is None else deploy,
            tag_height,
            errors,
            errors.common_offset + errors.anchor_offset * rng.standard_normal(n),
            Field.draw(n, errors.correlation, rng),
            Field.draw(n, errors.correlation, rng),
        )


def wall(start: tuple[float, float], end: tuple[float, float], *doors: float) -> list[FloatArray]:
    """Pieces (2, 2) m of the straight wall from `start` to `end`.

    doors: pairs of distances from `start`, in order, between which there is no wall.
    """
    a, b = np.array(start), np.array(end)
    along = (b - a) / np.linalg.norm(b - a)
    cuts = [0.0, *doors, float(np.linalg.norm(b - a))]
    return [
        np.stack([a + low * along, a + high * along])
        for low, high in zip(cuts[::2], cuts[1::2], strict=True)
        if high > low
    ]


def box(low: tuple[float, float], high: tuple[float, float]) -> list[FloatArray]:
    """The four sides of an upright rectangle: outer walls, or a piece of furniture."""
    (x0, y0), (x1, y1) = low, high
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return [
        piece
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True)
        for piece in wall(a, b)
    ]


def crossings(start: FloatArray, end: FloatArray, walls: FloatArray) -> IntArray:
    """Number (...,) of walls (W, 2, 2) cut by the straight lines start (..., 2) - end (..., 2)."""
    line = end - start
    count = np.zeros(line.shape[:-1], dtype=np.intp)
    for a, b in walls:
        edge = b - a
        across = line[..., 0] * edge[1] - line[..., 1] * edge[0]
        offset = a - start
        with np.errstate(divide="ignore", invalid="ignore"):
            # Where along the line and along the wall they meet; inf or nan where parallel.
            t = (offset[..., 0] * edge[1] - offset[..., 1] * edge[0]) / across
            u = (offset[..., 0] * line[..., 1] - offset[..., 1] * line[..., 0]) / across
            count += (t >= 0.0) & (t <= 1.0) & (u >= 0.0) & (u <= 1.0)
    return count
