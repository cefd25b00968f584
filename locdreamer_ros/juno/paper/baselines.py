# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Baselines that measure every beacon first: WLS selection, and a fix from all of them."""

from __future__ import annotations

import numpy as np

from locdreamer_ros.juno.paper.guides import LINK_SIGMA_M, fix_variance
from locdreamer_ros.juno.paper.room import Room
from locdreamer_ros.juno.paper.tdoa import REFERENCE, locate_each
from locdreamer_ros.juno.paper.walk import Walk
from locdreamer_ros.types import FloatArray

ITERATIONS = 15
HUBER_M = 0.3


def locate_by_all(room: Room, walk: Walk, *, robust: bool) -> tuple[FloatArray, FloatArray]:
    """Least squares over all beacons, step by step: fixes (T, 2) m, residuals (T, A + 1) m.

    The clock's offset is solved for too, which is the same as taking differences. Gauss-Newton from
    the middle of the area, kept inside it; robust: Huber's weights beyond `HUBER_M`.
    """
    steps, count = walk.times.shape
    fixes = np.tile(room.size / 2.0, (steps, 1))
    jacobian = np.ones((steps, count, 3))
    residual = np.zeros((steps, count))
    offset = np.zeros(steps)
    for _ in range(ITERATIONS):
        delta = fixes[:, None] - room.beacons
        distance = np.maximum(np.linalg.norm(delta, axis=-1), 1e-6)
        jacobian[..., :2] = delta / distance[..., None]
        residual = walk.times - distance - offset[:, None]
        weight = (
            HUBER_M / np.maximum(np.abs(residual), HUBER_M) if robust else np.ones_like(residual)
        )
        weighted = np.swapaxes(jacobian * weight[..., None], 1, 2)
        information = weighted @ jacobian + 1e-6 * np.eye(3)
        move = np.linalg.solve(information, weighted @ residual[..., None])[..., 0]
        fixes = np.clip(fixes + move[:, :2], 0.0, room.size)
        offset = offset + move[:, 2]
    return fixes, residual


def locate_by_wls(room: Room, walk: Walk) -> FloatArray:
    """WLS selection: measure all, keep the action whose beacons fit best; fixes (T, 2) m.

    A beacon's variance is its squared residual in a robust fix from all, plus the nominal one; the
    action of least expected error locates the user, that robust fix being its prior.
    """
    prior, residual = locate_by_all(room, walk, robust=True)
    variance = LINK_SIGMA_M**2 + residual**2
    best = np.argmin(fix_variance(room, prior, variance, "reference"), axis=1)
    rows = room.actions[best]
    return np.asarray(locate_each(REFERENCE, room.beacons, walk.times, rows, prior, room.size)[0])
