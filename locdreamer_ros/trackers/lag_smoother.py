# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a Kalman filter thinks of a while ago, knowing what came since: Rauch-Tung-Striebel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from locdreamer_ros.types import FloatArray

LAG = 15
EVERY = 10

Note = TypeVar("Note")


@dataclass(frozen=True, eq=False)
class Moment(Generic[Note]):
    """One step: mean (N,), covariance (N, N) after it; prior (N,), wide (N, N) before its update.

    transition (N, N): from the step before. note: whatever the step is remembered by.
    """

    mean: FloatArray
    covariance: FloatArray
    prior: FloatArray
    wide: FloatArray
    transition: FloatArray
    note: Note


class LagSmoother(Generic[Note]):
    """Keeps `LAG` to `LAG + EVERY` steps; those older come out, seen from now."""

    def __init__(self) -> None:
        self._kept: list[Moment[Note]] = []

    def clear(self) -> None:
        """Forget all."""
        self._kept = []

    def add(self, moment: Moment[Note]) -> list[tuple[Note, FloatArray, FloatArray]]:
        """Notes, oldest first, with smoothed mean (N,) and covariance (N, N); mostly none."""
        if self._kept and self._kept[-1].mean.size != moment.mean.size:
            self.clear()  # another state: what was before cannot be seen from here
        self._kept.append(moment)
        if len(self._kept) < LAG + EVERY:
            return []
        ripe = list(smoothed(self._kept))[::-1][:EVERY]
        self._kept = self._kept[EVERY:]
        return ripe


def smoothed(moments: Sequence[Moment[Note]]) -> Iterator[tuple[Note, FloatArray, FloatArray]]:
    """Notes with smoothed mean (N,) and covariance (N, N), the newest moment's first."""
    last = moments[-1]
    mean, covariance = last.mean, last.covariance
    yield last.note, mean, covariance
    ridge = 1e-9 * np.eye(mean.size)
    for after, here in zip(moments[:0:-1], moments[-2::-1], strict=True):
        gain = np.linalg.solve(after.wide + ridge, after.transition @ here.covariance).T
        mean = here.mean + gain @ (mean - after.prior)
        covariance = here.covariance + gain @ (covariance - after.wide) @ gain.T
        yield here.note, mean, covariance
