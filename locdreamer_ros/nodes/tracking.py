# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `tracker_node` and `ekf_node` share: a tracker that learns the anchors and survives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot, nan
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile

from locdreamer_ros.config import parameter
from locdreamer_ros.errors import InputError
from locdreamer_ros.integrity.silence import COAST_S
from locdreamer_ros.integrity.status import State, Status
from locdreamer_ros.loop import Loop
from locdreamer_ros.methods import (
    LISTENS,
    Method,
    TrackerChoice,
)
from locdreamer_ros.motion import MotionBuffer
from locdreamer_ros.motion_checks import MotionJudge
from locdreamer_ros.msg import RangeArray, TrackerStatus
from locdreamer_ros.nodes.clocks import Clocks
from locdreamer_ros.nodes.conversions import from_imu, from_wheels, header
from locdreamer_ros.nodes.estimate_publisher import EstimateConfig, EstimatePublisher
from locdreamer_ros.nodes.listening import (
    MOTION,
    RANGES,
    hear,
    hear_motion,
    not_asked_for,
    spoken_of,
)
from locdreamer_ros.nodes.robot_frames import RobotFrames, read_lever_arm
from locdreamer_ros.nodes.saying import trouble
from locdreamer_ros.nodes.sited import SitedNode, check_frame
from locdreamer_ros.stamps import to_seconds
from locdreamer_ros.types import Estimate, Motion, Ranges, Site

Result = TypeVar("Result")
LARGEST_COUNT = 2**16 - 1
"""The largest count in TrackerStatus."""
UNMOVED = 20
"""So many fixes without the motion of wheels that are heard are a problem."""
MOVED = "; or odometry or gyro are wrong (m, rad/s, z up?)"
"""Said in doubt, where they are used: a wrong motion looks as wrong ranges do."""
STANDBY = ("robust-ekf", "gdop")
"""What tracks and schedules where a learned model cannot."""


@dataclass(frozen=True)
class TrackingConfig(EstimateConfig, TrackerChoice):
    """Parameters of a node that hosts a tracker."""

    tag: str = parameter("", "id of the tag to track; empty: there is only one")
    max_silence: float = parameter(
        10.0, "no pose once no range was used for so long, s; 0: always one", low=0.0, high=1e6
    )

    def check_values(self) -> None:
        """The tag's frame and its place on the robot, too."""
        super().check_values()
        read_lever_arm(self.lever_arm)
        if self.broadcast == "tag":
            check_frame("tag_frame", self.tag_frame)
            if self.tag_frame == self.frame:
                raise InputError(
                    f"tag_frame: {self.frame!r} is the frame of the positions; expected another "
                    "name, or broadcast none"
                )


class TrackingNode(SitedNode):
    """Hosts one tracker. Subclasses say when the loop turns: in `begin` and `on_ranges`."""

    loop: Loop

    def __init__(self, name: str, group: type[TrackingConfig]) -> None:
        super().__init__(name, group)
        self._heard_ranges = False
        self._times_back = 0
        self._new_tracks = 0
        """How often the watch had begun anew when it was last looked."""
        self._turned = 0.0
        """When the loop last turned, by `now_s`."""
        self._told = False
        """Whether `~/status` of a fix came since it was last looked."""
        self.fallback = ""
        self.instead = ""
        """Why the standby tracker and scheduler were made in place of those asked for."""

    def configure(self) -> None:
        """Make publishers and, where a file gives the anchors, the tracker."""
        super().configure()
        self.output = EstimatePublisher(self, self.config, self._frames)
        self._robot = RobotFrames(self, self.config, self._frames)
        self._status = self.advertise(TrackerStatus, "~/status")
        self.find_anchors()

    def deactivate(self) -> None:
        """Give up the estimate: it grows old while nobody updates it."""
        if self.site is not None:
            self._fresh_tracker()

    def close(self) -> None:
        """The tracker's life ends with the node's."""
        self._give_up_loop()

    def begin(self) -> None:
        """Listen to ranges: last of all, because a source starts when its listeners are there."""
        self._heard_ranges = False
        self._clocks = Clocks()
        self.counts["restarts"] = 0  # those since the activation
        self._motion, self._moves = MotionBuffer(), MotionJudge()
        self._unmoved = 0
        """Fixes since the last one that wheels or gyro said something of."""
        self._robot.begin_anew()
        self._moving: list[Any] = []
        hear_motion(self, self._hear_motion)
        self.look_each_second(self._tell_silence)
        hear(self, RangeArray, "uwb/ranges", self._on_ranges)

    def on_ranges(self, message: RangeArray, received: float) -> None:
        """Take in an answer that came at `received` (perf_counter). Raises InputError: dropped."""
        raise NotImplementedError

    def _on_ranges(self, message: RangeArray) -> None:
        if self.is_mine(message.tag):
            self._heard_ranges = True
            self.on_ranges(message, perf_counter())

    def is_mine(self, tag: str) -> bool:
        """Whether a message is of the tag to track."""
        mine = self.config.tag in ("", tag)
        self.other_tag = self.other_tag if mine else tag
        return mine

    def _hear_motion(self, topic: str, qos: QoSProfile) -> None:
        def heard(message: Any) -> None:
            try:
                if isinstance(message, Odometry):
                    time, x, y, yaw = from_wheels(message)
                    speed = message.twist.twist.linear
                    self._moves.wheels(time, (x, y, yaw), hypot(speed.x, speed.y))
                    anew = self._motion.add_pose(time, x, y, yaw)
                    self._robot.hear(message)
                    if anew:
                        self._robot.begin_anew()
                else:
                    time, rate = from_imu(message)
                    self._moves.gyro(time, rate)
                    self._motion.add_rate(time, rate)
            except InputError as reason:
                raise InputError(f"{topic}: {reason}") from None

        self._moving.append(self.listen(MOTION[topic], topic, heard, qos))

    def motion_to(self, time: float) -> Motion | None:
        """What wheels and gyro say of the time from the tracker's to `time` s; None: nothing.

        What has arrived is taken in first: a source publishes it before the tick or the ranges that
        it belongs to, but they may be heard before it.
        """
        for subscription in self._moving:
            self.catch_up(subscription)
        now = self.loop.estimate
        if now is None or time <= now.time:
            return None
        motion = self._motion.between(now.time, time)
        self.counts["motions"] += motion is not None
        self._unmoved = self._unmoved + 1 if motion is None else 0
        return motion

    def make(self, site: Site) -> None:
        """A new tracker for a new site."""
        if self.site is not None:
            self.counts["restarts"] += self.active
            self.fallback = "the anchors changed"
            self._robot.begin_anew()
        self._give_up_loop()
        self.site = None
        self._judge = self.judge(site)
        self._fresh_tracker(site)

    def _fresh_tracker(self, site: Site | None = None) -> None:
        """A new tracker, for a new site or the known one; the old one's life ends."""
        self._give_up_loop()
        place = self.known_site if site is None else site
        try:
            self.loop = self._make(self.method, place)
            self.instead = ""
        except InputError as reason:
            self._stand_in(str(reason), place)
        self.site = place

    def _give_up_loop(self) -> None:
        """The loop's life ends; how often it began anew still counts."""
        if self.site is not None:
            self.counts["restarts"] += self.loop.restarts
            self.loop.close()

    def _make(self, method: Method, site: Site) -> Loop:
        budget = method.budget if self.asking else len(site.anchors)
        return Loop(method.make_tracker(site), method.make_scheduler(site), site, budget=budget)

    def _stand_in(self, reason: str, site: Site) -> None:
        """Go on without a model that is missing or does not fit the site or the budget."""
        self.instead = reason
        self.get_logger().error(f"{reason}; {' and '.join(STANDBY)} stand in")
        standby = Method(
            tracker=STANDBY[0],
            scheduler=STANDBY[1] if self.asking else LISTENS,
            budget=self.method.budget,
        )
        self.loop = self._make(standby, site)

    def _asked_by(self) -> str:
        return STANDBY[1] if self.instead else self.method.scheduler

    def _fallback(self) -> str:
        """Why somebody else does the work of tracker or scheduler just now; empty: nobody does."""
        # Only learned trackers have somebody standing by.
        others = self.loop.tracker.fallback or self.loop.scheduler.fallback
        return self.instead or self.fallback or others

    def restart(self, reason: str) -> None:
        """Begin again from a new first fix, with a new tracker: its numbers failed."""
        self.counts["restarts"] += 1
        self._begin_anew(reason)
        self._fresh_tracker()

    def _begin_anew(self, reason: str) -> None:
        self._robot.begin_anew()
        self.fallback = reason
        self.remark(f"restart: {reason}")

    def note_times(self) -> None:
        """Say it where the loop began anew because time went back."""
        back = self.loop.counts["time_back"]
        if back > self._times_back:
            self._begin_anew("the time went back")
        self._times_back = back

    def compute(self, work: Callable[[], Result]) -> tuple[Result | None, float]:
        """What `work` returns and the seconds it took; None, and a restart, where numbers fail."""
        begin, self._turned = perf_counter(), self.now_s()
        try:
            return work(), perf_counter() - begin
        except InputError as reason:
            self._give_up_loop()
            self._stand_in(str(reason), self.known_site)
            return None, perf_counter() - begin
        except (ArithmeticError, ValueError) as reason:
            self.restart(f"{type(reason).__name__}: {reason}")
            return None, perf_counter() - begin

    def turn(
        self,
        absorb: Callable[[], Estimate | None],
        ranges: Ranges,
        *,
        asked: int,
        ns: int,
        answered: tuple[int, int],
        received: float,
        spent: float,
        late: bool = False,
    ) -> None:
        """Update by `absorb` with `ranges` that came, and publish.

        asked: anchors asked for this fix; answered: session and sequence of the schedule; spent: s
        that were computed for it before; late: the fix for `ns` was published before this came.
        """

        def checked() -> Estimate | None:
            estimate = absorb()
            if estimate is not None and not (
                np.isfinite(estimate.mean).all() and np.isfinite(estimate.covariance).all()
            ):
                raise ArithmeticError("the estimate is not finite")
            return estimate

        estimate, seconds = self.compute(checked)
        status = self.loop.status()
        if status.restarts != self._new_tracks:
            self._new_tracks = status.restarts
            self._robot.begin_anew()
        self._judge.hear(to_seconds(ns), ranges)
        fresh = (
            estimate is not None
            and not self._judge.impossible
            and (self.config.max_silence == 0.0 or status.silence <= self.config.max_silence)
        )
        if estimate is not None and fresh and not late:
            pose = self.output.publish(estimate, self.known_site, ns=ns)
            self._robot.publish(pose, estimate, self._motion.pose_at(to_seconds(ns)), ns)
            self.counts["fixes"] += 1
        self._told = True
        self._tell(
            status,
            ns,
            fallback=self._fallback() or ("" if estimate is not None else "no first fix yet"),
            session=answered[0],
            sequence=answered[1],
            ranges_asked=min(asked, LARGEST_COUNT),
            ranges_used=min(self.loop.watch.used, LARGEST_COUNT),
            latency=perf_counter() - received,
            step_time=spent + seconds,
        )
        if estimate is not None:
            self.fallback = ""
            self.output.show(
                estimate,
                self.known_site,
                ns=ns,
                asked=ranges.anchor,
                excluded=status.excluded,
            )

    def _tell(self, status: Status, ns: int, **of_fix: Any) -> None:
        """Publish `~/status` for the stamp `ns`; of_fix: its fields that are of one fix."""
        names = self.known_site.anchors.ids
        self._status.publish(
            TrackerStatus(
                header=header(ns, self.config.frame),
                state=int(status.state),
                tracker=STANDBY[0] if self.instead else self.method.tracker,
                preset="" if self.instead else self.method.preset,
                model=self.loop.tracker.model_name or "",
                scheduler=self._asked_by() if self.asking else "",
                excluded=[names[row] for row in status.excluded],
                mirror=status.mirror,
                restarts=self.counts["restarts"] + self.loop.restarts,
                silence=nan if status.state == State.WAITING else status.silence,
                messages_dropped=self.counts["messages_dropped"],
                **of_fix,
            )
        )

    @property
    def lives_on(self) -> str:
        """The topic without which nothing goes on."""
        return RANGES[0] if self.asking else spoken_of(self, RANGES)

    def _quiet(self) -> float:
        """For how long, s, the loop has not turned."""
        return max(self.now_s() - self._turned, 0.0)

    def _missed(self, quiet: float) -> str:
        """What is missed in a silence, for the end of a warning."""
        topic = self.resolve_topic_name(self.lives_on)
        if not self.count_publishers(self.lives_on):
            return f"; nobody publishes {topic}"
        return f"; nothing comes on {topic}" if quiet > COAST_S else ""

    def _tell_silence(self) -> None:
        """Each second without ranges `~/status` goes on, for whoever goes by its state."""
        told, self._told = self._told, False
        if told or self.site is None or self.loop.estimate is None:
            return
        quiet = self._quiet()
        status = self.loop.status(quiet)
        if status.state in (State.COASTING, State.LOST):
            now = self.loop.estimate.time + quiet
            self._tell(status, round(now * 1e9), fallback=self._fallback(), latency=nan)

    def health(self) -> tuple[str, dict[str, object]]:
        """Whether the anchors are known and there is a fix."""
        missing = self.unplaced()
        if missing or self.site is None:
            return missing, {}
        gate, times = self.loop.watch.gate, self.loop.watch.gate.times
        values: dict[str, object] = {
            "tracker": self.config.tracker,
            "dimensions": self.site.dimensions,
            **self.about_anchors(),
            "restarts": self.counts["restarts"] + self.loop.restarts,
            "late_ranges": times.late,
            "duplicate_ranges": times.duplicates,
            **{f"excluded_{name}": count for name, count in gate.excluded.items()},
        }
        impossible = self._judge.impossible
        quiet = self._quiet()
        status = self.loop.status(quiet)
        wrong = impossible or trouble(status, self.site.anchors.ids)
        if status.state in (State.COASTING, State.LOST):
            dropped = f", messages are dropped: {self.problem}"
            wrong += dropped if self.drops_now() else self._missed(quiet)
        elif status.state == State.DOUBTFUL and self.counts["motions"] and not self._unmoved:
            wrong += MOVED
        if self.loop.estimate is None:
            if not self._heard_ranges:
                if self.asking and (differ := not_asked_for(self)):
                    return differ, values
                return self.awaiting("ranges", self.lives_on, "or see its own log"), values
            waiting = "waiting for a first fix: ranges of too few anchors, or they disagree"
            if self.drops_now():
                waiting = f"waiting for a first fix, messages are dropped: {self.problem}"
            return wrong or self._clocks.wrong() or waiting, values
        still = self._motion.missing(self.loop.estimate.time) if self._unmoved >= UNMOVED else ""
        if still and self.drops_now() and self.problem.startswith((*MOTION,)):
            still = f"{self.problem.partition(':')[0]} is not used:{self.problem.partition(':')[2]}"
        odd = still or self._frames.refused or self._clocks.wrong() or self.stopped()
        return impossible or self._fallback() or wrong or odd, values
