# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The live view's node puts together what belongs to one stamp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from geometry_msgs.msg import PoseStamped
from locdreamer_ros.msg import AnchorArray, RangeArray, RangeDifferenceArray, TrackerStatus
from nav_msgs.msg import OccupancyGrid, Odometry
from nodes.hosted import ANCHORS, TRUTH, hosting, ranges_at
from nodes.test_robot import transform
from tf2_msgs.msg import TFMessage

from locdreamer_ros.errors import InputError
from locdreamer_ros.integrity.status import State
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes import view_node
from locdreamer_ros.nodes.lifecycle import KEPT_QOS, LATCHED
from locdreamer_ros.report.live import Fix
from locdreamer_ros.types import Anchors, Estimate, Site


class Shown:
    """Stands for rerun's viewer."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self.fixes: list[Fix] = []
        self.maps: list[Any] = []
        self.drawn = [given[0]]
        self.show_anchors: Callable[[Anchors], None] = self.drawn.append
        self.height = named["height"]
        self.show: Callable[[Fix], None] = self.fixes.append

    def show_map(self, *given: Any) -> None:
        self.maps.append(given)

    def send(self) -> None: ...

    def close(self) -> None: ...


def test_a_fix_is_shown_once_all_of_it_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_node, "check_view", lambda file: None)
    monkeypatch.setattr(view_node, "LiveView", Shown)
    ns = 5_000_000_000
    head = c.header(ns, "map")
    estimate = Estimate(5.0, np.array([3.1, 2.0, 0.0, 0.0]), 0.01 * np.eye(4))
    pose = c.to_pose(estimate, 1.0, ns, "map")
    status = TrackerStatus(header=head, state=TrackerStatus.TRACKING, excluded=["d", "unknown"])
    with hosting(view_node.ViewNode, trackers="tracker_node") as hosted:
        hosted.place()
        node = hosted.node
        hosted.until(lambda: node._anchors is not None, "anchors")
        grid = OccupancyGrid(data=[0, 100, -1, 0, 0, 100])
        grid.info.width, grid.info.height = 3, 2
        for bad in (0.0, nan, inf):
            grid.info.resolution = bad
            with pytest.raises(InputError, match="map: expected a resolution"):
                node._on_map(grid)
        grid.info.resolution = 0.5
        hosted.say(OccupancyGrid, "map", LATCHED).publish(grid)
        truth = c.to_pose_stamped(np.array([*TRUTH, 1.0]), ns, "map")
        hosted.say(PoseStamped, "ground_truth/pose", KEPT_QOS).publish(truth)
        for rows in ([0], [2]):  # one fix in two answers
            answer = RangeArray(
                header=head, ranges=c.to_ranges(ranges_at(TRUTH, rows, 5.0), ANCHORS)
            )
            hosted.say(RangeArray, "uwb/ranges").publish(answer)
        hosted.until(lambda: len(node._ranges.get(ns, [])) == 2 and node._truth, "ranges")
        hosted.say(TrackerStatus, "tracker_node/status", KEPT_QOS).publish(status)
        odometry = hosted.say(Odometry, "tracker_node/odometry", KEPT_QOS)
        odometry.publish(c.to_odometry(pose, estimate, "tag"))
        hosted.until(lambda: node.counts["fixes"] == 1 and node._view.maps, "a fix and the map")
        # And a blink: its differences are shown with the offset that fits the estimate.
        later, there = 6_000_000_000, estimate.position
        blink = c.to_differences(
            replace(ranges_at(there, [1, 2, 3], 6.0), differences=True),
            ANCHORS,
            ns=later,
            tag="",
            frame="map",
        )
        hosted.say(RangeDifferenceArray, "uwb/range_differences").publish(blink)
        hosted.until(lambda: later in node._ranges, "the blink")
        again = Estimate(6.0, estimate.mean, estimate.covariance)
        odometry.publish(c.to_odometry(c.to_pose(again, 1.0, later, "map"), again, "tag"))
        says = hosted.say(TrackerStatus, "tracker_node/status", KEPT_QOS)
        says.publish(TrackerStatus(header=c.header(later, "map")))
        hosted.until(lambda: node.counts["fixes"] == 2, "a second fix")
        shown = node._view
        (fix, second), ((cells, cell_m, corner),) = shown.fixes, shown.maps
    assert (fix.tracker, fix.asked, fix.excluded) == ("tracker_node", [0, 2], [3])
    assert fix.state is State.TRACKING
    assert fix.estimate.mean.tolist() == estimate.mean.tolist()
    assert np.isfinite(fix.heard).tolist() == [True, False, True, False]
    assert fix.truth.tolist() == [*TRUTH, 1.0]
    assert shown.height == 1.0
    assert second.asked == [1, 2, 3]
    expected = Site(ANCHORS, 2, 1.0).expected(there, np.arange(4))
    np.testing.assert_allclose(second.heard, [np.nan, *expected[1:]])
    assert (cells.tolist(), cell_m, corner) == ([[0, 100, -1], [0, 0, 100]], 0.5, (0.0, 0.0))


def test_anchors_are_drawn_in_the_frame_of_the_fixes_and_move_with_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They were drawn as they came, in whatever frame, and where they had been at first."""
    monkeypatch.setattr(view_node, "check_view", lambda file: None)
    monkeypatch.setattr(view_node, "LiveView", Shown)
    estimate = Estimate(5.0, np.array([3.1, 2.0, 0.0, 0.0]), 0.01 * np.eye(4))
    with hosting(view_node.ViewNode, trackers="tracker_node") as hosted:
        node = hosted.node
        anchors = hosted.say(AnchorArray, "uwb/anchors", LATCHED)
        anchors.publish(c.to_anchors(ANCHORS, 0, "uwb"))
        status = hosted.say(TrackerStatus, "tracker_node/status", KEPT_QOS)
        odometry = hosted.say(Odometry, "tracker_node/odometry", KEPT_QOS)
        static = hosted.peer.create_publisher(TFMessage, "/tf_static", LATCHED)
        hosted.until(lambda: node._anchors is not None, "anchors")

        def fix(second: int) -> None:
            ns = second * 10**9
            status.publish(TrackerStatus(header=c.header(ns, "map")))
            odometry.publish(c.to_odometry(c.to_pose(estimate, 1.0, ns, "map"), estimate, "tag"))

        fix(1)
        hosted.until(lambda: node.health()[0].startswith("waiting for TF map -> uwb"), "TF")
        told = lambda: node._frames.between("map", "uwb")  # noqa: E731
        for turn, x in enumerate((10.0, 30.0)):
            static.publish(TFMessage(transforms=[transform("map", "uwb", x, 0.0, 0.0)]))
            hosted.until(lambda x=x: told() is not None and told()[0, 3] == x, "the frame")
            fix(2 + turn)
            hosted.until(lambda t=turn: node.counts["fixes"] == t + 1, "a fix")
            there = node._view.drawn[-1].positions
            np.testing.assert_allclose(there, ANCHORS.positions + np.array([x, 0, 0]))
        assert node.health()[0] == ""
        assert len(node._view.drawn) == 2
