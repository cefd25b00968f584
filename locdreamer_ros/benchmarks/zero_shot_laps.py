# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The same closed route over and over in the simulated house: what a memory of places is worth.

Each lap has its own speeds, fresh noise and drop-outs; walls, biases and the route are the same.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from locdreamer_ros.evaluation.intervals import Interval, paired_reduction
from locdreamer_ros.evaluation.run import run_offline
from locdreamer_ros.recording import Recording
from locdreamer_ros.schedulers import make_scheduler
from locdreamer_ros.simulation import (
    ODOMETRY_STREAM,
    RUN_STREAM,
    World,
    draw_ranges,
    make_world,
    stream,
    with_odometry,
)
from locdreamer_ros.simulation.walk import STEP_M, draw_path
from locdreamer_ros.trackers.zero_shot import ZeroShotConfig, ZeroShotTracker
from locdreamer_ros.types import FloatArray, IntArray, Site
from locdreamer_ros.zero_shot.model_file import Weights, shipped

LAPS = 5
LAP_M = (45.0, 90.0)
"""Shortest and longest lap."""
SPEED_M_S = (0.5, 0.6, 1.0)
SPEED_TIME_S = 4.0
DRIFT = 0.02
CHANGED = 1000
"""Added to a seed it gives the house where the anchors have other biases."""


def closed_route(world: World, rng: np.random.Generator) -> FloatArray:
    """Points (P, 2) m, `STEP_M` apart, of a walk that comes back to where and how it began."""
    path = draw_path(world, 3.0 * LAP_M[1], rng)
    ahead = np.gradient(path, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    best, found = np.inf, (0, len(path))
    for lag in range(round(LAP_M[0] / STEP_M), round(LAP_M[1] / STEP_M), 4):
        apart = np.linalg.norm(path[lag:] - path[:-lag], axis=1)
        turned = 1.0 - np.einsum("ij,ij->i", ahead[lag:], ahead[:-lag])
        cost = apart + 0.3 * turned
        if (first := int(cost.argmin())) >= 0 and cost[first] < best:
            best, found = float(cost[first]), (first, first + lag)
    loop = path[found[0] : found[1]]
    # What is missing to close it is spread over the whole lap: centimetres.
    share = np.arange(len(loop))[:, None] / len(loop)
    return np.asarray(loop + share * (path[found[0]] - path[found[1]]))


def lap_recording(
    seed: int, *, rate: float = 1.0, laps: int = LAPS, route: int = 0
) -> tuple[Recording, IntArray]:
    """Several laps in the house of this seed, with odometry; and the lap (T,) of each epoch.

    Ranges alone: what a device guesses of blocked links is left out.
    route: another number, another route, speeds and noise in the same house.
    """
    world = make_world("house", seed)
    rng = stream(seed + 100_000 * route, RUN_STREAM)
    loop = closed_route(world, rng)
    around = np.concatenate([loop, loop[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(around, axis=0), axis=1))])
    most = int(np.ceil(laps * along[-1] / SPEED_M_S[0] * rate))
    knots = int(np.ceil(most / rate / SPEED_TIME_S)) + 1
    course = rng.triangular(*SPEED_M_S, knots)
    speed = np.interp(np.arange(most) / rate, np.arange(knots) * SPEED_TIME_S, course)
    at = np.concatenate([[0.0], np.cumsum(speed) / rate])
    at = at[at < laps * along[-1]]
    lap = (at // along[-1]).astype(np.intp)
    place = at - lap * along[-1]
    truth = np.full((at.size, 3), world.tag_height)
    for axis in (0, 1):
        truth[:, axis] = np.interp(place, along, around[:, axis])
    drawn = draw_ranges(world, truth, rng)
    recording = Recording(
        f"laps-{seed}",
        world.anchors,
        np.arange(at.size) / rate,
        drawn.ranges,
        truth,
    )
    rng = stream(seed + 100_000 * route, ODOMETRY_STREAM)
    return with_odometry(recording, drift=DRIFT, rng=rng).only(world.deploy), lap


def _errors(recording: Recording, tracker: ZeroShotTracker, odometry: bool) -> FloatArray:
    """Horizontal errors (T,) m with 3 anchors by GDOP, NaN for the first `SKIP` epochs."""
    heard = recording if odometry else replace(recording, odometry=None, turn_rate=None)
    scheduler = make_scheduler("gdop", tracker.site)
    (track,), _ = run_offline(heard, tracker.site, tracker, scheduler, budget=3)
    error = np.linalg.norm(track.mean[:, :2] - track.truth[:, :2], axis=1)
    error[~track.scored()] = np.nan
    return np.asarray(error)


def laps(seed: int, weights: Weights | None = None, *, rate: float = 1.0) -> dict[str, list[float]]:
    """MAE (m) of each lap in the house of this seed, with 3 anchors by GDOP, by variant.

    `ranges` and `odometry`, each plain, `+memory`, `+changed` (the memory was learned where the
    anchors had other biases); and of one lap of a new route, `+route`, `+route+memory`.
    """
    model = shipped() if weights is None else weights
    recording, lap = lap_recording(seed, rate=rate)
    elsewhere, _ = lap_recording(seed + CHANGED, rate=rate)
    route, _ = lap_recording(seed, rate=rate, laps=1, route=1)
    site = Site.of(recording.anchors, "2", float(recording.truth[0, 2]))  # type: ignore[index]
    remembers = ZeroShotConfig(memory=True)
    found: dict[str, list[float]] = {}

    def note(name: str, recording: Recording, tracker: ZeroShotTracker, odometry: bool) -> None:
        error = _errors(recording, tracker, odometry)
        which = lap if recording.times.size == lap.size else np.zeros(error.size, dtype=np.intp)
        found[name] = [float(np.nanmean(error[which == n])) for n in range(int(which.max()) + 1)]

    for name, odometry in (("ranges", False), ("odometry", True)):
        note(name, recording, ZeroShotTracker(site, model), odometry)
        note(f"{name}+route", route, ZeroShotTracker(site, model), odometry)
        tracker = ZeroShotTracker(site, model, remembers)
        note(f"{name}+memory", recording, tracker, odometry)
        note(f"{name}+route+memory", route, _again(tracker, model), odometry)
        tracker = ZeroShotTracker(site, model, remembers)
        _errors(elsewhere, tracker, odometry)
        note(f"{name}+changed", recording, _again(tracker, model), odometry)
    return found


def _again(tracker: ZeroShotTracker, weights: Weights) -> ZeroShotTracker:
    """A tracker that has not started, with what the other remembers, as if from a file."""
    memory = None if tracker.memory is None else tracker.memory.doubted()
    return ZeroShotTracker(tracker.site, weights, tracker.config, memory=memory)


def summary(found: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, Interval]:
    """Reductions in %, paired by seed: the fifth lap below the first, and memory below none."""

    def column(name: str, lap: int | None) -> FloatArray:
        return np.array([np.mean(f[name]) if lap is None else f[name][lap] for f in found])

    told: dict[str, Interval] = {}
    for name in ("ranges", "odometry"):
        last, first = LAPS - 1, 0
        for kind in ("", "+memory"):
            told[f"{name}{kind}: fifth lap below first"] = paired_reduction(
                column(name + kind, last), column(name + kind, first)
            )
        for kind in ("+memory", "+changed"):
            for lap in (first, last, None):
                where = "all laps" if lap is None else f"lap {lap + 1}"
                told[f"{name}{kind}: below none, {where}"] = paired_reduction(
                    column(name + kind, lap), column(name, lap)
                )
        told[f"{name}+memory: below none, new route"] = paired_reduction(
            column(f"{name}+route+memory", None), column(f"{name}+route", None)
        )
    odometry, plain = column("odometry", None), column("ranges", None)
    told["odometry below ranges alone"] = paired_reduction(odometry, plain)
    return told


def main() -> None:
    """Print per-lap errors and their summary for seeds FIRST to LAST of the command line."""
    first, last = int(sys.argv[1]), int(sys.argv[2])
    found = []
    for seed in range(first, last + 1):
        found.append(laps(seed))
        print(seed, {k: round(float(np.mean(v)), 4) for k, v in found[-1].items()}, flush=True)
    for name in found[0]:
        mean = np.mean([f[name] for f in found], axis=0)
        print(f"{name:24s}", " ".join(f"{value:.4f}" for value in mean))
    for name, interval in summary(found).items():
        print(f"{name:48s} {interval.mean:6.1f} ± {interval.half_width:.1f} %")


if __name__ == "__main__":
    main()
