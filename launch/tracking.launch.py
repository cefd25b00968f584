# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Track a tag: `ros2 launch locdreamer_ros tracking.launch.py --show-args`.

Parameters come from config/tracking.yaml, driver_node's from config/driver.yaml and its device's
file in config/driver/; the arguments below go over them.
"""

from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition, UnlessCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

CONFIG = PathJoinSubstitution([FindPackageShare("locdreamer_ros"), "config"])

SERIAL = PythonExpression(["'", LaunchConfiguration("source"), "' == 'serial'"])
DEVICE_FILE = PythonExpression(["'driver/", LaunchConfiguration("device"), ".yaml'"])
# A module is asked by the clock on the wall; a recording ticks /clock, and each tick is a fix.
RATE = PythonExpression(["'10.0' if '", LaunchConfiguration("source"), "' == 'serial' else '0.0'"])

# name, default, description
ARGUMENTS = [
    ("source", "simulator", "simulator, replay, or serial: a module, see docs/driver.md"),
    ("environment", "house", "simulator: house, hall, lab or random"),
    ("duration", "120.0", "simulator: length of the walk in s"),
    ("recording", "", "replay: range table (.csv) or rosbag2"),
    ("anchors", "", "replay, serial: anchors CSV; empty: the recording's own"),
    ("device", "decar", "serial: which module, a name of config/driver/"),
    ("port", "/dev/serial/by-id/*", "serial: its port, or a pattern"),
    ("rate", RATE, "fixes per second; 0: one for each tick of /clock"),
    ("speed", "1.0", "1: real time, 0: as fast as possible"),
    ("tracker", "zero-shot", "zero-shot, ekf, robust-ekf, bias-ekf, grid, particle, locdreamer"),
    ("preset", "", "named parameter set of the tracker"),
    (
        "scheduler",
        "gdop",
        "all, random, round-robin, nearest, gdop, sequential, wls, actor, juno",
    ),
    ("model", "", "model file of a learned tracker or scheduler; empty: zero-shot's own"),
    ("budget", "3", "anchors to ask for each fix"),
    ("baseline", "ekf", "tracker that runs beside it on the same ranges"),
    ("seed", "0", "seed of everything drawn at random"),
    ("output", "", "folder for metrics.json"),
    ("rviz", "false", "show it in RViz"),
]


def parameter(argument, kind=str):
    """The value of a launch argument as a parameter of that type."""
    return ParameterValue(LaunchConfiguration(argument), value_type=kind)


def node(executable, overrides, files=("tracking.yaml",), condition=None):
    """A node of this package with the parameters of YAML files and `overrides` over them."""
    return Node(
        package="locdreamer_ros",
        executable=executable,
        name=executable,
        parameters=[*(PathJoinSubstitution([CONFIG, file]) for file in files), overrides],
        condition=condition,
        output="screen",
    )


def generate_launch_description():
    """Source, tracker, baseline and evaluator; RViz on request."""
    seed = parameter("seed", int)
    budget = parameter("budget", int)
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=text)
                for name, default, text in ARGUMENTS
            ),
            node(
                "source_node",
                {
                    "source": parameter("source"),
                    "environment": parameter("environment"),
                    "duration": parameter("duration", float),
                    "recording": parameter("recording"),
                    "anchors_file": parameter("anchors"),
                    "speed": parameter("speed", float),
                    "seed": seed,
                },
                condition=UnlessCondition(SERIAL),
            ),
            node(
                "driver_node",
                {
                    "device": parameter("device"),
                    "port": parameter("port"),
                    "anchors_file": parameter("anchors"),
                },
                files=("driver.yaml", DEVICE_FILE),
                condition=IfCondition(SERIAL),
            ),
            node(
                "tracker_node",
                {
                    "tracker": parameter("tracker"),
                    "preset": parameter("preset"),
                    "scheduler": parameter("scheduler"),
                    "model": parameter("model"),
                    "budget": budget,
                    "rate": parameter("rate", float),
                    "seed": seed,
                },
            ),
            node("ekf_node", {"tracker": parameter("baseline"), "seed": seed}),
            # Nobody knows where a real tag was, so there is nothing to score.
            node(
                "evaluator_node",
                {"output": parameter("output"), "budget": budget, "seed": seed},
                condition=UnlessCondition(SERIAL),
            ),
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", PathJoinSubstitution([CONFIG, "tracking.rviz"])],
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
        ]
    )
