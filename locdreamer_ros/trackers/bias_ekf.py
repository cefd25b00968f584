# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`bias-ekf`: a Kalman tracker that calibrates the anchors' range offsets while it tracks.

State: position (D), velocity (D), a bias c common to all ranges, and a bias b_k per anchor, so
that a range of anchor k is expected to be |p - p^k| + c + b_k. c is a slow random walk (antenna
delays, temperature); b_k is one that is drawn back to zero, so anchors share what they can.
An anchor gets its b_k when it is first heard: until then it has the one that any such anchor has,
and nothing to do with the rest. So this is exact, and a site's other anchors cost nothing; of more
than 64 heard, those heard last keep theirs (`own_states`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from locdreamer_ros.config import parameter
from locdreamer_ros.roles import Tracker
from locdreamer_ros.trackers.kalman import (
    huber_update,
    linearise_ranges,
    recent,
    transition,
    white_acceleration,
)
from locdreamer_ros.trackers.own_states import OwnStates, moved
from locdreamer_ros.types import Estimate, FloatArray, IntArray, Motion, Ranges, Site


@dataclass(frozen=True)
class BiasEkfConfig:
    """Self-calibrating EKF. One tuning for all recordings; see docs/notebook.md."""

    acc_psd: float = parameter(0.3, "density of the acceleration noise, m^2/s^3", low=0.0)
    sigma_n: float = parameter(0.1, "range noise beyond the biases, m", low=1e-3)
    huber: float = parameter(2.0, "innovations beyond this many sigma count linearly", low=0.1)
    iterations: int = parameter(2, "Gauss-Newton steps of one update", low=1, high=50)
    common_sigma: float = parameter(0.3, "first sigma of the common bias, m", low=0.0)
    common_walk: float = parameter(0.01, "random walk of the common bias, m/sqrt(s)", low=0.0)
    anchor_sigma: float = parameter(0.1, "sigma of an anchor's own bias, m", low=0.0)
    anchor_time: float = parameter(
        60.0, "an anchor's own bias is forgotten over this time, s", low=0.1
    )


class BiasEkf(Tracker):
    """The self-calibrating tracker; `estimate` shows position and velocity only."""

    def __init__(self, site: Site, config: BiasEkfConfig) -> None:
        super().__init__()
        self.site = site
        self.config = config
        self._common = 2 * site.dimensions
        self._own = OwnStates(len(site.anchors), self._common + 1)
        self._mean = np.zeros(self._common + 1)
        self._covariance = np.eye(self._common + 1)

    @property
    def offset(self) -> float:
        """What all ranges are thought to be too long by, m."""
        return float(self._mean[self._common])

    @property
    def biases(self) -> FloatArray:
        """(A,) m: what each anchor's ranges are thought to be too long by."""
        own = self._own.place
        return np.where(own < 0, 0.0, self._mean[own]) + self.offset

    def start(self, fix: Estimate) -> None:
        """(Re)start from a first fix; the biases start unknown."""
        kinematic = self._common
        self._own = OwnStates(len(self.site.anchors), kinematic + 1)
        self._mean = np.append(fix.mean, fix.offset)
        self._covariance = np.zeros((kinematic + 1, kinematic + 1))
        self._covariance[:kinematic, :kinematic] = fix.covariance
        self._covariance[kinematic, kinematic] = self.config.common_sigma**2
        self._publish(fix.time)

    def _meet(self, anchor: IntArray) -> None:
        """Anchors that have no bias of their own get one."""
        was = self._own.meet(anchor)
        if was is not None:
            self._mean = np.where(was < 0, 0.0, self._mean[was])
            self._covariance = moved(self._covariance, was, self.config.anchor_sigma**2)

    def _publish(self, time: float) -> Estimate:
        kinematic = self._common
        self._estimate = Estimate(
            time,
            self._mean[:kinematic].copy(),
            self._covariance[:kinematic, :kinematic].copy(),
        )
        return self._estimate

    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        """Move dt >= 0 s ahead; returns the prior."""
        now = self.now
        if dt == 0.0:
            return now
        config, d, common = self.config, self.site.dimensions, self._common
        size = self._mean.size
        matrix = transition(dt, d, size)
        own = np.arange(common + 1, size)
        decay = math.exp(-dt / config.anchor_time)
        matrix[own, own] = decay
        covariance = matrix @ self._covariance @ matrix.T
        covariance[:common, :common] += white_acceleration(dt, config.acc_psd, d)
        covariance[common, common] += config.common_walk**2 * dt
        covariance[own, own] += (1.0 - decay**2) * config.anchor_sigma**2
        self._mean = matrix @ self._mean
        self._covariance = covariance
        return self._publish(now.time + dt)

    def update(self, ranges: Ranges) -> Estimate:
        """Take ranges in; returns the posterior."""
        now = self.now
        used = recent(ranges, now.time)
        if len(used) == 0:
            return now
        common, n = self._common, np.arange(len(used))
        self._meet(used.anchor)
        own = self._own.place[used.anchor]

        def linearise(state: FloatArray) -> tuple[FloatArray, FloatArray]:
            distance, kinematic = linearise_ranges(self.site, state, now.time, used)
            jacobian = np.zeros((len(used), state.size))
            jacobian[:, :common] = kinematic
            jacobian[:, common] = 1.0
            jacobian[n, own] = 1.0
            return distance + state[common] + state[own], jacobian

        self._mean, self._covariance = huber_update(
            self._mean,
            self._covariance,
            used.value,
            used.sigma(self.config.sigma_n),
            linearise,
            huber=self.config.huber,
            iterations=self.config.iterations,
            differences=used.differences,
        )
        return self._publish(now.time)


def make(site: Site, config: BiasEkfConfig, seed: int, model: Path | None) -> BiasEkf:
    """The tracker, as `methods` makes it."""
    return BiasEkf(site, config)
