# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`grid`: a histogram filter. It holds every place the tag may be, so walls cannot trap it.

The belief is a probability per cell. The whole grid glides with the mean velocity (its origin
moves; no resampling blur), diffuses by a three-tap kernel of exactly the motion's variance, and is
multiplied by an asymmetric likelihood: a range is expected a little longer than the distance, and
being longer still is cheap (walls, reflections) while being shorter is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from locdreamer_ros.config import parameter
from locdreamer_ros.roles import Tracker
from locdreamer_ros.trackers.kalman import recent
from locdreamer_ros.types import Estimate, FloatArray, Motion, Ranges, Site


@dataclass(frozen=True)
class GridConfig:
    """Histogram filter for rooms with walls."""

    cell: float = parameter(
        0.2, "edge of a cell, m (larger where there would be over 10,000)", low=0.02, high=5.0
    )
    motion: float = parameter(0.35, "diffusion of the position, m/sqrt(s)", low=1e-3)
    velocity_time: float = parameter(1.0, "time over which the velocity is learned, s", low=0.05)
    max_speed: float = parameter(2.0, "speed beyond which the velocity is cut, m/s", low=0.0)
    offset: float = parameter(0.0, "how much longer than the distance a range is, m")
    slope: float = parameter(0.05, "and how much more per metre of distance, up to 10 m")
    sigma: float = parameter(0.25, "range noise, m", low=1e-3)
    huber_long: float = parameter(0.7, "sigmas beyond which a longer range costs linearly", low=0.0)
    huber_short: float = parameter(2.0, "sigmas beyond which a shorter one does", low=0.0)
    correlation_time: float = parameter(
        0.3, "errors repeat over this time: faster ranges count less, s", low=0.0
    )


SPEED_FACTOR = 1.5
"""The speed limit is at least this many times the speed of the first fix."""
SLOPE_M = 10.0
"""Farther away there are no more walls in between: a hall is no large house."""
MOST_CELLS = 10_000
"""Beyond this (a large hall, 3-D) cells are made larger: a step stays near a millisecond."""


def asymmetric_huber(scaled: FloatArray, short: float, long: float) -> FloatArray:
    """Cost of scaled residuals: half their square within [-short, long], linear beyond."""
    inner = np.minimum(np.maximum(scaled, -short), long)
    return np.asarray(inner * (scaled - 0.5 * inner))


class GridTracker(Tracker):
    """Belief over cells of shape `shape` (D axes); the estimate is its mean and covariance."""

    def __init__(self, site: Site, config: GridConfig) -> None:
        super().__init__()
        self.site = site
        self.config = config
        self._faster = 1.0
        self._lay_out(*site.bounds)
        self._velocity = np.zeros(site.dimensions)
        self._step = 0.0

    def _lay_out(self, low: FloatArray, high: FloatArray) -> None:
        """Cells between two corners (D,) m."""
        dimensions = self.site.dimensions
        least = (float(np.prod(high - low)) / MOST_CELLS) ** (1.0 / dimensions)
        self._cell = max(self.config.cell, least)
        self.shape = tuple(math.ceil(extent / self._cell) for extent in high - low)
        index = np.indices(self.shape, dtype=np.float64).reshape(dimensions, -1).T
        self._cells = low + (index + 0.5) * self._cell
        self._shift = np.zeros(dimensions)
        self._belief = np.full(self.shape, 1.0 / len(self._cells))

    def start(self, fix: Estimate) -> None:
        """(Re)start from a first fix: a Gaussian on the cells."""
        # What starts out fast, or outside, is looked for there too.
        fast = SPEED_FACTOR * float(np.linalg.norm(fix.velocity))
        self._faster = max(1.0, fast / max(self.config.max_speed, 0.1))
        self._lay_out(*self.site.bounds_around(fix.position))
        deviation = self._cells - fix.position
        information = np.linalg.inv(fix.position_covariance)
        exponent = -0.5 * np.einsum("mi,ij,mj->m", deviation, information, deviation)
        belief = np.exp(exponent - exponent.max())
        self._belief = (belief / belief.sum()).reshape(self.shape)
        self._velocity = fix.velocity.copy()
        self._publish(fix.time)

    def _publish(self, time: float) -> Estimate:
        config, d = self.config, self.site.dimensions
        weight = self._belief.ravel()
        centre = weight @ self._cells
        deviation = self._cells - centre
        covariance = np.zeros((2 * d, 2 * d))
        covariance[:d, :d] = (deviation * weight[:, None]).T @ deviation
        covariance[:d, :d] += self._cell**2 / 12.0 * np.eye(d)
        covariance[d:, d:] = config.motion**2 / config.velocity_time * np.eye(d)
        mean = np.concatenate([centre + self._shift, self._velocity])
        self._estimate = Estimate(time, mean, covariance)
        return self._estimate

    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        """Move dt >= 0 s ahead; returns the prior."""
        now = self.now
        if dt == 0.0:
            return now
        self._step += dt
        self._glide(self._velocity * dt)
        self._diffuse((self.config.motion * self._faster) ** 2 * dt)
        return self._publish(now.time + dt)

    def _glide(self, move: FloatArray) -> None:
        """Translate the belief by `move` (D,) m: the origin moves, whole cells are rolled."""
        self._shift += move
        whole = np.round(self._shift / self._cell).astype(int)
        for axis, cells in enumerate(whole):
            if cells == 0:
                continue
            self._shift[axis] -= cells * self._cell
            belief = np.roll(self._belief, cells, axis=axis)
            edge = [slice(None)] * belief.ndim
            edge[axis] = slice(0, cells) if cells > 0 else slice(cells, None)
            belief[tuple(edge)] = 0.0
            total = belief.sum()
            # The tag cannot leave the area: where all of the belief would, it stays instead.
            if total > 1e-12:
                self._belief = belief / total

    def _diffuse(self, variance: float) -> None:
        """Convolve each axis with a kernel of `variance` m^2; nothing leaks over the edge."""
        total = variance / self._cell**2
        passes = max(1, math.ceil(total / 0.5))
        tap = 0.5 * total / passes
        belief = self._belief
        for _ in range(passes):
            for axis in range(belief.ndim):
                first = [slice(None)] * belief.ndim
                last = [slice(None)] * belief.ndim
                first[axis], last[axis] = slice(None, -1), slice(1, None)
                flow = tap * (belief[tuple(last)] - belief[tuple(first)])
                belief = belief.copy()
                belief[tuple(first)] += flow
                belief[tuple(last)] -= flow
        self._belief = belief

    def update(self, ranges: Ranges) -> Estimate:
        """Take ranges in; returns the posterior."""
        now = self.now
        used = recent(ranges, now.time)
        if len(used) == 0:
            return now
        config = self.config
        # Each range is compared with where a tag now in this cell was at the range's own stamp.
        there = (self._cells + self._shift)[:, None, :] + np.multiply.outer(
            used.stamp - now.time, self._velocity
        )
        expected = self.site.expected(there, used.anchor)
        expected = config.offset + expected + config.slope * np.minimum(expected, SLOPE_M)
        error = used.value - expected
        if used.differences:
            error -= np.median(error, axis=1, keepdims=True)
        cost = asymmetric_huber(
            error / used.sigma(config.sigma),
            config.huber_short,
            config.huber_long,
        ).sum(axis=1)
        step, self._step = self._step, 0.0
        if config.correlation_time > 0.0:
            cost = cost * -math.expm1(-step / config.correlation_time) if step > 0.0 else cost * 0.0
        belief = self._belief.ravel() * np.exp(cost.min() - cost)
        total = belief.sum()
        if not total > 1e-200:
            return now
        before = now.position
        self._belief = (belief / total).reshape(self.shape)
        posterior = self._publish(now.time)
        if step > 0.0:
            share = -math.expm1(-step * self._faster / config.velocity_time)
            velocity = self._velocity + share * (posterior.position - before) / step
            speed = float(np.linalg.norm(velocity))
            self._velocity = velocity * min(1.0, self._faster * config.max_speed / max(speed, 1e-9))
            mean = np.concatenate([posterior.position, self._velocity])
            posterior = Estimate(now.time, mean, posterior.covariance)
            self._estimate = posterior
        return posterior


def make(site: Site, config: GridConfig, seed: int, model: Path | None) -> GridTracker:
    """The tracker, as `methods` makes it."""
    return GridTracker(site, config)
