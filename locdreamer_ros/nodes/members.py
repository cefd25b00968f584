# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tags of `fleet_node` as its topics know them: who is there, their poses, what is shown."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.qos import QoSProfile
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from locdreamer_ros.errors import InputError
from locdreamer_ros.integrity.status import State, Status
from locdreamer_ros.loop import Plan
from locdreamer_ros.msg import RangeArray
from locdreamer_ros.nodes.answers import date_answer
from locdreamer_ros.nodes.clocks import Clocks
from locdreamer_ros.nodes.conversions import point
from locdreamer_ros.nodes.estimate_publisher import anchor_markers, ball, ellipse_marker, label
from locdreamer_ros.nodes.lifecycle import KEPT_QOS, UwbNode
from locdreamer_ros.nodes.passive import Gathered
from locdreamer_ros.nodes.possible import Judge
from locdreamer_ros.nodes.saying import trouble
from locdreamer_ros.types import LONGEST_ID, Estimate, Site

POSES = QoSProfile(depth=10, reliability=KEPT_QOS.reliability, durability=KEPT_QOS.durability)
"""Who finds a tag's topic after its first poses gets the last few; all, as of `tracker_node`, would
be much to keep for each tag."""
LONGEST_TOPIC = 230
"""Letters of a topic. DDS has room for 247, a few of them for a number after the name."""
MOST_WAITING = 100
"""Messages of one tag that wait for their turn."""
TAG_COLOR = ColorRGBA(r=0.1, g=0.5, b=0.9, a=1.0)
DOUBT_COLOR = ColorRGBA(r=0.8, g=0.1, b=0.1, a=1.0)


@dataclass(frozen=True)
class Asked:
    """A schedule that went out: what for, when (perf_counter)."""

    plan: Plan
    ns: int
    sequence: int
    since: float


@dataclass
class Member:
    """One tag beside its loop."""

    topic: str
    heard: float
    """When it last sent what could be read (perf_counter)."""
    heard_s: float = 0.0
    """The same, by the node's `now_s`."""
    quiet_s: float = 0.0
    """How long it had sent nothing then."""
    waiting: deque[tuple[Gathered, Asked | None]] = field(default_factory=deque)
    """What is to be taken in, and what it answers."""
    part: Gathered | None = None
    """Answers for one fix so far, while more are coming."""
    clocks: Clocks = field(default_factory=Clocks)
    """What its stamps say of its sender's clock."""
    blink: int | None = None
    """Stamp of the last one, ns."""
    asked: Asked | None = None
    given_up: Asked | None = None
    """The last one that was waited for in vain."""
    blind: float = -math.inf
    """When it was last asked without a fix (perf_counter), where air time is short."""
    pose: Any = None
    """Publisher, from the first fix on."""
    judge: Judge | None = None
    """Of whether its ranges can be of the site, from the first ones on."""
    fixes: int = 0
    restarts: int = 0
    """Those on the sites before the present one."""
    dropped: int = 0
    problem: str = ""

    forgotten: int = 0
    """Answers to schedules up to this sequence are of no use any more."""

    def date(self, message: RangeArray) -> None:
        """Let an answer of a source without a clock have its schedule's stamp."""
        for each in (self.asked, self.given_up):
            if each is not None and each.sequence == message.sequence:
                date_answer(message, each.ns)

    def give_up(self) -> None:
        """Wait no longer for an answer; one that comes yet is used, if it is the last's."""
        if self.given_up is not None:
            self.forgotten = self.given_up.sequence
        self.given_up, self.asked = self.asked, None

    @property
    def impossible(self) -> str:
        """Why its ranges cannot be of the site; empty: they can, or are not judged yet."""
        return "" if self.judge is None else self.judge.impossible


class Members:
    """Who is there. Nothing is kept of who is not."""

    def __init__(self, node: UwbNode) -> None:
        self._node = node
        self.by_tag: dict[str, Member] = {}
        self.numbers = 0
        """Names given so far to tags that would share a topic."""

    def get(self, tag: str, *, most: int, now: float) -> Member:
        """The tag, made where it is new. Raises InputError for one too many, or a long name."""
        member = self.by_tag.get(tag)
        if member is None:
            if len(tag) > LONGEST_ID:
                raise InputError(
                    f"a tag's id has {len(tag)} letters; expected at most {LONGEST_ID}"
                )
            if len(self.by_tag) >= most:
                raise InputError(f"there are {most} tags already (most_tags)")
            member = self.by_tag[tag] = Member(self._topic(tag), now)
        return member

    def _topic(self, tag: str) -> str:
        """`~/<tag>/pose`, in letters that a topic may have, different for each tag."""
        name = re.sub(r"[^A-Za-z0-9]+", "_", tag).strip("_")
        name = f"tag_{name}".rstrip("_") if not name or name[0].isdigit() else name
        name = name[: max(LONGEST_TOPIC - len(self._node.resolve_topic_name("~/pose")), 1)]
        if any(member.topic == f"~/{name}/pose" for member in self.by_tag.values()):
            self.numbers += 1
            name = f"{name}_same{self.numbers}"
        return f"~/{name}/pose"

    def publish(self, tag: str, pose: PoseWithCovarianceStamped) -> None:
        """Publish a pose on the tag's own topic, made at its first one."""
        member = self.by_tag[tag]
        if member.pose is None:
            member.pose = self._node.advertise(PoseWithCovarianceStamped, member.topic, POSES)
        member.pose.publish(pose)
        member.fixes += 1

    def forget(self, tag: str) -> None:
        """The tag is gone, and its topic."""
        member = self.by_tag.pop(tag)
        if member.pose is not None:
            self._node.withdraw(member.pose)


def states(
    members: Mapping[str, Member],
    found: Mapping[str, tuple[Status, int, str]],
    site: Site,
    now: float,
) -> DiagnosticArray:
    """How each tag does. found: status, number of restarts and the stand-by's reason by tag."""
    entries = []
    for tag, member in members.items():
        status, restarts, fallback = found[tag]
        clocks = trouble(status, site.anchors.ids) or member.clocks.wrong()
        wrong = member.impossible or clocks or member.problem or fallback
        waiting = status.state == State.WAITING
        values = {
            "state": status.state.name,
            "topic": member.topic,
            "fixes": member.fixes,
            "restarts": restarts + member.restarts,
            "fallback": fallback,
            "heard_s_ago": f"{now - member.heard:.1f}",
            "excluded": ",".join(site.anchors.ids[row] for row in status.excluded),
            "messages_dropped": member.dropped,
            "problem": member.problem,
        }
        entries.append(
            DiagnosticStatus(
                level=DiagnosticStatus.WARN if wrong or waiting else DiagnosticStatus.OK,
                name=tag,
                message=wrong or ("no first fix yet" if waiting else "ok"),
                values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
            )
        )
    return DiagnosticArray(status=entries)


def tag_markers(
    estimates: Mapping[str, tuple[Estimate, bool]], site: Site, head: Header
) -> MarkerArray:
    """All there is to see, in place of what was there. estimates: and whether they are right."""
    shown = [Marker(header=head, action=Marker.DELETEALL)]
    shown += anchor_markers(site, head=head, looks={})
    for number, (tag, (estimate, good)) in enumerate(estimates.items()):
        place = point(estimate.position, site.tag_height)
        shown.append(ball(head, "tags", number, place, 0.3, TAG_COLOR if good else DOUBT_COLOR))
        shown.append(label(head, "tag_names", number, place, tag))
        shown.append(ellipse_marker(estimate, site, head, number))
    return MarkerArray(markers=shown)
