# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time differences on real topics: tracked by passive nodes, checked, and made by the source."""

from __future__ import annotations

import json
from math import nan
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from geometry_msgs.msg import PoseWithCovarianceStamped
from locdreamer_ros.msg import (
    RangeArray,
    RangeDifference,
    RangeDifferenceArray,
    TrackerStatus,
)
from nodes.hosted import ANCHORS, TRUTH, hosting, ranges_at

from locdreamer_ros.evaluation.run import evaluate
from locdreamer_ros.methods import Method
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.ekf_node import EkfNode
from locdreamer_ros.nodes.evaluator_node import EvaluatorNode
from locdreamer_ros.nodes.fleet_node import FleetNode
from locdreamer_ros.nodes.launching import plan
from locdreamer_ros.nodes.recorder_node import RecorderNode
from locdreamer_ros.nodes.source_node import SourceNode
from locdreamer_ros.nodes.tracker_node import TrackerNode
from locdreamer_ros.nodes.tracks import load_tracks
from locdreamer_ros.simulation import simulate

STEP_NS = 100_000_000


def blink(turn: int, reference: int = 0, **more: float) -> RangeDifferenceArray:
    """What a perfect server says, against any anchor; `more`: differences to put in besides."""
    ns = 10**9 + turn * STEP_NS
    value = ranges_at(TRUTH, [0, 1, 2, 3], ns / 1e9).value
    found = [
        RangeDifference(anchor=ANCHORS.ids[k], difference=value[k] - value[reference], variance=nan)
        for k in range(4)
        if k != reference
    ]
    found += [RangeDifference(anchor=a, difference=d, variance=nan) for a, d in more.items()]
    return RangeDifferenceArray(
        header=c.header(ns, "map"), reference=ANCHORS.ids[reference], differences=found
    )


def test_whoever_asks_says_that_differences_are_not_asked_for() -> None:
    for make, given in (
        (TrackerNode, {}),
        (TrackerNode, {"rate": 20.0}),
        (FleetNode, {"passive": False, "tags": "robin"}),
    ):
        with hosting(make, dimensions="'2'", **given) as hosted:
            hosted.place()
            before = hosted.node.health()[0]
            assert "set passive" not in before
            blinks = hosted.peer.create_publisher(RangeDifferenceArray, "uwb/range_differences", 1)
            hosted.until(lambda h=hosted: "set passive" in h.node.health()[0], "what mends it")
            hosted.say(RangeArray, "uwb/ranges")
            hosted.until(
                lambda h=hosted: "set passive" not in h.node.health()[0], "that it is over"
            )
            hosted.peer.destroy_publisher(blinks)


def test_a_node_lives_on_differences_and_drops_what_is_none() -> None:
    with hosting(EkfNode, dimensions="'2'") as hosted:
        poses = hosted.hear(PoseWithCovarianceStamped, "ekf_node/pose")
        statuses = hosted.hear(TrackerStatus, "ekf_node/status")
        hosted.place()
        says = hosted.say(RangeDifferenceArray, "uwb/range_differences")
        for turn in range(6):
            says.publish(blink(turn, reference=turn % 4))
        hosted.until(lambda: len(poses) == 6, "a pose for each blink")
        place = poses[-1].pose.pose.position
        assert np.hypot(place.x - TRUTH[0], place.y - TRUTH[1]) < 0.05
        assert statuses[-1].ranges_used == 4
        absurd, stated, unknown, nowhere = blink(6), blink(6), blink(6), blink(6)
        nowhere.reference = "zz"
        for row in range(3):
            absurd.differences[row].difference = 1e5
            stated.differences[row].variance = -1.0
            unknown.differences[row].difference = nan
        bad = {
            "uwb/range_differences: the same blink again": blink(5),
            "unknown anchor 'zz'": nowhere,
            "an anchor is there twice": blink(6, a=0.0),
            "anchor 'b': expected a difference within 1000 m, got 100000": absurd,
            "got nan": unknown,
            "variance: expected NaN or a value in": stated,
            "expected at most 1000, got 1003": blink(6, **{f"x{k}": 0.0 for k in range(1000)}),
            "is far from the last": blink(10**6),
        }
        for dropped, (why, message) in enumerate(bad.items(), start=1):
            says.publish(message)
            hosted.until(lambda n=dropped: hosted.node.counts["messages_dropped"] == n, why)
            assert why in hosted.node.problem
        says.publish(blink(7, zz=1.0))  # the others of a blink are used
        hosted.until(lambda: len(poses) == 7, "a pose after them")
        assert "ranges of unknown anchors ('zz')" in hosted.node.problem
        one = blink(8)
        one.differences[0].difference = nan
        says.publish(one)
        hosted.until(lambda: len(poses) == 8, "a pose of the others")
        assert "got nan" in hosted.node.problem
        hosted.until(lambda: statuses[-1].ranges_used == 3, "status of it")
        place = poses[-1].pose.pose.position
        assert np.hypot(place.x - TRUTH[0], place.y - TRUTH[1]) < 0.05


def test_what_the_source_blinks_is_tracked_and_scored_as_offline(tmp_path: Path) -> None:
    given = {"environment": "lab", "duration": 3.0, "seed": 3, "tag_height": 0.97, "speed": 0.0}
    blinks = {"passive": True, "measurement": "tdoa", "listeners": 2}
    scores = {"trackers": "tracker_node", "output": str(tmp_path)}
    with hosting(TrackerNode, **given, **blinks, **scores) as hosted:
        beside = [EvaluatorNode(), SourceNode()]
        for node in beside:
            hosted.executor.add_node(node)
            node.trigger_configure()
            assert node.trigger_activate().name == "SUCCESS", node.problem
        hosted.until(lambda: beside[0].finished, "the scores")
        assert not hosted.peer.get_publishers_info_by_topic("/uwb/schedule")
        for node in beside:
            node.close()
            node.destroy_node()
    recording = simulate("lab", duration=3.0, seed=3).as_differences()
    track, report = evaluate(recording, Method(seed=3, tag_height=0.97))
    _, tracks = load_tracks(tmp_path / "tracks.npz")
    np.testing.assert_allclose(tracks["tracker_node"].mean, track.mean, atol=1e-9)
    np.testing.assert_array_equal(tracks["tracker_node"].asked, track.asked)
    found = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    for key in ("scheduler", "budget", "steps", "ranges_per_fix"):
        assert found[key] == report[key], key
    assert found["mae"] == pytest.approx(report["mae"])
    accounts = found["accounts"]
    assert accounts["epochs"] == accounts["answers"] == len(recording)
    released = np.isfinite(recording.ranges).sum() - len(recording)
    assert accounts["received"] == accounts["released"] == released
    assert accounts["lost"] == accounts["duplicated"] == accounts["unused_by_tracker_node"] == 0


def test_a_launch_with_differences_asks_nobody() -> None:
    planned = {each.executable: each for each in plan({"measurement": "tdoa"}).started}
    assert list(planned) == ["source_node", "tracker_node", "ekf_node", "evaluator_node"]
    assert planned["tracker_node"].parameters["passive"] is True
    assert planned["source_node"].parameters["listeners"] == 3
    assert planned["source_node"].parameters["measurement"] == "tdoa"


def test_who_waits_for_ranges_names_the_topic_that_is_published(tmp_path: Path) -> None:
    with hosting(RecorderNode, output=str(tmp_path / "bag")) as hosted:
        tracker = EkfNode()
        hosted.executor.add_node(tracker)
        tracker.trigger_configure()
        assert tracker.trigger_activate().name == "SUCCESS", tracker.problem
        assert "/uwb/ranges" in hosted.node.health()[0]
        hosted.place()
        hosted.say(RangeDifferenceArray, "uwb/range_differences")
        hosted.until(lambda: tracker.site is not None, "the anchors")
        for said in (hosted.node.health()[0], tracker.health()[0]):
            assert "on /uwb/range_differences" in said
            assert "/uwb/ranges" not in said
        tracker.close()
        tracker.destroy_node()
