# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many tags in one process: steps a second of processor time; and the division of air time.

Speed: tags walk the house at 10 Hz with 3 ranges each; processor time of the fleet alone, watch,
choice and all, without the source of ranges and without ROS; and of the kernel's part of it.
Air time: `benchmarks.airtime`, a channel shared in turn, by information and by nobody's leave.
"""

from __future__ import annotations

from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.benchmarks.airtime import DURATION_S as SHARED_S
from locdreamer_ros.benchmarks.airtime import (
    ENVIRONMENT,
    KINDS,
    STRANGERS_HZ,
    Shared,
    populate,
    share,
)
from locdreamer_ros.benchmarks.airtime import TAGS as SHARED_TAGS
from locdreamer_ros.benchmarks.methods import BUDGET
from locdreamer_ros.benchmarks.result import Result, Row, Settings, with_interval
from locdreamer_ros.driver.devices import all_devices
from locdreamer_ros.evaluation.intervals import mean_interval, paired_reduction
from locdreamer_ros.fleet import Fleet
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.simulation import make_world
from locdreamer_ros.simulation import simulate_in as walk_in
from locdreamer_ros.types import Site

RATE_HZ = 10.0
TAGS, SPEED_S, WARM_S = 50, 12.0, 3.0
IN_TURN, INFORMED = "in turn", "by information"
EVERYBODY = Method(budget=BUDGET)


class Timed:
    """The kernel, with the processor time spent in it."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self.spent = 0.0

    def __getattr__(self, name: str) -> Any:
        def call(*given: object) -> Any:
            begin = process_time()
            said = getattr(self._kernel, name)(*given)
            self.spent += process_time() - begin
            return said

        return call


def walks(seed: int, count: int, duration: float) -> tuple[list[Recording], Site]:
    """Walks in one house, and the house as trackers know it."""
    world = make_world("house", seed)
    rngs = [np.random.default_rng([seed, number]) for number in range(count)]
    found = [walk_in(world, duration=duration, rate=RATE_HZ, rng=rng) for rng in rngs]
    return found, Site.of(found[0].anchors, "2", world.tag_height)


def speed(seed: int) -> tuple[float, float]:
    """Processor seconds per tag and step: of the fleet, and of the kernel in it."""
    recordings, site = walks(seed, TAGS, SPEED_S)
    sources = {f"tag{n}": RecordingSource(recording) for n, recording in enumerate(recordings)}
    fleet = Fleet(site, EVERYBODY)
    timed = Timed(compiled.kernel)
    known, spent, steps = compiled.kernel, 0.0, 0
    try:
        compiled.kernel = timed if known is not None else None
        for row, time in enumerate(recordings[0].times.tolist()):
            if time < WARM_S:
                spent, timed.spent, steps = 0.0, 0.0, 0
            begin = process_time()
            plans = fleet.plan(dict.fromkeys(sources, time))
            spent += process_time() - begin
            answers = {
                tag: (plan, sources[tag].answer(row, plan.anchor)) for tag, plan in plans.items()
            }
            begin = process_time()
            fleet.absorb(answers)
            spent += process_time() - begin
            steps += len(answers)
    finally:
        compiled.kernel = known
    return spent / steps, timed.spent / steps


def run(settings: Settings) -> Result:
    """Speed, then air time, for each seed another house."""
    timed = [speed(seed) for seed in settings.seeds]
    whole, kernel = (mean_interval([1.0 / t[i] if t[i] else 0.0 for t in timed]) for i in (0, 1))
    rows: list[Row] = []
    for name, interval in (("fleet, with the watch", whole), ("kernel alone", kernel)):
        row: Row = {"what": name}
        with_interval(row, "tag_steps_per_s", interval)
        rows.append(row)
    ways = {
        IN_TURN: ("in turn", 1.0),
        INFORMED: ("by information", 1.0),
        "at random, the same time asked for": ("at random", 1.0),
        "at random, half of it": ("at random", 0.5),
    }
    shared: dict[str, list[Shared]] = {name: [] for name in ways}
    for seed in settings.seeds:
        tags = populate(seed)
        for name, (how, load) in ways.items():
            shared[name].append(share(tags, how, seed, load=load))
    means = {name: [each.mean for each in found] for name, found in shared.items()}
    for name, found in shared.items():
        row = {"what": f"air time {name}"}
        with_interval(row, "mae", mean_interval(means[name]))
        for kind in KINDS:
            errors = [float(np.mean(each.errors[kind])) for each in found]
            with_interval(row, kind, mean_interval(errors))
        with_interval(row, "busy", mean_interval([each.busy for each in found]))
        rows.append(row)
    gain = paired_reduction(means[INFORMED], means[IN_TURN])
    row = {"what": "air time: gain over in turn, %"}
    with_interval(row, "gain", gain)
    rows.append(row)
    return Result(
        rows=rows,
        claims={
            "tag_steps_per_s": kernel.mean,
            "fleet_steps_per_s": whole.mean,
            "tags_half_core": 0.5 * whole.mean / RATE_HZ,
            "airtime_gain": gain.mean / 100.0,
        },
        columns={
            "what": "what",
            "tag_steps_per_s": "tag-steps/s of a core",
            "mae": "mean error m",
            **{kind: f"{kind} m" for kind in KINDS},
            "busy": "channel asked for",
            "gain": "gain %",
        },
        draw=lambda path: _draw(path, means),
        notes=[
            f"{TAGS} tags at {RATE_HZ:g} Hz, {BUDGET} ranges, 8 anchors; {compiled.backend()}.",
            f"Air time: {SHARED_TAGS} tags in the {ENVIRONMENT}, {SHARED_S:g} s, radios of "
            f"{len(all_devices())} families, {STRANGERS_HZ:g} uncoordinated ranges a second.",
        ],
    )


def _draw(path: Path, means: dict[str, list[float]]) -> None:
    from locdreamer_ros.evaluation.plots import plot_bars

    found = [mean_interval(values) for values in means.values()]
    plot_bars(
        path,
        list(means),
        {"mean error": [(each.mean, each.half_width) for each in found]},
        ylabel="mean error [m]",
        title=f"{SHARED_TAGS} tags on one channel",
    )
