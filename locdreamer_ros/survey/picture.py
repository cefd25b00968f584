# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A survey as a picture: anchors with 95 % ellipses, the walk, and where to walk next."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from locdreamer_ros.evaluation.metrics import CHI2_95_2DOF
from locdreamer_ros.evaluation.plots import COLOURS, FAINT, STYLE, TRUTH, figure_of, save_figure
from locdreamer_ros.survey.advice import WEAK_M, next_place
from locdreamer_ros.survey.problem import Known
from locdreamer_ros.survey.solve import Survey


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
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, borderaxespad=0.2)
        figure.suptitle(title, x=0.02, ha="left", fontsize=12, fontweight="bold")
        save_figure(path, figure)
