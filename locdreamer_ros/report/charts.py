# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The drawings of a report, each a function from tracks to SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from locdreamer_ros.evaluation.metrics import Track, horizontal_errors, nees
from locdreamer_ros.report.svg import (
    DASHES,
    HEIGHT,
    WIDTH,
    Axes,
    cursor,
    element,
    path,
    picture,
    text,
    ticks,
)
from locdreamer_ros.types import Anchors, FloatArray, IntArray

MAP_WIDTH, MAP_PAD = 640.0, 46.0
NAME_LETTER = 10.0
"""Of an anchor's name, between a screen's and a telephone's width."""
MOST_ANCHORS = 12
"""Heat maps of so many anchors: those asked most."""
SPIKE = 3.0
"""Errors beyond so many times what all but one of 200 keep to are cut off."""
LETTERS = 56
"""That have room beside each other below a chart."""
FAR_M = 1e4
"""Coordinates beyond this are told from a round number of kilometres on."""
CELLS_OF_A_SIDE = 16
"""Of a heat map, along the longer side."""


def elapsed(times: FloatArray) -> FloatArray:
    """Seconds (n,) since the first of times (n,); a clock that is set back costs none."""
    return np.concatenate([[0.0], np.cumsum(np.maximum(np.diff(times), 0.0))])


class Floor:
    """The map's scale: metres to units of the drawing."""

    def __init__(
        self, anchors: Anchors, tracks: Mapping[str, Track], walls: FloatArray | None
    ) -> None:
        points = [anchors.positions[:, :2]]
        points += [track.truth[:, :2] for track in tracks.values()]
        points += [track.mean[:, :2] for track in tracks.values()] if walls is None else []
        points += [] if walls is None else [walls.reshape(-1, 2)]
        every = np.concatenate(points)
        every = every[np.isfinite(every).all(axis=1)]
        self.low, high = every.min(axis=0) - 0.5, every.max(axis=0) + 0.5
        self.size = np.maximum(high - self.low, 1.0)
        self.scale = float((MAP_WIDTH - 1.5 * MAP_PAD) / self.size[0])
        self.height = float(self.size[1] * self.scale + 1.5 * MAP_PAD)
        # Numbers of a map projection have too many digits to stand at an axis.
        self.base = np.where(np.abs(self.low) < FAR_M, 0.0, np.round(self.low / 1e3) * 1e3)

    def at(self, places: FloatArray) -> FloatArray:
        """Places (..., 2) m as points of the drawing."""
        x = MAP_PAD + (places[..., 0] - self.low[0]) * self.scale
        y = 0.5 * MAP_PAD + (self.low[1] + self.size[1] - places[..., 1]) * self.scale
        return np.stack([x, y], axis=-1)


def floor_map(
    floor: Floor,
    anchors: Anchors,
    tracks: Mapping[str, Track],
    walls: FloatArray | None,
) -> str:
    """Floor, anchors, truth and tracks; what the slider moves is in it, hidden."""
    parts = []
    for value in ticks(floor.low[0], floor.low[0] + floor.size[0]):
        x, y = floor.at(np.array([value, floor.low[1]]))
        parts.append(
            element("line", x1=float(x), x2=float(x), y1=0.5 * MAP_PAD, y2=float(y), class_="grid")
        )
        parts.append(
            text(float(x), float(y) + 18, f"{value - floor.base[0]:g} m", "middle", "tick")
        )
    for value in ticks(floor.low[1], floor.low[1] + floor.size[1]):
        x, y = floor.at(np.array([floor.low[0], value]))
        parts.append(
            element(
                "line",
                x1=float(x),
                x2=MAP_WIDTH - 0.5 * MAP_PAD,
                y1=float(y),
                y2=float(y),
                class_="grid",
            )
        )
        parts.append(text(float(x) - 6, float(y) + 4, f"{value - floor.base[1]:g}", "end", "tick"))
    if floor.base.any():
        words = "x from {:.0f} m, y from {:.0f} m".format(*floor.base)
        parts.append(text(MAP_PAD, 12.0, words, "start", "tick"))
    for one, other in [] if walls is None else floor.at(walls):
        parts.append(path(np.stack([one, other]), "wall"))
    first = next(iter(tracks.values()))
    if first.has_truth:
        parts.append(path(floor.at(first.truth[:, :2]), "truth"))
    for order, track in reversed(list(enumerate(tracks.values()))):
        parts.append(
            path(floor.at(track.mean[:, :2]), f"line c{order}", DASHES[order % len(DASHES)])
        )
    parts.append("<g id='asked'></g><ellipse id='ellipse' class='ellipse'/>")
    parts += _named(anchors.ids, floor.at(anchors.positions[:, :2]))
    for order in range(len(tracks)):
        parts.append(element("circle", r=7.0 - order, class_=f"dot c{order}", id=f"dot{order}"))
    parts.append(element("path", d="M-6 -6L6 6M-6 6L6 -6", class_="cross", id="true"))
    label = f"Map of the floor with {len(anchors)} anchors and the paths of {', '.join(tracks)}"
    return picture("map", label, "".join(parts), MAP_WIDTH, floor.height)


def _named(ids: Sequence[str], points: FloatArray) -> list[str]:
    """Anchors at points (N, 2) and their names, beside each where nothing else is.

    Where there is no room the name is what the pointer finds.
    """
    marks = [(x - 7.0, y - 8.0, x + 7.0, y + 5.0) for x, y in points.tolist()]
    parts, taken = [], list(marks)
    for (x, y), name, mark in zip(points.tolist(), ids, marks, strict=True):
        title = element("title", escape(name))
        parts.append(element("path", title, d=f"M{x:.1f} {y - 8:.1f}l7 13h-14z", class_="anchor"))
        long = NAME_LETTER * len(name)
        sides = [
            (x, y - 13, "middle", x - 0.5 * long),
            (x, y + 21, "middle", x - 0.5 * long),
            (x + 11, y + 4, "start", x + 11),
            (x - 11, y + 4, "end", x - 11 - long),
        ]
        for at, down, anchor, left in sides if y > MAP_PAD else [sides[1], *sides[2:], sides[0]]:
            box = (left, down - 11.0, left + long, down + 2.0)
            others = (other for other in taken if other is not mark)
            if left < 0.0 or left + long > MAP_WIDTH or any(_meet(box, other) for other in others):
                continue
            parts.append(text(at, down, name, anchor, "name"))
            taken.append(box)
            break
    return parts


def _meet(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two boxes (left, top, right, bottom) share something."""
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]


def error_chart(tracks: Mapping[str, Track]) -> str:
    """Error over time of tracks at the same epochs; what lies above the chart is said."""
    first = next(iter(tracks.values()))
    times = elapsed(first.times)
    errors = [np.linalg.norm(t.mean[:, :2] - t.truth[:, :2], axis=1) for t in tracks.values()]
    found = [error[np.isfinite(error)] for error in errors]
    most = max((float(error.max()) for error in found if error.size), default=1.0)
    usual = max((float(np.percentile(error, 99.5)) for error in found if error.size), default=1.0)
    top = 1.05 * min(most, SPIKE * usual)
    axes = Axes((0.0, float(times[-1]) or 1.0), (0.0, top), "time s", "error m")
    parts = [axes.frame()]
    for order, error in reversed(list(enumerate(errors))):
        points = axes.at(times, np.minimum(error, top))
        parts.append(path(points, f"line c{order}", DASHES[order % len(DASHES)]))
    label = f"Horizontal error over time of {', '.join(tracks)}"
    drawn = picture("errors", label, "".join(parts) + cursor(), WIDTH, HEIGHT)
    return drawn if most <= top else f"{drawn}<p class='soft'>Cut off at {top:.2f} m.</p>"


def ecdf_chart(tracks: Mapping[str, Track]) -> str:
    """Share of epochs with at most an error."""
    errors = [np.sort(horizontal_errors(track)) for track in tracks.values()]
    top = max(float(np.percentile(e, 99.0)) for e in errors if e.size)
    axes = Axes((0.0, top), (0.0, 1.0), "horizontal error m", "share of epochs")
    parts, sentences = [axes.frame(percent=True)], []
    for order, (name, error) in enumerate(zip(tracks, errors, strict=True)):
        share = np.linspace(0.0, 1.0, 101)
        quantiles = np.quantile(error, share)
        parts.append(
            path(axes.at(np.minimum(quantiles, top), share), f"line c{order}", DASHES[order % 4])
        )
        sentences.append(
            f"{name}: half below {quantiles[50]:.2f} m, 90 % below {quantiles[90]:.2f} m"
        )
    return picture(
        "ecdf", "Distribution of errors. " + "; ".join(sentences), "".join(parts), WIDTH, HEIGHT
    )


def calibration_chart(tracks: Mapping[str, Track]) -> str:
    """Share of epochs within the ellipse of each probability: on the diagonal where it is right."""
    axes = Axes((0.0, 1.0), (0.0, 1.0), "claimed: within the ellipse of", "found")
    parts = [
        axes.frame(percent=True),
        path(axes.at(np.array([0.0, 1.0]), np.array([0.0, 1.0])), "axis"),
    ]
    claimed = np.linspace(0.0, 0.99, 34)
    for order, track in enumerate(tracks.values()):
        square = nees(track)
        found = (square[:, None] <= -2.0 * np.log1p(-claimed)).mean(axis=0)
        parts.append(path(axes.at(claimed, found), f"line c{order}", DASHES[order % 4]))
    label = "Calibration: the share of epochs within ellipses of each claimed probability"
    return picture("calibration", label, "".join(parts), WIDTH, HEIGHT)


def asked_chart(track: Track, rows: IntArray) -> tuple[str, FloatArray]:
    """Ranges asked for each fix over time, and x (n,) of the rows for the cursor."""
    times = elapsed(track.times)
    most = float(track.asked.max())
    axes = Axes((0.0, float(times[-1]) or 1.0), (0.0, most + 0.5), "time s", "ranges asked")
    body = path(axes.at(times[rows], track.asked[rows].astype(float)), "line c0") + cursor()
    label = f"Ranges asked per fix over time, {track.asked.mean():.2f} in the mean"
    x = axes.at(times[rows], np.zeros(rows.size))[:, 0]
    return picture("fixes", label, axes.frame() + body, WIDTH, HEIGHT), x


def residuals(track: Track, anchors: Anchors, height: float) -> FloatArray:
    """Ranges less distances (n, A) m: from the truth where there is one, else from the estimate.

    height m: the tag's, where neither says.
    """
    assert track.asking is not None
    place = np.full((len(track), 3), np.nan)
    if track.has_truth:
        place[:] = track.truth
    else:
        place[:, : track.dimensions] = track.mean[:, : track.dimensions]
    place[:, 2] = np.where(np.isfinite(place[:, 2]), place[:, 2], height)
    delta = place[:, None] - anchors.positions
    return np.asarray(track.asking.heard - np.linalg.norm(delta, axis=-1))


def residual_rows(track: Track, anchors: Anchors, height: float) -> list[dict[str, object]]:
    """Of each anchor: times asked, ranges heard, bias and spread m (robust), share held back."""
    assert track.asking is not None
    error, asking, found = residuals(track, anchors, height), track.asking, []
    for a, name in enumerate(anchors.ids):
        mine = error[np.isfinite(error[:, a]), a]
        bias = float(np.median(mine)) if mine.size else float("nan")
        # One range has none.
        spread = 1.4826 * float(np.median(np.abs(mine - bias))) if mine.size > 1 else float("nan")
        asked = int(asking.chosen[:, a].sum())
        found.append(
            {
                "id": name,
                "asked": asked,
                "heard": int(np.isfinite(asking.heard[:, a]).sum()),
                "bias": bias,
                "spread": spread,
                "excluded": float(asking.excluded[:, a].mean()),
            }
        )
    return found


def residual_chart(track: Track, anchors: Anchors, height: float) -> str:
    """Median, half and 90 % of the residuals of each anchor."""
    error = residuals(track, anchors, height)
    n = len(anchors)
    marks = [
        np.percentile(e[np.isfinite(e)], [5, 25, 50, 75, 95]) if np.isfinite(e).any() else None
        for e in error.T
    ]
    every = np.concatenate([m for m in marks if m is not None] or [np.zeros(1)])
    low, high = min(float(every.min()), -0.1), max(float(every.max()), 0.1)
    pad = 0.08 * (high - low)
    axes = Axes((-0.5, n - 0.5), (low - pad, high + pad), "anchor", "range less distance m")
    parts = [
        axes.frame(xticks=False),
        path(axes.at(np.array([-0.5, n - 0.5]), np.zeros(2)), "axis"),
    ]
    letters = 2 + max(len(name[:8]) for name in anchors.ids)
    every_so_many = math.ceil(n * letters / LETTERS)
    for a, (name, mark) in enumerate(zip(anchors.ids, marks, strict=True)):
        if a % every_so_many == 0:
            x, y = axes.at(float(a), low - pad)
            parts.append(text(float(x), float(y) + 15, name[:8], "middle", "tick"))
        if mark is None:
            continue
        (x, bottom), (_, lower), (_, middle), (_, upper), (_, top) = axes.at(
            np.full(5, float(a)), mark
        )
        wide = min(9.0, 140.0 / n)
        parts.append(path(np.array([[x, bottom], [x, top]]), "line c0"))
        parts.append(
            element(
                "rect",
                x=float(x - wide),
                y=float(upper),
                width=2 * wide,
                height=max(float(lower - upper), 1.0),
                class_="box",
            )
        )
        parts.append(path(np.array([[x - wide, middle], [x + wide, middle]]), "median"))
    return picture(
        "residuals",
        "Residuals of each anchor: median, half and nine tenths of them",
        "".join(parts),
        WIDTH,
        HEIGHT,
    )


def heat_maps(track: Track, anchors: Anchors) -> str:
    """HTML: for each anchor a small floor, how often it was asked by where the tag was."""
    assert track.asking is not None
    tag = track.truth[:, :2] if track.has_truth else track.mean[:, :2]
    seen = np.isfinite(tag).all(axis=1) & track.known
    if not seen.any():
        return ""
    tag, chosen = tag[seen], track.asking.chosen[seen]
    points = np.concatenate([tag, anchors.positions[:, :2]])
    low, size = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1.0)
    cell = float(size.max()) / CELLS_OF_A_SIDE
    low, size = low - 0.5 * cell, size + cell
    column, row = ((tag - low) // cell).astype(int).T
    index = row * 1000 + column
    share = chosen.mean(axis=0)
    shown = np.sort(np.argsort(-share, kind="stable")[:MOST_ANCHORS])
    scale = 130.0 / size.max()
    side = f"{cell * scale:.1f}"
    width, height = size * scale
    cells, inverse, count = np.unique(index, return_inverse=True, return_counts=True)
    drawn = []
    for a in shown:
        often = np.bincount(inverse.ravel(), chosen[:, a]) / count
        parts = []
        for key, value in zip(cells, often, strict=True):
            x = (key % 1000) * cell * scale
            y = height - (key // 1000 + 1) * cell * scale
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{side}" height="{side}" '
                f'class="cell" fill-opacity="{0.04 + 0.96 * value:.2f}"/>'
            )
        x, y = (anchors.positions[a, :2] - low) * scale
        parts.append(element("path", d=f"M{x:.1f} {height - y - 5:.1f}l5 9h-10z", class_="anchor"))
        label = f"{anchors.ids[a]} was asked for {100 * share[a]:.0f} % of the fixes"
        body = picture("heat", label, "".join(parts), float(width), float(height))
        drawn.append(
            f"<figure>{body}<figcaption>{escape(anchors.ids[a])}: {100 * share[a]:.0f} %"
            "</figcaption></figure>"
        )
    return "<div class='heats'>" + "".join(drawn) + "</div>"
