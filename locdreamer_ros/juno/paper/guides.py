# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Policies as tables (Z,) of one action per zone: guides, and baselines that need no training."""

from __future__ import annotations

import numpy as np

from locdreamer_ros.juno.paper.room import Room
from locdreamer_ros.roles import Scheduler
from locdreamer_ros.types import Anchors, Estimate, FloatArray, IntArray

LINK_SIGMA_M = 0.1
PRIOR_SIGMA_M = 1.0
"""What GDOP takes an arrival time, and the prior, to be worth."""


def random_table(room: Room, rng: np.random.Generator) -> IntArray:
    """The greedy policy of a random Q table, the paper's guide without knowledge."""
    return np.argmax(rng.random((room.nlos.shape[0], room.actions.shape[0])), axis=1)


def scheduler_table(room: Room, scheduler: Scheduler) -> IntArray:
    """What a scheduler of the common loop chooses in each zone, predicted there to 0.3 m."""
    places = np.column_stack([room.beacons[:-1], np.zeros(len(room.beacons) - 1)])
    anchors = Anchors(tuple(f"B{row + 1}" for row in range(len(places))), places)
    rows = {tuple(action): index for index, action in enumerate(room.actions.tolist())}
    covariance = np.diag([0.09, 0.09, 1.0, 1.0])
    table = np.empty(room.nlos.shape[0], dtype=np.intp)
    for zone, (x, y) in enumerate(room.centres):
        prediction = Estimate(0.0, np.array([x, y, 0.0, 0.0]), covariance)
        chosen = scheduler.select(prediction, anchors, room.actions.shape[1])
        table[zone] = rows[tuple(sorted(chosen.tolist()))]
    return table


def fix_variance(
    room: Room, positions: FloatArray, variance: FloatArray, reading: str
) -> FloatArray:
    """Expected squared error (T, M) m^2 of each action at positions (T, 2).

    variance (T, A + 1) m^2 of each beacon's arrival time. The prior counts with `PRIOR_SIGMA_M`.
    """
    delta = positions[:, None] - room.beacons
    unit = delta / np.maximum(np.linalg.norm(delta, axis=-1, keepdims=True), 1e-6)
    chosen = unit[:, room.actions]  # (T, M, K, 2)
    noise = variance[:, room.actions][..., None] * np.eye(room.actions.shape[1])
    if reading == "hyperbola":
        chosen = (chosen[..., :1, :] - chosen[..., 1:, :])[..., :1, :]
        noise = variance[:, room.actions].sum(axis=-1)[..., None, None]
    elif reading == "reference":
        chosen = chosen - unit[:, None, None, -1]
        noise = noise + variance[:, None, None, None, -1]
    information = np.swapaxes(chosen, -1, -2) @ np.linalg.solve(noise, chosen)
    information = information + np.eye(2) / PRIOR_SIGMA_M**2
    a, b = information[..., 0, 0], information[..., 0, 1]
    d = information[..., 1, 1]
    return np.asarray((a + d) / (a * d - b * b))


def gdop_table(room: Room, reading: str = "reference") -> IntArray:
    """The action of least expected error in each zone, were all links LoS."""
    even = np.full((room.nlos.shape[0], len(room.beacons)), LINK_SIGMA_M**2)
    return np.argmin(fix_variance(room, room.centres, even, reading), axis=1)
