# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loop offline, at CPU speed: the same `Loop` as the nodes, on a recording, timed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from locdreamer_ros.differences import as_ranges
from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.metrics import SKIP, AskingHistory, Track, as_dict, score
from locdreamer_ros.integrity.mirror import is_unsided
from locdreamer_ros.integrity.status import Status, far_off
from locdreamer_ros.loop import Loop, Step
from locdreamer_ros.methods import LISTENS, UNKNOWN_HEIGHT, Method
from locdreamer_ros.recording import EpochSource, Recording, RecordingSource
from locdreamer_ros.roles import Scheduler, Tracker
from locdreamer_ros.schedulers.simple import All
from locdreamer_ros.types import Estimate, FloatArray, IntArray, Site
from locdreamer_ros.units import hang, out_of_reach

Report = dict[str, Any]
log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Run:
    """What a run leaves: of the tracker first, then of those beside it.

    tracks; seconds (trackers, T) of each step; loops, with trackers and their watch.
    """

    tracks: list[Track]
    seconds: FloatArray
    loops: Sequence[Loop]


class _Said:
    """What L loops say at T epochs, in tables: lists of steps would keep all of their arrays.

    means (L, T, S), covariances (L, T, S, S), NaN before a fix; states (L, T); seconds (L, T).
    """

    def __init__(self, loops: int, epochs: int, size: int) -> None:
        self.means = np.full((loops, epochs, size), np.nan)
        self.covariances = np.full((loops, epochs, size, size), np.nan)
        self.states = np.empty((loops, epochs), dtype=np.intp)
        self.seconds = np.empty((loops, epochs))

    def note(
        self, loop: int, row: int, estimate: Estimate | None, status: Status, seconds: float
    ) -> None:
        """A loop's turn at an epoch, and how long it took."""
        self.seconds[loop, row] = seconds
        self.states[loop, row] = status.state
        if estimate is not None:
            self.means[loop, row] = estimate.mean
            self.covariances[loop, row] = estimate.covariance

    def tracks(self, recording: Recording, asked: IntArray) -> list[Track]:
        """A track of each loop; asked (T,): how many anchors were."""
        epochs = len(recording)
        truth = np.full((epochs, 3), np.nan) if recording.truth is None else recording.truth
        return [
            Track(recording.times, mean, covariance, truth, asked, state)
            for mean, covariance, state in zip(
                self.means, self.covariances, self.states, strict=True
            )
        ]


def run_offline(
    recording: Recording,
    site: Site,
    tracker: Tracker,
    scheduler: Scheduler,
    *,
    budget: int,
    beside: Sequence[Tracker] = (),
    progress: bool = False,
) -> Run:
    """Track a recording; trackers `beside` it are given the same ranges, as a baseline node is.

    Here the trackers' lives end: they are closed, however the run ends. Raises InputError for a
    budget that is not positive.
    """
    if budget < 1:
        raise InputError(f"budget: expected at least 1 anchor per fix, got {budget}")
    source = RecordingSource(recording)
    own = Loop(tracker, scheduler, site, budget=budget)
    listeners = [Loop(other, All(), site, budget=len(site.anchors)) for other in beside]
    loops = (own, *listeners)
    said = _Said(len(loops), len(recording), 2 * site.dimensions)
    table = (len(recording), len(site.anchors))
    asking = AskingHistory(np.zeros(table, bool), np.full(table, np.nan), np.zeros(table, bool))
    far: dict[int, float] = {}
    with ExitStack() as ends:
        for loop in loops:
            ends.callback(loop.close)
        for row, time in enumerate(_shown(recording, progress)):
            motion = recording.motion(row - 1, row) if row > 0 else None
            begin = perf_counter()
            step = own.step(EpochSource(source, row), time, motion)
            said.note(0, row, step.estimate, step.status, perf_counter() - begin)
            _note_asking(asking, row, step, site)
            far |= dict(step.status.far)
            for number, listener in enumerate(listeners, start=1):
                begin = perf_counter()
                estimate = listener.absorb(listener.plan(step.time, motion), step.ranges)
                spent = perf_counter() - begin
                said.note(number, row, estimate, listener.status(), spent)
    if far:
        log.warning("%s: %s", recording.where, far_off(far.items(), site.anchors.ids))
    tracks = said.tracks(recording, asking.chosen.sum(axis=1))
    tracks[0] = replace(tracks[0], asking=asking)
    return Run(tracks, said.seconds, loops)


def _note_asking(asking: AskingHistory, row: int, step: Step, site: Site) -> None:
    """Whom a step asked, what came back and whose ranges were held back, into an epoch's row."""
    asking.chosen[row, step.plan.anchor] = True
    heard = step.ranges
    if heard.differences and step.estimate is not None:  # as ranges, to be compared with
        heard = as_ranges(site, heard, step.estimate)
    asking.heard[row, heard.anchor] = heard.value
    if step.status.excluded:
        asking.excluded[row, list(step.status.excluded)] = True


def _shown(recording: Recording, progress: bool) -> Iterable[float]:
    """The recording's times, with a bar where they take long."""
    times: list[float] = recording.times.tolist()
    if not progress:
        return times
    from tqdm import tqdm

    bar: Iterable[float] = tqdm(
        times,
        desc=recording.name,
        unit="step",
        delay=1.0,
        mininterval=0.5,
        leave=False,
        disable=None,
    )
    return bar


def report(
    track: Track,
    method: Method,
    *,
    step_us: FloatArray,
    model: str | None = None,
    fallbacks: Mapping[str, int] | None = None,
    excluded: Mapping[str, int] | None = None,
    restarts: int = 0,
    mirrored: int = 0,
    skip: int = SKIP,
) -> Report:
    """One row of every report: `track`, `demo` both ways, the evaluator and the benchmarks.

    Without ground truth the measures of error are left out. step_us (n,) microseconds per step;
    model: what answered; fallbacks: updates that another answered in its place, by reason;
    excluded: ranges held back, by anchor; restarts of the tracker by its watch; mirrored: updates
    with two places that explain the ranges alike. Raises InputError where no epoch had a first fix,
    or where there is ground truth but no epoch to score.
    """
    if track.unfixed == len(track):
        raise InputError(
            f"no first fix: {len(track)} epochs hold no ranges of {track.dimensions + 1} anchors "
            "within a few seconds of each other"
        )
    if track.has_truth:
        measures = as_dict(score(track, skip=skip))
    else:
        fixed = track.asked[track.unfixed :]
        measures = {"steps": int(fixed.size), "ranges_per_fix": float(fixed.mean())}
    return {
        "tracker": method.tracker,
        "preset": method.preset,
        "scheduler": method.scheduler,
        "budget": method.budget,
        "dimensions": track.dimensions,
        **measures,
        "step_us_p50": float(np.percentile(step_us, 50)),
        "step_us_p99": float(np.percentile(step_us, 99)),
        "seed": method.seed,
        "model": model,
        "fallback": dict(fallbacks or {}),
        "excluded": dict(excluded or {}),
        "restarts": restarts,
        "mirror": mirrored,
    }


def summary(
    reports: Sequence[Report],
    *,
    mode: str,
    source: str,
    accounts: Mapping[str, int] | None = None,
    problem: str = "",
) -> Report:
    """What metrics.json holds: the tracker's report, and in it the others' and how it was run.

    mode: offline or graph; source: simulator, replay or serial; accounts: where the ranges went;
    problem: why there are fewer reports than trackers.
    """
    first = dict(reports[0]) if reports else {}
    return {
        **first,
        "baseline": dict(reports[1]) if len(reports) > 1 else None,
        "mode": mode,
        "source": source,
        "accounts": dict(accounts or {}),
        "problem": problem,
    }


def answered_by(row: Report) -> str:
    """The tracker as tables and legends call it: with who answered in its place, and how often."""
    name = str(row["tracker"])
    if row.get("preset"):
        name += f" ({row['preset']})"
    others = sum(row.get("fallback", {}).values())
    return f"{name} [{others} updates by another]" if others else name


def site_of(recording: Recording, method: Method) -> Site:
    """The recording's site as the method reads it. Raises InputError naming the file.

    A tag height that nobody gave, and that the ranges do not reach, is the anchors' mean height
    instead: their z is not over the tag's floor. One that was given is refused.
    """
    try:
        site = method.site(recording.anchors)
    except InputError as reason:
        raise InputError(f"{recording.where}: {reason}") from None
    if is_unsided(site):
        log.warning(
            "%s: %s, and no range tells a tag above from one below; --tag-height says where it is",
            *(recording.where, hang(recording.anchors)),
        )
    if recording.differences or not out_of_reach(site, recording.ranges):
        return site
    high = hang(recording.anchors)
    if method.tag_height != UNKNOWN_HEIGHT:
        raise InputError(
            f"{recording.where}: --tag-height {method.tag_height:g}: {high}, and most ranges are "
            "shorter than that is away"
        )
    height = float(recording.anchors.positions[:, 2].mean())
    log.warning(
        "%s: %s, and ranges do not reach down to %g m: the tag is taken as %.6g m high; "
        "--tag-height says better",
        *(recording.where, high, site.tag_height, height),
    )
    return replace(site, tag_height=height)


def track_all(
    recording: Recording,
    method: Method,
    *,
    site: Site | None = None,
    beside: Sequence[Method] = (),
    skip: int = SKIP,
    progress: bool = False,
) -> tuple[list[Track], list[Report]]:
    """Track `recording` by a method, with others beside it on the same ranges, and score them all.

    Where it holds time differences nobody chooses: a blink reaches all anchors.
    Raises InputError for an unknown name, a bad parameter, a model that is missing or does not
    fit, or nothing to score.
    """
    place = site_of(recording, method) if site is None else site
    methods = [method, *beside]
    if recording.differences:
        everyone = len(recording.anchors)
        methods = [
            replace(each, scheduler=LISTENS, budget=everyone, accuracy=0.0, price=0.0)
            for each in methods
        ]
    scheduler = methods[0].make_scheduler(place)
    own, *others = (each.make_tracker(place) for each in methods)
    done = run_offline(
        recording,
        place,
        own,
        scheduler,
        budget=methods[0].budget,
        beside=others,
        progress=progress,
    )
    reports = []
    for each, loop, track, spent in zip(
        methods, done.loops, done.tracks, done.seconds, strict=True
    ):
        try:
            reports.append(
                report(
                    track,
                    each,
                    step_us=1e6 * spent,
                    model=loop.tracker.model_name,
                    fallbacks=loop.tracker.fallbacks,
                    excluded=loop.watch.gate.excluded,
                    restarts=loop.watch.restarts,
                    mirrored=loop.watch.mirrored,
                    skip=skip,
                )
            )
        except InputError as reason:
            raise InputError(f"{recording.where}: {reason}") from None
    return done.tracks, reports


def evaluate(
    recording: Recording,
    method: Method,
    *,
    site: Site | None = None,
    skip: int = SKIP,
    progress: bool = False,
) -> tuple[Track, Report]:
    """`track_all` for one tracker alone."""
    (track,), (found,) = track_all(recording, method, site=site, skip=skip, progress=progress)
    return track, found
