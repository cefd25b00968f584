# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer juno train`: learn which anchors to ask where, for `--scheduler juno`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from locdreamer_ros.cli.method import add_site
from locdreamer_ros.cli.options import (
    PLACES,
    add_common,
    check_output,
    check_seed,
    count,
    positive,
)
from locdreamer_ros.errors import InputError

if TYPE_CHECKING:
    from locdreamer_ros.recording import Recording
    from locdreamer_ros.types import Anchors

HEADING = {
    "model": "model",
    "zones": "zones",
    "subsets": "subsets",
    "known": "zones learned",
    "epochs": "steps in it",
}
DURATION_S = 1800.0
TRAINING_STREAM = 2
"""Of the seed: a walk other than the one that `simulate` makes in the same place."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `juno`."""
    parser = commands.add_parser(
        "juno",
        help="learn which anchors to ask where (JUNO)",
        description="Jump-start Q-learning of anchors by place. Use the model with "
        "--scheduler juno --model FILE.",
    )
    kinds = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    train = kinds.add_parser(
        "train",
        help="learn along a recording or in a simulated place",
        description="Learn along a recording with ground truth and ranges of all anchors, or on a "
        "walk through a simulated place (the place of --seed, another walk than `simulate` makes).",
    )
    source = train.add_mutually_exclusive_group(required=True)
    source.add_argument("--recording", type=Path, metavar="FILE", help="range table or rosbag2")
    source.add_argument("--environment", metavar="E", help=f"{PLACES}")
    train.add_argument("--anchors", type=Path, metavar="FILE", help="CSV id,x,y,z")
    train.add_argument(
        "--duration", type=positive, metavar="S", help="of the walk through a place (1800)"
    )
    train.add_argument("--budget", type=count, default=3, metavar="K", help="anchors a fix (3)")
    train.add_argument("--zone", type=positive, default=1.0, metavar="M", help="zone edge, m (1)")
    train.add_argument("--guide", default="gdop", metavar="S", help="a scheduler, or none (gdop)")
    train.add_argument(
        "--measurement",
        choices=("twr", "tdoa"),
        default="twr",
        help="reward fixes from ranges, or from their differences (twr)",
    )
    train.add_argument("--output", type=Path, required=True, metavar="X.npz", help="model file")
    add_site(train)
    add_common(train)
    train.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Learn, write, print. Raises InputError."""
    check_seed(options.seed)
    check_output(options.output, (".npz",))
    check_output(options.json)
    from locdreamer_ros.errors import require

    require("numba", "juno train")

    import numpy as np

    from locdreamer_ros.evaluation.tables import plain, save_json
    from locdreamer_ros.juno.recorded import Training, check_budget, train_policy
    from locdreamer_ros.methods import NEED_A_MODEL, SCHEDULERS, make_scheduler
    from locdreamer_ros.types import Site

    refused = InputError(f"--guide: expected a scheduler that asks few, got {options.guide!r}")
    if options.guide not in ("none", *SCHEDULERS) or options.guide in NEED_A_MODEL:
        raise refused
    anchors, known_height, walk = _ground(options)
    check_budget(options.budget, len(anchors))
    height = options.tag_height if options.tag_height is not None else known_height
    site = Site.of(anchors, options.dimensions or "auto", height)
    guide = None
    if options.guide != "none":
        guide = make_scheduler(options.guide, site, seed=options.seed)
        if guide.needs_all:
            raise refused
    recording = walk()
    policy = train_policy(
        recording,
        site,
        budget=options.budget,
        rng=np.random.default_rng(options.seed),
        settings=Training(zone=options.zone, tdoa=options.measurement == "tdoa"),
        guide=guide,
    )
    policy.save(options.output)
    result = {
        "model": str(options.output),
        "zones": len(policy.values),
        "subsets": len(policy.subsets),
        "known": int(np.isfinite(policy.values[:, 0]).sum()),
        "epochs": len(recording),
        "budget": options.budget,
        "guide": options.guide,
        "measurement": options.measurement,
        "seed": options.seed,
    }
    if options.json is not None:
        save_json(options.json, result)
    print(plain([result], HEADING))


def _ground(options: argparse.Namespace) -> tuple[Anchors, float | None, Callable[[], Recording]]:
    """The anchors, the tag's height where the place knows it, and the walk, still to be walked.

    Raises InputError for a recording that cannot be read, or an unknown place.
    """
    if options.recording is not None:
        from locdreamer_ros.datasets import load_recording

        if options.duration is not None:
            raise InputError("juno train: --duration belongs to --environment")
        recording = load_recording(options.recording, options.anchors)
        return recording.anchors, None, lambda: recording
    if options.anchors is not None:
        raise InputError("juno train: --anchors belongs to --recording")
    from locdreamer_ros.simulation import make_world, simulate_in, stream

    world = make_world(options.environment, options.seed)

    def walk() -> Recording:
        rng = stream(options.seed, TRAINING_STREAM)
        whole = simulate_in(world, duration=options.duration or DURATION_S, rate=2.0, rng=rng)
        return whole.only(world.deploy)

    return world.anchors.subset(world.deploy), world.tag_height, walk
