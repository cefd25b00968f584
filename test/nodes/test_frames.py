# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TF as the nodes read it."""

from __future__ import annotations

from math import nan, pi

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from geometry_msgs.msg import TransformStamped
from tf2_msgs.msg import TFMessage

from locdreamer_ros.errors import InputError
from locdreamer_ros.frames import FrameTree, moved
from locdreamer_ros.nodes import conversions as c


def step(above: str, child: str, x: float, y: float, yaw: float = 0.0) -> TransformStamped:
    message = TransformStamped(header=c.header(0, above), child_frame_id=child)
    message.transform.translation.x, message.transform.translation.y = x, y
    message.transform.rotation = c.to_quaternion(yaw)
    return message


@pytest.fixture
def tree() -> FrameTree:
    found = FrameTree()
    steps = [
        step("map", "odom", 1.0, 0.0, pi / 2),
        step("odom", "base_link", 2.0, 0.0),
        step("base_link", "tag", 0.0, 1.0),
        step("map", "hall", 0.0, 5.0),
        step("moon", "crater", 0.0, 0.0),
    ]
    found.add(TFMessage(transforms=steps))
    return found


def test_points_are_taken_up_and_down_the_tree(tree: FrameTree) -> None:
    origin = np.zeros((1, 3))
    for target, source, place in (
        ("map", "tag", [0.0, 2.0, 0.0]),
        ("hall", "tag", [0.0, -3.0, 0.0]),
        ("base_link", "tag", [0.0, 1.0, 0.0]),
        ("tag", "base_link", [0.0, -1.0, 0.0]),
        ("tag", "tag", [0.0, 0.0, 0.0]),
    ):
        there = tree.between(target, source)
        assert there is not None
        np.testing.assert_allclose(moved(there, origin)[0], place, atol=1e-12)


def test_frames_that_nothing_joins_are_unknown(tree: FrameTree) -> None:
    assert tree.between("map", "crater") is None
    assert tree.between("map", "nowhere") is None


def test_a_lever_arm_is_not_had_by_way_of_the_map(tree: FrameTree) -> None:
    """There the tag hangs on its own estimate."""
    tree.add(TFMessage(transforms=[step("map", "loose", 9.0, 9.0), step("earth", "map", 0.0, 0.0)]))
    assert tree.between("base_link", "loose") is not None
    assert tree.between("base_link", "loose", below="/map") is None
    assert tree.between("base_link", "tag", below="map") is not None
    tree.add(TFMessage(transforms=[step("loose", "frame", 0.0, 1.0)]))
    assert tree.between("frame", "loose", below="map") is not None
    assert tree.above("loose") == "map"
    assert tree.above("earth") is None


def test_a_loop_does_not_hang(tree: FrameTree) -> None:
    tree.add(TFMessage(transforms=[step("tag", "map", 0.0, 0.0)]))
    assert tree.between("map", "nowhere") is None


@pytest.mark.parametrize(("x", "w"), [(nan, 1.0), (0.0, 0.0), (0.0, nan)])
def test_a_transform_that_is_none_is_refused(tree: FrameTree, x: float, w: float) -> None:
    bad = step("map", "bad", x, 0.0)
    bad.transform.rotation.w = w
    with pytest.raises(InputError, match="tf: expected"):
        tree.add(TFMessage(transforms=[bad]))


def test_a_transform_that_is_wrong_spoils_no_other_and_slashes_do_not_matter(
    tree: FrameTree,
) -> None:
    steps = [step("map", "broken", nan, 0.0), step("/map", "/slashed", 1.0, 2.0)]
    with pytest.raises(InputError, match="map -> broken is not"):
        tree.add(TFMessage(transforms=steps))
    for name in ("slashed", "/slashed"):
        found = tree.between("/map", name)
        assert found is not None
        np.testing.assert_allclose(found[:3, 3], [1.0, 2.0, 0.0])
    assert tree.between("map", "broken") is None
    same = tree.between("/map", "map")
    assert same is not None
    np.testing.assert_allclose(same, np.eye(4))
