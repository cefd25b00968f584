# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The long table: a CSV with one row per range, the form of most recordings.

Header `t_s,anchor,range[,gt_x,gt_y,gt_z][,odom_x,...][,nlos,rx_power,first_path_power,variance]`;
truth may be called `x,y,z`. Rows of one stamp are an epoch. Where a stamp holds few of the anchors,
the ranges of one turn through them are, up to SWEEP_S long, and keep their stamps.
"""

from __future__ import annotations

import csv
import math
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros.datasets.cells import (
    GYRO,
    HIGHEST_OF_COLUMN,
    LOWEST_OF_COLUMN,
    MISSING,
    ODDS,
    ODOMETRY,
    TRUTH,
    TimeCells,
    check_count,
    check_width,
    find_columns,
    number,
    write_number,
)
from locdreamer_ros.datasets.clock import at_epochs
from locdreamer_ros.datasets.columns import (
    ANCHOR,
    MOST_NAMED,
    RANGE,
    RANGE_UNITS,
    ROLES,
    SIGNAL,
    TIME,
    VARIANCE,
    AnchorIds,
    check_groups,
    missing,
    note,
    note_unused,
    read_times,
    some,
    together,
    unknown_anchor,
    without_unit,
)
from locdreamer_ros.datasets.range_cells import RangeCells
from locdreamer_ros.datasets.truth import without_lost
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import write_atomically
from locdreamer_ros.recording import Recording
from locdreamer_ros.stamps import to_nanoseconds
from locdreamer_ros.types import Anchors, BoolArray, FloatArray, IntArray

SWEEP_S = 0.2
"""Ranges of one fix, each with its own stamp, span this much at most."""
SHARED_STAMPS = 0.1
"""Share of rows with the stamp of another, from which that is said."""
WHOLE_EPOCHS = 0.5
"""Share of the anchors that have one stamp on average, below which stamps are of ranges."""
TAG = ("tag", "tag_id")
SENDER = re.compile(
    r"(?:tag|mobile|device|source|src|from|node|sender|initiator|requester|robot|drone|uav|agent"
    r"|person|t(?=id))[ _]?(?:id|name|addr|address)?",
    re.IGNORECASE,
)
"""Other columns that may say whose ranges they are."""
NLOS = "nlos"
NOBODY = -1
"""In the place of an anchor's row: a row that holds the truth alone."""


def read_long(
    path: Path,
    anchors: Anchors,
    header: Sequence[str],
    rows: Iterator[tuple[int, list[str]]],
    mapping: Mapping[str, str],
    scales: Mapping[str, float],
) -> Recording:
    """The recording of a long table's rows. Raises InputError naming the file, row and column.

    scales: units (m) of places that are not in m.
    """
    found = find_columns(path, header, (*ROLES, *TAG), mapping)
    metres = next((role for role in RANGE_UNITS if role in found), RANGE)
    for role in (ANCHOR, metres):
        if role not in found:
            raise missing(path, header, role)
    check_groups(path, header, found)
    unused = [i for i in range(len(header)) if i not in found.values()]
    note_unused(path, [header[i] for i in unused])
    tagged = [found[tag] for tag in TAG if tag in found]
    senders = [i for i in unused if SENDER.fullmatch(header[i])]
    pairs: dict[tuple[int, int], str] = {}
    tags: dict[int, str] = {}
    names = [role for role in found if role not in (TIME, ANCHOR, *RANGE_UNITS, *TAG)]
    others = [(found[name], scales.get(name, 1.0), _reader(name)) for name in names]
    unit = min(RANGE_UNITS[metres], without_unit(header[found[metres]])[1])
    ids, cells, clock = AnchorIds(anchors), RangeCells(unit), TimeCells()
    numbers = array("d")
    for at, row in rows:
        where = f"{path}: row {at}"
        check_width(where, row, header)
        anchor = ids.row(row[found[ANCHOR]])
        if anchor is None and not row[found[ANCHOR]] and row[found[metres]].lower() in MISSING:
            anchor = NOBODY
        if anchor is None:
            column = f"row {at}, column {header[found[ANCHOR]]}"
            raise unknown_anchor(path, column, row[found[ANCHOR]], ids)
        for i in tagged:
            check_sender(f"{where}, column {header[i]}", tags.setdefault(i, row[i]), row[i])
        for i in senders:  # one value for each anchor: the anchor's, not the tag's
            before = pairs.setdefault((i, anchor), row[i])
            check_sender(f"{where}, column {header[i]}", before, row[i])
        numbers.append(clock.stamp(row[found[TIME]], f"{where}, column {header[found[TIME]]}"))
        numbers.append(anchor)
        numbers.append(cells.metres(row[found[metres]], f"{where}, column {header[found[metres]]}"))
        numbers.extend(
            scale * read(row[i], f"{where}, column {header[i]}") for i, scale, read in others
        )
        check_count(path, len(numbers))
    table = np.array(numbers).reshape(-1, 3 + len(names))
    if not len(table):
        raise InputError(f"{path}: no ranges below the header")
    table[:, 2] = cells.settled(table[:, 2])
    note(path, cells.note())
    if VARIANCE in names:
        table[:, 3 + names.index(VARIANCE)] *= unit**2
    times, order = read_times(
        path,
        table[:, 0],
        header[found[TIME]],
        whole=clock.whole,
        group=table[:, 1].astype(np.intp),
    )
    if order is not None:
        table = table[order]
    times, table = _with_truth(path, times, table, names)
    if not len(table):
        raise InputError(f"{path}: no ranges below the header")
    return recording_of_rows(path, anchors, times, table, names)


def check_sender(where: str, before: str, now: str) -> None:
    """Raises InputError for ranges of a second tag."""
    if now != before:
        raise InputError(
            f"{where}: expected ranges of one tag, got {before} and {now}; --columns tag={before} "
            "reads one of them"
        )


def of_tag(
    path: Path, header: Sequence[str], rows: Iterator[tuple[int, list[str]]], tag: str
) -> Iterator[tuple[int, list[str]]]:
    """The rows of one tag, by the columns that say whose they are. Raises InputError: it has none.

    Where these are empty a row is nobody's, as one of truth alone, and stays.
    """
    senders = [i for i, name in enumerate(header) if SENDER.fullmatch(name)]
    if not senders:
        raise InputError(
            f"{path}: row 1: no column says whose tag's a row is; it has {some(header)}"
        )
    others: dict[str, None] = {}
    heard = False
    for at, row in rows:
        said = [row[i] for i in senders if i < len(row) and row[i]]
        mine = tag in said
        heard |= mine
        if mine or not said:
            yield at, row
        elif len(others) < MOST_NAMED:
            others |= dict.fromkeys(said)
    if not heard:
        raise InputError(f"{path}: no row of tag {tag!r}; it has {', '.join(others) or 'none'}")


def _reader(name: str) -> Callable[[str, str], float]:
    """What reads the cells of the column `name`, and where they are; blocked links in words too."""
    least, most = LOWEST_OF_COLUMN.get(name, -math.inf), HIGHEST_OF_COLUMN.get(name, math.inf)

    def read(text: str, where: str) -> float:
        if name == NLOS and (odds := ODDS.get(text.lower())) is not None:
            return odds
        return number(text, where, missing=True, least=least, most=most)

    return read


def _with_truth(
    path: Path, times: FloatArray, table: FloatArray, names: Sequence[str]
) -> tuple[FloatArray, FloatArray]:
    """The rows of anchors, with the truth that rows without one hold between them."""
    aside = table[:, 1] == NOBODY
    if not aside.any():
        return times, table
    note(path, f"{int(aside.sum())} rows without an anchor: their truth is interpolated")
    stamps = [to_nanoseconds(time) for time in times.tolist()]
    wanted = [stamps[row] for row in np.flatnonzero(~aside)]
    kept = table[~aside]
    for column in (3 + names.index(name) for name in TRUTH if name in names):
        known = {stamps[row]: table[row, column] for row in np.flatnonzero(aside)}
        known = {at: value for at, value in sorted(known.items()) if np.isfinite(value)}
        if known:
            values = at_epochs([*known], np.array([*known.values()])[:, None], wanted)[:, 0]
            kept[:, column] = np.where(np.isnan(kept[:, column]), values, kept[:, column])
    return times[~aside], kept


def recording_of_rows(
    path: Path, anchors: Anchors, times: FloatArray, table: FloatArray, names: Sequence[str]
) -> Recording:
    """Rows at times (N,) s with columns stamp, anchor's row, range and `names` as epochs."""
    twice = _repeated(times, table)
    if twice.any():
        note(path, f"{int(twice.sum())} rows are there twice and count once")
        times, table = times[~twice], table[~twice]
    anchor = table[:, 1].astype(np.intp)
    heard = np.unique(anchor[np.isfinite(table[:, 2])])
    if 0 < heard.size < len(anchors):
        silent = [i for row, i in enumerate(anchors.ids) if row not in heard]
        note(path, f"no range of {some(silent)}: left out")
        kept = np.isin(anchor, heard)
        anchors = anchors.subset([anchors.ids[row] for row in heard])
        times, table, anchor = times[kept], table[kept], np.searchsorted(heard, anchor[kept])
    values = dict(zip(names, table[:, 3:].T, strict=True))
    if _is_anchors_place(anchor, together(values, TRUTH)):
        note(path, "x, y, z are the anchors' places, not the tag's: no ground truth")
        values = {name: value for name, value in values.items() if name not in TRUTH}
    ranged = np.isfinite(table[:, 2])
    seen = {*zip(times[ranged].tolist(), anchor[ranged].tolist(), strict=True)}
    again = int(ranged.sum()) - len(seen)
    say_shared(path, again, times.size, "another range of their anchor")
    epoch = _epochs(times, anchor)
    last = np.append(np.flatnonzero(np.diff(epoch)), epoch.size - 1)  # of each epoch, its last row
    shape = (last.size, len(anchors))

    def spread(column: FloatArray | None) -> FloatArray | None:
        if column is None:
            return None
        placed = np.full(shape, np.nan)
        placed[epoch, anchor] = column
        return placed

    stamps = spread(times)
    ranges = spread(table[:, 2])
    assert stamps is not None
    assert ranges is not None
    stamps = np.where(np.isnan(stamps), times[last][:, None], stamps)
    final = {name: value[last] for name, value in values.items()}
    of_range: dict[str, Any] = {name: spread(values.get(name)) for name in SIGNAL}
    return Recording(
        path.stem,
        anchors,
        times[last],
        ranges,
        without_lost(path, together(final, TRUTH)),
        None if (stamps == times[last][:, None]).all() else stamps,
        odometry=together(final, ODOMETRY),
        turn_rate=final.get(GYRO[0]),
        **of_range,
    )


def _epochs(times: FloatArray, anchor: IntArray) -> IntArray:
    """The epoch (N,) of each row: by equal stamps where those hold most anchors, else by turns."""
    together = times.size / (1 + int((np.diff(times) != 0.0).sum()))
    span = SWEEP_S if together < WHOLE_EPOCHS * np.unique(anchor).size else 0.0
    epoch = np.empty(times.size, dtype=np.intp)
    number, start, last = -1, np.inf, np.inf
    seen: set[int] = set()
    for row, (time, who) in enumerate(zip(times.tolist(), anchor.tolist(), strict=True)):
        if not (last <= time <= start + span) or who in seen:
            number, start = number + 1, time
            seen.clear()
        seen.add(who)
        epoch[row], last = number, time
    return epoch


def _repeated(times: FloatArray, table: FloatArray) -> BoolArray:
    """Which rows (N,) say again what another row of the same stamp said: anchor and range."""
    again = np.zeros(times.size, dtype=np.bool_)
    seen: set[tuple[float, float]] = set()
    last = np.nan
    for row, (time, who, metres) in enumerate(
        zip(times.tolist(), table[:, 1].tolist(), table[:, 2].tolist(), strict=True)
    ):
        if time != last:
            seen.clear()
        again[row] = (who, metres) in seen
        seen.add((who, metres))
        last = time
    return again


def say_shared(path: Path, count: int, of: int, whose: str) -> None:
    """Say where more than a few of the rows have a stamp that is another's."""
    if count > SHARED_STAMPS * of:
        note(
            path,
            f"{count} rows have the stamp of {whose}: two tags in one file, or a clock that counts "
            "whole seconds?",
        )


def _is_anchors_place(anchor: IntArray, place: FloatArray | None) -> bool:
    """Whether a place (N, 3) belongs to the anchor of its row: the same in all rows of one."""
    if place is None or not (whole := np.isfinite(place[:, :2]).all(axis=1)).any():
        return False
    who, where = anchor[whole], place[whole, :2]
    each = {row: where[who == row] for row in np.unique(who)}
    fixed = all(np.ptp(places, axis=0).max() == 0.0 for places in each.values())
    apart = {tuple(places[0]) for places in each.values()}
    return fixed and len(apart) > 1


def save_long_table(path: Path, recording: Recording) -> None:
    """Write a recording with a row per range, in the order of stamps: these are kept."""
    stamps = recording.times[:, None] if recording.stamps is None else recording.stamps
    stamps = np.broadcast_to(stamps, recording.ranges.shape)
    rate = recording.turn_rate
    of_epoch = [
        (TRUTH, recording.truth),
        (ODOMETRY, recording.odometry),
        (GYRO, None if rate is None else rate[:, None]),
    ]
    signal: Iterator[tuple[str, FloatArray | None]]
    signal = ((name, getattr(recording, name)) for name in SIGNAL)
    of_range = [(name, value) for name, value in signal if value is not None]
    names = [TIME, ANCHOR, RANGE]
    names += [name for group, values in of_epoch if values is not None for name in group]
    names += [name for name, _ in of_range]
    with write_atomically(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        for epoch, ranges in enumerate(recording.ranges):
            shared = [
                write_number(value)
                for _, values in of_epoch
                if values is not None
                for value in values[epoch]
            ]
            for row in np.argsort(stamps[epoch], kind="stable"):
                if np.isfinite(ranges[row]):
                    numbers = [write_number(value[epoch, row]) for _, value in of_range]
                    stamp, metres = stamps[epoch, row], ranges[row]
                    anchor = recording.anchors.ids[row]
                    writer.writerow(
                        [write_number(stamp), anchor, write_number(metres), *shared, *numbers]
                    )
