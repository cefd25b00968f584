# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of commands that read a recording of anybody's form."""

from __future__ import annotations

import argparse


def add_columns(parser: argparse.ArgumentParser) -> None:
    """--columns."""
    parser.add_argument(
        "--columns",
        type=_mapping,
        metavar="WHAT=NAME,...",
        help="names in another's table, as time=stamp,anchor=id,range=dist, or topics and fields "
        "of another's bag, as ranges=/toa,anchor=id,range_mm=dist,truth=/pose (docs/datasets.md)",
    )


def _mapping(text: str) -> dict[str, str]:
    """Argument of argparse: what each named column is called in the file."""
    mapping: dict[str, str] = {}
    for part in text.split(","):
        role, equals, name = (piece.strip() for piece in part.partition("="))
        if not (role and equals and name) or role in mapping:
            raise argparse.ArgumentTypeError(
                f"expected time=NAME,range=NAME,... each once, got {text!r}"
            )
        mapping[role] = name
    return mapping
