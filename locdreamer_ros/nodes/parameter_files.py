# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which parameter files the nodes of a launch are given, and what these say of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from locdreamer_ros.config import check, sections
from locdreamer_ros.nodes import catalogue
from locdreamer_ros.nodes.catalogue import shared_file


def full_namespace(given: str, inherited: str) -> str:
    """The namespace of the nodes, without slashes around: a relative one is in what was pushed."""
    spaces = [given] if given.startswith("/") else [inherited, given]
    return "/".join(filter(None, (each.strip("/") for each in spaces)))


def unused(params_file: str, nodes: Sequence[str], space: str) -> list[str]:
    """A remark on sections of the file that look as if they were for these nodes, and are not."""
    found = sections(Path(params_file)) if params_file else []
    used = [each for each in found if any(each.fits(node, space) for node in nodes)]
    others = [each for each in found if each not in used and (each.node in nodes or not used)]
    if not others:
        return []
    name = "/".join(("", space, nodes[0])) if space else f"/{nodes[0]}"
    keys = ", ".join(each.key for each in others)
    return [f"{params_file}: {keys}: not used, no node here has that name; write /** or {name}"]


def files_of(
    params_file: str, nodes: Sequence[str], device: str, space: str = ""
) -> dict[str, tuple[Path, ...]]:
    """The parameter files of each node, the user's last. Raises InputError for a bad one.

    space: the namespace of the nodes.
    """
    found: dict[str, tuple[Path, ...]] = {
        node: (shared_file(f"config/{catalogue.FILES[node]}"),) for node in nodes
    }
    if "driver_node" in found:
        field_ = catalogue.fields_of("driver_node")["device"]
        name = str(check(field_, device or field_.default, "device"))
        found["driver_node"] += (shared_file(f"config/driver/{name}.yaml"),)
    if params_file:
        found = {node: (*files, Path(params_file).absolute()) for node, files in found.items()}
    for node, files in found.items():
        for path in files:
            catalogue.load(path, node, space)
    return found


def settled(
    node: str, files: tuple[Path, ...], over: Mapping[str, Any], space: str
) -> dict[str, Any]:
    """What the node will be given."""
    values: dict[str, Any] = {}
    for path in files:
        values |= catalogue.load(path, node, space)
    return values | dict(over)
