# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `benchmark zero-shot` measures: places, recordings, walks for schedulers, budgets, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np

from locdreamer_ros.benchmarks.methods import BUDGET
from locdreamer_ros.benchmarks.paces import ZERO_SHOT, Pace, pace_reports
from locdreamer_ros.datasets import load_recording
from locdreamer_ros.evaluation.clocks import aligned
from locdreamer_ros.evaluation.metrics import Track, as_dict, horizontal_errors, score
from locdreamer_ros.evaluation.run import Report, evaluate, report, run_offline
from locdreamer_ros.integrity.first_fix import first_fix
from locdreamer_ros.methods import Method, make_scheduler, make_tracker
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.roles import Scheduler
from locdreamer_ros.schedulers.sequential import Sequential
from locdreamer_ros.simulation import RUN_STREAM, make_world, simulate, simulate_in, stream
from locdreamer_ros.types import Site

Files = tuple[tuple[Path, Path | None], ...]
Case = tuple[str, str, str]
"""Place or recording, tracker as tables call it, scheduler."""

SELECTION = "random"
"""The family that the model was selected on: shown, but in no claim."""
PLACES: Mapping[str, tuple[float, float]] = {
    "house": (600.0, 1.0),
    "hall": (300.0, 2.0),
    "lab": (60.0, 10.0),
    SELECTION: (150.0, 4.0),
}
"""Duration s and rate Hz of the walk in each place."""
HINTED = "zero-shot + first-path power"
"""The tracker with a device's guess, from the powers, of whether a range is blocked."""
CLASSICAL = (("particle", ""), ("grid", ""), ("bias-ekf", ""), ("ekf", "paper"))
SCHEDULERS = ("random", "gdop", "all")
LOOKING = "sequential"
"""The scheduler that is compared with gdop: it looks at each answer before it asks on."""
SCHEDULER_PLACES = ("house", "hall")
"""Floor plans of the scheduler's walks: the model learned in dreams, which have none of them."""
SHORT_STEPS, LONG_STEPS, SHORT_WALKS = 32, 600, 12
LOST_M = 1.2
"""An estimate farther off than this is lost."""
FIXED = (1, 2, 3, 4, 5)
ADAPTIVE: tuple[tuple[str, Mapping[str, float]], ...] = (
    *((f"price {price:g} m", {"price": price}) for price in (0.01, 0.02, 0.04, 0.08)),
    *((f"accuracy {m:g} m", {"accuracy": m}) for m in (0.2, 0.3, 0.45)),
)
"""What ends a fix early, beside the fixed numbers: options of the sequential scheduler."""
ALIGNED = ", clocks aligned"
"""What is added to a recording's name where its truth is moved to the ranges' clock."""
COST_S = 30.0
"""Length of the walk on which the time of a step is taken."""
RECORDING_SEEDS = 3
"""Repetitions on recordings, where only schedulers and particles are drawn."""


def measured(recording: Recording, site: Site, method: Method) -> tuple[Track, Report]:
    """The track and its report, with the share of lost estimates."""
    track, found = evaluate(recording, method, site=site)
    return track, {**found, "lost": lost(track)}


def lost(track: Track) -> float:
    """Share of the scored estimates farther than `LOST_M` off."""
    return float((horizontal_errors(track) > LOST_M).mean())


def all_methods(
    recording: Recording, site: Site, seed: int
) -> dict[tuple[str, str], tuple[Track, Report]]:
    """Every tracker with every scheduler; the classical ones see the recording as it is."""
    blind = recording.blind()
    default = Method(tracker=ZERO_SHOT, budget=BUDGET, seed=seed)
    found = {}
    for scheduler in (*SCHEDULERS, LOOKING):
        method = replace(default, scheduler=scheduler)
        found[ZERO_SHOT, scheduler] = measured(blind, site, method)
    for scheduler in SCHEDULERS:
        method = replace(default, scheduler=scheduler)
        if recording.nlos is not None:
            found[HINTED, scheduler] = measured(recording, site, method)
        for tracker, preset in CLASSICAL:
            method = replace(method, tracker=tracker, preset=preset)
            found[method.label, scheduler] = measured(recording, site, method)
    return found


def in_places(seed: int) -> dict[Case, Report]:
    """All methods in all simulated places of this seed."""
    found: dict[Case, Report] = {}
    for place, (duration, rate) in PLACES.items():
        recording = simulate(place, duration=duration, rate=rate, seed=seed)
        site = Site.of(recording.anchors, "2", make_world(place, seed).tag_height)
        methods = all_methods(recording, site, seed)
        found |= {(place, *key): row for key, (_, row) in methods.items()}
    return found


def on_recordings(files: Files, seed: int) -> dict[Case, Report]:
    """All methods on the recordings given, as they are and with truth on the ranges' clock.

    Raises InputError where one has no ground truth.
    """
    found: dict[Case, Report] = {}
    for path, anchors in files:
        recording = load_recording(path, anchors)
        site = Site.of(recording.anchors, "2")
        truth = aligned(recording).truth
        assert truth is not None
        # No tracker looks at the truth, so each track is made once and scored twice.
        for key, (track, row) in all_methods(recording, site, seed).items():
            moved = replace(track, truth=truth)
            scores = {**as_dict(score(moved)), "lost": lost(moved)}
            found |= {(path.stem, *key): row, (path.stem + ALIGNED, *key): {**row, **scores}}
    return found


def scheduler_rows(seed: int) -> dict[tuple[str, str, str], float]:
    """MAE m of the zero-shot tracker by (place, "32 steps" or "long", scheduler)."""
    found: dict[tuple[str, str, str], float] = {}
    for place in SCHEDULER_PLACES:
        rate = PLACES[place][1]
        world = make_world(place, seed)
        for length, steps, walks in (
            (f"{SHORT_STEPS} steps", SHORT_STEPS, SHORT_WALKS),
            ("long", LONG_STEPS, 1),
        ):
            errors: dict[str, list[float]] = {"gdop": [], LOOKING: []}
            for walk in range(walks):
                # Walks of their own: none is the one of `in_places`.
                rng = stream(1000 * (seed + 1) + 100 * (walks == 1) + walk, RUN_STREAM)
                recording = simulate_in(world, duration=steps / rate, rate=rate, rng=rng)
                recording = recording.only(world.deploy).blind()
                site = Site.of(recording.anchors, "2", world.tag_height)
                for scheduler in errors:
                    _, row = evaluate(
                        recording, Method(scheduler=scheduler, budget=BUDGET), site=site
                    )
                    errors[scheduler].append(row["mae"])
            found |= {(place, length, s): float(np.mean(e)) for s, e in errors.items()}
    return found


def budget_curve(seed: int) -> dict[str, tuple[float, float]]:
    """Ranges per fix and MAE m in the house, of each fixed budget and each adaptive rule."""
    duration, rate = PLACES["house"]
    recording = simulate("house", duration=duration, rate=rate, seed=seed).blind()
    site = Site.of(recording.anchors, "2", make_world("house", seed).tag_height)

    def point(scheduler: Scheduler, budget: int) -> tuple[float, float]:
        tracker = make_tracker(ZERO_SHOT, site)
        run = run_offline(recording, site, tracker, scheduler, budget=budget)
        row = report(run.tracks[0], Method(budget=budget, seed=seed), step_us=1e6 * run.seconds[0])
        return float(row["ranges_per_fix"]), float(row["mae"])

    found = {f"gdop, K = {k}": point(make_scheduler("gdop", site), k) for k in FIXED}
    for k in FIXED:
        found[f"{LOOKING}, K = {k}"] = point(make_scheduler(LOOKING, site), k)
    for name, options in ADAPTIVE:
        found[f"{LOOKING}, {name}"] = point(Sequential(site, **options), len(site.anchors))
    return found


@dataclass(frozen=True)
class Seed:
    """All that one seed's process finds out."""

    places: dict[Case, Report]
    recordings: dict[Case, Report]
    walks: dict[tuple[str, str, str], float]
    curve: dict[str, tuple[float, float]]
    paces: dict[Pace, Report]


def one_seed(seed: int, *, files: Files, recorded: Sequence[int]) -> Seed:
    """Everything for one seed; recordings only for the seeds `recorded`."""
    return Seed(
        in_places(seed),
        on_recordings(files, seed) if seed in recorded else {},
        scheduler_rows(seed),
        budget_curve(seed),
        pace_reports(seed),
    )


def step_cost(seeds: Sequence[int]) -> dict[str, float]:
    """Median time of a step, us, of zero-shot and bias-ekf in turns on the same ranges.

    In the house at 10 Hz, with 3 of its 5 anchors and with all 8, half of the steps each.
    """
    spent: dict[str, list[float]] = {ZERO_SHOT: [], "bias-ekf": []}
    for seed in seeds:
        world = make_world("house", seed)
        for ids, budget in ((world.deploy, BUDGET), (world.anchors.ids, len(world.anchors))):
            recording = simulate("house", duration=COST_S, rate=10.0, seed=seed, deploy=ids)
            site = Site.of(recording.anchors, "2", world.tag_height)
            source, everybody = RecordingSource(recording), np.arange(len(ids))
            fix = first_fix(site, source.measure(everybody, 0.0), time=0.0)
            if fix is None:
                continue
            with ExitStack() as lives:
                trackers = {
                    name: lives.enter_context(closing(make_tracker(name, site))) for name in spent
                }
                for tracker in trackers.values():
                    tracker.start(fix)
                rng = stream(seed, RUN_STREAM)
                for before, now in pairwise(recording.times.tolist()):
                    ranges = source.measure(np.sort(rng.permutation(everybody)[:budget]), now)
                    for name, tracker in trackers.items():
                        begin = perf_counter()
                        tracker.predict(now - before)
                        tracker.update(ranges)
                        spent[name].append(perf_counter() - begin)
    return {name: 1e6 * float(np.median(values)) for name, values in spent.items()}
