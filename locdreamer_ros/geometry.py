# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Slant ranges and their directions, said once for trackers, schedulers and first fixes."""

from __future__ import annotations

import numpy as np

from locdreamer_ros.types import FloatArray

FLOOR_M = 0.01
"""Least range: so the direction to an anchor that the tag touches stays finite."""


def slant(offset: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slant ranges (...) m and unit directions (..., 3) of offsets (..., 3) m, anchor to tag.

    The direction is the range's gradient in the tag's position, equation (13a).
    """
    square = np.einsum("...i,...i->...", offset, offset)
    distance = np.maximum(np.sqrt(square), FLOOR_M)
    return distance, offset / distance[..., None]
