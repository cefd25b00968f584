# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A map over the floor, for each anchor, of by how much its ranges are too long there.

Nodes of a grid hold a running mean and its weight; what lies between is bilinear. All of it is
bounded: the number of nodes, the values, the weights, and so how slowly it forgets.

Shape legend: X, Y nodes of the grid, A anchors, K ranges of one update.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import replaced
from locdreamer_ros.types import BoolArray, FloatArray, IntArray, Site

CELL_M = 0.5
MOST_NODES = 20_000
"""A larger floor gets wider cells."""
LIMITS_M = (-1.0, 2.0)
"""Between these all values are kept."""
STEP_M = 0.3
"""One residual moves a mean as if it were no farther from it: late and wild ranges are many."""
MOST_WEIGHT = 20.0
"""More is forgotten: a mean is over about so many passes."""
HALF_SURE = 1.0
"""Weight at which the confidence is one half."""
RIDGE = 0.1
TRUST_KEEP = 0.97
"""Of the running means of misfit with and without the map, per range."""
OWN_SLACK = 0.1
PROVEN = 0.1
"""A map that takes away so much of the misfit is believed fully."""
WRONG = 1.15
"""What it makes so much worse is forgotten."""
FORMAT = 1


class PlaceMemory:
    """mean (X, Y, A) m and weight (X, Y, A) at the nodes."""

    def __init__(self, site: Site) -> None:
        self.site = site
        low, high = (corner[:2] for corner in site.bounds)
        area = float(np.prod(high - low))
        self.cell = max(CELL_M, math.sqrt(area / MOST_NODES))
        self._low = low
        self._shape = np.ceil((high - low) / self.cell).astype(np.intp) + 2
        self.mean = np.zeros((*self._shape, len(site.anchors)))
        self.weight = np.zeros_like(self.mean)
        self._misfit = np.full((2, len(site.anchors)), 0.1)
        nodes = np.stack(
            np.meshgrid(
                *(low[i] + self.cell * np.arange(self._shape[i]) for i in (0, 1)), indexing="ij"
            ),
            axis=-1,
        )
        delta = nodes[:, :, None] - site.anchors.positions[:, :2]
        height = site.anchors.positions[:, 2] - site.tag_height
        distance = np.sqrt((delta**2).sum(axis=-1) + height**2 + 0.01)
        self._direction = delta / distance[..., None]  # (X, Y, A, 2)

    def _corners(self, position: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
        """The four nodes around position (2,) m and their shares (4,)."""
        at = np.clip((position - self._low) / self.cell, 0.0, self._shape - 1.001)
        x, y = int(at[0]), int(at[1])
        f, g = at[0] - x, at[1] - y
        share = np.array([(1 - f) * (1 - g), f * (1 - g), (1 - f) * g, f * g])
        return np.array([x, x + 1, x, x + 1]), np.array([y, y, y + 1, y + 1]), share

    def read(self, position: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean (A,) m and confidence (A,) 0..1 at position (2,) m; nothing known: 0 and 0."""
        x, y, share = self._corners(position)
        weight = self.weight[x, y] * share[:, None]
        total = weight.sum(axis=0)
        mean = (weight * self.mean[x, y]).sum(axis=0) / np.maximum(total, 1e-9)
        confidence = total / (total + HALF_SURE) * self.trust
        return mean * confidence, confidence

    @property
    def trust(self) -> FloatArray:
        """(A,) 0..1: how well it is proven that the map explains residuals better than no map.

        By each anchor's own residuals and by all: a map of before furniture was moved proves itself
        nowhere, and is not used.
        """
        own = self._misfit[1] / self._misfit[0]
        ratio = np.maximum(own - OWN_SLACK, self._misfit[1].sum() / self._misfit[0].sum())
        return np.asarray(np.clip((1.0 - ratio) / PROVEN, 0.0, 1.0))

    def fold(
        self, position: FloatArray, anchor: IntArray, residual: FloatArray, weight: FloatArray
    ) -> None:
        """Learn from residuals (K,) m of anchors (K,) at position (2,) m, weighted (K,) >= 0."""
        x, y, share = self._corners(position)
        node = (x[:, None], y[:, None], anchor[None, :])
        mean, before = self.mean[node], self.weight[node]
        self._judge(anchor, residual, mean, before, share)
        add = share[:, None] * weight
        after = np.minimum(before + add, MOST_WEIGHT)
        step = np.clip(residual - mean, -STEP_M, STEP_M)
        mean = mean + np.minimum(add / np.maximum(after, 1e-9), 1.0) * step
        self.mean[node] = np.clip(mean, *LIMITS_M)
        self.weight[node] = after

    def _judge(
        self,
        anchor: IntArray,
        residual: FloatArray,
        mean: FloatArray,
        weight: FloatArray,
        share: FloatArray,
    ) -> None:
        """Compare what the map said before, where it said something, with saying nothing."""
        seen = share[:, None] * weight
        total = seen.sum(axis=0)
        told = (seen * mean).sum(axis=0) / np.maximum(total, 1e-9)
        sure = total / (total + HALF_SURE)
        rate = (1.0 - TRUST_KEEP) * sure
        for row, miss in enumerate((residual, residual - told * sure)):
            off = np.minimum(np.abs(miss), 2.0 * STEP_M)
            self._misfit[row, anchor] += rate * (off - self._misfit[row, anchor])
        wrong = self._misfit[1, anchor] > WRONG * self._misfit[0, anchor]
        if wrong.any():
            self._distrust(np.unique(anchor[wrong]))

    def _distrust(self, anchor: IntArray) -> None:
        """The place has changed: what these anchors (K,) are remembered by weighs little now."""
        self.weight[:, :, anchor] = np.minimum(self.weight[:, :, anchor], 0.3)
        self._misfit[1, anchor] = self._misfit[0, anchor]

    def relax(self, strength: float = 1.0) -> None:
        """Take out what looks like a shift of the position or a bias common to all anchors.

        Ranges alone cannot tell such a part of the map from an error of the tracker.
        """
        known: BoolArray = self.weight.sum(axis=-1) > 0.0
        direction, mean, weight = (v[known] for v in (self._direction, self.mean, self.weight))
        sure = weight / (weight + HALF_SURE)  # (M, A)
        look = np.concatenate([direction, np.ones((*sure.shape, 1))], axis=-1)
        information = np.einsum("ma,mai,maj->mij", sure, look, look)
        information += RIDGE * np.eye(3) * (1e-3 + sure.mean(axis=1))[:, None, None]
        gauge = np.linalg.solve(
            information, np.einsum("ma,mai,ma->mi", sure, look, mean)[..., None]
        )
        self.mean[known] = mean - strength * (look @ gauge)[..., 0]

    def doubted(self) -> PlaceMemory:
        """The same map, but it has to prove itself anew: as one that comes from a file."""
        twin = PlaceMemory(self.site)
        twin.mean, twin.weight = self.mean.copy(), self.weight.copy()
        twin._misfit = np.tile(self._misfit[0], (2, 1))
        return twin

    def save(self, path: Path) -> None:
        """Write the map, all or nothing."""
        anchors = self.site.anchors
        with replaced(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream,
                format=np.array(FORMAT),
                ids=np.array(anchors.ids),
                positions=anchors.positions,
                cell=np.array(self.cell),
                low=self._low,
                mean=self.mean.astype(np.float32),
                weight=self.weight.astype(np.float32),
                misfit=self._misfit,
            )

    def load(self, path: Path) -> None:
        """Read a map of this site. Raises InputError: not a map, or one of other anchors."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                found = {name: stored[name] for name in stored.files}
            ids, positions = tuple(map(str, found["ids"])), found["positions"]
            version, low, mean, weight = (found[k] for k in ("format", "low", "mean", "weight"))
            cell, misfit = float(found["cell"]), found["misfit"]
        except OSError as reason:
            raise InputError(f"{path}: cannot read: {reason.strerror or reason}") from None
        except Exception as reason:  # a broken archive raises anything
            raise InputError(f"{path}: not a memory of places: {reason}") from None
        if int(version) != FORMAT:
            raise InputError(f"{path}: format {version}, expected {FORMAT}")
        anchors = self.site.anchors
        if ids != anchors.ids or not np.allclose(positions, anchors.positions, atol=0.01):
            raise InputError(
                f"{path}: a memory of other anchors: it has {', '.join(ids)} and expects them "
                "where they were, within 1 cm; delete it or name another file"
            )
        same = mean.shape == weight.shape == self.mean.shape and misfit.shape == self._misfit.shape
        if not same or abs(cell - self.cell) > 1e-9 or not np.allclose(low, self._low):
            raise InputError(f"{path}: a memory of another floor: its grid differs")
        numbers = all(bool(np.isfinite(v).all()) for v in (mean, weight, misfit))
        if not numbers or float(weight.min()) < 0.0 or not (misfit > 0.0).all():
            raise InputError(f"{path}: not a memory of places: impossible numbers")
        self.mean = np.clip(mean.astype(np.float64), *LIMITS_M)
        self.weight = np.minimum(weight.astype(np.float64), MOST_WEIGHT)
        # What was proven then must be proven again: anything may have been moved since.
        self._misfit = np.tile(misfit[0].astype(np.float64), (2, 1))


def remembered(site: Site, file: str) -> PlaceMemory:
    """The memory in `file`, where there is one; else an empty one. Raises InputError: not a map."""
    memory = PlaceMemory(site)
    if file and Path(file).exists():
        memory.load(Path(file))
    return memory
