# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trackers and schedulers in the simulated house; each seed is another house and another walk.

One fix a second as in the LocDreamer paper, 3 of 5 anchors. The number to beat is the paper's EKF
with 3 random anchors.
"""

from __future__ import annotations

from locdreamer_ros.benchmarks.methods import (
    COLUMNS,
    REFERENCE,
    Pair,
    draw_rows,
    evaluate_all,
    find,
    tabulate,
)
from locdreamer_ros.benchmarks.result import Result, Settings
from locdreamer_ros.benchmarks.spreading import spread
from locdreamer_ros.evaluation.run import Report
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Site

DURATION_S = 600.0
RATE_HZ = 1.0


def one_house(seed: int) -> dict[Pair, Report]:
    """All methods in the house of this seed."""
    recording = simulate("house", duration=DURATION_S, rate=RATE_HZ, seed=seed)
    site = Site.of(recording.anchors, "2", make_world("house", seed).tag_height)
    return evaluate_all(recording, site, seed)


def run(settings: Settings) -> Result:
    """Run all methods over all seeds."""
    by_seed = spread(one_house, settings.seeds, settings, label="houses")
    rows = tabulate(by_seed)
    rivals = [find(rows, tracker, "gdop") for tracker in ("grid", "particle")]
    best = min(rivals, key=lambda row: float(row["mae"]))
    paper = REFERENCE[0]
    return Result(
        rows=rows,
        claims={
            "below_ekf_random": best["below_ekf_random"],
            "below_ekf_random_ci": best["below_ekf_random_ci"],
            "best_gdop_mae": best["mae"],
            "ekf_random_mae": find(rows, paper, "random")["mae"],
            "ekf_all_mae": find(rows, paper, "all")["mae"],
        },
        columns={**COLUMNS, "below_ekf_random": "below ekf (paper), random, %"},
        draw=lambda path: draw_rows(
            path, rows, f"Simulated house, 5 anchors, {len(by_seed)} seeds, 95 % intervals"
        ),
        notes=[
            f"{DURATION_S:g} s at {RATE_HZ:g} Hz in each house; {best['tracker']} with gdop is "
            f"{best['below_ekf_random']:.1f} ± {best['below_ekf_random_ci']:.1f} % below the "
            "paper's EKF with 3 random anchors (paired by seed)."
        ],
    )
