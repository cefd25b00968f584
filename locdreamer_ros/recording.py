# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording that holds ranges of all anchors, and the range source that answers from it.

Loaders (`datasets`) and the simulator both make a `Recording`; nothing downstream knows which.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.motion import LOOK_BACK_S, MotionBuffer
from locdreamer_ros.types import Anchors, BoolArray, FloatArray, IntArray, Motion, Ranges


@dataclass(frozen=True, eq=False)
class Recording:
    """Epochs in time order.

    times (T,) s, strictly increasing; ranges (T, A) m, NaN where there is none; truth (T, 3) m or
    None: only the evaluator may look at it; stamps (T, A) s or None where a range has its epoch's
    time; nlos (T, A) 0..1 or None; rx_power, first_path_power (T, A) dBm or None.
    odometry (T, 3) or None: x m, y m, yaw rad in the odometry's own frame; turn_rate (T,) or None:
    rad/s about the vertical, of a gyro. NaN where unknown.
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

    def __post_init__(self) -> None:
        shape = (self.times.size, len(self.anchors))
        for what in ("ranges", "stamps", "nlos", "rx_power", "first_path_power"):
            value = getattr(self, what)
            if value is not None and value.shape != shape:
                raise InputError(f"{self.name}: {what}: expected {shape}, got {value.shape}")
        epochs = self.times.size
        for what, expected in (
            ("truth", (epochs, 3)),
            ("odometry", (epochs, 3)),
            ("turn_rate", (epochs,)),
        ):
            value = getattr(self, what)
            if value is not None and value.shape != expected:
                raise InputError(f"{self.name}: {what}: expected {expected}, got {value.shape}")
        if self.times.size == 0:
            raise InputError(f"{self.name}: no epochs")
        if not (np.diff(self.times) > 0.0).all():
            row = int(np.argmax(np.diff(self.times) <= 0.0)) + 1
            raise InputError(f"{self.name}: epoch {row}: times must increase")

    def __len__(self) -> int:
        return self.times.size

    def only(self, ids: tuple[str, ...]) -> Recording:
        """The same recording with only these anchors."""
        rows = self.anchors.rows(ids)

        def pick(values: FloatArray | None) -> FloatArray | None:
            return None if values is None else values[:, rows]

        return replace(
            self,
            anchors=self.anchors.subset(ids),
            ranges=self.ranges[:, rows],
            stamps=pick(self.stamps),
            nlos=pick(self.nlos),
            rx_power=pick(self.rx_power),
            first_path_power=pick(self.first_path_power),
        )

    def rows(self, which: BoolArray | slice) -> Recording:
        """The same recording with only these epochs."""

        def pick(values: FloatArray | None) -> FloatArray | None:
            return None if values is None else values[which]

        return replace(
            self,
            times=self.times[which],
            ranges=self.ranges[which],
            truth=pick(self.truth),
            stamps=pick(self.stamps),
            nlos=pick(self.nlos),
            rx_power=pick(self.rx_power),
            first_path_power=pick(self.first_path_power),
            odometry=pick(self.odometry),
            turn_rate=pick(self.turn_rate),
        )

    def motion(self, previous: int, epoch: int) -> Motion | None:
        """What wheels and gyro say of the time from epoch `previous` to `epoch`; None: nothing.

        What a node would know at `epoch` that has heard all so far: see `odometry.MotionBuffer`.
        """
        if self.odometry is None and self.turn_rate is None:
            return None
        buffer = MotionBuffer()
        start, end = float(self.times[previous]), float(self.times[epoch])
        ends = [previous, epoch]
        first = previous
        if not all(
            v is None or np.isfinite(v[ends]).all() for v in (self.odometry, self.turn_rate)
        ):
            first = max(int(np.searchsorted(self.times, start - LOOK_BACK_S)) - 1, 0)
        for row in range(first, epoch + 1):
            time = float(self.times[row])
            if self.odometry is not None and np.isfinite(self.odometry[row]).all():
                buffer.add_pose(time, *map(float, self.odometry[row]))
            if self.turn_rate is not None and np.isfinite(self.turn_rate[row]):
                buffer.add_rate(time, float(self.turn_rate[row]))
        return buffer.between(start, end)


class RecordingSource:
    """RangeSource that releases, of the epoch at the deadline, only the ranges asked for."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    @property
    def anchors(self) -> Anchors:
        """All anchors of the recording."""
        return self.recording.anchors

    def measure(self, anchor: IntArray, deadline: float) -> Ranges:
        """Answer from the last epoch at or before `deadline` s; InputError before the first."""
        record = self.recording
        # Half a nanosecond of grace: a time that went through a ROS stamp may come back smaller.
        epoch = int(np.searchsorted(record.times, deadline + 5e-10, side="right")) - 1
        if epoch < 0:
            raise InputError(f"{record.name}: no epoch at or before {deadline:.3f} s")

        def pick(values: FloatArray | None) -> FloatArray | None:
            return None if values is None else values[epoch, anchor]

        stamps = pick(record.stamps)
        return Ranges.of(
            anchor,
            record.ranges[epoch, anchor],
            float(record.times[epoch]) if stamps is None else stamps,
            nlos_probability=pick(record.nlos),
            rx_power=pick(record.rx_power),
            first_path_power=pick(record.first_path_power),
        )
