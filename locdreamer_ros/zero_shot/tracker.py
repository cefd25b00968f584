# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`zero-shot`: the shipped world model, a Kalman filter with learned parts, in rooms never seen.

The state is `layout`'s, in space; in the plane the height is known, and the same numbers come out
as of a filter without it. `training/hybrid.py` is the same filter in torch and in batches, where it
is trained; a test holds the two together. Here only numpy is needed: its step is in `step`, to be
read. Where the kernel was built (`compiled_step`), it does the same faster; odometry, and what is
not ordinary, is numpy's.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from locdreamer_ros.geometry import slant
from locdreamer_ros.roles import Standing, Tracker
from locdreamer_ros.trackers.kalman import recent
from locdreamer_ros.types import (
    Estimate,
    FloatArray,
    Foreseen,
    Motion,
    Ranges,
    Site,
)
from locdreamer_ros.zero_shot import odometry_frame as frame
from locdreamer_ros.zero_shot import step
from locdreamer_ros.zero_shot.compiled_step import (
    BOX_WITHOUT_END,
    STRANGER,
    CompiledEstimate,
    CompiledForesight,
    compiled_step,
)
from locdreamer_ros.zero_shot.foresight import foresee
from locdreamer_ros.zero_shot.layout import (
    COMMON,
    CONTEXT,
    FIRST_BIAS,
    FREE_M,
    KINEMATIC,
    SILENT_S,
    SPACE,
    VERTICAL_SPEED,
    VX,
    VZ,
)
from locdreamer_ros.zero_shot.model_file import SHIPPED_NAME, Weights
from locdreamer_ros.zero_shot.state import State


class ZeroShotTracker(Tracker):
    """Tracker over `Weights`; any anchors known by place, any subset of them, any order."""

    def __init__(self, site: Site, weights: Weights, *, name: str = SHIPPED_NAME) -> None:
        super().__init__()
        self.site = site
        self.model_name = name
        self._w = weights
        # x, y (z) and their velocities: what an estimate shows of the state.
        axes = np.arange(site.dimensions)
        self._shown = np.concatenate([axes, axes + SPACE])
        self._climbs = site.dimensions == SPACE or site.height_sigma > 0.0
        self._compiled = compiled_step(weights, site, self._climbs)
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
            mean=np.zeros(FIRST_BIAS + 2),
            covariance=np.zeros((FIRST_BIAS + 2, FIRST_BIAS + 2)),
        )
        self._finder = frame.FrameFinder()
        self._slip = frame.SlipWatch()
        self._framed = False
        """Whether the heading of odometry's frame is a state."""
        self._riding = False

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
        site, state, noises = self.site, self.state, self._w.noises
        mean, variance = np.zeros(state.size), np.zeros(state.size)
        variance[COMMON] = noises["common"] ** 2
        variance[state.own] = noises["own"] ** 2
        variance[state.local] = noises["local"] ** 2
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
        state, shown = self.state, self._shown
        seen = state.covariance[np.ix_(shown, shown)] * step.trust(self._w, state)
        ahead: Foreseen
        if self._compiled and state.size == state.plain:
            ahead = CompiledForesight(self._compiled, self.site, state, self._slot)
        else:
            look = partial(foresee, self.site, state.mean, state.covariance, self._slot)
            ahead = Foreseen(look)
        self._estimate = Estimate(time, state.mean[shown], seen, ahead, state.common)
        return self._estimate

    # What the kernel makes, and what it is given for it.

    def seat(self) -> tuple[ZeroShotTracker, tuple[Any, ...]] | None:
        """See `Tracker`."""
        alone = not (self._framed or self._riding or self._finder.searches)
        if self._compiled is None or self._estimate is None or not alone:
            return None
        model, slots, slot, _ = self._compiled.standing(self.state, self._slot)
        return self, (model, slots, slot, BOX_WITHOUT_END)

    def standing(self) -> Standing:
        """See `Stepped`."""
        now = self.now
        return self.state.packed, now.mean, now.covariance, now.time

    def stepped(self, to: Standing) -> Estimate:
        """See `Stepped`."""
        packed, mean, covariance, time = to
        assert self._compiled is not None
        self.state = State(packed, self.state.slots, self.state.size)
        of = self._compiled, self.site, self.state, self._slot
        self._estimate = made = CompiledEstimate(time, mean, covariance, of)
        return made

    def _room(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """For a step of the kernel: a new state, and mean and covariance that are shown of it."""
        shown = self._shown.size
        return np.empty(self.state.packed.size), np.empty(shown), np.empty((shown, shown))

    def _kernel_update(self, ranges: Ranges) -> tuple[int, Standing] | None:
        """How many ranges the kernel used (or `STRANGER`), and where to; None: it is not asked."""
        compiled, now = self._compiled, self.now
        if compiled is None or self._framed or self._riding:
            return None
        room = self._room()
        measured = (ranges.anchor, ranges.value, ranges.stamp, ranges.status)
        quality = (ranges.nlos_probability, ranges.variance)
        standing = compiled.standing(self.state, self._slot)
        heard: int = compiled.kernel.update(*standing, now.time, *measured, *quality, *room)
        return heard, (*room, now.time)

    # The steps.

    def predict(self, dt: float, motion: Motion | None = None) -> Estimate:
        """Move dt >= 0 s ahead; returns the prior."""
        now = self.now
        if dt == 0.0:
            return now
        compiled = self._compiled
        if motion is None and compiled is not None and not self._framed:
            room = self._room()
            if compiled.kernel.predict(*compiled.standing(self.state, self._slot), dt, *room):
                self._finder.clear()
                self._riding = False
                return self.stepped((*room, now.time + dt))
        moved = None if motion is None else motion.displacement
        self._find_frame(moved)
        self._riding = moved is not None and self._framed
        self.state = step.predict(
            self._w, self.state, dt, motion, riding=self._riding, climbs=self._climbs
        )
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

    def look(self, ranges: Ranges) -> Estimate:
        """What `update` would say of ranges; it leaves no trace."""
        now = self.now
        answer = None if ranges.differences else self._kernel_update(ranges)
        if answer is None or answer[0] <= 0:
            return super().look(ranges)
        state = self.state
        looked = self.stepped(answer[1])
        self.state, self._estimate = state, now
        return looked

    def update(self, ranges: Ranges) -> Estimate:
        """Take ranges in; returns the posterior."""
        now = self.now
        if ranges.differences:
            ranges = self._of_blink(ranges, now.time)
        found = self._by_kernel(ranges)
        if found is not None:
            return found
        used = recent(ranges, now.time)
        if len(used) == 0:
            return now
        self.state, self._slot = step.meet(self.state, self._slot, used.anchor)
        before, ahead = self.state, used.stamp - now.time
        self.state, gained = step.update(
            self._w, self.site, before, self._slot, ahead, used, riding=self._riding
        )
        if self._riding:
            moved = self.state.mean[:2] - before.mean[:2]
            self._slip.add(moved, gained[:2, :2], before.since)
            if self._slip.slips:
                self._drop_frame()
        return self._publish(now.time)

    def _by_kernel(self, ranges: Ranges) -> Estimate | None:
        """`update` by the kernel; None: it is numpy's."""
        answer = self._kernel_update(ranges)
        if answer is None:
            return None
        heard, to = answer
        if heard == STRANGER:
            used = recent(ranges, self.now.time)
            self.state, self._slot = step.meet(self.state, self._slot, used.anchor)
            return self._by_kernel(ranges)
        return self.stepped(to) if heard > 0 else None

    def _of_blink(self, ranges: Ranges, time: float) -> Ranges:
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
