# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JUNO for the common loop: learned along a recording (real or simulated) with ground truth.

State a zone, action a subset of anchors, reward by the error of the fix that a tracker would make
of them: its prior, and the subset's ranges. Training needs the ranges of all anchors, use does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numba import njit

from locdreamer_ros.errors import InputError
from locdreamer_ros.juno.paper.jump_start import jump_start_steps
from locdreamer_ros.juno.paper.learning import greedy
from locdreamer_ros.juno.policy import Policy
from locdreamer_ros.recording import Recording
from locdreamer_ros.roles import Scheduler
from locdreamer_ros.types import Estimate, FloatArray, IntArray, Site

RANGE_SIGMA_M = 0.3
PRIOR_SIGMA_M = 0.5
"""What the fix takes a range, and the tracker's prior, to be worth; priors are drawn so, too."""
OFFSET_SIGMA_M = 1e3
"""Of a clock that nobody knows: time differences only."""
CLIP = 5.0
MOST_SUBSETS = 1000
SMOOTH_ZONES = 1.0
"""Sigma, in zones, over which values are shared between neighbours after learning."""


@dataclass(frozen=True)
class Training:
    """How a policy is learned along a recording."""

    zone: float = 1.0
    epochs: int = 3000
    horizon: int = 100
    alpha: float = 0.05
    epsilon: float = 0.3
    guide_epochs: int = 600
    tdoa: bool = False
    """Differences of the ranges only, as if their clock had an unknown offset."""


def fix_errors(
    recording: Recording,
    site: Site,
    subsets: IntArray,
    rng: np.random.Generator,
    *,
    tdoa: bool = False,
) -> FloatArray:
    """Horizontal error (T, M) m of a fix from a drawn prior and the ranges of each subset (M, K).

    Maximum a posteriori by Gauss-Newton; an absent range counts for nothing.
    """
    assert recording.truth is not None
    truth = recording.truth[:, :2]
    height = recording.truth[:, 2] if site.dimensions == 3 else np.full(len(truth), site.tag_height)
    prior = truth + PRIOR_SIGMA_M * rng.standard_normal(truth.shape)
    errors = np.empty((len(truth), len(subsets)))
    certainty = np.diag([PRIOR_SIGMA_M**-2] * 2 + [OFFSET_SIGMA_M**-2])
    for action, rows in enumerate(subsets):
        places, measured = site.anchors.positions[rows], recording.ranges[:, rows]
        present = np.isfinite(measured)
        state = np.column_stack([prior, np.zeros(len(prior))])  # x, y, clock offset
        for _ in range(6):
            delta = np.empty((*measured.shape, 3))
            delta[..., :2] = state[:, None, :2] - places[:, :2]
            delta[..., 2] = height[:, None] - places[:, 2]
            distance = np.maximum(np.linalg.norm(delta, axis=-1), 1e-6)
            residual = np.where(present, measured - distance - state[:, 2:], 0.0)
            jacobian = np.where(present[..., None], delta / distance[..., None], 0.0)
            jacobian[..., 2] = present if tdoa else 0.0
            turned = np.swapaxes(jacobian, 1, 2) / RANGE_SIGMA_M**2
            away = np.column_stack([prior, np.zeros(len(prior))]) - state
            right = (turned @ residual[..., None])[..., 0] + away @ certainty
            state = state + np.linalg.solve(turned @ jacobian + certainty, right[..., None])[..., 0]
        errors[:, action] = np.linalg.norm(state[:, :2] - truth, axis=1)
    return errors


@njit(cache=True)
def _learn(
    q: FloatArray,
    visits: IntArray,
    zones: IntArray,
    rewards: FloatArray,
    epsilon: float,
    guide: IntArray,
    guide_steps: IntArray,
    horizon: int,
    alpha: float,
    rng: np.random.Generator,
) -> None:
    """Learn into q and visits (Z, M) in place: of each zone and action a mean of its rewards.

    zones (T,) and rewards (T, M): along the recording; guide (Z,): its action in each zone, taken
    in the first guide_steps[n] steps of epoch n. A bandit: gamma is 0, see docs/juno.md.
    """
    for epoch in range(guide_steps.size):
        begin = int(rng.random() * max(zones.size - horizon, 1))
        for step in range(min(horizon, zones.size)):
            zone = zones[begin + step]
            if step < guide_steps[epoch]:
                action = guide[zone]
            elif rng.random() < epsilon:
                action = int(rng.random() * q.shape[1])
            else:
                action = greedy(q[zone])
            visits[zone, action] += 1
            # The mean of the first rewards, then of the latest.
            rate = max(alpha, 1.0 / visits[zone, action])
            q[zone, action] += rate * (rewards[begin + step, action] - q[zone, action])


def check_budget(budget: int, count: int) -> None:
    """Raises InputError where `budget` of `count` anchors leave nothing, or too much, to choose."""
    if not 1 <= budget < count:
        raise InputError(f"--budget: expected 1 to {count - 1} of {count} anchors, got {budget}")
    if comb(count, budget) > MOST_SUBSETS:
        raise InputError(
            f"--budget: {comb(count, budget)} subsets of {budget} of {count} anchors are more than "
            f"a table should hold ({MOST_SUBSETS})"
        )


def train_policy(
    recording: Recording,
    site: Site,
    *,
    budget: int,
    rng: np.random.Generator,
    settings: Training | None = None,
    guide: Scheduler | None = None,
) -> Policy:
    """Learn subsets of `budget` anchors along a recording that has truth and all ranges.

    guide: any scheduler, followed at the start of each epoch until it has withdrawn. Raises
    InputError without truth, or for a budget that leaves nothing, or too much, to choose.
    """
    how = settings or Training()
    count = len(site.anchors)
    if recording.truth is None or not np.isfinite(recording.truth[:, :2]).all(axis=1).any():
        raise InputError(f"{recording.where}: training needs ground truth (gt_x, gt_y)")
    check_budget(budget, count)
    recording = _with_truth(recording)
    assert recording.truth is not None
    subsets = np.array(list(combinations(range(count), budget)), dtype=np.intp)
    corners = np.concatenate([recording.truth[:, :2], site.anchors.positions[:, :2]])
    low = np.floor(corners.min(axis=0) / how.zone) * how.zone
    columns, rows = np.floor((corners.max(axis=0) - low) / how.zone).astype(int) + 1
    q = np.zeros((columns * rows, len(subsets)))
    policy = Policy(site.anchors, low, how.zone, int(columns), subsets, q)
    errors = fix_errors(recording, site, subsets, rng, tdoa=how.tdoa)
    rewards = 2.0 * np.minimum(1.0 / np.maximum(errors, 1e-3), CLIP) / CLIP - 1.0
    led = 0 if guide is None else how.horizon
    steps = [jump_start_steps(epoch, how.guide_epochs, led) for epoch in range(how.epochs)]
    visits = np.zeros(q.shape, dtype=np.intp)
    _learn(
        q,
        visits,
        policy.zones(recording.truth[:, :2]),
        rewards,
        how.epsilon,
        np.zeros(len(q), dtype=np.intp) if guide is None else _guided(policy, site, guide),
        np.array(steps, dtype=np.intp),
        how.horizon,
        how.alpha,
        rng,
    )
    values = smoothed(policy.centres / how.zone, q, visits)
    return Policy(site.anchors, low, how.zone, int(columns), subsets, values)


def _with_truth(recording: Recording) -> Recording:
    """Only the epochs whose truth is known."""
    assert recording.truth is not None
    known = np.isfinite(recording.truth[:, :2]).all(axis=1)
    return Recording(
        recording.name,
        recording.anchors,
        recording.times[known],
        recording.ranges[known],
        recording.truth[known],
    )


def _guided(policy: Policy, site: Site, guide: Scheduler) -> IntArray:
    """The guide's action (Z,) in each zone."""
    rows = {tuple(subset): index for index, subset in enumerate(policy.subsets.tolist())}
    d = site.dimensions
    variance = np.concatenate([np.full(d, PRIOR_SIGMA_M**2), np.ones(d)])
    table = np.empty(len(policy.values), dtype=np.intp)
    for zone, centre in enumerate(policy.centres):
        mean = np.zeros(2 * d)
        mean[:2] = centre
        if d == 3:
            mean[2] = site.tag_height
        chosen = guide.select(Estimate(0.0, mean, np.diag(variance)), site.anchors, policy.budget)
        table[zone] = rows[tuple(sorted(chosen.tolist()))]
    return table


def smoothed(cells: FloatArray, q: FloatArray, visits: IntArray) -> FloatArray:
    """Values (Z, M) shared between near zones (cells (Z, 2)) by visits; NaN far from any visit."""
    square = ((cells[:, None] - cells) ** 2).sum(axis=-1)
    kernel = np.where(
        square <= (3.0 * SMOOTH_ZONES) ** 2, np.exp(-0.5 * square / SMOOTH_ZONES**2), 0
    )
    # More than a few dozen visits say no more about a place than the place itself does.
    trust = np.minimum(visits, 30).astype(np.float64)
    weight = kernel @ trust
    known = (visits.sum(axis=1) > 0) @ (square <= 2.0) > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(weight > 0.0, (kernel @ (trust * q)) / weight, -1.0)
    return np.where(known[:, None], mean, np.nan)
