# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks by name. To add one: a module with `run(settings) -> Result`, and a line here."""

from __future__ import annotations

import importlib

from locdreamer_ros.benchmarks.result import Result, Settings
from locdreamer_ros.errors import InputError

BENCHMARKS = {
    "house": "trackers and schedulers in the simulated house, against the paper's EKF",
    "lias": "trackers and schedulers on recordings (--recording, --anchors)",
    "real": "trackers and schedulers on every recording of a folder (--data), against the best",
    "trust": "broken anchors, false alarms, silence: right, or says that it is not",
    "contract": "what is promised under faults: kills, lost packets, damaged files, interrupts",
    "latency": "time per step, and for a recording of ten minutes",
    "gpu": "a step of the world model on the processor and on CUDA, for one tag and for 10,000",
    "fleet": "many tags in one process: steps a second; air time by information and in turn",
    "graph": "tracker_node over real topics: range to pose beside an echo node, fixes/s, memory",
    "driver": "the serial driver: families, recovery, lost bytes, overhead",
    "simulator": "range errors, and trackers in the simulated house and laboratory",
    "tdoa": "trackers on time differences, and on the same receptions as ranges",
    "juno": "the JUNO paper's Figures 2 to 4 and RMSE, in rooms of its own",
    "zero-shot": "the shipped model where it was never trained, against the strongest peers",
    "table2": "the LocDreamer paper's Table 2, trained and tested in the simulated house",
    "train": "how long LocDreamer's training takes, for one model and for table2 whole",
    "bregar": "the LocDreamer paper's Table 2 on Bregar's data set (--data)",
    "figures": "the LocDreamer paper's Figures 3, 4 and 5, in the simulated house",
    "reward": "a fair reward for LocDreamer's policy, against foresight and GDOP",
}


def run_benchmark(name: str, settings: Settings) -> Result:
    """Run the named benchmark. Raises InputError for an unknown name or settings it cannot use."""
    if name not in BENCHMARKS:
        raise InputError(f"unknown benchmark {name!r}; expected one of {', '.join(BENCHMARKS)}")
    result = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").run(settings)
    assert isinstance(result, Result)
    return result
