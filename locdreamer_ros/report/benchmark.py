# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A benchmark as one page: its claims, a chart of each measure with intervals, its table."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import Any

from locdreamer_ros import __version__
from locdreamer_ros.evaluation.tables import cell
from locdreamer_ros.report.page import section, table, write_page
from locdreamer_ros.report.svg import element, picture, text, ticks

WIDTH, LINE, TOP, BOTTOM, RIGHT = 420.0, 20.0, 6.0, 24.0, 14.0
LETTER = 6.4
"""Of a chart, in its own units: a row's height, margins, and about a letter's width."""
LONGEST_ROW_NAME = 30
"""Letters of a row's name; longer ones are cut."""
MOST_CHARTS, MOST_ROWS = 12, 40
"""Measures drawn, and rows of one: the table holds them all."""


def write_benchmark(
    path: Path,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    shown: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    claims: Mapping[str, float],
    *,
    notes: Sequence[str] = (),
    drawing: Path | None = None,
) -> None:
    """Write the page.

    rows: numbers, half widths of intervals as `<measure>_ci`; shown: the same as words; columns:
    headings by key; drawing: a PNG that goes into the page.
    """
    labels = [_label(row, columns) for row in rows]
    charts = [
        section(heading, _chart(key, heading, labels, rows), "wide" if len(rows) > 20 else "")
        for key, heading in columns.items()
        if sum(_number(row.get(key)) is not None for row in rows) > 1
    ]
    tiles = "".join(
        f"<div class='tile'><b>{escape(cell(value))}</b><span>{escape(claim)}</span></div>"
        for claim, value in claims.items()
    )
    lines = [[row.get(key) for key in columns] for row in shown]
    whole = table(f"All rows of benchmark {name}", list(columns.values()), lines)
    notes_html = "".join(f"<p class='soft'>{escape(note)}</p>" for note in notes)
    dot = "<p class='soft'>Dot: mean. Line: its interval over the seeds, where there is one.</p>"
    parts = [*charts[:MOST_CHARTS], section("Table", whole, "wide")]
    if drawing is not None:
        data = base64.b64encode(drawing.read_bytes()).decode()
        image = (
            f"<img alt='Picture of benchmark {escape(name)}' src='data:image/png;base64,{data}'>"
        )
        parts.append(section("Picture", image, "wide"))
    parts.append(
        section("The run", f"{notes_html}<p class='soft'>locdreamer_ros {__version__}</p>", "wide")
    )
    body = f"<div class='tiles'>{tiles}</div>{dot if charts else ''}<div class='cards'>"
    write_page(path, f"Benchmark {name}", f"{body}{''.join(parts)}</div>")


def _number(value: object) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return float(value) if isfinite(value) else None


def _label(row: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """A row's name: its words."""
    words = [str(row[key]) for key in columns if isinstance(row.get(key), str) and row[key]]
    name = ", ".join(words) or "-"
    return name if len(name) <= LONGEST_ROW_NAME else f"{name[: LONGEST_ROW_NAME - 1]}…"


def _chart(key: str, heading: str, labels: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """One measure of all rows: a dot each, with its interval."""
    found: list[tuple[str, float, float]] = []
    for label, row in zip(labels, rows, strict=True):
        value, half = _number(row.get(key)), _number(row.get(f"{key}_ci")) or 0.0
        if value is not None and len(found) < MOST_ROWS:
            found.append((label, value, half))
    left = 10.0 + LETTER * max(len(label) for label, _, _ in found)
    low = min(0.0, *(value - half for _, value, half in found))
    high = max(value + half for _, value, half in found)
    high = high if high > low else low + 1.0
    floor = TOP + LINE * len(found)

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (WIDTH - RIGHT - left)

    parts = []
    for value in ticks(low, high, most=4):
        x = across(value)
        parts.append(element("line", x1=x, x2=x, y1=TOP, y2=floor, class_="grid"))
        parts.append(text(x, floor + 15, f"{value:g}", "middle", "tick"))
    for number, (label, value, half) in enumerate(found):
        y = TOP + LINE * (number + 0.5)
        parts.append(text(left - 8, y + 4, label, "end", "tick"))
        if half:
            one, other = across(value - half), across(value + half)
            parts.append(element("line", x1=one, x2=other, y1=y, y2=y, class_="median"))
        words = f"{label}: {cell(value)}" + (f" ± {cell(half)}" if half else "")
        dot = element("circle", element("title", escape(words)), cx=across(value), cy=y, r=5.0,
                      class_="dot c0")  # fmt: skip
        parts.append(dot)
    name = f"{heading} of {len(found)} rows, from {cell(found[0][1])} to {cell(found[-1][1])}"
    return picture(f"chart-{key}", name, "".join(parts), WIDTH, floor + BOTTOM)
