# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Track a simulated or recorded tag: `ros2 launch locdreamer_ros tracking.launch.py --show-args`.

Parameters come from config/tracking.yaml; the arguments below go over them.
"""

from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

CONFIG = PathJoinSubstitution([FindPackageShare("locdreamer_ros"), "config"])

# name, default, description
ARGUMENTS = [
    ("source", "simulator", "simulator or replay"),
    ("environment", "house", "simulator: house, hall, lab or random"),
    ("duration", "120.0", "simulator: length of the walk in s"),
    ("recording", "", "replay: range table (.csv) or rosbag2"),
    ("anchors", "", "replay: anchors CSV; empty: the recording's own"),
    ("speed", "1.0", "1: real time, 0: as fast as possible"),
    ("tracker", "grid", "ekf, robust-ekf, bias-ekf, grid or particle"),
    ("preset", "", "named parameter set of the tracker"),
    ("scheduler", "gdop", "all, random, round-robin, nearest, gdop, gdop-memory or wls"),
    ("budget", "3", "anchors to ask for each fix"),
    ("baseline", "ekf", "tracker that runs beside it on the same ranges"),
    ("seed", "0", "seed of everything drawn at random"),
    ("output", "", "folder for metrics.json"),
    ("rviz", "false", "show it in RViz"),
]


def parameter(argument, kind=str):
    """The value of a launch argument as a parameter of that type."""
    return ParameterValue(LaunchConfiguration(argument), value_type=kind)


def node(executable, **overrides):
    """A node of this package with the YAML's parameters and `overrides` over them."""
    file = PathJoinSubstitution([CONFIG, "tracking.yaml"])
    return Node(
        package="locdreamer_ros",
        executable=executable,
        name=executable,
        parameters=[file, overrides],
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
                source=parameter("source"),
                environment=parameter("environment"),
                duration=parameter("duration", float),
                recording=parameter("recording"),
                anchors_file=parameter("anchors"),
                speed=parameter("speed", float),
                seed=seed,
            ),
            node(
                "tracker_node",
                tracker=parameter("tracker"),
                preset=parameter("preset"),
                scheduler=parameter("scheduler"),
                budget=budget,
                seed=seed,
            ),
            node("ekf_node", tracker=parameter("baseline"), seed=seed),
            node("evaluator_node", output=parameter("output"), budget=budget, seed=seed),
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", PathJoinSubstitution([CONFIG, "tracking.rviz"])],
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
        ]
    )
