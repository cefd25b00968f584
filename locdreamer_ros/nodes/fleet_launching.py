# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What fleet.launch.py starts: `fleet_node`; on request simulated tags that blink, a recorder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from locdreamer_ros.config import parameters_of
from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import Method
from locdreamer_ros.nodes.catalogue import config_with
from locdreamer_ros.nodes.launch_arguments import argument_text, value_of
from locdreamer_ros.nodes.launch_description import Plan, Started, description
from locdreamer_ros.nodes.parameter_files import files_of, full_namespace, settled, unused

SHOWN_ARGUMENTS = (
    "tracker", "preset", "scheduler", "model", "compute", "budget", "dimensions", "tag_height",
    "frame", "passive", "tags", "rate", "air_time", "radio", "most_tags", "forget_after",
    "max_silence", "seed", "autostart",
)  # fmt: skip
"""Parameters of `fleet_node` that are launch arguments."""
OTHERS = {
    "anchors": ("", "anchors CSV (id,x,y,z); empty: from the topic uwb/anchors"),
    "simulated": ("0", "so many simulated tags, tag1, tag2 ...: each a process that blinks (TDoA)"),
    "environment": ("hall", "simulated: the place: house, hall or lab"),
    "record": ("", "folder of a bag with what the fleet hears"),
    "namespace": ("", "namespace of all nodes, and with it of their topics"),
    "params_file": ("", "ROS 2 parameter file that goes over config/fleet.yaml"),
}
MOST_SIMULATED = 20
PLACES = ("house", "hall", "lab")
"""Their anchors hang at the same places whatever the seed, which each tag has of its own."""


def arguments() -> dict[str, tuple[str, str]]:
    """Default and description of each launch argument."""
    return {**OTHERS, **{name: ("", argument_text("fleet_node", name)) for name in SHOWN_ARGUMENTS}}


def plan(given: Mapping[str, str], inherited: str = "") -> Plan:
    """What these arguments start. Raises InputError for one that is not right."""
    args = {name: given.get(name, default) for name, (default, _) in arguments().items()}
    over: dict[str, Any] = {
        name: value_of(name, args[name], "fleet_node", name)
        for name in SHOWN_ARGUMENTS
        if args[name]
    }
    if args["anchors"]:
        over["anchors_file"] = args["anchors"]
    text = args["simulated"]
    if not (text.isdigit() and int(text) <= MOST_SIMULATED):
        raise InputError(f"simulated: expected a whole number up to {MOST_SIMULATED}, got {text!r}")
    if args["environment"] not in PLACES:
        found = args["environment"]
        raise InputError(f"environment: expected one of {', '.join(PLACES)}, got {found!r}")
    Method(**{key: over[key] for key in parameters_of(Method) if key in over}).check()
    space = full_namespace(args["namespace"], inherited)
    files = files_of(args["params_file"], ["fleet_node", "source_node", "recorder_node"], "", space)
    started = [Started("fleet_node", files["fleet_node"], over, respawn=True)]
    for number in range(1, int(text) + 1):
        walk = {
            "source": "simulator",
            "measurement": "tdoa",
            "environment": args["environment"],
            "tag": f"tag{number}",
            "seed": number,
            "listeners": 1,
            "clock": False,
            "frame": over.get("frame", "map"),
        }
        started.append(Started("source_node", files["source_node"], walk, name=f"source_{number}"))
    if args["record"]:
        into = {"output": args["record"], "trackers": "", "use_sim_time": False}
        started.append(Started("recorder_node", files["recorder_node"], into))
    for each in started:
        values = settled(each.executable, each.files, each.parameters, space)
        config_with(each.executable, values).check_values()
    remarks = unused(args["params_file"], [*files], space)
    return Plan(tuple(started), args["namespace"], tuple(remarks))


def describe() -> Any:
    """The LaunchDescription of fleet.launch.py."""
    return description(arguments(), plan)
