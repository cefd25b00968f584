# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ranges measured standing still at points along a path, and the walks drawn from them.

Shape legend: P points in walking order, A anchors, C radio channels, N samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import read_arrays, replaced
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Anchors, BoolArray, FloatArray, IntArray
from locdreamer_ros.units import FARTHEST_M, check_places

VERSION = 1
"""Of the .npz layout; a cache of another version is made again."""
LONGEST_WALK = 10_000_000
"""Epochs of a walk, at most."""
COLUMNS = ("point", "anchor", "channel", "range", "nlos", "rss", "rss_fp")


@dataclass(frozen=True, eq=False)
class PointSurvey:
    """Samples (N,), sorted by point, then anchor, then channel, which are rows of the first three.

    path (P, 3) m; range m, slant; nlos True where the line of sight is blocked; rss and rss_fp
    (first path) dBm, NaN where unknown.
    """

    name: str
    path: FloatArray
    anchors: Anchors
    channels: tuple[str, ...]
    point: IntArray
    anchor: IntArray
    channel: IntArray
    range: FloatArray
    nlos: BoolArray
    rss: FloatArray
    rss_fp: FloatArray

    @classmethod
    def of(
        cls,
        name: str,
        path: FloatArray,
        anchors: Anchors,
        channels: Sequence[str],
        samples: FloatArray,
    ) -> PointSurvey:
        """From samples (N, 7) in any order, with the columns of `COLUMNS`.

        Samples with no positive range are left out: calibration offsets make a few where the tag
        is next to an anchor, and no tracker may use them. Raises InputError where nothing is left.
        """
        samples = samples[samples[:, 3] > 0.0]
        if not samples.size:
            raise InputError(f"{name}: no samples")
        point, anchor, channel = samples[:, :3].astype(np.intp).T
        order = np.lexsort((channel, anchor, point))
        metres, nlos, rss, rss_fp = samples[order, 3:].T
        return cls(
            name,
            path,
            anchors,
            tuple(channels),
            point[order],
            anchor[order],
            channel[order],
            metres,
            nlos > 0.5,
            rss,
            rss_fp,
        )

    def __len__(self) -> int:
        return self.range.size

    def first(self) -> IntArray:
        """Where the samples of each cell start: (P A C + 1,), cells in the samples' order."""
        cells = self._cell(self.point, self.anchor, self.channel)
        return np.searchsorted(
            cells, np.arange(len(self.path) * len(self.anchors) * len(self.channels) + 1)
        )

    def samples(self, point: int, anchor: int, channel: int) -> slice:
        """The samples of one point, anchor and channel: a slice of the columns."""
        cell = int(self._cell(np.array(point), np.array(anchor), np.array(channel)))
        first = self.first()
        return slice(int(first[cell]), int(first[cell + 1]))

    def _cell(self, point: IntArray, anchor: IntArray, channel: IntArray) -> IntArray:
        return (point * len(self.anchors) + anchor) * len(self.channels) + channel

    def true_range(self) -> FloatArray:
        """Distance from tag to anchor of each sample (N,), m."""
        return np.asarray(
            np.linalg.norm(self.path[self.point] - self.anchors.positions[self.anchor], axis=1)
        )


def draw_walk(
    survey: PointSurvey,
    *,
    rate: float = 1.0,
    speed: float = 1.0,
    seed: int = 0,
    channel: str | None = None,
) -> Recording:
    """Draw one walk along the path at `rate` Hz: at each epoch one sample per anchor, at random.

    The survey has no times: the tag stays at a point for as long as the way to the next one takes
    at `speed` m/s, at least one epoch, and the truth is the point itself. Samples are those of
    `channel`, of all channels where None. Raises InputError for an unknown channel.
    """
    if not (math.isfinite(rate) and rate > 0.0 and math.isfinite(speed) and speed > 0.0):
        raise InputError(f"expected rate and speed above 0, got {rate:g} Hz and {speed:g} m/s")
    if channel is not None and channel not in survey.channels:
        raise InputError(
            f"{survey.name}: unknown channel {channel!r}; expected one of "
            f"{', '.join(survey.channels)}"
        )
    steps = np.linalg.norm(np.diff(survey.path, axis=0), axis=1)
    epochs = np.maximum(1, np.rint(np.append(steps, 0.0) / speed * rate))
    if not epochs.sum() <= LONGEST_WALK:
        raise InputError(
            f"{survey.name}: a walk of {epochs.sum():.3g} epochs; expected at most {LONGEST_WALK}"
        )
    stays = epochs.astype(np.intp)
    point = np.repeat(np.arange(len(survey.path)), stays)  # (T,)

    # Cells of one point and anchor lie side by side, so all channels together are one slice too.
    count = len(survey.channels)
    first, last = (0, count) if channel is None else (survey.channels.index(channel),) * 2
    last = last if channel is None else last + 1
    pair = (point[:, None] * len(survey.anchors) + np.arange(len(survey.anchors))) * count
    start = survey.first()
    low, high = start[pair + first], start[pair + last]  # (T, A)
    drawn = low + np.floor(np.random.default_rng(seed).random(low.shape) * (high - low)).astype(
        np.intp
    )
    missing = high == low

    def pick(values: NDArray[np.generic]) -> FloatArray:
        padded = np.append(values.astype(np.float64), np.nan)
        return padded[np.where(missing, -1, drawn)]

    return Recording(
        survey.name,
        survey.anchors,
        np.round(np.arange(point.size) / rate, 9),  # whole nanoseconds, as ROS stamps
        pick(survey.range),
        survey.path[point],
        nlos=pick(survey.nlos),
        rx_power=pick(survey.rss),
        first_path_power=pick(survey.rss_fp),
    )


def split_by_path(
    survey: PointSurvey, fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0
) -> tuple[PointSurvey, ...]:
    """Split into one survey per fraction (train, validation, test), each a piece of the path.

    The bias of a range belongs to the place, so neighbouring points must not be dealt out at
    random. `seed` draws the order in which the pieces lie along the path. Raises InputError where
    fractions do not add up to 1 or a piece would have no point.
    """
    if not fractions or min(fractions) <= 0.0 or not math.isclose(sum(fractions), 1.0):
        raise InputError(f"split: expected positive fractions that add up to 1, got {fractions}")
    order = np.random.default_rng(seed).permutation(len(fractions))
    ends = np.rint(np.cumsum(np.asarray(fractions)[order]) * len(survey.path)).astype(int)
    pieces: dict[int, PointSurvey] = {}
    for which, begin, end in zip(order, np.append(0, ends[:-1]), ends, strict=True):
        if begin == end:
            raise InputError(f"{survey.name}: {len(survey.path)} points are too few to split")
        pieces[int(which)] = _piece(survey, int(begin), int(end))
    return tuple(pieces[i] for i in range(len(fractions)))


def _piece(survey: PointSurvey, begin: int, end: int) -> PointSurvey:
    rows = (survey.point >= begin) & (survey.point < end)
    columns = {name: getattr(survey, name)[rows] for name in COLUMNS}
    columns["point"] = columns["point"] - begin
    return PointSurvey(
        survey.name, survey.path[begin:end], survey.anchors, survey.channels, **columns
    )


def save_survey(path: Path, survey: PointSurvey, source: Sequence[int] = ()) -> None:
    """Write a survey as .npz. `source` tells later whether it is still that of its source."""
    if path.suffix != ".npz":
        raise InputError(f"{path}: expected a name that ends in .npz")
    with replaced(path) as temporary:
        np.savez_compressed(
            temporary,
            version=VERSION,
            source=np.array(source, dtype=np.int64),
            name=survey.name,
            path=survey.path,
            anchor_ids=np.array(survey.anchors.ids),
            anchor_positions=survey.anchors.positions,
            channels=np.array(survey.channels),
            point=survey.point.astype(np.int32),
            anchor=survey.anchor.astype(np.int16),
            channel=survey.channel.astype(np.int16),
            range=survey.range,
            nlos=survey.nlos,
            rss=survey.rss,
            rss_fp=survey.rss_fp,
        )


def load_survey_file(path: Path, source: Sequence[int] | None = None) -> PointSurvey:
    """Read what `save_survey` wrote. Raises InputError where it is not that or of other source."""
    arrays = read_arrays(path, "a cached point survey (.npz)")
    try:
        if int(arrays["version"]) != VERSION:
            raise InputError(f"{path}: layout {arrays['version']}; expected {VERSION}")
        if source is not None and arrays["source"].tolist() != list(source):
            raise InputError(f"{path}: made from another file")
        columns = {name: arrays[name] for name in COLUMNS}
        for name in COLUMNS[:3]:
            columns[name] = columns[name].astype(np.intp)
        survey = PointSurvey(
            str(arrays["name"]),
            arrays["path"],
            Anchors(tuple(map(str, arrays["anchor_ids"].tolist())), arrays["anchor_positions"]),
            tuple(map(str, arrays["channels"].tolist())),
            **columns,
        )
        _check(survey)
        return survey
    except InputError as reason:
        raise InputError(f"{path}: {str(reason).removeprefix(f'{path}: ')}") from None
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):
        raise InputError(f"{path}: expected a cached point survey (.npz)") from None


def _check(survey: PointSurvey) -> None:
    """Raises InputError where the parts of a survey that was read do not fit together."""
    rows = survey.range.shape
    columns = [getattr(survey, name) for name in COLUMNS]
    sizes = (len(survey.path), len(survey.anchors), len(survey.channels))
    fits = (
        survey.path.ndim == 2
        and survey.path.shape[1] == 3
        and survey.path.dtype == np.float64
        and bool((np.abs(survey.path) <= FARTHEST_M).all())
        and len(rows) == 1
        and rows[0] > 0
        and all(column.shape == rows for column in columns)
        and all(column.dtype == np.float64 for column in (survey.range, survey.rss, survey.rss_fp))
        and survey.nlos.dtype == np.bool_
        and bool((survey.range > 0.0).all())
        and all(
            int(column.min()) >= 0 and int(column.max()) < size
            for column, size in zip(columns[:3], sizes, strict=True)
        )
        and bool((np.diff(survey._cell(*columns[:3])) >= 0).all())
    )
    if not fits:
        raise InputError("damaged: the parts of the survey do not fit together")
    check_places(survey.anchors, "survey")
