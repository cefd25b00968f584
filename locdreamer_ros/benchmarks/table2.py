# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Table 2 of the LocDreamer paper in the simulated house or on recordings, and a sceptic's rows.

Each seed is another house. Training, validation and test are different walks in it; training sees
ranges of the three bootstrap anchors only (DSSM - all (real): of the five deployed ones), and no
ground truth. One fix a second, 3 of 5 anchors. On recordings the fixes are as recorded; of the
truth only the tag's usual height is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locdreamer_ros.benchmarks.learned import Place, as_trained, learn, learned, place, run_test
from locdreamer_ros.benchmarks.result import Result, Row, Settings, summarise, with_interval
from locdreamer_ros.benchmarks.spreading import spread
from locdreamer_ros.evaluation.intervals import mean_interval, paired_reduction
from locdreamer_ros.evaluation.run import Report
from locdreamer_ros.methods import make_scheduler, make_tracker

if TYPE_CHECKING:
    from locdreamer_ros.locdreamer.learning.learner import Learner
    from locdreamer_ros.locdreamer.learning.train import Task
    from locdreamer_ros.locdreamer.model_file import Trained

EKF_RANDOM, EKF_ALL = "EKF - random scheduling", "EKF - all anchors"
REAL = "DSSM - all anchors (real)"
RAW = "DSSM of the paper's form - all anchors (real)"
LITERAL = "LocDreamer literal"
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
SAME_TRACKER = "LocDreamer, tracker of scheduling"
RIVALS = ("robust-ekf", "bias-ekf", "grid", "particle")
SCHEDULERS = ("random", "gdop", "all")
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
CLIMBS_M = 0.3
"""A tag that leaves its height by more is no longer in the plane."""


PARTS = ("imagined", "real", "literal")
"""What can be trained at the same time."""
FIRST_LARGER = 0.75
"""1: groups of a part are alike. Two cores so end together: 6 and 4 of ten seeds."""


def models_of(places: Sequence[Place], part: str = "") -> list[dict[str, Any]]:
    """The models (`Trained`) of each place, those of all places trained side by side.

    imagined: first (stage 1), dreamer (both stages), everybody (all asked in stage 2); real: real
    (stage 1 on real ranges of the anchors deployed) and raw (the same in the paper's form);
    literal: letter (both stages to the letter). Without a part all of them.
    """
    if not part:
        found = [models_of(places, each) for each in PARTS]
        return [
            {k: v for models in one for k, v in models.items()} for one in zip(*found, strict=True)
        ]
    from time import perf_counter

    seeds, noise = [where.seed for where in places], places[0].noise
    tasks, reals = [where.task for where in places], [where.real_task for where in places]
    letter: dict[str, Any] = {"preset": "paper", "mode": "literal"}

    def kept(learners: Sequence[Learner], of: Sequence[Task]) -> list[Trained]:
        return [as_trained(x, task) for x, task in zip(learners, of, strict=True)]

    learned_now: dict[str, list[Any]]
    if part == "imagined":
        begin = perf_counter()
        first = learn(tasks, seeds, noise=noise, imagine_epochs=0)
        models = [learner.model for learner in first]
        dreamer = learn(tasks, seeds, noise=noise, pretrained=models)
        seconds = (perf_counter() - begin) / len(places)
        everybody = learn(tasks, seeds, noise=noise, pretrained=models, subsets="all")
        learned_now = {
            "first": kept(first, tasks),
            "dreamer": kept(dreamer, tasks),
            "everybody": kept(everybody, tasks),
            SECONDS: [seconds] * len(places),
        }
    elif part == "real":
        real = learn(reals, seeds, noise=noise, imagine_epochs=0)
        raw = learn(reals, seeds, imagine_epochs=0, **letter)
        learned_now = {"real": kept(real, reals), "raw": kept(raw, reals)}
    else:
        learned_now = {"letter": kept(learn(tasks, seeds, **letter), tasks)}
    return [{name: x[i] for name, x in learned_now.items()} for i in range(len(places))]


def rows_in(where: Place, models: Mapping[str, Any]) -> dict[str, Report]:
    """Every row's report for one place and its models."""
    return {
        **paper_rows(where, models),
        **sceptic_rows(where, models),
        **literal_rows(where, models),
    }


def paper_rows(where: Place, models: Mapping[str, Any]) -> dict[str, Report]:
    """The six rows of the paper."""
    site, seed = where.site, where.seed
    found: dict[str, Report] = {}
    for name, scheduler in ((EKF_RANDOM, "random"), (EKF_ALL, "all")):
        found[name] = _classical(where, name, "ekf", "paper", scheduler)
    tracker, _ = learned(models["real"], site)
    found[REAL] = run_test(where, REAL, tracker(), make_scheduler("all", site))[1]
    tracker, policy = learned(models["dreamer"], site)
    found[RANDOM] = run_test(where, RANDOM, tracker(), make_scheduler("random", site, seed=seed))[1]
    of_all, _ = learned(models["everybody"], site)
    found[ALL] = run_test(where, ALL, of_all(), make_scheduler("all", site))[1]
    found[SCHEDULING] = run_test(where, SCHEDULING, tracker(), policy())[1]
    found[SCHEDULING][SECONDS] = models[SECONDS]
    return found


def sceptic_rows(where: Place, models: Mapping[str, Any]) -> dict[str, Report]:
    """Stronger rivals, and what each part of LocDreamer does on its own."""
    site = where.site
    found: dict[str, Report] = {}
    for name in RIVALS:
        for scheduler in SCHEDULERS:
            row = f"{name} - {scheduler}"
            found[row] = _classical(where, row, name, "", scheduler)
    tracker, policy = learned(models["dreamer"], site)
    for scheduler in ("foresight", "gdop", "sequential", "all"):
        row = f"{SAME_TRACKER} - {scheduler}"
        found[row] = run_test(where, row, tracker(), make_scheduler(scheduler, site))[1]
    only_first, _ = learned(models["first"], site)
    for scheduler in SCHEDULERS:
        row = f"LocDreamer, stage 1 only - {scheduler}"
        chosen = make_scheduler(scheduler, site, seed=where.seed)
        found[row] = run_test(where, row, only_first(), chosen)[1]
    row = "robust-ekf - LocDreamer's scheduling"
    found[row] = run_test(where, row, make_tracker("robust-ekf", site), policy())[1]
    return found


def literal_rows(where: Place, models: Mapping[str, Any]) -> dict[str, Report]:
    """The paper's form on real ranges, and Algorithm 1 to the letter."""
    site = where.site
    of_real, _ = learned(models["raw"], site)
    tracker, policy = learned(models["letter"], site)
    found = {RAW: run_test(where, RAW, of_real(), make_scheduler("all", site))[1]}
    for scheduler in ("random", "all"):
        row = f"{LITERAL} - {scheduler}"
        chosen = make_scheduler(scheduler, site, seed=where.seed)
        found[row] = run_test(where, row, tracker(), chosen)[1]
    row = f"{LITERAL} - scheduling"
    found[row] = run_test(where, row, tracker(), policy())[1]
    return found


def _classical(where: Place, row: str, tracker: str, preset: str, scheduler: str) -> Report:
    return run_test(
        where,
        row,
        make_tracker(tracker, where.site, preset=preset, seed=where.seed),
        make_scheduler(scheduler, where.site, seed=where.seed),
    )[1]


def run(settings: Settings) -> Result:
    """Run all rows over all seeds: those of a batch are trained together, on a GPU all of them."""
    import torch

    jobs = settings.jobs
    make = partial(place, settings=settings)
    places = spread(make, settings.seeds, settings, label="places")
    there = torch.cuda.is_available()
    most = 1 if there else len(places)
    shares = dict.fromkeys(PARTS, min(max(1, jobs // len(PARTS)), most))
    shares["literal"] = min(max(1, jobs), most)  # a third of the others: it fills what they leave
    work = [(group, part) for part, n in shares.items() for group in _groups(places, n)]
    at_once = len(work) if there else 0
    trained = spread(_train, work, settings, label="trainings", processes=at_once)
    models: dict[int, dict[str, Any]] = {where.seed: {} for where in places}
    for (group, _), found in zip(work, trained, strict=True):
        for where, more in zip(group, found, strict=True):
            models[where.seed] |= more
    both = [(where, models[where.seed]) for where in places]
    result = summary(spread(_rows, both, settings, label="seeds"))
    climbs = places[0].climbs
    if climbs < CLIMBS_M:
        return result
    flat = f"The tag goes {climbs:.1f} m up and down; every row takes it at its usual height."
    return replace(result, notes=[*result.notes, flat])


def _groups(places: Sequence[Place], count: int) -> list[Sequence[Place]]:
    """At most `count` groups, the first of them larger: who is free first takes it."""
    ends = [round(len(places) * (i / count) ** FIRST_LARGER) for i in range(count + 1)]
    return [places[a:b] for a, b in pairwise(ends) if a < b]


def _train(job: tuple[Sequence[Place], str]) -> list[dict[str, Any]]:
    return models_of(*job)


def _rows(job: tuple[Place, Mapping[str, Any]]) -> dict[str, Report]:
    return rows_in(*job)


def summary(by_seed: Sequence[Mapping[str, Report]]) -> Result:
    """Rows, claims and picture of `rows_in` found for each seed."""
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
    against_gdop = paired_reduction(scheduled, mae[f"{SAME_TRACKER} - gdop"])
    foresight = mae[f"{SAME_TRACKER} - foresight"]
    foreseen = mean_interval([r / s for r, s in zip(mae[REAL], foresight, strict=True)])
    literal = paired_reduction(mae[f"{LITERAL} - scheduling"], mae[EKF_RANDOM])
    held = mean_interval([found[REAL]["coverage95"] for found in by_seed])
    wins = sum(s < r for s, r in zip(scheduled, mae[RANDOM], strict=True))
    above_all = mean_interval([s - a for s, a in zip(scheduled, of_all, strict=True)])
    claims = {
        "below_ekf_random": below.mean / 100.0,
        "below_ekf_random_ci": below.half_width / 100.0,
        "of_dssm_real": share.mean,
        "of_dssm_real_ci": share.half_width,
        "of_dssm_real_foresight": foreseen.mean,
        "of_dssm_real_foresight_ci": foreseen.half_width,
        "below_locdreamer_random": random.mean / 100.0,
        "below_locdreamer_random_ci": random.half_width / 100.0,
        "seeds_below_locdreamer_random": float(wins),
        "below_gdop": against_gdop.mean / 100.0,
        "below_gdop_ci": against_gdop.half_width / 100.0,
        "above_all_m": above_all.mean,
        "above_all_m_ci": above_all.half_width,
        "literal_below_ekf_random": literal.mean / 100.0,
        "literal_below_ekf_random_ci": literal.half_width / 100.0,
        "coverage95_dssm": held.mean,
        "coverage95_dssm_ci": held.half_width,
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
            f"{100 * share.mean:.1f} ± {100 * share.half_width:.1f} % (paired by seed); with "
            f"foresight in the policy's place {100 * foreseen.mean:.1f} ± "
            f"{100 * foreseen.half_width:.1f} %.",
            f"Scheduling is below random on {wins} of {len(by_seed)} seeds "
            f"({random.mean:.1f} ± {random.half_width:.1f} %), {against_gdop.mean:.1f} ± "
            f"{against_gdop.half_width:.1f} % below GDOP with the same tracker, and "
            f"{above_all.mean:.3f} ± {above_all.half_width:.3f} m above all anchors with a tracker "
            "trained on all.",
            *_by_others([found[SCHEDULING] for found in by_seed]),
            f"Stage 1 and 2 of one model took {claims['training_s']:.0f} s: a seed's share where "
            "several are trained side by side, in one thread or on one GPU.",
        ],
    )


def _by_others(reports: Sequence[Report]) -> list[str]:
    """A note where the world model did not answer all of its row itself."""
    why = sorted({reason for report in reports for reason in report["fallback"]})
    updates = sum(sum(report["fallback"].values()) for report in reports)
    steps = sum(report["steps"] for report in reports)
    if not updates:
        return []
    share = f"{100.0 * updates / steps:.0f} % of the updates of {SCHEDULING!r}"
    return [f"{share} were made by the robust EKF that stands by: {'; '.join(why)}."]


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
