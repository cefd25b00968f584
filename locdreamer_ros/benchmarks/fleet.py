# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many tags in one process: steps a second of processor time; and the division of air time.

Speed: tags walk the house at 10 Hz with 3 ranges each; processor time of the fleet alone, watch,
choice and all, without the source of ranges and without ROS; and of the kernel's part of it.
Air time: tags with the radios of `driver/devices` share one channel. Round-robin gives each tag in
turn a fix of 3 ranges, chosen by foresight; against it, `airtime.divide`. Both have the same time
on air, and the same losses to tags that nobody coordinates.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from locdreamer_ros import compiled
from locdreamer_ros.airtime import divide, slot_ms
from locdreamer_ros.benchmarks.methods import BUDGET
from locdreamer_ros.benchmarks.result import Result, Row, Settings, with_interval
from locdreamer_ros.driver.devices import all_devices
from locdreamer_ros.evaluation.intervals import mean_interval, paired_reduction
from locdreamer_ros.fleet import Fleet
from locdreamer_ros.loop import Plan
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.simulation import make_world
from locdreamer_ros.simulation import simulate_in as walk_in
from locdreamer_ros.types import FloatArray, IntArray, Ranges, Site

RATE_HZ = 10.0
TAGS, SPEED_S, WARM_S = 50, 12.0, 3.0
SHARING, SHARED_S, SKIP_S = 40, 30.0, 5.0
"""Tags on one channel, how long they walk, and how long is not scored."""
STRANGERS_HZ = 10.0
"""Ranges a second by tags that nobody coordinates, in all."""
EVERYBODY = Method(budget=BUDGET)


class Timed:
    """The kernel, with the processor time spent in it."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self.spent = 0.0

    def __getattr__(self, name: str) -> Any:
        def call(given: object) -> Any:
            begin = process_time()
            said = getattr(self._kernel, name)(given)
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
    timed = Timed(compiled.together)
    known, spent, steps = compiled.together, 0.0, 0
    try:
        compiled.together = timed if known is not None else None
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
        compiled.together = known
    return spent / steps, timed.spent / steps


def turns(last: int, tags: list[str], slots: dict[str, float], ms: float) -> tuple[list[str], int]:
    """Round-robin: who has a fix of the budget in the next `ms`, and whose turn comes then."""
    served: list[str] = []
    while len(served) < len(tags):
        tag = tags[last % len(tags)]
        if BUDGET * slots[tag] > ms:
            break
        ms -= BUDGET * slots[tag]
        served.append(tag)
        last += 1
    return served, last


def lost(ranges: Ranges, chance: float, rng: np.random.Generator) -> Ranges:
    """The ranges, some of them run over by a stranger's."""
    gone = rng.random(len(ranges)) < chance
    return Ranges.of(ranges.anchor, np.where(gone, np.nan, ranges.value), ranges.stamp)


def share(seed: int, *, by_information: bool) -> tuple[float, float]:
    """Mean error m of tags on one channel, and the share of the time it was busy."""
    recordings, site = walks(seed, SHARING, SHARED_S)
    devices = all_devices()
    tags = [f"tag{number}" for number in range(SHARING)]
    slots = {tag: slot_ms(devices[n % len(devices)]) for n, tag in enumerate(tags)}
    sources = dict(zip(tags, map(RecordingSource, recordings), strict=True))
    fleet, rng = Fleet(site, EVERYBODY), np.random.default_rng([seed, 1])
    rows, everybody = np.arange(len(site.anchors)), np.arange(len(site.anchors))
    period = 1e3 / RATE_HZ
    mean_slot = sum(slots.values()) / len(slots)
    errors: list[float] = []
    turn, saved, used = 0, 0.0, 0.0
    for epoch, time in enumerate(recordings[0].times.tolist()):
        plans = fleet.plan(dict.fromkeys(tags, time))
        if any(plan.prediction is None for plan in plans.values()):  # the first fixes are free
            asked: dict[str, IntArray] = dict.fromkeys(tags, everybody)
        else:
            saved = min(saved + period, 2.0 * period)
            if by_information:
                foresights = {
                    tag: plan.prediction.foresight(rows)
                    for tag, plan in plans.items()
                    if plan.prediction is not None and plan.prediction.foresight is not None
                }
                asked = divide(foresights, slots, saved, most=BUDGET)
            else:
                served, turn = turns(turn, tags, slots, saved)
                asked = {tag: plans[tag].anchor[:BUDGET] for tag in served}
            spent = sum(slots[tag] * anchors.size for tag, anchors in asked.items())
            saved -= spent
            used += spent
        answers: dict[str, tuple[Plan, Ranges]] = {}
        for tag, anchors in asked.items():
            # A stranger's frame that begins while ours is on air, or before and lasts into it.
            chance = 1.0 - math.exp(-STRANGERS_HZ * 1e-3 * (slots[tag] + mean_slot))
            ranges = lost(sources[tag].answer(epoch, anchors), chance, rng)
            answers[tag] = (replace(plans[tag], anchor=anchors), ranges)
        fleet.absorb(answers)
        if time >= SKIP_S:
            errors += [_error(fleet, tag, recordings[n].truth, epoch) for n, tag in enumerate(tags)]
    return float(np.mean(errors)), used / (1e3 * SHARED_S)


def _error(fleet: Fleet, tag: str, truth: FloatArray | None, epoch: int) -> float:
    estimate = fleet.add(tag).estimate
    assert truth is not None, "a simulated walk"
    if estimate is None:
        return math.nan
    return float(np.linalg.norm(estimate.position[:2] - truth[epoch, :2]))


def run(settings: Settings) -> Result:
    """Speed, then air time, for each seed another house."""
    timed = [speed(seed) for seed in settings.seeds]
    whole, kernel = (mean_interval([1.0 / t[i] if t[i] else 0.0 for t in timed]) for i in (0, 1))
    rows: list[Row] = []
    for name, interval in (("fleet, with the watch", whole), ("kernel alone", kernel)):
        row: Row = {"what": name}
        with_interval(row, "tag_steps_per_s", interval)
        rows.append(row)
    shared = {
        name: [share(seed, by_information=by_information) for seed in settings.seeds]
        for name, by_information in (("round-robin", False), ("by information", True))
    }
    means = {name: [error for error, _ in found] for name, found in shared.items()}
    for name, found in shared.items():
        row = {"what": f"air time {name}"}
        with_interval(row, "mae", mean_interval(means[name]))
        with_interval(row, "busy", mean_interval([busy for _, busy in found]))
        rows.append(row)
    gain = paired_reduction(means["by information"], means["round-robin"])
    row = {"what": "air time: gain, %"}
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
            "busy": "channel busy",
            "gain": "gain %",
        },
        draw=lambda path: _draw(path, means),
        notes=[
            f"{TAGS} tags at {RATE_HZ:g} Hz, {BUDGET} ranges, 8 anchors; {compiled.backend()}.",
            f"Air time: {SHARING} tags, {SHARED_S:g} s, radios of {len(all_devices())} families in "
            f"turn, {STRANGERS_HZ:g} uncoordinated ranges a second.",
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
        title=f"{SHARING} tags on one channel, the same time on air",
    )
