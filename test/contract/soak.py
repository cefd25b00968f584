# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The default tracker for hours of the recording's time: what its process grows by.

`python test/contract/soak.py HOURS SEED`, with the repository on PYTHONPATH, prints JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros.loop import Loop
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import EpochSource, RecordingSource
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Site

RATE_HZ, WALK_S = 10.0, 600.0
WARM = 0.1
"""Of the time: what grows in it is not counted."""


def resident_mb() -> float:
    """Memory of this process, MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * 4096 / 1e6


def soaked(hours: float, seed: int) -> dict[str, Any]:
    """Walk to and fro at 10 Hz, so that no end of a walk is a jump."""
    drawn = simulate("house", duration=WALK_S, rate=RATE_HZ, seed=seed)
    walk = replace(drawn, nlos=None, rx_power=None, first_path_power=None)
    site = Site.of(walk.anchors, "2", make_world("house", seed).tag_height)
    method = Method(seed=seed)
    loop = Loop(method.make_tracker(site), method.make_scheduler(site), site, budget=method.budget)
    memory: list[float] = []
    total, worst, count = 0.0, 0.0, 0  # a list of them would be the growth
    for turn in range(round(hours * 3600.0 / WALK_S)):
        now = replace(walk, times=walk.times + turn * len(walk.times) / RATE_HZ)
        source, truth = RecordingSource(now), now.truth
        assert truth is not None
        for row, time in enumerate(now.times.tolist()):
            estimate = loop.step(EpochSource(source, row), time).estimate
            if estimate is not None:
                off = float(np.hypot(*(estimate.position[:2] - truth[row, :2])))
                total, worst, count = total + off, max(worst, off), count + 1
            if row % 600 == 0:
                memory.append(resident_mb())
        walk = replace(walk, ranges=walk.ranges[::-1], truth=truth[::-1])
    loop.close()
    warm = memory[round(WARM * len(memory)) :]
    edge = max(len(warm) // 10, 1)
    return {
        "hours": hours,
        "growth_mb": float(np.median(warm[-edge:]) - np.median(warm[:edge])),
        "mae": total / count,
        "max": worst,
    }


if __name__ == "__main__":
    print(json.dumps(soaked(float(sys.argv[1]), int(sys.argv[2]))))
