# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ranges of other people's message types in a rosbag2, by a mapping of topics and fields.

`ranges=/toa,anchor=anchorId,range_mm=range`: a topic, and the fields of its messages, with dots
where they lie deeper; a field of an array stands for all its elements. Or a topic per anchor:
`r_A1=/uwb/a1,r_A2=/uwb/a2`. Without `anchor` the id is the header's frame, without `range` the
field `range`, as in sensor_msgs/Range; without `time` the header's stamp, else when it came.
`variance`: the field with what the sender states of a range, in the unit of the range, squared.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from math import nan
from typing import Any

import numpy as np

from locdreamer_ros.datasets.cells import check_count
from locdreamer_ros.datasets.clock import row_order
from locdreamer_ros.datasets.columns import (
    ANCHOR,
    RANGE_UNITS,
    SIZE_OF_SITE,
    TIME,
    VARIANCE,
    AnchorIds,
    note,
)
from locdreamer_ros.datasets.long_table import SENDER, check_sender, recording_of_rows
from locdreamer_ros.datasets.mcap import Channel
from locdreamer_ros.datasets.range_cells import RangeCells
from locdreamer_ros.datasets.rosbag2 import Bag, decoded
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.stamps import nanoseconds, to_seconds
from locdreamer_ros.types import Anchors

PLACES = (
    "pose.position",
    "pose.pose.position",
    "transform.translation",
    "point",
    "position",
    "",
)
"""Where messages keep a place: PoseStamped, Odometry, TransformStamped, PointStamped, Point."""


def read_ranges(bag: Bag, mapping: Mapping[str, str], anchors: Anchors) -> Recording:
    """A recording of the ranges that the mapping names. Raises InputError naming what is not there.

    Rows of one stamp are an epoch, or one turn through the anchors: see `long_table`.
    """
    ids = AnchorIds(anchors)
    metres = next((role for role in RANGE_UNITS if role in mapping), "range")
    cells = RangeCells(RANGE_UNITS[metres])
    rows = array("d")
    tags: dict[tuple[str, str], str] = {}
    tag = mapping.get("tag")
    for role, topic in mapping.items():
        if role != "ranges" and not role.startswith("r_"):
            continue
        alone = role[2:] if role.startswith("r_") else None
        channel = topic_named(bag, topic)
        for number, (received, body) in enumerate(decoded(bag, channel), start=1):
            where = f"{bag.path}: {topic}: message {number}"
            time = stamp_of(body, received, mapping.get(TIME), where)
            ranges = fields(body, mapping.get(metres, "range"), where)
            if alone is not None:
                heard = [alone]
            else:
                heard = fields(body, mapping.get(ANCHOR, "header.frame_id"), where)
            stated: list[Any] = [nan] * len(ranges)
            if VARIANCE in mapping:
                stated = fields(body, mapping[VARIANCE], where)
            for what, there in (("anchors", heard), ("variances", stated)):
                if len(there) != len(ranges):
                    raise InputError(f"{where}: {len(there)} {what} but {len(ranges)} ranges")
            senders = [name for name in vars(body) if SENDER.fullmatch(name)]
            if tag is not None and not senders:
                raise InputError(f"{where}: no field says whose tag's it is; it has {_names(body)}")
            if tag is not None and tag not in (str(getattr(body, name)) for name in senders):
                continue
            for anchor, value, variance in zip(heard, ranges, stated, strict=True):
                row = ids.row(str(anchor))
                for name in senders:  # one value for each anchor: the anchor's, not the tag's
                    now = str(getattr(body, name))
                    before = tags.setdefault((name, str(anchor)), now)
                    check_sender(f"{where}, field {name}", before, now)
                if row is not None:
                    at = f"{where}: anchor {anchor}"
                    rows.extend((time, row, cells.metres(_number(value, at), at)))
                    rows.append(_number(variance, at) * RANGE_UNITS[metres] ** 2)
            check_count(bag.path, len(rows))
    table = np.array(rows).reshape(-1, 4)
    if not len(table):
        raise InputError(
            f"{bag.path}: no ranges of the anchors {', '.join(anchors.ids)} by this mapping"
        )
    table[:, 2] = cells.settled(table[:, 2])
    note(bag.path, cells.note())
    order, why = row_order(
        table[:, 0], None if "ranges" in mapping else table[:, 1].astype(np.intp)
    )
    note(bag.path, why)
    table = table if order is None else table[order]
    names = (VARIANCE,) if VARIANCE in mapping else ()
    return recording_of_rows(bag.path, anchors, table[:, 0], table[:, : 3 + len(names)], names)


def ids_heard(bag: Bag, mapping: Mapping[str, str]) -> tuple[str, ...]:
    """Ids of the anchors whose ranges the mapping names. Raises InputError."""
    ids = dict.fromkeys(role[2:] for role in mapping if role.startswith("r_"))
    if "ranges" in mapping:
        topic = mapping["ranges"]
        for number, (_, body) in enumerate(decoded(bag, topic_named(bag, topic)), start=1):
            where = f"{bag.path}: {topic}: message {number}"
            heard = fields(body, mapping.get(ANCHOR, "header.frame_id"), where)
            ids |= dict.fromkeys(map(str, heard))
            if len(ids) > SIZE_OF_SITE:
                raise InputError(f"{where}: more than {SIZE_OF_SITE} anchors")
    return tuple(ids)


def read_places(bag: Bag, topic: str) -> Iterator[tuple[int, tuple[float, float, float]]]:
    """Stamps ns and places m of a topic of any type that has one. Raises InputError."""
    for number, (received, body) in enumerate(decoded(bag, topic_named(bag, topic)), start=1):
        where = f"{bag.path}: {topic}: message {number}"
        for path in PLACES:
            try:
                (place,) = fields(body, path, where) if path else [body]
                x, y, z = (float(getattr(place, axis)) for axis in "xyz")
            except (InputError, AttributeError, TypeError, ValueError):
                continue
            yield round(stamp_of(body, received, None, where) * 1e9), (x, y, z)
            break
        else:
            raise InputError(f"{where}: no position in it; it has {_names(body)}")


def topic_named(bag: Bag, topic: str) -> Channel:
    """The channel of a topic by its full name. Raises InputError listing what there is."""
    found = next((c for c in bag.channels if c.topic.lstrip("/") == topic.lstrip("/")), None)
    if found is None:
        raise InputError(f"{bag.path}: no topic {topic}; it holds {bag.described()}")
    return found


def fields(body: Any, path: str, where: str) -> list[Any]:
    """The values of a field, a.b.c: of all elements where an array is on the way."""
    found = [body]
    for part in path.split("."):
        deeper = []
        for each in found:
            if not hasattr(each, part):
                raise InputError(f"{where}: no field {part!r}; it has {_names(each)}")
            value = getattr(each, part)
            deeper += list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]
        found = deeper
    return found


def stamp_of(body: Any, received: int, path: str | None, where: str) -> float:
    """The time s of a message: of the field `path`, else its header's, else when it came.

    A header's stamp of 0 says nothing.
    """
    if path is None:
        header = getattr(body, "header", None)
        said = 0 if header is None else nanoseconds(header.stamp)
        return to_seconds(said or received)
    (value,) = fields(body, path, where)
    if hasattr(value, "nanosec"):
        return to_seconds(nanoseconds(value))
    return _number(value, f"{where}: {path}")


def _number(value: Any, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InputError(f"{where}: expected a number, got {type(value).__name__}") from None


def _names(body: Any) -> str:
    return ", ".join(name for name in vars(body) if not name.startswith("_")) or "none"
