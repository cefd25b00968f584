# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time per step of each tracker and scheduler, and for ten minutes at 10 Hz with 8 anchors.

Steps are timed one after another in one process, whatever `jobs` says: processes side by side
would time each other.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from tqdm import tqdm

from locdreamer_ros.benchmarks.methods import BUDGET, TRACKERS, label
from locdreamer_ros.benchmarks.result import Result, Row, Settings, with_interval
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.evaluation.intervals import mean_interval
from locdreamer_ros.evaluation.run import evaluate
from locdreamer_ros.methods import NEED_A_MODEL, SCHEDULERS, Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Site

RATE_HZ = 10.0
SHORT_S, LONG_S = 60.0, 600.0
HELP_RUNS = 5


def house(duration: float, seed: int) -> tuple[Recording, Site]:
    """A walk in the house with all its 8 anchors."""
    world = make_world("house", seed)
    recording = simulate(
        "house", duration=duration, rate=RATE_HZ, seed=seed, deploy=world.anchors.ids
    )
    return recording, Site.of(recording.anchors, "2", world.tag_height)


def time_command(*arguments: str) -> float:
    """Seconds that a `locdreamer` command takes from start to end, start of Python included."""
    begin = perf_counter()
    subprocess.run(
        [sys.executable, "-m", "locdreamer_ros.cli", *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return perf_counter() - begin


def time_long_recording(seed: int) -> float:
    """Seconds of `locdreamer track` with the EKF on ten minutes, reading the file included."""
    recording, _ = house(LONG_S, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.csv"
        save_range_table(path, recording)
        save_anchors(path.with_name("long_anchors.csv"), recording.anchors)
        method = ("--tracker", "ekf", "--scheduler", "random", "--budget", str(BUDGET))
        return time_command("track", str(path), *method)


def run(settings: Settings) -> Result:
    """Time every tracker with every scheduler."""
    walks = [house(SHORT_S, seed) for seed in settings.seeds]
    # One preset of a tracker is as fast as another.
    presets = dict(reversed(TRACKERS))
    methods = [
        (t, p, s) for t, p in reversed(presets.items()) for s in SCHEDULERS if s not in NEED_A_MODEL
    ]
    rows: list[Row] = []
    for tracker, preset, scheduler in tqdm(methods, desc="methods", delay=1.0, leave=False):
        reports = [
            evaluate(
                recording,
                Method(
                    tracker=tracker, preset=preset, scheduler=scheduler, budget=BUDGET, seed=seed
                ),
                site=site,
            )[1]
            for seed, (recording, site) in zip(settings.seeds, walks, strict=True)
        ]
        row: Row = {"tracker": label(tracker, preset), "scheduler": scheduler, "budget": BUDGET}
        for key in ("ranges_per_fix", "step_us_p50", "step_us_p99"):
            with_interval(row, key, mean_interval([report[key] for report in reports]))
        rows.append(row)
    slowest = max(rows, key=lambda row: float(row["step_us_p99"]))
    return Result(
        rows=rows,
        claims={
            "ekf_10_minutes_s": time_long_recording(settings.seeds[0]),
            "help_s": min(time_command("--help") for _ in range(HELP_RUNS)),
            "slowest_step_us_p99": slowest["step_us_p99"],
        },
        columns={
            "tracker": "tracker",
            "scheduler": "scheduler",
            "ranges_per_fix": "ranges/fix",
            "step_us_p50": "p50 us",
            "step_us_p99": "p99 us",
        },
        draw=lambda path: _draw(path, rows),
        notes=[f"8 anchors; {SHORT_S:g} s at {RATE_HZ:g} Hz for each seed."],
    )


def _draw(path: Path, rows: list[Row]) -> None:
    from locdreamer_ros.evaluation.plots import plot_bars

    trackers = list(dict.fromkeys(row["tracker"] for row in rows))
    plot_bars(
        path,
        trackers,
        {
            scheduler: [
                (row["step_us_p50"], row["step_us_p50_ci"])
                for row in rows
                if row["scheduler"] == scheduler
            ]
            for scheduler in ("random", "gdop", "wls", "all")
        },
        ylabel="median time of a step [us]",
        title="Time of one step, 8 anchors",
    )
