# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`particle`: a bootstrap particle filter that knows ranges are blocked now and then.

A range error is Gaussian, or, with some probability, Gaussian plus an exponential tail (NLOS), or
anything (outlier). Systematic resampling; all particles in one array.
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
class ParticleConfig:
    """NLOS-aware particle filter."""

    particles: int = parameter(500, "number of particles", low=10, high=1_000_000)
    acc_psd: float = parameter(0.3, "density of the acceleration noise, m^2/s^3", low=0.0)
    speed_sigma: float = parameter(0.7, "sigma of each velocity component, m/s", low=0.01)
    roughen: float = parameter(0.25, "position jitter, m/sqrt(s)", low=0.0)
    sigma: float = parameter(0.15, "range noise in line of sight, m", low=1e-3)
    offset: float = parameter(0.06, "how much longer than the distance a range is, m")
    nlos: float = parameter(0.7, "probability that a range is blocked", low=0.0, high=1.0)
    tail: float = parameter(0.5, "mean excess of a blocked range, m", low=1e-3)
    outlier: float = parameter(0.05, "probability of a range that says nothing", low=1e-6, high=1.0)
    correlation_time: float = parameter(
        0.3, "errors repeat over this time: faster ranges count less, s", low=0.0
    )


OUTLIER_SPAN_M = 30.0
SPEED_FACTOR = 1.5
"""The speed's sigma is at least this many times the speed of the first fix."""


def log_likelihood(
    error: FloatArray, config: ParticleConfig, sigma: float | FloatArray
) -> FloatArray:
    """Log density of range errors (..., N) m: measured - distance - offset, of noise sigma (N,)."""
    from scipy.special import log_ndtr  # scipy is for who uses this tracker

    rate = 1.0 / config.tail
    gauss = -0.5 * (error / sigma) ** 2 - np.log(sigma * math.sqrt(2.0 * math.pi))
    # Gaussian plus exponential: rate exp(rate^2 sigma^2 / 2 - rate e) Phi(e / sigma - rate sigma).
    tail = (
        math.log(rate)
        + 0.5 * (rate * sigma) ** 2
        - rate * error
        + log_ndtr(error / sigma - rate * sigma)
    )
    good = 1.0 - config.outlier
    return np.asarray(
        np.log(
            good * (1.0 - config.nlos) * np.exp(gauss)
            + good * config.nlos * np.exp(tail)
            + config.outlier / OUTLIER_SPAN_M
        )
    )


def systematic_resample(
    weight: FloatArray, start: float
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Rows (M,) drawn in proportion to weight (M,) summing to 1, with one offset in [0, 1)."""
    count = weight.size
    edges = np.cumsum(weight)
    edges[-1] = 1.0  # rounding must not leave the last offset without a row
    return np.searchsorted(edges, (np.arange(count) + start) / count, side="right")


class ParticleTracker(Tracker):
    """Particles (M, 2D): position, velocity; weights (M,)."""

    def __init__(self, site: Site, config: ParticleConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.site = site
        self.config = config
        self._rng = np.random.default_rng(seed)
        self._low, self._high = site.bounds
        self._state = np.zeros((config.particles, 2 * site.dimensions))
        self._weight = np.full(config.particles, 1.0 / config.particles)
        self._step = 0.0
        self._speed = config.speed_sigma

    def start(self, fix: Estimate) -> None:
        """(Re)start from a first fix."""
        count = self.config.particles
        # What starts out fast, or outside, is looked for there too.
        self._speed = max(
            self.config.speed_sigma, SPEED_FACTOR * float(np.linalg.norm(fix.velocity))
        )
        self._low, self._high = self.site.bounds_around(fix.position)
        factor = np.linalg.cholesky(fix.covariance)
        self._state = fix.mean + self._rng.standard_normal((count, fix.mean.size)) @ factor.T
        self._weight = np.full(count, 1.0 / count)
        self._publish(fix.time)

    def _publish(self, time: float) -> Estimate:
        mean = self._weight @ self._state
        deviation = self._state - mean
        covariance = (deviation * self._weight[:, None]).T @ deviation
        self._estimate = Estimate(time, mean, covariance)
        return self._estimate

    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        """Move dt >= 0 s ahead; returns the prior."""
        now = self.now
        if dt == 0.0:
            return now
        config, d = self.config, self.site.dimensions
        self._step += dt
        position, velocity = self._state[:, :d], self._state[:, d:]
        noise = self._rng.standard_normal((2, *velocity.shape))
        # A velocity that is drawn back to rest keeps its sigma at `speed_sigma`, whatever dt is.
        decay = math.exp(-0.5 * dt * config.acc_psd / config.speed_sigma**2)
        faster = decay * velocity + self._speed * math.sqrt(1.0 - decay**2) * noise[0]
        position = position + 0.5 * dt * (velocity + faster)
        position += config.roughen * math.sqrt(dt) * noise[1]
        position = np.clip(position, self._low, self._high)
        self._state = np.concatenate([position, faster], axis=1)
        return self._publish(now.time + dt)

    def update(self, ranges: Ranges) -> Estimate:
        """Take ranges in; returns the posterior."""
        now = self.now
        used = recent(ranges, now.time)
        if len(used) == 0:
            return now
        config, d = self.config, self.site.dimensions
        position, velocity = self._state[:, :d], self._state[:, d:]
        ahead = used.stamp - now.time
        # (M, N, D): each range is compared with where the particle was at the range's own stamp.
        there = position[:, None, :] + ahead[:, None] * velocity[:, None, :]
        error = used.value - self.site.expected(there, used.anchor) - config.offset
        if used.differences:
            error -= np.median(error, axis=1, keepdims=True)
        score = log_likelihood(error, config, used.sigma(config.sigma)).sum(axis=1)
        step, self._step = self._step, 0.0
        if config.correlation_time > 0.0:
            score *= -math.expm1(-step / config.correlation_time)
        weight = self._weight * np.exp(score - score.max())
        self._weight = weight / weight.sum()
        posterior = self._publish(now.time)
        if 1.0 / (self._weight @ self._weight) < 0.5 * config.particles:
            rows = systematic_resample(self._weight, float(self._rng.random()))
            self._state = self._state[rows]
            self._weight = np.full(config.particles, 1.0 / config.particles)
        return posterior


def make(site: Site, config: ParticleConfig, seed: int, model: Path | None) -> ParticleTracker:
    """The tracker, as `methods` makes it."""
    return ParticleTracker(site, config, seed=seed)
