# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every node's parameters in one place, so that a YAML file is checked before a node starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from locdreamer_ros.config import check, flat, load_parameters
from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import TRACKERS, config_of
from locdreamer_ros.nodes import parameters
from locdreamer_ros.nodes.driver_node import DriverConfig
from locdreamer_ros.nodes.ekf_node import ListeningTrackerConfig
from locdreamer_ros.nodes.emulator_node import EmulatorConfig
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
    "driver_node": DriverConfig,
    "emulator_node": EmulatorConfig,
}
FILES = {
    "source_node": "source.yaml",
    "tracker_node": "tracker.yaml",
    "ekf_node": "baseline.yaml",
    "evaluator_node": "evaluator.yaml",
    "recorder_node": "recorder.yaml",
    "driver_node": "driver.yaml",
}
"""The file in config/ that shows the parameters of each."""


def fields_of(node: str) -> parameters.Fields:
    """The fields behind the node's parameters, by parameter name."""
    group = GROUPS[node]
    fields = parameters.fields_of(group)
    if issubclass(group, TrackingConfig):
        for name in TRACKERS:
            fields |= parameters.fields_of(config_of(name), f"{name}.")
    return fields


def load(path: Path, node: str) -> dict[str, Any]:
    """The node's parameters in a file, checked. Raises InputError naming file, node and key."""
    fields, others = fields_of(node), set[str]()
    values = dict(flat(load_parameters(path, node)))
    for key, value in values.items():
        if key == "use_sim_time":
            continue
        if key not in fields:
            if any(key in fields_of(other) for other in GROUPS):
                others.add(key)  # a file under `/**` may be meant for several
                continue
            raise InputError(f"{path}: {node}: unknown key {key!r}")
        values[key] = check(fields[key], value, f"{path}: {node}: {key}")
    return {key: value for key, value in values.items() if key not in others}
