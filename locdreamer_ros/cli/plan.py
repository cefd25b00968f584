# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer plan`: where to hang anchors, and the error to expect, before anything is bought."""

from __future__ import annotations

import argparse
from pathlib import Path

from locdreamer_ros.cli.options import (
    PICTURES,
    PLACES,
    add_common,
    check_output,
    count,
    finite,
    positive,
    refuse_inputs,
)
from locdreamer_ros.errors import InputError


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `plan`."""
    parser = commands.add_parser(
        "plan",
        help="where to hang anchors, and the error to expect",
        description="Propose places for anchors along the walls of a floor, so that the expected "
        "error over it is least with BUDGET ranges a fix, and draw that error.",
    )
    parser.add_argument(
        "map", metavar="MAP", help=f"walls: CSV x1,y1,x2,y2 in m, doors are gaps; or {PLACES}"
    )
    parser.add_argument("--anchors", type=count, default=4, metavar="N", help="how many (4)")
    parser.add_argument("--budget", type=count, default=3, metavar="K", help="ranges a fix (3)")
    parser.add_argument(
        "--height", type=positive, default=2.4, metavar="Z", help="of anchors (2.4)"
    )
    parser.add_argument("--tag-height", type=finite, default=1.0, metavar="Z", help="the tag's (1)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write an anchors CSV")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it: png, svg, pdf")
    add_common(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Plan, print, write. Raises InputError."""
    check_output(options.output, (".csv",))
    check_output(options.plot, PICTURES)
    check_output(options.json)
    refuse_inputs((options.output, options.plot, options.json), Path(options.map))

    import numpy as np

    from locdreamer_ros.datasets.range_table import save_anchors
    from locdreamer_ros.evaluation.tables import plain, save_json
    from locdreamer_ros.simulation import make_world
    from locdreamer_ros.survey.files import load_walls
    from locdreamer_ros.survey.placement import place
    from locdreamer_ros.types import Anchors

    if options.map.endswith(".csv"):
        walls = load_walls(Path(options.map))
    elif Path(options.map).suffix or Path(options.map).exists():
        raise InputError(f"{options.map}: expected walls, a CSV x1,y1,x2,y2, or one of {PLACES}")
    else:
        walls = make_world(options.map, options.seed).walls
        if not len(walls):
            raise InputError(f"{options.map}: it has no walls to hang anchors at")
    found = place(
        walls,
        options.anchors,
        drop=options.height - options.tag_height,
        budget=options.budget,
        where=options.map,
    )
    heights = np.full(len(found.places), options.height)
    names = tuple(f"A{i + 1}" for i in range(len(found.places)))
    anchors = Anchors(names, np.column_stack([found.places, heights]))
    rows = [
        {"id": name, **dict(zip("xyz", map(float, at), strict=True))}
        for name, at in zip(names, anchors.positions, strict=True)
    ]
    mean, worst = float(found.error.mean()), float(np.percentile(found.error, 95))
    if options.output is not None:
        save_anchors(options.output, anchors)
    if options.plot is not None:
        from locdreamer_ros.survey.picture import plot_placement

        title = f"{options.anchors} anchors, {options.budget} ranges a fix: {mean:.2f} m expected"
        plot_placement(options.plot, found, walls, names, title=title)
    if options.json is not None:
        save_json(options.json, {"mean": mean, "p95": worst, "anchors": rows})
    print(plain(rows, {"id": "anchor", "x": "x m", "y": "y m", "z": "z m"}))
    print(f"expected error {mean:.2f} m in the mean over the floor, {worst:.2f} m at 95 % of it")
