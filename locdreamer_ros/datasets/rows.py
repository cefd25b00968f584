# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CSV as people write it, row by row in bounded memory: comma, semicolon, tab, | or spaces.

Comments, a header that is a comment, a header that comes again, and a last row that was cut.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO

from locdreamer_ros.errors import InputError

log = logging.getLogger(__name__)

DELIMITERS = ",;\t|"
QUOTED = re.compile(r'"[^"]*"')
COMMENT = ("#", "//", "%")
MARKS = "#/% "
SEPARATOR = re.compile(r"sep=.\s*", re.IGNORECASE)
"""A first line for Excel."""
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
VALUE = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?|\d[\d:T.,+-]*")
"""A number, a date or a time of day: what a header does not begin with."""
UNIT = re.compile(
    r"[\[(]?(m|cm|mm|ft|feet|in|inch|inches|ticks|s|secs?|seconds|ms|msecs?|us|usecs?|ns|nsecs?|mins?|"
    r"minutes)[\])]?",
    re.IGNORECASE,
)
NO_UNIT = re.compile(r"-?|[\[(]?(?:1|rad|rad/s|dbm?|m\^?2)[\])]?", re.IGNORECASE)
"""What a row of units below the header holds: what a name may end with, and what needs no name."""
LAST_WORD = re.compile(r"[\s_(\[]([a-z]+)[)\]]?$", re.IGNORECASE)
LONGEST_LINE = 1 << 20
"""Characters. No row of ours is longer, and memory is to stay bounded."""


def read_rows(
    path: Path, stream: IO[str], *, logged: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """As `_rows`; a row of units below the header is read as if each stood in its column's name.

    Raises InputError where one is another than that in the name.
    """
    rows = _rows(path, stream, logged=logged)
    at, header = next(rows)
    below = next(rows, None)
    if below is not None and _are_units(below[1]) and len(below[1]) == len(header):
        log.warning("%s: row %d is taken for units", path, below[0])
        header = [
            _with_unit(name, unit, f"{path}: row {below[0]}, column {name}")
            for name, unit in zip(header, below[1], strict=True)
        ]
        below = None
    yield at, header
    if below is not None:
        yield below
    yield from rows


def _are_units(cells: list[str]) -> bool:
    return all(UNIT.fullmatch(c) or NO_UNIT.fullmatch(c) for c in cells) and any(
        UNIT.fullmatch(c) for c in cells
    )


def _with_unit(name: str, cell: str, where: str) -> str:
    """The name of a column with its unit, unless it has it. Raises InputError for another."""
    found = UNIT.fullmatch(cell)
    unit = found[1].lower() if found else ""
    word = LAST_WORD.search(name)
    last = word[1].lower() if word else ""
    if not unit or last == unit or UNIT.fullmatch(name):
        return name
    if UNIT.fullmatch(last):
        raise InputError(f"{where}: expected the unit of its name, got {cell!r}")
    return name if unit == "m" else f"{name}_{unit}"


def _rows(path: Path, stream: IO[str], *, logged: bool) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, header first, each with its number in the file, stripped.

    Lines that begin with #, // or % are comments where they are not as wide as the header; one
    right before the numbers may be the header itself. The header again (a logger that was
    restarted) is left out, and said; logged: so is a last row that was cut. Where commas do not
    part cells a number may have a decimal comma. Raises InputError where it is not CSV, is empty,
    or has a row without end.
    """
    lines = _Lines(path, stream)
    above = ""
    for first in lines:
        if first.strip() and not first.startswith(COMMENT) and not SEPARATOR.fullmatch(first):
            break
        above = first
    else:
        raise InputError(f"{path}: empty file")
    number = lines.count
    table: Iterator[str] = chain([first], lines)
    if _is_header(above, first):
        first = above.lstrip(MARKS)
        number, table = number - 1, chain([first], table)
    delimiter = _delimiter(first)
    if delimiter == " ":
        table = (line.strip() for line in table)
    header: list[str] = []
    again = 0
    reader = csv.reader(table, strict=True, delimiter=delimiter, skipinitialspace=delimiter == " ")
    try:
        for at, row in enumerate(reader, start=number):
            cells = [cell.strip() for cell in row]
            if delimiter != ",":
                cells = [c.replace(",", ".") if DECIMAL_COMMA.fullmatch(c) else c for c in cells]
            width = len(header)
            if header and len(cells) > width and not any(cells[width:]):
                cells = cells[:width]  # a separator at the end of each row, none in the header
            if not any(cells) or (header and _is_comment(cells, width)):
                continue
            if cells == header:
                again += 1
                continue
            if logged and len(cells) < width and lines.cut:
                log.warning("%s: row %d: the last row is cut short: left out", path, at)
                continue
            header = header or cells
            yield at, cells
    except csv.Error as reason:
        raise InputError(f"{path}: not CSV: {reason}") from None
    if again:
        log.warning("%s: the header is there %d times more: left out", path, again)
    if not header:
        raise InputError(f"{path}: empty file")


class _Lines:
    """The lines of a file, counted; cut: the last one read has no end."""

    def __init__(self, path: Path, stream: IO[str]) -> None:
        self.count = 0
        self.cut = False
        self._path, self._stream = path, stream

    def __iter__(self) -> Iterator[str]:
        """Those that are left."""
        while line := self._stream.readline(LONGEST_LINE):
            self.count += 1
            self.cut = not line.endswith("\n")
            if self.cut and len(line) == LONGEST_LINE:
                raise InputError(f"{self._path}: not CSV: a row of over {LONGEST_LINE} characters")
            yield line


def _delimiter(line: str) -> str:
    found = max(DELIMITERS, key=QUOTED.sub("", line).count)
    return found if found in line else " "


def _is_comment(cells: list[str], width: int) -> bool:
    return cells[0].startswith(COMMENT) and len(cells) != width


def _is_header(above: str, first: str) -> bool:
    """Whether a comment holds the names of the columns below it, as numpy.savetxt writes them."""
    if not above.startswith(COMMENT):
        return False
    names, values = above.lstrip(MARKS).strip(), first.strip()
    named, valued = (
        line.split(None if delimiter == " " else delimiter)
        for line, delimiter in ((names, _delimiter(names)), (values, _delimiter(values)))
    )
    return (
        len(named) == len(valued)
        and VALUE.fullmatch(valued[0].strip()) is not None
        and VALUE.fullmatch(named[0].strip()) is None
    )
