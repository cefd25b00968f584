# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer benchmark`: measure, with intervals over seeds."""

from __future__ import annotations

import argparse
from pathlib import Path

from locdreamer_ros.cli.options import add_common, check_output, check_seed, count
from locdreamer_ros.config import names_in
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import check_folder

RECORDED = ("lias", "zero-shot", "tdoa", "table2", "train", "figures", "reward")
TRAINS = ("table2", "train", "figures", "reward")
SPREADS = ("house", "lias", "real", "trust", "simulator", "tdoa", "juno", "zero-shot", "bregar")
READ_BY = {
    "recording": RECORDED,
    "anchors": RECORDED,
    "data": ("real", "bregar"),
    "environment": TRAINS,
    "bootstrap": (*TRAINS, "bregar"),
    "deploy": (*TRAINS, "bregar"),
    "noise": (*TRAINS, "bregar"),
    "dask": (*SPREADS, *TRAINS),
}
"""Options that only some benchmarks read; to the others they are refused."""


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
        "simulator, tdoa, juno, zero-shot, table2, train, bregar, figures or reward",
    )
    parser.add_argument("--seeds", type=count, default=10, metavar="N", help="repetitions (10)")
    parser.add_argument("--jobs", type=count, default=1, metavar="N", help="processes (1)")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("benchmark_output"),
        metavar="DIR",
        help="folder (benchmark_output)",
    )
    for option, what in (("recording", "a recording to use"), ("anchors", "and its anchors")):
        parser.add_argument(
            f"--{option}",
            type=Path,
            action="append",
            default=[],
            metavar="FILE",
            help=f"{what}; {_readers(option)}",
        )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="real: folder of X.csv and X_anchors.csv; bregar: his data set",
    )
    for option, metavar, what in (
        ("environment", "E", "simulated place (house)"),
        ("bootstrap", "IDS", "real anchors (of the place; of a recording: three far apart)"),
        ("deploy", "IDS", "imagined anchors (all others)"),
        ("noise", "N", "as in train (asymmetric)"),
        ("dask", "ADDRESS", "scheduler of a Dask cluster, instead of processes here"),
    ):
        help_ = f"{what}; {_readers(option)}"
        parser.add_argument(f"--{option}", default="", metavar=metavar, help=help_)
    add_common(parser)
    parser.set_defaults(run=run)


def _readers(option: str) -> str:
    return f"read by {', '.join(READ_BY[option])}"


def run(options: argparse.Namespace) -> None:
    """Run, print, write. Raises InputError."""
    check_seed(options.seed)
    for option, readers in READ_BY.items():
        if getattr(options, option) and options.name not in readers:
            raise InputError(f"benchmark {options.name}: --{option} is {_readers(option)} alone")
    check_folder(options.output)
    check_output(options.json)
    if options.dask:
        from locdreamer_ros.benchmarks.spreading import check_cluster

        check_cluster(options.dask)
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
    bootstrap, deploy = (names_in(text) for text in (options.bootstrap, options.deploy))
    place = (options.environment or "house", bootstrap, deploy)
    named = (options.noise, options.data, options.dask)
    settings = Settings(seeds, options.jobs, pairs, *place, *named)
    result = run_benchmark(options.name, settings)
    about = {
        "machine": machine(),
        "seeds": seeds,
        "jobs": options.jobs,
        **({"dask": options.dask} if options.dask else {}),
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
