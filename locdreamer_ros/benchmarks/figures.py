# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures 3, 4 and 5 of the LocDreamer paper, in the simulated house: one picture, four panels.

Figure 3: trajectories of the methods. Figure 4: which subset the policy asks where, and foresight
beside it. Figure 5: validation loss and test MAE against imagination epochs, to 1000, mean and 95 %
interval over the seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from locdreamer_ros.benchmarks.learned import (
    BUDGET,
    Place,
    as_trained,
    in_groups,
    learn,
    learned,
    place,
    run_test,
)
from locdreamer_ros.benchmarks.result import Result, Row, Settings, with_interval
from locdreamer_ros.evaluation.intervals import mean_interval
from locdreamer_ros.evaluation.metrics import Track
from locdreamer_ros.methods import make_scheduler, make_tracker
from locdreamer_ros.roles import Scheduler, Tracker
from locdreamer_ros.types import Anchors, Estimate, FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from locdreamer_ros.locdreamer.learning.learner import Learner
    from locdreamer_ros.locdreamer.model_file import Trained
    from locdreamer_ros.locdreamer.world_model.model import Area

IMAGINE_EPOCHS = 1000
EPOCHS_BETWEEN_LOOKS = 50
"""Imagination epochs between looks at the test walk (only to draw the curve, never to choose)."""
VALIDATION_FIRST = 5
"""The first look, the first validation of stage 2."""
CELL_M = 0.5
SHOWN_S = 120.0
"""How much of the walk Figure 3 shows."""
MEASURED = ("validation_loss", "test_mae")
COLOURS = ("#0072b2", "#cc79a7", "#009e73", "#d55e00")


@dataclass(frozen=True, eq=False)
class Drawn:
    """One seed's: tracks by method, cells (M, 2) m, the subset (M,) each scheduler asks, curves."""

    tracks: dict[str, Track]
    cells: FloatArray
    subsets: dict[str, IntArray]
    curve: list[tuple[int, float, float]]
    anchors: Anchors
    walls: FloatArray | None


def drawn_of(seeds: Sequence[int], settings: Settings) -> list[Drawn]:
    """Train in each seed's house, all side by side, and collect what the figures show."""
    places = {seed: place(seed, settings) for seed in seeds}
    tasks, noise = [where.task for where in places.values()], settings.noise
    reals = [where.real_task for where in places.values()]
    first = learn(tasks, seeds, noise=noise, imagine_epochs=0)
    real = learn(reals, seeds, noise=noise, imagine_epochs=0)
    curves: dict[int, list[tuple[int, float, float]]] = {seed: [] for seed in seeds}

    def look(seeds: Sequence[int], learners: Sequence[Learner], losses: Sequence[float]) -> None:
        epoch = learners[0].epoch + 1
        if epoch % EPOCHS_BETWEEN_LOOKS == 0 or epoch == VALIDATION_FIRST:
            for seed, learner, loss in zip(seeds, learners, losses, strict=True):
                where = places[seed]
                one = replace(learner, model=deepcopy(learner.model), actor=deepcopy(learner.actor))
                tracker, policy = learned(as_trained(one, where.task), where.site)
                error = run_test(where, "", tracker(), policy())[1]["mae"]
                curves[seed].append((epoch, loss, error))

    last = learn(
        tasks,
        seeds,
        noise=noise,
        pretrained=[learner.model for learner in first],
        snapshot=look,
        imagine_epochs=IMAGINE_EPOCHS,
        patience=IMAGINE_EPOCHS,
    )
    return [
        _drawn(where, as_trained(one, where.task), as_trained(other, where.real_task), curves[seed])
        for (seed, where), one, other in zip(places.items(), last, real, strict=True)
    ]


def _drawn(
    where: Place, dreamer: Trained, real: Trained, curve: list[tuple[int, float, float]]
) -> Drawn:
    """What is shown of a place, a model of both stages and one of real ranges of the deployed."""
    site = where.site

    def run(tracker: Tracker, scheduler: Scheduler) -> Track:
        return run_test(where, "", tracker, scheduler)[0]

    tracker, policy = learned(dreamer, site)
    of_real, _ = learned(real, site)
    tracks = {
        "LocDreamer, scheduling": run(tracker(), policy()),
        "LocDreamer, foresight": run(tracker(), make_scheduler("foresight", site)),
        "DSSM, all (real)": run(of_real(), make_scheduler("all", site)),
        "EKF, random": run(
            make_tracker("ekf", site, preset="paper"),
            make_scheduler("random", site, seed=where.seed),
        ),
    }
    cells = floor(where.task.area)
    subsets = {
        "the policy": choices(cells, site.anchors, policy()),
        "foresight": choices(cells, site.anchors, make_scheduler("foresight", site)),
    }
    return Drawn(tracks, cells, subsets, curve, site.anchors, where.walls)


def floor(area: Area) -> FloatArray:
    """Middles (M, 2) m of the cells of the area of training."""
    corners = zip(area.low, area.high, strict=True)
    axes = [np.arange(low + CELL_M / 2, high, CELL_M) for low, high in corners]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)


def choices(cells: FloatArray, anchors: Anchors, scheduler: Scheduler) -> IntArray:
    """The subset (M,) of the anchors that a scheduler without memory asks in each cell (M, 2) m."""
    number = {s: i for i, s in enumerate(combinations(range(len(anchors)), BUDGET))}
    covariance = np.diag([0.1, 0.1, 0.2, 0.2])
    chosen = [
        scheduler.select(Estimate(0.0, np.array([x, y, 0.0, 0.0]), covariance), anchors, BUDGET)
        for x, y in cells
    ]
    return np.array([number[tuple(int(r) for r in rows)] for rows in chosen])


def run(settings: Settings) -> Result:
    """Train for each seed; the first seed's house is drawn, the curves are means over all."""
    return result_of(in_groups(partial(drawn_of, settings=settings), settings))


def result_of(drawn: Sequence[Drawn]) -> Result:
    """Rows, claims and picture of what `drawn_of` collected for each seed."""
    rows: list[Row] = []
    for looks in zip(*(seed.curve for seed in drawn), strict=True):
        row: Row = {"epoch": looks[0][0]}
        for column, name in enumerate(MEASURED, start=1):
            with_interval(row, name, mean_interval([float(look[column]) for look in looks]))
        rows.append(row)
    best = min(rows, key=lambda row: float(row["validation_loss"]))
    return Result(
        rows=rows,
        claims={
            "best_validation_epoch": float(best["epoch"]),
            "test_mae_there": float(best["test_mae"]),
            "test_mae_last": float(rows[-1]["test_mae"]),
        },
        columns={
            "epoch": "imagination epochs",
            "validation_loss": "validation loss",
            "test_mae": "test MAE m",
        },
        draw=lambda path: _draw(path, drawn[0], rows, len(drawn)),
        notes=["The test walk is looked at to draw the curve only."],
    )


def _draw(path: Path, shown: Drawn, rows: Sequence[Row], seeds: int) -> None:
    """Four panels: Figure 3, Figure 4 twice, Figure 5 with 95 % intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from locdreamer_ros.files import replaced

    figure = Figure(figsize=(21.0, 6.2), layout="constrained")
    FigureCanvasAgg(figure)
    paths, *maps, curves = figure.subplots(1, 4, width_ratios=[1.0, 1.25, 1.25, 1.3])
    draw_paths(paths, shown)
    for axes, name in zip(maps, shown.subsets, strict=True):
        draw_map(axes, shown, name)
    epochs = [row["epoch"] for row in rows]
    curves.set(xlabel="imagination epochs")
    errors = curves.twinx()
    for axes, name, label, colour in zip(
        (curves, errors), MEASURED, ("validation loss", "test MAE [m]"), COLOURS[::3], strict=True
    ):
        middle, half = (np.array([row[k] for row in rows]) for k in (name, f"{name}_ci"))
        axes.plot(epochs, middle, color=colour)
        axes.fill_between(epochs, middle - half, middle + half, color=colour, alpha=0.15)
        axes.set_ylabel(label, color=colour)
    errors.set_ylim(0.0, 1.3 * max(row["test_mae"] for row in rows))
    curves.set_title(f"Figure 5: learning in imagination, {seeds} seed{'s'[: seeds - 1]}")
    with replaced(path) as temporary:
        figure.savefig(temporary, dpi=130)


def _site(axes: Axes, shown: Drawn) -> None:
    """Walls and anchors."""
    from matplotlib.collections import LineCollection

    if shown.walls is not None:
        axes.add_collection(LineCollection(list(shown.walls), colors="0.6", linewidths=1.5))
    x, y = shown.anchors.positions[:, :2].T
    axes.scatter(x, y, marker="^", s=70, c="k", zorder=5)
    for name, spot in zip(shown.anchors.ids, shown.anchors.positions, strict=True):
        axes.annotate(name, spot[:2], (5, 5), textcoords="offset points", zorder=6)
    axes.set(aspect="equal", xlabel="x [m]", ylabel="y [m]")


def draw_paths(axes: Axes, shown: Drawn) -> None:
    """Figure 3: where each method thinks the tag went."""
    _site(axes, shown)
    first = next(iter(shown.tracks.values()))
    part = first.scored() & (first.times <= SHOWN_S)
    axes.plot(*first.truth[part, :2].T, color="k", linewidth=1.2, label="truth")
    for (name, track), colour in zip(shown.tracks.items(), COLOURS, strict=True):
        axes.plot(*track.mean[part, :2].T, color=colour, linewidth=1.0, label=name)
    axes.set_title(f"Figure 3: trajectories, {SHOWN_S:g} s")
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0.0, -0.12), ncols=2)


def draw_map(axes: Axes, shown: Drawn, scheduler: str) -> None:
    """Figure 4: the subset that a scheduler asks in each cell, in one colour for all of them."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    _site(axes, shown)
    subset = shown.subsets[scheduler]
    names = list(combinations(shown.anchors.ids, BUDGET))
    for index in sorted(set(subset.tolist()), key=lambda i: -int((subset == i).sum())):
        shade, name = colormaps["Set3"](index % 12), ", ".join(names[index])
        for number, middle in enumerate(shown.cells[subset == index]):
            cell = Rectangle(tuple(middle - CELL_M / 2), CELL_M, CELL_M, color=shade, linewidth=0.0)
            if number == 0:
                cell.set_label(name)
            axes.add_patch(cell)
    axes.set_title(f"Figure 4: whom {scheduler} asks, area of training")
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
