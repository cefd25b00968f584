# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer calibrate`: offsets of the anchors from ranges at known places."""

from __future__ import annotations

import argparse
from pathlib import Path

from locdreamer_ros.cli.options import add_common, check_output, refuse_inputs
from locdreamer_ros.files import anchors_of

HEADING = {"id": "anchor", "offset": "offset m", "error": "+- m", "ranges": "ranges"}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `calibrate`."""
    parser = commands.add_parser(
        "calibrate",
        help="find antenna delay and offset of each anchor",
        description="Compare ranges with true distances and write each anchor's offset beside the "
        "anchors file, where driver_node finds it and takes it off every range. Record with the "
        "tag at known places in line of sight (gt_ columns), without an offsets file in use.",
    )
    parser.add_argument("recording", type=Path, metavar="RECORDING", help="range table or rosbag2")
    parser.add_argument(
        "--anchors", type=Path, metavar="FILE", help="CSV id,x,y,z (RECORDING's X_anchors.csv)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="offsets CSV (<anchors>_offsets.csv)"
    )
    add_common(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Calibrate, print, write. Raises InputError."""
    from locdreamer_ros.datasets import load_recording
    from locdreamer_ros.driver.calibration import calibrate, offsets_path, save_offsets
    from locdreamer_ros.evaluation.tables import plain, save_json

    anchors = anchors_of(options.recording, options.anchors)
    output = options.output or offsets_path(anchors)
    check_output(output, (".csv",))
    check_output(options.json)
    refuse_inputs((output, options.json), options.recording, anchors)
    found = calibrate(load_recording(options.recording, options.anchors))
    rows = [
        {"id": anchor, "offset": float(offset), "error": float(error), "ranges": int(count)}
        for anchor, offset, error, count in zip(
            found.anchors.ids, found.offset, found.error, found.count, strict=True
        )
    ]
    save_offsets(output, found)
    if options.json is not None:
        result = {
            "common_offset_m": found.common,
            "tag_antenna_delay_ticks": found.antenna_delay,
            "anchors": rows,
            "doubts": list(found.doubts),
        }
        save_json(options.json, result)
    print(plain(rows, HEADING))
    for doubt in found.doubts:
        print(f"doubtful: {doubt}")
    print(
        f"common to all: {found.common:+.3f} m, which is {found.antenna_delay:+d} ticks of the "
        f"tag's antenna delay, TX and RX together (where the firmware sets one for each, add half "
        f"to each)\nwritten to {output}"
    )
