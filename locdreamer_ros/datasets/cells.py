# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CSV as people write it, row by row in bounded memory: comma, semicolon, tab or spaces."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.types import LONGEST_ID
from locdreamer_ros.units import FARTHEST_M

DELIMITERS = ",;\t"
QUOTED = re.compile(r'"[^"]*"')
MISSING = ("", "nan", "na", "n/a", "#n/a", "null", "none", "-", "--")
"""Words for a cell without a value, in lower case."""
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
DATE = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)([.,]\d+)?(?:Z|([+-]\d\d):?(\d\d))?")
"""ISO 8601, to any fraction of a second, with a zone or not."""
LONGEST_LINE = 1 << 20
"""Characters. No row of ours is longer, and memory is to stay bounded."""
MAX_CELLS = 200_000_000
"""Numbers of one table: 1.6 GB of them, 80 hours of 8 anchors at 10 Hz ten times over."""
MAX_RANGE_M = 1000.0
"""No UWB module ranges farther: a larger value is a unit mistake (millimetres), not a range."""
TRUTH = ("gt_x", "gt_y", "gt_z")
ODOMETRY = ("odom_x", "odom_y", "odom_yaw")
GYRO = ("gyro_z",)
MOST = {**dict.fromkeys((*TRUTH, *ODOMETRY), FARTHEST_M), "nlos": 1.0}
"""What a cell of these columns may hold, either way."""
LEAST = {"nlos": 0.0}
"""And where it may not be as far below 0."""
NO_ANSWER = (65.535, 65535.0, float("inf"))
"""What modules write where there is no range, besides 0 and what lies below it."""


def read_rows(path: Path, stream: IO[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, header first, each with its number in the file, stripped.

    Lines before the header that begin with # are comments. Where commas do not part cells a number
    may have a decimal comma. Raises InputError where it is not CSV, is empty, or has a row without
    end.
    """
    lines = _lines(path, stream)
    blank = 0
    while (first := next(lines, "")) and (not first.strip() or first.startswith("#")):
        blank += 1
    table: Iterable[str] = chain([first], lines)
    delimiter = max(DELIMITERS, key=QUOTED.sub("", first).count)
    if delimiter not in first:
        delimiter, table = " ", (line.strip() for line in table)
    seen, width = False, 0
    try:
        spaced = delimiter == " "
        reader = csv.reader(table, strict=True, delimiter=delimiter, skipinitialspace=spaced)
        for number, row in enumerate(reader, start=1 + blank):
            cells = [cell.strip() for cell in row]
            if delimiter != ",":
                cells = [c.replace(",", ".") if DECIMAL_COMMA.fullmatch(c) else c for c in cells]
            if len(cells) > (width or len(cells)) and not any(cells[width:]):
                cells = cells[:width]  # a separator at the end of each row, none in the header
            if any(cells):
                width = width or len(cells)
                seen = True
                yield number, cells
    except csv.Error as reason:
        raise InputError(f"{path}: not CSV: {reason}") from None
    if not seen:
        raise InputError(f"{path}: empty file")


def _lines(path: Path, stream: IO[str]) -> Iterator[str]:
    while line := stream.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise InputError(f"{path}: not CSV: a row of over {LONGEST_LINE} characters")
        yield line


def check_width(where: str, row: Sequence[str], header: Sequence[str]) -> None:
    """Raises InputError, naming `where`, for a row that has not as many cells as the header."""
    if len(row) != len(header):
        comma = "; decimal commas need ; between cells" if len(row) > len(header) else ""
        raise InputError(f"{where}: expected {len(header)} columns, got {len(row)}{comma}")


def number(
    text: str,
    where: str,
    *,
    missing: bool = False,
    least: float = -math.inf,
    most: float = math.inf,
) -> float:
    """A finite number within `most`; NaN for a missing one where that is allowed. InputError.

    least: the smallest one, where that is not `most` below 0.
    """
    if missing and text.lower() in MISSING:
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{where}: expected a number, got {_short(text)}") from None
    if not np.isfinite(value):
        raise InputError(f"{where}: expected a finite number, got {_short(text)}")
    if abs(value) > most:
        raise InputError(f"{where}: expected a number within {most:g}, got {_short(text)}")
    if value < least:
        raise InputError(f"{where}: expected a number from {least:g}, got {_short(text)}")
    return value


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


class TimeCells:
    """Reads cells with times, numbers or dates, and notices whether all are whole numbers."""

    def __init__(self) -> None:
        self.whole = True
        self._dates: bool | None = None

    def stamp(self, text: str, where: str) -> float:
        """A finite number in the file's unit; a date in s since 1970. Raises InputError."""
        seconds = _seconds_of(text)
        if self._dates is None:
            self._dates = seconds is not None
        if self._dates:
            self.whole = False
            if seconds is None:
                raise InputError(
                    f"{where}: expected a date as in the rows above, got {_short(text)}"
                )
            return seconds
        value = number(text, where)
        self.whole &= "." not in text and "e" not in text.lower()
        return value


def _seconds_of(text: str) -> float | None:
    """Seconds since 1970 of a date, in UTC where it names no zone; None: it is none."""
    found = DATE.fullmatch(text) if text[4:5] == "-" else None
    if found is None:
        return None
    day, time, fraction, hours, minutes = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day} {time}{hours or '+00'}:{minutes or '00'}")
    except ValueError:  # there is no such day
        return None
    return moment.timestamp() + float("0" + (fraction or ".0").replace(",", "."))


class LeftOut:
    """Messages of a bag that are not used, as a node drops them: counted, the first one named."""

    def __init__(self) -> None:
        self.count = 0
        self._first = ""
        self.strange: Counter[str] = Counter()
        """Ranges of anchors that the site does not have, by id."""

    def add(self, reason: InputError) -> None:
        """One more."""
        self.count += 1
        self._first = self._first or str(reason)

    def notes(self, of: int, site: Sequence[str]) -> Iterator[str]:
        """What was left out of `of` messages. Raises InputError: most of them were."""
        if 2 * self.count > of:
            raise InputError(self._first)
        if self.count:
            first = self._first.partition(": ")[2]
            yield f"{self.count} of {of} messages are left out, as a node drops them: {first}"
        if self.strange:
            named = ", ".join(repr(anchor[:LONGEST_ID]) for anchor in [*self.strange][:3])
            yield (
                f"{self.strange.total()} ranges of unknown anchors ({named}) are left out; the "
                f"site has {', '.join(site)}"
            )


class RangeCells:
    """Reads ranges in units of `scale` m, and counts those that say that there was none.

    no_answer: values that say so, besides 0 and what lies below it; signed: they are differences
    of ranges, to which these are values like any other.
    """

    def __init__(
        self,
        scale: float = 1.0,
        *,
        no_answer: tuple[float, ...] = NO_ANSWER,
        signed: bool = False,
    ) -> None:
        self.scale = scale
        self._signed = signed
        self._no_answer = no_answer
        self.unanswered: Counter[str] = Counter()

    def metres(self, cell: str | float, where: str) -> float:
        """A range in m, NaN where there was none. Raises InputError where it is no range."""
        if isinstance(cell, str) and cell.lower() in MISSING:
            return float("nan")
        try:
            value = float(cell)
        except ValueError:
            raise InputError(f"{where}: expected a number, got {_short(str(cell))}") from None
        if value != value or (not self._signed and (value <= 0.0 or value in self._no_answer)):
            named = value == 0.0 or value != value or value in self._no_answer
            self.unanswered[f"{value:g}" if named else "< 0"] += 1
            return float("nan")
        if abs(value) * self.scale > MAX_RANGE_M:
            raise InputError(
                f"{where}: expected a range of at most {MAX_RANGE_M:g} m, got {_short(str(cell))}; "
                "is it in millimetres or centimetres? then call it r_<id>_mm, range_mm or ..._cm"
            )
        return value * self.scale

    def note(self) -> str:
        """What was taken for no answer; empty where nothing was."""
        if not self.unanswered:
            return ""
        kinds = ", ".join(f"{value} ({times})" for value, times in self.unanswered.most_common())
        return f"{self.unanswered.total()} values are no range and count as no answer: {kinds}"


def check_count(path: Path, numbers: int) -> None:
    """Raises InputError where a table holds more numbers than memory is meant for."""
    if numbers > MAX_CELLS:
        raise InputError(f"{path}: more than {MAX_CELLS} numbers; cut the table into parts")


def plain_header(
    header: Sequence[str], roles: Sequence[str], kept: Collection[str] = ()
) -> list[str]:
    """The header with our own names as we write them, where it has them in capitals.

    kept: names that somebody else goes by.
    """
    known = {role.lower(): role for role in roles}
    plain = [name if name in kept else known.get(name.lower(), name) for name in header]
    return [
        own if own not in header and plain.count(own) == 1 else name
        for own, name in zip(plain, header, strict=True)
    ]


def find_columns(
    path: Path, header: Sequence[str], roles: Sequence[str], mapping: Mapping[str, str]
) -> dict[str, int]:
    """The column of each role that the header has, by the mapping where it names one.

    Raises InputError for a column that is there twice, and one that the mapping names in vain.
    """
    places = {name: i for i, name in enumerate(header) if name}
    for name, count in Counter(filter(None, header)).items():
        if count > 1:
            raise InputError(f"{path}: row 1: column {name} appears twice")
    for role, name in mapping.items():
        if name not in places:
            raise InputError(
                f"{path}: row 1: no column {name!r} for {role}; it has {', '.join(header)}"
            )
    return {
        role: places[mapping.get(role, role)] for role in roles if mapping.get(role, role) in places
    }


def write_header(stream: IO[str], names: Sequence[str]) -> None:
    """Write the header of a table that parts cells by commas, whatever the names are."""
    unlike = any(delimiter in name for name in names for delimiter in DELIMITERS)
    csv.writer(
        stream,
        lineterminator="\n",
        quoting=csv.QUOTE_ALL if unlike else csv.QUOTE_MINIMAL,
    ).writerow(names)


def write_number(value: float) -> str:
    """The shortest text that reads back as the same float; empty for NaN."""
    return "" if value != value else repr(float(value))
