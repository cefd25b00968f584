# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cells of a table as people write them: numbers, times, ranges, and names of columns."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO

import numpy as np

from locdreamer_ros.datasets.rows import DELIMITERS
from locdreamer_ros.errors import InputError
from locdreamer_ros.types import LONGEST_ID
from locdreamer_ros.units import FARTHEST_M

MISSING = (
    *("", "nan", "-nan", "na", "n/a", "n.a.", "<na>", "nat"),
    *("null", "(null)", "\\n", "none", "nil"),
    *("missing", "undefined", "-", "--", "?", ".", "*", "[]"),
    *("#n/a", "#value!", "#num!", "#ref!", "#div/0!"),  # of spreadsheets
    *("1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind", "nan(ind)", "-nan(ind)"),  # of Windows
)
"""Words for a cell without a value, in lower case."""
DATE = re.compile(
    r"(\d{4})([-/])(\d\d?)\2(\d\d?)[Tt ]+(\d\d?):(\d\d):(\d\d)([.,]\d+)?"
    r"(?: ?(?:[Zz]|UTC|([+-]\d\d)(?::?(\d\d))?))?"
)
"""ISO 8601, to any fraction of a second, with a zone or not, also without leading zeros."""
OF_DAY = re.compile(r"(\d\d?):(\d\d):(\d\d)([.,]\d+)?")
DAY_S = 86400.0
MAX_CELLS = 200_000_000
"""Numbers of one table: 1.6 GB of them, 80 hours of 8 anchors at 10 Hz ten times over."""
TRUTH = ("gt_x", "gt_y", "gt_z")
ODOMETRY = ("odom_x", "odom_y", "odom_yaw")
GYRO = ("gyro_z",)
HIGHEST_OF_COLUMN = {**dict.fromkeys((*TRUTH, *ODOMETRY), FARTHEST_M), "nlos": 1.0}
"""What a cell of these columns may hold, either way."""
LOWEST_OF_COLUMN = {"nlos": 0.0}
"""And where it may not be as far below 0."""
ODDS = {"true": 1.0, "false": 0.0, "nlos": 1.0, "los": 0.0, "yes": 1.0, "no": 0.0}
"""Words in the column `nlos`."""


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
    value = plain_float(text, where)
    if not np.isfinite(value):
        raise InputError(f"{where}: expected a finite number, got {short(text)}")
    if abs(value) > most:
        raise InputError(f"{where}: expected a number within {most:g}, got {short(text)}")
    if value < least:
        raise InputError(f"{where}: expected a number from {least:g}, got {short(text)}")
    return value


def plain_float(text: str, where: str) -> float:
    """What a cell says, NaN and infinity too. Raises InputError where it is no number.

    Python takes 2_5 for 25.
    """
    try:
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise InputError(f"{where}: expected a number, got {short(text)}")


def short(text: str) -> str:
    """A cell as a complaint shows it."""
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


class TimeCells:
    """Reads cells with times: numbers, dates, or times of day, one of these for all.

    whole: all were whole numbers. A time of day half a day before the last one is of the next day.
    """

    def __init__(self) -> None:
        self.whole = True
        self._kind = ""
        self._last: float | None = None
        self._midnight = 0.0

    def stamp(self, text: str, where: str) -> float:
        """A finite number in the file's unit; a date in s since 1970. Raises InputError."""
        if not self._kind:
            kinds = (kind for kind, read in TIMES.items() if read(text) is not None)
            self._kind = next(kinds, NUMBER)
        if self._kind == NUMBER:
            return self._number(text, where)
        self.whole = False
        seconds = TIMES[self._kind](text)
        if seconds is None:
            raise InputError(
                f"{where}: expected a {self._kind} as in the rows above, got {short(text)}"
            )
        if self._kind == TIME_OF_DAY:
            last = seconds if self._last is None else self._last
            if abs(seconds - last) > DAY_S / 2:
                self._midnight += DAY_S if seconds < last else -DAY_S
            self._last = seconds
        return seconds + self._midnight

    def _number(self, text: str, where: str) -> float:
        try:
            value = number(text, where)
        except InputError as reason:
            if ":" not in text:
                raise
            raise InputError(f"{reason}, or a date like 2026-11-28 10:00:00.5") from None
        self.whole &= "." not in text and "e" not in text.lower()
        return value


def _seconds_of(text: str) -> float | None:
    """Seconds since 1970 of a date, in UTC where it names no zone; None: it is none."""
    found = DATE.fullmatch(text) if text[4:5] in ("-", "/") else None
    if found is None:
        return None
    year, _, *parts, fraction, hours, minutes = found.groups()
    month, day, hour, minute, second = (part.zfill(2) for part in parts)
    text = f"{year}-{month}-{day} {hour}:{minute}:{second}{hours or '+00'}:{minutes or '00'}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:  # there is no such day
        return None
    return moment.timestamp() + float("0" + (fraction or ".0").replace(",", "."))


def _of_day(text: str) -> float | None:
    """Seconds since midnight of a time of day; None: it is none."""
    found = OF_DAY.fullmatch(text)
    if found is None or int(found[2]) > 59 or int(found[3]) > 59:
        return None
    fraction = float("0" + (found[4] or ".0").replace(",", "."))
    return 3600.0 * int(found[1]) + 60.0 * int(found[2]) + int(found[3]) + fraction


NUMBER, DATE_OF, TIME_OF_DAY = "number", "date", "time of day"
TIMES: dict[str, Callable[[str], float | None]] = {DATE_OF: _seconds_of, TIME_OF_DAY: _of_day}
"""What a column of times may hold that is no number, and how it is read."""


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

    def strangers(
        self, anchors: Sequence[str], site: Collection[str], where: str, *, useless: bool
    ) -> None:
        """Count anchors that the site has not. Raises InputError where this makes it `useless`."""
        if useless:
            raise InputError(
                f"{where}: unknown anchor {anchors[0]!r}; the bag has {', '.join(site)}"
            )
        self.strange.update(anchors)

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
    there, times = {*header}, Counter(plain)
    return [
        own if own not in there and times[own] == 1 else name
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
