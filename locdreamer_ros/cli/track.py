# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer track`: run a tracker and a scheduler over a recording, and score them."""

from __future__ import annotations

import argparse
from pathlib import Path

from locdreamer_ros.cli.method import add_method, add_site, read_method
from locdreamer_ros.cli.options import (
    PICTURES,
    add_common,
    add_view,
    check_output,
    check_seed,
    check_view_option,
    refuse_inputs,
)
from locdreamer_ros.cli.recordings import add_columns
from locdreamer_ros.files import anchors_of, truth_of
from locdreamer_ros.methods import UNKNOWN_HEIGHT


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `track`."""
    parser = commands.add_parser(
        "track",
        help="track a tag on a recording",
        description="Track a tag on a recording that holds ranges of all anchors; for each fix "
        "only the anchors that the scheduler chooses are used.",
    )
    parser.add_argument("recording", type=Path, metavar="RECORDING", help="range table or rosbag2")
    parser.add_argument(
        "--anchors", type=Path, metavar="FILE", help="CSV id,x,y,z (RECORDING's X_anchors.csv)"
    )
    add_columns(parser)
    add_method(parser)
    add_site(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the estimates as CSV")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the track: png, svg, pdf")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a report: html")
    add_view(parser)
    add_common(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Track, print, write. Raises InputError."""
    check_seed(options.seed)
    check_output(options.json)
    check_output(options.output)
    check_output(options.plot, PICTURES)
    check_output(options.report, (".html",))
    view = check_view_option(options.view)
    refuse_inputs(
        (options.json, options.output, options.plot, options.report, view),
        options.recording,
        anchors_of(options.recording, options.anchors),
        truth_of(options.recording),
        options.params,
        Path(options.model) if options.model else None,
    )

    from locdreamer_ros.cli.show import show_remarks, show_reports
    from locdreamer_ros.datasets import load_recording
    from locdreamer_ros.evaluation.fit import doubts
    from locdreamer_ros.evaluation.run import answered_by, evaluate, site_of
    from locdreamer_ros.evaluation.tables import save_json

    method = read_method(options)
    # Where nobody says how high the anchors are, they are as high as the tag.
    height = 0.0 if method.tag_height == UNKNOWN_HEIGHT else method.tag_height
    recording = load_recording(
        options.recording, options.anchors, columns=options.columns, height=height, differences=True
    )
    site = site_of(recording, method)
    track, report = evaluate(recording, method, site=site, progress=True)
    show_reports([report])
    notes = doubts(recording, track, site.tag_height)
    show_remarks([report], [track], notes)
    if options.output is not None:
        from locdreamer_ros.evaluation.estimates import save_estimates

        save_estimates(options.output, track)
    title = f"{recording.name}: {report['scheduler']}, {report['ranges_per_fix']:.3g} ranges a fix"
    tracks = {answered_by(report): track}
    if options.plot is not None:
        from locdreamer_ros.evaluation.plots import plot_track

        plot_track(options.plot, recording.anchors, tracks, title=title)
    if options.report is not None:
        from locdreamer_ros.report.page import write_report

        write_report(
            options.report,
            recording.anchors,
            tracks,
            [report],
            title=title,
            height=site.tag_height,
            notes=notes,
        )
    if options.json is not None:
        save_json(options.json, report)
    if options.view is not None:
        from locdreamer_ros.report.live import show_tracks

        show_tracks(recording.anchors, tracks, height=site.tag_height, file=view)
