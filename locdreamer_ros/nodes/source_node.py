# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers schedules from a recording, or from a simulated walk, which is a recording too.

Epoch by epoch: publish odometry and gyro where it has them, tick, wait for the schedule of
that very time, release the ranges it asks for and no others, and so on while the tracker asks on
for the same fix. `speed` 1 is real time, 0 as fast as
the answers are used (lockstep).

A recording of time differences is sent blink by blink, at its pace, to whoever listens: nobody
asks, so there is neither tick nor lockstep.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import numpy as np
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu

from locdreamer_ros.config import names_in, parameter
from locdreamer_ros.datasets import holds_differences, load_recording
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import check_there
from locdreamer_ros.msg import AnchorArray, AnchorSchedule, RangeArray, RangeDifferenceArray
from locdreamer_ros.nodes.conversions import (
    check_schedule,
    header,
    not_offered,
    to_anchors,
    to_differences,
    to_imu,
    to_pose_stamped,
    to_ranges,
    to_stamp,
    to_wheels,
)
from locdreamer_ros.nodes.lifecycle import LATCHED, NodeConfig, UwbNode, new_session
from locdreamer_ros.nodes.listening import hear
from locdreamer_ros.nodes.running import run_node
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.stamps import SECOND_NS, nanoseconds, to_nanoseconds
from locdreamer_ros.types import RangeStatus

ENVIRONMENTS = ("house", "hall", "lab", "random")
"""Those of the simulation."""
WATCH_PERIOD_S = 0.005
LAST_NS = 2**31 * SECOND_NS
NO_ODOMETRY = -1.0
COUNTS = (
    *("epochs", "truths", "answers", "released"),
    *("reoffered", "unscheduled", "unfinished", "late"),
)


@dataclass(frozen=True)
class SourceConfig(NodeConfig):
    """Parameters of `source_node`."""

    source: str = parameter("simulator", "where ranges come from", choices=("simulator", "replay"))
    environment: str = parameter("house", "simulator: the place", choices=ENVIRONMENTS)
    duration: float = parameter(120.0, "simulator: length of the walk, s", low=0.1, high=86400.0)
    sample_rate: float = parameter(10.0, "simulator: epochs per second", low=0.1, high=1000.0)
    measurement: str = parameter(
        "twr",
        "ranges that are asked for, or time differences of blinks (docs/tdoa.md)",
        choices=("twr", "tdoa"),
    )
    seed: int = parameter(0, "simulator: seed of walk and errors", low=0, high=2**31 - 1)
    odometry_drift: float = parameter(
        NO_ODOMETRY,
        "simulator: wheel odometry and gyro too, with this drift, 0.02: 2 % of the way; -1: none",
        low=NO_ODOMETRY,
        high=1.0,
    )
    deploy: str = parameter(
        "", "anchor ids to use, separated by commas; empty: the environment's, or all recorded"
    )
    recording: str = parameter("", "replay: range table (.csv) or rosbag2")
    anchors_file: str = parameter("", "replay: anchors CSV; empty: the recording's own")
    speed: float = parameter(
        1.0,
        "1: real time, 10: ten times as fast, 0: as fast as answers are used",
        low=0.0,
        high=1000.0,
    )
    frame: str = parameter("map", "frame of the anchors and of every position (REP-105)")
    listeners: int = parameter(
        1,
        "start when this many nodes listen to uwb/ranges, or to uwb/range_differences",
        low=1,
        high=100,
    )
    answer_timeout: float = parameter(
        1.0,
        "how long to wait for a schedule before the epoch is offered again, once, s",
        low=0.01,
        high=60.0,
    )
    tag: str = parameter("", "id of the tag, repeated in the answers")
    clock: bool = parameter(
        True, "publish /clock too, for nodes with use_sim_time; one source per domain may"
    )

    def check_values(self) -> None:
        """What is to be replayed, by its topics or columns; the rest is seen when it is read."""
        if self.source == "simulator":
            if self.recording:
                raise InputError(
                    "recording: only source replay answers from one, not the simulator"
                )
            return
        if not self.recording:
            raise InputError("source: replay needs the parameter recording")
        check_there(Path(self.recording))
        anchors = Path(self.anchors_file) if self.anchors_file else None
        blinks = holds_differences(Path(self.recording), anchors)
        if blinks and self.measurement != "tdoa":
            raise InputError(f"{self.recording}: holds time differences: measurement must be tdoa")


def make_recording(config: SourceConfig) -> Recording:
    """The recording to answer from. Raises InputError: there is none, or no ROS time holds it."""
    deploy = names_in(config.deploy)
    if config.source == "simulator":
        from locdreamer_ros.simulation import simulate  # needs scipy, which a replay does not

        recording = simulate(
            config.environment,
            duration=config.duration,
            rate=config.sample_rate,
            seed=config.seed,
            deploy=deploy or None,
            odometry=config.odometry_drift if config.odometry_drift >= 0.0 else None,
        )
    else:
        anchors = Path(config.anchors_file) if config.anchors_file else None
        recording = load_recording(Path(config.recording), anchors, differences=True)
        recording = recording.only(deploy) if deploy else recording
    if config.measurement == "tdoa" and not recording.differences:
        recording = recording.as_differences()
    first, last = (to_nanoseconds(float(recording.times[i])) for i in (0, -1))
    if first < 0 or last >= LAST_NS:
        raise InputError(f"{recording.name}: times must be in 0 .. 2^31 s to be replayed")
    return recording


class SourceNode(UwbNode):
    """A recording that answers on demand."""

    def __init__(self) -> None:
        super().__init__("source_node", SourceConfig)

    def configure(self) -> None:
        """Load or simulate the recording; make publishers and the subscription to schedules."""
        self.recording = make_recording(self.config)
        self._source = RecordingSource(self.recording)
        self._times = [to_nanoseconds(float(time)) for time in self.recording.times]
        self._known = frozenset(self._times)
        self._anchors_out = self.advertise(AnchorArray, "uwb/anchors", LATCHED)
        self._tick_out = self.advertise(Clock, "uwb/tick")
        self._clock_out = self.advertise(Clock, "/clock") if self.config.clock else None
        self._truth_out = self.advertise(PoseStamped, "ground_truth/pose")
        if self.recording.odometry is not None:
            self._odometry_out = self.advertise(Odometry, "odometry")
        if self.recording.turn_rate is not None:
            self._imu_out = self.advertise(Imu, "imu")
        if self.recording.differences:
            self._ranges_out = self.advertise(RangeDifferenceArray, "uwb/range_differences")
        else:
            self._ranges_out = self.advertise(RangeArray, "uwb/ranges")
            hear(self, AnchorSchedule, "uwb/schedule", self._on_schedule)

    def activate(self) -> None:
        """Publish the anchors and wait for listeners; always from the first epoch."""
        self.epoch = -1
        self.finished = False
        self._answered = self._again = False
        self._last_asked: tuple[int, int] | None = None
        self._session = new_session()
        self._offered_at = self._start = monotonic()
        for name in COUNTS:
            self.counts[name] = 0
        recorded = self.recording.anchors
        self._anchors_out.publish(to_anchors(recorded, self._times[0], self.config.frame))
        self.every(WATCH_PERIOD_S, self._watch)

    def _ready(self) -> bool:
        listening = self._ranges_out.get_subscription_count() >= self.config.listeners
        asked = self.recording.differences or self.count_publishers("uwb/schedule") > 0
        return bool(listening and asked)

    def _watch(self) -> None:
        """Start, keep the pace, and notice an epoch that nobody schedules."""
        now = monotonic()
        if self.finished:
            return
        if self.epoch < 0:
            if self._ready():
                self._start = now
                self._next()
        elif self._answered:
            if now >= self._due():
                self._next()
        elif now - self._offered_at > self.config.answer_timeout:
            if self._again:
                begun = self._last_asked is not None
                self.counts["unfinished" if begun else "unscheduled"] += 1
                self._next()
            else:
                self._again = True
                self.counts["reoffered"] += 1
                self._offer()

    def _due(self) -> float:
        """When the next epoch is to be offered, on the monotonic clock."""
        if self.config.speed == 0.0 or self.epoch + 1 >= len(self._times):
            return 0.0
        elapsed = (self._times[self.epoch + 1] - self._times[0]) * 1e-9
        return float(self._start + elapsed / self.config.speed)

    def _next(self) -> None:
        self.epoch += 1
        self.counts["epochs"] = self.epoch
        if self.epoch >= len(self._times):
            self.finished = True
            self.get_logger().info(
                f"complete: {len(self._times)} epochs, {self.counts['released']} ranges released, "
                f"{self.counts['unscheduled']} epochs without a schedule"
            )
            self.report()
            return
        self._answered = self._again = False
        self._last_asked = None
        ns = self._times[self.epoch]
        truth = self.recording.truth
        if truth is not None and np.isfinite(truth[self.epoch, :2]).all():
            # A recording in 2-D has no height of its own.
            place = np.nan_to_num(truth[self.epoch])
            self._truth_out.publish(to_pose_stamped(place, ns, self.config.frame))
            self.counts["truths"] += 1
        self._publish_motion(ns)
        self._offer()

    def _publish_motion(self, ns: int) -> None:
        """Before the tick, so that a tracker that hears the tick has got it."""
        odometry, rate = self.recording.odometry, self.recording.turn_rate
        if odometry is not None and np.isfinite(odometry[self.epoch]).all():
            self._odometry_out.publish(to_wheels(odometry[self.epoch], ns))
        if rate is not None and np.isfinite(rate[self.epoch]):
            self._imu_out.publish(to_imu(rate[self.epoch], ns))

    def _offer(self) -> None:
        self._offered_at = monotonic()
        tick = Clock(clock=to_stamp(self._times[self.epoch]))
        if self._clock_out is not None:
            self._clock_out.publish(tick)
        if self.recording.differences:
            self._blink(self._times[self.epoch])
        else:
            self._tick_out.publish(tick)

    def _blink(self, ns: int) -> None:
        """Release the differences of this epoch, to all who listen."""
        anchors = self.recording.anchors
        ranges = self._source.answer(self.epoch, np.arange(len(anchors)))
        message = to_differences(
            ranges, anchors, ns=ns, tag=self.config.tag, frame=self.config.frame
        )
        if message is not None:
            self._ranges_out.publish(message)
            self.counts["answers"] += 1
            self.counts["released"] += len(message.differences)
        self._answered = True

    def _on_schedule(self, message: AnchorSchedule) -> None:
        if message.tag != self.config.tag:
            return
        ns = nanoseconds(message.header.stamp)
        check_schedule(message)
        if self.epoch < 0 or ns not in self._known:
            raise InputError(f"uwb/schedule: sequence {message.sequence}: no epoch has its stamp")
        again = (message.session, message.sequence) == self._last_asked
        if self._answered or again or self._times[self.epoch] != ns:
            self.counts["late"] += 1  # a schedule published again, or after its epoch
            return
        self._last_asked = (message.session, message.sequence)
        self._answered = not message.more
        self._answer(message, ns)
        self._offered_at, self._again = monotonic(), False
        if self._answered and self.config.speed == 0.0:
            self._next()

    def _answer(self, message: AnchorSchedule, ns: int) -> None:
        """Release what was asked for, in that order."""
        anchors = self.recording.anchors
        known = [anchor for anchor in message.anchors if anchor in anchors.ids]
        # By the epoch: in a recording whose clock was set back a time may be there twice.
        ranges = self._source.answer(self.epoch, anchors.rows(known))
        answers = dict(zip(known, to_ranges(ranges, anchors), strict=True))
        self._ranges_out.publish(
            RangeArray(
                header=header(ns, self.config.frame),
                tag=message.tag,
                session=message.session,
                sequence=message.sequence,
                ranges=[answers.get(a) or not_offered(a, ns) for a in message.anchors],
                more=message.more,
            )
        )
        self.counts["answers"] += 1
        self.counts["released"] += int((ranges.status == RangeStatus.OK).sum())

    def health(self) -> tuple[str, dict[str, object]]:
        """How far the recording has come; a parent ends the graph when it is complete."""
        waiting = self.epoch < 0
        topic = "uwb/range_differences" if self.recording.differences else "uwb/ranges"
        warning = f"waiting for {self.config.listeners} listeners to {topic}" if waiting else ""
        return warning, {
            "recording": self.recording.name,
            "session": self._session,
            "epochs_total": len(self._times),
            "complete": self.finished,
        }


def main() -> int:
    """Run the node."""
    return run_node(SourceNode)


if __name__ == "__main__":
    raise SystemExit(main())
