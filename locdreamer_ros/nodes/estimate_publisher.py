# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An estimate on its topics: pose, odometry, path, markers and TF."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from geometry_msgs.msg import Point, PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry, Path
from rclpy.qos import QoSProfile
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from locdreamer_ros.config import parameter
from locdreamer_ros.geometry import ellipse
from locdreamer_ros.nodes.conversions import (
    header,
    point,
    to_odometry,
    to_pose,
    to_transform,
)
from locdreamer_ros.nodes.frames import Frames
from locdreamer_ros.nodes.lifecycle import UwbNode
from locdreamer_ros.nodes.sited import SitedConfig
from locdreamer_ros.types import Estimate, IntArray, Site

SHOWN_QOS = QoSProfile(depth=10)
"""For people to look at: large, and the next one replaces it."""
ASKED_COLOR = ColorRGBA(r=0.95, g=0.5, b=0.1, a=1.0)
IDLE_COLOR = ColorRGBA(r=0.45, g=0.5, b=0.55, a=0.8)
EXCLUDED_COLOR = ColorRGBA(r=0.8, g=0.1, b=0.1, a=1.0)
"""An anchor whose ranges do not fit and are held back."""
ELLIPSE = ColorRGBA(r=0.1, g=0.5, b=0.9, a=0.9)
TEXT_COLOR = ColorRGBA(r=0.1, g=0.1, b=0.1, a=1.0)


BROADCASTS = ("none", "tag", "odom")


@dataclass(frozen=True)
class EstimateConfig(SitedConfig):
    """How an estimate is shown."""

    tag_frame: str = parameter("tag", "name of the tag's frame, whether TF has it or not")
    broadcast: str = parameter(
        "tag",
        "what goes to TF: none; tag: frame -> tag_frame; odom: frame -> the odometry's frame",
        choices=BROADCASTS,
    )
    lever_arm: str = parameter(
        "", "the tag seen from the odometry's child frame, 'x, y, z' m; empty: from TF, else 0"
    )
    path_length: int = parameter(2000, "poses kept in ~/path", low=1, high=100_000)
    display_period: float = parameter(
        0.5, "least time between two ~/path or ~/markers, s", low=0.0, high=60.0
    )


class EstimatePublisher:
    """The topics `~/pose`, `~/odometry`, `~/path`, `~/markers` and TF of one node."""

    def __init__(self, node: UwbNode, config: EstimateConfig, frames: Frames) -> None:
        self.config = config
        self._pose = node.advertise(PoseWithCovarianceStamped, "~/pose")
        self._odometry = node.advertise(Odometry, "~/odometry")
        self._path = Display(node.advertise(Path, "~/path", SHOWN_QOS))
        self._markers = Display(node.advertise(MarkerArray, "~/markers", SHOWN_QOS))
        self._send = frames.sender() if config.broadcast == "tag" else None
        self._poses: deque[PoseStamped] = deque(maxlen=config.path_length)
        self._looks: dict[int, ColorRGBA] = {}
        """Colours other than idle that were shown, by row of the anchor."""
        self._shown: Site | None = None
        """Whose anchors were shown."""

    def publish(self, estimate: Estimate, site: Site, *, ns: int) -> PoseWithCovarianceStamped:
        """Publish the estimate for the stamp `ns`; returns the pose."""
        pose = to_pose(estimate, site.tag_height, ns, self.config.frame)
        self._pose.publish(pose)
        self._odometry.publish(to_odometry(pose, estimate, self.config.tag_frame))
        if self._send is not None:
            self._send(to_transform(pose, self.config.tag_frame))
        self._poses.append(PoseStamped(header=pose.header, pose=pose.pose.pose))
        return pose

    def show(
        self, estimate: Estimate, site: Site, *, ns: int, asked: IntArray, excluded: Sequence[int]
    ) -> None:
        """Path and markers, where somebody looks and it is time; `asked`, `excluded`: rows."""
        period, head = self.config.display_period, header(ns, self.config.frame)
        if self._path.due(period):
            self._path.publish(Path(header=head, poses=list(self._poses)))
        if self._markers.due(period):
            looks = dict.fromkeys(asked.tolist(), ASKED_COLOR) | dict.fromkeys(
                excluded, EXCLUDED_COLOR
            )
            shown = [] if site is self._shown else [Marker(header=head, action=Marker.DELETEALL)]
            self._looks = {} if shown else self._looks
            both = looks.keys() | self._looks.keys()
            rows = {row for row in both if looks.get(row) is not self._looks.get(row)}
            changed = None if self._markers.new_eyes or shown else sorted(rows)
            shown += anchor_markers(site, head=head, looks=looks, rows=changed)
            shown.append(ellipse_marker(estimate, site, head))
            self._markers.publish(MarkerArray(markers=shown))
            self._looks, self._shown = looks, site


class Display:
    """A topic for people to look at: built only when somebody does, and not too often."""

    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher
        self._next = 0.0
        self._eyes = 0
        self.new_eyes = False
        """Whether somebody looks who has not seen what was shown before."""

    def due(self, period: float) -> bool:
        """Whether to publish now, at most every `period` s."""
        eyes, now = self._publisher.get_subscription_count(), monotonic()
        self.new_eyes = eyes > self._eyes
        if eyes == 0:
            self._eyes = 0
            return False
        if now < self._next and not self.new_eyes:
            return False
        self._eyes, self._next = eyes, now + period
        return True

    def publish(self, message: Any) -> None:
        """Show it."""
        self._publisher.publish(message)


def anchor_markers(
    site: Site,
    *,
    head: Header,
    looks: Mapping[int, ColorRGBA],
    rows: Sequence[int] | None = None,
) -> list[Marker]:
    """Anchors with their names, those in `looks` highlighted.

    looks: colours by row: asked, or excluded; rows: of the anchors to show, where the others look
    as before; None: all.
    """
    found = []
    for row in range(len(site.anchors)) if rows is None else rows:
        place = point(site.anchors.positions[row])
        size = 0.35 if row in looks else 0.2
        found.append(ball(head, "anchors", row, place, size, looks.get(row, IDLE_COLOR)))
        if rows is None:
            found.append(label(head, "names", row, place, site.anchors.ids[row]))
    return found


def ball(
    head: Header, space: str, number: int, place: Point, size: float, color: ColorRGBA
) -> Marker:
    """A ball of `size` m."""
    made = Marker(header=head, ns=space, id=number, type=Marker.SPHERE, action=Marker.ADD)
    made.pose.position = place
    made.scale.x = made.scale.y = made.scale.z = size
    made.color = color
    return made


def label(head: Header, space: str, number: int, place: Point, text: str) -> Marker:
    """A name over a place."""
    kind = Marker.TEXT_VIEW_FACING
    made = Marker(header=head, ns=space, id=number, type=kind, action=Marker.ADD, text=text)
    made.pose.position = Point(x=place.x, y=place.y, z=place.z + 0.35)
    made.scale.z = 0.3
    made.color = TEXT_COLOR
    return made


def ellipse_marker(estimate: Estimate, site: Site, head: Header, number: int = 0) -> Marker:
    """The covariance ellipse."""
    line = Marker(
        header=head, ns="covariance", id=number, type=Marker.LINE_STRIP, action=Marker.ADD
    )
    line.pose.orientation.w = 1.0
    line.scale.x = 0.03
    line.color = ELLIPSE
    line.points = [point(place) for place in ellipse(estimate, site.tag_height)]
    return line
