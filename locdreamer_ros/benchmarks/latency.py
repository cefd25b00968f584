# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processor time per step of trackers and schedulers beside the EKFs of others, and how it grows.

All contenders take turns at each epoch of one walk, in one process, whatever `jobs` says: so they
meet the same caches and the same neighbours, and their ratios hold on a busy machine. A step is
predict, choose and update as the loop makes them, without its watch and the source of ranges.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import numpy as np
from tqdm import tqdm

from locdreamer_ros import compiled
from locdreamer_ros.benchmarks.methods import BUDGET
from locdreamer_ros.benchmarks.result import Result, Row, Settings, with_interval
from locdreamer_ros.benchmarks.rivals import PACKAGES, RIVALS
from locdreamer_ros.benchmarks.turns import ANCHORS_HEARD, Step, stepper
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.evaluation.intervals import mean_interval
from locdreamer_ros.methods import CLASSICAL, NEED_A_MODEL, SCHEDULERS, Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Anchors, FloatArray, Site

RATE_HZ = 10.0
SHORT_S, LONG_S = 60.0, 600.0
HELP_RUNS = 5
SITES = (5, 8, 64, 300, 1000)
"""Anchors of the sites of the growth curve; the first 8 of each are heard."""
WARM_UP_SHARE = 0.1
"""Share of the steps at the beginning that is not counted."""

OUR_METHOD = ("zero-shot", "foresight")
FILTERPY = ("filterpy", "random")
GROWING = {OUR_METHOD: SITES, ("ekf", "gdop"): SITES, ("bias-ekf", "gdop"): SITES}
"""Whose steps are timed on larger and larger sites."""
LEARNED = (("locdreamer", "random"), ("ekf", "actor"))
"""With a model that has learned nothing: how long a step takes does not depend on that."""


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
    """Every tracker with 3 random anchors, two with every scheduler, and those of others."""
    choosing = [s for s in SCHEDULERS if s not in NEED_A_MODEL]
    pairs = [(tracker, "random") for tracker in CLASSICAL]
    pairs += [("ekf", s) for s in choosing if s != "random"]
    pairs += [("zero-shot", s) for s in choosing]
    found: dict[tuple[str, str], Step] = {
        name: rival(recording, site, seed)
        for name, rival in RIVALS.items()
        if find_spec(PACKAGES[name[0]]) is not None
    }
    for tracker, scheduler in pairs:
        method = Method(tracker=tracker, scheduler=scheduler, budget=BUDGET, seed=seed)
        found[tracker, scheduler] = stepper(method, recording, site, lives)
    if find_spec("torch") is not None:
        model = learned_nothing(site, lives)
        for tracker, scheduler in LEARNED:
            method = Method(
                tracker=tracker,
                scheduler=scheduler,
                budget=BUDGET,
                seed=seed,
                model=model,
                compute="cpu",
            )
            found[tracker, scheduler] = stepper(method, recording, site, lives)
    return found


def learned_nothing(site: Site, lives: ExitStack) -> str:
    """The file, as long as `lives`, of a `locdreamer` model of the site that was not trained."""
    import torch

    from locdreamer_ros.benchmarks.gpu import untrained
    from locdreamer_ros.locdreamer.model_file import save_model

    torch.set_num_threads(1)
    path = Path(lives.enter_context(tempfile.TemporaryDirectory())) / "untrained.pt"
    save_model(path, untrained(site.anchors, BUDGET, 1.0 / RATE_HZ))
    return str(path)


def spread_out(site: Site, count: int) -> Site:
    """The site's first 8 anchors (fewer for a lower `count`), and others up to `count`.

    Those are never heard: 10 m apart and beyond reach.
    """
    places = site.anchors.positions[: min(ANCHORS_HEARD, count)]
    number = np.arange(count - len(places))
    more = np.column_stack(
        [200.0 + 10.0 * (number % 40), 10.0 * (number // 40), 2.5 + 0.0 * number]
    )
    ids = tuple(f"A{i}" for i in range(count))
    return Site(Anchors(ids, np.concatenate([places, more])), 2, site.tag_height)


def on_a_site(method: tuple[str, str], count: int) -> tuple[str, str]:
    """The name of a row of the growth curve."""
    return method[0], f"{method[1]}, {count} anchors"


def growth(recording: Recording, site: Site, seed: int) -> dict[tuple[str, str], FloatArray]:
    """Steps on sites of more and more anchors; each method takes turns with itself alone."""
    spent: dict[tuple[str, str], FloatArray] = {}
    for (tracker, scheduler), sites in GROWING.items():
        method = Method(tracker=tracker, scheduler=scheduler, budget=BUDGET, seed=seed)
        with ExitStack() as lives:
            steps = {
                on_a_site((tracker, scheduler), count): stepper(
                    method, recording, spread_out(site, count), lives
                )
                for count in sites
            }
            spent |= take_turns(steps, len(recording))
    return spent


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
    claims = {
        "growth_1000": p50[on_a_site(OUR_METHOD, 1000)] / p50[on_a_site(OUR_METHOD, 8)],
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
    notes += [
        f"{PACKAGES[name[0]]} is not installed: no {name[0]} beside."
        for name in RIVALS
        if name not in timed[0]
    ]
    if FILTERPY in timed[0]:
        claims["ratio_filterpy"] = own["ratio_filterpy"]
    if LEARNED[0] in timed[0]:
        notes.append("locdreamer and actor had a model that was not trained, and one thread.")
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
