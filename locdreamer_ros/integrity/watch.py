# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tracker under watch: its first fix, ranges held back, restarts, mirrors, silence.

The tracker stays the one that was asked for. It is overruled only where the raw ranges of the last
seconds, explained without its state, say otherwise with redundancy, by a distance and for a time.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from locdreamer_ros.integrity.alternatives import Alternatives, find_alternatives
from locdreamer_ros.integrity.availability import Availability, strayed
from locdreamer_ros.integrity.doubt import RIVALS, Doubt, is_costly
from locdreamer_ros.integrity.first_fix import OFFSET_M, fix_of, sought
from locdreamer_ros.integrity.gate import ACCUSED, SPIKES, Gate
from locdreamer_ros.integrity.lasting import SELDOM_S, SUSPECT_S
from locdreamer_ros.integrity.mirror import Mirror
from locdreamer_ros.integrity.naming import AGREES_M, LINGERS_M, SHRINKS_M, Naming
from locdreamer_ros.integrity.overruling import AT_ONCE_S, TEST_S, Overruling
from locdreamer_ros.integrity.silence import COAST_S, OPEN_S, Silence
from locdreamer_ros.integrity.snapshot import FOR_KERNEL, Snapshot
from locdreamer_ros.integrity.status import State, Status
from locdreamer_ros.integrity.track import (
    REACH_ROWS,
    REACH_S,
    Held,
    RecentTrack,
    constants,
    hold,
    rows_of,
)
from locdreamer_ros.integrity.twin import Twin
from locdreamer_ros.integrity.window import OLDEST_S, Gathered, Window
from locdreamer_ros.roles import Tracker
from locdreamer_ros.types import BoolArray, Estimate, Motion, Ranges, Site

SUSPECT = 0.7
"""Cost per anchor beyond which the track is held against a snapshot."""
DRAGGED_M = 0.7
"""A track this far from the snapshot that names an anchor was moved by it."""
DOUBTFUL_COST = 1.0
"""A snapshot that costs so much less makes the track doubtful."""
UNEXPLAINED = 1.0
"""Cost per anchor that is doubt enough, wherever else the tag might be."""
LIMITS = np.array(
    [
        *(COAST_S, OPEN_S, TEST_S, SUSPECT, LINGERS_M, AGREES_M, SPIKES, ACCUSED),
        *(REACH_S, REACH_ROWS, OLDEST_S, *RIVALS, OFFSET_M, SHRINKS_M, SUSPECT_S),
    ]
)
"""What the kernel has to know of what is ordinary."""


class Watch:
    """A tracker and what is known of whether it is right. Times in s; see `status`."""

    def __init__(self, site: Site, tracker: Tracker) -> None:
        self.site = site
        self.tracker = tracker
        self.naming = Naming(site)
        self._mirror = Mirror(site)
        self.window = Window(len(site.anchors))
        self.gate = Gate(site, self.naming)
        self._overruling = Overruling(site)
        self.doubt = Doubt(site, self._mirror, self.naming, self.window)
        self._silence = Silence()
        self._availability = Availability(site.dimensions)
        self._fits = np.empty(len(site.anchors))
        """How the track fitted each anchor of the window, m, when it was held against it last."""
        self._due = np.empty(1)
        self.restarts = 0
        self.used = 0
        """Ranges that the last update used."""
        self.mirrored = 0
        """Updates with two places that explain the ranges alike."""
        self.reset()

    def reset(self) -> None:
        """Forget where the tag is; what is known of anchors stays."""
        self.window.clear()
        self._estimate: Estimate | None = None
        self._silence.clear()
        self._seeking = False
        self.gate.times.clear()
        self.doubt.clear()
        self._mirror.clear()
        self._begin()

    def _begin(self) -> None:
        """The track begins here."""
        self._track = RecentTrack(self.site.dimensions)
        self._twin: Twin | None = None
        self.gate.spikes.fill(0)
        self.naming.begin()
        self._fits.fill(np.nan)
        self._due[0] = -math.inf
        self._overruling.clear()
        self.doubt.begin()

    @property
    def estimate(self) -> Estimate | None:
        """What is published: the tracker's, with a covariance that holds every doubt."""
        return self._estimate

    @property
    def seeking(self) -> bool:
        """Whether ranges go into a (new) first fix."""
        return self._estimate is None or self._seeking

    def status(self, quiet: float = 0.0) -> Status:
        """Now; quiet: s since the last turn, which nobody told the tracker of."""
        silence = 0.0 if self._estimate is None else self._silent_s + quiet
        mirror = self._twin is not None or self._mirror.flat
        named = tuple(sorted(self.naming.named)) if self.naming.named else ()
        times = self.gate.times
        clocks = (times.skew, times.coarse, times.far)
        return Status(self._state(silence), named, self.restarts, mirror, silence, *clocks)

    def _state(self, silence: float) -> State:
        """How far the estimate can be trusted; silence: s."""
        if self._estimate is None:
            return State.WAITING
        if self._seeking or silence > self._silence.patience:
            return State.LOST
        if silence > max(COAST_S, 2.0 * self._silence.usual):
            return State.COASTING
        doubt, torn = self.doubt, self._twin is not None
        doubtful = torn or doubt.widens or doubt.ambiguous(self._estimate.time)
        return State.DOUBTFUL if doubtful else State.TRACKING

    @property
    def _silent_s(self) -> float:
        """Seconds since ranges were last used, by the time that the tracker is predicted to."""
        now = self.tracker.estimate
        if self._estimate is None or now is None:
            return 0.0
        return max(now.time - self._silence.since, 0.0)

    # The first fix.

    def _seek(self, ranges: Ranges, time: float) -> None:
        """Take ranges into the window, and start as soon as they say where."""
        self.window.add(ranges)
        begun = sought(self.site, self.window, time)
        if begun is not None:
            gathered, best, twin = begun
            self._start(gathered, best, twin=twin)

    def _seek_anew(self, since: float, *, few: bool = False) -> None:
        """The track is lost: a new one is sought, `since` when."""
        self._seeking = True
        self._availability.seeks(since, few=few)
        self.window.clear()
        self._begin()

    def _start(
        self,
        gathered: Gathered,
        snapshot: Snapshot,
        *,
        twin: Snapshot | None = None,
        known: float = 0.0,
    ) -> None:
        """Begin from a snapshot; known m: the offset that is off the window's ranges already."""
        moving = float(gathered.age.min()) < -1.0 or snapshot is self._overruling.turned
        anchors = {*gathered.anchor.tolist()} - self.naming.named
        snapshot, twin = self._mirror.begun(anchors, snapshot, twin)
        self._begin()
        self._seeking = False
        fix = fix_of(self.site, gathered, snapshot, moving=moving)
        self.tracker.start(replace(fix, offset=fix.offset + known))
        if twin is not None:
            self._twin = Twin(self.site, self.tracker.fork())
            self._twin.tracker.start(fix_of(self.site, gathered, twin))
        self._silence.begins(snapshot.time)
        self._availability.begins(snapshot.time)
        estimate = self.tracker.now
        self._mirror.look(anchors, estimate.position)
        self.publish(estimate)

    # The turn of the loop.

    def predict(self, time: float, motion: Motion | None = None) -> Estimate | None:
        """The prior at `time` s; None before the first fix."""
        now = self.tracker.estimate
        if self._estimate is None or now is None:
            return None
        dt = max(time - now.time, 0.0)
        if self._silence.forgets(now.time + dt):
            self.reset()
            return None
        prior = self._silence.move(self.tracker, now, dt, motion)
        other = self._twin.tracker.estimate if self._twin else None
        if self._twin is not None and other is not None:
            self._silence.move(self._twin.tracker, other, dt, motion)
        if motion is not None and motion.displacement is not None:
            self._availability.begins(prior.time)
        if prior.time - self._silence.since > self._silence.patience and not self._seeking:
            self._seek_anew(time)
        return self.publish(prior)

    @property
    def quiet(self) -> bool:
        """Whether the choice of anchors is nobody's but the scheduler's."""
        return not (self.doubt.suspect or self.naming.named or self.naming.suspects)

    def chosen_by(self, prior: Estimate) -> Estimate:
        """What anchors are chosen by: in space no choice tells a place from its mirror image."""
        alike = self._mirror.flat and self.site.dimensions == 3
        return self.tracker.estimate or prior if alike else prior

    def seat(self) -> tuple[Any, ...] | None:
        """What the kernel works on in ordinary turns; None: the next is none.

        Ordinary is one track, with a fix, whose ranges are of about now. Calm is what a test by the
        kernel leaves as it is.
        """
        if self.seeking or self._twin is not None or self.gate.times.odd:
            return None
        calm = self.naming.calm and self.doubt.calm and self._overruling.since is None
        return (
            *self.gate.seat(self.window),
            *(self._track.rows, self._track.counts, constants(self.site.tag_height)),
            *(rows_of(self.naming.named), self.gate.spikes, self._fits),
            *(self._silence.times, self._due, LIMITS, self.doubt.looked, *FOR_KERNEL),
            *(calm, self._mirror.wide_of, self.naming.lasting.rows),
        )

    @property
    def _reach(self) -> float:
        """So far back, s, the track is remembered: a slow tag's window is long."""
        return max(REACH_S, min(REACH_ROWS * self._silence.usual, OLDEST_S))

    def update(self, ranges: Ranges, time: float) -> Estimate | None:
        """Take an answer in at `time` s; the posterior, None before the first fix."""
        prior = self.tracker.estimate
        near = None if self.seeking or prior is None else self._attend(ranges, time, prior)
        if near is None:
            ranges = self.gate.times.fresh(ranges, time)
            self.used = len(ranges)
            if self.seeking:
                self._seek(ranges, time)
                if self._estimate is None or not self._seeking:
                    return self._estimate
                goes_on, found = self._availability.goes_on(self.window, time, self._silence)
                if not goes_on or len(ranges) == 0:
                    return self._estimate
                self._seeking = not found
            else:
                self.window.add(ranges)
        used = self._screened(ranges, near, time)
        estimate = self.tracker.update(used)
        self._track.add(estimate, self._reach)
        if self._twin is not None:
            self._twin.update(used, self._reach)
        if len(used):
            self._silence.ends(time)
        due = self._due.item()
        tests = time >= due or time < due - TEST_S
        if tests:
            self._due[0] = time + TEST_S
        return self.conclude(estimate, len(used), time, tests)

    def conclude(
        self, estimate: Estimate, used: int, time: float, tests: bool, held: Held | None = None
    ) -> Estimate:
        """What follows an update by so many ranges; tests: whether the track is held; held: was."""
        self.used = used
        self.mirrored += self._twin is not None or self._mirror.flat
        too_few = self._availability.too_few_for(self.window, time)
        if too_few is not None:
            self._hear_too_few(too_few)
        if tests:
            begun = self.restarts
            self._test(time, held)
            if self.restarts > begun:
                estimate = self.tracker.estimate or estimate
        return self.publish(estimate)

    def look(self, ranges: Ranges, time: float) -> Estimate:
        """What `update` would make of an answer; it leaves no trace."""
        return self.tracker.look(self.foreseen(ranges, time))

    def foreseen(self, ranges: Ranges, time: float) -> Ranges:
        """What `update` would give the tracker of an answer; it leaves no trace."""
        prior = self.tracker.estimate
        near = None if prior is None else self._attend(ranges, time, prior, count=False)
        if near is None:
            ranges = self.gate.times.fresh(ranges, time, count=False)
        return self._screened(ranges, near, time, count=False)

    def _attend(
        self, ranges: Ranges, time: float, prior: Estimate, *, count: bool = True
    ) -> BoolArray | None:
        """See `Gate.attend`."""
        offset = self.tracker.offset
        return self.gate.attend(ranges, time, prior, offset, self.window, count=count)

    def _screened(
        self, ranges: Ranges, near: BoolArray | None, time: float, *, count: bool = True
    ) -> Ranges:
        """See `Gate.screened`."""
        prior = self.tracker.estimate
        if prior is None:
            return ranges
        known = (prior, self.tracker.offset, self._fits)
        return self.gate.screened(
            ranges, near, *known, open_=self._silence.opens(time), count=count
        )

    def publish(self, estimate: Estimate) -> Estimate:
        """The tracker's estimate, with a covariance that holds its twin and its doubt."""
        other = self._twin.tracker.estimate if self._twin else None
        self._estimate = self.doubt.widened(estimate, other)
        return self._estimate

    def _hear_too_few(self, seconds: float) -> None:
        """For so long there were too few anchors: doubt grows, and the track is lost."""
        if seconds > self._silence.patience and not self._seeking:
            self._seek_anew(-math.inf, few=True)
        self.doubt.strayed = strayed(seconds, self.window, self._silence)

    # The tests.

    def _test(self, now: float, held: Held | None) -> None:
        """Hold the track against the window, unless it was; blame, doubt, or begin anew."""
        if held is None:
            held = hold(self.site, self.window, self._track, now, self.naming.named)
        if held is None or held.anchors == 0:
            return
        self._fits.fill(np.nan)
        self._fits[list(held.fit)] = list(held.fit.values())
        lingers = self.naming.name_long(held.fit, self.window.last)
        self.naming.name_short(held.fit, self.window.last, held.offset)
        estimate = self.tracker.now
        self.naming.suspects = frozenset()
        if self._silence.usual <= SELDOM_S:
            self.naming.name_drifting(held.fit, self.window.last, now, estimate.position)
        if self._twin is not None:
            named = self.naming.named
            self._decide(self._twin, self._twin.vote(held.cost, estimate, self.window, now, named))
        self.doubt.note_names(now)
        self.doubt.suspect = False
        self._mirror.look(held.fit.keys() - self.naming.named, estimate.position)
        plain = held.cost < SUSPECT * held.anchors and not lingers
        looks = not plain or self.doubt.looks_around(held, now)
        if plain:
            self.naming.forgive(held.fit)
        other = self._alternatives(held, estimate, now) if looks else None
        if other is None:
            self._overruling.since = None
            return
        self.doubt.compare(other.found, other.spent, estimate)
        if not plain:
            unexplained = lingers or held.cost > UNEXPLAINED * held.anchors
            self._suspect(other, held, estimate, now, unexplained=unexplained)
        elif self.doubt.covariance is None or not is_costly(held):
            self._overruling.since = None
        elif self._overruling.persists(other.best, other.spent, estimate, now):
            # Where many anchors are, most were heard before the track went wrong: few ranges tell.
            self._overrule(other)

    def _alternatives(self, held: Held, estimate: Estimate, now: float) -> Alternatives | None:
        """Where else the window's ranges say that the tag is."""
        # A large offset that the tracker knows is no longer held against the places that have it.
        known = self.tracker.offset if abs(self.tracker.offset) >= OFFSET_M else 0.0
        gathered = self.window.gathered(now).less(known)
        other = find_alternatives(self.site, gathered, now, estimate.position, known, held.cost)
        if other and (self.naming.named or known):
            other = other.recosted(self.site, self._track, now)
        return other

    def _suspect(
        self, other: Alternatives, held: Held, estimate: Estimate, now: float, *, unexplained: bool
    ) -> None:
        """A track that does not explain its ranges: name who is wrong, doubt it, or begin anew."""
        named = self.naming.named
        if self.naming.judges(other.best):
            self.naming.blame(other.best.residual, self.window.last)
            away = float(np.linalg.norm(other.best.position - estimate.position))
            if self.naming.named - named and away > DRAGGED_M:
                # What was named has moved the track, and all that it knew of biases.
                self._overrule(other)
                return
        turned: list[Snapshot] | None = None
        if other.best.good < self.site.dimensions + 2:
            latest = other.gathered.kept(other.gathered.age > -AT_ONCE_S)
            turned = self._overruling.turned_to(latest, estimate, now)
            if turned:
                other = replace(other, gathered=latest, found=turned)
        if self.naming.named != named or turned:
            other = other.recosted(self.site, self._track, now)
        self.doubt.suspect = other.spent - other.best.cost > DOUBTFUL_COST
        if self._overruling.persists(other.best, other.spent, estimate, now):
            self._overrule(other)
        fit = held.fit
        self.doubt.note_unexplained(
            other.found, other.spent, estimate, now, fit, unexplained=unexplained
        )

    def _overrule(self, other: Alternatives) -> None:
        """The track begins anew from the best place there is."""
        self.restarts += 1
        self._start(other.gathered, other.best, known=other.known)

    def _decide(self, twin: Twin, vote: int) -> None:
        """The worse of two mirrored places is dropped."""
        if vote < 0:
            self.tracker.close()
            self.tracker, self._track = twin.tracker, twin.track
            self.restarts += 1
            self._twin = None
        elif vote > 0:
            twin.tracker.close()
            self._twin = None
