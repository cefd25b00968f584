# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shipped model and its scheduler where they were never trained, against the strongest peers.

Each seed is other buildings, biases and walks, drawn by the simulator, which shares no code with
the dreams of the training; on recordings a seed only draws schedulers and particles. `random` is
the family that the model was selected on and is in no claim. The model is not told what a device
guesses of blocked links, except in rows that say so; its peers take no notice of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from locdreamer_ros.benchmarks.methods import BUDGET, label
from locdreamer_ros.benchmarks.paces import STRONGEST_RIVALS, ZERO_SHOT, pace_claims, pace_rows
from locdreamer_ros.benchmarks.result import Result, Row, Settings, summarise, with_interval
from locdreamer_ros.benchmarks.spreading import spread
from locdreamer_ros.benchmarks.zero_shot_rows import (
    ALIGNED,
    CLASSICAL,
    FIXED,
    HINTED,
    LOOKING,
    PLACES,
    RECORDING_SEEDS,
    SCHEDULER_PLACES,
    SCHEDULERS,
    SELECTION,
    SHORT_STEPS,
    Case,
    Seed,
    one_seed,
    step_cost,
)
from locdreamer_ros.evaluation.intervals import Interval, mean_interval, paired_reduction
from locdreamer_ros.evaluation.run import Report

EKF = "ekf (paper)"
COLUMNS = {
    "place": "place",
    "tracker": "tracker",
    "scheduler": "scheduler",
    "ranges_per_fix": "ranges/fix",
    "mae": "MAE m",
    "rmse": "RMSE m",
    "p50": "p50 m",
    "p90": "p90 m",
    "max": "max m",
    "nees": "NEES",
    "coverage95": "in 95 %",
    "lost": "lost",
    "step_us_p50": "step us",
    "below_gdop": "below gdop, %",
    "below_curve": "below fixed K, %",
}


def run(settings: Settings) -> Result:
    """Run everything over all seeds, on the recordings given too."""
    recorded = settings.seeds[:RECORDING_SEEDS]
    found = spread(
        partial(one_seed, files=settings.recordings, recorded=recorded),
        settings.seeds,
        settings,
        label="seeds",
    )
    cost = step_cost(settings.seeds[:3])
    return summary(found, [path.stem for path, _ in settings.recordings], cost)


def summary(found: Sequence[Seed], recordings: Sequence[str], cost: Mapping[str, float]) -> Result:
    """Rows, claims and picture of what the seeds found."""
    reports = [seed.places for seed in found]
    recorded = [seed.recordings for seed in found if seed.recordings]
    paces = [seed.paces for seed in found]
    rows = [*table(reports), *table(recorded), *walk_rows(found), *curve_rows(found)]
    rows += pace_rows(paces)
    keys = dict.fromkeys(key for row in rows for key in row)
    rows = [{key: row.get(key) for key in keys} for row in rows]
    intervals = {
        "below_ekf_random": below(reports, ("house", ZERO_SHOT, "gdop"), ("house", EKF, "random")),
        "below_classical_gdop": below_best(reports, "gdop"),
        "below_classical_all": below_best(reports, "all"),
        "scheduler_below_gdop_32": scheduled(found, f"{SHORT_STEPS} steps"),
        "scheduler_below_gdop_long": scheduled(found, "long"),
    }
    claims = {name: interval.mean for name, interval in intervals.items()}
    claims |= {f"{name}_ci_low": interval.low for name, interval in intervals.items()}
    claims |= pace_claims(paces)
    moved = [name + ALIGNED for name in recordings]
    covered = [
        mean(group, (place, ZERO_SHOT, scheduler), "coverage95")
        for group, places in ((reports, [p for p in PLACES if p != SELECTION]),)
        + (((recorded, recordings),) if recorded else ())
        for place in places
        for scheduler in SCHEDULERS
    ]
    claims |= {
        "coverage95_min": min(covered),
        "coverage95_max": max(covered),
        "step_cost_ratio": cost[ZERO_SHOT] / cost["bias-ekf"],
        "lost_zero_shot": mean(reports, ("house", ZERO_SHOT, "gdop"), "lost"),
        "lost_best_classical": min(
            mean(reports, ("house", name, "gdop"), "lost") for name in STRONGEST_RIVALS
        ),
        "lias_3": over_recordings(recorded, recordings, "gdop"),
        "lias_all": over_recordings(recorded, recordings, "all"),
        "lias_3_aligned": over_recordings(recorded, moved, "gdop"),
        "lias_all_aligned": over_recordings(recorded, moved, "all"),
    }
    return Result(
        rows=rows,
        claims=claims,
        columns=COLUMNS,
        draw=partial(draw, rows=rows, recordings=recordings, seeds=len(found)),
        notes=[
            f"K = {BUDGET} but for `all`; {SELECTION} is what the model was selected on, in no "
            f"claim. Walks in {' and '.join(SCHEDULER_PLACES)} compare {LOOKING} with "
            "gdop, both with the zero-shot tracker.",
            f"A step takes {cost[ZERO_SHOT]:.0f} us, one of bias-ekf {cost['bias-ekf']:.0f} us, "
            "measured in turns.",
        ],
    )


def mean(reports: Sequence[Mapping[Case, Report]], method: Case, measure: str) -> float:
    """Mean of a measure over seeds."""
    return float(np.mean([found[method][measure] for found in reports]))


def below(reports: Sequence[Mapping[Case, Report]], method: Case, reference: Case) -> Interval:
    """How far the MAE of a method lies below the reference's, as a fraction, paired by seed."""
    return fraction(
        paired_reduction(
            [found[method]["mae"] for found in reports],
            [found[reference]["mae"] for found in reports],
        )
    )


def fraction(percent: Interval) -> Interval:
    """The interval in parts of one."""
    return Interval(percent.mean / 100.0, percent.half_width / 100.0, percent.count)


def below_best(reports: Sequence[Mapping[Case, Report]], scheduler: str) -> Interval:
    """Against the better of the strongest classical trackers in the house."""
    rivals = [("house", name, scheduler) for name in STRONGEST_RIVALS]
    best = min(rivals, key=lambda method: mean(reports, method, "mae"))
    return below(reports, ("house", ZERO_SHOT, scheduler), best)


def scheduled(found: Sequence[Seed], length: str) -> Interval:
    """How far the sequential scheduler lies below gdop: the mean over places, paired by seed."""
    ratio = [
        float(
            np.mean(
                [
                    seed.walks[place, length, LOOKING] / seed.walks[place, length, "gdop"]
                    for place in SCHEDULER_PLACES
                ]
            )
        )
        for seed in found
    ]
    return mean_interval([1.0 - r for r in ratio])


def over_recordings(
    recorded: Sequence[Mapping[Case, Report]], names: Sequence[str], scheduler: str
) -> float:
    """Mean MAE of the zero-shot tracker over the recordings; NaN without any."""
    if not recorded:
        return math.nan
    return float(np.mean([mean(recorded, (n, ZERO_SHOT, scheduler), "mae") for n in names]))


def table(reports: Sequence[Mapping[Case, Report]]) -> list[Row]:
    """One row per place and method."""
    rows = []
    for place, tracker, scheduler in reports[0] if reports else ():
        group = [found[place, tracker, scheduler] for found in reports]
        row: Row = {"place": place, "tracker": tracker, "scheduler": scheduler, "budget": BUDGET}
        summarise(row, group)
        with_interval(row, "lost", mean_interval([each["lost"] for each in group]))
        rows.append(row)
    return rows


def walk_rows(found: Sequence[Seed]) -> list[Row]:
    """One row per place, length and scheduler of the walks that compare schedulers."""
    rows: list[Row] = []
    for place, length, scheduler in found[0].walks:
        row: Row = {"place": f"{place}, {length}", "tracker": ZERO_SHOT, "scheduler": scheduler}
        mae = [seed.walks[place, length, scheduler] for seed in found]
        with_interval(row, "mae", mean_interval(mae))
        gdop = [seed.walks[place, length, "gdop"] for seed in found]
        if scheduler != "gdop":
            with_interval(row, "below_gdop", paired_reduction(mae, gdop))
        rows.append(row)
    return rows


def curve_rows(found: Sequence[Seed]) -> list[Row]:
    """One row per budget, fixed or ended early."""
    rows: list[Row] = []
    for name in found[0].curve:
        row: Row = {"place": "house, budget", "tracker": ZERO_SHOT, "scheduler": name}
        with_interval(row, "ranges_per_fix", mean_interval([s.curve[name][0] for s in found]))
        mae = [seed.curve[name][1] for seed in found]
        with_interval(row, "mae", mean_interval(mae))
        if "K =" not in name:
            fixed = [on_fixed_curve(seed, seed.curve[name][0]) for seed in found]
            with_interval(row, "below_curve", paired_reduction(mae, fixed))
        rows.append(row)
    return rows


def on_fixed_curve(seed: Seed, ranges_per_fix: float) -> float:
    """MAE m of the sequential scheduler with a fixed budget of as many ranges.

    Between whole numbers its logarithm is interpolated: the curve is convex, a straight line
    between its points would flatter whoever spends in between.
    """
    points = [seed.curve[f"{LOOKING}, K = {k}"] for k in FIXED]
    return float(
        np.exp(np.interp(ranges_per_fix, [p[0] for p in points], [np.log(p[1]) for p in points]))
    )


def draw(path: Path, *, rows: Sequence[Row], recordings: Sequence[str], seeds: int) -> None:
    """Bars of the MAE in each place, with gdop and with all; the curve of the budgets."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from locdreamer_ros.files import replaced

    places = [*PLACES, *recordings]
    labels = [f"{p}\n(selection)" if p == SELECTION else p.replace("_", "\n") for p in places]
    trackers = [ZERO_SHOT, HINTED, *(label(*tracker) for tracker in CLASSICAL)]
    colours = ("#d55e00", "#e69f00", "#0072b2", "#009e73", "#cc79a7", "0.6")
    figure = Figure(figsize=(15.0, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    gdop, everybody, curve = figure.subplots(1, 3, width_ratios=[1.3, 1.3, 1.0])
    width = 0.8 / len(trackers)
    for axes, scheduler in ((gdop, "gdop"), (everybody, "all")):
        for number, (tracker, colour) in enumerate(zip(trackers, colours, strict=True)):
            at, height, error = [], [], []
            for index, place in enumerate(places):
                for row in rows:
                    if (row["place"], row["tracker"], row["scheduler"]) == (
                        place,
                        tracker,
                        scheduler,
                    ):
                        at.append(index + (number - (len(trackers) - 1) / 2) * width)
                        height.append(row["mae"])
                        error.append(0.0 if math.isnan(row["mae_ci"]) else row["mae_ci"])
            axes.bar(at, height, width, yerr=error, color=colour, label=tracker, capsize=2)
        axes.set_xticks(range(len(places)), labels)
        axes.set_ylabel("MAE [m]")
        axes.set_yscale("log")  # a factor of twenty between the best and the paper's
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_ylim(0.04, 8.0)
        axes.set_title("all anchors" if scheduler == "all" else f"{BUDGET} anchors, gdop")
    gdop.legend(fontsize=8)
    budgets = [row for row in rows if row["place"] == "house, budget"]
    n = len(FIXED)
    for part, style, text in (
        (budgets[:n], "o-", "fixed K, gdop"),
        (budgets[n : 2 * n], "^-", f"fixed K, {LOOKING}"),
        ([row for row in budgets if " price " in row["scheduler"]], "s", "ends at a price"),
        ([row for row in budgets if " accuracy " in row["scheduler"]], "D", "ends at an accuracy"),
    ):
        if part:
            curve.errorbar(
                [row["ranges_per_fix"] for row in part],
                [row["mae"] for row in part],
                [0.0 if math.isnan(row["mae_ci"]) else row["mae_ci"] for row in part],
                fmt=style,
                label=text,
                capsize=3,
            )
    curve.set(xlabel="ranges per fix", ylabel="MAE [m]", title="house: accuracy against budget")
    curve.set_yscale("log")
    curve.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    curve.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    curve.legend(fontsize=8)
    figure.suptitle(f"Zero-shot tracking, {seeds} seeds, 95 % intervals")
    with replaced(path) as temporary:
        figure.savefig(temporary, dpi=120)
