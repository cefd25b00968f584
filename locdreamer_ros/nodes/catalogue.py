# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every node's parameters in one place, so that a YAML file is checked before a node starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from locdreamer_ros.config import check, flat, load_parameters, parameters_of
from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import TRACKERS, config_of
from locdreamer_ros.nodes.ekf_node import ListeningTrackerConfig
from locdreamer_ros.nodes.evaluator_node import EvaluatorConfig
from locdreamer_ros.nodes.lifecycle import NodeConfig
from locdreamer_ros.nodes.recorder_node import RecorderConfig
from locdreamer_ros.nodes.source_node import SourceConfig
from locdreamer_ros.nodes.tracker_node import TrackerConfig
from locdreamer_ros.nodes.tracking import TrackingConfig

GROUPS: dict[str, type[NodeConfig]] = {
    "source_node": SourceConfig,
    "tracker_node": TrackerConfig,
    "ekf_node": ListeningTrackerConfig,
    "evaluator_node": EvaluatorConfig,
    "recorder_node": RecorderConfig,
}


def fields_of(node: str) -> dict[str, dataclasses.Field[Any]]:
    """The fields behind the node's parameters, by parameter name."""
    group = GROUPS[node]
    fields = parameters_of(group)
    if issubclass(group, TrackingConfig):
        for name in TRACKERS:
            fields |= {
                f"{name}.{field.name}": field for field in dataclasses.fields(config_of(name))
            }
    return fields


def load(path: Path, node: str) -> dict[str, Any]:
    """The node's parameters in a file, checked. Raises InputError naming file, node and key."""
    fields = fields_of(node)
    values = dict(flat(load_parameters(path, node)))
    for key, value in values.items():
        if key == "use_sim_time":
            continue
        if key not in fields:
            raise InputError(f"{path}: {node}: unknown key {key!r}")
        values[key] = check(fields[key], value, f"{path}: {node}: {key}")
    return values
