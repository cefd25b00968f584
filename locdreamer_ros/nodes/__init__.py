# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 nodes: parameters, topics and time; what they compute is elsewhere.

Nothing outside this package imports rclpy, and nothing outside imports this package except the
launch files and the command line's `demo`. Importing it where ROS 2 is missing raises InputError
saying what to install.

`X_node` is an executable. What they share: `lifecycle` (every node), on it `sited` (who tracks: the
anchors), on that `tracking` (one tracker) and `passive` (asks nobody); `conversions` between
messages and the core's types, `parameters`, `listening`, `saying` (diagnostics and logs).
`launching` plans what the launch files start; `graph` is `demo`'s way to start the same.
"""

from importlib.util import find_spec

from locdreamer_ros.errors import InputError

NEEDED = (
    "rclpy",
    "diagnostic_msgs",
    "geometry_msgs",
    "nav_msgs",
    "rosgraph_msgs",
    "std_msgs",
    "tf2_msgs",
    "visualization_msgs",
)

_missing = [name for name in NEEDED if find_spec(name) is None]
if not _missing and find_spec("locdreamer_ros.msg") is None:
    _missing.append("locdreamer_ros.msg")
if _missing:
    raise InputError(
        f"the ROS 2 nodes need {', '.join(_missing)}: source a ROS 2 distribution and its "
        "workspace, or on x86_64 Linux: pip install 'locdreamer_ros[ros]' (the rest of the package "
        "works without: locdreamer demo --offline)"
    )

from locdreamer_ros.msg import TrackerStatus  # noqa: E402

if not hasattr(TrackerStatus, "silence"):
    raise InputError(
        "the compiled messages are older than this code: build the package again (colcon build, "
        "pip install, or make install in the source tree)"
    )
