# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long LocDreamer's training takes: one model at the paper's epochs, and table 2 whole."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from locdreamer_ros.benchmarks import table2
from locdreamer_ros.benchmarks.learned import learn, place
from locdreamer_ros.benchmarks.result import Result, Row, Settings


def run(settings: Settings) -> Result:
    """Train the first seed's model by both stages, then run table 2 over all seeds."""
    import torch

    where = place(settings.seeds[0], settings)
    begin = perf_counter()
    (learner,) = learn([where.task], settings.seeds[:1], noise=where.noise)
    seconds = perf_counter() - begin
    begin = perf_counter()
    table2.run(settings)
    minutes = (perf_counter() - begin) / 60.0
    there = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if there else "processor, one thread"
    count = len(settings.seeds)
    rows: list[Row] = [
        {"what": "one model, stages 1 and 2", "device": device, "seconds": seconds},
        {"what": f"table 2, {count} seeds", "device": device, "seconds": 60.0 * minutes},
    ]
    return Result(
        rows=rows,
        claims={"seconds": seconds, "table2_minutes": minutes},
        columns={"what": "what", "device": "trained on", "seconds": "seconds"},
        draw=lambda path: _draw(path, rows),
        notes=[f"Stage 2 ended after {learner.epoch} of {learner.config.imagine_epochs} epochs."],
    )


def _draw(path: Path, rows: list[Row]) -> None:
    from locdreamer_ros.evaluation.plots import plot_bars

    bars = [(row["seconds"], 0.0) for row in rows]
    plot_bars(path, [str(row["what"]) for row in rows], {"seconds": bars}, ylabel="seconds")
