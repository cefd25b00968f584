# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer convert`: from one recording format to another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from locdreamer_ros.cli.options import (
    add_common,
    check_folder,
    check_output,
    check_seed,
    positive,
)
from locdreamer_ros.cli.recordings import add_columns
from locdreamer_ros.errors import InputError

if TYPE_CHECKING:
    from locdreamer_ros.recording import Recording


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`convert bregar`, `convert csv`, `convert bag`."""
    parser = subparsers.add_parser(
        "convert", help="convert recordings: Bregar's data set, CSV, bag"
    )
    formats = parser.add_subparsers(title="formats", metavar="FORMAT", required=True)

    bregar = formats.add_parser("bregar", help="draw a walk from Bregar's data set")
    bregar.add_argument(
        "source", type=Path, metavar="SRC", help="data.json, or a folder of the unpacked data set"
    )
    bregar.add_argument(
        "--environment", type=int, choices=range(4), metavar="K", help="0, 1, 2 or 3"
    )
    bregar.add_argument(
        "--rate", type=positive, default=1.0, metavar="HZ", help="epochs per second (1)"
    )
    bregar.add_argument("--channel", metavar="C", help="ch1 .. ch5 or ch7 (all of them)")
    add_output(bregar, "rosbag2 folder, or range table if it ends in .csv")
    bregar.set_defaults(run=run_bregar)

    table = formats.add_parser("csv", help="range table to rosbag2")
    table.add_argument(
        "source", type=Path, metavar="X.csv", help="range table, one row per epoch or per range"
    )
    table.add_argument(
        "--anchors", type=Path, metavar="A.csv", help="id,x,y,z (X_anchors.csv beside X.csv)"
    )
    add_columns(table)
    add_output(table, "rosbag2 folder, or range table if it ends in .csv")
    table.set_defaults(run=run_csv)

    bag = formats.add_parser("bag", help="rosbag2 to range table")
    bag.add_argument("source", type=Path, metavar="BAG", help="rosbag2 folder, .mcap or .db3")
    bag.add_argument("--anchors", type=Path, metavar="A.csv", help="id,x,y,z (the bag's)")
    add_columns(bag)
    add_output(bag, "range table X.csv with X_anchors.csv beside it, or rosbag2 folder")
    bag.set_defaults(run=run_bag)


def add_output(parser: argparse.ArgumentParser, what: str) -> None:
    """--output with what a bag is written as, --seed and --json."""
    parser.add_argument("--output", type=Path, required=True, metavar="PATH", help=what)
    parser.add_argument(
        "--storage", choices=("mcap", "sqlite3"), default="mcap", help="of a bag (mcap)"
    )
    parser.add_argument(
        "--bag-version",
        type=int,
        choices=(5, 8, 9),
        default=9,
        help="of a bag's metadata: 5 for ROS 2 Humble, 8 for Iron, 9 for Jazzy and later (9)",
    )
    add_common(parser)


def run_bregar(options: argparse.Namespace) -> int:
    """Draw one walk along the path."""
    from locdreamer_ros.datasets.bregar import load_survey
    from locdreamer_ros.datasets.point_survey import draw_walk

    check_seed(options.seed)
    check_places(options)
    survey = load_survey(options.source, options.environment)
    walk = draw_walk(survey, rate=options.rate, seed=options.seed, channel=options.channel)
    return write(walk, options)


def run_csv(options: argparse.Namespace) -> int:
    """Range table to bag."""
    from locdreamer_ros.datasets import load_recording

    check_places(options)
    if options.source.suffix != ".csv":
        raise InputError(f"{options.source}: expected a range table (.csv)")
    refuse_source(options)
    recording = load_recording(options.source, options.anchors, columns=options.columns)
    return write(recording, options)


def run_bag(options: argparse.Namespace) -> int:
    """Bag to range table."""
    from locdreamer_ros.datasets import load_recording

    check_places(options)
    if options.source.suffix == ".csv":
        raise InputError(f"{options.source}: expected a rosbag2 (folder, .mcap, .db3)")
    refuse_source(options)
    recording = load_recording(options.source, options.anchors, columns=options.columns)
    return write(recording, options)


def refuse_source(options: argparse.Namespace) -> None:
    """Raises InputError where the output would replace what is read."""
    source, output = options.source, options.output
    if source.exists() and output.exists() and output.samefile(source):
        raise InputError(f"{output}: is the source; choose another name")


def check_places(options: argparse.Namespace) -> None:
    """Complain before the work about outputs that could not be written after it."""
    check_output(options.json, (".json",))
    if options.output.suffix == ".csv":
        check_output(options.output)
    else:
        check_folder(options.output.parent)


def write(recording: Recording, options: argparse.Namespace) -> int:
    """Write the recording as what the output's name says, and say what was written."""
    from locdreamer_ros.datasets.bag import write_bag
    from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
    from locdreamer_ros.evaluation.tables import save_json

    output: Path = options.output
    if output.suffix == ".csv":
        # The anchors first: a range table without them is of no use.
        save_anchors(output.with_name(f"{output.stem}_anchors.csv"), recording.anchors)
        save_range_table(output, recording)
    else:
        write_bag(output, recording, storage=options.storage, version=options.bag_version)
    result = {
        "output": str(output),
        "epochs": len(recording),
        "anchors": list(recording.anchors.ids),
        "duration_s": float(recording.times[-1] - recording.times[0]),
        "ranges": int((recording.ranges > 0.0).sum()),
        "ground_truth": recording.truth is not None,
        "seed": options.seed,
    }
    print(
        f"{output}: {result['epochs']} epochs in {result['duration_s']:.1f} s, "
        f"{len(recording.anchors)} anchors, {result['ranges']} ranges"
    )
    if options.json is not None:
        save_json(options.json, result)
    return 0
