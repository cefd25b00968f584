# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Foresight for trackers that know of no biases: a covariance that does, without range values.

The covariance of a Kalman filter needs to know who was asked and from where, not what was answered.
So it can run beside any tracker: position, velocity, a bias common to all ranges, and of each
anchor a local bias that is forgotten with time and with the way walked, because blocked links
belong to places. The local sigma and way are those of houses (docs/simulator.md).
"""

from __future__ import annotations

import math

import numpy as np

from locdreamer_ros.schedulers.gdop import directions
from locdreamer_ros.trackers.kalman import transition, white_acceleration
from locdreamer_ros.trackers.own_states import MOST_KEPT, OwnStates, moved
from locdreamer_ros.types import Estimate, FloatArray, Foresight, IntArray, Site

ACC_PSD = 0.3
"""Density of the acceleration noise, m^2/s^3."""
COMMON_M, LOCAL_M, FRESH_M = 0.2, 0.3, 0.15
"""Sigmas of the common bias, of a local bias, and of what is drawn anew."""
LOCAL_S, LOCAL_WAY_M = 20.0, 1.5
"""A local bias is forgotten over this time and over this way."""


class Shadow:
    """Covariance (2 D + 1 + A square) of position, velocity, common bias, local biases.

    On a site of more than `MOST_KEPT` anchors only those heard last have a local bias there.
    """

    def __init__(self, site: Site, start: Estimate) -> None:
        self._site = site
        self._time = start.time
        d, count = site.dimensions, len(site.anchors)
        self._common = 2 * d
        self._own = OwnStates(count, self._common + 1)
        if count <= MOST_KEPT:
            self._own.meet(np.arange(count))
        size = self._common + 1 + int((self._own.place >= 0).sum())
        self._covariance = np.zeros((size, size))
        self._covariance[: 2 * d, : 2 * d] = start.covariance
        own = np.arange(self._common + 1, size)
        self._covariance[self._common, self._common] = COMMON_M**2
        self._covariance[own, own] = LOCAL_M**2

    def _move(self, prediction: Estimate) -> None:
        dt = prediction.time - self._time
        self._time = prediction.time
        if dt <= 0.0:
            return
        d, size = self._site.dimensions, len(self._covariance)
        way = float(np.linalg.norm(prediction.velocity)) * dt
        keep = math.exp(-dt / LOCAL_S - way / LOCAL_WAY_M)
        matrix = transition(dt, d, size)
        own = np.arange(self._common + 1, size)
        matrix[own, own] = keep
        covariance = matrix @ self._covariance @ matrix.T
        covariance[: 2 * d, : 2 * d] += white_acceleration(dt, ACC_PSD, d)
        covariance[own, own] += LOCAL_M**2 * (1.0 - keep**2)
        self._covariance = covariance

    def _jacobian(self, estimate: Estimate, rows: IntArray) -> FloatArray:
        d = self._site.dimensions
        jacobian = np.zeros((rows.size, len(self._covariance)))
        jacobian[:, :d] = directions(self._site, estimate.position, rows)
        jacobian[:, self._common] = 1.0
        own = self._own.place[rows]
        there = np.flatnonzero(own >= 0)
        jacobian[there, own[there]] = 1.0
        return jacobian

    def foresee(self, prediction: Estimate, rows: IntArray) -> Foresight:
        """Foresight of anchors `rows` at the predicted place."""
        self._move(prediction)
        d = self._site.dimensions
        jacobian = self._jacobian(prediction, rows)
        cross = jacobian @ self._covariance
        projected = cross @ jacobian.T
        strange = np.flatnonzero(self._own.place[rows] < 0)
        projected[strange, strange] += LOCAL_M**2
        return Foresight(self._covariance[:d, :d].copy(), cross[:, :d], projected)

    def heard(self, posterior: Estimate, rows: IntArray) -> None:
        """Anchors `rows` answered."""
        if rows.size == 0:
            return
        was = self._own.meet(rows)
        if was is not None:
            self._covariance = moved(self._covariance, was, LOCAL_M**2)
        jacobian = self._jacobian(posterior, rows)
        cross = jacobian @ self._covariance
        innovation_covariance = cross @ jacobian.T
        innovation_covariance[np.diag_indices(rows.size)] += FRESH_M**2
        covariance = self._covariance - cross.T @ np.linalg.solve(innovation_covariance, cross)
        self._covariance = 0.5 * (covariance + covariance.T)
