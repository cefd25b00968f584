# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page: drawings, tables and what the slider shows, in one file without a network."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros import __version__
from locdreamer_ros.evaluation.metrics import Track, heard_anchors
from locdreamer_ros.evaluation.tables import cell
from locdreamer_ros.files import write_atomically
from locdreamer_ros.geometry import CHI2_95_2DOF
from locdreamer_ros.integrity.status import State
from locdreamer_ros.report.charts import (
    Floor,
    asked_chart,
    calibration_chart,
    ecdf_chart,
    elapsed,
    error_chart,
    floor_map,
    heat_maps,
    residual_chart,
    residual_rows,
)
from locdreamer_ros.report.style import SCRIPT, STYLE
from locdreamer_ros.report.svg import legend
from locdreamer_ros.types import Anchors, BoolArray, FloatArray, IntArray

MOST_ROWS = 1200
"""Epochs that the page holds; of longer runs every second, third, ... one."""
TILES = {
    "mae": "mean error m",
    "p50": "half below m",
    "p90": "90 % below m",
    "max": "largest m",
    "ranges_per_fix": "ranges per fix",
    "nees": "NEES, 2 is right",
    "coverage95": "within 95 % ellipse",
    "step_us_p50": "step us",
}


def write_report(
    path: Path,
    anchors: Anchors,
    tracks: Mapping[str, Track],
    reports: Sequence[Mapping[str, Any]],
    *,
    title: str,
    walls: FloatArray | None = None,
    height: float = 1.0,
    about: Mapping[str, object] | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write the report of a run as HTML: tracks by name, the one of interest first.

    reports: a row of metrics per track; walls (W, 2, 2) m where known; height m: the tag's where
    neither truth nor estimate says; about: what else there is to say, by name; notes: what stands
    above all. What was not kept (`Track.asking`) is left out, and said.
    """
    of = len(anchors)
    anchors, tracks = heard_anchors(anchors, tracks)
    first = next(iter(tracks.values()))
    rows = np.unique(np.linspace(0, len(first) - 1, min(len(first), MOST_ROWS)).astype(np.intp))
    # In a graph another tracker may have begun later, or missed an answer; where the epochs are
    # the same their times need not even increase.
    shown = {
        name: track.only(rows)
        if np.array_equal(track.times, first.times)
        else track.at(first.times[rows])
        for name, track in tracks.items()
    }
    floor = Floor(anchors, tracks, walls)
    scored = {name: track for name, track in tracks.items() if track.scored().any()}
    sections = []
    if scored:
        under = f"<p class='soft'>Below the thin line: claims too much.{_axes(reports[0])}</p>"
        sections += [
            section("Error over time", error_chart({name: shown[name] for name in scored})),
            section("Distribution of errors", ecdf_chart(scored)),
            section("Calibration", calibration_chart(scored) + under),
        ]
    play = (
        "<div class='play'><button id='play' type='button' aria-pressed='false'>Play</button>"
        f"<input id='time' type='range' min='0' max='{rows.size - 1}' value='{rows.size // 2}' "
        "step='1' aria-label='Time of the run; arrow keys move it'></div>"
        "<output id='now' for='time'></output>"
    )
    key = legend(list(tracks), truth=first.has_truth)
    cross = " Cross: the truth." if first.has_truth else ""
    few = f" Of {of} anchors the {len(anchors)} that were heard." if len(anchors) < of else ""
    words = f"<p class='soft'>Shaded: 95 % ellipse. Dotted: anchors asked.{cross}{few}</p>"
    sections.insert(
        0,
        section("Map", key + floor_map(floor, anchors, shown, walls) + play + words, "two"),
    )
    chart, x = asked_chart(first, rows)
    sections.append(section("Ranges per fix", chart))
    parameters = _parameters(reports[0], of, about or {})
    sections += _asking(first, anchors, height, section("Parameters and versions", parameters))
    sections.append(section("What answered", _answered(tracks, reports), "wide"))
    data = _data(floor, anchors, shown, first, rows, x)
    notes_html = "".join(f"<p class='note' role='note'>{escape(note)}</p>" for note in notes)
    body = (
        f"{notes_html}{_tiles(reports[0])}{_compared(tracks, reports)}"
        f"<div class='cards'>{''.join(sections)}</div>"
        f"<script type='application/json' id='data'>{data}</script><script>{SCRIPT}</script>"
    )
    write_page(path, title, body)


def write_page(path: Path, title: str, body: str) -> None:
    """Write a whole HTML file with the reports' style."""
    head = (
        "<meta charset='utf-8'><meta name='viewport' content='width=device-width,initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    main = f"<main><h1>{escape(title)}</h1>{body}</main>"
    with write_atomically(path) as stream:
        stream.write(
            f"<!DOCTYPE html><html lang='en'><head>{head}</head><body>{main}</body></html>\n"
        )


def _axes(report: Mapping[str, Any]) -> str:
    """What a track in space says of each axis, if it does."""
    found = {axis: report.get(f"nees_{axis}") for axis in "xyz"}
    values = ", ".join(f"{axis} {value:.2f}" for axis, value in found.items() if value is not None)
    return f" Squared error over variance, 1 is right: {values}." if values else ""


def section(heading: str, content: str, class_: str = "") -> str:
    """A card of the page."""
    return f"<section class='{class_}'><h2>{escape(heading)}</h2>{content}</section>"


def _tiles(report: Mapping[str, Any]) -> str:
    tiles = [
        f"<div class='tile'><b>{cell(report[key])}</b><span>{escape(words)}</span></div>"
        for key, words in TILES.items()
        if key in report
    ]
    return f"<div class='tiles'>{''.join(tiles)}</div>"


def table(
    caption: str,
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    stacked: bool = False,
) -> str:
    """A table that scrolls by itself where it is too wide, its caption above it in full.

    stacked: on a telephone each row is a list of names and values instead, for few wide rows.
    """
    head = "".join(f"<th scope='col'>{escape(word)}</th>" for word in header)
    lines = "".join(
        "<tr>"
        + "".join(
            f"<td{f' data-is={word!r}' if stacked else ''}>{escape(cell(value))}</td>"
            for word, value in zip(map(escape, header), row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    kind = " class='stacked'" if stacked else ""
    return (
        f"<p class='soft'>{escape(caption)}</p>"
        f"<div class='scroll' role='region' tabindex='0' aria-label='{escape(caption)}'>"
        f"<table{kind}><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _compared(names: Iterable[str], reports: Sequence[Mapping[str, Any]]) -> str:
    """All trackers beside each other, where there is more than one."""
    if len(reports) < 2:
        return ""
    keys = [key for key in TILES if any(key in report for report in reports)]
    rows = [
        [name, *(report.get(key) for key in keys)]
        for name, report in zip(names, reports, strict=True)
    ]
    header = ["tracker", *(TILES[key] for key in keys)]
    listed = table("All trackers of the run, on the same ranges", header, rows, stacked=True)
    return f"<section>{listed}</section>"


def _asking(track: Track, anchors: Anchors, height: float, about: str) -> list[str]:
    """What is known of whom was asked; `about` fills the row beside the residuals."""
    if track.asking is None:
        words = "<p class='soft'>Who was asked, and what came back, was not kept in this run.</p>"
        return [section("Anchors", words), about]
    rows = [list(row.values()) for row in residual_rows(track, anchors, height)]
    header = ["anchor", "asked", "heard", "bias m", "spread m", "held back"]
    against = "the true place" if track.has_truth else "the estimate"
    scale = "<p class='soft'>0 <span class='scale'></span> 100 % of the fixes made there</p>"
    maps = scale + heat_maps(track, anchors)
    words = f"Ranges against {against}; median and robust spread; share of time held back"
    listed = table(words, header, rows)
    return [
        section("Residuals per anchor", residual_chart(track, anchors, height)),
        about,
        section("Whom the scheduler asked, by where the tag was", maps, "wide"),
        section("Anchors", listed, "wide"),
    ]


def _answered(tracks: Mapping[str, Track], reports: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for (name, track), report in zip(tracks.items(), reports, strict=True):
        states = "-"
        if track.states is not None:
            shares = [(s.name.lower(), float((track.states == s).mean())) for s in State]
            states = ", ".join(
                f"{name} {100 * share:.0f}\N{NO-BREAK SPACE}%" for name, share in shares if share
            )
        fallback = "; ".join(f"{n} x {why}" for why, n in report.get("fallback", {}).items())
        held = ", ".join(f"{a} ({n})" for a, n in report.get("excluded", {}).items())
        rows.append(
            [name, report.get("model"), fallback or "-", report.get("restarts"),
             report.get("mirror"), held or "-", states]
        )  # fmt: skip
    header = ["tracker", "model", "others answered", "restarts", "mirror", "held back", "states"]
    return table("Who answered, and what the watch did", header, rows, stacked=True)


def _parameters(report: Mapping[str, Any], anchors: int, about: Mapping[str, object]) -> str:
    names = ("tracker", "preset", "scheduler", "budget", "dimensions", "seed", "mode", "source")
    rows: list[list[object]] = [
        [name, report[name]] for name in names if report.get(name) not in (None, "")
    ]
    rows.append(["anchors", anchors])
    rows += [[name, value] for name, value in about.items()]
    rows.append(["locdreamer_ros", __version__])
    rows.append(["python, numpy", f"{platform.python_version()}, {np.__version__}"])
    return table("Of the first tracker", ["what", "value"], rows)


def _data(
    floor: Floor,
    anchors: Anchors,
    tracks: Mapping[str, Track],
    first: Track,
    rows: IntArray,
    x: FloatArray,
) -> str:
    """What the slider shows, in units of the drawing, as JSON that may stand in HTML.

    tracks: all at the epochs `rows` of the first.
    """
    shown = []
    for name, track in tracks.items():
        error = np.linalg.norm(track.mean[:, :2] - track.truth[:, :2], axis=1)
        place = _numbers(floor.at(track.mean[:, :2]))
        shown.append({"name": name, "at": place, "error": _numbers(error, 3)})
    asking, states = first.asking, first.states
    value = {
        "t": _numbers(elapsed(first.times)[rows], 2),
        "tracks": shown,
        "truth": _numbers(floor.at(first.truth[rows, :2])) if first.has_truth else None,
        "ellipse": _numbers(_ellipses(first.covariance[rows, :2, :2], floor.scale)),
        "asked": None
        if asking is None
        else [np.flatnonzero(asking.chosen[r]).tolist() for r in rows],
        "state": None if states is None else [State(int(states[r])).name.lower() for r in rows],
        "ids": list(anchors.ids),
        "anchors": _numbers(floor.at(anchors.positions[:, :2])),
        "x": _numbers(x),
    }
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _numbers(values: FloatArray, digits: int = 1) -> Any:
    """Lists of rounded numbers, None where not finite."""
    rounded = np.round(values, digits).astype(object)
    rounded[~np.isfinite(values)] = None
    return rounded.tolist()


def _ellipses(covariance: FloatArray, scale: float) -> FloatArray:
    """Half axes and angle (n, 3) of the 95 % ellipses, in units of the drawing and degrees."""
    known: BoolArray = np.asarray(np.isfinite(covariance).all(axis=(1, 2)))
    found = np.full((len(covariance), 3), np.nan)
    squares, vectors = np.linalg.eigh(np.where(known[:, None, None], covariance, np.eye(2)))
    found[:, :2] = scale * np.sqrt(CHI2_95_2DOF * np.maximum(squares[:, ::-1], 0.0))
    # y points down in the drawing.
    found[:, 2] = np.degrees(np.arctan2(-vectors[:, 1, 1], vectors[:, 0, 1]))
    found[~known] = np.nan
    return found
