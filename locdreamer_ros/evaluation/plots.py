# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of results, drawn without a screen. matplotlib is imported only when one is drawn."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from locdreamer_ros.evaluation.metrics import Track, heard_anchors, horizontal_errors
from locdreamer_ros.files import replaced
from locdreamer_ros.geometry import CHI2_95_2DOF
from locdreamer_ros.types import Anchors, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7f7f7f")
TRUTH = "#1a1a1a"
TRUTH_LABEL = "ground truth"
FAINT = "#8a8a8a"
ELLIPSES = 14
NAME_SIDES: tuple[tuple[int, int, Literal["center", "left", "right"], Any], ...] = (
    (0, 7, "center", "bottom"),
    (0, -7, "center", "top"),
    (8, 0, "left", "center"),
    (-8, 0, "right", "center"),
)
"""Where a name may stand: points from its mark, and how it is aligned; the first is preferred."""
LONG_NUMBER_M = 1e4
"""A coordinate whose number is as wide as two others."""
BAR_LETTERS = 16
"""Of a name below bars, in a line."""
TITLE_PAD = 36
"""Points between title and picture: room for two lines of legend."""
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": TRUTH,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "savefig.dpi": 150,
}


def figure_of(width: float, height: float) -> Figure:
    """A figure that belongs to no window and to no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _without_formulas(figure: Figure) -> None:
    """Its words are words: ids and names have `$`."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure all or nothing."""
    _without_formulas(figure)
    with replaced(path) as temporary:
        # Without a date the same result gives the same file.
        date = {"Date": None} if path.suffix == ".svg" else {}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph", UserWarning)  # ids in letters without a font
            figure.savefig(temporary, metadata=date, facecolor="white")


def _name(label: str, track: Track) -> str:
    errors = horizontal_errors(track)
    return f"{label}: MAE {errors.mean():.3f} m" if errors.size else label


def as_map(axes: Axes) -> None:
    """As wide as high, in metres; those of a map projection are long numbers, so fewer."""
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel="x [m]", ylabel="y [m]")
    axes.ticklabel_format(useOffset=False, style="plain")
    if max(map(abs, axes.get_xlim())) >= LONG_NUMBER_M:
        axes.locator_params("x", nbins=4)


def _draw_walls(axes: Axes, walls: FloatArray) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Rectangle

    low, high = walls.reshape(-1, 2).min(axis=0), walls.reshape(-1, 2).max(axis=0)
    axes.add_patch(Rectangle((low[0], low[1]), *(high - low), facecolor="#f7f5f1", zorder=0))
    axes.add_collection(
        LineCollection(list(walls), colors="#b9b4ab", linewidths=2.4, capstyle="round", zorder=1)
    )
    axes.update_datalim(walls.reshape(-1, 2))


def draw_names(axes: Axes, names: Sequence[str], places: FloatArray) -> None:
    """Name points (N, 2) m above their marks, or beneath or beside, where nothing else is.

    To be called when all else is drawn: names are as wide as the axes make them.
    """
    from matplotlib.transforms import Bbox

    figure = axes.get_figure(root=True)
    assert figure is not None
    _without_formulas(figure)
    figure.draw_without_rendering()
    mark = 4.0 * figure.dpi / 72.0
    taken = [Bbox([at - mark, at + mark]) for at in axes.transData.transform(places)]

    def hidden(box: Bbox) -> float:
        shared = [part for other in taken if (part := Bbox.intersection(box, other)) is not None]
        return float(sum(part.width * part.height for part in shared))

    for name, place in zip(names, places, strict=True):
        choices = []
        for x, y, across, up in NAME_SIDES:
            text = axes.annotate(
                name,
                (float(place[0]), float(place[1])),
                xytext=(x, y),
                textcoords="offset points",
                ha=across,
                va=up,
                fontsize=8,
                color=TRUTH,
                bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.8},
                zorder=7,
            )
            text.set_parse_math(False)
            box = text.get_window_extent()
            choices.append((hidden(box), text, box))
        _, chosen, box = min(choices, key=lambda choice: choice[0])
        taken.append(box)
        for _, text, _ in choices:
            if text is not chosen:
                text.remove()


def _draw_anchors(axes: Axes, anchors: Anchors) -> None:
    x, y = anchors.positions[:, :2].T
    axes.plot(x, y, "^", color=TRUTH, markersize=8, markeredgecolor="white", zorder=6)


def draw_ellipse(axes: Axes, place: FloatArray, covariance: FloatArray, **style: Any) -> None:
    """The 95 % ellipse of a covariance (2, 2) m^2 about a place (2,) m; style: of the patch."""
    from matplotlib.patches import Ellipse

    squares, vectors = np.linalg.eigh(covariance)
    width, height = 2.0 * np.sqrt(CHI2_95_2DOF * np.maximum(squares, 0.0))
    angle = float(np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0])))
    at = (float(place[0]), float(place[1]))
    axes.add_patch(Ellipse(at, float(width), float(height), angle=angle, **style))


def _draw_ellipses(axes: Axes, track: Track, colour: str) -> None:
    """The 95 % ellipse of the horizontal position, now and then."""
    rows = np.unique(np.linspace(track.unfixed, len(track) - 1, ELLIPSES + 1).astype(int)[1:])
    for row in rows:
        draw_ellipse(
            axes,
            track.mean[row],
            track.covariance[row, :2, :2],
            facecolor=colour,
            edgecolor=colour,
            alpha=0.13,
            linewidth=0.8,
            zorder=2,
            label="95 % ellipse" if row == rows[0] else None,
        )


def _draw_paths(
    axes: Axes, anchors: Anchors, tracks: Mapping[str, Track], walls: FloatArray | None
) -> None:
    if walls is not None and len(walls):
        _draw_walls(axes, walls)
    first = next(iter(tracks.values()))
    if first.has_truth:
        axes.plot(*first.truth[:, :2].T, color=TRUTH, linewidth=2.0, label=TRUTH_LABEL, zorder=3)
    _draw_ellipses(axes, first, COLOURS[0])
    # The first track is what the picture is about, so it lies on top.
    for order, (label, track) in reversed(list(enumerate(tracks.items()))):
        axes.plot(
            *track.mean[:, :2].T,
            color=COLOURS[order % len(COLOURS)],
            linewidth=1.5 if order == 0 else 1.1,
            alpha=0.95 if order == 0 else 0.75,
            label=_name(label, track),
            zorder=5 if order == 0 else 4,
        )
    _draw_anchors(axes, anchors)
    axes.margins(0.04)
    as_map(axes)
    _legend_above(
        axes, [*([TRUTH_LABEL] if first.has_truth else []), *map(_name, tracks, tracks.values())]
    )


def _legend_above(axes: Axes, first: Sequence[str] = ()) -> None:
    """A legend in two lines between title and picture, the labels `first` leading."""
    handles, labels = axes.get_legend_handles_labels()
    order = [*first, *(label for label in labels if label not in first)]
    axes.legend(
        [handles[labels.index(label)] for label in order],
        order,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=(len(order) + 1) // 2,
        borderaxespad=0.2,
        borderpad=0.0,
        handlelength=1.5,
        columnspacing=1.1,
    )


def draw_ecdf(axes: Axes, tracks: Mapping[str, Track]) -> None:
    """Share of scored epochs with at most this horizontal error; the median and 90 % are marked."""
    largest = 0.0
    for order, (label, track) in enumerate(tracks.items()):
        errors = np.sort(horizontal_errors(track))
        colour = COLOURS[order % len(COLOURS)]
        share = np.arange(1, errors.size + 1) / errors.size
        axes.plot(
            np.concatenate([[0.0], errors, [1e6]]),
            np.concatenate([[0.0], share, [1.0]]),
            color=colour,
            linewidth=2.0,
            drawstyle="steps-post",
            label=label,
        )
        for percent in (50, 90):
            error = float(np.percentile(errors, percent))
            axes.plot(
                error, percent / 100.0, "o", color=colour, markeredgecolor="white", markersize=7
            )
            axes.annotate(
                f"{error:.2f} m",
                (error, percent / 100.0),
                xytext=(7, -12),
                textcoords="offset points",
                color=colour,
                fontsize=9,
            )
        largest = max(largest, float(np.percentile(errors, 99)))
    for percent in (50, 90):
        axes.axhline(percent / 100.0, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
    axes.set(
        xlabel="horizontal error [m]",
        ylabel="share of epochs",
        xlim=(0.0, 1.05 * largest),
        ylim=(0.0, 1.01),
    )
    axes.set_yticks(
        [0.0, 0.25, 0.5, 0.75, 0.9, 1.0], ["0 %", "25 %", "50 %", "75 %", "90 %", "100 %"]
    )


def plot_track(
    path: Path,
    anchors: Anchors,
    tracks: Mapping[str, Track],
    *,
    title: str = "",
    walls: FloatArray | None = None,
) -> None:
    """Draw tracks by label (the first is the one of interest) over the floor, errors beside it.

    walls (W, 2, 2) m where known. Without ground truth there are no errors to show. Of many anchors
    those that were heard.
    """
    anchors, tracks = heard_anchors(anchors, tracks)
    from matplotlib import rc_context

    scored = {label: track for label, track in tracks.items() if track.scored().any()}
    wide = 5.2 * _proportions(anchors, tracks, walls)
    with rc_context(STYLE):
        figure = figure_of(wide + (5.0 if scored else 0.8), 6.6)
        ratios = [wide, 4.0] if scored else [1.0]
        panels = figure.subplots(1, len(ratios), width_ratios=ratios, squeeze=False)[0]
        _draw_paths(panels[0], anchors, tracks, walls)
        if scored:
            draw_ecdf(panels[1], scored)
        draw_names(panels[0], anchors.ids, anchors.positions[:, :2])
        figure.suptitle(title, x=0.02, ha="left", fontsize=12, fontweight="bold")
        save_figure(path, figure)


def _proportions(anchors: Anchors, tracks: Mapping[str, Track], walls: FloatArray | None) -> float:
    """Width over height of what the map has to show, within reason."""
    points = [anchors.positions[:, :2], *(track.mean[:, :2] for track in tracks.values())]
    if walls is not None:
        points.append(walls.reshape(-1, 2))
    every = np.concatenate(points)
    width, height = np.nanmax(every, axis=0) - np.nanmin(every, axis=0)
    return float(np.clip(width / height, 0.6, 2.4))


def plot_bars(
    path: Path,
    groups: Sequence[str],
    values: Mapping[str, Sequence[tuple[float, float]]],
    *,
    ylabel: str,
    title: str = "",
    reference: tuple[str, float] | None = None,
) -> None:
    """Bars in groups: values of each series are (mean, half width of its interval) per group.

    reference: a labelled level to compare with.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = figure_of(1.6 * len(groups) + 2.5, 4.6)
        axes = figure.subplots()
        width = 0.8 / len(values)
        centres = np.arange(len(groups))
        for order, (series, pairs) in enumerate(values.items()):
            means, halves = (np.array(column) for column in zip(*pairs, strict=True))
            axes.bar(
                centres + (order - (len(values) - 1) / 2) * width,
                means,
                0.92 * width,
                yerr=np.nan_to_num(halves),
                color=COLOURS[order % len(COLOURS)],
                ecolor=TRUTH,
                error_kw={"elinewidth": 1.2, "capsize": 2.5},
                label=series,
            )
        if reference is not None:
            label, level = reference
            axes.axhline(level, color=TRUTH, linestyle="--", linewidth=1.0, label=label, zorder=0)
        axes.set_xticks(centres, [fill(name, BAR_LETTERS) for name in groups])
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel(ylabel)
        axes.set_ylim(bottom=0.0)
        axes.set_title(title, fontweight="bold", pad=TITLE_PAD)
        _legend_above(axes)
        save_figure(path, figure)
