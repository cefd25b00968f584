# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings as batches of sequences. Nothing here looks at ground truth."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from locdreamer_ros.errors import InputError
from locdreamer_ros.integrity.first_fix import first_fix
from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian
from locdreamer_ros.locdreamer.world_model.model import Area
from locdreamer_ros.locdreamer.world_model.observation import Observation
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Anchors, Ranges, Site

LARGEST_SHIFT_M = 3.0
AREA_MARGIN_M = 0.5
ALIKE_SHARE = 0.95
"""Walks whose lengths differ by no more are cut to the shortest and run side by side."""
GAP_FACTOR = 3.0
"""Steps of a sequence may be this much longer than the median one."""


@dataclass(frozen=True, eq=False)
class Batch:
    """B sequences of T steps: the real ranges and where each begins.

    distance, asked (B, T, A); anchor (B, A, 3); dt (B, T) s; start: z_0^posterior (B, S).
    """

    distance: Tensor
    asked: Tensor
    anchor: Tensor
    dt: Tensor
    start: Gaussian

    @property
    def steps(self) -> int:
        """T."""
        return self.distance.shape[1]

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> Batch:
        """From what `tensors` gives."""
        distance, asked, anchor, dt, mean, covariance = tensors
        return cls(distance, asked, anchor, dt, Gaussian(mean, covariance))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of it."""
        start = (self.start.mean, self.start.covariance)
        return (self.distance, self.asked, self.anchor, self.dt, *start)

    def to(self, device: str) -> Batch:
        """The same on another device."""
        return Batch.of([value.to(device) for value in self.tensors])

    def at(self, t: int, memory: Tensor) -> Observation:
        """o_t: the ranges of step t, with the memory (B, A, M) of what came before."""
        return Observation(
            self.distance[:, t],
            self.asked[:, t],
            self.anchor,
            memory,
        )


def anchor_rows(anchors: Anchors, tag_height: float) -> Tensor:
    """(A, 3) m: x, y and how far a tag is above each anchor."""
    places = torch.tensor(anchors.positions, dtype=torch.float32)
    return torch.cat([places[:, :2], tag_height - places[:, 2:]], dim=1)


class Walks:
    """Recordings of the same anchors, ready to be cut into sequences.

    Raises InputError where no sequence of `steps` steps fits into any of them.
    """

    def __init__(self, recordings: Sequence[Recording], *, tag_height: float, steps: int) -> None:
        self.anchors = recordings[0].anchors
        self.steps = steps
        self.anchor = anchor_rows(self.anchors, tag_height)  # (A, 3)
        site = Site(self.anchors, 2, tag_height)
        self.step_s = float(np.median(np.concatenate([np.diff(r.times) for r in recordings])))
        # All walks below each other, so that a batch is cut by one index.
        self._lengths = [len(r) for r in recordings]
        self._first = np.cumsum([0, *self._lengths])
        every = [(r.times, r.ranges) for r in recordings]
        self._times = torch.tensor(np.concatenate([t for t, _ in every]), dtype=torch.float64)
        self._distance = torch.tensor(np.concatenate([d for _, d in every]), dtype=torch.float32)
        self._mean = torch.zeros(len(self._times), 4)
        self._covariance = torch.eye(4).repeat(len(self._times), 1, 1)
        self.starts: list[tuple[int, int]] = []
        for walk, recording in enumerate(recordings):
            self._first_fixes(walk, recording, site)
        if not self.starts:
            raise InputError(
                f"{recordings[0].where}: no stretch of {steps + 1} fixes {self.step_s:g} s apart "
                "that begins with ranges of at least 3 anchors"
            )

    def _first_fixes(self, walk: int, recording: Recording, site: Site) -> None:
        """Where a sequence may begin, and the first fix there."""
        epochs = len(recording)
        rows = np.arange(len(site.anchors))
        for epoch in range(epochs - self.steps):
            gaps = np.diff(recording.times[epoch : epoch + self.steps + 1])
            if gaps.max() > GAP_FACTOR * self.step_s:
                continue
            ranges = Ranges.of(rows, recording.ranges[epoch], float(recording.times[epoch]))
            fix = first_fix(site, ranges, time=float(recording.times[epoch]))
            if fix is None:
                continue
            row = self._first[walk] + epoch
            self._mean[row] = torch.tensor(fix.mean)
            self._covariance[row] = torch.tensor(fix.covariance)
            self.starts.append((walk, epoch))

    def __len__(self) -> int:
        return len(self._lengths)

    def cut(self, starts: Sequence[tuple[int, int]]) -> Batch:
        """The sequences that begin at these (walk, epoch): step 1 is the epoch after."""
        begin = torch.tensor([int(self._first[w]) + e for w, e in starts])
        index = begin[:, None] + torch.arange(self.steps + 1)  # (B, T + 1)
        times, distance = self._times[index], self._distance[index[:, 1:]]
        asked = torch.isfinite(distance) & (distance > 0.0)
        return Batch(
            torch.where(asked, distance, 0.0),
            asked,
            self.anchor.expand(len(starts), *self.anchor.shape),
            times.diff(dim=1).float(),
            Gaussian(self._mean[begin], self._covariance[begin]),
        )

    def draw(self, batch: int, generator: torch.Generator) -> Batch:
        """`batch` random sequences."""
        picks = torch.randint(len(self.starts), (batch,), generator=generator).tolist()
        return self.cut([self.starts[i] for i in picks])

    def in_order(self) -> Batch:
        """Sequences that follow each other, for validation: the same every time."""
        taken: list[tuple[int, int]] = []
        for walk, epoch in self.starts:
            last = taken[-1] if taken else (-1, 0)
            if walk != last[0] or epoch >= last[1] + self.steps:
                taken.append((walk, epoch))
        return self.cut(taken)

    def whole(self) -> list[Batch]:
        """Each walk as one long sequence from its first possible start; alike ones together."""
        first: dict[int, int] = {}
        for walk, epoch in self.starts:
            first.setdefault(walk, epoch)
        lengths = {w: self._lengths[w] - 1 - e for w, e in first.items()}
        usual = self.steps
        batches = []
        if min(lengths.values()) >= ALIKE_SHARE * max(lengths.values()):
            self.steps = min(lengths.values())
            batches.append(self.cut(list(first.items())))
        else:
            for walk, epoch in first.items():
                self.steps = lengths[walk]
                batches.append(self.cut([(walk, epoch)]))
        self.steps = usual
        return batches

    @property
    def digest(self) -> str:
        """SHA-256 over times, ranges and anchors: which data a model was trained on."""
        total = hashlib.sha256(self.anchor.numpy().tobytes())
        for times, distance in zip(
            self._times.split(self._lengths), self._distance.split(self._lengths), strict=True
        ):
            total.update(times.numpy().tobytes())
            total.update(distance.numpy().tobytes())
        return total.hexdigest()


def cat(several: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
    """Each of the tensors (B, ...) of several seeds as one; all as short as the shortest."""
    if len(several) == 1:
        return tuple(several[0])
    size = min(len(tensors[0]) for tensors in several)
    return tuple(torch.cat([x[:size] for x in each]) for each in zip(*several, strict=True))


def side_by_side(batches: Sequence[Batch], device: str) -> Batch:
    """The batches of several seeds as one, on a device."""
    return Batch.of(cat([batch.tensors for batch in batches])).to(device)


def area_of(*anchors: Anchors) -> Area:
    """The rectangle around all these anchors, and `AREA_MARGIN_M` about it, m."""
    corners = np.concatenate([a.positions[:, :2] for a in anchors])
    low, high = corners.min(axis=0) - AREA_MARGIN_M, corners.max(axis=0) + AREA_MARGIN_M
    return Area((float(low[0]), float(low[1])), (float(high[0]), float(high[1])))


def moved(batch: Batch, area: Area, generator: torch.Generator) -> Batch:
    """The same sequences in a world turned, mirrored and shifted (E(2)), each its own way.

    Ranges do not change with it; whatever a model learns of absolute places is thereby unlearned.
    """
    size = batch.anchor.shape[0]
    angle = 2.0 * torch.pi * torch.rand(size, generator=generator)
    mirror = torch.where(torch.rand(size, generator=generator) < 0.5, -1.0, 1.0)
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([cos, -sin * mirror, sin, cos * mirror], dim=-1).view(size, 2, 2)
    centre = torch.tensor(area.centre)
    shift = LARGEST_SHIFT_M * (2.0 * torch.rand(size, 2, generator=generator) - 1.0)
    both = torch.zeros(size, 4, 4)
    both[:, :2, :2] = turn
    both[:, 2:, 2:] = turn
    anchor = torch.cat(
        [
            (batch.anchor[..., :2] - centre) @ turn.transpose(1, 2) + (centre + shift)[:, None],
            batch.anchor[..., 2:],
        ],
        dim=-1,
    )
    offset = torch.cat([centre.expand(size, 2), torch.zeros(size, 2)], dim=-1)
    mean = (both @ (batch.start.mean - offset)[..., None])[..., 0] + offset
    mean = mean + torch.cat([shift, torch.zeros(size, 2)], dim=-1)
    start = Gaussian(mean, both @ batch.start.covariance @ both.transpose(1, 2))
    return Batch(batch.distance, batch.asked, anchor, batch.dt, start)
