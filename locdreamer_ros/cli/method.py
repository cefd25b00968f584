# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of the command line for the fields of `Method`, over a ROS 2 parameter file."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from locdreamer_ros.config import build, check, flat, load_parameters, parameters_of
from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import TRACKERS, Method, config_of

NODE = "tracker_node"
NODE_ONLY = (
    "anchors_file",
    "autostart",
    "broadcast",
    "display_period",
    "frame",
    "lever_arm",
    "max_silence",
    "passive",
    "path_length",
    "ranges_from",
    "rate",
    "tag",
    "tag_frame",
    "use_sim_time",
)
"""Parameters of the node that mean nothing offline."""
SITE = ("dimensions", "tag_height")
FIELDS = parameters_of(Method)
CHOICE = tuple(name for name in FIELDS if name not in (*SITE, "seed"))
"""Every command has --seed."""


def _reader(field: dataclasses.Field[Any]) -> Callable[[str], object]:
    """Argument of argparse: a value of the field's type, in its range or of its choices."""

    def read(text: str) -> object:
        kind: type = type(field.default)
        try:
            return check(field, kind(text), "")
        except InputError as reason:
            raise argparse.ArgumentTypeError(str(reason).removeprefix(": ")) from None
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {kind.__name__}, got {text!r}") from None

    return read


def add_fields(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """An option for each of these fields of `Method`; what is not given stays None."""
    for name in names:
        field = FIELDS[name]
        choices = field.metadata["choices"]
        text = field.metadata["description"]
        if choices:
            text += f": {', '.join(choices)}"
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=_reader(field),
            metavar=field.metadata["symbol"],
            help=f"{text} ({field.default})" if field.default not in ("", -1.0) else text,
        )


def add_method(parser: argparse.ArgumentParser) -> None:
    """Options that choose tracker and scheduler; what is not given comes from `--params`."""
    add_fields(parser, CHOICE)
    parser.add_argument("--params", type=Path, metavar="FILE", help="ROS 2 file: tracker_node")


def add_site(parser: argparse.ArgumentParser) -> None:
    """--dimensions and --tag-height."""
    add_fields(parser, SITE)


def read_method(options: argparse.Namespace) -> Method:
    """The method that the options and the file `--params` name, checked.

    Raises InputError for an unknown tracker, scheduler or preset, what a model lacks and, in the
    file, an unknown key, a wrong type or a value out of range.
    """
    given = {k: v for k, v in vars(options).items() if k in FIELDS and v is not None}
    file: dict[str, Any] = {}
    where = "options"
    if getattr(options, "params", None) is not None:
        where = f"{options.params}: {NODE}"
        file = dict(flat(load_parameters(options.params, NODE)))
        if not file:
            raise InputError(f"{where}: no such node, or it has no parameters")
    groups: dict[str, dict[str, Any]] = {name: {} for name in TRACKERS}
    plain: dict[str, Any] = {}
    for key, value in file.items():
        group, dot, name = key.partition(".")
        if dot and group in groups:
            groups[group][name] = value
        elif key in FIELDS:
            plain[key] = value
        elif key not in NODE_ONLY:
            raise InputError(f"{where}: unknown key {key!r}")
    for name, values in groups.items():
        build(config_of(name), values, f"{where}: {name}")
    chosen = build(Method, {**plain, **given}, where)
    defaults = {f.name: f.default for f in dataclasses.fields(config_of(chosen.tracker))}
    # As in the node: a preset gives way only to values that differ from the tracker's defaults.
    changed = {k: v for k, v in groups[chosen.tracker].items() if v != defaults[k]}
    method = dataclasses.replace(chosen, parameters=changed)
    method.check()
    return method
