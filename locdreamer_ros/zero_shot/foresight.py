# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Foresight of the zero-shot tracker, computed when asked for: most schedulers do not ask."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from locdreamer_ros.types import FloatArray, Foresight, Site

COMMON, FIRST = 4, 5


class Foreseen(Foresight):
    """What a state (N,) with covariance (N, N) expects of a range of each anchor, biases and all.

    Both arrays are kept, not copied: whoever made them must not change them any more.
    """

    def __init__(self, site: Site, mean: FloatArray, covariance: FloatArray) -> None:
        # Frozen like its parent, whose numbers are properties here.
        self.__dict__.update(_site=site, _mean=mean, _covariance=covariance)

    @cached_property
    def position(self) -> FloatArray:
        """(2, 2) m^2."""
        covariance: FloatArray = self.__dict__["_covariance"]
        return np.array(covariance[:2, :2])

    @cached_property
    def cross(self) -> FloatArray:
        """(A, 2) m^2."""
        return self._spread_and_ranges[0][:, :2]

    @cached_property
    def ranges(self) -> FloatArray:
        """(A, A) m^2."""
        return self._spread_and_ranges[1]

    @cached_property
    def _spread_and_ranges(self) -> tuple[FloatArray, FloatArray]:
        site, mean, covariance = (self.__dict__[k] for k in ("_site", "_mean", "_covariance"))
        count = len(site.anchors)
        own = np.arange(count) + FIRST
        local = own + count
        delta = site.offsets(mean[:2][None], np.arange(count))
        direction = delta[:, :2] / np.sqrt((delta * delta).sum(axis=1) + 1e-4)[:, None]
        spread = (
            direction @ covariance[:2] + covariance[COMMON] + covariance[own] + covariance[local]
        )
        ranges = (
            spread[:, :2] @ direction.T
            + spread[:, COMMON, None]
            + spread[:, own]
            + spread[:, local]
        )
        return spread, ranges
