# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trackers on time differences, and on the same receptions as ranges: in the house and in the hall.

All anchors at 10 Hz, without what a device says of blocked links, which differences do not have.
A recording given is taken as ranges and made into differences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from locdreamer_ros.benchmarks.result import Result, Row, Settings, summarise, with_interval
from locdreamer_ros.benchmarks.spreading import spread
from locdreamer_ros.datasets import load_recording
from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.intervals import mean_interval
from locdreamer_ros.evaluation.run import Report, evaluate
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Site

PLACES = ("house", "hall")
TRACKERS = ("zero-shot", "particle", "grid", "robust-ekf", "bias-ekf", "ekf")
DURATION_S, RATE_HZ = 60.0, 10.0
RANGES, DIFFERENCES = "ranges", "differences"
COLUMNS = {
    "place": "place",
    "measured": "measured",
    "tracker": "tracker",
    "mae": "MAE m",
    "rmse": "RMSE m",
    "p90": "p90 m",
    "nees": "NEES",
    "coverage95": "in 95 %",
}
Key = tuple[str, str, str]
"""Place, what is measured, tracker."""


def one_seed(seed: int, settings: Settings) -> dict[Key, Report]:
    """Every tracker on both forms of a walk in each place, and of each recording."""
    walks: dict[str, tuple[Recording, Site]] = {}
    for name in PLACES:
        walk = simulate(name, duration=DURATION_S, rate=RATE_HZ, seed=seed)
        walks[name] = walk, Site.of(walk.anchors, "2", make_world(name, seed).tag_height)
    for path, anchors in settings.recordings:
        recording = load_recording(path, anchors)
        if recording.truth is None:
            raise InputError(f"{path}: the benchmark needs ground truth (gt_x, gt_y, gt_z)")
        walks[path.stem] = recording, Site.of(recording.anchors)
    return {
        (name, measured, tracker): evaluate(
            form, Method(tracker=tracker, scheduler="all", seed=seed), site=site
        )[1]
        for name, (walk, site) in walks.items()
        for measured, form in ((RANGES, walk.blind()), (DIFFERENCES, walk.as_differences()))
        for tracker in TRACKERS
    }


def run(settings: Settings) -> Result:
    """Track every seed. Raises InputError for recordings of differences or without ground truth."""
    every = partial(one_seed, settings=settings)
    return summary(spread(every, settings.seeds, settings, label="seeds"))


def summary(by_seed: Sequence[Mapping[Key, Report]]) -> Result:
    """Rows, and by place: how many times its error with ranges the default has; its ellipse."""
    rows: list[Row] = []
    for key in by_seed[0]:
        row: Row = dict(zip(("place", "measured", "tracker"), key, strict=True))
        rows.append(summarise(row, [found[key] for found in by_seed]))

    def of(place: str, measured: str, measure: str) -> list[float]:
        return [float(found[place, measured, TRACKERS[0]][measure]) for found in by_seed]

    claims: dict[str, Any] = {}
    for place in dict.fromkeys(place for place, _, _ in by_seed[0]):
        pairs = zip(of(place, DIFFERENCES, "mae"), of(place, RANGES, "mae"), strict=True)
        with_interval(claims, f"times_ranges_{place}", mean_interval([d / r for d, r in pairs]))
        held = mean_interval(of(place, DIFFERENCES, "coverage95"))
        with_interval(claims, f"coverage95_{place}", held)
    return Result(
        rows=rows,
        claims=claims,
        columns=COLUMNS,
        draw=lambda path: _draw(path, rows),
        notes=["All anchors, defaults, under watch; the simulator's clocks agree perfectly."],
    )


def _draw(path: Path, rows: Sequence[Row]) -> None:
    """Bars of the MAE by place and form."""
    from locdreamer_ros.evaluation.plots import plot_bars

    forms = dict.fromkeys((row["place"], row["measured"]) for row in rows)
    bars: dict[str, list[tuple[Any, Any]]] = {name: [] for name in TRACKERS}
    for row in rows:
        bars[row["tracker"]].append((row["mae"], row["mae_ci"]))
    plot_bars(
        path,
        [f"{place},\n{measured}" for place, measured in forms],
        bars,
        ylabel="MAE [m]",
        title="The same receptions as ranges and as time differences",
    )
