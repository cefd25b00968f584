# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every node's parameters in one place, so that a YAML file is checked before a node starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from rclpy.node import Node

from locdreamer_ros.config import build, check, flat, load_parameters, parameters_of
from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import TRACKERS, config_of
from locdreamer_ros.nodes import parameters
from locdreamer_ros.nodes.last_said import given

GROUPS = {
    "source_node": "SourceConfig",
    "tracker_node": "TrackerConfig",
    "ekf_node": "ListeningTrackerConfig",
    "fleet_node": "FleetConfig",
    "evaluator_node": "EvaluatorConfig",
    "recorder_node": "RecorderConfig",
    "driver_node": "DriverConfig",
    "emulator_node": "EmulatorConfig",
    "view_node": "ViewConfig",
}
"""Each node, and the group of its parameters in its module."""
HOSTS = ("tracker_node", "ekf_node", "fleet_node")
"""They have the parameters of every tracker too."""
FILES = {
    "source_node": "source.yaml",
    "tracker_node": "tracker.yaml",
    "ekf_node": "baseline.yaml",
    "fleet_node": "fleet.yaml",
    "evaluator_node": "evaluator.yaml",
    "recorder_node": "recorder.yaml",
    "driver_node": "driver.yaml",
    "view_node": "view.yaml",
}
"""The file in config/ that shows the parameters of each."""
FOREIGN = ("use_sim_time", "start_type_description_service", "qos_overrides.")
"""Parameters that rclpy itself declares."""


def fields_of(node: str) -> parameters.Fields:
    """The fields behind the node's parameters, by parameter name."""
    group = getattr(import_module(f"locdreamer_ros.nodes.{node}"), GROUPS[node])
    fields = parameters.fields_of(group)
    if node in HOSTS:
        for name in TRACKERS:
            fields |= parameters.fields_of(config_of(name), f"{name}.")
    return fields


def config_with(node: str, values: Mapping[str, Any]) -> Any:
    """The node's own parameters with these values. Raises InputError for one that is not right."""
    group = getattr(import_module(f"locdreamer_ros.nodes.{node}"), GROUPS[node])
    mine = parameters_of(group)
    return build(group, {key: values[key] for key in mine if key in values}, node)


def of_another(key: str) -> bool:
    """Whether some node has the parameter: a file under `/**` may be meant for several."""
    for node in GROUPS:
        try:
            if key in fields_of(node):
                return True
        except ModuleNotFoundError:  # not every node is needed everywhere
            continue
    return False


def refuse_unknown(node: Node) -> None:
    """Raises InputError for a parameter that was given and that no node of the package has.

    A file under `/**` may be meant for several: what another of them has is passed over.
    """
    for name in given(node):
        if not node.has_parameter(name) and not name.startswith(FOREIGN) and not of_another(name):
            raise InputError(f"{node.get_name()}: unknown parameter {name!r}")


def shared_file(name: str) -> Path:
    """A file of the package (`config/...`, `launch/...`): of the source tree, or as installed."""
    tree = Path(__file__).resolve().parents[2]
    prefixes = [sys.prefix, *os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]
    places = [tree, *(Path(prefix) / "share" / "locdreamer_ros" for prefix in prefixes)]
    for place in places:
        if (place / name).is_file():
            return place / name
    raise FileNotFoundError(f"share/locdreamer_ros/{name}: not found; reinstall locdreamer_ros")


def load(path: Path, node: str, space: str = "") -> dict[str, Any]:
    """The parameters in a file of the node, checked. Raises InputError naming file, node and key.

    space: its namespace.
    """
    fields, others = fields_of(node), set[str]()
    values = dict(flat(load_parameters(path, node, space)))
    for key, value in values.items():
        if key.startswith(FOREIGN):
            continue
        if key not in fields:
            if of_another(key):
                others.add(key)
                continue
            raise InputError(f"{path}: {node}: unknown key {key!r}")
        values[key] = check(fields[key], value, f"{path}: {node}: {key}")
    return {key: value for key, value in values.items() if key not in others}
