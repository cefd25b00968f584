# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording that holds ranges of all anchors, and the range source that answers from it.

Loaders (`datasets`) and the simulator both make a `Recording`; nothing downstream knows which.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locdreamer_ros.errors import InputError
from locdreamer_ros.motion import LOOK_BACK_S, MotionBuffer
from locdreamer_ros.types import (
    Anchors,
    BoolArray,
    FloatArray,
    IntArray,
    Motion,
    Ranges,
)
from locdreamer_ros.unchanging import unchanging

COLUMNS_OF_QUALITY = {
    "nlos": "nlos_probability",
    "rx_power": "rx_power",
    "first_path_power": "first_path_power",
    "variance": "variance",
}
"""What a device may say of a range: its column in a recording, and its name in `Ranges`."""
OF_RANGES = ("ranges", "stamps", *COLUMNS_OF_QUALITY)
"""Tables (T, A) of a recording; None where there is none."""
OF_EPOCHS = {"truth": (3,), "odometry": (3,), "turn_rate": ()}
"""What it has of each epoch (T, ...), or None, with the shape of one."""
LATEST_S = 1e11
"""No clock counts that far: a larger number is no time in seconds."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Epochs in the order in which they were recorded.

    times (T,) s; equal ones follow each other, and they step back where the recorder's clock was
    set back or a bag began anew. ranges (T, A) m, NaN where there is none; truth (T, 3) m or None:
    only the evaluator may look at it; stamps (T, A) s or None where a range has its epoch's time;
    nlos (T, A) 0..1 or None; rx_power, first_path_power (T, A) dBm or None; variance (T, A) m^2 or
    None: what the sender states of a range.
    odometry (T, 3) or None: x m, y m, yaw rad in the odometry's own frame; turn_rate (T,) or None:
    rad/s about the vertical, of a gyro. NaN where unknown. file: where it was read from.
    differences: `ranges` are time differences, each epoch a blink that all anchors heard: its
    values share an unknown offset (`types.Ranges.differences`).
    """

    name: str
    anchors: Anchors
    times: FloatArray
    ranges: FloatArray
    truth: FloatArray | None = None
    stamps: FloatArray | None = None
    nlos: FloatArray | None = None
    rx_power: FloatArray | None = None
    first_path_power: FloatArray | None = None
    odometry: FloatArray | None = None
    turn_rate: FloatArray | None = None
    variance: FloatArray | None = None
    differences: bool = False
    file: str = ""

    @property
    def where(self) -> str:
        """What a complaint about it names: its file, else its name."""
        return self.file or self.name

    def __post_init__(self) -> None:
        epochs = self.times.size
        shapes: dict[str, tuple[int, ...]]
        shapes = dict.fromkeys(OF_RANGES, (epochs, len(self.anchors)))
        shapes |= {name: (epochs, *shape) for name, shape in OF_EPOCHS.items()}
        for what, expected in shapes.items():
            value = getattr(self, what)
            if value is not None and value.shape != expected:
                raise InputError(f"{self.name}: {what}: expected {expected}, got {value.shape}")
        if self.times.size == 0:
            raise InputError(f"{self.name}: no epochs")
        possible = np.abs(self.times) <= LATEST_S  # false for NaN
        if not possible.all():
            row = int(np.argmin(possible))
            raise InputError(f"{self.name}: epoch {row}: no time in seconds: {self.times[row]:g}")

    def __len__(self) -> int:
        return self.times.size

    @property
    def by_range(self) -> bool:
        """Whether its ranges have stamps or a quality of their own: more than a row per epoch."""
        return any(getattr(self, name) is not None for name in OF_RANGES[1:])

    def blind(self) -> Recording:
        """The same recording without what a device says of blocked links."""
        return replace(self, nlos=None, rx_power=None, first_path_power=None)

    def only(self, ids: tuple[str, ...]) -> Recording:
        """The same recording with only these anchors."""
        picked = self._picked(OF_RANGES, (slice(None), self.anchors.rows(ids)))
        return replace(self, anchors=self.anchors.subset(ids), **picked)

    def check_ranges(self) -> None:
        """Raises InputError where it holds time differences: for who can use ranges only."""
        if self.differences:
            raise InputError(f"{self.where}: expected ranges, it holds time differences (TDoA)")

    def as_differences(self) -> Recording:
        """The same epochs as blinks: less the first anchor's range, or the first that was heard.

        Such a recording holds what a TDoA system whose anchors' clocks agree would have measured:
        the tag sends, and nobody knows when. What a device says of each link is left out, as in
        the message; ranges with stamps of their own are taken as of the epoch's.
        """
        heard = np.isfinite(self.ranges)
        first = np.argmax(heard, axis=1)
        values = self.ranges - self.ranges[np.arange(len(self)), first][:, None]
        return replace(self.blind(), ranges=values, stamps=None, differences=True)

    def near(self, times: FloatArray, within: float) -> Recording:
        """Its epoch nearest each of times (n,) s, without ranges where none is within so many s."""
        order = np.argsort(self.times, kind="stable")
        stamps = self.times[order]
        after = np.searchsorted(stamps, times).clip(1, max(stamps.size - 1, 1))
        before = after - 1
        after = np.minimum(after, stamps.size - 1)
        nearer = np.abs(stamps[after] - times) < np.abs(stamps[before] - times)
        nearest = np.where(nearer, after, before)
        found = self.rows(order[nearest])
        far = np.abs(stamps[nearest] - times) > within
        return replace(found, ranges=np.where(far[:, None], np.nan, found.ranges))

    def rows(self, which: BoolArray | IntArray | slice) -> Recording:
        """The same recording with only these epochs."""
        picked = self._picked((*OF_RANGES, *OF_EPOCHS), which)
        return replace(self, times=self.times[which], **picked)

    def _picked(self, names: Iterable[str], which: Any) -> dict[str, Any]:
        """Of the arrays of these names, where there are any, what an index picks."""
        arrays = {name: getattr(self, name) for name in names}
        return {name: array[which] for name, array in arrays.items() if array is not None}

    def motion(self, previous: int, epoch: int) -> Motion | None:
        """What wheels and gyro say of the time from epoch `previous` to `epoch`; None: nothing.

        What a node would know at `epoch` that has heard all so far: see `motion.MotionBuffer`.
        """
        if self.odometry is None and self.turn_rate is None:
            return None
        start, end = float(self.times[previous]), float(self.times[epoch])
        if end <= start:
            return None
        buffer = MotionBuffer()
        ends = [previous, epoch]
        first = previous
        if not all(
            v is None or np.isfinite(v[ends]).all() for v in (self.odometry, self.turn_rate)
        ):
            # One row beyond, to interpolate from; never across a step back of the clock.
            while first > 0 and self.times[first - 1] <= self.times[first]:
                first -= 1
                if self.times[first] < start - LOOK_BACK_S:
                    break
        for row in range(first, epoch + 1):
            time = float(self.times[row])
            if row > first and time <= self.times[row - 1]:
                continue
            if self.odometry is not None and np.isfinite(self.odometry[row]).all():
                buffer.add_pose(time, *map(float, self.odometry[row]))
            if self.turn_rate is not None and np.isfinite(self.turn_rate[row]):
                buffer.add_rate(time, float(self.turn_rate[row]))
        return buffer.between(start, end)


class RecordingSource:
    """RangeSource that releases, of one epoch, only the ranges asked for."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._columns: dict[str, NDArray[Any]] = {
            name: values
            for column, name in COLUMNS_OF_QUALITY.items()
            if (values := getattr(recording, column)) is not None
        }
        self._columns["status"] = np.isnan(recording.ranges).astype(np.uint8)
        self._increasing = bool((np.diff(recording.times) >= 0.0).all())

    @property
    def anchors(self) -> Anchors:
        """All anchors of the recording."""
        return self.recording.anchors

    def answer(self, epoch: int, anchor: IntArray) -> Ranges:
        """The ranges of epoch `epoch` to anchors (N,): needed where times are equal or step back.

        A range that the epoch does not hold is a TIMEOUT.
        """
        record = self.recording
        # Row by row: with both indices at once numpy takes several times as long.
        quality = {name: values[epoch][anchor] for name, values in self._columns.items()}
        stamps = record.times.item(epoch)
        if record.stamps is not None:
            stamps = record.stamps[epoch][anchor]
        ranges = record.ranges[epoch][anchor]
        return Ranges.of(anchor, ranges, stamps, differences=record.differences, **quality)

    def measure(self, anchor: IntArray, deadline: float) -> Ranges:
        """Answer from the last epoch at or before `deadline` s; InputError before the first.

        Where times step back, that is the last recorded of those.
        """
        times = self.recording.times
        # Half a nanosecond of grace: a time that went through a ROS stamp may come back smaller.
        late = deadline + 5e-10
        if self._increasing:
            epoch = int(np.searchsorted(times, late, side="right")) - 1
        else:
            before = np.flatnonzero(times <= late)
            epoch = int(before[-1]) if before.size else -1
        if epoch < 0:
            raise InputError(f"{self.recording.name}: no epoch at or before {deadline:.3f} s")
        return self.answer(epoch, anchor)


@unchanging
class EpochSource:
    """RangeSource of one epoch of a recording: it is asked again until the fix is made."""

    source: RecordingSource
    epoch: int

    @property
    def anchors(self) -> Anchors:
        """All anchors of the recording."""
        return self.source.anchors

    def measure(self, anchor: IntArray, deadline: float) -> Ranges:
        """The epoch's ranges to anchors (N,)."""
        return self.source.answer(self.epoch, anchor)
