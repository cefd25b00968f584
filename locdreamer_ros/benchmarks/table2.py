# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Table 2 of the LocDreamer paper in the simulated house or on recordings, and a sceptic's rows.

Each seed is another house. Training, validation and test are different walks in it; training sees
ranges of the three bootstrap anchors only (DSSM - all (real): of the five deployed ones), and no
ground truth. One fix a second, 3 of 5 anchors.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from locdreamer_ros.benchmarks.learned import learn, learned, place, run_test
from locdreamer_ros.benchmarks.result import Result, Row, Settings, spread, summarise, with_interval
from locdreamer_ros.evaluation.intervals import mean_interval, paired_reduction
from locdreamer_ros.evaluation.run import Report
from locdreamer_ros.schedulers import make_scheduler
from locdreamer_ros.trackers import make_tracker

EKF_RANDOM, EKF_ALL = "EKF - random scheduling", "EKF - all anchors"
REAL = "DSSM - all anchors (real)"
RANDOM, ALL = "LocDreamer - random scheduling", "LocDreamer - all anchors (imagined)"
SCHEDULING = "LocDreamer - scheduling"
PAPER: dict[str, tuple[float, float, float, float]] = {
    EKF_RANDOM: (1.05, 1.67, 0.71, 1.83),
    EKF_ALL: (0.92, 1.50, 0.63, 1.41),
    REAL: (0.57, 0.64, 0.54, 0.96),
    RANDOM: (1.07, 1.43, 0.82, 2.05),
    ALL: (0.85, 1.07, 0.68, 1.60),
    SCHEDULING: (0.66, 0.77, 0.60, 1.18),
}
"""MAE, RMSE, 50th and 90th percentile, m, of the paper's Table 2."""
RIVALS = (("robust-ekf", ""), ("bias-ekf", ""), ("grid", ""), ("particle", ""))
COLUMNS = {
    "name": "method",
    "ranges_per_fix": "ranges/fix",
    "mae": "MAE m",
    "rmse": "RMSE m",
    "p50": "p50 m",
    "p90": "p90 m",
    "max": "max m",
    "coverage95": "in 95 %",
    "paper_mae": "paper: MAE",
    "paper_rmse": "RMSE",
    "paper_p50": "p50",
    "paper_p90": "p90",
}
SECONDS = "training_s"


def one_place(seed: int, settings: Settings) -> dict[str, Report]:
    """Every row's report for one seed."""
    from time import perf_counter

    where = place(seed, settings)
    task, site = where.task, where.site
    found: dict[str, Report] = {}

    def classical(name: str, tracker: str, preset: str, scheduler: str) -> None:
        found[name] = run_test(
            where,
            name,
            make_tracker(tracker, site, preset=preset, seed=seed),
            make_scheduler(scheduler, site, seed=seed),
        )[1]

    classical(EKF_RANDOM, "ekf", "paper", "random")
    classical(EKF_ALL, "ekf", "paper", "all")
    real = learn(where.real_task, seed, imagine_epochs=0)
    tracker, _ = learned(real, where.real_task, site)
    found[REAL] = run_test(where, REAL, tracker(), make_scheduler("all", site))[1]

    begin = perf_counter()
    first = learn(task, seed, imagine_epochs=0)
    dreamer = learn(task, seed, pretrained=first.model)
    seconds = perf_counter() - begin
    tracker, policy = learned(dreamer, task, site)
    found[RANDOM] = run_test(where, RANDOM, tracker(), make_scheduler("random", site, seed=seed))[1]
    everybody = learn(task, seed, pretrained=first.model, subsets="all")
    of_all, _ = learned(everybody, task, site)
    found[ALL] = run_test(where, ALL, of_all(), make_scheduler("all", site))[1]
    found[SCHEDULING] = run_test(where, SCHEDULING, tracker(), policy())[1]
    found[SCHEDULING][SECONDS] = seconds

    for name, preset in RIVALS:
        for scheduler in ("random", "gdop", "all"):
            classical(f"{name} - {scheduler}", name, preset, scheduler)
    for scheduler in ("gdop", "all"):
        name = f"LocDreamer, tracker of {SCHEDULING.split(' - ')[1]} - {scheduler}"
        found[name] = run_test(where, name, tracker(), make_scheduler(scheduler, site))[1]
    only_first, _ = learned(first, task, site)
    for scheduler in ("random", "gdop", "all"):
        name = f"LocDreamer, stage 1 only - {scheduler}"
        chosen = make_scheduler(scheduler, site, seed=seed)
        found[name] = run_test(where, name, only_first(), chosen)[1]
    name = "robust-ekf - LocDreamer's scheduling"
    found[name] = run_test(where, name, make_tracker("robust-ekf", site), policy())[1]
    letter = learn(task, seed, preset="paper", mode="literal")
    literal, its_policy = learned(letter, task, site)
    for scheduler in ("random", "all"):
        name = f"LocDreamer literal - {scheduler}"
        chosen = make_scheduler(scheduler, site, seed=seed)
        found[name] = run_test(where, name, literal(), chosen)[1]
    name = "LocDreamer literal - scheduling"
    found[name] = run_test(where, name, literal(), its_policy())[1]
    return found


def run(settings: Settings) -> Result:
    """Run all rows over all seeds."""
    by_seed = spread(
        partial(one_place, settings=settings),
        settings.seeds,
        processes=settings.jobs,
        label="seeds",
    )
    mae = {name: [found[name]["mae"] for found in by_seed] for name in by_seed[0]}
    rows: list[Row] = []
    for name in mae:
        row = summarise({"name": name}, [found[name] for found in by_seed])
        below = paired_reduction(mae[name], mae[EKF_RANDOM])
        with_interval(row, "below_ekf_random", below)
        for key, value in zip(("mae", "rmse", "p50", "p90"), PAPER.get(name, ()), strict=False):
            row[f"paper_{key}"] = value
        rows.append({**{f"paper_{k}": None for k in ("mae", "rmse", "p50", "p90")}, **row})
    scheduled, of_all = mae[SCHEDULING], mae[ALL]
    below = paired_reduction(scheduled, mae[EKF_RANDOM])
    share = mean_interval([r / s for r, s in zip(mae[REAL], scheduled, strict=True)])
    random = paired_reduction(scheduled, mae[RANDOM])
    gdop = next(n for n in mae if n.startswith("LocDreamer, tracker") and n.endswith("gdop"))
    against_gdop = paired_reduction(scheduled, mae[gdop])
    wins = sum(s < r for s, r in zip(scheduled, mae[RANDOM], strict=True))
    above_all = mean_interval([s - a for s, a in zip(scheduled, of_all, strict=True)])
    claims = {
        "below_ekf_random": below.mean / 100.0,
        "below_ekf_random_ci": below.half_width / 100.0,
        "of_dssm_real": share.mean,
        "of_dssm_real_ci": share.half_width,
        "below_locdreamer_random": random.mean / 100.0,
        "below_locdreamer_random_ci": random.half_width / 100.0,
        "seeds_below_locdreamer_random": float(wins),
        "below_gdop": against_gdop.mean / 100.0,
        "below_gdop_ci": against_gdop.half_width / 100.0,
        "above_all_m": above_all.mean,
        "above_all_m_ci": above_all.half_width,
        "training_s": max(found[SCHEDULING][SECONDS] for found in by_seed),
    }
    return Result(
        rows=rows,
        claims=claims,
        columns=COLUMNS,
        draw=lambda path: _draw(path, rows, len(by_seed)),
        notes=[
            f"Paper: scheduling 37 % below EKF-random, 86 % of DSSM-real's accuracy. Here: "
            f"{below.mean:.1f} ± {below.half_width:.1f} % and "
            f"{100 * share.mean:.1f} ± {100 * share.half_width:.1f} % (paired by seed).",
            f"Scheduling is below random on {wins} of {len(by_seed)} seeds "
            f"({random.mean:.1f} ± {random.half_width:.1f} %), {against_gdop.mean:.1f} ± "
            f"{against_gdop.half_width:.1f} % below GDOP with the same tracker, and "
            f"{above_all.mean:.3f} ± {above_all.half_width:.3f} m above all anchors with a tracker "
            "trained on all.",
            f"Stage 1 and 2 of one model took at most {claims['training_s']:.0f} s in one thread.",
        ],
    )


def _draw(path: Path, rows: list[Row], seeds: int) -> None:
    """Bars of our MAE beside the paper's."""
    from locdreamer_ros.evaluation.plots import plot_bars

    six = [row for row in rows if row["name"] in PAPER]
    plot_bars(
        path,
        [str(row["name"]).replace(" - ", "\n").replace(" scheduling", "") for row in six],
        {
            "here": [(row["mae"], row["mae_ci"]) for row in six],
            "paper (Bregar's house)": [(row["paper_mae"], 0.0) for row in six],
        },
        ylabel="MAE [m]",
        title=f"Table 2, {seeds} seeds, 95 % intervals",
    )
