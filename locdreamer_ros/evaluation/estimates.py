# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A track as CSV: `t_s,x,y,vx,vy,cov_xx,cov_xy,cov_yy` in 2-D, with z in 3-D; m, m/s and m^2.

Each number is the shortest text that reads back as the same float: map coordinates (UTM) keep
their millimetres, times of day theirs.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np

from locdreamer_ros.evaluation.metrics import Track
from locdreamer_ros.files import write_atomically


def save_estimates(path: Path, track: Track) -> None:
    """Write the estimates, none where there is no fix; the covariance is the position's."""
    axes = "xyz"[: track.dimensions]
    pairs = list(combinations_with_replacement(range(track.dimensions), 2))
    names = ["t_s", *axes, *(f"v{axis}" for axis in axes)]
    names += [f"cov_{axes[i]}{axes[j]}" for i, j in pairs]
    upper = track.covariance[:, [i for i, _ in pairs], [j for _, j in pairs]]
    table = np.column_stack([track.times, track.mean, upper])[track.known]
    with write_atomically(path) as stream:
        stream.write(",".join(names) + "\n")
        for row in table.tolist():
            stream.write(",".join(map(repr, row)) + "\n")
