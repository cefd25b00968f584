# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of trackers times schedulers that `house` and `lias` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from locdreamer_ros.benchmarks.result import Row, summarise, with_interval
from locdreamer_ros.evaluation.intervals import paired_reduction
from locdreamer_ros.evaluation.run import Report, evaluate
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Site

BUDGET = 3
TRACKERS: tuple[tuple[str, str], ...] = (
    ("ekf", "paper"),
    ("ekf", "calibrated"),
    ("robust-ekf", ""),
    ("bias-ekf", ""),
    ("grid", ""),
    ("particle", ""),
)
"""Tracker and preset."""
SCHEDULERS = ("random", "gdop", "all")
Pair = tuple[str, str]
"""Label of the tracker, and scheduler."""

COLUMNS = {
    "tracker": "tracker",
    "scheduler": "scheduler",
    "ranges_per_fix": "ranges/fix",
    "mae": "MAE m",
    "rmse": "RMSE m",
    "p90": "p90 m",
    "max": "max m",
    "nees": "NEES",
    "coverage95": "in 95 %",
}


def label(tracker: str, preset: str) -> str:
    """How a tracker is called in tables."""
    return Method(tracker=tracker, preset=preset).label


REFERENCE: Pair = (label("ekf", "paper"), "random")


def evaluate_all(recording: Recording, site: Site, seed: int) -> dict[Pair, Report]:
    """Every tracker with every scheduler on one recording."""
    return {
        (label(tracker, preset), scheduler): evaluate(
            recording,
            Method(tracker=tracker, preset=preset, scheduler=scheduler, budget=BUDGET, seed=seed),
            site=site,
        )[1]
        for tracker, preset in TRACKERS
        for scheduler in SCHEDULERS
    }


def tabulate(by_seed: Sequence[Mapping[Pair, Mapping[str, Any]]]) -> list[Row]:
    """One row per method, with how far its MAE lies below the reference's, %, paired by seed."""
    reference = [reports[REFERENCE]["mae"] for reports in by_seed]
    rows = []
    for method in by_seed[0]:
        reports = [reports[method] for reports in by_seed]
        row = summarise({"tracker": method[0], "scheduler": method[1], "budget": BUDGET}, reports)
        reduction = paired_reduction([report["mae"] for report in reports], reference)
        with_interval(row, "below_ekf_random", reduction)
        rows.append(row)
    return rows


def find(rows: Sequence[Row], tracker: str, scheduler: str) -> Row:
    """The row of a method."""
    return next(r for r in rows if (r["tracker"], r["scheduler"]) == (tracker, scheduler))


def draw_rows(path: Path, rows: Sequence[Row], title: str) -> None:
    """Bars of the MAE, grouped by scheduler."""
    from locdreamer_ros.evaluation.plots import plot_bars

    plot_bars(
        path,
        [f"{name}, {BUDGET} a fix" if name != "all" else name for name in SCHEDULERS],
        {
            name: [
                (row["mae"], row["mae_ci"])
                for row in (find(rows, name, scheduler) for scheduler in SCHEDULERS)
            ]
            for name in (label(*tracker) for tracker in TRACKERS)
        },
        ylabel="MAE [m]",
        title=title,
    )
