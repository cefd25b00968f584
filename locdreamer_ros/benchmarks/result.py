# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a benchmark is given, what it gives, and how that is written down."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from locdreamer_ros.evaluation.intervals import Interval, mean_interval
from locdreamer_ros.evaluation.tables import markdown, save_csv, save_json
from locdreamer_ros.files import write_atomically

Row = dict[str, Any]

VERSIONS = ("numpy", "scipy", "rosbags", "ros-rclpy", "torch")
MEASURES = (
    "mae",
    "rmse",
    "p50",
    "p90",
    "max",
    "ranges_per_fix",
    "nees",
    "coverage95",
    "step_us_p50",
    "step_us_p99",
)


@dataclass(frozen=True)
class Settings:
    """Seeds to repeat over, processes to use, and (recording, anchors or None) files to read.

    dask: address of a scheduler whose workers are used instead of processes here (empty: none).

    environment, bootstrap, deploy: the simulated place of the benchmarks that train, and the ids of
    the anchors with real ranges and of those imagined (empty: the place's own). noise: the head of
    the models' decoder (empty: the default). data: a folder of recordings.
    """

    seeds: tuple[int, ...]
    jobs: int = 1
    recordings: tuple[tuple[Path, Path | None], ...] = ()
    environment: str = "house"
    bootstrap: tuple[str, ...] = ()
    deploy: tuple[str, ...] = ()
    noise: str = ""
    data: Path | None = None
    dask: str = ""


@dataclass(frozen=True)
class Result:
    """rows: one per method, each measure with the half width of its interval as `<measure>_ci`.

    claims: one number per claim. columns: the keys that tables show, with their headings.
    draw: draws the picture to a path.
    """

    rows: Sequence[Row]
    claims: Mapping[str, float]
    columns: Mapping[str, str]
    draw: Callable[[Path], None]
    notes: Sequence[str] = field(default_factory=tuple)


def with_interval(row: Row, name: str, interval: Interval) -> None:
    """Put a mean and its half width into the row."""
    row[name], row[f"{name}_ci"] = interval.mean, interval.half_width


def summarise(row: Row, reports: Sequence[Mapping[str, Any]]) -> Row:
    """The row with every measure of `reports`, one per seed, as mean and interval."""
    for measure in MEASURES:
        with_interval(row, measure, mean_interval([report[measure] for report in reports]))
    return row


def shown(rows: Sequence[Row], columns: Mapping[str, str]) -> list[Row]:
    """Rows for a table: a measure with an interval becomes `mean ± half width`."""

    def text(row: Row, key: str) -> Any:
        half = row.get(f"{key}_ci")
        if half is None or row[key] is None:
            return row.get(key)
        digits = 3 if abs(row[key]) < 10.0 else 1
        return f"{row[key]:.{digits}f}" + (f" ± {half:.{digits}f}" if half == half else "")

    return [{key: text(row, key) for key in columns} for row in rows]


def machine() -> dict[str, str]:
    """Processor, system and versions."""
    found = {"processor": _processor(), "system": platform.platform(terse=True)}
    found["python"] = platform.python_version()
    for package in VERSIONS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()} x {os.cpu_count()}"


def save(folder: Path, name: str, result: Result, about: Mapping[str, Any]) -> list[Path]:
    """Write NAME.json, .csv, .md, .png and report.html below `folder`; returns their paths."""
    from locdreamer_ros.report.benchmark import write_benchmark

    paths = [folder / f"{name}.{suffix}" for suffix in ("json", "csv", "md", "png")]
    paths.append(folder / "report.html")
    words, notes = shown(result.rows, result.columns), [*result.notes, *described(about)]
    save_csv(paths[1], result.rows)
    with write_atomically(paths[2]) as stream:
        stream.write(markdown(words, result.columns) + "\n\n")
        stream.writelines(f"{line}\n" for line in notes)
    result.draw(paths[3])
    write_benchmark(
        paths[4], name, result.rows, words, result.columns, result.claims,
        notes=notes, drawing=paths[3],
    )  # fmt: skip
    # Last, so that where it is, everything is.
    save_json(
        paths[0],
        {
            "benchmark": name,
            "rows": result.rows,
            "claims": result.claims,
            "notes": result.notes,
            **about,
        },
    )
    return paths


def described(about: Mapping[str, Any]) -> list[str]:
    """The run in lines: machine, versions, seeds, duration."""
    where = f"with {about['jobs']} process{'es' if about['jobs'] > 1 else ''}"
    where = f"on {about['dask']}" if "dask" in about else where
    return [
        ", ".join(f"{name} {value}" for name, value in about["machine"].items()),
        f"seeds {about['seeds'][0]} to {about['seeds'][-1]}, {about['duration_s']:.1f} s {where}",
    ]
