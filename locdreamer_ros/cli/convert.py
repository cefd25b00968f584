# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer convert`: from one recording format to another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from locdreamer_ros.cli.options import (
    add_common,
    check_output,
    check_seed,
    positive,
    refuse_inputs,
)
from locdreamer_ros.cli.recordings import add_columns
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import anchors_of, check_folder, truth_of

if TYPE_CHECKING:
    from locdreamer_ros.recording import Recording

# Written out: --help should not wait for numpy. Readers: `datasets.published`.
PUBLISHED = {
    "inrol": (
        "INRoL/inrol_uwb_localization on GitHub: hand-held, 8 anchors, motion capture (GPL-3.0)",
        "folder example/NAME of the repository",
    ),
    "leiria": (
        "ipleiria-robotics/indoor_positioning_uwb on GitHub: a hall, 8 anchors (GPL-3.0)",
        "file software/dataset/NAME of the repository",
    ),
    "librsf": (
        "TUC-ProAut/libRSF on GitHub: Labyrinth, robot, 4 anchors, odometry (CC BY-SA 4.0)",
        "folder datasets/Indoor_UWB of the repository",
    ),
    "hanyang": (
        "cucudasluv/UWB-dataset on GitHub: outdoors, 4 anchors, RTK (Apache-2.0)",
        "folder Dynamic_measurements/.../Case_N of the repository",
    ),
    "lias": (
        "LIAS-CUHKSZ/Efficient-Pose-Estimation-via-UWB-measurements on GitHub: trolley, 8 anchors, "
        "motion capture (MIT)",
        "UWB_*.csv of a dynamic run, motion_capture_*.csv beside it",
    ),
}
"""Public recordings: what and where, and what to name of it."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`convert csv`, `convert bag`, `convert bregar` and the other public recordings."""
    parser = subparsers.add_parser("convert", help="convert recordings: CSV, bag, public data sets")
    formats = parser.add_subparsers(title="formats", metavar="FORMAT", required=True)

    about = "draw a walk from Bregar's data set"
    bregar = formats.add_parser("bregar", help=about, description=about)
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

    about = "range table to rosbag2, or anybody's table to one of ours"
    table = formats.add_parser("csv", help=about, description=about)
    table.add_argument(
        "source", type=Path, metavar="X.csv", help="range table, one row per epoch or per range"
    )
    table.add_argument(
        "--anchors", type=Path, metavar="A.csv", help="id,x,y,z (X_anchors.csv beside X.csv)"
    )
    add_columns(table)
    add_output(table, "rosbag2 folder, or range table if it ends in .csv")
    table.set_defaults(run=run_csv)

    about = "rosbag2 to range table, or an older or another's bag to one of ours"
    bag = formats.add_parser("bag", help=about, description=about)
    bag.add_argument("source", type=Path, metavar="BAG", help="rosbag2 folder, .mcap or .db3")
    bag.add_argument("--anchors", type=Path, metavar="A.csv", help="id,x,y,z (the bag's)")
    add_columns(bag)
    add_output(bag, "range table X.csv with X_anchors.csv beside it, or rosbag2 folder")
    bag.set_defaults(run=run_bag)

    for name, (about, source) in PUBLISHED.items():
        known = formats.add_parser(name, help=about, description=about)
        known.add_argument("source", type=Path, metavar="SRC", help=source)
        if name == "lias":
            known.add_argument(
                "--anchors",
                type=Path,
                required=True,
                metavar="A.csv",
                help="id,x,y,z in the order of the columns",
            )
        known.add_argument(
            "--rate", type=positive, metavar="HZ", help="epochs per second, at most (as recorded)"
        )
        add_output(known, "rosbag2 folder, or range table if it ends in .csv")
        known.set_defaults(run=run_published, dataset=name)


def add_output(parser: argparse.ArgumentParser, what: str) -> None:
    """--output with what a bag is written as, --seed and --json."""
    parser.add_argument("--output", type=Path, required=True, metavar="PATH", help=what)
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), help="of a bag (mcap)")
    parser.add_argument(
        "--bag-version",
        type=int,
        choices=(5, 8, 9),
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


def run_published(options: argparse.Namespace) -> int:
    """A recording from its authors' files."""
    from locdreamer_ros.datasets import published
    from locdreamer_ros.datasets.range_table import load_anchors

    check_places(options)
    if not options.source.exists():
        raise InputError(f"{options.source}: no such file or folder")
    named = getattr(options, "anchors", None)
    anchors = None if named is None else load_anchors(named)
    recording = published.READERS[options.dataset](options.source, anchors)
    if options.rate is not None:
        recording = published.thinned(recording, options.rate)
    return write(recording, options)


def run_csv(options: argparse.Namespace) -> int:
    """Range table to bag."""
    check_places(options)
    from locdreamer_ros.datasets import is_table, not_read

    if not is_table(options.source):
        raise not_read(options.source)
    refuse_source(options)
    return write(load(options), options)


def run_bag(options: argparse.Namespace) -> int:
    """Bag to range table."""
    check_places(options)
    from locdreamer_ros.datasets import is_table

    if is_table(options.source):
        raise InputError(f"{options.source}: expected a rosbag2 (folder, .mcap, .db3)")
    refuse_source(options)
    return write(load(options), options)


def load(options: argparse.Namespace) -> Recording:
    """What is to be converted. Raises InputError."""
    from locdreamer_ros.datasets import load_recording

    return load_recording(
        options.source, options.anchors, columns=options.columns, differences=True
    )


def refuse_source(options: argparse.Namespace) -> None:
    """Raises InputError where the output would replace what is read."""
    outputs = [options.output, options.json]
    if options.output.suffix == ".csv":
        outputs.append(anchors_of(options.output))
    anchors = anchors_of(options.source, options.anchors)
    refuse_inputs(outputs, options.source, anchors, truth_of(options.source))


def check_places(options: argparse.Namespace) -> None:
    """Complain before the work about outputs that could not be written after it."""
    check_output(options.json)
    if options.output.suffix == ".csv":
        if options.storage or options.bag_version:
            raise InputError(f"{options.output}: --storage and --bag-version are of a bag's folder")
        check_output(options.output)
    else:
        check_folder(options.output.parent)


def write(recording: Recording, options: argparse.Namespace) -> int:
    """Write the recording as what the output's name says, and say what was written.

    Where ranges have stamps or a quality of their own, a table has a row per range, which holds it.
    """
    import numpy as np

    from locdreamer_ros.datasets.bag import write_bag
    from locdreamer_ros.datasets.bag_writer import VERSIONS
    from locdreamer_ros.datasets.range_table import save_recording
    from locdreamer_ros.evaluation.tables import save_json

    output: Path = options.output
    if output.suffix == ".csv":
        save_recording(output, recording, long=recording.by_range)
    else:
        storage, version = options.storage or "mcap", options.bag_version or VERSIONS[-1]
        write_bag(output, recording, storage=storage, version=version)
    result = {
        "output": str(output),
        "epochs": len(recording),
        "anchors": list(recording.anchors.ids),
        "duration_s": float(recording.times[-1] - recording.times[0]),
        "ranges": int(np.isfinite(recording.ranges).sum()),
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
