# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ekf`, the paper's baseline, and `robust-ekf`, the same filter iterated with Huber weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from locdreamer_ros.config import parameter
from locdreamer_ros.roles import Tracker
from locdreamer_ros.trackers.kalman import (
    huber_update,
    linearise_ranges,
    piecewise_acceleration,
    recent,
    transition,
    white_acceleration,
)
from locdreamer_ros.types import Estimate, FloatArray, Motion, Ranges, Site


@dataclass(frozen=True)
class EkfConfig:
    """The paper's constant-velocity EKF."""

    sigma_acc: float = parameter(1.0, "acceleration noise, constant in a step, m/s^2", low=0.0)
    sigma_n: float = parameter(0.15, "range noise, m", low=1e-3)


@dataclass(frozen=True)
class RobustEkfConfig:
    """Iterated EKF with Huber weights; process noise does not depend on the rate."""

    acc_psd: float = parameter(0.1, "density of the acceleration noise, m^2/s^3", low=0.0)
    sigma_n: float = parameter(0.15, "range noise, m", low=1e-3)
    huber: float = parameter(1.0, "innovations beyond this many sigma count linearly", low=0.1)
    iterations: int = parameter(5, "Gauss-Newton steps of one update", low=1, high=50)


class KalmanTracker(Tracker):
    """Constant velocity, state mean (S,) and covariance (S, S)."""

    def __init__(
        self,
        site: Site,
        *,
        process_noise: Callable[[float], FloatArray],
        sigma_n: float,
        huber: float = math.inf,
        iterations: int = 1,
    ) -> None:
        """process_noise(dt s): Q (S, S); sigma_n m; huber, iterations: of `huber_update`."""
        super().__init__()
        self.site = site
        self._process_noise = process_noise
        self._sigma_n = sigma_n
        self._huber = huber
        self._iterations = iterations

    def start(self, fix: Estimate) -> None:
        """(Re)start from a first fix."""
        self._estimate = fix

    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        """Move dt >= 0 s ahead; returns the prior."""
        now = self.now
        if dt > 0.0:
            matrix = transition(dt, self.site.dimensions, now.mean.size)
            covariance = matrix @ now.covariance @ matrix.T + self._process_noise(dt)
            now = Estimate(now.time + dt, matrix @ now.mean, covariance)
            self._estimate = now
        return now

    def update(self, ranges: Ranges) -> Estimate:
        """Take ranges in; returns the posterior."""
        now = self.now
        used = recent(ranges, now.time)
        if len(used) > 0:
            mean, covariance = huber_update(
                now.mean,
                now.covariance,
                used.value,
                used.sigma(self._sigma_n),
                lambda state: linearise_ranges(self.site, state, now.time, used),
                huber=self._huber,
                iterations=self._iterations,
                differences=used.differences,
            )
            now = Estimate(now.time, mean, covariance)
            self._estimate = now
        return now


def make_ekf(site: Site, config: EkfConfig, seed: int, model: Path | None) -> KalmanTracker:
    """The paper's EKF."""
    return KalmanTracker(
        site,
        process_noise=lambda dt: piecewise_acceleration(dt, config.sigma_acc, site.dimensions),
        sigma_n=config.sigma_n,
    )


def make_robust_ekf(
    site: Site, config: RobustEkfConfig, seed: int, model: Path | None
) -> KalmanTracker:
    """The iterated Huber EKF, as `methods` makes it."""
    return robust_ekf(site, config)


def robust_ekf(site: Site, config: RobustEkfConfig) -> KalmanTracker:
    """The iterated Huber EKF."""
    return KalmanTracker(
        site,
        process_noise=lambda dt: white_acceleration(dt, config.acc_psd, site.dimensions),
        sigma_n=config.sigma_n,
        huber=config.huber,
        iterations=config.iterations,
    )
