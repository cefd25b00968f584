# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loop offline, at CPU speed: the same `loop.step` as the nodes, on a recording, timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from locdreamer_ros import loop
from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.metrics import SKIP, Track, as_dict, score
from locdreamer_ros.method import make_method
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.roles import Scheduler, Tracker
from locdreamer_ros.schedulers.simple import All
from locdreamer_ros.types import Estimate, FloatArray, Motion, Ranges, Site

Report = dict[str, Any]


def run_offline(
    recording: Recording,
    site: Site,
    tracker: Tracker,
    scheduler: Scheduler,
    *,
    budget: int,
    beside: Sequence[Tracker] = (),
    progress: bool = False,
) -> tuple[list[Track], FloatArray]:
    """Track a recording; trackers `beside` it are given the same ranges, as a baseline node is.

    Returns the tracks (the tracker's own first, then one per tracker beside) and for each of them
    the seconds (1 + len(beside), T) of a step. Raises InputError for a budget that is not positive.
    """
    if budget < 1:
        raise InputError(f"budget: expected at least 1 anchor per fix, got {budget}")
    source = RecordingSource(recording)
    answered: list[list[Estimate | None]] = [[] for _ in range(1 + len(beside))]
    asked: list[int] = []
    seconds = np.empty((1 + len(beside), len(recording)))
    for row, time in enumerate(_shown(recording, progress)):
        motion = recording.motion(row - 1, row) if row > 0 else None
        begin = perf_counter()
        step = loop.step(
            tracker, scheduler, source, site, time=float(time), budget=budget, motion=motion
        )
        seconds[0, row] = perf_counter() - begin
        answered[0].append(step.estimate)
        asked.append(step.plan.anchor.size)
        for number, listener in enumerate(beside, start=1):
            begin = perf_counter()
            estimate = listen(listener, site, time=step.time, ranges=step.ranges, motion=motion)
            seconds[number, row] = perf_counter() - begin
            answered[number].append(estimate)
    tracks = [
        Track.of(
            estimates,
            times=recording.times,
            truth=recording.truth,
            asked=asked,
            dimensions=site.dimensions,
        )
        for estimates in answered
    ]
    return tracks, seconds


def listen(
    tracker: Tracker, site: Site, *, time: float, ranges: Ranges, motion: Motion | None = None
) -> Estimate | None:
    """What a tracker that was not asked makes of another's ranges, as the baseline node does."""
    everything = All()
    plan = loop.plan(tracker, everything, site, time=time, budget=len(ranges), motion=motion)
    return loop.absorb(tracker, everything, site, plan=plan, ranges=ranges, budget=len(ranges))


def _shown(recording: Recording, progress: bool) -> Any:
    """The recording's times, with a bar where they take long."""
    if not progress:
        return recording.times
    from tqdm import tqdm

    return tqdm(
        recording.times, desc=recording.name, unit="step", delay=1.0, mininterval=0.5, leave=False
    )


def report(
    track: Track,
    *,
    tracker: str,
    scheduler: str,
    budget: int,
    seed: int,
    step_us: FloatArray,
    model: str | None = None,
    skip: int = SKIP,
) -> Report:
    """What `--json` writes. Without ground truth the measures of error are left out.

    step_us (n,) microseconds per step. Raises InputError where no epoch had a first fix, or where
    there is ground truth but no epoch to score.
    """
    if track.unfixed == len(track):
        raise InputError(
            f"no first fix: none of {len(track)} epochs has usable ranges of "
            f"{track.dimensions + 1} anchors"
        )
    if track.has_truth:
        measures = as_dict(score(track, skip=skip))
    else:
        fixed = track.asked[track.unfixed :]
        measures = {"steps": int(fixed.size), "ranges_per_fix": float(fixed.mean())}
    return {
        "tracker": tracker,
        "scheduler": scheduler,
        "budget": budget,
        **measures,
        "step_us_p50": float(np.percentile(step_us, 50)),
        "step_us_p99": float(np.percentile(step_us, 99)),
        "seed": seed,
        "model": model,
    }


def model_name(tracker: Tracker, model: Path | None) -> str | None:
    """What reports call the model: the file named, or the tracker's own; None without any."""
    if model is not None:
        return str(model)
    return getattr(tracker, "model_name", None)


def save_memory(tracker: Tracker) -> None:
    """Let a tracker with a memory of places write it, at the end of a run."""
    save = getattr(tracker, "save_memory", None)
    if save is not None:
        save()


def evaluate(
    recording: Recording,
    *,
    site: Site,
    tracker: str = "zero-shot",
    preset: str = "",
    parameters: Mapping[str, Any] | None = None,
    scheduler: str = "gdop",
    budget: int = 3,
    accuracy: float = 0.0,
    price: float = 0.0,
    model: Path | None = None,
    seed: int = 0,
    skip: int = SKIP,
    progress: bool = False,
) -> tuple[Track, Report]:
    """Track `recording` with the named tracker and scheduler, and score it.

    Where a standby answered in a learned tracker's place, the report's `fallback` says for how many
    updates and why.

    Raises InputError for an unknown name, a bad parameter, a model that is missing or does not
    fit, or nothing to score.
    """
    tracks_it, schedules = make_method(
        site,
        tracker=tracker,
        scheduler=scheduler,
        preset=preset,
        parameters=parameters,
        seed=seed,
        model=model,
        accuracy=accuracy,
        price=price,
    )
    (track,), (seconds,) = run_offline(
        recording, site, tracks_it, schedules, budget=budget, progress=progress
    )
    try:
        found = report(
            track,
            tracker=tracker,
            scheduler=scheduler,
            budget=budget,
            seed=seed,
            step_us=1e6 * seconds,
            model=model_name(tracks_it, model),
            skip=skip,
        )
    except InputError as reason:
        raise InputError(f"{recording.name}: {reason}") from None
    save_memory(tracks_it)
    fallbacks = getattr(tracks_it, "fallbacks", None)
    return track, {**found, "fallback": dict(fallbacks)} if fallbacks else found
