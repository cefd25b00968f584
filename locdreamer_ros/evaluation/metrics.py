# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a track against ground truth. Every report of the project uses these and no others.

Error is the horizontal distance to ground truth, m; 3-D errors come beside it where the state has
a height. Not scored: epochs without truth, epochs before the first fix (counted as `unfixed`), and
the first `SKIP` estimates, in which every method still shows its first fix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.geometry import CHI2_95_2DOF
from locdreamer_ros.integrity.status import State
from locdreamer_ros.types import Anchors, BoolArray, Estimate, FloatArray, IntArray

SKIP = 10
"""Estimates after the first fix that are not scored."""
MOST_DRAWN = 40
"""Anchors of a drawing; of more those that were heard."""
LOST_M, LOST_S = 3.0, 2.0
"""A track this far off for longer than that, said to be right, is silently lost."""


@dataclass(frozen=True, eq=False)
class AskingHistory:
    """Whom a run asked at n epochs, and what came back, of A anchors: arrays (n, A).

    chosen: who was asked; heard m: the ranges, NaN where there is none; excluded: whose ranges were
    held back.
    """

    chosen: BoolArray
    heard: FloatArray
    excluded: BoolArray

    def of(self, rows: IntArray) -> AskingHistory:
        """The same of some anchors alone, by their rows."""
        return AskingHistory(self.chosen[:, rows], self.heard[:, rows], self.excluded[:, rows])


@dataclass(frozen=True, eq=False)
class Track:
    """What a tracker said at n epochs, beside the truth.

    times (n,) s; mean (n, S) and covariance (n, S, S), NaN before the first fix; truth (n, 3) m,
    NaN where unknown; asked (n,) ranges asked for that epoch's fix; states (n,) `State`: how
    far the estimate is said to be right, where known; asking: who was asked, where that was kept.
    Raises ValueError where shapes disagree or a tracker lost its numbers (NaN) after the first fix.
    """

    times: FloatArray
    mean: FloatArray
    covariance: FloatArray
    truth: FloatArray
    asked: IntArray
    states: IntArray | None = None
    asking: AskingHistory | None = None

    def __post_init__(self) -> None:
        n, size = self.mean.shape
        shapes = {
            "times": (n,),
            "covariance": (n, size, size),
            "truth": (n, 3),
            "asked": (n,),
        }
        for name, shape in shapes.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"track: {name}: expected shape {shape}, got {found}")
        numbers = np.concatenate([self.mean, self.covariance.reshape(n, -1)], axis=1)
        lost = np.flatnonzero(self.known & ~np.isfinite(numbers).all(axis=1))
        if lost.size:
            time = self.times[lost[0]]
            raise ValueError(f"track: the estimate at {time:.3f} s is not finite")

    @classmethod
    def of(
        cls,
        estimates: Sequence[Estimate | None],
        *,
        times: FloatArray,
        truth: FloatArray | None,
        asked: Sequence[int],
        dimensions: int,
    ) -> Track:
        """A track from the estimates of n epochs (None before the first fix) and truth (n, 3)."""
        n, size = len(estimates), 2 * dimensions
        mean = np.full((n, size), np.nan)
        covariance = np.full((n, size, size), np.nan)
        for row, estimate in enumerate(estimates):
            if estimate is not None:
                mean[row] = estimate.mean
                covariance[row] = estimate.covariance
        known = np.full((n, 3), np.nan) if truth is None else truth
        return cls(times, mean, covariance, known, np.asarray(asked, dtype=np.intp))

    def __len__(self) -> int:
        return self.times.size

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return int(self.mean.shape[1]) // 2

    @property
    def known(self) -> BoolArray:
        """(n,) epochs with an estimate: not those before a fix, nor before one after a long gap."""
        return ~np.isnan(self.mean[:, 0])

    @property
    def unfixed(self) -> int:
        """Epochs before the first fix."""
        return int(np.argmax(self.known)) if self.known.any() else len(self)

    @property
    def has_truth(self) -> bool:
        """Whether any epoch has a horizontal ground truth."""
        return bool(np.isfinite(self.truth[:, :2]).all(axis=1).any())

    @property
    def usual_step(self) -> float:
        """Seconds from one epoch to the next, in the median; 0 for a single one."""
        return float(np.median(np.diff(self.times))) if len(self) > 1 else 0.0

    def only(self, rows: IntArray) -> Track:
        """The track at these epochs alone, without whom it asked."""
        states = None if self.states is None else self.states[rows]
        return Track(
            *(self.times[rows], self.mean[rows], self.covariance[rows]),
            *(self.truth[rows], self.asked[rows], states),
        )

    def at(self, times: FloatArray) -> Track:
        """The track at other times (n,) s, without whom it asked: the last epoch before each.

        NaN where that is longer ago than two of its usual steps, and than a second.
        """
        rows = np.searchsorted(self.times, times, side="right") - 1
        gone = (rows < 0) | (times - self.times[rows] > max(1.0, 2.0 * self.usual_step))
        found = self.only(rows)
        found.mean[gone] = found.covariance[gone] = np.nan
        return replace(found, times=times)

    def scored(self, skip: int = SKIP) -> BoolArray:
        """(n,) which epochs count: truth known and at least `skip` estimates since the first."""
        counted = self.known & (np.arange(len(self)) >= self.unfixed + skip)
        return np.asarray(counted & np.isfinite(self.truth[:, :2]).all(axis=1))


def heard_anchors(
    anchors: Anchors, tracks: Mapping[str, Track]
) -> tuple[Anchors, dict[str, Track]]:
    """Of over MOST_DRAWN anchors those that the first track heard, and the tracks with them.

    All of them where that was not kept.
    """
    first = next(iter(tracks.values()))
    if len(anchors) <= MOST_DRAWN or first.asking is None:
        return anchors, dict(tracks)
    rows = np.flatnonzero(np.isfinite(first.asking.heard).any(axis=0))
    if not rows.size:
        return anchors, dict(tracks)
    kept = {
        name: replace(track, asking=track.asking and track.asking.of(rows))
        for name, track in tracks.items()
    }
    return anchors.subset([anchors.ids[row] for row in rows]), kept


@dataclass(frozen=True)
class Metrics:
    """Scores of one track; lengths in m. `_3d` and `nees_x` ... are None where the state is 2-D."""

    steps: int
    mae: float
    rmse: float
    p50: float
    p90: float
    max: float
    ranges_per_fix: float
    nees: float
    coverage95: float
    unfixed: int
    mae_3d: float | None = None
    rmse_3d: float | None = None
    p50_3d: float | None = None
    p90_3d: float | None = None
    max_3d: float | None = None
    nees_x: float | None = None
    nees_y: float | None = None
    nees_z: float | None = None


def horizontal_errors(track: Track, *, skip: int = SKIP) -> FloatArray:
    """Distances (m,) m of the scored epochs, in time order."""
    scored = track.scored(skip)
    return np.asarray(
        np.linalg.norm(track.mean[scored, :2] - track.truth[scored, :2], axis=1), dtype=np.float64
    )


def silently_lost(track: Track) -> bool:
    """Whether it was `LOST_M` off for longer than `LOST_S` while it was said to be right.

    An estimate stands for a usual step. A clock that is set back begins a new count.
    """
    wrong = np.hypot(*(track.mean[:, :2] - track.truth[:, :2]).T) > LOST_M
    if track.states is not None:
        wrong &= track.states == State.TRACKING
    longest = LOST_S - track.usual_step + 1e-6
    since: float | None = None
    for time, here in zip(track.times.tolist(), wrong.tolist(), strict=True):
        if not here:
            since = None
            continue
        if since is None or time < since:
            since = time
        if time - since > longest:
            return True
    return False


def nees(track: Track, *, skip: int = SKIP) -> FloatArray:
    """Normalised estimation error squared (m,) of the horizontal position: 2 expected, 2 dof.

    Bar-Shalom, Li, Kirubarajan: Estimation with Applications to Tracking and Navigation, 5.4.
    Infinite where the covariance is not positive definite: such a tracker claims certainty.
    """
    scored = track.scored(skip)
    x, y = (track.mean[scored, :2] - track.truth[scored, :2]).T
    block = track.covariance[scored, :2, :2]
    xx, xy, yy = block[:, 0, 0], block[:, 0, 1], block[:, 1, 1]
    determinant = xx * yy - xy**2
    proper = (determinant > 0.0) & (xx > 0.0)
    square = yy * x**2 - 2.0 * xy * x * y + xx * y**2
    return np.where(proper, square / np.where(proper, determinant, 1.0), np.inf)


def _axes(error: FloatArray, covariance: FloatArray) -> dict[str, float]:
    """Mean squared error over variance of each axis, 1 where honest: errors (m, 3), (m, 3, 3).

    Infinite where a variance is not positive: such a tracker claims certainty.
    """
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    proper = variance > 0.0
    ratio = np.where(proper, error**2 / np.where(proper, variance, 1.0), np.inf).mean(axis=0)
    return {f"nees_{axis}": float(value) for axis, value in zip("xyz", ratio, strict=True)}


def _distances(errors: FloatArray, suffix: str = "") -> dict[str, float]:
    return {
        f"mae{suffix}": float(errors.mean()),
        f"rmse{suffix}": float(np.sqrt((errors**2).mean())),
        f"p50{suffix}": float(np.percentile(errors, 50)),
        f"p90{suffix}": float(np.percentile(errors, 90)),
        f"max{suffix}": float(errors.max()),
    }


def score(track: Track, *, skip: int = SKIP) -> Metrics:
    """Score a track. Raises InputError where no epoch can be scored."""
    scored = track.scored(skip)
    if not scored.any():
        raise InputError(
            f"no epoch to score: of {len(track)} epochs {track.unfixed} came before the first fix, "
            f"the next {skip} are not scored, and the others have no ground truth"
        )
    ratio = nees(track, skip=skip)
    spatial: dict[str, float] = {}
    if track.dimensions == 3:
        with_height = scored & np.isfinite(track.truth[:, 2])
        if with_height.any():
            error = track.mean[with_height, :3] - track.truth[with_height]
            spatial = _distances(np.linalg.norm(error, axis=1), "_3d")
            spatial |= _axes(error, track.covariance[with_height, :3, :3])
    return Metrics(
        steps=int(scored.sum()),
        ranges_per_fix=float(track.asked[scored].mean()),
        nees=float(ratio.mean()),
        coverage95=float((ratio <= CHI2_95_2DOF).mean()),
        unfixed=track.unfixed,
        **_distances(horizontal_errors(track, skip=skip)),
        **spatial,
    )


def as_dict(metrics: Metrics) -> dict[str, float]:
    """The measures of a report: without `unfixed`, and without 3-D errors where there are none."""
    values = asdict(metrics)
    del values["unfixed"]
    return {name: value for name, value in values.items() if value is not None}
