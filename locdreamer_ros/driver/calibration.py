# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Antenna delay and per-anchor offsets from ranges at known places.

An uncalibrated DW1000 is off by up to 30 cm (3 sigma, APS014): the tag's and the anchor's antenna
delays add up in each range. Only their sum shows, so an offset per anchor takes both out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import open_text, write_atomically
from locdreamer_ros.recording import Recording
from locdreamer_ros.scales import TICK_M
from locdreamer_ros.types import Anchors, FloatArray, IntArray

MIN_RANGES = 20
MAX_OFFSET_M = 10.0
"""An antenna delay is a metre or two at most; more is a wrong place, unit or id."""
SCATTER_M = 0.3
"""Of ranges in line of sight about their offset it is a tenth of a metre at most."""
APART_M = 0.6
"""Twice what uncalibrated modules differ by (3 sigma, APS014)."""
MOVED_M = 0.5


@dataclass(frozen=True, eq=False)
class Calibration:
    """Offsets (A,) m to take off each range, their standard errors (A,) m, ranges used (A,).

    NaN where an anchor has fewer than `MIN_RANGES` ranges. `common` m: the mean, which is what the
    tag's antenna delay contributes if the anchors' own average out. `doubts`: why the offsets may
    be none, a sentence each.
    """

    anchors: Anchors
    offset: FloatArray
    error: FloatArray
    count: IntArray
    doubts: tuple[str, ...] = ()

    @property
    def common(self) -> float:
        """Mean offset of the anchors that have one, m."""
        return float(np.nanmean(self.offset))

    @property
    def antenna_delay(self) -> int:
        """DW1000 ticks to add to the tag's antenna delay (TX and RX together) to remove `common`.

        The range counts a device's delays half for each of the two messages it times.
        """
        return round(2.0 * self.common / TICK_M)


def calibrate(recording: Recording) -> Calibration:
    """The offsets of a recording with ground truth.

    Reflections only lengthen ranges. That moves their mean, and their median where many are
    blocked, but not the place where errors are densest, which is where `centre` begins.
    Raises InputError: no truth, too few ranges, or an offset that no antenna has.
    """
    if recording.truth is None:
        raise InputError(
            f"{recording.where}: calibration needs the tag's true places (columns gt_x, gt_y, gt_z)"
        )
    if np.isnan(recording.truth).any(axis=1).all():
        raise InputError(
            f"{recording.where}: calibration needs the tag's true places in three dimensions: its "
            "height counts in every range (column gt_z)"
        )
    places = recording.anchors.positions
    distance = np.linalg.norm(recording.truth[:, None, :] - places, axis=-1)  # (T, A)
    error = recording.ranges - distance
    n = len(recording.anchors)
    offset, spread, sigma = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    count = np.zeros(n, dtype=np.intp)
    for row in range(n):
        mine = np.sort(error[np.isfinite(error[:, row]), row])
        count[row] = mine.size
        if mine.size < MIN_RANGES:
            continue
        offset[row], spread[row], sigma[row] = centre(mine)
        if abs(offset[row]) > MAX_OFFSET_M:
            raise InputError(
                f"{recording.where}: anchor {recording.anchors.ids[row]!r} is off by "
                f"{offset[row]:.1f} m: wrong place, wrong id or wrong unit, not an antenna delay"
            )
    if not np.isfinite(offset).any():
        raise InputError(
            f"{recording.where}: no anchor has {MIN_RANGES} ranges at known places; "
            f"the most is {count.max()}"
        )
    doubts = _doubts(recording.anchors.ids, offset, sigma, recording.truth)
    return Calibration(recording.anchors, offset, spread, count, tuple(doubts))


def _doubts(
    ids: Sequence[str], offset: FloatArray, sigma: FloatArray, truth: FloatArray
) -> Iterator[str]:
    """What else than antenna delays the offsets may come from."""
    for anchor, scatter in zip(ids, sigma, strict=True):
        if scatter > SCATTER_M:
            yield (
                f"the ranges of anchor {anchor} scatter by {scatter:.1f} m: is it swapped with "
                "another, elsewhere than its file says, or behind walls?"
            )
    others = float(np.nanmedian(offset))
    for anchor, mine in zip(ids, offset, strict=True):
        if abs(mine - others) > APART_M:
            yield (
                f"anchor {anchor} is off by {mine:.1f} m, the others by {others:.1f} m: modules "
                "differ by some 0.3 m; is it where its file says, and in sight?"
            )
    known = truth[np.isfinite(truth).all(axis=1)]
    if np.linalg.norm(np.ptp(known, axis=0)) < MOVED_M:
        yield (
            "all ranges are from one place: there a wrong place of an anchor, or a reflection, "
            "looks like an offset; record at a dozen"
        )


def centre(values: FloatArray) -> tuple[float, float, float]:
    """Centre of sorted values (N,) with a tail to the right only, its standard error, and sigma.

    From the mode, the mean of what lies within two sigmas; sigma is that of the clean left side.
    """
    middle = half_sample_mode(values)
    for _ in range(20):
        below = middle - values[values <= middle]
        sigma = max(1.4826 * float(np.median(below)) if below.size else 0.0, 1e-3)
        near = values[np.abs(values - middle) <= 2.0 * sigma]
        if not near.size:
            break
        middle = float(near.mean())
    return middle, sigma / float(np.sqrt(max(near.size, 1))), sigma


def half_sample_mode(values: FloatArray) -> float:
    """The mode of sorted values (N,) by halving to the densest half again and again."""
    while values.size > 3:
        half = (values.size + 1) // 2
        width = values[half - 1 :] - values[: values.size - half + 1]
        best = np.flatnonzero(width == width.min())
        values = values[best[best.size // 2] :][:half]
    return float(values.mean())


def offsets_path(anchors_file: Path) -> Path:
    """Where the offsets of an anchors file are kept: `site.csv` -> `site_offsets.csv`."""
    return anchors_file.with_name(f"{anchors_file.stem}_offsets.csv")


def save_offsets(path: Path, calibration: Calibration) -> None:
    """Write `id,offset` in metres; anchors without enough ranges are left out."""
    with write_atomically(path) as stream:
        stream.write("id,offset\n")
        for anchor, offset in zip(calibration.anchors.ids, calibration.offset, strict=True):
            if np.isfinite(offset):
                stream.write(f"{anchor},{offset:.4f}\n")


def load_offsets(path: Path, anchors: Anchors) -> dict[str, float]:
    """Offsets m by anchor id. Raises InputError naming the file and row."""
    with open_text(path) as stream:
        rows = [row for row in csv.reader(stream) if any(cell.strip() for cell in row)]
    if not rows or [cell.strip() for cell in rows[0]] != ["id", "offset"]:
        raise InputError(f"{path}: row 1: expected the header id,offset")
    offsets: dict[str, float] = {}
    for number, row in enumerate(rows[1:], start=2):
        where = f"{path}: row {number}"
        if len(row) != 2:
            raise InputError(f"{where}: expected id,offset, got {len(row)} columns")
        anchor, text = row[0].strip(), row[1].strip()
        if anchor not in anchors.ids:
            raise InputError(
                f"{where}: no anchor {anchor!r} in the anchors file; "
                f"it has {', '.join(anchors.ids)}"
            )
        if anchor in offsets:
            raise InputError(f"{where}: anchor {anchor!r} appears twice")
        try:
            offset = float(text)
        except ValueError:
            raise InputError(f"{where}: expected a number, got {text!r}") from None
        if not abs(offset) <= MAX_OFFSET_M:
            raise InputError(f"{where}: expected an offset within {MAX_OFFSET_M:g} m, got {text!r}")
        offsets[anchor] = offset
    return offsets
