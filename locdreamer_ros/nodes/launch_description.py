# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is planned, as the launch stack takes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from locdreamer_ros.start import BAD_INPUT, LAUNCHED_BY

RESPAWN_DELAY_S = 0.1
REFUSED = "{0} refused what it was given (its last line says what): it is not started again"


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
        if context.is_shutdown:
            return []
        if event.returncode == BAD_INPUT:
            return [LogInfo(msg=REFUSED.format(started.executable))]
        if not started.respawn:
            return []
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
