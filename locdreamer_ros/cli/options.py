# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What several commands share: options of one meaning, and checks before long work begins."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterable
from pathlib import Path

from locdreamer_ros.errors import InputError
from locdreamer_ros.files import check_folder, is_passage

# Written out: the module that knows them imports numpy, and --help should not wait for it.
PLACES = "house, hall, lab or random"
PICTURES = (".png", ".svg", ".pdf")
BAG_FILES = (".mcap", ".db3", ".yaml")


def add_common(parser: argparse.ArgumentParser) -> None:
    """--seed and --json: every command has them."""
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")


def add_view(parser: argparse.ArgumentParser) -> None:
    """--view: seen live."""
    parser.add_argument(
        "--view",
        nargs="?",
        const="",
        metavar="FILE",
        help="show it live in rerun's viewer, or write FILE.rrd for it (extra `view`)",
    )


def check_view_option(view: str | None) -> Path | None:
    """The file of --view, None: the viewer or no view. Raises InputError where it cannot be."""
    if view is None:
        return None
    from locdreamer_ros.report.live import check_view

    file = Path(view) if view else None
    check_output(file)
    check_view(file)
    return file


def check_seed(seed: int) -> None:
    """Raises InputError for a seed that numpy would refuse."""
    if seed < 0:
        raise InputError(f"--seed: expected a whole number >= 0, got {seed}")


def count(text: str) -> int:
    """Argument of argparse: a whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number >= 1, got {text!r}")
    return value


def finite(text: str) -> float:
    """Argument of argparse: a number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}")
    return value


def positive(text: str) -> float:
    """Argument of argparse: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number > 0, got {text!r}")
    return value


def check_output(path: Path | None, suffixes: tuple[str, ...] = ()) -> None:
    """Complain about an output that cannot be written before the work, not after it.

    Raises InputError for a folder, a read-only place or a suffix other than `suffixes`.
    """
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"{path}: expected a file to write, it is a folder")
    if suffixes and path.suffix not in suffixes:
        raise InputError(f"{path}: expected a name ending in {', '.join(suffixes)}")
    if is_passage(path):
        path = path.resolve()  # a device is there already; a link is written through
        if path.exists():
            return
    check_folder(path.parent)


def refuse_inputs(outputs: Iterable[Path | None], *inputs: Path | None) -> None:
    """Raises InputError where an output would replace what is read, or another output.

    What is read may be a bag's folder, or lie in one that is written anew.
    """
    sources = [Path(os.path.realpath(path)) for path in inputs if path is not None]
    written: list[Path] = []
    for output in filter(None, outputs):
        place = Path(os.path.realpath(output))
        for source in sources:
            of_bag = source in place.parents and place.suffix in BAG_FILES
            if source.exists() and (source == place or of_bag or place in source.parents):
                raise InputError(f"{output}: is the source; choose another name")
        if place in written and not is_passage(output):
            raise InputError(f"{output}: two results cannot have one name")
        written.append(place)
