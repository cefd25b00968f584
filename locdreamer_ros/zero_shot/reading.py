# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What real ranges say of a site: where the tag went, and how ranges err there. No ground truth.

A walk is tracked with all the ranges there are, then smoothed backwards. What ranges differ from
the smoothed walk is taken apart: an offset of each anchor, and errors that come back with the place
or are drawn anew, with their own distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from locdreamer_ros.errors import InputError
from locdreamer_ros.first_fix import first_fix
from locdreamer_ros.place_memory import PlaceMemory
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.trackers.lag_smoother import Moment, smoothed
from locdreamer_ros.trackers.place_keeper import Note, PlaceKeeper
from locdreamer_ros.trackers.zero_shot import ZeroShotTracker
from locdreamer_ros.types import FloatArray, Site
from locdreamer_ros.zero_shot.model_file import Weights

LEVELS = np.linspace(0.0, 1.0, 401)
LEAST_EPOCHS = 60
LARGEST_ERROR_M = 5.0
"""A residual beyond this is a lost walk's, not a range's."""
WAYS_M = np.array([0.0, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0])
"""Edges of the distances between places at which errors are compared."""
MOST_LAGS = 40
LENGTHS_M = np.geomspace(0.1, 4.0, 25)
SHARES = np.linspace(0.0, 1.0, 21)


@dataclass(frozen=True, eq=False)
class Walk:
    """A smoothed walk: time (T,) s, position (T, 2) m.

    ranges (T, R) m of the anchors heard, as measured, NaN where there are none.
    """

    time: FloatArray
    position: FloatArray
    ranges: FloatArray

    @property
    def dt(self) -> FloatArray:
        """(T,) s before each epoch."""
        step = np.diff(self.time)
        return np.concatenate([[np.median(step)], step])


@dataclass(frozen=True, eq=False)
class Reading:
    """How ranges err at a site, and walks in it.

    own (R,) m: offsets of the anchors heard, `ids`; quantiles (401,) m of what is left of the
    errors; share of it (0..1) that belongs to places, alike over some `length` m; lost: share of
    ranges that never came.
    """

    walks: tuple[Walk, ...]
    ids: tuple[str, ...]
    own: FloatArray
    quantiles: FloatArray
    share: float
    length: float
    lost: float

    @property
    def common(self) -> float:
        """What all ranges are too long by, m."""
        return float(np.median(self.own))

    @property
    def spread(self) -> float:
        """How far the anchors' offsets lie apart, m."""
        return max(1.4826 * float(np.median(np.abs(self.own - self.common))), 0.01)


class _Notebook(PlaceKeeper):
    """Keeps every step of the filter and remembers no places."""

    def __init__(self, site: Site) -> None:
        super().__init__(PlaceMemory(site))
        self.epoch = 0
        self.epochs: list[int] = []
        self.moments: list[Moment[Note]] = []

    def _keep(self, moment: Moment[Note]) -> None:
        self.epochs.append(self.epoch)
        self.moments.append(moment)


class _NotingTracker(ZeroShotTracker):
    def __init__(self, site: Site, weights: Weights) -> None:
        super().__init__(site, weights)
        self.notebook = _Notebook(site)
        self._keeper = self.notebook


def read_walk(recording: Recording, site: Site, weights: Weights) -> tuple[Walk, FloatArray]:
    """The smoothed walk, and how far ranges are off along it (T, A) m, NaN where there are none.

    Raises InputError where the ranges give no first fix or too few epochs.
    """
    source, everybody = RecordingSource(recording), np.arange(len(recording.anchors))
    tracker = _NotingTracker(site, weights)
    before = 0.0
    for epoch, time in enumerate(recording.times.tolist()):
        ranges = source.measure(everybody, time)
        if tracker.estimate is None:
            fix = first_fix(site, ranges, time=time)
            if fix is not None:
                tracker.start(fix)
        else:
            tracker.predict(time - before)
            tracker.notebook.epoch = epoch
            tracker.update(ranges)
        before = time
    moments = tracker.notebook.moments
    if len(moments) < LEAST_EPOCHS:
        raise InputError(
            f"{recording.name}: {len(moments)} epochs with a fix, expected at least {LEAST_EPOCHS}"
        )
    rows = np.array(tracker.notebook.epochs)
    mean = np.array([mean[:4] for _, mean, _ in smoothed(moments)][::-1])
    ahead = np.zeros((rows.size, len(everybody)))
    if recording.stamps is not None:
        ahead = np.nan_to_num(recording.stamps[rows] - recording.times[rows, None])
    position = mean[:, None, :2] + ahead[..., None] * mean[:, None, 2:4]  # (T, A, 2)
    delta = position - site.anchors.positions[:, :2]
    height = site.anchors.positions[:, 2] - site.tag_height
    residual = recording.ranges[rows] - np.sqrt((delta**2).sum(-1) + height**2)
    return Walk(recording.times[rows], mean[:, :2], recording.ranges[rows]), residual


def read(recordings: Sequence[Recording], weights: Weights, *, tag_height: float) -> Reading:
    """What recordings of the same anchors say of their site. Raises InputError, see `read_walk`."""
    anchors = recordings[0].anchors
    site = Site(anchors, 2, tag_height)
    found = [read_walk(recording, site, weights) for recording in recordings]
    every = np.concatenate([residual for _, residual in found])
    lost = float(np.isnan(every).mean())
    own = np.nanmedian(every, axis=0)
    errors = [np.clip(e - own, -LARGEST_ERROR_M, LARGEST_ERROR_M) for _, e in found]
    pooled = np.concatenate([e[np.isfinite(e)] for e in errors])
    quantiles = np.quantile(pooled, LEVELS)
    share, length = place_bound([walk for walk, _ in found], errors, np.sort(pooled))
    return Reading(
        tuple(walk for walk, _ in found), anchors.ids, own, quantiles, share, length, lost
    )


def place_bound(
    walks: Sequence[Walk], errors: Sequence[FloatArray], pooled: FloatArray
) -> tuple[float, float]:
    """Share of the errors that belongs to places, and over how many m they are alike.

    From normal scores, of which the correlation is taken over the distance between two places.
    pooled (M,): all errors, sorted.
    """
    products, counts = np.zeros(WAYS_M.size - 1), np.zeros(WAYS_M.size - 1)
    for walk, error in zip(walks, errors, strict=True):
        rank = (np.searchsorted(pooled, error) + 0.5) / (pooled.size + 1.0)
        score = np.where(np.isfinite(error), ndtri(np.clip(rank, 1e-4, 1 - 1e-4)), np.nan)
        for lag in np.unique(np.geomspace(1, MOST_LAGS, 12).astype(int)):
            way = np.linalg.norm(walk.position[lag:] - walk.position[:-lag], axis=1)
            product = score[lag:] * score[:-lag]
            known = np.isfinite(product)
            place = np.digitize(way, WAYS_M) - 1
            for index in range(counts.size):
                here = known & (place == index)[:, None]
                products[index] += product[here].sum()
                counts[index] += here.sum()
    seen = counts > 30
    if not seen.any():
        return 0.0, float(LENGTHS_M[0])
    correlation = products[seen] / counts[seen]
    middle = 0.5 * (WAYS_M[1:] + WAYS_M[:-1])[seen]
    # The waves' own correlation (see `dreams.waves`), by the way in units of their length.
    shape = alike(middle[None, :] / LENGTHS_M[:, None])  # (lengths, ways)
    misfit = (SHARES[:, None, None] * shape - correlation) ** 2  # (shares, lengths, ways)
    best = np.unravel_index(
        int((misfit * np.sqrt(counts[seen])).sum(-1).argmin()), misfit.shape[:2]
    )
    return float(SHARES[best[0]]), float(LENGTHS_M[best[1]])


def alike(way: FloatArray) -> FloatArray:
    """Correlation of `dreams.waves` at places `way` lengths apart: Matern's, smoothness 2."""
    from scipy.special import kv

    x = np.maximum(2.0 * way, 1e-6)
    return np.asarray(0.5 * x**2 * kv(2, x))
