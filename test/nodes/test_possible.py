# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchors in millimetres, or over another floor: said, and no pose until they are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from locdreamer_ros.msg import AnchorArray, RangeArray
from nodes.hosted import ANCHORS, TRUTH, Hosted, hosting, ranges_at

from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.ekf_node import EkfNode
from locdreamer_ros.nodes.fleet_node import FleetNode
from locdreamer_ros.nodes.lifecycle import LATCHED, UwbNode
from locdreamer_ros.nodes.members import states
from locdreamer_ros.nodes.possible import FIXES
from locdreamer_ros.types import Anchors, FloatArray


def fixes_with(hosted: Hosted, places: FloatArray, start: int) -> int:
    """Poses of so many fixes as are judged, and ten more, with anchors said to be at `places`."""
    hosted.node._on_anchors(c.to_anchors(Anchors(ANCHORS.ids, places), 0, "map"))
    before = hosted.node.counts["fixes"]
    for epoch in range(start, start + FIXES + 10):
        heard = c.to_ranges(ranges_at(TRUTH, [0, 1, 2, 3], epoch / 10.0), ANCHORS)
        head = c.header(epoch * 10**8, "map")
        hosted.node._on_ranges(RangeArray(header=head, ranges=heard))
        if epoch == start + FIXES - 1:
            before = hosted.node.counts["fixes"]
    return hosted.node.counts["fixes"] - before


def test_anchors_that_cannot_be_there_give_no_pose() -> None:
    with hosting(EkfNode, dimensions='"2"') as hosted:
        assert fixes_with(hosted, 1000.0 * ANCHORS.positions, 10) == 0
        assert "uwb/anchors: the anchors are not in metres but" in hosted.node.health()[0]
        assert "in millimetres" in hosted.node.health()[0]
        high = ANCHORS.positions + np.array([0.0, 0.0, 20.0])
        assert fixes_with(hosted, high, 100) == 0
        assert "tag_height 1: the anchors hang at 22 to 22.5 m" in hosted.node.health()[0]
        assert fixes_with(hosted, ANCHORS.positions, 200) == 10
        assert hosted.node.health()[0] == ""


@pytest.mark.parametrize("make", [EkfNode, FleetNode])
def test_an_anchor_whose_height_stands_for_unknown_is_named(make: type[UwbNode]) -> None:
    with hosting(make, dimensions='"2"') as hosted:
        unknown = ANCHORS.positions.copy()
        unknown[2, 2] = -999.0
        says = hosted.peer.create_publisher(AnchorArray, "uwb/anchors", LATCHED)
        says.publish(c.to_anchors(Anchors(ANCHORS.ids, unknown), 0, "map"))
        said = "uwb/anchors: anchor 'c': z = -999 m is far from all others"
        hosted.until(lambda: hosted.node.counts["messages_dropped"], "the anchors")
        assert said in hosted.node.problem
        assert said in hosted.node.health()[0]
        says.publish(c.to_anchors(ANCHORS, 0, "map"))
        hosted.until(lambda: hosted.node.site is not None, "better ones")
        assert "far from" not in hosted.node.health()[0]


def test_each_tag_of_a_fleet_is_judged_for_itself() -> None:
    with hosting(FleetNode, dimensions='"2"') as hosted:
        node = hosted.node

        def send(start: int) -> int:
            """Poses after the fixes that are judged, of two tags; one sends centimetres."""
            for epoch in range(start, start + FIXES + 5):
                if epoch == start + FIXES:
                    before = node.counts["fixes"]
                for tag, unit in (("robin", 1.0), ("wren", 0.01)):
                    ranges = ranges_at(TRUTH, [0, 1, 2, 3], epoch / 10.0)
                    told = c.to_ranges(replace(ranges, value=ranges.value / unit), ANCHORS)
                    head = c.header(epoch * 10**8, "map")
                    node._heard(node._on_ranges, RangeArray(header=head, tag=tag, ranges=told))
                node._take_in()
            return int(node.counts["fixes"] - before)

        node._on_anchors(c.to_anchors(ANCHORS, 0, "map"))
        assert send(10) == 5
        assert "tag 'wren': uwb/ranges: the ranges are not in metres" in node.health()[0]
        found = {tag: (status, 0, "") for tag, status in node._states().items()}
        entries = states(node._members.by_tag, found, node.site, 0.0)
        assert ["centimetres" in each.message for each in entries.status] == [False, True]
        high = ANCHORS.positions + np.array([0.0, 0.0, 20.0])
        node._on_anchors(c.to_anchors(Anchors(ANCHORS.ids, high), 0, "map"))
        assert send(100) == 0
        assert "tag 'robin': tag_height 1: the anchors hang" in node.health()[0]
