# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""fleet_node with a trained model, here and on a device that is elsewhere."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")
pytest.importorskip("torch")

from diagnostic_msgs.msg import DiagnosticArray
from elsewhere import ELSEWHERE, Elsewhereness
from geometry_msgs.msg import PoseWithCovarianceStamped
from locdreamer_ros.msg import RangeArray, RangeDifferenceArray
from nodes.hosted import ANCHORS, hosting, ranges_at

from locdreamer_ros.benchmarks.gpu import untrained
from locdreamer_ros.locdreamer import tracker as tracker_module
from locdreamer_ros.locdreamer.batch import Batch
from locdreamer_ros.locdreamer.model_file import save_model
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.fleet_node import FleetNode
from locdreamer_ros.nodes.lifecycle import KEPT_QOS

PLACES = {"robin": np.array([3.0, 2.0]), "wren": np.array([5.0, 3.5]), "owl": np.array([2.0, 4.0])}
START_NS, STEP_NS, EPOCHS = 10**12, 2 * 10**8, 8


@pytest.mark.parametrize("where", ["cpu", ELSEWHERE])
def test_all_tags_step_in_one_batch(where, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_model(path, untrained(ANCHORS, 3, STEP_NS / 1e9))
    sizes = []
    real = Batch.update
    monkeypatch.setattr(
        Batch, "update", lambda self, x, ranges: (sizes.append(len(x)), real(self, x, ranges))[1]
    )
    monkeypatch.setattr(tracker_module, "device_of", lambda name: where)
    given = {"tracker": "locdreamer", "model": str(path), "compute": "cuda", "dimensions": "'2'"}
    with (
        Elsewhereness() if where == ELSEWHERE else nullcontext(),
        hosting(FleetNode, **given) as fleet,
    ):
        fleet.place()
        topics = {tag: f"fleet_node/{tag}/pose" for tag in PLACES}
        poses = {t: fleet.hear(PoseWithCovarianceStamped, topics[t], KEPT_QOS) for t in PLACES}
        statuses = fleet.hear(DiagnosticArray, "fleet_node/status")
        ranges = fleet.say(RangeArray, "uwb/ranges")
        for epoch in range(EPOCHS):
            ns = START_NS + epoch * STEP_NS
            for tag, place in PLACES.items():
                values = ranges_at(place + 0.02 * epoch, [0, 1, 2, 3], ns / 1e9)
                ranges.publish(
                    RangeArray(
                        header=c.header(ns, "map"), tag=tag, ranges=c.to_ranges(values, ANCHORS)
                    )
                )
            rogue = c.to_ranges(ranges_at(PLACES["owl"], [0, 1, 2, 3], ns / 1e9), ANCHORS)
            for each in rogue if epoch > 3 else []:
                each.range = 900.0 - epoch
            ranges.publish(RangeArray(header=c.header(ns, "map"), tag="rogue", ranges=rogue))
            fleet.until(lambda n=epoch: all(len(x) > n for x in poses.values()), "poses")
        for tag, place in PLACES.items():
            last = poses[tag][-1].pose.pose.position
            assert np.hypot(*(np.array([last.x, last.y]) - place - 0.02 * (EPOCHS - 1))) < 0.3
        carried = fleet.node.fleet.loop("robin").tracker.carried
        assert carried is not None, "the model answers"
        assert carried.hidden.device.type == where
        assert max(sizes) >= 3

        # The first one may be of before robin was heard.
        fleet.until(
            lambda: "robin" in {e.name for x in statuses[-1:] for e in x.status}, "a status"
        )
        entries = {each.name: each for each in statuses[-1].status}
        assert {pair.key: pair.value for pair in entries["robin"].values}["fallback"] == ""
        fleet.say(RangeDifferenceArray, "uwb/range_differences").publish(
            RangeDifferenceArray(header=c.header(ns, "map"), tag="robin", reference="a")
        )
        fleet.until(lambda: "takes ranges, no time differences" in fleet.node.problem, "a reason")
