# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`zero-shot`: the shipped world model, a Kalman filter with learned parts, in rooms never seen.

The state is `layout`'s, in space; in the plane the height is known, and the same numbers come out
as of a filter without it. `training/hybrid.py` is the same filter in torch and in batches, where it
is trained; a test holds the two together. Here only numpy is needed. Where the kernel was built
(`compiled_step`), it does the same faster; odometry, and what is not ordinary, is numpy's.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from locdreamer_ros.geometry import slant
from locdreamer_ros.roles import Tracker
from locdreamer_ros.trackers.kalman import recent, started
from locdreamer_ros.types import (
    Chosen,
    Estimate,
    FloatArray,
    Foreseen,
    IntArray,
    Motion,
    Ranges,
    Site,
)
from locdreamer_ros.zero_shot import odometry_frame as frame
from locdreamer_ros.zero_shot.compiled_step import STRANGER, Ahead, Stepped, compiled_step
from locdreamer_ros.zero_shot.foresight import foresee
from locdreamer_ros.zero_shot.layout import (
    COMMON,
    CONTEXT,
    FAST,
    FIRST,
    KINEMATIC,
    NEWS,
    SEEN_CONTEXT,
    SIGMA_M,
    SILENT_S,
    SPACE,
    VERTICAL_SPEED,
    VX,
    VZ,
    WEIGHTS,
)
from locdreamer_ros.zero_shot.model_file import SHIPPED_NAME, Weights
from locdreamer_ros.zero_shot.network import Seen, look_at, project, silu, squash
from locdreamer_ros.zero_shot.state import State

WEIGHT = np.repeat(WEIGHTS, NEWS)
RIDING = 0.1
"""What is left of the motion's learned jumps where odometry says how the tag moved."""
FREE_M = 30.0
"""First sigma of the bias that the ranges of a blink share: so wide that it says nothing.

Around the median of what they are off by, a narrow one would use the prior twice: with 1 m the 95 %
ellipse held 78 % of the errors in the house, with this 89 %."""
TURN_KNOWN = 0.2
"""What is left of the acceleration's density where a gyro says how the tag turned."""


class Beforehand(NamedTuple):
    """A step that `together` made: from a state, for what `given`."""

    state: State
    given: object
    answer: Any

    def fits(self, state: State, given: object) -> bool:
        """Whether it is the step from this very state, which is replaced at each, for this."""
        return self.state is state and self.given == given


class ZeroShotTracker(Tracker):
    """Tracker over `Weights`; any anchors known by place, any subset of them, any order."""

    def __init__(self, site: Site, weights: Weights, *, name: str = SHIPPED_NAME) -> None:
        super().__init__()
        self.site = site
        self.model_name = name
        self._w = weights
        self._n = {name: float(np.exp(value)) for name, value in weights.noise.items()}
        # x, y (z) and their velocities: what an estimate shows of the state.
        axes = np.arange(site.dimensions)
        self._shown = np.concatenate([axes, axes + SPACE])
        self._climbs = site.dimensions == SPACE or site.height_sigma > 0.0
        self._compiled = compiled_step(weights, site, self._climbs)
        self._estimate: Estimate | None = None
        self.predicted: Beforehand | None = None
        self.updated: Beforehand | None = None
        self._reset()

    def _reset(self) -> None:
        # Of each anchor its slot in the state; 0: never heard, see `layout`.
        self._slot = np.zeros(len(self.site.anchors), dtype=np.intp)
        self.state = State.of(
            since=0.0,
            updates=0.0,
            context=np.zeros(CONTEXT),
            age=np.array([SILENT_S]),
            surprise=np.array([0.1]),
            mean=np.zeros(FIRST + 2),
            covariance=np.zeros((FIRST + 2, FIRST + 2)),
        )
        self._finder = frame.FrameFinder()
        self._slip = frame.SlipWatch()
        self._framed = False
        """Whether the heading of odometry's frame is a state."""
        self._riding = False

    @property
    def estimate(self) -> Estimate | None:
        """The current estimate; None before `start`."""
        return self._estimate

    @property
    def offset(self) -> float:
        """What all ranges are thought to be too long by, m."""
        return self.state.common

    @property
    def biases(self) -> FloatArray:
        """(A,) m: what each anchor's ranges are thought to be too long by, here and now."""
        state, mean = self.state, self.state.mean
        biases = mean[COMMON] + mean[state.own] + mean[state.local]
        return np.asarray(biases[self._slot])

    def fork(self) -> ZeroShotTracker:
        """A tracker in the same state that goes its own way."""
        other = copy(self)
        other._part()
        return other

    def _part(self) -> None:
        """Have, as a copy, what is written in place for itself; all else is replaced."""
        self.fallbacks = self.fallbacks.copy()
        self._finder, self._slip = self._finder.fork(), copy(self._slip)

    def start(self, fix: Estimate) -> None:
        """(Re)start from a first fix; the biases start unknown but for the fix's offset."""
        self._reset()
        site, state = self.site, self.state
        mean, variance = np.zeros(state.size), np.zeros(state.size)
        variance[COMMON] = self._n["common"] ** 2
        variance[state.own] = self._n["own"] ** 2
        variance[state.local] = self._n["local"] ** 2
        if site.dimensions < SPACE:
            mean[SPACE - 1] = site.tag_height
            variance[SPACE - 1] = site.height_sigma**2
            variance[VZ] = VERTICAL_SPEED**2 if self._climbs else 0.0
        covariance = np.diag(variance)
        mean[self._shown] = fix.mean
        mean[COMMON] = fix.offset
        covariance[np.ix_(self._shown, self._shown)] = fix.covariance
        self.state = state.changed(mean=mean, covariance=covariance)
        self._publish(fix.time)

    def _publish(self, time: float) -> Estimate:
        covariance = self.state.covariance
        spread = 0.5 * np.log(covariance[0, 0] + covariance[1, 1]) + 1.0
        w = self._w
        trust = silu(w["trust.weight"] @ np.append(self.state.context, spread) + w["trust.bias"])
        scale = float(w["trust_head.weight"][0] @ trust + w["trust_head.bias"][0])
        scale = np.exp(4.0 * np.tanh(scale / 4.0))
        shown = self._shown
        seen = covariance[np.ix_(shown, shown)] * scale
        return self._take(time, Stepped(self.state, self.state.mean[shown], seen))

    def _foreseen(self, state: State) -> Foreseen:
        if self._compiled and state.size == state.plain:
            return Ahead(self._compiled, self.site, state, self._slot)
        look = partial(foresee, self.site, state.mean, state.covariance, self._slot)
        return Foreseen(look)

    def _take(self, time: float, step: Stepped, chosen: Chosen | None = None) -> Estimate:
        """What was made of a step."""
        self.state = step.state
        state, shown, covariance = step
        ahead, offset = self._foreseen(state), state.common
        self._estimate = Estimate(time, shown, covariance, ahead, offset, chosen)
        return self._estimate

    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        """Move dt >= 0 s ahead; returns the prior."""
        now = started(self._estimate)
        if dt == 0.0:
            return now
        if self._compiled and motion is None and not self._framed:
            chosen, ready = None, self.predicted
            if ready is not None and ready.fits(self.state, dt):
                done, chosen = ready.answer
            else:
                done = self._compiled.predict(self.state, dt)
            if done is not None:
                self._finder.clear()
                self._riding = False
                return self._take(now.time + dt, done, chosen)
        moved = None if motion is None else motion.displacement
        self._find_frame(moved)
        w, n, state = self._w, self._n, self.state
        mean = state.mean
        riding = moved is not None and self._framed
        vx, vy = mean[VX : VX + 2] if moved is None or not riding else moved / dt
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
        if moved is not None and riding:
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
        climb = (n["vertical"] * np.exp(climate[3])) ** 2 if self._climbs else 0.0
        diagonal[SPACE - 1] += climb * dt**3 / 3.0
        diagonal[VZ] += climb * dt
        diagonal[COMMON] += (n["common_walk"] * np.exp(climate[2])) ** 2 * dt
        diagonal[state.own] += n["own"] ** 2 * (1.0 - own**2)
        diagonal[state.local] += n["local"] ** 2 * (1.0 - local**2)
        covariance[np.diag_indices(mean.size)] += diagonal
        for axis, both in ((0, cross), (1, cross), (2, climb * dt**2 / 2.0)):
            covariance[axis, axis + SPACE] += both
            covariance[axis + SPACE, axis] += both
        self.state = state.changed(
            mean=mean,
            covariance=covariance,
            age=np.minimum(state.age + dt, SILENT_S),
            since=state.since + dt,
        )
        self._riding = riding
        return self._publish(now.time + dt)

    def coast(self, dt: float, slowing: float, speed_variance: float) -> Estimate:
        """Move dt s ahead with nothing heard: see `Tracker.coast`. The biases are kept."""
        now = self.predict(dt)
        speed = np.arange(SPACE, KINEMATIC) if self._climbs else np.array([VX, VX + 1])
        state = self.state
        scale = np.ones(state.size)
        scale[speed] = slowing
        covariance = state.covariance * (scale[:, None] * scale)
        covariance[speed, speed] += speed_variance
        self.state = state.changed(mean=state.mean * scale, covariance=covariance)
        return self._publish(now.time)

    def _find_frame(self, moved: FloatArray | None) -> None:
        """Look for odometry's heading where it is not known yet; forget the search without it."""
        if self._framed:
            return
        if moved is None:
            self._finder.clear()
            return
        self._finder.add(self.state.mean[:2], moved)
        found = self._finder.heading()
        if found is None:
            return
        self._slip.clear()
        size = self.state.size
        covariance = np.zeros((size + frame.STATES, size + frame.STATES))
        covariance[:size, :size] = self.state.covariance
        covariance[-2, -2], covariance[-1, -1] = frame.SCALE**2, found[1]
        mean = np.append(self.state.mean, [0.0, found[0]])
        self.state = self.state.changed(mean=mean, covariance=covariance)
        self._framed = True

    def _drop_frame(self) -> None:
        """Odometry and ranges disagree: go on without, unsure by what they disagree."""
        size = self.state.plain
        drag = self._slip.drag
        covariance = self.state.covariance[:size, :size].copy()
        covariance[:2, :2] += np.outer(drag, drag) + 0.1 * np.eye(2)
        covariance[[VX, VX + 1], [VX, VX + 1]] += 0.3
        self.state = self.state.changed(mean=self.state.mean[:size], covariance=covariance)
        self._finder, self._slip = frame.FrameFinder(), frame.SlipWatch()
        self._framed = False

    def _geometry(self, state: FloatArray, seen: Seen) -> tuple[FloatArray, FloatArray]:
        """Slant distances (K,) m from where the tag was at each stamp, their directions (K, 3)."""
        position = state[:SPACE] + seen.ahead[:, None] * state[SPACE:KINEMATIC]
        return slant(position - seen.place)

    def _meet(self, rows: IntArray) -> None:
        """Give anchors that are heard for the first time slots of their own."""
        new = np.unique(rows[self._slot[rows] == 0])
        if new.size == 0:
            return
        state, known = self.state, self.state.slots
        slot = self._slot.copy()
        slot[new] = known + np.arange(new.size)
        was = np.concatenate([np.arange(known), np.zeros(new.size, dtype=np.intp)])
        extra = np.arange(state.plain, state.size)
        states = np.concatenate([np.arange(FIRST), FIRST + was, FIRST + known + was, extra])
        covariance = state.covariance[np.ix_(states, states)]
        own = FIRST + slot[new]
        added = np.concatenate([own, own + was.size])
        variance = covariance[added, added]
        covariance[added] = 0.0
        covariance[:, added] = 0.0
        covariance[added, added] = variance
        self._slot = slot
        self.state = state.changed(
            age=state.age[was],
            surprise=state.surprise[was],
            mean=state.mean[states],
            covariance=covariance,
        )

    def look(self, ranges: Ranges) -> Estimate:
        """What `update` would say of ranges; it leaves no trace."""
        now = started(self._estimate)
        if self._compiled and not (ranges.free or self._framed or self._riding):
            used, step = self._compiled.update(self.state, self._slot, now.time, ranges)
            if used > 0:
                ahead = self._foreseen(step.state)
                return Estimate(now.time, *step[1:], ahead, step.state.common)
        return super().look(ranges)

    def update(self, ranges: Ranges) -> Estimate:
        """Take ranges in; returns the posterior."""
        now = started(self._estimate)
        if ranges.free:
            ranges = self._free(ranges, now.time)
        if not (self._framed or self._riding) and self._update_compiled(ranges, now.time):
            return started(self._estimate)
        used = recent(ranges, now.time)
        if len(used) == 0:
            return now
        self._meet(used.anchor)
        ahead = used.stamp - now.time
        slot = self._slot[used.anchor]
        seen = Seen(
            used.value,
            ahead,
            used.nlos_probability,
            self.site.anchors.positions[used.anchor],
            slot,
            FIRST + slot,
            FIRST + self.state.slots + slot,
        )
        prior, covariance = self.state.mean, self.state.covariance
        bias = prior[COMMON] + prior[seen.own] + prior[seen.local]
        distance, direction = self._geometry(prior, seen)
        first = innovation = seen.value - distance - bias
        features = self._features(innovation, distance, direction, seen)
        point, residual = prior, np.zeros(len(used))
        for again in (0.0, 1.0):
            look = np.column_stack([features, squash(residual), np.full(len(used), again)])
            sigma, shift, jump, motion = look_at(self._w, look)
            sigma = used.sigma(sigma)
            if again:
                distance, direction = self._geometry(point, seen)
                moved = point[:KINEMATIC] - prior[:KINEMATIC]
                moved = moved[:SPACE] + ahead[:, None] * moved[SPACE:]
                innovation = seen.value - distance - bias + (direction * moved).sum(axis=1)
            wide = covariance.copy()
            if self._riding:
                motion = motion * RIDING
            level = np.array([0, 1, VX, VX + 1])
            wide[level, level] += motion[[0, 0, 1, 1]]
            wide[seen.local, seen.local] += jump
            spread, inner = project(wide, direction, ahead, seen.own, seen.local)
            inner[np.diag_indices(len(used))] += sigma**2
            gain = np.linalg.solve(inner, spread).T
            point = prior + gain @ (innovation - shift)
            residual = seen.value - self._geometry(point, seen)[0]
            residual -= point[COMMON] + point[seen.own] + point[seen.local]
        posterior = wide - gain @ spread
        if self._riding:
            self._slip.add(point[:2] - prior[:2], (gain @ spread)[:2, :2], self.state.since)
        self.state = self.state.changed(mean=point, covariance=0.5 * (posterior + posterior.T))
        self._remember(first, features[:, 1], residual, seen)
        if self._riding and self._slip.slips:
            self._drop_frame()
        return self._publish(now.time)

    def _free(self, ranges: Ranges, time: float) -> Ranges:
        """Ranges of one blink for the same step: their common bias is unknown, all of it.

        They are moved to where most of them are as expected, and what is left of the offset is a
        common bias that nothing else knows of, for this update.
        """
        used = recent(ranges, time)
        if len(used) < 2:
            return used[np.empty(0, dtype=np.intp)]
        mean, covariance, common = self.state.mean.copy(), self.state.covariance.copy(), COMMON
        mean[common] = 0.0
        covariance[common] = covariance[:, common] = 0.0
        covariance[common, common] = FREE_M**2
        self.state = self.state.changed(mean=mean, covariance=covariance)
        position = mean[:SPACE] + (used.stamp - time)[:, None] * mean[SPACE:KINEMATIC]
        distance, _ = slant(position - self.site.anchors.positions[used.anchor])
        off = used.value - distance - self.biases[used.anchor]
        return replace(used, value=used.value - np.median(off))

    def _update_compiled(self, ranges: Ranges, time: float) -> bool:
        """`update` by the kernel; whether it answered."""
        if self._compiled is None:
            return False
        ready = self.updated
        if ready is not None and ready.fits(self.state, ranges):
            used, step = ready.answer
        else:
            used, step = self._compiled.update(self.state, self._slot, time, ranges)
        if used == STRANGER:
            self._meet(recent(ranges, time).anchor)
            return self._update_compiled(ranges, time)
        if used > 0:
            self._take(time, step)
        return bool(used >= 0)

    def _features(
        self, innovation: FloatArray, distance: FloatArray, direction: FloatArray, seen: Seen
    ) -> FloatArray:
        """What the network sees of each range, in the order of `Hybrid.features`."""
        state, covariance, mean = self.state, self.state.covariance, self.state.mean
        inner = project(covariance, direction, seen.ahead, seen.own, seen.local)[1]
        k = len(innovation)
        inner[np.diag_indices(k)] += SIGMA_M**2
        inverse = np.linalg.inv(inner)
        precision = np.maximum(np.diag(inverse), 1e-6)
        alone = inverse @ innovation / precision
        variance = np.maximum(np.diag(covariance), 1e-8)
        level = direction[:, :2]
        along = np.maximum(((level @ covariance[:2, :2]) * level).sum(axis=1), 1e-6)
        known = ~np.isnan(seen.blocked)
        features = np.empty((k, 21 + len(SEEN_CONTEXT)))
        features[:, 0] = squash(innovation)
        features[:, 1] = np.arcsinh(innovation / np.sqrt(np.diag(inner)))
        features[:, 2] = squash(innovation - innovation.mean())
        features[:, 3] = squash(alone)
        features[:, 4] = np.arcsinh(alone * np.sqrt(precision))
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
        self, innovation: FloatArray, whitened: FloatArray, residual: FloatArray, seen: Seen
    ) -> None:
        """Running means of how far ranges were off, and of how large biases turn out to be."""
        off = np.abs(innovation)
        state = self.state
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
        surprise[seen.slot] += FAST * (off - surprise[seen.slot])
        age[seen.slot] = 0.0
        self.state = state.changed(
            since=0.0, updates=state.updates + 1.0, context=context, surprise=surprise, age=age
        )
