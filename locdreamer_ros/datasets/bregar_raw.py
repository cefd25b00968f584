# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bregar's raw tree: one CSV per path point, anchor and channel, cleaned as its author did.

    environment0/walking_path.csv
    environment0/data/<x>_<y>_<z>/ch<c>_A<a>.csv

The cleaning (by the author of the data set, in this order): the tag is where the folder's name
says; of each file only the core samples of a DBSCAN over (true range, range) are kept; NLOS becomes
1 or 0; each anchor and channel is calibrated at its nearest point in line of sight; A6 of
environment 2 is dropped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from locdreamer_ros.datasets.point_survey import PointSurvey
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import open_text
from locdreamer_ros.types import Anchors, BoolArray, FloatArray, IntArray

EPS_M = 2.0
MIN_SAMPLES = 5
DROPPED = {2: ("A6",)}
"""Anchors the published data leave out, by environment."""
FILE = re.compile(r"(ch\d+)_(A\d+)\.csv")
USED = ("X_ANCHOR", "Y_ANCHOR", "Z_ANCHOR", "NLOS", "RANGE", "RSS", "RSS_FP")
FARTHEST_M = 1000.0
SAME_PLACE_M = 0.1


def read_raw(folder: Path, name: str, environment: int) -> PointSurvey:
    """Read and clean the raw tree of one environment.

    Raises InputError naming the file, row and column.
    """
    from tqdm import tqdm

    path = _walking_path(folder / "walking_path.csv")
    found: dict[tuple[int, str, str], FloatArray] = {}
    for row, point in enumerate(tqdm(path, name, leave=False, delay=1)):
        place = folder / "data" / folder_name(point)
        if not place.is_dir():
            raise InputError(f"{place}: no such folder, but {folder / 'walking_path.csv'} names it")
        for file in sorted(place.iterdir()):
            match = FILE.fullmatch(file.name)
            if match and match[2] not in DROPPED.get(environment, ()):
                samples = _read_file(file)
                true = np.linalg.norm(samples[:, :3] - point, axis=1)
                keep = core_samples(np.stack([true, samples[:, 4]], axis=1))
                found[row, match[2], match[1]] = samples[keep]
    if not found:
        raise InputError(f"{folder / 'data'}: no files ch<c>_A<a>.csv")

    ids = tuple(sorted({anchor for _, anchor, _ in found}, key=_natural))
    channels = tuple(sorted({channel for _, _, channel in found}, key=_natural))
    rows = np.concatenate(
        [
            np.column_stack(
                [np.tile([p, ids.index(a), channels.index(c)], (len(samples), 1)), samples]
            )
            for (p, a, c), samples in found.items()
        ]
    )  # (N, 10): point, anchor, channel; x, y, z of the anchor, nlos, range, rss, rss_fp
    if not len(rows):
        raise InputError(f"{folder / 'data'}: no file has {MIN_SAMPLES} ranges that agree")
    anchors = _anchors(folder, ids, rows)
    index = rows[:, :3].astype(np.intp)
    true = np.linalg.norm(path[index[:, 0]] - anchors.positions[index[:, 1]], axis=1)
    metres = calibrated(index, true, rows[:, 7], rows[:, 6] > 0.5)
    samples = np.column_stack([rows[:, :3], metres, rows[:, 6], rows[:, 8:]])
    return PointSurvey.of(name, path, anchors, channels, samples)


def core_samples(points: FloatArray) -> BoolArray:
    """Which of points (N, 2) have at least MIN_SAMPLES, itself included, within EPS_M: (N,).

    These are DBSCAN's core samples; what its clusters would be called does not matter here.
    """
    if not len(points):
        return np.zeros(0, dtype=np.bool_)
    near = cKDTree(points).query_ball_point(points, EPS_M, return_length=True)
    return np.asarray(near >= MIN_SAMPLES)


def calibrated(
    index: IntArray, true: FloatArray, metres: FloatArray, nlos: BoolArray
) -> FloatArray:
    """Ranges (N,) less the offset of their anchor and channel, to the centimetre.

    index (N, 3): point, anchor, channel. The offset is the mean error at the nearest point in line
    of sight; a pair never in line of sight is left as it is.
    """
    result = metres.copy()
    for anchor, channel in np.unique(index[:, 1:], axis=0):
        pair = (index[:, 1] == anchor) & (index[:, 2] == channel)
        sight = pair & ~nlos
        if sight.any():
            nearest = index[sight, 0][np.argmin(true[sight])]
            here = sight & (index[:, 0] == nearest)
            result[pair] -= (metres[here] - true[here]).mean()
    return np.asarray(np.round(result, 2))


def _anchors(folder: Path, ids: tuple[str, ...], rows: FloatArray) -> Anchors:
    """Places (A, 3) as the samples state them. Raises InputError where they disagree."""
    places = []
    for number, anchor in enumerate(ids):
        stated = rows[rows[:, 1] == number, 3:6]
        if not len(stated):
            raise InputError(f"{folder / 'data'}: anchor {anchor} has no usable sample")
        if np.ptp(stated, axis=0).max() > SAME_PLACE_M:
            raise InputError(f"{folder / 'data'}: anchor {anchor} is at more than one place")
        places.append(stated[0])
    return Anchors(ids, np.array(places))


def _natural(name: str) -> int:
    return int(name.lstrip("chA"))


def _walking_path(path: Path) -> FloatArray:
    """Points (P, 3) m in walking order, one header line above; a point's first visit only."""
    points: dict[str, list[float]] = {}
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            cells = line.strip().split(",")
            if number == 1 or cells == [""]:
                continue
            if len(cells) != 3:
                raise InputError(f"{path}: row {number}: expected x,y,z, got {line.strip()!r}")
            point = [_number(c, f"{path}: row {number}") for c in cells]
            points.setdefault(folder_name(point), point)
    if not points:
        raise InputError(f"{path}: no points below the header")
    return np.array(list(points.values()))


def folder_name(point: Sequence[float] | FloatArray) -> str:
    """The folder of a point (3,) m."""
    return "_".join(f"{value:.2f}" for value in point)


def _read_file(path: Path) -> FloatArray:
    """Samples (N, 7): x, y, z of the anchor, nlos, range, rss, rss_fp."""
    samples = []
    with open_text(path) as stream:
        version, header = stream.readline().strip(), stream.readline().strip().split(",")
        if version.lstrip("# ") != "v1.1":
            raise InputError(f"{path}: row 1: expected v1.1, got {version[:40]!r}")
        for name in USED:
            if name not in header:
                raise InputError(f"{path}: row 2: missing column {name}")
        columns = [header.index(name) for name in USED]
        for number, line in enumerate(stream, start=3):
            # The long tail of a row, the impulse response, stays in one piece.
            cells = line.strip().split(",", max(columns) + 1)
            if cells == [""]:
                continue
            where = f"{path}: row {number}"
            if len(cells) <= max(columns):
                raise InputError(f"{where}: expected {len(header)} columns, got {len(cells)}")
            x, y, z, nlos, metres, rss, rss_fp = (cells[c].strip() for c in columns)
            samples.append(
                [
                    *(_number(text, f"{where}, anchor position") for text in (x, y, z)),
                    float(nlos in ("NLOS", "1")),
                    _range(metres, f"{where}, column RANGE"),
                    _number(rss, f"{where}, column RSS", finite=False),
                    _number(rss_fp, f"{where}, column RSS_FP", finite=False),
                ]
            )
    return np.array(samples, dtype=np.float64).reshape(-1, len(USED))


def _number(text: str, where: str, *, finite: bool = True) -> float:
    """A number; where it need not be finite, the logarithm of nothing becomes NaN."""
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{where}: expected a number, got {text[:40]!r}") from None
    if math.isfinite(value):
        return value
    if finite:
        raise InputError(f"{where}: expected a finite number, got {text!r}")
    return math.nan


def _range(text: str, where: str) -> float:
    value = _number(text, where)
    if abs(value) > FARTHEST_M:
        raise InputError(f"{where}: expected at most {FARTHEST_M:g} m, got {text}")
    return value
