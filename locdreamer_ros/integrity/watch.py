# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tracker under watch: its first fix, ranges held back, restarts, mirrors, silence.

The tracker stays the one that was asked for. It is overruled only where the raw ranges of the last
seconds, explained without its state, say otherwise with redundancy, by a distance and for a time.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.geometry import FLOOR_M
from locdreamer_ros.integrity.first_fix import STILL_S, fix_of, ready
from locdreamer_ros.integrity.mirror import Mirror
from locdreamer_ros.integrity.naming import Naming
from locdreamer_ros.integrity.snapshot import (
    MIRROR,
    SCALE_AGE,
    Snapshot,
    cost_of,
    explain,
    gaps,
)
from locdreamer_ros.integrity.status import State, Status
from locdreamer_ros.integrity.window import LONG_S, Gathered, Window
from locdreamer_ros.roles import Tracker
from locdreamer_ros.types import MAX_AGE_S, BoolArray, Estimate, FloatArray, Motion, Ranges, Site

TEST_S = 0.3
"""How often the track is held against the window."""
SUSPECT = 0.7
"""Cost per anchor of the track beyond which a snapshot is solved."""
BETTER, APART_M, SIGMAS, FOR_S = 1.5, 1.5, 3.0, 1.0
"""A snapshot overrules where it costs so much less, is so far away, beyond so many sigma of its
own, for so long."""
PLAIN = 2
"""With so many more witnesses, and so much more cost, one more test is enough."""
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
AT_ONCE_S = 0.15
"""Ranges no older than this are of one moment, for a tag that turns."""
SLACK_M_S, FAST_M_S = 3.0, 15.0
"""Places that overrule lie no farther apart than this, beyond their velocity; those of one moment,
which have none, than a tag goes."""
AGREE = 3
"""Tests in a row that decide between two mirrored places."""
LONG_GATE_M, SHORT_GATE_M, SPIKES, ACCUSED = 4.3, 1.0, 3, 12
"""A range off by more, beyond 3 sigma, is a spike; at most so many of an anchor in a row, unless
the other anchors go on agreeing with the track: then so many name it."""
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


Places = deque[tuple[float, ...]]
"""A track: times s and positions (D) m."""


class Watch:
    """A tracker and what is known of whether it is right. Times in s; see `status`."""

    def __init__(self, site: Site, tracker: Tracker) -> None:
        self.site = site
        self.tracker = tracker
        self.naming = Naming(site)
        self._mirror = Mirror(site)
        self.window = Window()
        self.excluded: Counter[str] = Counter()
        """Ranges held back, by anchor."""
        self.late = self.duplicates = 0
        """Ranges passed over: more than a second off; heard before."""
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
        self._used: dict[int, tuple[float, float]] = {}
        self._skew = 0.0
        self._named, self._named_at, self._unsure_at = self.naming.named, -math.inf, -math.inf
        self._begin()

    def _begin(self) -> None:
        """The track begins here."""
        self._track: Places = deque()
        self._twin: Tracker | None = None
        self._twin_track: Places = deque()
        self._twin_votes = 0
        self._spikes: Counter[int] = Counter()
        self._fit: dict[int, float] = {}
        self._next = -math.inf
        self._better_since: float | None = None
        self._better_last: Snapshot | None = None
        self._turned: Snapshot | None = None
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
            tuple(sorted(self.naming.named)),
            self.restarts,
            self._twin is not None or self._mirror.flat,
            silence,
            self._skew,
        )

    def _ambiguous(self, now: float) -> bool:
        """Whether the anchors that are left cannot tell where the tag is, or who of them is wrong.

        All on a line; or two and more named, and no more left than there are unknowns and one; or
        one of few was named and the others disagreed even then, of late.
        """
        left = len(self.window.last.keys() - self.naming.named)
        unchecked = len(self.naming.named) > 1 and left <= self.site.dimensions + 1
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
        moving = float(gathered.age.min()) < -1.0 or snapshot is self._turned
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
        self._move(self.tracker, dt, motion)
        if self._twin is not None:
            self._move(self._twin, dt, motion)
        if self._silence > self._patience and not self._seeking:
            self._seeking, self._seeking_since = True, time
            self.window.clear()
            self._begin()
        return self._publish(self.tracker.estimate)

    def _move(self, tracker: Tracker, dt: float, motion: Motion | None) -> None:
        """Predict; with nothing heard for long the velocity decays, unless odometry knows it."""
        now = tracker.estimate
        assert now is not None
        known = motion is not None and motion.displacement is not None
        plain = dt if known else min(max(self._heard + COAST_S - now.time, 0.0), dt)
        if plain > 0.0:
            tracker.predict(plain, motion)
        if dt > plain:
            slowing = math.exp(-(dt - plain) / COAST_S)
            tracker.coast(dt - plain, slowing, WALK_M_S**2 * (1.0 - slowing**2))

    def update(self, ranges: Ranges, time: float) -> Estimate | None:
        """Take an answer in at `time` s; the posterior, None before the first fix."""
        fresh = self._fresh(ranges, time)
        self.used = len(fresh)
        if self.seeking:
            self._seek(fresh, time)
            hopeless = self._seeking and time - self._seeking_since > HOPELESS_S
            if self._estimate is None or (self._seeking and not (hopeless and len(fresh))):
                if len(fresh) == 0:
                    self._seeking_since = time
                return self._estimate
            if not self._seeking:
                return self._estimate
            self._seeking = False
        else:
            self.window.add(fresh)
        used = self._screened(fresh, time, count=True)
        self.used = len(used)
        if len(used) > 0:
            interval = time - self._heard
            self._usual += 0.1 * (interval - self._usual) if self._usual else interval
            self._heard = time
        estimate = self.tracker.update(used)
        _remember(self._track, estimate)
        if self._twin is not None:
            _remember(self._twin_track, self._twin.update(used))
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
        used = self._screened(self._fresh(ranges, time, count=False), time, count=False)
        return self.tracker.fork().update(used)

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

    # Which ranges the tracker is given.

    def _fresh(self, ranges: Ranges, time: float, *, count: bool = True) -> Ranges:
        """Usable ranges of about now that were not heard before."""
        usable = ranges.usable()
        keep = []
        late = old = 0
        for anchor, stamp, value in zip(
            usable.anchor.tolist(), usable.stamp.tolist(), usable.value.tolist(), strict=True
        ):
            near = abs(stamp - time) <= MAX_AGE_S
            new = self._used.get(anchor) != (stamp, value)
            if count and near:
                self._used[anchor] = (stamp, value)
            late += not near
            old += near and not new
            keep.append(near and new)
        if count:
            self.late += late
            self.duplicates += old
            if late < len(keep):
                self._skew = 0.0
            elif keep:
                self._skew = float(np.median(usable.stamp - time))
        return usable if all(keep) else usable[np.array(keep)]

    def _screened(self, ranges: Ranges, time: float, *, count: bool) -> Ranges:
        """Without the ranges of anchors that are named, and without spikes."""
        estimate = self.tracker.estimate
        if len(ranges) == 0 or estimate is None:
            return ranges
        if not (self._spikes or self.naming.named) and self._all_near(ranges, estimate):
            return ranges
        keep = self._near(ranges, estimate, time, count=count)
        for row, anchor in enumerate(ranges.anchor.tolist()):
            if anchor in self.naming.named:
                keep[row] = False
                if count:
                    self.excluded[self.site.anchors.ids[anchor]] += 1
        return ranges if keep.all() else ranges[keep]

    def _all_near(self, ranges: Ranges, estimate: Estimate) -> bool:
        """By the kernel, whether `_near` keeps them all; False: it is to be asked."""
        return compiled.watch is not None and compiled.watch.all_near(
            *(self.site.anchors.positions, self.site.tag_height, FLOOR_M),
            *(ranges.anchor, ranges.value, ranges.stamp, estimate.time),
            *(estimate.mean, estimate.covariance, self.tracker.offset, -SHORT_GATE_M, LONG_GATE_M),
        )

    def _near(self, ranges: Ranges, estimate: Estimate, time: float, *, count: bool) -> BoolArray:
        """Which ranges are near what the track expects, or no passing spike."""
        ahead = ranges.stamp - estimate.time
        at = estimate.position + ahead[:, None] * estimate.velocity
        off = gaps(self.site, ranges.anchor, ranges.value, at) - self.tracker.offset
        sigmas = 3.0 * math.sqrt(max(float(np.trace(estimate.position_covariance)), 0.0))
        keep = (off < LONG_GATE_M + sigmas) & (off > -SHORT_GATE_M - sigmas)
        if keep.all() and not self._spikes:
            return keep
        if time - self._heard > max(OPEN_S, 1.5 * self._usual):
            keep[:] = True
        spikes = self._spikes if count else self._spikes.copy()
        for row, anchor in enumerate(ranges.anchor.tolist()):
            spikes[anchor] += -1 if keep[row] else 1
            if spikes[anchor] <= 0:
                del spikes[anchor]
                continue
            # An anchor of late in doubt is not believed in between either, if others are.
            held = self.naming.others_agree(anchor, self._fit)
            keep[row] = spikes[anchor] > SPIKES and not held
            if count and held and spikes[anchor] >= ACCUSED:
                self.naming.accuse(anchor, self._fit)
        return keep

    # The tests.

    def _residuals(self, gathered: Gathered, track: Places, now: float) -> FloatArray:
        """Residuals (N,) m of the window against a track."""
        times, *places = np.array(track).T
        stamps = now + gathered.age
        at = np.column_stack([np.interp(stamps, times, axis) for axis in places])
        return gaps(self.site, gathered.anchor, gathered.value, at)

    def _test(self, now: float) -> None:
        """Hold the track against the window; blame, doubt, or begin anew."""
        gathered = self.window.gathered(now)
        if gathered.age.size < 4 or not self._track:
            return
        residual = self._residuals(gathered, self._track, now)
        rest, trusted = gathered, residual
        if self.naming.named:
            keep = ~np.isin(gathered.anchor, list(self.naming.named))
            rest, trusted = gathered.kept(keep), residual[keep]
        if rest.age.size == 0:
            return
        spent, offset = cost_of(trusted, rest)
        self._fit = gathered.per_anchor(residual - offset)
        lingers = self.naming.linger(self._fit, self.window.last)
        estimate = self.tracker.estimate
        assert estimate is not None
        if self._twin is not None:
            self._compare(rest, spent, now)
        if self.naming.named != self._named:
            self._named, self._named_at = self.naming.named, now
        self.suspect = False
        if spent < SUSPECT * rest.anchors and not lingers:
            self._better_since = self._odd_since = None
            if not self._ambiguous(now):
                self._doubt = None
            self.naming.calm(self._fit)
            return
        found = explain(self.site, gathered, time=now, seeds=[estimate.position])
        if not found:
            self._better_since = None
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
            turned = self._turned_to(latest, estimate, now)
            if turned:
                found, best, gathered = turned, turned[0], latest
                residual = self._residuals(latest, self._track, now)
        unexplained = lingers or spent > UNEXPLAINED * rest.anchors
        spent, _ = cost_of(residual, gathered)
        self.suspect = spent - best.cost > DOUBTFUL_COST
        self._consider(gathered, best, spent, estimate, now)
        self._wonder(found, spent, estimate, now, unexplained=unexplained)

    def _turned_to(self, latest: Gathered, estimate: Estimate, now: float) -> list[Snapshot]:
        """Where the ranges of one moment alone say that the tag is, if they agree.

        A tag that turns fast has no one velocity over a window: it is told from two such places.
        """
        enough, before = self.site.dimensions + 2, self._turned
        self._turned = None
        if latest.anchors < enough:
            return []
        found = explain(self.site, latest, time=now, seeds=[estimate.position], still=True)
        if not found or found[0].good < enough:
            return []
        if before is not None and 0.0 < now - before.time < 1.0:
            velocity = (found[0].position - before.position) / (now - before.time)
            found[0] = replace(found[0], velocity=velocity)
        self._turned = found[0]
        return found

    def _consider(
        self, gathered: Gathered, best: Snapshot, spent: float, estimate: Estimate, now: float
    ) -> None:
        """Begin anew from a snapshot that is better for long enough."""
        away = float(np.linalg.norm(best.position - estimate.position))
        unsure = SIGMAS * math.sqrt(max(float(np.trace(best.covariance)), 0.0))
        d = self.site.dimensions
        enough = best.good >= d + 2 or (best.good == d + 1 and abs(best.offset) < 0.5)
        better = (
            spent - best.cost > BETTER
            and away > APART_M
            and away > unsure
            and unsure < 5.0 + 0.2 * away
            and best.mirror is None
            and enough
        )
        last = self._better_last
        if better and last is not None and self._better_since is not None:
            dt = now - last.time
            # What is of one moment knows no velocity but from two of them.
            slack = FAST_M_S if best is self._turned else SLACK_M_S
            moved = dt * best.velocity * (best is not self._turned)
            leap = float(np.linalg.norm(best.position - last.position - moved))
            if leap > 1.0 + slack * dt:
                self._better_since = now
        if not better:
            self._better_since = None
            return
        if self._better_since is None:
            self._better_since = now
        self._better_last = best
        plain = best.good >= d + 2 + PLAIN and spent - best.cost > BETTER + PLAIN
        if now - self._better_since >= (TEST_S if plain else FOR_S) - 1e-6:
            self.restarts += 1
            self._start(gathered, best, twin=None)

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
        left = len(self.window.last.keys() - self._named)
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

    def _compare(self, rest: Gathered, spent: float, now: float) -> None:
        """Which of two mirrored places explains the ranges better; the worse is dropped."""
        assert self._twin is not None
        other, here = self._twin.estimate, self.tracker.estimate
        assert other is not None
        assert here is not None
        if not self._twin_track:
            return
        residual = self._residuals(rest, self._twin_track, now)
        theirs, _ = cost_of(residual, rest)
        better = np.sign(theirs - spent) if abs(theirs - spent) > MIRROR else 0.0
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


def _remember(track: Places, estimate: Estimate) -> None:
    """Add to a track, and forget what no window reaches back to."""
    track.append((estimate.time, *estimate.position.tolist()))
    while track[0][0] < estimate.time - LONG_S - SCALE_AGE - 1.0:
        track.popleft()
