# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The JUNO paper's Figures 2 to 4, drawn from what the benchmark found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from locdreamer_ros.benchmarks import juno_plan as plan
from locdreamer_ros.benchmarks.result import Row
from locdreamer_ros.evaluation.plots import COLOURS, STYLE, TRUTH, plot_bars
from locdreamer_ros.files import replaced
from locdreamer_ros.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EARLY_EPOCHS = 1000
"""Epochs shown of the effect of a guide."""


def draw_all(path: Path, rows: Sequence[Row], seeds: Sequence[plan.Seed]) -> None:
    """`path`: bars of the mean errors; beside it NAME_figure2, _figure3 and _figure4."""
    _draw_bars(path, rows)
    panels: Mapping[int, Callable[[Sequence[Axes], Sequence[plan.Seed]], None]]
    panels = {2: _figure_2, 3: _figure_3, 4: _figure_4}
    for number, draw in panels.items():
        _draw(path.with_name(f"{path.stem}_figure{number}{path.suffix}"), number, draw, seeds)


def _draw(
    path: Path,
    number: int,
    draw: Callable[[Sequence[Axes], Sequence[plan.Seed]], None],
    seeds: Sequence[plan.Seed],
) -> None:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = 2 if number == 4 else 3
    with rc_context(STYLE):
        figure = Figure(figsize=(5.2 * count, 4.6), layout="constrained")
        FigureCanvasAgg(figure)
        draw(list(np.atleast_1d(figure.subplots(1, count))), seeds)
        with replaced(path) as temporary:
            figure.savefig(temporary, facecolor="white")


def _draw_bars(path: Path, rows: Sequence[Row]) -> None:
    settings = (plan.IID, plan.WALLS)
    methods = ("random (RNS)", "nearest (NN-NS)", "GDOP", "WLS", "DQN", plan.PLAIN, plan.JUNO)
    found = {(row["setting"], row["method"]): row for row in rows}
    plot_bars(
        path,
        settings,
        {
            method: [
                (found[s, method]["mean_error"], found[s, method]["mean_error_ci"])
                for s in settings
            ]
            for method in methods
        },
        ylabel="mean error [m]",
        title="JUNO and baselines, state = true zone",
    )


def _curves(
    axes: Axes, seeds: Sequence[plan.Seed], names: Mapping[str, str], *, rewards: bool = False
) -> None:
    """Means over seeds of curves by key, with their labels; the band holds the 95 % interval."""
    for colour, (key, label) in zip(COLOURS * 2, names.items(), strict=False):
        values = np.array([(seed.rewards if rewards else seed.curves)[key] for seed in seeds])
        epochs = plan.EPOCHS_OF_A_POINT * (np.arange(values.shape[1]) + 0.5)
        mean = values.mean(axis=0)
        half = 1.96 * values.std(axis=0, ddof=1) / len(seeds) ** 0.5 if len(seeds) > 1 else 0.0
        axes.plot(epochs, mean, color=colour, label=label, linewidth=1.4)
        axes.fill_between(epochs, mean - half, mean + half, color=colour, alpha=0.18, linewidth=0)
    axes.set_xlabel("epoch")
    axes.set_ylabel("sum of rewards" if rewards else "mean error [m]")
    axes.legend()


def _figure_2(axes: Sequence[Axes], seeds: Sequence[plan.Seed]) -> None:
    guides = (plan.PLAIN, plan.RANDOM_GUIDE, plan.UNRELATED, plan.GDOP_GUIDE, plan.JUNO, plan.WARM)
    _curves(axes[0], seeds, {name: name for name in guides})
    axes[0].set(title="(a) effect of the guide", xlim=(0, min(EARLY_EPOCHS, plan.EPOCHS)))
    alphas = {f"alpha {alpha:g}": f"alpha = {alpha:g}" for alpha in plan.ALPHAS}
    _curves(axes[1], seeds, alphas)
    axes[1].set_title("(b) learning rate and error")
    _curves(axes[2], seeds, alphas, rewards=True)
    axes[2].set_title("(c) learning rate and reward")


def _figure_3(axes: Sequence[Axes], seeds: Sequence[plan.Seed]) -> None:
    _curves(axes[0], seeds, {f"epsilon {name}": f"epsilon = {name}" for name in plan.EPSILONS})
    axes[0].set_title("(a) exploration, no guide")
    for name, style in (("random", ":"), ("related", "-")):
        for colour, horizon in zip(COLOURS, plan.HORIZONS, strict=False):
            mean = np.mean([seed.curves[f"H {horizon} {name}"] for seed in seeds], axis=0)
            epochs = plan.EPOCHS_OF_A_POINT * (np.arange(mean.size) + 0.5)
            label = f"H = {horizon}" if name == "related" else None
            axes[1].plot(epochs, mean, style, color=colour, label=label, linewidth=1.3)
    axes[1].set(title="(b) guide steps: related —, random ···", xlabel="epoch")
    axes[1].set(ylabel="mean error [m]", xlim=(0, min(EARLY_EPOCHS, plan.SWEEP_EPOCHS)))
    axes[1].legend()
    compared = (plan.JUNO, plan.PLAIN, "WLS", "GDOP", "nearest (NN-NS)", "random (RNS)")
    for colour, method in zip(COLOURS, compared, strict=False):
        errors = np.sort(np.concatenate([seed.errors[method] for seed in seeds]))
        share = np.arange(1, errors.size + 1) / errors.size
        keep = np.linspace(0, errors.size - 1, 2000).astype(int)
        axes[2].plot(errors[keep], share[keep], color=colour, label=method, linewidth=1.4)
    axes[2].set(title="(c) ECDF", xlabel="error [m]", xlim=(0.0, 4.0), ylim=(0.0, 1.01))
    axes[2].legend(loc="lower right")


def _figure_4(axes: Sequence[Axes], seeds: Sequence[plan.Seed]) -> None:
    paths, beacons = seeds[0].paths, seeds[0].beacons
    truth = paths["ground truth"]
    for colour, (name, path) in zip((TRUTH, *COLOURS), paths.items(), strict=False):
        style = "-" if name == "ground truth" else "o-"
        wide = 2.0 if name == "ground truth" else 0.7
        axes[0].plot(*path.T, style, color=colour, linewidth=wide, markersize=2.5, label=name)
        if name != "ground truth":
            error: FloatArray = np.linalg.norm(path - truth, axis=1)
            label = f"{name}: {error.mean():.2f} m"
            axes[1].plot(error, color=colour, linewidth=1.2, label=label)
    axes[0].plot(*beacons[:-1].T, "^", color=TRUTH, markersize=8)
    axes[0].plot(*beacons[-1:].T, "s", color=TRUTH, markersize=7)
    axes[0].set(title="A rectangle walked (first seed)", xlabel="x [m]", ylabel="y [m]")
    axes[0].set_aspect("equal")
    axes[0].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes[1].set(title="Error along it", xlabel="step", ylabel="error [m]")
    axes[1].legend()
