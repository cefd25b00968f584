# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of tracking.launch.py and robot.launch.py: their names, what they say, to whom.

An argument that is left empty is what config/*.yaml and `params_file` say.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from locdreamer_ros.config import check
from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import TRACKERS as METHODS
from locdreamer_ros.nodes import catalogue

TRACKERS = ("tracker_node", "ekf_node")
SEEDED = (*TRACKERS, "source_node", "evaluator_node")
NODE_ARGUMENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    # launch argument: parameter, nodes that get it; the first one's description is shown, on a
    # robot the driver's, and what `OF_SEVERAL` has instead
    "environment": ("environment", ("source_node",)),
    "duration": ("duration", ("source_node",)),
    "measurement": ("measurement", ("source_node",)),
    "recording": ("recording", ("source_node",)),
    "speed": ("speed", ("source_node",)),
    "device": ("device", ("driver_node",)),
    "port": ("port", ("driver_node",)),
    "anchors": ("anchors_file", ("source_node", "driver_node")),
    "tracker": ("tracker", ("tracker_node",)),
    "preset": ("preset", ("tracker_node",)),
    "scheduler": ("scheduler", ("tracker_node",)),
    "model": ("model", ("tracker_node",)),
    "compute": ("compute", ("tracker_node",)),
    "budget": ("budget", ("tracker_node", "evaluator_node")),
    "accuracy": ("accuracy", ("tracker_node",)),
    "price": ("price", ("tracker_node",)),
    "rate": ("rate", ("tracker_node",)),
    "passive": ("passive", ("tracker_node",)),
    "ranges_from": ("ranges_from", ("tracker_node",)),
    "dimensions": ("dimensions", TRACKERS),
    "tag_height": ("tag_height", TRACKERS),
    "tag": ("tag", (*TRACKERS, "source_node", "driver_node")),
    "frame": ("frame", (*TRACKERS, "source_node", "driver_node")),
    "tag_frame": ("tag_frame", TRACKERS),
    "broadcast": ("broadcast", ("tracker_node",)),
    "lever_arm": ("lever_arm", TRACKERS),
    "seed": ("seed", SEEDED),
    "output": ("output", ("evaluator_node",)),
    "autostart": ("autostart", tuple(catalogue.FILES)),
}
OF_SEVERAL = {
    "anchors": "anchors CSV (id,x,y,z): a module's, or of a recording that does not know its own",
    "rate": "fixes per second of ROS time; 0: one for each uwb/tick (0.0; source serial: 10.0)",
    "seed": "of what is drawn at random: walk and errors of the simulator, trackers' choices (0)",
}
"""What tracking.launch.py says of arguments that mean something else to each node."""
OTHERS = {
    "source": ("simulator", "simulator, replay, or serial: a module, see docs/driver.md"),
    "baseline": ("ekf", "tracker that runs beside it on the same ranges; none: nobody"),
    "record": ("", "folder of a bag with all topics"),
    "odometry": ("", "topic of the robot's wheel odometry (odometry)"),
    "imu": ("", "topic of the robot's gyro (imu)"),
    "namespace": ("", "namespace of all nodes, and with it of their topics"),
    "params_file": ("", "ROS 2 parameter file that goes over config/*.yaml"),
    "use_sim_time": ("false", "true: time is that of /clock"),
    "rviz": ("false", "show it in RViz"),
    "view": ("false", "show it in rerun's viewer"),
}
ROBOT = (
    "device", "port", "anchors", "tracker", "preset", "scheduler", "model", "compute", "budget",
    "accuracy", "price", "rate", "passive", "ranges_from", "dimensions", "tag_height", "tag",
    "frame", "tag_frame", "broadcast", "lever_arm", "seed", "autostart", "record", "odometry",
    "imu", "namespace", "params_file", "use_sim_time",
)  # fmt: skip
"""Arguments of robot.launch.py: a driver and a tracker. tracking.launch.py has them all."""
NO_DEVICE = "none"
SOURCES = ("simulator", "replay", "serial")
BASELINES = ("none", *METHODS)
ROBOT_DEFAULTS = {"rate": 10.0, "broadcast": "none"}
"""A robot has a clock of its own, and often a localiser that owns its TF."""


def arguments(robot: bool) -> dict[str, tuple[str, str]]:
    """Default and description of each launch argument."""
    found = {}
    for name in ROBOT if robot else (*OTHERS, *NODE_ARGUMENTS):
        if name in OTHERS:
            found[name] = OTHERS[name]
            continue
        key, nodes = NODE_ARGUMENTS[name]
        node = "driver_node" if robot and "driver_node" in nodes else nodes[0]
        defaults = ROBOT_DEFAULTS if robot else {}
        found[name] = ("", argument_text(node, key, defaults.get(name)))
    if not robot:
        return found | {name: ("", text) for name, text in OF_SEVERAL.items()}
    found["device"] = ("", found["device"][1] + f"; {NO_DEVICE}: somebody else's driver")
    return found


def argument_text(node: str, key: str, default: object = None) -> str:
    """What a launch argument does that sets a node's parameter, with its choices and default."""
    parameter = catalogue.fields_of(node)[key]
    shown = parameter.default if default is None else default
    choices = parameter.metadata["choices"]
    text = f"{parameter.metadata['description']}{': ' if choices else ''}{', '.join(choices or ())}"
    return f"{text} ({shown})" if str(shown) else text


def near(unknown: set[str], known: Mapping[str, str]) -> list[str]:
    """Remarks on arguments that nobody knows but that look like one: launch says nothing."""
    near = {name: difflib.get_close_matches(name, known, 1, 0.8) for name in sorted(unknown)}
    return [f"no argument {n!r}: do you mean {match[0]!r}?" for n, match in near.items() if match]


def choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    """The value, if it is one of these. Raises InputError."""
    if value not in choices:
        raise InputError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
    return value


def flag(name: str, value: str) -> bool:
    """True or false, in any case. Raises InputError."""
    if value.lower() not in ("true", "false"):
        raise InputError(f"{name}: expected true or false, got {value!r}")
    return value.lower() == "true"


def value_of(name: str, text: str, node: str, key: str) -> object:
    """A launch argument in the type of its parameter. Raises InputError."""
    parameter = catalogue.fields_of(node)[key]
    value: object = text
    try:
        if isinstance(parameter.default, bool):
            value = flag(name, text)
        elif isinstance(parameter.default, int):
            value = int(text)
        elif isinstance(parameter.default, float):
            value = float(text)
    except ValueError:
        kind = type(parameter.default).__name__
        raise InputError(f"{name}: expected {kind}, got {text!r}") from None
    return check(parameter, value, name)


def overrides(node: str, args: Mapping[str, str]) -> dict[str, Any]:
    """What the arguments say of a node's parameters."""
    found = {}
    for name, (key, nodes) in NODE_ARGUMENTS.items():
        if node in nodes and args.get(name):
            found[key] = value_of(name, args[name], node, key)
    return found
