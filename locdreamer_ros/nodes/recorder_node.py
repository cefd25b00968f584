# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes every topic of the graph to a rosbag2: what `ros2 bag record` does elsewhere.

The messages are stored as they came over the wire, from the first one on; nothing is decoded but
ranges in other packages' messages, which are stored as `uwb/ranges`. The bag can be read at any
time up to its last second, also where the node was killed.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path as FilePath
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry, Path
from rclpy.serialization import deserialize_message, serialize_message
from rosgraph_msgs.msg import Clock
from visualization_msgs.msg import MarkerArray

from locdreamer_ros.config import parameter
from locdreamer_ros.datasets.bag_writer import STORAGE, VERSIONS, BagWriter, check_place
from locdreamer_ros.datasets.range_table import load_anchors
from locdreamer_ros.errors import InputError
from locdreamer_ros.msg import (
    AnchorArray,
    AnchorSchedule,
    RangeArray,
    RangeDifferenceArray,
    TrackerStatus,
)
from locdreamer_ros.nodes import foreign
from locdreamer_ros.nodes.conversions import to_anchors
from locdreamer_ros.nodes.lifecycle import KEPT_QOS, LOSSLESS, UwbNode
from locdreamer_ros.nodes.listening import (
    MOTION,
    RANGES,
    ListeningConfig,
    hear,
    names,
    spoken_of,
    when_published,
)
from locdreamer_ros.nodes.running import run_node
from locdreamer_ros.stamps import nanoseconds

SHARED = {
    "/clock": Clock,
    "/diagnostics": DiagnosticArray,
    "uwb/anchors": AnchorArray,
    "uwb/schedule": AnchorSchedule,
    "ground_truth/pose": PoseStamped,
}
OF_TRACKER = {
    "pose": PoseWithCovarianceStamped,
    "odometry": Odometry,
    "base_pose": PoseWithCovarianceStamped,
    "path": Path,
    "markers": MarkerArray,
    "status": TrackerStatus,
}
VOLATILE = ("/tf", "/diagnostics")
LATCHED_TOPICS = ("uwb/anchors", "/tf_static")
PATIENCE_S = 5.0
"""A replay waits for its listeners: so long for the trackers' topics, then it begins without."""
WATCH_S = 0.5
QUIET, LONGEST, PAUSE_S = 15, 150, 0.02
"""At the end: so many looks with a pause between them, in a row without what was published before,
or in all. Counted, not timed: where the machine stands still nothing comes, and nobody looks."""
MOST_EARLY = 10_000
"""Messages that are kept until simulated time is known."""


@dataclass(frozen=True)
class RecorderConfig(ListeningConfig):
    """Parameters of `recorder_node`."""

    ranges_from: str = parameter(
        "", "other packages' ranges, to be recorded as uwb/ranges: as of tracker_node"
    )
    anchors_file: str = parameter(
        "", "anchors CSV to record, where nobody publishes them; empty: from the topic uwb/anchors"
    )
    output: str = parameter("", "folder of the bag; an older one is kept beside, as <output>_1")
    storage: str = parameter("mcap", "storage of the bag", choices=STORAGE)
    bag_version: int = parameter(
        VERSIONS[-1],
        "of the bag's metadata: 5 for ROS 2 Humble, 8 for Iron, 9 for Jazzy and later",
        low=VERSIONS[0],
        high=VERSIONS[-1],
    )

    def check_values(self) -> None:
        """A place for the bag, and what is given besides."""
        if not self.output:
            raise InputError("recorder_node: needs the parameter output, a folder")
        check_place(FilePath(self.output))
        foreign.read(self.ranges_from)
        names(self.trackers)
        if self.anchors_file:
            load_anchors(FilePath(self.anchors_file))


def type_name(kind: Any) -> str:
    """`package/msg/Type`."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


class RecorderNode(UwbNode):
    """Raw subscriptions into a bag. Deactivating it completes the bag."""

    def __init__(self) -> None:
        super().__init__("recorder_node", RecorderConfig)
        self._bag: BagWriter | None = None

    def configure(self) -> None:
        """Read what is given besides the topics."""
        self._foreign = list(foreign.parse(self.config.ranges_from))
        self._trackers = names(self.config.trackers)
        file = self.config.anchors_file
        self._anchors = load_anchors(FilePath(file)) if file else None

    def activate(self) -> None:
        """Open the bag and subscribe.

        A replay or simulation (`use_sim_time`) begins when it is listened to: there, to the ranges
        only once the other topics have publishers, so that nothing of those is missed.
        """
        config = self.config
        self._bag = BagWriter(
            FilePath(config.output), storage=config.storage, version=config.bag_version, live=True
        )
        self.counts["recorded"] = 0
        self._early: list[tuple[str, str, bytes, bool]] = []
        self._now: int | None = None
        self._heard: list[Any] = []
        self._last: dict[str, int] = {}
        self._recording_ranges = False
        topics: dict[str, Any] = dict(SHARED)
        for name in self._trackers:
            topics |= {f"{name}/{topic}": kind for topic, kind in OF_TRACKER.items()}
        for topic, kind in topics.items():
            self._record(topic, kind)
        for topic, kind in MOTION.items():
            self._record(topic, kind)
        if self._anchors is not None:
            self._put("uwb/anchors", to_anchors(self._anchors, 0, ""), latched=True)
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            pass  # then nobody here publishes it either
        else:
            self._record("/tf", TFMessage)
            self._record("/tf_static", TFMessage)
        self.every(WATCH_S, self._flush)
        if self.get_parameter("use_sim_time").value:
            # A passive tracker makes no schedules; an asking one has the rest of its topics first.
            awaited = [topic for topic in topics if topic != "uwb/schedule"]
            when_published(self, awaited, self._record_ranges)
            self.every(PATIENCE_S, self._record_ranges)
        else:
            self._record_ranges()

    def _record_ranges(self) -> None:
        if not self._recording_ranges:
            self._recording_ranges = True
            self._record("uwb/ranges", RangeArray)
            self._record("uwb/range_differences", RangeDifferenceArray)
            for mapping in self._foreign:
                for topic in mapping.topics:
                    heard = partial(self._on_foreign, mapping, topic)
                    self._heard.append(hear(self, mapping.kind, topic, heard))

    def _on_foreign(self, mapping: foreign.Foreign, topic: str, message: Any) -> None:
        """Ranges as a tracker takes them: told by their own stamps, or by when they came."""
        self._put("uwb/ranges", mapping.ranges(message, topic, self.get_clock().now().to_msg()))

    def _put(self, topic: str, message: Any, *, latched: bool = False) -> None:
        """Record a message that did not come over the wire so."""
        full, name = self.resolve_topic_name(topic), type_name(type(message))
        self._write(full, name, serialize_message(message), latched)

    def _flush(self) -> None:
        """Let the bag be read up to now, also while nothing comes."""
        if self._bag is not None:
            try:
                self._bag.flush_when_due()
            except InputError as reason:  # `health` says it again
                self.get_logger().error(str(reason))

    def health(self) -> tuple[str, dict[str, object]]:
        """What it waits for, and how long ago each topic was heard."""
        values: dict[str, object] = {"output": self.config.output}
        if self._bag is not None and self._bag.broken:
            return f"stopped recording: {self._bag.broken}", values
        if self._early and self._now is None:
            return self.awaiting("simulated time", "/clock", "or unset use_sim_time"), values
        missing = [spoken_of(self, t) for t in self._needed if not any(map(self._count_of, t))]
        unheard = [name for name in self._trackers if not self._count_of(f"{name}/status")]
        values["unheard"] = ", ".join(unheard)
        if unheard and not missing:  # a tracker has something to say of every range
            there = {
                f"{space.rstrip('/')}/{n}" for n, space in self.get_node_names_and_namespaces()
            }
            missing = [f"{n}/status" for n in unheard if self.resolve_topic_name(n) in there]
        waiting = [self.resolve_topic_name(topic) for topic in missing]
        return f"waiting for messages on {', '.join(waiting)}" if waiting else "", values

    @property
    def _needed(self) -> tuple[tuple[str, ...], ...]:
        """Without one of each of these a bag is no recording."""
        theirs = (topic for mapping in self._foreign for topic in mapping.topics)
        return (*theirs, *RANGES), ("uwb/anchors",)

    def _count_of(self, topic: str) -> int:
        return self._last.get(self.resolve_topic_name(topic), 0)

    def _record(self, topic: str, kind: Any) -> None:
        latched = topic in LATCHED_TOPICS
        full, name = self.resolve_topic_name(topic), type_name(kind)

        def write(data: bytes) -> None:
            if kind is Clock:
                self._now = nanoseconds(deserialize_message(data, Clock).clock)
            self._write(full, name, data, latched)

        volatile = topic in (*VOLATILE, *MOTION) or kind in (Path, MarkerArray)
        qos = LOSSLESS if volatile else KEPT_QOS
        self._heard.append(hear(self, kind, topic, write, qos, raw=True))

    def _write(self, topic: str, name: str, data: bytes, latched: bool) -> None:
        """Append; the bag's time is that of `/clock` where there is one, so that it replays so."""
        assert self._bag is not None
        if self._now is None and len(self._early) >= MOST_EARLY:
            raise InputError(f"{topic}: {MOST_EARLY} messages wait for simulated time")
        self._last[topic] = self._last.get(topic, 0) + 1
        if self.get_parameter("use_sim_time").value:
            if self._now is None:
                self._early.append((topic, name, data, latched))
                return
            stamp = self._now
        else:
            stamp = self.get_clock().now().nanoseconds
        waiting, self._early = [*self._early, (topic, name, data, latched)], []
        for of, kind, body, kept in waiting:
            self._bag.write(of, kind, stamp, body, latched=kept)
            self.counts["recorded"] += 1

    def deactivate(self) -> None:
        """Complete the bag."""
        self.close()

    def _take_in_the_rest(self) -> None:
        """All that was published by now: on a busy machine some of it is still on its way."""
        told, quiet = time.time_ns(), 0
        for _ in range(LONGEST):
            published = [self.catch_up(subscription()) for subscription in self._heard]
            news = any(each is not None and each <= told for each in published)
            quiet = 0 if news else quiet + 1
            if quiet == QUIET:
                return
            time.sleep(PAUSE_S)

    def close(self) -> None:
        """Take in what has arrived and not been read, and complete the bag."""
        if self._bag is not None:
            self._take_in_the_rest()
            bag, self._bag = self._bag, None
            with suppress(InputError):  # a full disk: what was whole is there; `broken` says it
                bag.close()
            said = f"recorded {self.counts['recorded']} messages: {bag.path}"
            if bag.broken:
                self.get_logger().error(f"{said}, but {bag.broken}")
            else:
                self.get_logger().info(said)


def main() -> int:
    """Run the node."""
    return run_node(RecorderNode)


if __name__ == "__main__":
    raise SystemExit(main())
