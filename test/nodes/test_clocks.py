# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a tracker says of a driver whose clock was set; across hosts: test/contract/clocks.py."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from locdreamer_ros.msg import AnchorSchedule, RangeArray
from nodes.hosted import answer_to, hosting

from locdreamer_ros.nodes.tracker_node import TrackerNode


def test_a_silence_of_dropped_messages_says_why_they_are() -> None:
    """The clock of the driver was set by an hour: nothing usable comes, and that is not all."""
    with hosting(TrackerNode, rate=20.0, dimensions='"2"') as hosted:
        hosted.place()
        asked = hosted.hear(AnchorSchedule, "uwb/schedule")
        ranges = hosted.say(RangeArray, "uwb/ranges")

        def answered(late_s: int) -> str:
            while asked:
                answer = answer_to(asked.pop(0))
                for entry in answer.ranges:
                    entry.stamp.sec += late_s
                ranges.publish(answer)
            return str(hosted.node.health()[0])

        hosted.until(lambda: answered(0) == "" and hosted.node.loop.estimate is not None, "a fix")
        hosted.until(lambda: "no usable range for" in answered(3600), "silence")
        assert "do the clocks of driver and tracker agree?" in answered(3600)
