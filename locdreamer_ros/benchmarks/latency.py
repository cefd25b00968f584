# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processor time per step of trackers and schedulers beside filterpy's EKF, and how it grows.

All contenders take turns at each epoch of one walk, in one process, whatever `jobs` says: so they
meet the same caches and the same neighbours, and their ratios hold on a busy machine. A step is
predict, choose and update as the loop makes them, without its watch and the source of ranges.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter, process_time_ns
from typing import Any

import numpy as np
from tqdm import tqdm

from locdreamer_ros import compiled
from locdreamer_ros.benchmarks.methods import BUDGET
from locdreamer_ros.benchmarks.result import Result, Row, Settings, with_interval
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.evaluation.intervals import mean_interval
from locdreamer_ros.methods import CLASSICAL, NEED_A_MODEL, SCHEDULERS, Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.roles import Scheduler, Stepped, Tracker
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Anchors, Estimate, FloatArray, IntArray, Ranges, Site

RATE_HZ = 10.0
SHORT_S, LONG_S = 60.0, 600.0
HELP_RUNS = 5
SITES = (8, 64, 300, 1000)
"""Anchors of the sites of the growth curve; the first 8 of each are heard."""
ANCHORS_HEARD = 8
WARM_UP_SHARE = 0.1
"""Share of the steps at the beginning that is not counted."""

Step = Callable[[int], int]
"""An epoch's row -> nanoseconds of processor time spent in its step."""
OUR_METHOD = ("zero-shot", "foresight")
FILTERPY = ("filterpy", "random")


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


def first_fix(recording: Recording, site: Site) -> Estimate:
    """Where the walk begins; its speed unknown."""
    d = site.dimensions
    assert recording.truth is not None, "a simulated walk"
    mean = np.concatenate([recording.truth[0, :d], np.zeros(d)])
    return Estimate(float(recording.times[0]), mean, np.diag([0.3] * d + [0.5] * d))


def answer(recording: Recording, row: int, asked: IntArray) -> Ranges:
    """What anchors say in an epoch; where one is not heard, another answers in its place."""
    heard = np.where(asked < ANCHORS_HEARD, asked, asked % ANCHORS_HEARD)
    return Ranges.of(heard, recording.ranges[row, heard], float(recording.times[row]))


class Turns:
    """Turns as `Loop` makes them, unwatched: two calls of the kernel, where they are its own."""

    def __init__(
        self, tracker: Tracker, scheduler: Scheduler, anchors: Anchors, budget: int
    ) -> None:
        self._tracker, self._scheduler, self._anchors = tracker, scheduler, anchors
        self._budget = budget
        self._seat: Any = None
        """Kept from turn to turn, as the loop keeps it; None: the last one was Python's."""
        self._stepped: Stepped
        self._now = 0.0

    def _sits(self) -> bool:
        found, choice = self._tracker.seat(), self._scheduler.choice(self._budget)
        if compiled.kernel is None or found is None or choice is None:
            return False
        self._stepped, kept = found
        standing = self._stepped.standing()
        self._seat, self._now = compiled.kernel.seat(kept, choice, None, standing), standing[-1]
        return True

    def plan(self, dt: float) -> tuple[Estimate, IntArray]:
        """Predict dt s ahead, and choose."""
        if self._seat is not None or self._sits():
            made = compiled.kernel.plan([(self._seat, self._now + dt)], True)[0]
            if made is not None and made[4] is not None:
                self._now = made[3]
                return self._stepped.stepped(made[:4]), made[4]
        self._seat = None
        prior = self._tracker.predict(dt)
        return prior, self._scheduler.select(prior, self._anchors, self._budget)

    def absorb(self, prior: Estimate, ranges: Ranges) -> None:
        """Update."""
        if self._seat is not None:
            told = (ranges.anchor, ranges.value, ranges.stamp, ranges.status)
            more = (ranges.nlos_probability, ranges.variance)
            made = compiled.kernel.absorb([(self._seat, self._now, *told, *more)])[0]
            if made is not None:
                self._scheduler.observe(prior, ranges, self._stepped.stepped(made[:4]))
                return
        self._seat = None
        posterior = self._tracker.update(self._scheduler.keep(prior, ranges, self._budget))
        self._scheduler.observe(prior, ranges, posterior)


def stepper(method: Method, recording: Recording, site: Site, lives: ExitStack) -> Step:
    """A method's steps along a walk; its tracker's life ends with `lives`."""
    tracker, scheduler = method.make_tracker(site), method.make_scheduler(site)
    lives.callback(tracker.close)
    tracker.start(first_fix(recording, site))
    anchors, budget = site.anchors, method.budget
    turns = Turns(tracker, scheduler, anchors, budget)

    def step(row: int) -> int:
        dt = float(recording.times[row] - recording.times[row - 1])
        begin = process_time_ns()
        prior, asked = turns.plan(dt)
        spent = process_time_ns() - begin
        ranges = answer(recording, row, asked)
        while scheduler.sequential and asked.size < budget:
            begin = process_time_ns()
            more = scheduler.more(tracker.look(ranges), asked, anchors, budget)
            spent += process_time_ns() - begin
            if more.size == 0:
                break
            asked = np.concatenate([asked, more])
            ranges = ranges.joined(answer(recording, row, more))
        begin = process_time_ns()
        turns.absorb(prior, ranges)
        return spent + process_time_ns() - begin

    return step


def filterpy_stepper(recording: Recording, site: Site, seed: int) -> Step | None:
    """Filterpy's EKF with as many random anchors; None where it is not installed."""
    try:
        from filterpy.kalman import ExtendedKalmanFilter
    except ImportError:
        return None
    kalman = ExtendedKalmanFilter(dim_x=4, dim_z=BUDGET)
    fix = first_fix(recording, site)
    kalman.x, kalman.P, kalman.R = fix.mean.copy(), fix.covariance.copy(), np.eye(BUDGET) * 0.04
    rng = np.random.default_rng(seed)
    places = site.anchors.positions

    def step(row: int) -> int:
        dt = float(recording.times[row] - recording.times[row - 1])
        asked = rng.choice(len(places), BUDGET, replace=False)
        near = places[asked]

        def expected(x: FloatArray) -> FloatArray:
            offset = np.array([x[0], x[1], site.tag_height]) - near
            return np.asarray(np.sqrt((offset * offset).sum(axis=1)))

        def jacobian(x: FloatArray) -> FloatArray:
            level = np.zeros((BUDGET, 4))
            level[:, :2] = (x[:2] - near[:, :2]) / expected(x)[:, None]
            return level

        ranges = answer(recording, row, asked).value
        ranges = np.where(np.isnan(ranges), expected(kalman.x), ranges)  # it knows of no time-outs
        begin = process_time_ns()
        kalman.F = np.array([[1, 0, dt, 0], [0, 1, 0, dt], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        kalman.Q = np.diag([dt**3 / 3, dt**3 / 3, dt, dt])
        kalman.predict()
        kalman.update(ranges, jacobian, expected)
        return process_time_ns() - begin

    return step


def take_turns(
    steps: Mapping[tuple[str, str], Step], epochs: int
) -> dict[tuple[str, str], FloatArray]:
    """Microseconds of each contender's steps, first ones left out; they take turns."""
    names = tuple(steps)
    spent = {name: np.empty(epochs - 1) for name in steps}
    for row in tqdm(range(1, epochs), desc="epochs", delay=1.0, leave=False):
        for turn in range(len(names)):  # nobody always follows the same one
            name = names[(turn + row) % len(names)]
            spent[name][row - 1] = 1e-3 * steps[name](row)
    return {name: values[int(WARM_UP_SHARE * epochs) :] for name, values in spent.items()}


def contenders(
    recording: Recording, site: Site, seed: int, lives: ExitStack
) -> dict[tuple[str, str], Step]:
    """Every tracker beside filterpy with 3 random anchors, zero-shot with every scheduler."""
    pairs = [(tracker, "random") for tracker in CLASSICAL]
    pairs += [("ekf", "foresight")]
    pairs += [("zero-shot", s) for s in SCHEDULERS if s not in NEED_A_MODEL]
    found: dict[tuple[str, str], Step] = {}
    beside = filterpy_stepper(recording, site, seed)
    if beside is not None:
        found[FILTERPY] = beside
    for tracker, scheduler in pairs:
        method = Method(tracker=tracker, scheduler=scheduler, budget=BUDGET, seed=seed)
        found[tracker, scheduler] = stepper(method, recording, site, lives)
    return found


def spread_out(recording: Recording, site: Site, count: int) -> Site:
    """The site with anchors that are never heard, 10 m apart and beyond reach, up to `count`."""
    places = site.anchors.positions[:ANCHORS_HEARD]
    number = np.arange(count - ANCHORS_HEARD)
    more = np.column_stack(
        [200.0 + 10.0 * (number % 40), 10.0 * (number // 40), 2.5 + 0.0 * number]
    )
    ids = tuple(f"A{i}" for i in range(count))
    return Site(Anchors(ids, np.concatenate([places, more])), 2, site.tag_height)


def growth(recording: Recording, site: Site, seed: int) -> dict[tuple[str, str], FloatArray]:
    """The default method's steps on sites of more and more anchors."""
    method = Method(budget=BUDGET, seed=seed)
    with ExitStack() as lives:
        steps = {
            (OUR_METHOD[0], f"{OUR_METHOD[1]}, {count} anchors"): stepper(
                method, recording, spread_out(recording, site, count), lives
            )
            for count in SITES
        }
        return take_turns(steps, len(recording))


def run(settings: Settings) -> Result:
    """Time all of them, for each seed on another walk."""
    timed: list[dict[tuple[str, str], FloatArray]] = []
    for seed in settings.seeds:
        recording, site = house(SHORT_S, seed)
        with ExitStack() as lives:
            spent = take_turns(contenders(recording, site, seed, lives), len(recording))
        timed.append(spent | growth(recording, site, seed))
    rows: list[Row] = []
    p50: dict[tuple[str, str], float] = {}
    for name in timed[0]:
        row: Row = {"tracker": name[0], "scheduler": name[1], "budget": BUDGET}
        for percent in (50, 99):
            values = [float(np.percentile(spent[name], percent)) for spent in timed]
            with_interval(row, f"step_us_p{percent}", mean_interval(values))
        p50[name] = row["step_us_p50"]
        if FILTERPY in timed[0] and "anchors" not in name[1]:  # those took turns with each other
            ratios = [np.median(spent[name]) / np.median(spent[FILTERPY]) for spent in timed]
            with_interval(row, "ratio_filterpy", mean_interval(ratios))
        rows.append(row)
    own = next(row for row in rows if (row["tracker"], row["scheduler"]) == OUR_METHOD)
    curve = [p50[OUR_METHOD[0], f"{OUR_METHOD[1]}, {count} anchors"] for count in SITES]
    claims = {
        "growth_1000": curve[-1] / curve[0],
        "sequential_ratio": p50[OUR_METHOD[0], "sequential"] / p50[OUR_METHOD],
        "p99_over_p50": own["step_us_p99"] / own["step_us_p50"],
        "ekf_10_minutes_s": time_long_recording(settings.seeds[0]),
        "help_s": min(time_command("--help") for _ in range(HELP_RUNS)),
        "slowest_step_us_p99": max(float(row["step_us_p99"]) for row in rows),
    }
    notes = [
        f"8 anchors; {SHORT_S:g} s at {RATE_HZ:g} Hz for each seed; processor time, taking turns.",
        f"zero-shot and foresight ran in {compiled.backend()}.",
    ]
    if FILTERPY in timed[0]:
        claims["ratio_filterpy"] = own["ratio_filterpy"]
    else:
        notes.append("filterpy is not installed: no ratio to it.")
    return Result(
        rows=rows,
        claims=claims,
        columns={
            "tracker": "tracker",
            "scheduler": "scheduler",
            "step_us_p50": "p50 us",
            "step_us_p99": "p99 us",
            "ratio_filterpy": "of filterpy's",
        },
        draw=lambda path: _draw(path, rows),
        notes=notes,
    )


def _draw(path: Path, rows: list[Row]) -> None:
    from locdreamer_ros.evaluation.plots import plot_bars

    plot_bars(
        path,
        [f"{row['tracker']}\n{row['scheduler']}" for row in rows],
        {"p50": [(row["step_us_p50"], row["step_us_p50_ci"]) for row in rows]},
        ylabel="median processor time of a step [us]",
        title="One step, 8 anchors unless said otherwise, 3 ranges",
    )
