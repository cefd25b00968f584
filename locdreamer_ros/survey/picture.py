# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures: a survey with 95 % ellipses and where to walk next, a plan with its error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np

from locdreamer_ros.evaluation.plots import (
    COLOURS,
    FAINT,
    STYLE,
    TRUTH,
    as_map,
    draw_ellipse,
    draw_names,
    figure_of,
    save_figure,
)
from locdreamer_ros.survey.advice import WEAK_M, next_place
from locdreamer_ros.survey.placement import Placement
from locdreamer_ros.survey.problem import Known
from locdreamer_ros.survey.solve import Survey
from locdreamer_ros.types import FloatArray

WIDTH_IN, MAP_IN, LINE_IN = 7.0, 5.6, 0.15
"""Of a picture, of the map in it, and of a line of small print, in inches."""
LETTERS_IN_LINE = 105
"""Of small print in a line."""
LEAST_SCALE_M = 0.5
"""The scale of a plan reaches so far at least: a place that is good everywhere looks good."""


def height_of(points: FloatArray) -> float:
    """Height (in) of a picture of points (N, 2) m, as the floor is long or wide."""
    width, height = np.ptp(points, axis=0)
    return 0.9 + float(np.clip(MAP_IN * height / max(width, 1e-9), 2.2, 7.0))


def plot_survey(
    path: Path, found: Survey, known: Known, *, title: str = "", notes: Sequence[str] = ()
) -> None:
    """Draw it from above, what is to be said of it in small print."""
    from matplotlib import rc_context

    places = found.anchors.positions
    with rc_context(STYLE):
        small_print = "\n".join(
            fill(note, LETTERS_IN_LINE, subsequent_indent="   ") for note in notes
        )
        drawn = np.concatenate([places[:, :2], found.tag[:, :2]])
        figure = figure_of(WIDTH_IN, height_of(drawn) + LINE_IN * len(small_print.splitlines()))
        axes = figure.subplots()
        axes.plot(*found.tag[:, :2].T, color=FAINT, linewidth=1.0, label="the tag's walk", zorder=2)
        held = np.isfinite(known.places[:, :2]).all(axis=1)
        axes.plot(
            *places[~held, :2].T, "^", color=COLOURS[0], markersize=9, label="found", zorder=5
        )
        if held.any():
            axes.plot(*places[held, :2].T, "s", color=TRUTH, markersize=8, label="known", zorder=5)
        for row in np.flatnonzero(~held):
            covariance = found.covariance[row, :2, :2]
            style = {"facecolor": COLOURS[0], "alpha": 0.2, "zorder": 3}
            draw_ellipse(axes, places[row], covariance, **style)
        space = found.dimensions == 3
        names = [
            f"{name}, z {place[2]:.2f}" if space else name
            for name, place in zip(found.anchors.ids, places, strict=True)
        ]
        named = [place[:2] for place in places]
        weak = np.flatnonzero(found.sigma > WEAK_M)
        for row in weak[np.argsort(-found.sigma[weak])][:3]:
            at = next_place(found, int(row))[:2]
            label = None if len(named) > len(places) else "walk next"
            axes.plot(*at, "*", color=COLOURS[1], markersize=15, label=label, zorder=6)
            names.append(f"for {found.anchors.ids[row]}")
            named.append(at)
        axes.margins(0.12)
        as_map(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4, borderaxespad=0.2)
        figure.suptitle(title, x=0.02, ha="left", fontsize=12, fontweight="bold")
        if small_print:
            figure.supxlabel(small_print, x=0.02, ha="left", fontsize=8)
        draw_names(axes, names, np.array(named))
        save_figure(path, figure)


def floor_of(found: Placement) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Columns (X,) m, rows (Y,) m and the error (Y, X) m of a plan; NaN where there is no floor."""
    axes, places = [], []
    for part in found.cells.T:
        step = np.diff(np.unique(part)).min()
        place = np.round((part - part.min()) / step).astype(np.intp)
        axes.append(part.min() + step * np.arange(place.max() + 1))
        places.append(place)
    error = np.full((axes[1].size, axes[0].size), np.nan)
    error[places[1], places[0]] = found.error
    return axes[0], axes[1], error


def plot_placement(
    path: Path, found: Placement, walls: FloatArray, names: Sequence[str], *, title: str = ""
) -> None:
    """Draw the floor with the expected error of each cell and the anchors."""
    from matplotlib import rc_context
    from matplotlib.collections import LineCollection

    with rc_context(STYLE):
        figure = figure_of(WIDTH_IN, height_of(walls.reshape(-1, 2)))
        axes = figure.subplots()
        x, y, error = floor_of(found)
        mesh = axes.pcolormesh(
            x,
            y,
            error,
            shading="nearest",
            cmap="cividis_r",
            vmin=0.0,
            vmax=max(LEAST_SCALE_M, float(found.error.max())),
        )
        figure.colorbar(mesh, ax=axes, label="expected error [m]", shrink=0.8)
        axes.add_collection(LineCollection(list(walls), colors=TRUTH, linewidths=2.4))
        axes.plot(
            *found.places.T, "^", color=COLOURS[1], markersize=12, markeredgecolor="white", zorder=5
        )
        axes.margins(0.04)
        as_map(axes)
        figure.suptitle(title, x=0.02, ha="left", fontsize=12, fontweight="bold")
        draw_names(axes, names, found.places)
        save_figure(path, figure)
