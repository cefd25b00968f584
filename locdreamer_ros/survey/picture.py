# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures: a survey with 95 % ellipses and where to walk next, a plan with its error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from locdreamer_ros.evaluation.metrics import CHI2_95_2DOF
from locdreamer_ros.evaluation.plots import COLOURS, FAINT, STYLE, TRUTH, figure_of, save_figure
from locdreamer_ros.survey.advice import WEAK_M, next_place
from locdreamer_ros.survey.placement import Placement
from locdreamer_ros.survey.problem import Known
from locdreamer_ros.survey.solve import Survey
from locdreamer_ros.types import FloatArray


def plot_survey(path: Path, found: Survey, known: Known, *, title: str = "") -> None:
    """Draw it from above."""
    from matplotlib import rc_context
    from matplotlib.patches import Ellipse

    places = found.anchors.positions
    with rc_context(STYLE):
        figure = figure_of(7.0, 6.4)
        axes = figure.subplots()
        axes.plot(*found.tag[:, :2].T, color=FAINT, linewidth=1.0, label="the tag's walk", zorder=2)
        held = np.isfinite(known.places[:, :2]).all(axis=1)
        axes.plot(
            *places[~held, :2].T, "^", color=COLOURS[0], markersize=9, label="found", zorder=5
        )
        if held.any():
            axes.plot(*places[held, :2].T, "s", color=TRUTH, markersize=8, label="known", zorder=5)
        for row in np.flatnonzero(~held):
            squares, vectors = np.linalg.eigh(found.covariance[row, :2, :2])
            width, height = 2.0 * np.sqrt(CHI2_95_2DOF * np.maximum(squares, 0.0))
            angle = float(np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0])))
            axes.add_patch(
                Ellipse(
                    (float(places[row, 0]), float(places[row, 1])), float(width), float(height),
                    angle=angle, facecolor=COLOURS[0], alpha=0.2, zorder=3,
                )
            )  # fmt: skip
        for name, place in zip(found.anchors.ids, places, strict=True):
            text = f"{name}" if found.dimensions == 2 else f"{name}, z {place[2]:.2f}"
            axes.annotate(
                text, place[:2], xytext=(0, 9), textcoords="offset points", ha="center", fontsize=9
            )
        weak = np.flatnonzero(found.sigma > WEAK_M)
        for row in weak[np.argsort(-found.sigma[weak])][:3]:
            x, y = next_place(found, int(row))[:2]
            label = "walk next" if row == weak[np.argmax(found.sigma[weak])] else None
            axes.plot(x, y, "*", color=COLOURS[1], markersize=15, label=label, zorder=6)
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.12)
        axes.set(xlabel="x [m]", ylabel="y [m]")
        axes.ticklabel_format(useOffset=False, style="plain")
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, borderaxespad=0.2)
        figure.suptitle(title, x=0.02, ha="left", fontsize=12, fontweight="bold")
        save_figure(path, figure)


def plot_placement(
    path: Path, found: Placement, walls: FloatArray, names: Sequence[str], *, title: str = ""
) -> None:
    """Draw the floor with the expected error of each cell and the anchors."""
    from matplotlib import rc_context
    from matplotlib.collections import LineCollection

    with rc_context(STYLE):
        figure = figure_of(7.0, 6.4)
        axes = figure.subplots()
        x, y = (np.unique(column) for column in found.cells.T)
        shape = (y.size, x.size)
        mesh = axes.pcolormesh(
            x, y, found.error.reshape(shape), shading="nearest", cmap="cividis_r", vmin=0.0
        )
        figure.colorbar(mesh, ax=axes, label="expected error [m]", shrink=0.8)
        axes.add_collection(LineCollection(list(walls), colors=TRUTH, linewidths=2.4))
        axes.plot(
            *found.places.T, "^", color=COLOURS[1], markersize=12, markeredgecolor="white", zorder=5
        )
        for name, at in zip(names, found.places, strict=True):
            axes.annotate(
                name, at, xytext=(0, 10), textcoords="offset points", ha="center", fontsize=9,
                bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.8},
            )  # fmt: skip
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.04)
        axes.set(xlabel="x [m]", ylabel="y [m]")
        axes.ticklabel_format(useOffset=False, style="plain")
        figure.suptitle(title, x=0.02, ha="left", fontsize=12, fontweight="bold")
        save_figure(path, figure)
