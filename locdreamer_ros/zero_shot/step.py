# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The filter's step in numpy, to be read from top to bottom: predict, update, what is shown of it.

Functions of a `State`, which give another one. `training/hybrid.py` is the same in torch and in
batches; `src/filter.hpp` and `src/update.hpp` are the same in C++, without odometry. Tests hold the
three together.
"""

from __future__ import annotations

import numpy as np

from locdreamer_ros.geometry import slant
from locdreamer_ros.trackers.own_states import MOST_KEPT
from locdreamer_ros.types import FloatArray, IntArray, Motion, Ranges, Site
from locdreamer_ros.zero_shot import odometry_frame as frame
from locdreamer_ros.zero_shot.layout import (
    COMMON,
    FAST_WEIGHT,
    FIRST_BIAS,
    KINEMATIC,
    NEAR_AT_M,
    NEAR_M,
    NEWS_WIDTH,
    SEEN_CONTEXT,
    SIGMA_M,
    SILENT_S,
    SPACE,
    VX,
    VZ,
    WEIGHTS,
)
from locdreamer_ros.zero_shot.model_file import Weights
from locdreamer_ros.zero_shot.network import Seen, look_at, project, silu, squash
from locdreamer_ros.zero_shot.state import State

WEIGHT = np.repeat(WEIGHTS, NEWS_WIDTH)
RIDING_SHARE = 0.1
"""What is left of the motion's learned jumps where odometry says how the tag moved."""
TURN_KNOWN = 0.2
"""What is left of the acceleration's density where a gyro says how the tag turned."""


def predict(
    w: Weights, state: State, dt: float, motion: Motion | None, *, riding: bool, climbs: bool
) -> State:
    """The state dt > 0 s ahead.

    riding: odometry's frame is known, and `motion` says the way in it; climbs: the height may
    change.
    """
    n, mean = w.noises, state.mean
    moved = motion.displacement if riding and motion is not None else None
    vx, vy = mean[VX : VX + 2] if moved is None else moved / dt
    way = np.sqrt(vx * vx + vy * vy + 1e-4) * dt
    look = np.append(state.context, [np.log(dt + 1e-3), way])
    climate = w["climate_head.weight"] @ silu(w["climate.weight"] @ look + w["climate.bias"])
    climate = 2.0 * np.tanh((climate + w["climate_head.bias"]) / 2.0)
    own = np.exp(-dt / n["own_time"])
    local = np.exp(-dt / n["local_time"] - way / n["local_way"] * np.exp(-climate[1]))
    scale = np.ones(mean.size)
    scale[state.own], scale[state.local] = own, local
    mean = mean * scale
    covariance = state.covariance * (scale[:, None] * scale)
    density = (n["acceleration"] * np.exp(climate[0])) ** 2
    diagonal = np.full(mean.size, 1e-7)
    diagonal[SPACE - 1] = diagonal[VZ] = 0.0
    if moved is not None:
        cross = frame.ride(mean, covariance, diagonal, moved, dt, density)
        level = slice(SPACE - 1, SPACE)
    else:
        if motion is not None and motion.turn is not None:
            density = density * TURN_KNOWN
            frame.steer(mean, covariance, motion.turn)
        diagonal[:2] += density * dt**3 / 3.0
        diagonal[VX : VX + 2] += density * dt
        cross = density * dt**2 / 2.0
        level = slice(0, SPACE)
    speed = slice(level.start + SPACE, level.stop + SPACE)
    mean[level] += dt * mean[speed]
    covariance[level] += dt * covariance[speed]
    covariance[:, level] += dt * covariance[:, speed]
    climb = (n["vertical"] * np.exp(climate[3])) ** 2 if climbs else 0.0
    diagonal[SPACE - 1] += climb * dt**3 / 3.0
    diagonal[VZ] += climb * dt
    diagonal[COMMON] += (n["common_walk"] * np.exp(climate[2])) ** 2 * dt
    diagonal[state.own] += n["own"] ** 2 * (1.0 - own**2)
    diagonal[state.local] += n["local"] ** 2 * (1.0 - local**2)
    covariance[np.diag_indices(mean.size)] += diagonal
    for axis, both in ((0, cross), (1, cross), (2, climb * dt**2 / 2.0)):
        covariance[axis, axis + SPACE] += both
        covariance[axis + SPACE, axis] += both
    return state.changed(
        mean=mean,
        covariance=covariance,
        age=np.minimum(state.age + dt, SILENT_S),
        since=state.since + dt,
    )


def update(
    w: Weights,
    site: Site,
    state: State,
    slot: IntArray,
    ahead: FloatArray,
    used: Ranges,
    *,
    riding: bool,
) -> tuple[State, FloatArray]:
    """The state with usable ranges (K,) taken in, and by how much its covariance (N, N) fell.

    slot (A,): of each anchor its slot, which it has; ahead (K,) s: stamps from the state's time on;
    riding: as for `predict`.
    """
    where = slot[used.anchor]
    seen = Seen(
        used.value,
        ahead,
        used.nlos_probability,
        site.anchors.positions[used.anchor],
        where,
        FIRST_BIAS + where,
        FIRST_BIAS + state.slots + where,
    )
    prior, covariance = state.mean, state.covariance
    distance, direction = _geometry(prior, seen)
    near = NEAR_M * np.log(distance / NEAR_AT_M)
    bias = prior[COMMON] + prior[seen.own] + prior[seen.local] + near
    first = innovation = seen.value - distance - bias
    features = _features(state, innovation, distance, direction, seen)
    point, residual = prior, np.zeros(len(used))
    for again in (0.0, 1.0):
        look = np.column_stack([features, squash(residual), np.full(len(used), again)])
        sigma, shift, jump, motion = look_at(w, look)
        sigma = used.sigma(sigma)
        if again:
            distance, direction = _geometry(point, seen)
            moved = point[:KINEMATIC] - prior[:KINEMATIC]
            moved = moved[:SPACE] + ahead[:, None] * moved[SPACE:]
            innovation = seen.value - distance - bias + (direction * moved).sum(axis=1)
        inflated = covariance.copy()
        if riding:
            motion = motion * RIDING_SHARE
        level = np.array([0, 1, VX, VX + 1])
        inflated[level, level] += motion[[0, 0, 1, 1]]
        inflated[seen.local, seen.local] += jump
        cross, innovation_covariance = project(inflated, direction, ahead, seen.own, seen.local)
        innovation_covariance[np.diag_indices(len(used))] += sigma**2
        gain = np.linalg.solve(innovation_covariance, cross).T
        point = prior + gain @ (innovation - shift)
        residual = seen.value - _geometry(point, seen)[0]
        residual -= point[COMMON] + point[seen.own] + point[seen.local] + near
    gained = gain @ cross
    posterior = inflated - gained
    state = state.changed(mean=point, covariance=0.5 * (posterior + posterior.T))
    return _remember(state, first, features[:, 1], residual, seen), gained


def _geometry(mean: FloatArray, seen: Seen) -> tuple[FloatArray, FloatArray]:
    """Slant distances (K,) m from where the tag was at each stamp, their directions (K, 3)."""
    position = mean[:SPACE] + seen.ahead[:, None] * mean[SPACE:KINEMATIC]
    return slant(position - seen.place)


def _features(
    state: State,
    innovation: FloatArray,
    distance: FloatArray,
    direction: FloatArray,
    seen: Seen,
) -> FloatArray:
    """What the network sees of each range (K, F - 2), in the order of `Hybrid.features`.

    innovation, distance (K,) m, direction (K, 3): at the prior.
    """
    covariance, mean = state.covariance, state.mean
    innovation_covariance = project(covariance, direction, seen.ahead, seen.own, seen.local)[1]
    k = len(innovation)
    innovation_covariance[np.diag_indices(k)] += SIGMA_M**2
    information = np.linalg.inv(innovation_covariance)
    precision = np.maximum(np.diag(information), 1e-6)
    left_out = information @ innovation / precision  # the leave-one-out residual
    variance = np.maximum(np.diag(covariance), 1e-8)
    level = direction[:, :2]
    along = np.maximum(((level @ covariance[:2, :2]) * level).sum(axis=1), 1e-6)
    known = ~np.isnan(seen.blocked)
    features = np.empty((k, 21 + len(SEEN_CONTEXT)))
    features[:, 0] = squash(innovation)
    features[:, 1] = np.arcsinh(innovation / np.sqrt(np.diag(innovation_covariance)))
    features[:, 2] = squash(innovation - innovation.mean())
    features[:, 3] = squash(left_out)
    features[:, 4] = np.arcsinh(left_out * np.sqrt(precision))
    features[:, 5] = squash(mean[seen.own])
    features[:, 6] = squash(mean[seen.local])
    features[:, 7] = 0.5 * np.log(variance[seen.own]) + 2.0
    features[:, 8] = 0.5 * np.log(variance[seen.local]) + 2.0
    features[:, 9] = np.arcsinh(distance / 10.0)
    features[:, 10] = -direction[:, 2]
    features[:, 11] = level @ mean[VX : VX + 2]
    features[:, 12] = 0.5 * np.log(state.age[seen.slot] + 0.05)
    features[:, 13] = np.log(state.surprise[seen.slot] + 0.02) + 2.0
    features[:, 14] = 0.5 * np.log(along) + 1.0
    features[:, 15] = np.where(known, seen.blocked - 0.3, 0.0)
    features[:, 16] = known
    features[:, 17] = 0.5 * np.log(variance[COMMON]) + 2.0
    features[:, 18] = 0.5 * np.log(variance[0] + variance[1]) + 1.0
    features[:, 19] = np.log(state.since + 0.05)
    features[:, 20] = np.log(k)
    features[:, 21:] = state.context[list(SEEN_CONTEXT)]
    return features


def _remember(
    state: State,
    innovation: FloatArray,
    whitened: FloatArray,
    residual: FloatArray,
    seen: Seen,
) -> State:
    """Running means of how far ranges were off, and of how large biases turn out to be.

    innovation, residual (K,) m: before and after the update; whitened (K,): over its sigma.
    """
    off = np.abs(innovation)
    mean, variance = state.mean, np.diag(state.covariance)
    news = np.array(
        [
            squash(off).mean(),
            squash(innovation).mean(),
            squash(np.abs(residual)).mean(),
            squash(off).max(),
            np.abs(whitened).mean(),
            squash(np.sqrt((mean[seen.own] ** 2 + variance[seen.own]).mean() + 1e-6)),
            squash(np.sqrt((mean[seen.local] ** 2 + variance[seen.local]).mean() + 1e-6)),
            np.log(off.size),
        ]
    )
    weight = np.maximum(WEIGHT, 1.0 / (state.updates + 1.0))
    context = state.context + weight * (np.tile(news, len(WEIGHTS)) - state.context)
    surprise, age = state.surprise.copy(), state.age.copy()
    surprise[seen.slot] += FAST_WEIGHT * (off - surprise[seen.slot])
    age[seen.slot] = 0.0
    return state.changed(
        since=0.0, updates=state.updates + 1.0, context=context, surprise=surprise, age=age
    )


def _forget(state: State, slot: IntArray, rows: IntArray, count: int) -> tuple[State, IntArray]:
    """The state and the slots without those `count` that are unheard for longest; not of `rows`."""
    if count <= 0:
        return state, slot
    age = state.age.copy()
    age[0] = age[slot[rows]] = -1.0
    oldest = np.argsort(-age, kind="stable")[:count]
    kept = np.delete(np.arange(state.slots), oldest[age[oldest] >= 0.0])
    place = np.zeros(state.slots, dtype=np.intp)
    place[kept] = np.arange(kept.size)
    states = np.concatenate(
        [
            np.arange(FIRST_BIAS),
            FIRST_BIAS + kept,
            FIRST_BIAS + state.slots + kept,
            np.arange(state.plain, state.size),
        ]
    )
    left = state.changed(
        age=state.age[kept],
        surprise=state.surprise[kept],
        mean=state.mean[states],
        covariance=state.covariance[np.ix_(states, states)],
    )
    return left, place[slot]


def meet(state: State, slot: IntArray, rows: IntArray) -> tuple[State, IntArray]:
    """The state and the slots (A,) once anchors `rows` (K,) all have a slot of their own.

    Of more than `MOST_KEPT` anchors those heard last keep theirs.
    """
    new = np.unique(rows[slot[rows] == 0])
    if new.size == 0:
        return state, slot
    state, slot = _forget(state, slot, rows, state.slots - 1 + new.size - MOST_KEPT)
    known = state.slots
    slot = slot.copy()
    slot[new] = known + np.arange(new.size)
    was = np.concatenate([np.arange(known), np.zeros(new.size, dtype=np.intp)])
    extra = np.arange(state.plain, state.size)
    states = np.concatenate(
        [np.arange(FIRST_BIAS), FIRST_BIAS + was, FIRST_BIAS + known + was, extra]
    )
    covariance = state.covariance[np.ix_(states, states)]
    own = FIRST_BIAS + slot[new]
    added = np.concatenate([own, own + was.size])
    variance = covariance[added, added]
    covariance[added] = 0.0
    covariance[:, added] = 0.0
    covariance[added, added] = variance
    met = state.changed(
        age=state.age[was],
        surprise=state.surprise[was],
        mean=state.mean[states],
        covariance=covariance,
    )
    return met, slot


def trust(w: Weights, state: State) -> float:
    """By what the covariance is multiplied where it is shown."""
    covariance = state.covariance
    log_sigma = 0.5 * np.log(covariance[0, 0] + covariance[1, 1]) + 1.0
    hidden = silu(w["trust.weight"] @ np.append(state.context, log_sigma) + w["trust.bias"])
    scale = float(w["trust_head.weight"][0] @ hidden + w["trust_head.bias"][0])
    return float(np.exp(4.0 * np.tanh(scale / 4.0)))
