# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of docs/simulator.md: range errors, and trackers in the house and the laboratory.

python benchmarks/simulator.py [--seeds 20]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from locdreamer_ros.evaluation.intervals import mean_interval
from locdreamer_ros.evaluation.run import evaluate
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import FloatArray, Site

HOUSE = (
    ("ekf", "paper", "random", 3),
    ("ekf", "paper", "all", 5),
    ("robust-ekf", "", "random", 3),
    ("grid", "", "gdop", 3),
    ("grid", "", "all", 5),
    ("particle", "", "gdop", 3),
    ("particle", "", "all", 5),
)
LAB = (
    ("ekf", "calibrated", "random", 3),
    ("ekf", "calibrated", "all", 8),
    ("bias-ekf", "", "random", 3),
    ("bias-ekf", "", "all", 8),
)


def range_errors(environment: str, seeds: int) -> None:
    """Print mean, sigma and quantiles of the errors of ranges received, and the drop-outs."""
    everything: list[FloatArray] = []
    for seed in range(seeds):
        recording = simulate(environment, duration=120.0, rate=2.0, seed=seed)
        assert recording.truth is not None
        distance = np.linalg.norm(recording.truth[:, None] - recording.anchors.positions, axis=-1)
        everything.append((recording.ranges - distance).ravel())
    error = np.concatenate(everything)
    received = error[np.isfinite(error)]
    quantiles = " ".join(f"{q:6.2f}" for q in np.quantile(received, [0.1, 0.5, 0.9, 0.99]))
    print(
        f"{environment:7s} mean {received.mean():6.3f}  std {received.std():.3f}  "
        f"p10 p50 p90 p99 {quantiles}  drop-outs {100.0 * (1.0 - received.size / error.size):.1f} %"
    )


def trackers(
    environment: str,
    methods: Sequence[tuple[str, str, str, int]],
    *,
    rate: float,
    duration: float,
    seeds: int,
) -> None:
    """Print MAE with its 95 % interval, RMSE, p50 and p90 of each method, means over seeds."""
    print(f"\n{environment}, {rate:g} Hz, {duration:g} s, {seeds} seeds")
    scores: dict[tuple[str, str, str, int], list[list[float]]] = {m: [] for m in methods}
    for seed in tqdm(range(seeds), leave=False, unit="seed"):
        recording = simulate(environment, duration=duration, rate=rate, seed=seed)
        site = Site(recording.anchors, 2, make_world(environment, seed).tag_height)
        for method in methods:
            tracker, preset, scheduler, budget = method
            _, report = evaluate(
                recording,
                site=site,
                tracker=tracker,
                preset=preset,
                scheduler=scheduler,
                budget=budget,
                seed=seed,
            )
            scores[method].append([report[key] for key in ("mae", "rmse", "p50", "p90")])
    for (tracker, preset, scheduler, budget), values in scores.items():
        table = np.array(values)
        mae = mean_interval(table[:, 0])
        rest = " ".join(f"{v:6.3f}" for v in table[:, 1:].mean(axis=0))
        name = f"{tracker} {preset}".strip()
        print(
            f"{name:16s} {scheduler:6s} {budget}  MAE {mae.mean:.3f} +- {mae.half_width:.3f}  "
            f"RMSE p50 p90 {rest}"
        )


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    for environment in ("house", "hall", "lab"):
        range_errors(environment, seeds)
    trackers("house", HOUSE, rate=1.0, duration=200.0, seeds=seeds)
    trackers("house", HOUSE, rate=10.0, duration=200.0, seeds=max(2, seeds // 2))
    trackers("lab", LAB, rate=10.0, duration=130.0, seeds=max(2, seeds // 2))


if __name__ == "__main__":
    main()
