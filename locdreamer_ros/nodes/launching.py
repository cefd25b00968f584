# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files start: arguments checked, processes planned, before anything runs.

`plan` knows nothing of the launch stack, so that it is tested without; `describe` is what a launch
file calls. An argument that is left empty is what config/*.yaml and `params_file` say.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from locdreamer_ros.config import check, parameters_of
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import check_there
from locdreamer_ros.methods import TRACKERS as METHODS
from locdreamer_ros.methods import Method, presets_of
from locdreamer_ros.nodes import catalogue, foreign
from locdreamer_ros.nodes.catalogue import shared_file
from locdreamer_ros.nodes.parameter_files import files_of, full_namespace, settled, unused
from locdreamer_ros.nodes.robot_frames import read_lever_arm
from locdreamer_ros.report.live import check_view
from locdreamer_ros.start import BAD_INPUT, LAUNCHED_BY

TRACKERS = ("tracker_node", "ekf_node")
SEEDED = (*TRACKERS, "source_node", "evaluator_node")
RESPAWN_DELAY_S = 0.1
REFUSED = "{0} refused what it was given (its last line says what): it is not started again"
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
    "device", "port", "anchors", "tracker", "preset", "scheduler", "model", "budget", "accuracy",
    "price", "rate", "passive", "ranges_from", "dimensions", "tag_height", "tag", "frame",
    "tag_frame", "broadcast", "lever_arm", "seed", "autostart", "record", "odometry", "imu",
    "namespace", "params_file", "use_sim_time",
)  # fmt: skip
"""Arguments of robot.launch.py: a driver and a tracker. tracking.launch.py has them all."""
NO_DEVICE = "none"
SOURCES = ("simulator", "replay", "serial")
BASELINES = ("none", *METHODS)
ROBOT_DEFAULTS = {"rate": 10.0, "broadcast": "none"}
"""A robot has a clock of its own, and often a localiser that owns its TF."""


@dataclass(frozen=True)
class Started:
    """A process: parameter `files`, `parameters` over them, topics `remapped`."""

    executable: str
    files: tuple[Path, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    remapped: tuple[tuple[str, str], ...] = ()
    respawn: bool = False
    arguments: tuple[str, ...] = ()
    package: str = "locdreamer_ros"
    name: str = ""
    """Of the node, where its executable is started more than once."""


@dataclass(frozen=True)
class Plan:
    """What to start, in what namespace, and what to tell the user."""

    started: tuple[Started, ...]
    namespace: str
    remarks: tuple[str, ...]


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


def plan(given: Mapping[str, str], *, robot: bool = False, inherited: str = "") -> Plan:
    """What these arguments start. Raises InputError for one that is not right.

    robot: driver and tracker only. inherited: the namespace that an including launch file pushed.
    """
    args = {name: given.get(name, default) for name, (default, _) in arguments(robot).items()}
    remarks = _near(set(given) - set(args), args)
    source = "serial" if robot else _choice("source", args["source"], SOURCES)
    baseline = "none" if robot else _choice("baseline", args["baseline"], BASELINES)
    live = source == "serial"
    blinks = not robot and args["measurement"] == "tdoa"
    if blinks and live:
        raise InputError("measurement tdoa: a module is asked for ranges; see docs/tdoa.md")
    nodes = ["tracker_node"] + ["ekf_node"] * (baseline != "none")
    trackers = ",".join(nodes)
    viewed = not robot and _flag("view", args["view"])
    if viewed:
        try:
            check_view(None)
        except InputError as reason:
            remarks.append(f"{reason}; going on without")
            viewed = False
    listeners = len(nodes) + 1 + bool(args["record"]) + viewed  # the evaluator too
    nodes += ["evaluator_node"] * (not live)
    nodes += ["recorder_node"] * bool(args["record"])
    nodes += ["view_node"] * viewed
    if robot and args["device"] == NO_DEVICE:
        args["device"] = ""
    else:
        nodes.insert(0, "driver_node" if live else "source_node")
    space = full_namespace(args["namespace"], inherited)
    files = files_of(args["params_file"], nodes, args["device"], space)
    remarks += unused(args["params_file"], nodes, space)
    over = {node: _overrides(node, args) for node in nodes}
    if not {"driver_node", "source_node"} & set(nodes) and args["anchors"]:
        over["tracker_node"]["anchors_file"] = args["anchors"]  # nobody else would say them
    usual: dict[str, dict[str, Any]] = {
        "tracker_node": dict(ROBOT_DEFAULTS) if robot else {"rate": 10.0} if live else {},
        "source_node": {"clock": not space, "listeners": listeners},
        "evaluator_node": {"trackers": trackers},
        "view_node": {"trackers": trackers},
        "recorder_node": {"trackers": trackers, "use_sim_time": not live and not space},
    }
    tracked = settled("tracker_node", files["tracker_node"], over["tracker_node"], space)
    usual["recorder_node"]["ranges_from"] = tracked["ranges_from"]
    if not {"driver_node", "source_node"} & set(nodes):  # nobody else would say them
        usual["recorder_node"]["anchors_file"] = tracked["anchors_file"]
    for node in TRACKERS:
        usual.setdefault(node, {}).update({"tag_frame": f"{space}/tag"} if space else {})
    if "source_node" in over:
        over["source_node"]["source"] = source
    if "evaluator_node" in over:
        over["evaluator_node"]["kind"] = source
    if blinks:
        over["tracker_node"]["passive"] = True
    if "view_node" in over and source == "simulator":
        place = settled("source_node", files["source_node"], over["source_node"], space)
        over["view_node"] |= {key: place[key] for key in ("environment", "seed") if key in place}
    if "recorder_node" in over:
        over["recorder_node"]["output"] = args["record"]
    if "ekf_node" in over:
        over["ekf_node"] |= _baseline(baseline, files["ekf_node"], space)
    for node in nodes:
        mine = args["params_file"]
        said = catalogue.load(Path(mine), node, space) if mine else {}
        left = {key: value for key, value in usual.get(node, {}).items() if key not in said}
        over[node] = {**left, **over[node]}
        if _flag("use_sim_time", args["use_sim_time"]):
            over[node]["use_sim_time"] = True
    _check(over, files, space, source=source)
    recording = over.get("source_node", {}).get("recording")
    if recording and args["record"] and Path(recording).resolve() == Path(args["record"]).resolve():
        raise InputError(f"record: {args['record']} is the recording; choose another folder")
    for name in ("odometry", "imu"):
        if args[name]:
            foreign.check_topic(name, args[name])
    topics = tuple((name, args[name]) for name in ("odometry", "imu") if args[name])
    listen = {*TRACKERS, "recorder_node"}
    started = [
        Started(
            node,
            files[node],
            over[node],
            topics if node in listen else (),
            respawn=node == "driver_node" or robot,
        )
        for node in nodes
    ]
    if not robot and _flag("rviz", args["rviz"]):
        if shutil.which("rviz2") is None:
            remarks.append("rviz2 is not installed: going on without (apt install ros-*-rviz2)")
        else:
            view = str(shared_file("config/tracking.rviz"))
            started.append(Started("rviz2", arguments=("-d", view), package="rviz2"))
    return Plan(tuple(started), args["namespace"], tuple(remarks))


def _near(unknown: set[str], known: Mapping[str, str]) -> list[str]:
    """Remarks on arguments that nobody knows but that look like one: launch says nothing."""
    near = {name: difflib.get_close_matches(name, known, 1, 0.8) for name in sorted(unknown)}
    return [f"no argument {n!r}: do you mean {match[0]!r}?" for n, match in near.items() if match]


def _choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise InputError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
    return value


def _flag(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise InputError(f"{name}: expected true or false, got {value!r}")
    return value.lower() == "true"


def value_of(name: str, text: str, node: str, key: str) -> object:
    """A launch argument in the type of its parameter. Raises InputError."""
    parameter = catalogue.fields_of(node)[key]
    value: object = text
    try:
        if isinstance(parameter.default, bool):
            value = _flag(name, text)
        elif isinstance(parameter.default, int):
            value = int(text)
        elif isinstance(parameter.default, float):
            value = float(text)
    except ValueError:
        kind = type(parameter.default).__name__
        raise InputError(f"{name}: expected {kind}, got {text!r}") from None
    return check(parameter, value, name)


def _overrides(node: str, args: Mapping[str, str]) -> dict[str, Any]:
    """What the arguments say of a node's parameters."""
    found = {}
    for name, (key, nodes) in NODE_ARGUMENTS.items():
        if node in nodes and args.get(name):
            found[key] = value_of(name, args[name], node, key)
    return found


def _baseline(tracker: str, files: tuple[Path, ...], space: str) -> dict[str, Any]:
    """The baseline and, where the files' preset is another tracker's, no preset."""
    preset = settled("ekf_node", files, {}, space).get("preset", "")
    fits = not preset or preset in presets_of(tracker)
    return {"tracker": tracker} if fits else {"tracker": tracker, "preset": ""}


def _check(
    over: Mapping[str, dict[str, Any]],
    files: Mapping[str, tuple[Path, ...]],
    space: str,
    *,
    source: str,
) -> None:
    """What a node would refuse. Raises InputError."""
    tracker = settled("tracker_node", files["tracker_node"], over["tracker_node"], space)
    method = Method(**{key: tracker[key] for key in parameters_of(Method) if key in tracker})
    method.check()
    read_lever_arm(str(tracker.get("lever_arm", "")))
    list(foreign.parse(str(tracker.get("ranges_from", ""))))
    wanted = {"simulator": (), "replay": ("recording",), "serial": ("anchors_file",)}[source]
    node = "driver_node" if source == "serial" else "source_node"
    if node not in over:
        return
    values = settled(node, files[node], over[node], space)
    for key in wanted:
        name = "anchors" if key == "anchors_file" else key
        if not values.get(key):
            raise InputError(f"source {source} needs {name}:=FILE")
    for key in ("recording", "anchors_file"):
        if values.get(key):
            check_there(Path(values[key]))


def describe(*, robot: bool = False) -> Any:
    """The LaunchDescription of tracking.launch.py, or of robot.launch.py."""

    def planned(given: Mapping[str, str], inherited: str) -> Plan:
        return plan(given, robot=robot, inherited=inherited)

    return description(arguments(robot), planned)


def description(
    known: Mapping[str, tuple[str, str]], planned: Callable[[Mapping[str, str], str], Plan]
) -> Any:
    """The LaunchDescription of a launch file.

    known: default and description of each argument; planned: what arguments start in a namespace.
    """
    from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
    from launch.substitutions import LaunchConfiguration

    from launch import LaunchDescription

    def start(context: Any) -> list[Any]:
        said = context.launch_configurations
        given = {name: LaunchConfiguration(name).perform(context) for name in said}
        made = planned(given, said.get("ros_namespace", ""))
        remarks = [LogInfo(msg=remark) for remark in made.remarks]
        return remarks + [_process(each, made.namespace) for each in made.started]

    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in known.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def _process(started: Started, namespace: str) -> Any:
    """The launch action of a process, which starts it again where that may help."""
    from launch.actions import LogInfo, TimerAction
    from launch_ros.actions import Node

    def ended(event: Any, context: Any) -> list[Any]:
        # launch's own `respawn` knows no exit status: it would start for ever what is refused.
        if not started.respawn or context.is_shutdown:
            return []
        if event.returncode == BAD_INPUT:
            return [LogInfo(msg=REFUSED.format(started.executable))]
        return [TimerAction(period=RESPAWN_DELAY_S, actions=[_process(started, namespace)])]

    return Node(
        package=started.package,
        executable=started.executable,
        name=started.name or None,
        namespace=namespace or None,
        parameters=[*map(str, started.files), started.parameters] if started.files else None,
        remappings=list(started.remapped),
        arguments=list(started.arguments),
        additional_env={LAUNCHED_BY: str(os.getpid())},
        on_exit=ended,
        output="screen",
    )
