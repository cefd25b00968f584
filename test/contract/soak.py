# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The default tracker for hours of the recording's time: what its process grows by.

`python test/contract/soak.py HOURS SEED`, with the repository on PYTHONPATH, prints JSON.
"""

from __future__ import annotations

import json
import sys
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
    walk = simulate("house", duration=WALK_S, rate=RATE_HZ, seed=seed)
    site = Site.of(walk.anchors, "2", make_world("house", seed).tag_height)
    method = Method(seed=seed)
    loop = Loop(method.make_tracker(site), method.make_scheduler(site), site, budget=method.budget)
    source = RecordingSource(walk)
    length, count = len(walk.times), round(hours * 3600.0 * RATE_HZ)
    memory, wrong = [], []
    for step in range(count):
        turn, row = divmod(step, length)
        row = length - 1 - row if turn % 2 else row
        made = loop.step(EpochSource(source, row), step / RATE_HZ)
        if walk.truth is not None and made.estimate is not None:
            wrong.append(float(np.hypot(*(made.estimate.position[:2] - walk.truth[row, :2]))))
        if step % 600 == 0:
            memory.append(resident_mb())
    loop.close()
    warm = memory[round(WARM * len(memory)) :]
    edge = max(len(warm) // 10, 1)
    return {
        "hours": hours,
        "growth_mb": float(np.median(warm[-edge:]) - np.median(warm[:edge])),
        "mae": float(np.mean(wrong)),
        "max": float(np.max(wrong)),
    }


if __name__ == "__main__":
    print(json.dumps(soaked(float(sys.argv[1]), int(sys.argv[2]))))
