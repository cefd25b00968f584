# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The few things that pass between the three roles. Metres, seconds, the anchors' frame.

Shape legend: A anchors of the site, N ranges of one answer, T epochs, D = 2 or 3 dimensions,
S = 2 D state: (x, y, vx, vy) or (x, y, z, vx, vy, vz).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locdreamer_ros.errors import InputError
from locdreamer_ros.unchanging import Unchanging, unchanging

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]


MAX_AGE_S = 1.0
"""A range farther than this from the tracker's time says too little about where the tag is now."""
MOST_HEARD = 64
"""Of more anchors at once the nearest are asked and used, and those heard last have a state of
their own: farther ones say little more, and filters' steps grow with the cube of them."""
LONGEST_ID = 100
"""Letters of an anchor's or a tag's id."""


class RangeStatus(IntEnum):
    """What became of one anchor that was asked. Same numbers as `AnchorRange.msg`."""

    OK = 0
    TIMEOUT = 1
    NOT_OFFERED = 2
    INVALID = 3


OK, TIMEOUT = int(RangeStatus.OK), int(RangeStatus.TIMEOUT)
"""As plain numbers: looking into an enumeration takes as long as the arithmetic."""


@dataclass(frozen=True, eq=False)
class Anchors(Unchanging):
    """Anchors at known places: `ids` (A,), `positions` (A, 3) m. Elsewhere an anchor is its row."""

    ids: tuple[str, ...]
    positions: FloatArray

    def __post_init__(self) -> None:
        if self.positions.shape != (len(self.ids), 3):
            raise InputError(
                f"anchors: expected positions of shape ({len(self.ids)}, 3), "
                f"got {self.positions.shape}"
            )
        if any(len(anchor) > LONGEST_ID for anchor in self.ids):
            raise InputError(f"anchors: expected ids of at most {LONGEST_ID} letters")
        if len(set(self.ids)) != len(self.ids):
            twice = sorted({i for i in self.ids if self.ids.count(i) > 1})
            raise InputError(f"anchors: id {twice[0]!r} appears twice; ids must be unique")
        if not np.isfinite(self.positions).all():
            bad = self.ids[int(np.argmin(np.isfinite(self.positions).all(axis=1)))]
            raise InputError(f"anchors: position of {bad!r} is not finite")

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Iterable[str]) -> IntArray:
        """Rows of the given ids. Raises InputError naming an unknown id."""
        table = {anchor: row for row, anchor in enumerate(self.ids)}
        try:
            return np.array([table[i] for i in ids], dtype=np.intp)
        except KeyError as unknown:
            raise InputError(
                f"unknown anchor {unknown.args[0]!r}; the site has {', '.join(self.ids)}"
            ) from None

    def subset(self, ids: Sequence[str]) -> Anchors:
        """Only these anchors, in this order. Raises InputError naming an unknown id."""
        return Anchors(tuple(ids), self.positions[self.rows(ids)])


@lru_cache(maxsize=64)
def _unknown(n: int) -> FloatArray:
    unknown = np.full(n, np.nan)
    unknown.flags.writeable = False
    return unknown


@unchanging
class Ranges(Unchanging):
    """The answer of a range source: one entry per anchor asked, in the order asked.

    anchor (N,) row in `Anchors`; value (N,) m, slant; stamp (N,) s, the time of each range;
    status (N,) `RangeStatus`; variance (N,) m^2, what the sender states of its own noise; powers
    (N,) dBm; nlos_probability (N,). NaN where the device does not say.

    differences: these are of one blink that all anchors heard (time differences of arrival, TDoA).
    A value is then a range less an offset that all of them share, unknown and new at each blink;
    less the range of a reference anchor it is the difference to that one. Only differences of the
    values mean anything, and they may be negative.
    """

    anchor: IntArray
    value: FloatArray
    stamp: FloatArray
    status: NDArray[np.uint8]
    variance: FloatArray
    rx_power: FloatArray
    first_path_power: FloatArray
    nlos_probability: FloatArray
    differences: bool = False

    @classmethod
    def of(
        cls,
        anchor: Sequence[int] | IntArray,
        value: Sequence[float] | FloatArray,
        stamp: float | FloatArray,
        *,
        status: NDArray[np.uint8] | None = None,
        variance: FloatArray | None = None,
        rx_power: FloatArray | None = None,
        first_path_power: FloatArray | None = None,
        nlos_probability: FloatArray | None = None,
        differences: bool = False,
    ) -> Ranges:
        """Ranges with unknown quality. Without `status`, a NaN value is a TIMEOUT, others OK."""
        rows = np.asarray(anchor, dtype=np.intp)
        metres = np.asarray(value, dtype=np.float64)
        n = rows.size
        if status is None:
            status = np.isnan(metres).view(np.uint8)  # TIMEOUT is 1
        if isinstance(stamp, float):
            stamps = np.empty(n)
            stamps.fill(stamp)
        else:
            stamps = np.broadcast_to(np.asarray(stamp, np.float64), (n,))
        unknown = _unknown(n)
        return cls(
            rows,
            metres,
            stamps,
            status,
            unknown if variance is None else variance,
            unknown if rx_power is None else rx_power,
            unknown if first_path_power is None else first_path_power,
            unknown if nlos_probability is None else nlos_probability,
            differences,
        )

    def __len__(self) -> int:
        return self.anchor.size

    def sigma(self, least: float | FloatArray) -> FloatArray:
        """Noise (N,) m of each range: a tracker's own, or what is stated of it where that is more.

        A floor, for senders state the noise of their clock and know of no wall: a range said to be
        better than the tracker has learned to expect is not.
        """
        return np.asarray(np.fmax(least, np.sqrt(np.maximum(self.variance, 0.0))))

    def __getitem__(self, which: BoolArray | IntArray) -> Ranges:
        return Ranges(
            self.anchor[which],
            self.value[which],
            self.stamp[which],
            self.status[which],
            self.variance[which],
            self.rx_power[which],
            self.first_path_power[which],
            self.nlos_probability[which],
            self.differences,
        )

    def joined(self, more: Ranges) -> Ranges:
        """These and `more`, in this order. Raises ValueError: two blinks share no offset."""
        if self.differences or more.differences:
            raise ValueError("the ranges of two blinks have an offset each")
        both: dict[str, Any] = {
            f.name: np.concatenate([getattr(self, f.name), getattr(more, f.name)])
            for f in dataclasses.fields(self)
            if f.name != "differences"
        }
        return Ranges(**both)

    def usable(self) -> Ranges:
        """Only the ranges a tracker may use: status OK, finite, positive unless of a blink."""
        least = -np.inf if self.differences else 0.0
        good = (self.status == OK) & (self.value > least) & (self.value < np.inf)
        return self if good.all() else self[good]


@unchanging
class Motion(Unchanging):
    """What wheels and gyro say of the time since the tracker's last `predict`.

    displacement (2,) m in the odometry's own frame, or None: that frame's heading against the map
    is unknown, the same from one step to the next, and drifts slowly. turn rad, the change of
    heading, counter-clockwise, from the odometry's yaw or a gyro, or None.
    """

    displacement: FloatArray | None = None
    turn: float | None = None


@unchanging
class Foresight(Unchanging):
    """What a tracker that knows of biases expects of ranges it has not asked for, in m^2.

    position (D, D): covariance of the position; cross (C, D): of each anchor's range with it;
    ranges (C, C): of the ranges with each other, before fresh noise. Two anchors that share a bias
    say the same: which no covariance of the position alone can tell.
    """

    position: FloatArray
    cross: FloatArray
    ranges: FloatArray


class Criterion(NamedTuple):
    """By what `budget` anchors are chosen: weights of the axes (D,), sigma m of a range's noise.

    Up to `most_subsets` all are tried; else an exchange must be better by `clear_share`.
    """

    weights: FloatArray
    budget: int
    sigma: float
    most_subsets: int
    clear_share: float


class Foreseen:
    """Foresight of anchors, computed when somebody asks for it: most schedulers do not.

    Who can choose by it without the arrays in between does so in `choose` and `first`.
    """

    __slots__ = ("_look",)

    def __init__(self, look: Callable[[IntArray], Foresight]) -> None:
        self._look = look

    def __call__(self, rows: IntArray) -> Foresight:
        """Foresight of anchors `rows` (C,)."""
        return self._look(rows)

    def choose(self, rows: IntArray, by: Criterion) -> IntArray | None:
        """Of `rows` (C,) those (budget,) that leave the least variance; None: see `__call__`."""
        return None

    def first(
        self, rows: IntArray | int, by: Criterion, asked: IntArray
    ) -> tuple[int, float, float] | None:
        """Of a choice which of the rows helps most by itself; None as above.

        rows: or of how many nearest, but for those `asked`. Its row, the variance m^2 that it
        leaves, and the present one.
        """
        return None


@unchanging
class Estimate(Unchanging):
    """Where the tag is: mean (S,), covariance (S, S), at `time` s.

    foresight: where the tracker has one; offset m: what all ranges are thought to be too long by,
    where the tracker or the first fix knows.
    """

    time: float
    mean: FloatArray
    covariance: FloatArray
    foresight: Foreseen | None = None
    offset: float = 0.0

    @property
    def dimensions(self) -> int:
        """D, 2 or 3."""
        return self.mean.size // 2

    @property
    def position(self) -> FloatArray:
        """(D,) m."""
        return self.mean[: self.dimensions]

    @property
    def velocity(self) -> FloatArray:
        """(D,) m/s."""
        return self.mean[self.dimensions :]

    @property
    def position_covariance(self) -> FloatArray:
        """(D, D) m^2."""
        d = self.dimensions
        return self.covariance[:d, :d]


TELLING_HEIGHTS_M = 0.5
"""Anchors whose heights differ by this much say something of the tag's."""
UNSURE_HEIGHT_M = 2.0
"""Sigma of a tag's height that nobody gave."""
MARGIN_M = 3.0
"""A tag is looked for this far outside the anchors' box."""
HIGHEST_ROOM_M = 30.0
"""Where all anchors hang higher, z is no height over a floor but one over the sea."""


@dataclass(frozen=True, eq=False)
class Site(Unchanging):
    """What a tracker or scheduler knows of the place: the anchors and how to read a range there.

    dimensions 2: the tag is at the known `tag_height` m, so a slant range is the horizontal
    distance once the height difference is taken out. dimensions 3: its height is in the state, and
    `tag_height` is where it is looked for first. height_sigma m: how unsure `tag_height` is; 0
    where it was given or, in the plane, the anchors could not tell.
    """

    anchors: Anchors
    dimensions: int = 2
    tag_height: float = 1.0
    height_sigma: float = 0.0

    def __post_init__(self) -> None:
        if self.dimensions not in (2, 3):
            raise InputError(f"dimensions: expected 2 or 3, got {self.dimensions}")
        if len(self.anchors) < self.dimensions + 1:
            raise InputError(
                f"{self.dimensions}-D tracking needs at least {self.dimensions + 1} anchors, "
                f"the site has {len(self.anchors)}"
            )
        places = self.anchors.positions
        if (places == places[0]).all():
            raise InputError(
                "the anchors are all at one place: find where they hang with `locdreamer survey`"
            )

    @classmethod
    def of(
        cls, anchors: Anchors, dimensions: str = "auto", tag_height: float | None = None
    ) -> Site:
        """The site from what a user says: `dimensions` 2, 3 or auto, tag height m where known.

        auto is 3-D where the anchors' heights can tell the tag's (at least 5 anchors spread over
        1.5 m or more) and no tag height was given; else 2-D. An unknown tag height in 2-D is taken
        as 1 m, hand height, where anchors hang higher, else (and beyond `HIGHEST_ROOM_M`) as the
        anchors' mean height; where these differ it counts as known to `UNSURE_HEIGHT_M` only.
        Raises InputError for another word, too few anchors, and anchors without places.
        """
        if dimensions not in ("2", "3", "auto"):
            raise InputError(f"dimensions: expected 2, 3 or auto, got {dimensions!r}")
        heights = anchors.positions[:, 2]
        if dimensions == "auto":
            tall = len(anchors) >= 5 and float(np.ptp(heights)) >= 1.5
            dimensions = "3" if tall and tag_height is None else "2"
        sigma = 0.0
        if tag_height is None:
            over_a_floor = float(heights.min()) <= HIGHEST_ROOM_M
            tag_height = min(1.0 if over_a_floor else np.inf, float(heights.mean()))
            differ = float(np.ptp(heights)) >= TELLING_HEIGHTS_M
            sigma = UNSURE_HEIGHT_M if differ or dimensions == "3" else 0.0
        return cls(anchors, int(dimensions), tag_height, height_sigma=sigma)

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Corners (D,) of where a tag is looked for: the anchors' box and `MARGIN_M` about it."""
        corners = self.anchors.positions[:, : self.dimensions]
        low, high = corners.min(axis=0) - MARGIN_M, corners.max(axis=0) + MARGIN_M
        if self.dimensions == 3:
            low[2] = min(low[2], self.tag_height - 1.0)
            high[2] = max(high[2], self.tag_height + 1.0)
        return low, high

    def bounds_around(self, position: FloatArray) -> tuple[FloatArray, FloatArray]:
        """`bounds`, and `MARGIN_M` about a position (D,) m, wherever it is."""
        low, high = self.bounds
        return np.minimum(low, position - MARGIN_M), np.maximum(high, position + MARGIN_M)

    def offsets(self, position: FloatArray, anchor: IntArray) -> FloatArray:
        """Vectors (..., N, 3) m from anchors (N,) to the tag at position (..., N or 1, D)."""
        places = self.anchors.positions[anchor]
        d = self.dimensions
        delta = np.empty((*position.shape[:-2], anchor.size, 3))
        delta[..., :d] = position - places[:, :d]
        if d == 2:
            delta[..., 2] = self.tag_height - places[:, 2]
        return delta

    def expected(self, position: FloatArray, anchor: IntArray) -> FloatArray:
        """Slant ranges (..., N) m, equation (13a), to anchors (N,) of a tag at (..., N or 1, D).

        A position per range (N) is where the tag was at each range's own stamp.
        """
        delta = self.offsets(position, anchor)
        return np.asarray(np.sqrt(np.einsum("...i,...i->...", delta, delta)))
