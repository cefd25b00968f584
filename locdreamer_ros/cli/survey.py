# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer survey`: where the anchors hang, from ranges that a tag took while walked around."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locdreamer_ros.cli.options import PICTURES, add_common, check_output, finite, refuse_inputs
from locdreamer_ros.cli.recordings import add_columns

if TYPE_CHECKING:
    from locdreamer_ros.recording import Recording
    from locdreamer_ros.survey.problem import Known
    from locdreamer_ros.survey.solve import Survey

HEADING = {
    "id": "anchor",
    "x": "x m",
    "y": "y m",
    "z": "z m",
    "sigma": "+- m",
    "offset": "offset m",
    "ranges": "ranges",
    "excluded": "left out",
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `survey`."""
    parser = commands.add_parser(
        "survey",
        help="find the anchors' places and offsets from ranges walked around",
        description="Find where the anchors hang and how much too long their ranges are, from a "
        "recording of a tag that was carried or driven around. What is known of the place helps, "
        "and ties the result to the room. Writes an anchors file and, beside it, its offsets.",
    )
    parser.add_argument("recording", type=Path, metavar="RECORDING", help="range table or rosbag2")
    parser.add_argument(
        "--anchors",
        type=Path,
        metavar="FILE",
        help="what is known: CSV id,x,y,z with empty cells where it is not (heights alone will do)",
    )
    parser.add_argument(
        "--between",
        type=Path,
        metavar="FILE",
        help="lengths between anchors: CSV anchor,other,distance (taped) or anchor,other,range "
        "(X_between.csv beside X.csv, where it is there)",
    )
    parser.add_argument(
        "--dimensions",
        type=int,
        choices=(2, 3),
        default=2,
        metavar="D",
        help="2: anchors about as high as the tag, or of known heights with --tag-height; "
        "3: heights are found too (2)",
    )
    parser.add_argument(
        "--tag-height", type=finite, metavar="Z", help="the tag's, where it is known, m"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="anchors CSV (RECORDING's X_survey.csv)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it: png, svg, pdf")
    add_columns(parser)
    add_common(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Survey, print, write. Raises InputError."""
    name = options.recording.name if options.recording.is_dir() else options.recording.stem
    output = options.output or options.recording.with_name(f"{name}_survey.csv")
    check_output(output, (".csv",))
    check_output(options.plot, PICTURES)
    check_output(options.json)
    refuse_inputs(
        (output, options.plot, options.json), options.recording, options.anchors, options.between
    )

    from locdreamer_ros.datasets.range_table import save_anchors
    from locdreamer_ros.driver.calibration import Calibration, offsets_path, save_offsets
    from locdreamer_ros.evaluation.tables import plain, save_json
    from locdreamer_ros.oddities import oddities
    from locdreamer_ros.survey.advice import advice
    from locdreamer_ros.survey.files import load_unplaced
    from locdreamer_ros.survey.solve import survey

    recording = load_unplaced(options.recording, options.columns)
    ids = recording.anchors.ids
    known = _known(options, recording)
    found = survey(recording, known, options.dimensions)
    sentences = oddities(recording.times, recording.ranges, ids) + advice(found, known)
    rows = _rows(found)
    save_anchors(output, found.anchors)
    offsets = offsets_path(output)
    save_offsets(offsets, Calibration(found.anchors, found.offset, found.offset_error, found.count))
    if options.plot is not None:
        from locdreamer_ros.survey.picture import plot_survey

        title = f"Survey of {name}: {len(ids)} anchors"
        plot_survey(options.plot, found, known, title=title, notes=sentences)
    if options.json is not None:
        result = {
            "recording": name,
            "dimensions": options.dimensions,
            "spread": found.spread,
            "mirrored": found.mirrored,
            "free": found.free,
            "misfit": found.misfit,
            "advice": sentences,
            "anchors": rows,
        }
        save_json(options.json, result)
    print(plain(rows, HEADING))
    print(f"ranges are right to {found.spread:.3f} m once their offsets are taken off")
    for sentence in sentences:
        print(f"note: {sentence}")
    print(f"written: {output}, {offsets}")


def _known(options: argparse.Namespace, recording: Recording) -> Known:
    """The anchors' places and lengths between them that the options give. Raises InputError."""
    import numpy as np

    from locdreamer_ros.survey.files import between_path, check_given, load_between, load_places
    from locdreamer_ros.survey.problem import Between, Known

    ids = recording.anchors.ids
    places = np.full((len(ids), 3), np.nan)
    if options.anchors is not None:
        places = load_places(options.anchors, ids)
    lengths = options.between
    if lengths is None and between_path(options.recording).is_file():
        lengths = between_path(options.recording)
    between = Between() if lengths is None else load_between(lengths, ids)
    check_given(recording, places, options.anchors, between, lengths)
    return Known(places, between, options.tag_height)


def _rows(found: Survey) -> list[dict[str, Any]]:
    """A row per anchor, of the table and of the JSON file."""
    return [
        {
            "id": anchor,
            **dict(zip("xyz", map(float, found.anchors.positions[a]), strict=True)),
            "sigma": float(found.sigma[a]),
            "offset": float(found.offset[a]),
            "offset_sigma": float(found.offset_error[a]),
            "ranges": int(found.count[a]),
            "excluded": float(found.excluded[a]),
            "covariance": found.covariance[a].tolist(),
        }
        for a, anchor in enumerate(found.anchors.ids)
    ]
