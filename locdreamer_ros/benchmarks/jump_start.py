# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JUNO's jump start on LocDreamer's actor: epochs to quality with and without a guide.

In the house the actor is trained on all subsets of 3 of 5 anchors; in the hall 3 of 10 are too many
subsets, and the sampled actor-critic starts without physics. Quality is what the run without guide
reached at its end, by the policy's cost (bounded error, m) in dreams of the validation walks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros.benchmarks.learned import configs, learn
from locdreamer_ros.benchmarks.result import Result, Row, Settings, spread, with_interval
from locdreamer_ros.evaluation.intervals import mean_interval, paired_difference

EPOCHS: dict[str, Any] = {
    "epochs": 10,
    "minibatches": 2,
    "imagine_epochs": 40,
    "batch": 16,
    "steps": 8,
}
NO_GUIDE = "none"
PLACES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "house, all subsets": (
        "house",
        ("A3", "A6", "A8"),
        ("A1", "A2", "A4", "A5", "A7"),
        (NO_GUIDE, "gdop"),
    ),
    "hall, sampled": (
        "hall",
        ("A1", "A6", "A9"),
        ("A2", "A3", "A5", "A7", "A8", "A10", "A12", "A13", "A15", "A16"),
        (NO_GUIDE, "gdop"),
    ),
}
"""Setting -> environment, bootstrap and deployed anchors, guides."""
LAST = 3
"""Validations averaged for the quality at the end."""
CLOSE = 1.02
Curve = list[tuple[int, float]]
"""(imagination epochs, the policy's cost) at each validation."""


def one_place(seed: int) -> dict[tuple[str, str], Curve]:
    """Curves by setting and guide: the same stage 1, dreams and draws."""
    from locdreamer_ros.learning.tasks import simulated_task

    found: dict[tuple[str, str], Curve] = {}
    for setting, (environment, bootstrap, deploy, guides) in PLACES.items():
        steps = configs(EPOCHS)[1].steps
        task = simulated_task(
            environment, seed=seed, bootstrap=bootstrap, deploy=deploy, steps=steps
        )
        first = learn(task, seed, **{**EPOCHS, "imagine_epochs": 0})
        for guide in guides:
            curve: Curve = []

            def note(name: str, value: float, epoch: int, curve: Curve = curve) -> None:
                if name == "dream/policy_cost":
                    curve.append((epoch + 1, value))

            chosen = "" if guide == NO_GUIDE else guide
            learn(task, seed, pretrained=first.model, curve=note, guide=chosen, **EPOCHS)
            found[setting, guide] = curve
    return found


def epochs_to(quality: float, curve: Curve) -> float:
    """Epochs until the cost is within 2 % of the quality; where it never is, all of them."""
    reached = [epoch for epoch, cost in curve if cost <= CLOSE * quality]
    return float(reached[0] if reached else curve[-1][0])


def run(settings: Settings) -> Result:
    """Train over all seeds, with each guide."""
    by_seed = spread(one_place, settings.seeds, processes=settings.jobs, label="seeds")
    measures = [{key: _measured(found, key) for key in found} for found in by_seed]
    rows: list[Row] = []
    for key in by_seed[0]:
        row: Row = {"setting": key[0], "guide": key[1]}
        plain = [m[key[0], NO_GUIDE] for m in measures]
        mine = [m[key] for m in measures]
        for name in mine[0]:
            with_interval(row, name, mean_interval([m[name] for m in mine]))
        with_interval(
            row,
            "epochs_saved",
            paired_difference([p["epochs"] for p in plain], [m["epochs"] for m in mine]),
        )
        rows.append(row)
    claims = {
        f"epochs_saved_{row['setting'].split(',')[0]}_{row['guide']}": float(row["epochs_saved"])
        for row in rows
        if row["guide"] != NO_GUIDE
    }
    return Result(
        rows=rows,
        claims=claims,
        columns={
            "setting": "setting",
            "guide": "guide",
            "first": "first cost m",
            "during": "mean cost m",
            "last": "last cost m",
            "epochs": "epochs to quality",
            "epochs_saved": "saved",
        },
        draw=partial(_draw, curves=by_seed),
        notes=[f"Guides withdraw over {configs({})[1].guide_share:.0%} of the epochs."],
    )


def _measured(found: Mapping[tuple[str, str], Curve], key: tuple[str, str]) -> dict[str, float]:
    """Of one run: cost first, mean and last (m), and epochs to the unguided run's quality."""
    cost = [c for _, c in found[key]]
    plain = [c for _, c in found[key[0], NO_GUIDE]]
    return {
        "first": cost[0],
        "during": float(np.mean(cost)),
        "last": float(np.mean(cost[-LAST:])),
        "epochs": epochs_to(float(np.mean(plain[-LAST:])), found[key]),
    }


def _draw(path: Path, *, curves: Sequence[Mapping[tuple[str, str], Curve]]) -> None:
    """Cost against epochs, mean over the seeds, a panel for each setting."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from locdreamer_ros.files import replaced

    figure = Figure(figsize=(10.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, setting in zip(figure.subplots(1, len(PLACES)), PLACES, strict=True):
        for key in curves[0]:
            if key[0] == setting:
                mean = np.mean([[c for _, c in found[key]] for found in curves], axis=0)
                axes.plot([e for e, _ in curves[0][key]], mean, label=f"guide: {key[1]}")
        axes.set(title=setting, xlabel="imagination epochs", ylabel="cost in dreams [m]")
        axes.legend()
    with replaced(path) as temporary:
        figure.savefig(temporary, dpi=110)
