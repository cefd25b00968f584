# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which tracker and scheduler a command uses: its options, over a ROS 2 parameter file."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locdreamer_ros.cli.options import SCHEDULERS, TRACKERS, count
from locdreamer_ros.config import build, flat, load_parameters, parameter
from locdreamer_ros.errors import InputError

if TYPE_CHECKING:
    from locdreamer_ros.types import Anchors, Site

NODE = "tracker_node"
NODE_ONLY = (
    "anchors_file",
    "autostart",
    "display_period",
    "frame",
    "path_length",
    "rate",
    "seed",
    "tag",
    "tag_frame",
    "use_sim_time",
)
"""Parameters of the node that mean nothing offline."""


@dataclass(frozen=True)
class Method:
    """The parameters of `tracker_node` that mean something without ROS too."""

    tracker: str = parameter("zero-shot", "which tracker")
    preset: str = parameter("", "named parameter set of the tracker")
    scheduler: str = parameter("gdop", "which scheduler")
    budget: int = parameter(3, "anchors asked for each fix", low=1)
    accuracy: float = parameter(
        0.0, "sequential: expected error that is good enough, m; 0: none", low=0.0, high=1000.0
    )
    price: float = parameter(
        0.0, "sequential: what one more range must improve, m; 0: nothing", low=0.0, high=1000.0
    )
    dimensions: str = parameter("auto", "2, 3 or auto", choices=("2", "3", "auto"))
    tag_height: float = parameter(-1.0, "known height of the tag, m; -1: unknown", low=-1.0)
    model: str = parameter("", "model file of a learned tracker or scheduler; none: its own")
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The tracker's own, those of the file that are not its defaults."""

    def site(self, anchors: Anchors) -> Site:
        """The site as these options read it. Raises InputError for too few anchors."""
        from locdreamer_ros.types import Site

        known = None if self.tag_height < 0.0 else self.tag_height
        return Site.of(anchors, self.dimensions, known)

    @property
    def model_file(self) -> Path | None:
        """The model file, where one is named."""
        return Path(self.model) if self.model else None


def add_method(parser: argparse.ArgumentParser) -> None:
    """Options that choose tracker and scheduler; what is not given comes from `--params`."""
    parser.add_argument("--tracker", metavar="T", help=f"{TRACKERS} (zero-shot)")
    parser.add_argument("--preset", metavar="P", help="named parameters; ekf: paper, calibrated")
    parser.add_argument("--params", type=Path, metavar="FILE", help="ROS 2 file: tracker_node")
    parser.add_argument("--scheduler", metavar="S", help=f"{SCHEDULERS} (gdop)")
    parser.add_argument(
        "--model", metavar="FILE", help="of a learned tracker or scheduler (zero-shot has its own)"
    )
    parser.add_argument("--budget", type=count, metavar="K", help="anchors asked for a fix (3)")
    parser.add_argument(
        "--accuracy", type=float, metavar="M", help="sequential: enough at this expected error, m"
    )
    parser.add_argument(
        "--price", type=float, metavar="M", help="sequential: a range must improve this much, m"
    )


def add_site(parser: argparse.ArgumentParser) -> None:
    """--dimensions and --tag-height."""
    parser.add_argument("--dimensions", choices=("2", "3", "auto"), help="of the state (auto)")
    parser.add_argument(
        "--tag-height", type=float, metavar="Z", help="m, where the tag's height is known"
    )


def read_method(options: argparse.Namespace) -> Method:
    """The method that the options and the file `--params` name.

    Raises InputError for an unknown tracker and, in the file, an unknown key, a wrong type or a
    value out of range. Scheduler and preset are checked by whoever makes them.
    """
    from locdreamer_ros.trackers import NAMES, config_of

    own = {f.name for f in fields(Method)} - {"parameters"}
    given = {k: v for k, v in vars(options).items() if k in own and v is not None}
    file: dict[str, Any] = {}
    where = "options"
    if options.params is not None:
        where = f"{options.params}: {NODE}"
        file = dict(flat(load_parameters(options.params, NODE)))
        if not file:
            raise InputError(f"{where}: no such node, or it has no parameters")
    groups: dict[str, dict[str, Any]] = {name: {} for name in NAMES}
    plain: dict[str, Any] = {}
    for key, value in file.items():
        group, dot, name = key.partition(".")
        if dot and group in groups:
            groups[group][name] = value
        elif key in own:
            plain[key] = value
        elif key not in NODE_ONLY:
            raise InputError(f"{where}: unknown key {key!r}")
    for name, values in groups.items():
        build(config_of(name), values, f"{where}: {name}")
    chosen = build(Method, {**plain, **given}, where)
    defaults = {f.name: f.default for f in fields(config_of(chosen.tracker))}
    # As in the node: a preset gives way only to values that differ from the tracker's defaults.
    changed = {k: v for k, v in groups.get(chosen.tracker, {}).items() if v != defaults[k]}
    return Method(**{name: getattr(chosen, name) for name in own}, parameters=changed)
