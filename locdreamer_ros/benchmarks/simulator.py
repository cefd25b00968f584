# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of docs/simulator.md: range errors, and trackers in the house and the laboratory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from locdreamer_ros.benchmarks.methods import label
from locdreamer_ros.benchmarks.result import Result, Row, Settings, summarise
from locdreamer_ros.benchmarks.spreading import spread
from locdreamer_ros.evaluation.run import evaluate
from locdreamer_ros.methods import Method
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Site

DURATION_S = {"house": 200.0, "lab": 130.0}
ERRORS_S, ERRORS_HZ = 120.0, 2.0
"""Length and rate of the walks whose range errors are looked at."""
PLACES = ("house", "hall", "lab")
HOUSE = (
    ("ekf", "paper", "random", 3),
    ("ekf", "paper", "all", 5),
    ("robust-ekf", "", "random", 3),
    ("grid", "", "gdop", 3),
    ("grid", "", "all", 5),
    ("particle", "", "gdop", 3),
    ("particle", "", "all", 5),
)
LAB = (
    ("ekf", "calibrated", "random", 3),
    ("ekf", "calibrated", "all", 8),
    ("bias-ekf", "", "random", 3),
    ("bias-ekf", "", "all", 8),
)


@dataclass(frozen=True)
class Job:
    """One method in one place, over some seeds."""

    place: str
    rate: float
    method: tuple[str, str, str, int]
    seeds: tuple[int, ...]


def run(settings: Settings) -> Result:
    """Range errors of each place, then every method in the house and the laboratory."""
    few = settings.seeds[: max(2, len(settings.seeds) // 2)]
    jobs = [Job("house", 1.0, method, settings.seeds) for method in HOUSE]
    jobs += [Job("house", 10.0, method, few) for method in HOUSE]
    jobs += [Job("lab", 10.0, method, few) for method in LAB]
    rows = spread(_score, jobs, settings, label="methods")
    maes = {(r["place"], r["rate_hz"], r["tracker"], r["scheduler"]): r["mae"] for r in rows}
    return Result(
        rows=rows,
        claims={
            "house_ekf_random_mae": maes["house", 1.0, label("ekf", "paper"), "random"],
            "house_ekf_all_mae": maes["house", 1.0, label("ekf", "paper"), "all"],
            "lab_bias_ekf_all_mae": maes["lab", 10.0, label("bias-ekf", ""), "all"],
        },
        columns={
            "place": "place",
            "rate_hz": "Hz",
            "tracker": "tracker",
            "scheduler": "scheduler",
            "budget": "budget",
            "mae": "MAE m",
            "rmse": "RMSE m",
            "p50": "p50 m",
            "p90": "p90 m",
        },
        draw=lambda path: _draw(path, rows),
        notes=[_range_errors(place, settings.seeds) for place in PLACES],
    )


def _score(job: Job) -> Row:
    tracker, preset, scheduler, budget = job.method
    reports = []
    for seed in job.seeds:
        recording = simulate(job.place, duration=DURATION_S[job.place], rate=job.rate, seed=seed)
        site = Site.of(recording.anchors, "2", make_world(job.place, seed).tag_height)
        method = Method(
            tracker=tracker, preset=preset, scheduler=scheduler, budget=budget, seed=seed
        )
        reports.append(evaluate(recording, method, site=site)[1])
    row: Row = {"place": job.place, "rate_hz": job.rate, "tracker": label(tracker, preset)}
    return summarise({**row, "scheduler": scheduler, "budget": budget}, reports)


def _range_errors(place: str, seeds: tuple[int, ...]) -> str:
    """Mean, sigma and quantiles of the errors of ranges received, and the drop-outs."""
    everything = []
    for seed in seeds:
        recording = simulate(place, duration=ERRORS_S, rate=ERRORS_HZ, seed=seed)
        assert recording.truth is not None
        distance = np.linalg.norm(recording.truth[:, None] - recording.anchors.positions, axis=-1)
        everything.append((recording.ranges - distance).ravel())
    error = np.concatenate(everything)
    received = error[np.isfinite(error)]
    quantiles = " ".join(f"{q:.2f}" for q in np.quantile(received, [0.1, 0.5, 0.9, 0.99]))
    lost = 100.0 * (1.0 - received.size / error.size)
    return (
        f"Range errors, {place}: mean {received.mean():.3f} m, sigma {received.std():.3f} m, "
        f"p10 p50 p90 p99 {quantiles} m, drop-outs {lost:.1f} %."
    )


def _draw(path: Path, rows: list[Row]) -> None:
    from locdreamer_ros.evaluation.plots import plot_bars

    house = [row for row in rows if row["place"] == "house"]
    names = [f"{r['tracker']}, {r['scheduler']} {r['budget']}" for r in house if r["rate_hz"] == 1]
    series = {
        f"{rate:g} Hz": [(r["mae"], r["mae_ci"]) for r in house if r["rate_hz"] == rate]
        for rate in (1.0, 10.0)
    }
    plot_bars(path, names, series, ylabel="MAE [m]", title="Simulated house")
