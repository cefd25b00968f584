# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of results as aligned plain text, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from locdreamer_ros.files import write_atomically

Row = Mapping[str, Any]


def cell(value: object) -> str:
    """A value as people read it: three decimals below 100, one above, `-` for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 100.0 else f"{value:.1f}"
    return str(value)


def _grid(rows: Sequence[Row], columns: Mapping[str, str]) -> tuple[list[list[str]], list[int]]:
    """Heading and rows as text, and the width of each column."""
    lines = [list(columns.values()), *([cell(row.get(key)) for key in columns] for row in rows)]
    return lines, [max(map(len, column)) for column in zip(*lines, strict=True)]


def _is_number(text: str) -> bool:
    return text[:1].isdigit() or text[:1] in "+-"


def _aligned(line: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    return [
        text.rjust(width) if to_the_right else text.ljust(width)
        for text, width, to_the_right in zip(line, widths, right, strict=True)
    ]


def _numeric(lines: list[list[str]]) -> list[bool]:
    return [all(map(_is_number, column)) for column in zip(*lines[1:], strict=True)]


def plain(rows: Sequence[Row], columns: Mapping[str, str]) -> str:
    """Aligned text, one line per row under the headings; `columns` maps key to heading."""
    lines, widths = _grid(rows, columns)
    right = _numeric(lines)
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(_aligned(line, widths, right)).rstrip() for line in lines)


def markdown(rows: Sequence[Row], columns: Mapping[str, str]) -> str:
    """The same as a Markdown table."""
    lines, widths = _grid(rows, columns)
    widths = [max(width, 2) for width in widths]  # room for `-:`
    right = _numeric(lines)
    lines.insert(
        1,
        ["-" * (w - 1) + ":" if r else "-" * w for w, r in zip(widths, right, strict=True)],
    )
    return "\n".join("| " + " | ".join(_aligned(line, widths, right)) + " |" for line in lines)


def save_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV, their keys as header; a cell whose row has no such key stays empty."""
    with write_atomically(path) as stream:
        keys = dict.fromkeys(key for row in rows for key in row)
        writer = csv.DictWriter(stream, list(keys), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def save_json(path: Path, value: object) -> None:
    """Write JSON; NaN and infinity, which JSON does not have, become null."""
    with write_atomically(path) as stream:
        json.dump(_finite(value), stream, indent=2, allow_nan=False)
        stream.write("\n")


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
