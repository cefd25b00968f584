# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A learned table in a file: which anchors to ask, by where the tag may be. Needs only numpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import read_arrays, replaced
from locdreamer_ros.types import Anchors, FloatArray, IntArray

VERSION = 1
FAMILIAR_SHARE = 0.3
"""Least share of the belief in zones where something was learned."""
REACH = 3.0
"""Sigmas round the mean over which values are averaged."""


@dataclass(frozen=True, eq=False)
class Policy:
    """values (Z, M) of M subsets (M, K) of anchors, NaN rows where nothing was learned.

    Zones are squares of `zone` m from the corner `low` (2,) m, `columns` along x, row by row.
    """

    anchors: Anchors
    low: FloatArray
    zone: float
    columns: int
    subsets: IntArray
    values: FloatArray

    @property
    def budget(self) -> int:
        """K."""
        return int(self.subsets.shape[1])

    @property
    def centres(self) -> FloatArray:
        """(Z, 2) m."""
        index = np.arange(len(self.values))
        cells = np.stack([index % self.columns, index // self.columns], axis=-1)
        return np.asarray(self.low + self.zone * (cells + 0.5))

    def zones(self, position: FloatArray) -> IntArray:
        """Zone (T,) of horizontal positions (T, 2) m; the nearest one for those outside."""
        rows = len(self.values) // self.columns
        cell = np.floor((position - self.low) / self.zone).astype(np.intp)
        x = np.clip(cell[..., 0], 0, self.columns - 1)
        return np.asarray(np.clip(cell[..., 1], 0, rows - 1) * self.columns + x)

    def choose(self, mean: FloatArray, covariance: FloatArray) -> IntArray | None:
        """Rows (K,) of the subset of most value over a belief N(mean (2,), covariance (2, 2)).

        None where too little of the belief is in zones that were learned.
        """
        # A zone is wide: its half width is part of how far its value holds.
        spread = covariance + np.eye(2) * self.zone**2 / 12.0
        delta = self.centres - mean
        square = np.einsum("zi,ij,zj->z", delta, np.linalg.inv(spread), delta)
        weight = np.where(square <= REACH**2, np.exp(-0.5 * square), 0.0)
        known = np.isfinite(self.values[:, 0]) & (weight > 0.0)
        # What the whole belief would weigh, were it spread over zones without end.
        whole = 2.0 * np.pi * float(np.sqrt(np.linalg.det(spread))) / self.zone**2
        if weight[known].sum() < FAMILIAR_SHARE * whole:
            return None
        return np.asarray(self.subsets[int(np.argmax(weight[known] @ self.values[known]))])

    def save(self, path: Path) -> None:
        """Write an .npz without pickles, all or nothing. Raises InputError."""
        with replaced(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(
                stream,
                version=np.array(VERSION),
                ids=np.array(self.anchors.ids, dtype=np.str_),
                positions=self.anchors.positions,
                low=self.low,
                zone=np.array(self.zone),
                columns=np.array(self.columns),
                subsets=self.subsets,
                values=self.values,
            )

    @classmethod
    def load(cls, path: Path) -> Policy:
        """From a file. Raises InputError where it is not such a file, or its parts do not fit."""
        file = read_arrays(path, "a model of `locdreamer juno train`")
        try:
            if "values" not in file or int(file["version"]) != VERSION:
                raise InputError(f"{path}: expected a model of `locdreamer juno train`")
            policy = cls(
                Anchors(tuple(map(str, file["ids"])), file["positions"].astype(np.float64)),
                file["low"].astype(np.float64),
                float(file["zone"]),
                int(file["columns"]),
                file["subsets"].astype(np.intp),
                file["values"].astype(np.float64),
            )
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, IndexError, OverflowError):
            raise InputError(f"{path}: expected a model of `locdreamer juno train`") from None
        policy._check(path)
        return policy

    def _check(self, path: Path) -> None:
        shape = (
            self.values.shape[0] if self.values.ndim else 0,
            self.subsets.shape[0] if self.subsets.ndim else 0,
        )
        fits = (
            self.values.ndim == 2
            and self.subsets.ndim == 2
            and self.values.shape == shape
            and self.low.shape == (2,)
            and np.isfinite(self.low).all()
            and 0.0 < self.zone < np.inf
            and self.columns > 0
            and shape[0] > 0
            and shape[0] % self.columns == 0
            and self.subsets.size > 0
            and self.subsets.min() >= 0
            and self.subsets.max() < len(self.anchors)
        )
        if not fits:
            raise InputError(f"{path}: damaged: the parts of the model do not fit together")

    def at(self, anchors: Anchors) -> Policy:
        """The same policy for a site that lists the same anchors in another order.

        Raises InputError where the site has others, or has them elsewhere.
        """
        if set(anchors.ids) != set(self.anchors.ids):
            raise InputError(
                f"juno: the model was trained for anchors {', '.join(self.anchors.ids)}; "
                f"the site has {', '.join(anchors.ids)}"
            )
        rows = anchors.rows(self.anchors.ids)
        moved = np.abs(anchors.positions[rows] - self.anchors.positions).max(axis=1)
        if moved.max() > 0.1:
            worst = int(np.argmax(moved))
            raise InputError(
                f"juno: anchor {self.anchors.ids[worst]} stands {moved[worst]:.2f} m from where it "
                "was in training; train again"
            )
        return Policy(
            anchors, self.low, self.zone, self.columns, np.sort(rows[self.subsets]), self.values
        )
