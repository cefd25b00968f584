# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer simulate`: write a walk through a simulated place as a recording."""

from __future__ import annotations

import argparse
from pathlib import Path

from locdreamer_ros.cli.options import (
    PLACES,
    add_common,
    check_output,
    check_seed,
    finite,
    positive,
    refuse_inputs,
)
from locdreamer_ros.config import names_in
from locdreamer_ros.files import anchors_of

HEADING = {"recording": "recording", "anchors": "anchors", "epochs": "epochs", "ranges": "ranges"}


def add_environment(parser: argparse.ArgumentParser) -> None:
    """--environment and --rate: what `demo` has too."""
    parser.add_argument("--environment", default="house", metavar="E", help=f"{PLACES} (house)")
    parser.add_argument("--rate", type=positive, default=10.0, metavar="HZ", help="epochs/s (10)")
    parser.add_argument(
        "--measurement",
        choices=("twr", "tdoa"),
        default="twr",
        help="ranges, or their differences in blinks that all anchors hear (twr)",
    )


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `simulate`."""
    parser = commands.add_parser(
        "simulate",
        help="write a simulated recording",
        description="Write a walk through a simulated place as a range table, with the anchors "
        "beside it in X_anchors.csv and where the tag was in the gt_ columns.",
    )
    add_environment(parser)
    parser.add_argument(
        "--duration", type=positive, required=True, metavar="S", help="length of the walk, s"
    )
    parser.add_argument(
        "--deploy", metavar="IDS", help="anchors, as A1,A2,... (those the place deploys)"
    )
    parser.add_argument(
        "--odometry",
        type=finite,
        metavar="DRIFT",
        help="wheel odometry and a gyro besides; its drift, as 0.02 for 2%% of the distance (none)",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="X.csv", help="range table")
    add_common(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Simulate, write, print. Raises InputError."""
    beside = anchors_of(options.output)
    check_output(options.output, (".csv",))
    check_output(beside)
    check_seed(options.seed)
    check_output(options.json)
    refuse_inputs((options.output, beside, options.json))

    import numpy as np

    from locdreamer_ros.datasets.range_table import save_recording
    from locdreamer_ros.evaluation.tables import plain, save_json
    from locdreamer_ros.simulation import simulate

    recording = simulate(
        options.environment,
        duration=options.duration,
        rate=options.rate,
        seed=options.seed,
        deploy=names_in(options.deploy or "") or None,
        odometry=options.odometry,
    )
    if options.measurement == "tdoa":
        recording = recording.as_differences()
    result = {
        "environment": options.environment,
        "recording": str(options.output),
        "anchors": str(beside),
        "epochs": len(recording),
        "ranges": int(np.isfinite(recording.ranges).sum()),
        "seed": options.seed,
    }
    save_recording(options.output, recording)
    if options.json is not None:
        save_json(options.json, result)
    print(plain([result], HEADING))
