# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time differences in a rosbag2: one `RangeDifferenceArray` on `uwb/range_differences` a blink."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from locdreamer_ros.datasets.bag_tags import OneTag
from locdreamer_ros.datasets.cells import LeftOut
from locdreamer_ros.datasets.columns import note
from locdreamer_ros.datasets.range_cells import RangeCells
from locdreamer_ros.datasets.rosbag2 import Bag, message, read_messages
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.stamps import nanoseconds, to_seconds
from locdreamer_ros.types import Anchors, FloatArray

DIFFERENCES = ("/uwb/range_differences", "locdreamer_ros/msg/RangeDifferenceArray")


def difference_array(recording: Recording, epoch: int, header: Any, tag: str) -> Any:
    """An epoch as a message, against the first anchor that heard it; None: nobody did."""
    ids, values = recording.anchors.ids, recording.ranges[epoch]
    heard = np.flatnonzero(np.isfinite(values)).tolist()
    if not heard:
        return None
    variance = recording.variance
    found = [
        message(
            "locdreamer_ros/msg/RangeDifference",
            anchor=ids[row],
            difference=float(values[row] - values[heard[0]]),
            variance=math.nan if variance is None else float(variance[epoch, row]),
        )
        for row in heard[1:]
    ]
    return message(
        DIFFERENCES[1], header=header, tag=tag, reference=ids[heard[0]], differences=found
    )


def read_differences(
    bag: Bag, topic: str, anchors: Anchors, picked: bool, tag: OneTag
) -> Recording:
    """Blinks as a recording; picked: of other anchors than `anchors` there may be some too.

    Raises InputError naming the message: two tags; where most are so, an unknown or repeated
    anchor, no number.
    """
    row_of = {anchor: row for row, anchor in enumerate(anchors.ids)}
    cells = RangeCells(signed=True)
    times: list[float] = []
    values, variances = [], []
    number, left_out = 0, LeftOut()
    for number, body in enumerate(read_messages(bag.path, topic, DIFFERENCES[1]), start=1):
        where = f"{bag.path}: {topic}: message {number}"
        if not tag.takes(body.tag, where):
            continue
        try:
            value, variance = _blink(body, row_of, where, cells, None if picked else left_out)
        except InputError as reason:
            left_out.add(reason)
            continue
        times.append(to_seconds(nanoseconds(body.header.stamp)))
        values.append(value)
        variances.append(variance)
    for said in left_out.notes(number, anchors.ids):
        note(bag.path, said)
    if not times:
        raise InputError(f"{bag.path}: no message on {topic}{tag.missing()}")
    differences = cells.settled(np.array(values))
    note(bag.path, cells.note())
    stated = np.array(variances)
    return Recording(
        bag.path.stem,
        anchors,
        np.array(times),
        differences,
        variance=None if np.isnan(stated).all() else stated,
        differences=True,
    )


def _blink(
    body: Any, row_of: dict[str, int], where: str, cells: RangeCells, left_out: LeftOut | None
) -> tuple[FloatArray, FloatArray]:
    """Differences (A,) m, the reference's 0, and their variances; NaN: not there.

    left_out: counts other anchors than those of the site; None: they are meant to be left out.
    """
    value, variance = np.full((2, len(row_of)), np.nan)
    entries = [(body.reference, 0.0, math.nan)]
    entries += [(entry.anchor, entry.difference, entry.variance) for entry in body.differences]
    if len({anchor for anchor, *_ in entries}) < len(entries):
        raise InputError(f"{where}: an anchor is there twice; the reference has no difference")
    for anchor, metres, noise in entries:
        row = row_of.get(anchor)
        if row is not None:
            value[row] = cells.metres(metres, f"{where}: anchor {anchor}")
            variance[row] = noise
    others = [anchor for anchor, *_ in entries if anchor not in row_of]
    if left_out is not None and others:
        left_out.strangers(others, row_of, where, useless=body.reference not in row_of)
    return value, variance
