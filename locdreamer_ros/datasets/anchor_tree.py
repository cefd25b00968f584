# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchors as YAML or JSON: a mapping from ids to places, or a list of them, as rows of a table.

`A1: [0, 0, 2.1]`, `A1: {x: 0, y: 0, z: 2.1}` or `- {id: A1, x: 0, y: 0, z: 2.1}`, alone or within
mappings of one entry, as in a file of ROS parameters (`/**: ros__parameters: anchors:`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from locdreamer_ros.datasets.columns import ANCHOR_ID
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import read_yaml

ENDS = (".yaml", ".yml", ".json")
"""How such files end. JSON is YAML."""
MOST_NAMES = 100
"""Different entries of anchors, at most."""
EXPECTED = "expected anchors as id: [x, y, z] or a list of {id, x, y, z}"


def tree_rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Header and rows of a table of anchors, each with where it is. Raises InputError."""
    entries = _entries(path, read_yaml(path, plain=True))
    header = list(dict.fromkeys(name for _, entry in entries for name in entry))
    if len(header) > MOST_NAMES:
        raise InputError(f"{path}: {EXPECTED}")
    yield "its entries", header
    for where, entry in entries:
        yield where, [entry.get(name, "") for name in header]


def _entries(path: Path, tree: Any) -> list[tuple[str, dict[str, str]]]:
    """The anchors, each as its cells by column, and where it is."""
    while isinstance(tree, dict) and len(tree) == 1 and _nests(next(iter(tree.values()))):
        tree = next(iter(tree.values()))
    if isinstance(tree, dict):
        found = [(f"anchor {name!r}", _placed(place, str(name))) for name, place in tree.items()]
    elif isinstance(tree, list):
        found = [(f"anchor {at}", _placed(entry)) for at, entry in enumerate(tree, start=1)]
    else:
        found = []
    for where, entry in found:
        if not entry or not all(isinstance(cell, str) for cell in entry.values()):
            raise InputError(f"{path}: {where}: {EXPECTED}")
    if not found:
        raise InputError(f"{path}: {EXPECTED}")
    return [(where, {str(name): cell for name, cell in entry.items()}) for where, entry in found]


def _nests(inner: Any) -> bool:
    """Whether a mapping's only entry holds anchors, and is none."""
    if isinstance(inner, dict):
        return any(isinstance(each, (dict, list)) for each in inner.values())
    return isinstance(inner, list) and any(isinstance(each, dict) for each in inner)


def _placed(place: Any, name: str | None = None) -> dict[Any, Any]:
    """The cells of one anchor; none: it is not one."""
    if isinstance(place, list) and name is not None and len(place) in (2, 3):
        place = dict(zip("xyz", place, strict=False))
    if not isinstance(place, dict):
        return {}
    return place if name is None else {ANCHOR_ID[0]: name, **place}
