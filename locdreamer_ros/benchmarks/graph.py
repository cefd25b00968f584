# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`tracker_node` in the graph: range to pose beside an empty echo node, fixes a second, memory.

Real nodes in processes of their own over real topics, from outside (`nodes.graph_timing`); nothing
else is timed at the same time, whatever `jobs` says. Each seed is a run of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from locdreamer_ros.benchmarks.result import Result, Row, Settings, with_interval
from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.intervals import mean_interval

SECONDS = 6.0
"""Of each part of a run."""
ROWS = {
    # what: key of graph_timing, column
    "range to pose, p50": ("fix_ms_p50", "ms"),
    "range to pose, p99": ("fix_ms_p99", "ms"),
    "echo node, p50": ("echo_ms_p50", "ms"),
    "echo node, p99": ("echo_ms_p99", "ms"),
    "closed loop": ("closed_per_s", "per_s"),
    "500 ticks a second offered": ("ticked_per_s", "per_s"),
    "rate: 500": ("timed_per_s", "per_s"),
    "tracker_node": ("rss_mb", "mb"),
}


def timed(folder: Path, seconds: float) -> dict[str, float]:
    """One run. Raises RuntimeError with what it said last where it failed."""
    file = folder / "graph.json"
    command = [sys.executable, "-m", "locdreamer_ros.nodes.graph_timing", str(file), str(seconds)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"the graph did not run: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
    return found


def run(settings: Settings) -> Result:
    """A run for each seed. Raises InputError without ROS 2."""
    if find_spec("rclpy") is None or find_spec("locdreamer_ros.msg") is None:
        raise InputError("benchmark graph: needs ROS 2: pip install 'locdreamer_ros[ros]'")
    with tempfile.TemporaryDirectory() as name:
        runs = [
            timed(Path(name), SECONDS)
            for _ in tqdm(settings.seeds, desc="graph", delay=1.0, leave=False)
        ]
    rows: list[Row] = []
    for what, (key, column) in ROWS.items():
        row: Row = {"what": what}
        with_interval(row, column, mean_interval([run[key] for run in runs]))
        rows.append(row)
    means = {key: mean_interval([run[key] for run in runs]).mean for key in runs[0]}
    # More than is offered cannot come.
    whole = min(means["closed_per_s"], means["offered_per_s"])
    return Result(
        rows=rows,
        claims={
            "over_echo_ms_p50": means["fix_ms_p50"] - means["echo_ms_p50"],
            "fixes_per_s": means["closed_per_s"],
            "overload_share": min(means["ticked_per_s"], means["timed_per_s"]) / whole,
            "rss_mb": means["rss_mb"],
        },
        columns={"what": "what", "ms": "ms", "per_s": "fixes a second", "mb": "resident MB"},
        draw=lambda path: _draw(path, means),
        notes=[
            f"zero-shot, foresight, 8 anchors, 3 ranges; load of the machine {means['load']:.1f}.",
            "overload_share: the worse of 500 ticks and of rate 500, of the closed loop.",
        ],
    )


def _draw(path: Path, means: dict[str, float]) -> None:
    from locdreamer_ros.evaluation.plots import plot_bars

    rates = {what: key for what, (key, column) in ROWS.items() if column == "per_s"}
    plot_bars(
        path,
        list(rates),
        {"fixes": [(means[key], 0.0) for key in rates.values()]},
        ylabel="fixes a second",
        title="Closed loop and overload",
    )
