# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer benchmark`: measure, with intervals over seeds."""

from __future__ import annotations

import argparse
from pathlib import Path

from locdreamer_ros.cli.options import add_common, check_output, check_seed, count
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import check_folder


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `benchmark`."""
    parser = commands.add_parser(
        "benchmark",
        help="measure trackers and schedulers over seeds",
        description="Run a benchmark; writes DIR/NAME.json (rows and claims), .csv, .md, .png, "
        "and DIR/report.html.",
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        help="house, lias, real, trust, contract, latency, gpu, fleet, graph, driver, "
        "simulator, juno, zero-shot, table2, train, bregar or figures",
    )
    parser.add_argument("--seeds", type=count, default=10, metavar="N", help="repetitions (10)")
    parser.add_argument("--jobs", type=count, default=1, metavar="N", help="processes (1)")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmark_output"), metavar="DIR", help="folder"
    )
    for option, what in (("--recording", "a recording to use"), ("--anchors", "and its anchors")):
        parser.add_argument(
            option,
            type=Path,
            action="append",
            default=[],
            metavar="FILE",
            help=f"{what} (lias, zero-shot, table2)",
        )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of X.csv and X_anchors.csv (real), or Bregar's data set (bregar)",
    )
    parser.add_argument(
        "--environment", default="house", metavar="E", help="simulated place (table2, figures)"
    )
    parser.add_argument(
        "--bootstrap",
        default="",
        metavar="IDS",
        help="real anchors (table2; of a recording: three far apart)",
    )
    parser.add_argument(
        "--deploy", default="", metavar="IDS", help="imagined anchors (table2; all others)"
    )
    parser.add_argument(
        "--noise", default="", metavar="N", help="as in train (table2, figures; asymmetric)"
    )
    add_common(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run, print, write. Raises InputError."""
    check_seed(options.seed)
    check_folder(options.output)
    check_output(options.json)
    recordings, anchors = options.recording, options.anchors
    if anchors and len(anchors) != len(recordings):
        raise InputError(
            f"benchmark: {len(recordings)} --recording but {len(anchors)} --anchors; "
            "expected one for each, or none"
        )

    from time import perf_counter

    from locdreamer_ros.benchmarks import run_benchmark
    from locdreamer_ros.benchmarks.result import Settings, described, machine, save, shown
    from locdreamer_ros.datasets import load_recording
    from locdreamer_ros.evaluation.tables import cell, plain, save_json

    seeds = tuple(range(options.seed, options.seed + options.seeds))
    pairs = tuple(zip(recordings, anchors or [None] * len(recordings), strict=True))
    for pair in pairs:  # some benchmarks read them last
        load_recording(*pair)
    begin = perf_counter()
    bootstrap, deploy = (
        tuple(part.strip() for part in text.split(",") if part.strip())
        for text in (options.bootstrap, options.deploy)
    )
    place = (options.environment, bootstrap, deploy)
    settings = Settings(seeds, options.jobs, pairs, *place, options.noise, options.data)
    result = run_benchmark(options.name, settings)
    about = {
        "machine": machine(),
        "seeds": seeds,
        "jobs": options.jobs,
        "duration_s": perf_counter() - begin,
    }
    paths = save(options.output, options.name, result, about)
    if options.json is not None:
        save_json(options.json, {"rows": result.rows, "claims": result.claims, **about})
    print(plain(shown(result.rows, result.columns), result.columns))
    print()
    for name, value in result.claims.items():
        print(f"{name}: {cell(value)}")
    for line in [*result.notes, *described(about)]:
        print(line)
    print("written:", ", ".join(map(str, paths)))
