# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Message types without ROS, and with it where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from locdreamer_ros.datasets.rosbag2 import message, typestore


def test_the_message_definitions_are_found_in_an_installation(tmp_path: Path) -> None:
    """In a prefix there is no source tree: share/locdreamer_ros/msg has to do."""
    root = Path(__file__).resolve().parents[2]
    site = tmp_path / "lib" / "python3" / "site-packages"
    shutil.copytree(
        root / "locdreamer_ros",
        site / "locdreamer_ros",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copytree(root / "msg", tmp_path / "share" / "locdreamer_ros" / "msg")
    script = (
        "from locdreamer_ros.datasets.rosbag2 import message_folder, typestore\n"
        "print(message_folder(), 'locdreamer_ros/msg/RangeArray' in typestore().types)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(site), "AMENT_PREFIX_PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert result.stdout.split() == [str(tmp_path / "share" / "locdreamer_ros" / "msg"), "True"]


def test_ros_reads_our_cdr_and_we_read_its() -> None:
    serialization = pytest.importorskip("rclpy.serialization")
    ours = pytest.importorskip("locdreamer_ros.msg")
    name = "locdreamer_ros/msg/AnchorRange"
    values = {"range": 1.5, "variance": 0.25, "status": 1, "rx_power": -80.5,
              "first_path_power": -85.0, "nlos_probability": 0.5}  # fmt: skip
    stamp = message("builtin_interfaces/msg/Time", sec=3, nanosec=7)
    mine = message(name, anchor="A1", stamp=stamp, **values)
    ros = ours.AnchorRange(anchor="A1", **values)
    ros.stamp.sec, ros.stamp.nanosec = 3, 7
    # Not byte for byte: what ROS leaves between the fields is not initialised.
    assert (
        serialization.deserialize_message(
            bytes(typestore().serialize_cdr(mine, name)), ours.AnchorRange
        )
        == ros
    )
    assert typestore().deserialize_cdr(serialization.serialize_message(ros), name) == mine


def test_nothing_heavy_is_imported_before_a_bag_is_opened() -> None:
    script = (
        "import sys, locdreamer_ros.datasets.bag, locdreamer_ros.datasets.bregar\n"
        "print({'rosbags', 'scipy', 'tqdm', 'rclpy', 'torch'} & set(sys.modules))"
    )
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
