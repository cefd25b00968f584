# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tracker under watch: its first fix, ranges held back, restarts, mirrors, silence.

The tracker stays the one that was asked for. It is overruled only where the raw ranges of the last
seconds, explained without its state, say otherwise with redundancy, by a distance and for a time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from locdreamer_ros.integrity.better import APART_M, AT_ONCE_S, TEST_S, Better
from locdreamer_ros.integrity.first_fix import STILL_S, fix_of, ready
from locdreamer_ros.integrity.gate import ALL_NEAR, Gate
from locdreamer_ros.integrity.mirror import Mirror
from locdreamer_ros.integrity.naming import Naming
from locdreamer_ros.integrity.snapshot import MIRROR, Snapshot, cost_of, explain
from locdreamer_ros.integrity.status import State, Status
from locdreamer_ros.integrity.track import Track, hold
from locdreamer_ros.integrity.window import Gathered, Window
from locdreamer_ros.roles import Tracker
from locdreamer_ros.types import BoolArray, Estimate, FloatArray, Motion, Ranges, Site

SUSPECT = 0.7
"""Cost per anchor of the track beyond which a snapshot is solved."""
DRAGGED_M = 0.7
"""A track this far from the snapshot that names an anchor was moved by it."""
DOUBTFUL_COST = 1.0
"""A snapshot that costs so much less makes the track doubtful."""
DOUBTS_S = 1.0
"""How long the ranges must go unexplained before it is said."""
UNEXPLAINED = 1.0
"""Cost per anchor that is doubt enough, wherever else the tag might be."""
SETTLED_S, UNSURE_S = 3.0, 30.0
"""Ranges that go unexplained so long after an anchor was named, with few others left, say that it
may be the wrong one; so long it is doubted."""
AGREE = 3
"""Tests in a row that decide between two mirrored places."""
OPEN_S = 1.0
"""With nothing used for so long the gate opens."""
COAST_S = 3.0
"""With nothing used for so long the velocity decays, over as long again."""
WALK_M_S = 1.0
"""What the velocity's sigma grows to."""
LOST_S = 8.0
"""With nothing used for so long, or for `USUAL` usual intervals, the return is a new first fix."""
USUAL = 4.0
FORGET_S = 600.0
"""After so long nothing is known any more."""
HOPELESS_S = 3.0
"""Too few anchors for a new first fix for so long: the tracker goes on from where it was."""


class Watch:
    """A tracker and what is known of whether it is right. Times in s; see `status`."""

    def __init__(self, site: Site, tracker: Tracker) -> None:
        self.site = site
        self.tracker = tracker
        self.naming = Naming(site)
        self._mirror = Mirror(site)
        self.window = Window(len(site.anchors))
        self.gate = Gate(site, self.naming)
        self._better = Better(site)
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
        self._heard = -math.inf
        self._usual = 0.0
        self._seeking = False
        self._seeking_since = 0.0
        self.gate.clear()
        self._named, self._named_at, self._unsure_at = self.naming.named, -math.inf, -math.inf
        self._begin()

    def _begin(self) -> None:
        """The track begins here."""
        self._track = Track(self.site.dimensions)
        self._twin: Tracker | None = None
        self._twin_track = Track(self.site.dimensions)
        self._twin_votes = 0
        self.gate.spikes.clear()
        self._fit: dict[int, float] = {}
        self._next = -math.inf
        self._better.clear()
        self._odd_since: float | None = None
        self._doubt: FloatArray | None = None
        """What doubt adds to the covariance (D, D) m^2 of the position."""
        self.suspect = False
        """Whether the ranges of the window are explained better elsewhere."""

    @property
    def estimate(self) -> Estimate | None:
        """What is published: the tracker's, with a covariance that holds every doubt."""
        return self._estimate

    @property
    def seeking(self) -> bool:
        """Whether ranges go into a (new) first fix."""
        return self._estimate is None or self._seeking

    @property
    def excluded(self) -> Counter[str]:
        """Ranges held back, by anchor."""
        return self.gate.excluded

    @property
    def late(self) -> int:
        """Ranges passed over: more than a second off."""
        return self.gate.late

    @property
    def duplicates(self) -> int:
        """Ranges passed over: heard before."""
        return self.gate.duplicates

    def status(self) -> Status:
        """Now."""
        estimate, silence = self._estimate, self._silence
        if estimate is None:
            state = State.WAITING
        elif self._seeking or silence > self._patience:
            state = State.LOST
        elif silence > COAST_S and silence > 2.0 * self._usual:
            state = State.COASTING
        elif self._twin is not None or self._doubt is not None or self._ambiguous(estimate.time):
            state = State.DOUBTFUL
        else:
            state = State.TRACKING
        return Status(
            state,
            tuple(sorted(self.naming.named)) if self.naming.named else (),
            self.restarts,
            self._twin is not None or self._mirror.flat,
            silence,
            self.gate.skew,
        )

    def _ambiguous(self, now: float) -> bool:
        """Whether the anchors that are left cannot tell where the tag is, or who of them is wrong.

        All on a line; or two and more named, and no more left than there are unknowns and one; or
        one of few was named and the others disagreed even then, of late.
        """
        named, most = self.naming.named, self.site.dimensions + 1
        unchecked = len(named) > 1 and len(self.window.heard - named) <= most
        return self._mirror.flat or unchecked or now - self._unsure_at < UNSURE_S

    @property
    def _silence(self) -> float:
        """Seconds since ranges were last used, by the time that the tracker is predicted to."""
        now = self.tracker.estimate
        if self._estimate is None or now is None:
            return 0.0
        return max(now.time - self._heard, 0.0)

    @property
    def _patience(self) -> float:
        return max(LOST_S, USUAL * self._usual)

    # The first fix.

    def _seek(self, ranges: Ranges, time: float) -> None:
        """Take ranges into the window, and start as soon as they say where."""
        self.window.add(ranges)
        gathered = self.window.gathered(time)
        first = self.window.first
        if first is None or gathered.anchors < 3:
            return
        waited = time - first
        found = explain(self.site, gathered, time=time, still=waited < STILL_S)
        if found and ready(self.site, found[0], waited):
            self._start(gathered, found[0], twin=found[0].mirror)

    def _start(self, gathered: Gathered, snapshot: Snapshot, *, twin: Snapshot | None) -> None:
        moving = float(gathered.age.min()) < -1.0 or snapshot is self._better.turned
        self._begin()
        self._seeking = False
        self.tracker.start(fix_of(self.site, gathered, snapshot, moving=moving))
        if twin is not None:
            self._twin = self.tracker.fork()
            self._twin.start(fix_of(self.site, gathered, twin))
        self._heard = snapshot.time
        self._publish(self.tracker.estimate)

    # The turn of the loop.

    def predict(self, time: float, motion: Motion | None = None) -> Estimate | None:
        """The prior at `time` s; None before the first fix."""
        now = self.tracker.estimate
        if self._estimate is None or now is None:
            return None
        dt = max(time - now.time, 0.0)
        if now.time + dt - self._heard > max(FORGET_S, USUAL * self._usual):
            self.reset()
            return None
        prior = self._move(self.tracker, now, dt, motion)
        if self._twin is not None and self._twin.estimate is not None:
            self._move(self._twin, self._twin.estimate, dt, motion)
        if prior.time - self._heard > self._patience and not self._seeking:
            self._seeking, self._seeking_since = True, time
            self.window.clear()
            self._begin()
        return self._publish(prior)

    def _move(self, tracker: Tracker, now: Estimate, dt: float, motion: Motion | None) -> Estimate:
        """Predict; with nothing heard for long the velocity decays, unless odometry knows it."""
        known = motion is not None and motion.displacement is not None
        plain = dt if known else min(max(self._heard + COAST_S - now.time, 0.0), dt)
        if plain > 0.0:
            now = tracker.predict(plain, motion)
        if dt > plain:
            slowing = math.exp(-(dt - plain) / COAST_S)
            now = tracker.coast(dt - plain, slowing, WALK_M_S**2 * (1.0 - slowing**2))
        return now

    def update(self, ranges: Ranges, time: float) -> Estimate | None:
        """Take an answer in at `time` s; the posterior, None before the first fix."""
        prior = self.tracker.estimate
        near = None if self.seeking or prior is None else self._near(ranges, time, prior)
        if near is None:
            ranges = self.gate.fresh(ranges, time)
            self.used = len(ranges)
            if self.seeking:
                self._seek(ranges, time)
                hopeless = self._seeking and time - self._seeking_since > HOPELESS_S
                if self._estimate is None or (self._seeking and not (hopeless and len(ranges))):
                    if len(ranges) == 0:
                        self._seeking_since = time
                    return self._estimate
                if not self._seeking:
                    return self._estimate
                self._seeking = False
            else:
                self.window.add(ranges)
        used = ranges
        if near is not ALL_NEAR or self.gate.spikes or self.naming.named:
            used = self._screened(ranges, near, time)
        self.used = len(used)
        if len(used) > 0:
            interval = time - self._heard
            self._usual += 0.1 * (interval - self._usual) if self._usual else interval
            self._heard = time
        estimate = self.tracker.update(used)
        self._track.add(estimate)
        if self._twin is not None:
            self._twin_track.add(self._twin.update(used))
        self.mirrored += self._twin is not None or self._mirror.flat
        if time >= self._next or time < self._next - TEST_S:
            self._next = time + TEST_S
            begun = self.restarts
            self._test(time)
            if self.restarts > begun:
                return self._publish(self.tracker.estimate)
        return self._publish(estimate)

    def look(self, ranges: Ranges, time: float) -> Estimate:
        """What `update` would make of an answer; it leaves no trace."""
        prior = self.tracker.estimate
        near = None if prior is None else self._near(ranges, time, prior, count=False)
        if near is None:
            ranges = self.gate.fresh(ranges, time, count=False)
        return self.tracker.look(self._screened(ranges, near, time, count=False))

    def _near(
        self, ranges: Ranges, time: float, prior: Estimate, *, count: bool = True
    ) -> BoolArray | None:
        """See `Gate.attend`."""
        offset = self.tracker.offset
        return self.gate.attend(ranges, time, prior, offset, self.window, count=count)

    def _screened(
        self, ranges: Ranges, near: BoolArray | None, time: float, *, count: bool = True
    ) -> Ranges:
        """What the tracker is given of fresh ranges; near: what is known of it already."""
        prior = self.tracker.estimate
        if prior is None or len(ranges) == 0:
            return ranges
        if near is None:
            near = self.gate.near(ranges, prior, self.tracker.offset)
            near = ALL_NEAR if near.all() else near
        if near is ALL_NEAR and not (self.gate.spikes or self.naming.named):
            return ranges
        open_ = time - self._heard > max(OPEN_S, 1.5 * self._usual)
        return self.gate.screened(ranges, near, self._fit, open_=open_, count=count)

    def _publish(self, estimate: Estimate | None) -> Estimate | None:
        """The tracker's estimate, with a covariance that holds its twin and its doubt."""
        if estimate is None:
            return None
        away = []
        if self._twin is not None and self._twin.estimate is not None:
            away.append(self._twin.estimate.position - estimate.position)
        if self._mirror.flat:
            away.append(self._mirror.across(estimate.position))
        if away or self._doubt is not None:
            d = estimate.dimensions
            covariance = estimate.covariance.copy()
            if self._doubt is not None:
                covariance[:d, :d] += self._doubt
            for vector in away:
                covariance[:d, :d] += np.outer(vector, vector)
            estimate = Estimate(
                estimate.time, estimate.mean, covariance, estimate.foresight, estimate.offset
            )
        self._estimate = estimate
        return estimate

    # The tests.

    def _test(self, now: float) -> None:
        """Hold the track against the window; blame, doubt, or begin anew."""
        held = hold(self.site, self.window, self._track, now, self.naming.named)
        if held is None:
            return
        self._fit = held.fit
        lingers = self.naming.linger(self._fit, self.window.last)
        estimate = self.tracker.estimate
        assert estimate is not None
        if self._twin is not None:
            self._compare(held.cost, now)
        if self.naming.named != self._named:
            self._named, self._named_at = self.naming.named, now
        self.suspect = False
        if held.cost < SUSPECT * held.anchors and not lingers:
            self._better.since = self._odd_since = None
            if not self._ambiguous(now):
                self._doubt = None
            self.naming.calm(self._fit)
            return
        gathered = self.window.gathered(now)
        found = explain(self.site, gathered, time=now, seeds=[estimate.position])
        if not found:
            self._better.since = None
            return
        best = found[0]
        if self.naming.judges(best):
            before = self.naming.named
            self.naming.blame(best.residual, self.window.last)
            away = float(np.linalg.norm(best.position - estimate.position))
            if self.naming.named - before and away > DRAGGED_M:
                # What was named has moved the track, and all that it knew of biases.
                self.restarts += 1
                self._start(gathered, best, twin=None)
                return
        if best.good < self.site.dimensions + 2:
            latest = gathered.kept(gathered.age > -AT_ONCE_S)
            turned = self._better.turned_to(latest, estimate, now)
            if turned:
                found, best, gathered = turned, turned[0], latest
        unexplained = lingers or held.cost > UNEXPLAINED * held.anchors
        spent, _ = cost_of(self._track.residuals(self.site, gathered, now), gathered)
        self.suspect = spent - best.cost > DOUBTFUL_COST
        if self._better.lasts(best, spent, estimate, now):
            self.restarts += 1
            self._start(gathered, best, twin=None)
        self._wonder(found, spent, estimate, now, unexplained=unexplained)

    def _wonder(
        self,
        found: Sequence[Snapshot],
        spent: float,
        estimate: Estimate,
        now: float,
        *,
        unexplained: bool,
    ) -> None:
        """What goes unexplained for long widens the covariance to where the tag may be instead.

        Where no place is better, and none good, by as much as the ranges are off.
        """
        if self._odd_since is None:
            self._odd_since = now
        if now - self._odd_since < DOUBTS_S:
            return
        left = len(self.window.heard - self._named)
        few = bool(self._named) and left <= self.site.dimensions + 2
        apart = float(np.linalg.norm(found[0].position - estimate.position))
        if few and now - self._named_at > SETTLED_S and self.suspect and apart > APART_M:
            self._unsure_at = now
        near = [s for s in found if s.cost < min(spent, found[0].cost + MIRROR)]
        away = [s.position - estimate.position for s in near]
        if away:
            farthest = max(away, key=lambda v: float(v @ v))
            self._doubt = np.outer(farthest, farthest)
        elif unexplained:
            off = [v for a, v in self._fit.items() if a not in self.naming.named]
            self._doubt = float(np.mean(np.square(off))) * np.eye(estimate.dimensions)

    def _compare(self, spent: float, now: float) -> None:
        """Which of two mirrored places explains the ranges better; the worse is dropped."""
        assert self._twin is not None
        other, here = self._twin.estimate, self.tracker.estimate
        assert other is not None
        assert here is not None
        held = hold(self.site, self.window, self._twin_track, now, self.naming.named)
        if held is None:
            return
        more = held.cost - spent
        better = np.sign(more) if abs(more) > MIRROR else 0.0
        self._twin_votes = int(self._twin_votes + better) if better else 0
        same = float(np.linalg.norm(other.position - here.position)) < 0.5
        if self._twin_votes <= -AGREE:
            self.tracker.close()
            self.tracker, self._track = self._twin, self._twin_track
            self.restarts += 1
            self._twin = None
        elif same or self._twin_votes >= AGREE:
            self._twin.close()
            self._twin = None
