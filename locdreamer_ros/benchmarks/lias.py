# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trackers and schedulers on real recordings, made for those of LIAS (two laps of a mocap room).

One tuning for all recordings. A seed's score is the mean over the recordings; seeds matter where
something is drawn at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros.benchmarks.methods import COLUMNS, Pair, draw_rows, evaluate_all, tabulate
from locdreamer_ros.benchmarks.methods import find as find_row
from locdreamer_ros.benchmarks.result import MEASURES, Result, Settings
from locdreamer_ros.benchmarks.spreading import spread
from locdreamer_ros.datasets import load_recording
from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.run import Report
from locdreamer_ros.types import Site

Files = tuple[tuple[Path, Path | None], ...]


def all_recordings(files: Files, seed: int) -> list[dict[Pair, Report]]:
    """All methods on each recording."""
    answers = []
    for path, anchors in files:
        recording = load_recording(path, anchors)
        if recording.truth is None:
            raise InputError(f"{path}: the benchmark needs ground truth (gt_x, gt_y, gt_z)")
        answers.append(evaluate_all(recording, Site.of(recording.anchors), seed))
    return answers


def mean_report(reports: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Every measure averaged over recordings."""
    return {measure: float(np.mean([r[measure] for r in reports])) for measure in MEASURES}


def run(settings: Settings) -> Result:
    """Run all methods on all recordings. Raises InputError where none is given."""
    if not settings.recordings:
        raise InputError(
            "benchmark lias: expected --recording FILE (and --anchors FILE), once each"
        )
    by_seed = spread(
        partial(all_recordings, settings.recordings),
        settings.seeds,
        settings,
        label="seeds",
    )
    names = [path.stem for path, _ in settings.recordings]
    mean_rows = tabulate(
        [{m: mean_report([r[m] for r in answers]) for m in answers[0]} for answers in by_seed]
    )
    rows = [{"recording": "mean", **row} for row in mean_rows]
    if len(names) > 1:
        for index, name in enumerate(names):
            per_recording = tabulate([answers[index] for answers in by_seed])
            rows += [{"recording": name, **row} for row in per_recording]
    claims = {
        f"{key}_{scheduler}_mae": find_row(mean_rows, tracker, scheduler)["mae"]
        for key, tracker in (("ekf", "ekf (calibrated)"), ("bias_ekf", "bias-ekf"))
        for scheduler in ("all", "random", "gdop")
    }
    return Result(
        rows=rows,
        claims=claims,
        columns={"recording": "recording", **COLUMNS},
        draw=lambda path: draw_rows(path, mean_rows, f"Mean of {', '.join(names)}"),
        notes=["Raw ranges; one tuning for all recordings."],
    )
