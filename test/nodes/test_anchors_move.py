# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchors that are heard again: a little apart, elsewhere, others, or in a frame that moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from locdreamer_ros.msg import AnchorArray, RangeArray, TrackerStatus
from nodes.hosted import ANCHORS, TRUTH, Hosted, hosting, ranges_at
from nodes.test_robot import off, transform
from tf2_msgs.msg import TFMessage

from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.ekf_node import EkfNode
from locdreamer_ros.nodes.fleet_node import FleetNode
from locdreamer_ros.nodes.lifecycle import KEPT_QOS, LATCHED, LONGEST_SAID
from locdreamer_ros.nodes.sited import MOVED_M
from locdreamer_ros.nodes.tracker_node import TrackerNode
from locdreamer_ros.types import Anchors

KINDS = pytest.mark.parametrize(
    ("make", "given", "topic"),
    [
        (EkfNode, {}, "ekf_node/pose"),
        (TrackerNode, {"passive": True}, "tracker_node/pose"),
        (FleetNode, {}, "fleet_node/pose"),
    ],
)


def moved_by(*metres: float, of: Anchors = ANCHORS) -> Anchors:
    """All anchors, moved."""
    return Anchors(of.ids, of.positions + np.array(metres))


class Walked:
    """A hosted node that is given ranges of one place, ten a second."""

    def __init__(self, hosted: Hosted, topic: str) -> None:
        self.hosted, self.ns = hosted, 10**9
        self.poses = hosted.hear(PoseWithCovarianceStamped, topic, KEPT_QOS)
        self.told = hosted.hear(DiagnosticArray, "/diagnostics")
        self.anchors = hosted.say(AnchorArray, "uwb/anchors", LATCHED)
        self._ranges: Any = None

    def fix(self, fixes: int = 5) -> PoseWithCovarianceStamped:
        """The pose after some epochs more."""
        if self._ranges is None:
            self._ranges = self.hosted.say(RangeArray, "uwb/ranges")
        for _ in range(fixes):
            self.ns += 10**8
            said = c.to_ranges(ranges_at(TRUTH, [0, 1, 2, 3], self.ns / 1e9), ANCHORS)
            self._ranges.publish(RangeArray(header=c.header(self.ns, "map"), ranges=said))
            self.hosted.rest(0.05)
        self.hosted.until(self.is_placed, "the last pose")
        return self.poses[-1]

    def is_placed(self) -> bool:
        """Whether there is a pose of the last epoch."""
        return bool(self.poses) and c.nanoseconds(self.poses[-1].header.stamp) == self.ns

    def says(self, words: str) -> Callable[[], bool]:
        """Whether the diagnostics do."""
        return lambda: any(words in status.message for each in self.told for status in each.status)


@KINDS
def test_a_frame_that_is_placed_anew_takes_the_anchors_with_it(
    make: Any, given: dict[str, Any], topic: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """After a relocalisation, say: poses stayed where the frame had been."""
    with hosting(make, dimensions="'2'", **given) as hosted:
        walked = Walked(hosted, topic.replace("fleet_node/", "fleet_node/tag/"))
        walked.anchors.publish(c.to_anchors(ANCHORS, 0, "uwb"))
        static = hosted.peer.create_publisher(TFMessage, "/tf_static", LATCHED)
        static.publish(TFMessage(transforms=[transform("map", "uwb", 0.0, 0.0, 0.0)]))
        hosted.until(lambda: hosted.node.site, "the site")
        assert off(walked.fix()) < 0.1
        static.publish(TFMessage(transforms=[transform("map", "uwb", 10.0, -4.0, 0.0)]))
        hosted.until(lambda: hosted.node.counts["anchors_changed"] == 1, "the frame's new place")
        assert off(walked.fix(), TRUTH + np.array([10.0, -4.0])) < 0.1
        assert hosted.node.health()[1]["restarts"] == 1
        words = "TF map -> uwb is another: anchors changed, 'a' moved by 10.8 m"
        hosted.until(walked.says(words), "diagnostics")
        # What TF says again changes nothing, nor what little a calibration mends.
        for x in (10.0, 10.0 + 0.5 * MOVED_M):
            static.publish(TFMessage(transforms=[transform("map", "uwb", x, -4.0, 0.0)]))
            hosted.rest(1.2)
        assert hosted.node.counts["anchors_changed"] == 1
    assert words in capfd.readouterr().err


@KINDS
def test_anchors_that_survey_themselves_jitter_and_the_track_goes_on(
    make: Any, given: dict[str, Any], topic: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each message made a new tracker, unsaid. A real move makes one, and is said."""
    random = np.random.default_rng(1)
    with hosting(make, dimensions="'2'", **given) as hosted:
        walked = Walked(hosted, topic.replace("fleet_node/", "fleet_node/tag/"))
        walked.anchors.publish(c.to_anchors(ANCHORS, 0, "map"))
        hosted.until(lambda: hosted.node.site, "the site")
        walked.fix()
        site, fixes = hosted.node.site, len(walked.poses)
        for _ in range(5):
            jitter = random.uniform(-0.5, 0.5, ANCHORS.positions.shape) * MOVED_M
            walked.anchors.publish(
                c.to_anchors(Anchors(ANCHORS.ids, ANCHORS.positions + jitter), 0, "map")
            )
            walked.fix(2)
        assert hosted.node.site is site
        assert len(walked.poses) == fixes + 10
        assert hosted.node.counts["anchors_changed"] == 0
        # A drift of which no step is large is a move all the same.
        for step in (0.6, 1.2):
            walked.anchors.publish(c.to_anchors(moved_by(0.0, step * MOVED_M, 0.0), 0, "map"))
            hosted.rest(0.2)
        hosted.until(lambda: hosted.node.counts["anchors_changed"] == 1, "the move")
        assert off(walked.fix(), TRUTH + np.array([0.0, 1.2 * MOVED_M])) < 0.05
        hosted.until(walked.says("moved by 0.12 m: tracking begins anew"), "diagnostics")
    assert "moved by 0.12 m: tracking begins anew" in capfd.readouterr().err


def test_a_new_start_takes_the_newest_places() -> None:
    with hosting(EkfNode, dimensions="'2'") as hosted:
        hosted.place()
        hosted.until(lambda: hosted.node.site, "the site")
        little = moved_by(0.5 * MOVED_M, 0.0, 0.0)
        hosted.node._on_anchors(c.to_anchors(little, 0, "map"))
        np.testing.assert_array_equal(hosted.node.site.anchors.positions, ANCHORS.positions)
        assert hosted.node.health()[1]["anchors_off"] == "0.05 m"
        hosted.node.trigger_deactivate()
        hosted.node.trigger_activate()
        np.testing.assert_array_equal(hosted.node.site.anchors.positions, little.positions)
        assert "anchors_off" not in hosted.node.health()[1]
        assert hosted.node.counts["anchors_changed"] == 0


def test_status_says_that_the_anchors_changed_and_counts_the_new_start() -> None:
    with hosting(EkfNode, dimensions="'2'") as hosted:
        told = hosted.hear(TrackerStatus, "ekf_node/status", KEPT_QOS)
        walked = Walked(hosted, "ekf_node/pose")
        walked.anchors.publish(c.to_anchors(ANCHORS, 0, "map"))
        hosted.until(lambda: hosted.node.site, "the site")
        walked.fix()
        assert told[-1].restarts == 0
        more = Anchors((*ANCHORS.ids, "e"), np.vstack([ANCHORS.positions, [4.0, 3.0, 2.2]]))
        walked.anchors.publish(c.to_anchors(more, 0, "map"))
        hosted.until(lambda: hosted.node.counts["anchors_changed"] == 1, "the new anchor")
        hosted.until(walked.says("anchors changed, 1 new (e)"), "diagnostics")
        told.clear()
        walked.fix()
        assert told[0].fallback == "the anchors changed"
        assert told[-1].restarts == 1


def test_two_who_publish_anchors_are_told_of() -> None:
    with hosting(EkfNode, dimensions="'2'") as hosted:
        walked = Walked(hosted, "ekf_node/pose")
        walked.anchors.publish(c.to_anchors(ANCHORS, 0, "map"))
        hosted.until(lambda: hosted.node.site, "the site")
        other = hosted.peer.create_publisher(AnchorArray, "uwb/anchors", LATCHED)
        other.publish(c.to_anchors(moved_by(5.0, 0.0, 0.0), 0, "map"))
        hosted.until(walked.says("tracking begins anew"), "the change")
        assert not walked.says("several")()  # the first may be one that was killed
        walked.anchors.publish(c.to_anchors(ANCHORS, 0, "map"))
        hosted.until(walked.says("; several publish /uwb/anchors"), "diagnostics")


def test_anchors_that_will_not_do_end_no_node() -> None:
    """Too few for three dimensions, in a frame that TF knows later: a timer tries them again."""
    two = ANCHORS.subset(("a", "b"))
    with hosting(EkfNode, dimensions="'2'") as hosted:
        anchors = hosted.say(AnchorArray, "uwb/anchors", LATCHED)
        anchors.publish(c.to_anchors(two, 0, "uwb"))
        hosted.until(lambda: hosted.node._unplaced, "the anchors")
        static = hosted.peer.create_publisher(TFMessage, "/tf_static", LATCHED)
        static.publish(TFMessage(transforms=[transform("map", "uwb", 1.0, 0.0, 0.0)]))
        hosted.until(lambda: hosted.node.health()[0].startswith("2-D tracking needs"), "the reason")
        anchors.publish(c.to_anchors(ANCHORS, 0, "uwb"))
        hosted.until(lambda: hosted.node.site, "the site")
        assert hosted.node.counts["messages_dropped"] == 1
        # And where others are known already these go on.
        site = hosted.node.site
        anchors.publish(c.to_anchors(two, 0, "uwb"))
        hosted.until(lambda: hosted.node.counts["messages_dropped"] == 2, "the complaint")
        assert hosted.node.site is site
        assert "those known before are used" in hosted.node.health()[0]
        anchors.publish(c.to_anchors(ANCHORS, 0, "uwb"))
        hosted.until(lambda: "known before" not in hosted.node.health()[0], "the end of it")
        assert hosted.node.site is site


def test_a_frame_of_many_letters_is_no_sentence_of_as_many() -> None:
    with hosting(EkfNode, dimensions="'2'") as hosted:
        told = hosted.hear(DiagnosticArray, "/diagnostics")
        hosted.place(frame="m" * 100_000)
        waiting = "waiting for TF map -> mmm"
        said = lambda: [s.message for each in told for s in each.status if waiting in s.message]  # noqa: E731
        hosted.until(said, "the frame")
        assert len(said()[0]) == LONGEST_SAID
