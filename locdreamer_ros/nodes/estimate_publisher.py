# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An estimate on its topics: pose, odometry, path, markers and TF."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped, TransformStamped
from nav_msgs.msg import Odometry, Path
from rclpy.qos import QoSProfile
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from locdreamer_ros.config import parameter
from locdreamer_ros.nodes.conversions import (
    header,
    point,
    to_odometry,
    to_pose,
    to_transform,
)
from locdreamer_ros.nodes.lifecycle import NodeConfig, UwbNode
from locdreamer_ros.types import Estimate, FloatArray, IntArray, Site

ELLIPSE_95 = 2.4477
"""Radius, in standard deviations, of the ellipse that holds 95 % of a 2-D Gaussian."""
SHOWN = QoSProfile(depth=10)
"""For people to look at: large, and the next one replaces it."""
ELLIPSE_POINTS = 48
ASKED = ColorRGBA(r=0.95, g=0.5, b=0.1, a=1.0)
IDLE = ColorRGBA(r=0.45, g=0.5, b=0.55, a=0.8)
ELLIPSE = ColorRGBA(r=0.1, g=0.5, b=0.9, a=0.9)
TEXT = ColorRGBA(r=0.1, g=0.1, b=0.1, a=1.0)


@dataclass(frozen=True)
class EstimateConfig(NodeConfig):
    """How an estimate is shown."""

    frame: str = parameter("map", "frame of the anchors and of every position (REP-105)")
    tag_frame: str = parameter("tag", "TF frame of the tag; empty: no TF")
    path_length: int = parameter(2000, "poses kept in ~/path", low=1, high=100_000)
    display_period: float = parameter(
        0.5, "least time between two ~/path or ~/markers, s of the stamps", low=0.0, high=60.0
    )


class EstimatePublisher:
    """The topics `~/pose`, `~/odometry`, `~/path`, `~/markers` and TF of one node."""

    def __init__(self, node: UwbNode, config: EstimateConfig) -> None:
        self._config = config
        self._pose = node.advertise(PoseWithCovarianceStamped, "~/pose")
        self._odometry = node.advertise(Odometry, "~/odometry")
        self._path = node.advertise(Path, "~/path", SHOWN)
        self._markers = node.advertise(MarkerArray, "~/markers", SHOWN)
        self._send = transform_sender(node) if config.tag_frame else None
        self._poses: deque[PoseStamped] = deque(maxlen=config.path_length)
        self._shown: int | None = None

    def publish(self, estimate: Estimate, site: Site, *, ns: int, asked: IntArray) -> None:
        """Publish the estimate for the stamp `ns`, made from the anchors `asked` (rows)."""
        frame = self._config.frame
        pose = to_pose(estimate, site.tag_height, ns, frame)
        self._pose.publish(pose)
        self._odometry.publish(to_odometry(pose, estimate, self._config.tag_frame or "tag"))
        if self._send is not None:
            self._send(to_transform(pose, self._config.tag_frame))
        self._poses.append(PoseStamped(header=pose.header, pose=pose.pose.pose))
        period = round(self._config.display_period * 1e9)
        if self._shown is None or not 0 <= ns - self._shown < period:
            self._shown = ns
            self._path.publish(Path(header=pose.header, poses=list(self._poses)))
            self._markers.publish(markers(estimate, site, ns=ns, frame=frame, asked=asked))


def ellipse(estimate: Estimate, height: float) -> FloatArray:
    """Points (P, 3) m of the closed 95 % ellipse of the horizontal position."""
    values, vectors = np.linalg.eigh(estimate.position_covariance[:2, :2])
    angle = np.linspace(0.0, 2.0 * np.pi, ELLIPSE_POINTS + 1)
    radii = ELLIPSE_95 * np.sqrt(np.maximum(values, 0.0))
    circle = np.stack([radii[0] * np.cos(angle), radii[1] * np.sin(angle)])
    z = estimate.position[2] if estimate.dimensions == 3 else height
    flat = estimate.position[:2, None] + vectors @ circle
    return np.vstack([flat, np.full(angle.size, z)]).T


def markers(estimate: Estimate, site: Site, *, ns: int, frame: str, asked: IntArray) -> MarkerArray:
    """Anchors with their names, those asked highlighted, and the covariance ellipse."""
    head = header(ns, frame)
    chosen = set(asked.tolist())
    found = []
    for row, (anchor, position) in enumerate(
        zip(site.anchors.ids, site.anchors.positions, strict=True)
    ):
        ball = Marker(header=head, ns="anchors", id=row, type=Marker.SPHERE, action=Marker.ADD)
        ball.pose.position = point(position)
        size = 0.35 if row in chosen else 0.2
        ball.scale.x = ball.scale.y = ball.scale.z = size
        ball.color = ASKED if row in chosen else IDLE
        label = Marker(header=head, ns="names", id=row, type=Marker.TEXT_VIEW_FACING, text=anchor)
        label.pose.position = point(position + np.array([0.0, 0.0, 0.35]))
        label.scale.z = 0.3
        label.color = TEXT
        found += [ball, label]
    line = Marker(header=head, ns="covariance", type=Marker.LINE_STRIP, action=Marker.ADD)
    line.pose.orientation.w = 1.0
    line.scale.x = 0.03
    line.color = ELLIPSE
    line.points = [point(place) for place in ellipse(estimate, site.tag_height)]
    return MarkerArray(markers=[*found, line])


def transform_sender(node: UwbNode) -> Callable[[TransformStamped], None] | None:
    """What sends a transform: tf2_ros, else `/tf` itself, else None and one warning."""
    try:
        from tf2_ros import TransformBroadcaster
    except ImportError:
        pass
    else:
        broadcast: Callable[[TransformStamped], None] = TransformBroadcaster(node).sendTransform
        return broadcast
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:
        node.get_logger().warning("no TF: neither tf2_ros nor tf2_msgs is installed")
        return None
    # tf2_ros has the same depth, and listeners expect it.
    publisher = node.advertise(TFMessage, "/tf", 100)
    return lambda transform: publisher.publish(TFMessage(transforms=[transform]))
