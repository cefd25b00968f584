# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files start: arguments checked, processes planned, before anything runs.

`plan` knows nothing of the launch stack, so that it is tested without; `describe` is what a launch
file calls.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locdreamer_ros.config import parameters_of
from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import Method, presets_of
from locdreamer_ros.nodes import catalogue, foreign
from locdreamer_ros.nodes.catalogue import shared_file
from locdreamer_ros.nodes.launch_arguments import (
    BASELINES,
    NO_DEVICE,
    ROBOT_DEFAULTS,
    SOURCES,
    TRACKERS,
    arguments,
    choice,
    flag,
    near,
    overrides,
)
from locdreamer_ros.nodes.launch_description import Plan, Started, description
from locdreamer_ros.nodes.parameter_files import files_of, full_namespace, settled, unused
from locdreamer_ros.report.live import check_view


@dataclass(frozen=True)
class _Cast:
    """Who takes part: nodes, in the order they are started in; listeners: of the source."""

    source: str
    baseline: str
    nodes: tuple[str, ...]
    trackers: str
    listeners: int

    @property
    def live(self) -> bool:
        """Whether ranges are of now."""
        return self.source == "serial"

    @property
    def fed(self) -> bool:
        """Whether ranges, and the anchors with them, come from one of these nodes."""
        return bool({"driver_node", "source_node"} & set(self.nodes))


def _cast(args: Mapping[str, str], robot: bool, remarks: list[str]) -> _Cast:
    """Who takes part; a remark where somebody cannot. Raises InputError."""
    source = "serial" if robot else choice("source", args["source"], SOURCES)
    baseline = "none" if robot else choice("baseline", args["baseline"], BASELINES)
    live = source == "serial"
    if not robot and args["measurement"] == "tdoa" and live:
        raise InputError("measurement tdoa: a module is asked for ranges; see docs/tdoa.md")
    trackers = ["tracker_node"] + ["ekf_node"] * (baseline != "none")
    viewed = not robot and flag("view", args["view"])
    if viewed:
        try:
            check_view(None)
        except InputError as reason:
            remarks.append(f"{reason}; going on without")
            viewed = False
    feeds = ["driver_node" if live else "source_node"]
    if robot and args["device"] == NO_DEVICE:
        feeds = []
    nodes = [*feeds, *trackers, *["evaluator_node"] * (not live)]
    nodes += ["recorder_node"] * bool(args["record"]) + ["view_node"] * viewed
    listeners = len(trackers) + 1 + bool(args["record"]) + viewed  # the evaluator too
    return _Cast(source, baseline, tuple(nodes), ",".join(trackers), listeners)


def plan(given: Mapping[str, str], *, robot: bool = False, inherited: str = "") -> Plan:
    """What these arguments start. Raises InputError for one that is not right.

    robot: driver and tracker only. inherited: the namespace that an including launch file pushed.
    """
    args = {name: given.get(name, default) for name, (default, _) in arguments(robot).items()}
    remarks = near(set(given) - set(args), args)
    cast = _cast(args, robot, remarks)
    if robot and args["device"] == NO_DEVICE:
        args["device"] = ""
    space = full_namespace(args["namespace"], inherited)
    files = files_of(args["params_file"], cast.nodes, args["device"], space)
    remarks += unused(args["params_file"], cast.nodes, space)
    over = {node: overrides(node, args) for node in cast.nodes}
    if not cast.fed and args["anchors"]:
        over["tracker_node"]["anchors_file"] = args["anchors"]  # nobody else would say them
    usual = _usual(cast, over, files, space, robot=robot)
    for node, values in _roles(cast, args, over, files, space).items():
        over[node] |= values
    for node in cast.nodes:
        mine = args["params_file"]
        said = catalogue.load(Path(mine), node, space) if mine else {}
        left = {key: value for key, value in usual.get(node, {}).items() if key not in said}
        over[node] = {**left, **over[node]}
        if flag("use_sim_time", args["use_sim_time"]):
            over[node]["use_sim_time"] = True
    recording = over.get("source_node", {}).get("recording")
    if recording and args["record"] and Path(recording).resolve() == Path(args["record"]).resolve():
        raise InputError(f"record: {args['record']} is the recording; choose another folder")
    _check(over, files, space, source=cast.source)
    topics = tuple((name, args[name]) for name in ("odometry", "imu") if args[name])
    for name, topic in topics:
        foreign.check_topic(name, topic)
    listen = {*TRACKERS, "recorder_node"}
    started = [
        Started(
            node,
            files[node],
            over[node],
            topics if node in listen else (),
            respawn=node == "driver_node" or robot,
        )
        for node in cast.nodes
    ]
    if not robot and flag("rviz", args["rviz"]):
        if shutil.which("rviz2") is None:
            remarks.append("rviz2 is not installed: going on without (apt install ros-*-rviz2)")
        else:
            view = str(shared_file("config/tracking.rviz"))
            started.append(Started("rviz2", arguments=("-d", view), package="rviz2"))
    return Plan(tuple(started), args["namespace"], tuple(remarks))


def _usual(
    cast: _Cast,
    over: Mapping[str, Mapping[str, Any]],
    files: Mapping[str, tuple[Path, ...]],
    space: str,
    *,
    robot: bool,
) -> dict[str, dict[str, Any]]:
    """What a launch gives each node where neither arguments nor the user's file say otherwise."""
    tracked = settled("tracker_node", files["tracker_node"], over["tracker_node"], space)
    told = {"trackers": cast.trackers}
    usual: dict[str, dict[str, Any]] = {
        "tracker_node": dict(ROBOT_DEFAULTS) if robot else {"rate": 10.0} if cast.live else {},
        "ekf_node": {},
        "source_node": {"clock": not space, "listeners": cast.listeners},
        "evaluator_node": told,
        "view_node": told,
        "recorder_node": {
            **told,
            "use_sim_time": not cast.live and not space,
            "ranges_from": tracked["ranges_from"],
        },
    }
    if not cast.fed:  # nobody else would say them
        usual["recorder_node"]["anchors_file"] = tracked["anchors_file"]
    for node in TRACKERS if space else ():
        usual[node]["tag_frame"] = f"{space}/tag"
    return usual


def _roles(
    cast: _Cast,
    args: Mapping[str, str],
    over: Mapping[str, Mapping[str, Any]],
    files: Mapping[str, tuple[Path, ...]],
    space: str,
) -> dict[str, dict[str, Any]]:
    """What nodes are told of each other, whatever else is said."""
    told: dict[str, dict[str, Any]] = {
        "source_node": {"source": cast.source},
        "evaluator_node": {"kind": cast.source},
        "recorder_node": {"output": args["record"]},
    }
    place: dict[str, Any] = {}
    if "source_node" in cast.nodes:
        place = settled("source_node", files["source_node"], over["source_node"], space)
    if place.get("measurement") == "tdoa":
        told["tracker_node"] = {"passive": True}
    if "view_node" in cast.nodes and cast.source == "simulator":
        told["view_node"] = {key: place[key] for key in ("environment", "seed") if key in place}
    if "ekf_node" in cast.nodes:
        told["ekf_node"] = _baseline(cast.baseline, files["ekf_node"], space)
    return {node: values for node, values in told.items() if node in cast.nodes}


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
    wanted = {"simulator": (), "replay": ("recording",), "serial": ("anchors_file",)}[source]
    feed = "driver_node" if source == "serial" else "source_node"
    for node, said in over.items():
        values = settled(node, files[node], said, space)
        for key in wanted if node == feed else ():
            name = "anchors" if key == "anchors_file" else key
            if not values.get(key):
                raise InputError(f"source {source} needs {name}:=FILE")
        catalogue.config_with(node, values).check_values()


def describe(*, robot: bool = False) -> Any:
    """The LaunchDescription of tracking.launch.py, or of robot.launch.py."""

    def planned(given: Mapping[str, str], inherited: str) -> Plan:
        return plan(given, robot=robot, inherited=inherited)

    return description(arguments(robot), planned)
