# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the columns of a table mean, wide or long: names, anchors' ids, times, groups of three."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from locdreamer_ros.datasets.cells import GYRO, ODOMETRY, TRUTH, find_columns, plain_header
from locdreamer_ros.datasets.clock import (
    NAMES,
    PER_SECOND,
    counted_on,
    row_order,
    unit_of,
    without_overflow,
)
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import LATEST_S
from locdreamer_ros.scales import TICK_M
from locdreamer_ros.stamps import to_nanoseconds, to_seconds
from locdreamer_ros.types import LONGEST_ID, Anchors, FloatArray, IntArray

log = logging.getLogger(__name__)

TIME, ANCHOR, RANGE = "t_s", "anchor", "range"
HEIGHT = ("height", "h", "elevation")
"""What others call the z of an anchor."""
SIZE_OF_SITE = 10_000
"""Anchors of one file, at most."""
ANCHOR_ID = ("id", "anchor", "name")
"""What the first column of an anchors file may be called."""
LONGEST_NAME = 2 * LONGEST_ID
"""Of a column in which an id and a unit are looked for."""
MOST_NAMED = 12
"""Columns that a complaint lists."""
UNITS_M = {
    **{"m": 1.0, "cm": 1e-2, "mm": 1e-3, "ft": 0.3048, "feet": 0.3048, "ticks": TICK_M},
    **dict.fromkeys(("in", "inch", "inches"), 0.0254),
}
RANGE_UNITS = {
    RANGE: 1.0,
    **{f"range_{unit}": UNITS_M[unit] for unit in ("mm", "cm", "ft", "in", "ticks")},
}
"""What a column of ranges may be called, and its unit in m."""
UNIT_OF_NAME = re.compile(
    r"(.+?)[\s_]*[\s_(\[](mm|cm|m|ft|feet|inch|inches|in|ticks)[)\]]?", re.IGNORECASE
)
"""A wide column of ranges with its unit: `r_A1_mm`, `A1 (cm)`."""
OTHERS_SAY = {
    TIME: re.compile(
        r"%?(?:t|time|timestamp|stamp)"
        r"(?:[ _]*[(\[]?"
        r"(?:s|secs?|seconds|ms|msecs?|us|usecs?|ns|nsecs?|mins?|minutes|ticks)[)\]]?)?",
        re.IGNORECASE,
    ),
    ANCHOR: re.compile(r"anchor[_ ]?(?:id|name)", re.IGNORECASE),
    RANGE: re.compile(r"range|dist|distance", re.IGNORECASE),
}
"""What other people call a column, a range without its unit."""
SECONDS = re.compile(r"(.*?)secs?")
WHOLE_ID = re.compile(r"0*(\d+)(?:\.0*)?")
LABELLED = re.compile(r"(?:0x|dw|id|anchor|anc|a(?=\d+$))(.+)")
VARIANCE = "variance"
SIGNAL = ("nlos", "rx_power", "first_path_power", VARIANCE)
ROLES = (TIME, ANCHOR, *RANGE_UNITS, *TRUTH, *ODOMETRY, *GYRO, *SIGNAL)


def roles_of(columns: Mapping[str, str] | None) -> dict[str, str]:
    """A user's mapping with `time` as `t_s`. Raises InputError for what is no role."""
    mapping = {TIME if role == "time" else role: name for role, name in (columns or {}).items()}
    for role in mapping:
        if role not in (*ROLES, "tag") and not role.startswith("r_"):
            known = ", ".join(("time", *ROLES[1:], "tag"))
            raise InputError(f"columns: unknown {role!r}; expected one of {known}, r_<id>")
    return mapping


def with_usual(path: Path, header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """The mapping with what others call a column (see `usual`); what was found so is said."""
    found = usual(header, mapping)
    for role, name in found.items():
        note(path, f"column {name} is taken for the {'time' if role == TIME else role}")
    return {**mapping, **found}


def usual(header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """What others call a column, where mapping and header leave no doubt.

    Anchor and range only together: a long table has both.
    """
    found: dict[str, str] = {}
    for role, said in OTHERS_SAY.items():
        ours = {*RANGE_UNITS} if role == RANGE else {role}
        bare = [without_unit(name)[0] if role == RANGE else name for name in header]
        there = [name for name, stem in zip(header, bare, strict=True) if said.fullmatch(stem)]
        if not ours & {*header, *mapping} and len(there) == 1:
            found[role] = there[0]
    known = {*header, *mapping, *found}
    if not (ANCHOR in known and {*RANGE_UNITS} & known):
        found = {role: name for role, name in found.items() if role == TIME}
    return found


def joined_stamps(
    path: Path,
    header: list[str],
    rows: Iterator[tuple[int, list[str]]],
    mapping: dict[str, str],
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Header and rows with `sec` and `nanosec` of a ROS stamp as one column `t_s`, where there are.

    Where the mapping names another time, or the header has one, everything stays.
    """
    name = mapping.get(TIME)
    places = {said.lower(): i for i, said in enumerate(header)}
    pairs = [
        (i, places[stem[1] + rest])
        for said, i in places.items()
        if (stem := SECONDS.fullmatch(said)) is not None
        for rest in ("nsec", "nsecs", "nanosec", "nanosecs")
        if stem[1] + rest in places
    ]
    if name is not None:
        pairs = [pair for pair in pairs if header[pair[0]] == name]
    if len(pairs) != 1 or (name is None and TIME in header):
        return header, rows
    whole, rest = pairs[0]
    note(path, f"columns {header[whole]} and {header[rest]} are taken for the time")
    mapping.pop(TIME, None)

    def joined() -> Iterator[tuple[int, list[str]]]:
        for at, row in rows:
            if len(row) == len(header):
                row[whole] = f"{row[whole]}.{row[rest]:>09}"
            yield at, [cell for i, cell in enumerate(row) if i != rest]

    plain = [TIME if i == whole else name for i, name in enumerate(header) if i != rest]
    return plain, joined()


class AnchorIds:
    """Finds an anchor's row by its id as another file writes it: `1`, `1.0` and `01` are the same.

    So are `6E01`, `0x6e01` and `DW6E01`, `1`, `A1` and `Anchor 1`. Only where that leaves no doubt:
    an id that is there as written always comes first.
    """

    def __init__(self, anchors: Anchors) -> None:
        self.anchors = anchors
        self._rows = [_alone([form(anchor) for anchor in anchors.ids]) for form in FORMS]

    def row(self, text: str) -> int | None:
        """The row, None: no such anchor."""
        for form, rows in zip(FORMS, self._rows, strict=True):
            if (found := rows.get(form(text))) is not None:
                return found
        return None


def without_unit(name: str) -> tuple[str, float]:
    """A wide column's name without `_mm`, `_cm` or `_m`, and its unit in m."""
    match = UNIT_OF_NAME.fullmatch(name) if len(name) <= LONGEST_NAME else None
    return (name, 1.0) if match is None else (match[1], UNITS_M[match[2].lower()])


def plain_lengths(
    path: Path, header: Sequence[str], names: Sequence[str] = ("x", "y", "z")
) -> tuple[list[str], float]:
    """The header with names of lengths as we write them, and their unit in m: `X`, `x_mm`, `x [m]`.

    Raises InputError for two units.
    """
    stems = [without_unit(name) for name in header]
    lengths = [stem.lower() in names for stem, _ in stems]
    units = {stems[i][1] for i, length in enumerate(lengths) if length}
    if len(units) > 1:
        raise InputError(f"{path}: row 1: expected {', '.join(names)} in one unit")
    plain = [stems[i][0].lower() if length else header[i] for i, length in enumerate(lengths)]
    return plain, next(iter(units), 1.0)


def anchors_header(path: Path, header: Sequence[str]) -> tuple[list[str], dict[str, int], float]:
    """The header of an anchors file, the columns of `id`, `x`, `y`, `z` that it has, their unit.

    Raises InputError where there is no id, or no place.
    """
    plain, unit = plain_lengths(path, _with_heights(plain_header(header, ANCHOR_ID)))
    said = [name for name in plain if OTHERS_SAY[ANCHOR].fullmatch(name)]
    name = next((name for name in (*ANCHOR_ID, *said) if name in plain), None)
    found = {} if name is None else find_columns(path, plain, (name, "x", "y", "z"), {})
    if name is None or len(found) < 2:
        raise InputError(f"{path}: row 1: expected the header id,x,y,z; it has {some(header)}")
    found["id"] = found.pop(name)
    return plain, found, unit


def _with_heights(header: Sequence[str]) -> list[str]:
    """The header with `z` for `height` and the like, where there is no z and one of these."""
    stems = [without_unit(name)[0].lower() for name in header]
    high = [i for i, stem in enumerate(stems) if stem in HEIGHT]
    plain = list(header)
    if "z" not in stems and len(high) == 1:
        plain[high[0]] = "z" + header[high[0]][len(stems[high[0]]) :]
    return plain


def _alone(keys: Sequence[str]) -> dict[str, int]:
    """The row of each key that is there once."""
    times = Counter(keys)
    return {key: row for row, key in enumerate(keys) if times[key] == 1}


def _plain(anchor: str) -> str:
    text = "".join(re.split(r"[\s_:-]+", anchor.lower()))
    number = WHOLE_ID.fullmatch(text)
    return number[1] if number else text


def _bare(anchor: str) -> str:
    """Without what modules and people write before it."""
    text = _plain(anchor)
    found = LABELLED.fullmatch(text)
    return _plain(found[1]) if found else text


FORMS: tuple[Callable[[str], str], ...] = (str, _plain, _bare)
"""An id as written, and what is the same in other people's files; the first that fits counts."""


def unknown_anchor(path: Path, where: str, anchor: str, ids: AnchorIds) -> InputError:
    """The complaint about an id that the anchors file does not have."""
    return InputError(
        f"{path}: {where}: no anchor {anchor!r} in the anchors file; it has {some(ids.anchors.ids)}"
    )


def some(names: Sequence[str]) -> str:
    """The first names of a list, with dots where there are more."""
    return ", ".join([*names[:MOST_NAMED], *(["..."] if len(names) > MOST_NAMED else [])])


def missing(path: Path, header: Sequence[str], role: str) -> InputError:
    """The complaint about a column that is not there."""
    there = some([*filter(None, header)])
    name = "time" if role == TIME else role
    return InputError(
        f"{path}: row 1: missing column {role}; it has {there}; --columns {name}=NAME says which"
    )


def check_groups(path: Path, header: Sequence[str], found: Mapping[str, int]) -> None:
    """Raises InputError where a time, or a part of a place or pose is missing."""
    if TIME not in found:
        raise missing(path, header, TIME)
    for what, names, needed in (
        ("ground truth", TRUTH, TRUTH[:2]),
        ("odometry", ODOMETRY, ODOMETRY),
    ):
        some = {*names} & {*found}
        if some and not {*needed} <= some:
            raise InputError(f"{path}: row 1: {what} needs all of {', '.join(needed)}")


def together(values: Mapping[str, FloatArray], names: Sequence[str]) -> FloatArray | None:
    """Columns (T, len(names)) of one quantity, NaN where one is not there; None: none is."""
    if names[0] not in values:
        return None
    unknown = np.full_like(values[names[0]], np.nan)
    return np.column_stack([values.get(name, unknown) for name in names])


def read_times(
    path: Path,
    stamps: FloatArray,
    column: str,
    *,
    whole: bool,
    group: IntArray | None = None,
) -> tuple[FloatArray, IntArray | None]:
    """Times (N,) s of rows in the order that comes with them, None: the file's. Says what it did.

    To the nanosecond, as a ROS stamp: so that replayed epochs are found by their stamp. whole,
    group: see `clock.unit_of` and `clock.row_order`.
    """
    counted, stamps = stamps, without_overflow(stamps)
    if counted is not stamps:
        note(path, f"column {column} is of a counter that ran over: it is counted on")
    unit = unit_of(stamps, column, whole)
    if unit != "s":
        note(path, f"column {column} is in {NAMES[unit]}")
    if unit == "ticks":
        stamps = counted_on(stamps)
    seconds = stamps / PER_SECOND[unit]
    late = np.abs(seconds) > LATEST_S
    if late.any():
        raise InputError(f"{path}: column {column}: no time in seconds: {seconds[late][0]:g}")
    times = np.array([to_seconds(to_nanoseconds(second)) for second in seconds.tolist()])
    order, why = row_order(times, group)
    note(path, why)
    return (times, None) if order is None else (times[order], order)


def note(path: Path, what: str) -> None:
    """Say what was read otherwise than written; empty: nothing."""
    if what:
        log.warning("%s: %s", path, what)


def note_unused(path: Path, names: Sequence[str]) -> None:
    """Say which columns mean nothing here."""
    note(path, f"columns not used: {some(names)}" if any(names) else "")
