# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trackers and schedulers on every recording of a folder: real rooms that nobody simulated.

All methods run as `locdreamer track` does, at its defaults; none sees the truth. A recording counts
once, however long. Seeds matter only where something is drawn: random choice, particles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros.benchmarks.methods import BUDGET, COLUMNS
from locdreamer_ros.benchmarks.result import (
    MEASURES,
    Result,
    Row,
    Settings,
    with_interval,
)
from locdreamer_ros.benchmarks.spreading import spread
from locdreamer_ros.datasets import load_recording
from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.intervals import mean_interval
from locdreamer_ros.evaluation.metrics import silently_lost
from locdreamer_ros.evaluation.run import evaluate
from locdreamer_ros.files import anchors_of
from locdreamer_ros.methods import CLASSICAL, Method
from locdreamer_ros.recording import Recording

OUR_TRACKER = "zero-shot"
RIVAL_SCHEDULERS = ("gdop", "random")
"""The better of these is what a classical tracker reaches with few ranges."""
SCHEDULERS_OF_THREE = ("random", "gdop", "foresight", "sequential")
ALL = "all"
DEFAULT = Method().scheduler
WITHIN_RATIO = 1.05
COVERAGE_BAND = (0.90, 0.98)
"""Coverage of a 95 % ellipse that is neither too sure nor too wide."""


@dataclass(frozen=True)
class Job:
    """One run: a recording by a method."""

    path: Path
    tracker: str
    scheduler: str
    seed: int

    @property
    def method(self) -> Method:
        """As the command line makes it."""
        return Method(tracker=self.tracker, scheduler=self.scheduler, budget=BUDGET, seed=self.seed)


def find_recordings(folder: Path) -> list[Path]:
    """Range tables with their anchors beside them, in `folder` and the folders in it.

    Raises InputError where there is none.
    """
    found = [
        path
        for pattern in ("*.csv", "*/*.csv")
        for path in sorted(folder.glob(pattern))
        if anchors_of(path).is_file()
    ]
    if not found:
        raise InputError(f"{folder}: no range table X.csv with its X_anchors.csv")
    return found


@lru_cache(maxsize=2)
def _loaded(path: Path) -> Recording:
    return load_recording(path)


def run_job(job: Job) -> dict[str, Any]:
    """The report of one run, with `lost`; or with `problem`, why there is none."""
    try:
        track, report = evaluate(_loaded(job.path), job.method)
    except InputError as reason:
        return {"problem": str(reason)}
    return {**report, "lost": float(silently_lost(track)), "problem": ""}


def jobs_of(paths: Sequence[Path], seeds: Sequence[int]) -> list[Job]:
    """All runs; what draws nothing is run once."""
    jobs = []
    for path in paths:
        for tracker in (OUR_TRACKER, *CLASSICAL):
            for scheduler in (*SCHEDULERS_OF_THREE, ALL):
                drawn = scheduler == "random" or tracker == "particle"
                jobs += [
                    Job(path, tracker, scheduler, seed) for seed in (seeds if drawn else seeds[:1])
                ]
    return jobs


def tabulate(jobs: Sequence[Job], reports: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A row for each recording and method: its measures over the seeds, and the ratio to beat."""
    by_method: dict[tuple[Path, str, str], list[Mapping[str, Any]]] = {}
    for job, report in zip(jobs, reports, strict=True):
        by_method.setdefault((job.path, job.tracker, job.scheduler), []).append(report)
    rows = []
    for (path, tracker, scheduler), runs in by_method.items():
        row: Row = {"recording": path.stem, "tracker": tracker, "scheduler": scheduler}
        row["problem"] = next((run["problem"] for run in runs if run["problem"]), "")
        for measure in (*MEASURES, "lost"):
            _average(row, measure, [run[measure] for run in runs if not run["problem"]])
        rows.append(row)
    for row in rows:
        best = best_classical(rows, row["recording"], row["scheduler"])
        row["ratio"] = None if best is None or row["mae"] is None else row["mae"] / best
    return rows


def best_classical(rows: Sequence[Row], recording: str, scheduler: str) -> float | None:
    """The least MAE m of the classical trackers there: with all ranges, or with few."""
    rivals = (ALL,) if scheduler == ALL else RIVAL_SCHEDULERS
    found = [
        float(row["mae"])
        for row in rows
        if row["recording"] == recording
        and row["tracker"] != OUR_TRACKER
        and row["scheduler"] in rivals
        and row["mae"] is not None
    ]
    return min(found, default=None)


def claims_of(rows: Sequence[Row]) -> dict[str, float]:
    """Over pairs of a recording and a setting: the default scheduler with few ranges, and all."""
    pairs = [r for r in rows if r["tracker"] == OUR_TRACKER and r["scheduler"] in (DEFAULT, ALL)]
    ratios = [float("inf") if row["ratio"] is None else float(row["ratio"]) for row in pairs]
    low, high = COVERAGE_BAND
    covered = [row["coverage95"] is not None and low <= row["coverage95"] <= high for row in pairs]
    finite = [ratio for ratio in ratios if np.isfinite(ratio)]
    return {
        "pairs": float(len(pairs)),
        "pairs_within_105": float(np.mean([ratio <= WITHIN_RATIO for ratio in ratios])),
        "pairs_better": float(np.mean([ratio < 1.0 for ratio in ratios])),
        "mean_ratio": float(np.mean(finite)) if finite else float("nan"),
        "coverage_in_band": float(np.mean(covered)),
        "lost": float(sum(row["lost"] is None or row["lost"] > 0.0 for row in pairs)),
    }


def mean_rows(rows: Sequence[Row]) -> list[Row]:
    """The mean over recordings of each method; a recording where it has no fix is left out."""
    found = []
    for tracker, scheduler in dict.fromkeys((row["tracker"], row["scheduler"]) for row in rows):
        same = [r for r in rows if (r["tracker"], r["scheduler"]) == (tracker, scheduler)]
        mean: Row = {"recording": "mean", "tracker": tracker, "scheduler": scheduler}
        mean["problem"] = ""
        for measure in (*MEASURES, "lost"):
            _average(mean, measure, [row[measure] for row in same if row[measure] is not None])
        ratios = [row["ratio"] for row in same if row["ratio"] is not None]
        mean["ratio"] = float(np.mean(ratios)) if ratios else None
        found.append(mean)
    return found


def _average(row: Row, measure: str, values: Sequence[float]) -> None:
    """The mean of the values and its interval; None where there are none."""
    if values:
        with_interval(row, measure, mean_interval(values))
    else:
        row[measure] = row[f"{measure}_ci"] = None


def draw(path: Path, rows: Sequence[Row], claims: Mapping[str, float]) -> None:
    """Ours as a multiple of the best classical tracker, by recording, with few ranges and all."""
    from locdreamer_ros.evaluation.plots import plot_bars

    recordings = list(dict.fromkeys(row["recording"] for row in rows))

    def ours(recording: str, scheduler: str) -> tuple[float, float]:
        key = (recording, OUR_TRACKER, scheduler)
        row = next(r for r in rows if (r["recording"], r["tracker"], r["scheduler"]) == key)
        if row["ratio"] is None:
            return 0.0, 0.0
        return row["ratio"], (row["mae_ci"] or 0.0) * row["ratio"] / row["mae"]

    plot_bars(
        path,
        [name.replace("_", "\n") for name in recordings],
        {
            f"{OUR_TRACKER}, {DEFAULT}, {BUDGET} a fix": [
                ours(name, DEFAULT) for name in recordings
            ],
            f"{OUR_TRACKER}, all": [ours(name, ALL) for name in recordings],
        },
        ylabel="MAE, times the best classical",
        title=f"Real recordings: mean ratio {claims['mean_ratio']:.2f}",
        reference=("best classical tracker there", 1.0),
    )


def run(settings: Settings) -> Result:
    """Run all methods on all recordings of the folder. Raises InputError where there are none."""
    if settings.data is None:
        raise InputError("benchmark real: expected --data DIR, a folder of X.csv and X_anchors.csv")
    paths: list[Path] = []
    blind: list[Path] = []
    for path in find_recordings(settings.data):
        (paths if load_recording(path).truth is not None else blind).append(path)
    if not paths:
        raise InputError(f"{settings.data}: no recording has ground truth (gt_x, gt_y)")
    jobs = jobs_of(paths, settings.seeds)
    reports = spread(run_job, jobs, settings, label="runs")
    rows = tabulate(jobs, reports)
    claims = claims_of(rows)
    notes = [
        f"ratio: MAE over that of the best classical tracker there: of its gdop and random runs "
        f"with {BUDGET} ranges a fix, of its run with all.",
    ]
    if blind:
        notes.append(f"without ground truth, left out: {', '.join(p.stem for p in blind)}")
    notes += [
        f"{row['recording']}, {row['tracker']}, {row['scheduler']}: {row['problem']}"
        for row in rows
        if row["problem"]
    ]
    return Result(
        rows=[*mean_rows(rows), *rows],
        claims=claims,
        columns={"recording": "recording", **COLUMNS, "ratio": "ratio", "lost": "lost"},
        draw=lambda path: draw(path, rows, claims),
        notes=notes,
    )
