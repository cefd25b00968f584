# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shows the graph live in rerun's viewer: what RViz shows, and errors and residuals over time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid, Odometry

from locdreamer_ros.config import parameter
from locdreamer_ros.differences import as_ranges
from locdreamer_ros.errors import InputError
from locdreamer_ros.frames import moved
from locdreamer_ros.integrity.status import State
from locdreamer_ros.msg import AnchorArray, RangeArray, RangeDifferenceArray, TrackerStatus
from locdreamer_ros.nodes.conversions import (
    from_anchors,
    from_differences,
    from_odometry,
    from_ranges,
)
from locdreamer_ros.nodes.frames import Frames
from locdreamer_ros.nodes.lifecycle import KEPT_QOS, LATCHED, UwbNode
from locdreamer_ros.nodes.listening import ListeningConfig, hear, names
from locdreamer_ros.nodes.running import run_node
from locdreamer_ros.nodes.source_node import ENVIRONMENTS
from locdreamer_ros.report.live import Fix, LiveView, check_view
from locdreamer_ros.stamps import nanoseconds
from locdreamer_ros.types import Anchors, Estimate, FloatArray, Ranges, Site

KEPT_STAMPS = 200
"""Stamps of which ranges, truth or half a fix are kept until the rest has come."""
MOST_CELLS = 25_000_000


@dataclass(frozen=True)
class ViewConfig(ListeningConfig):
    """Parameters of `view_node`."""

    output: str = parameter("", "file to write, run.rrd; empty: open the viewer")
    environment: str = parameter(
        "",
        "simulated place whose walls to draw; empty: the topic map alone",
        choices=("", *ENVIRONMENTS),
    )
    seed: int = parameter(0, "of the simulated place", low=0, high=2**31 - 1)


class Recent(OrderedDict[Any, Any]):
    """What came last, by stamp: the oldest is forgotten."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        if len(self) > KEPT_STAMPS:
            self.popitem(last=False)


class ViewNode(UwbNode):
    """Puts together what belongs to one stamp, and shows it."""

    def __init__(self) -> None:
        super().__init__("view_node", ViewConfig)

    def configure(self) -> None:
        """Subscribe. Raises InputError where rerun or a display is missing."""
        check_view(self._file)
        self._names = names(self.config.trackers)
        self._frames = Frames(self)
        self._anchors: Anchors | None = None
        self._anchors_frame = ""
        self._drawn: FloatArray
        """(A, 3) m, where they were drawn last: in the frame of the fixes."""
        self._unplaced = ""
        """What TF does not know of that, in words."""
        self._view: LiveView | None = None
        self._map: OccupancyGrid | None = None
        self._truth, self._ranges = Recent(), Recent()
        self._halves: dict[str, Recent] = {name: Recent() for name in self._names}
        hear(self, AnchorArray, "uwb/anchors", self._on_anchors, LATCHED, always=True)
        hear(self, OccupancyGrid, "map", self._on_map, LATCHED, always=True)
        hear(self, RangeArray, "uwb/ranges", self._on_ranges)
        hear(self, RangeDifferenceArray, "uwb/range_differences", self._on_differences)
        hear(self, PoseStamped, "ground_truth/pose", self._on_truth, KEPT_QOS)
        for name in self._names:
            self._listen_to(name)
        self.every(0.5, self._send)

    @property
    def _file(self) -> Path | None:
        return Path(self.config.output) if self.config.output else None

    def _listen_to(self, name: str) -> None:
        def on_odometry(message: Odometry) -> None:
            self._take(name, nanoseconds(message.header.stamp), message)

        def on_status(message: TrackerStatus) -> None:
            self._take(name, nanoseconds(message.header.stamp), message)

        hear(self, Odometry, f"{name}/odometry", on_odometry, KEPT_QOS)
        hear(self, TrackerStatus, f"{name}/status", on_status, KEPT_QOS)

    def _on_anchors(self, message: AnchorArray) -> None:
        anchors = from_anchors(message)
        if (
            self._view is not None
            and self._anchors is not None
            and anchors.ids != self._anchors.ids
        ):
            raise InputError("uwb/anchors: other anchors than before: start view_node anew")
        self._anchors, self._anchors_frame = anchors, message.header.frame_id

    def _place(self, heard: Anchors, frame: str) -> Anchors | None:
        """The anchors in the frame of a fix; None: TF does not know, or not yet."""
        there = self._frames.between(frame, self._anchors_frame or frame)
        if there is None:
            self._unplaced = f"waiting for TF {frame} -> {self._anchors_frame} of the anchors"
            return None
        self._unplaced = ""
        return Anchors(heard.ids, moved(there, heard.positions))

    def _on_map(self, message: OccupancyGrid) -> None:
        size = message.info.width * message.info.height
        if not 0 < size <= MOST_CELLS or size != len(message.data):
            raise InputError(f"map: expected 1 to {MOST_CELLS} cells, width x height of them")
        corner, cell = message.info.origin.position, message.info.resolution
        if not (cell > 0.0 and all(map(isfinite, (cell, corner.x, corner.y)))):
            raise InputError("map: expected a resolution in m and a place")
        self._map = message
        if self._view is not None:
            self._show_map(self._view)

    def _on_ranges(self, message: RangeArray) -> None:
        if self._anchors is not None:
            ns = nanoseconds(message.header.stamp)
            ranges = from_ranges(message, self._anchors, self.drop)
            before = self._ranges.get(ns)
            self._ranges[ns] = ranges if before is None else before.joined(ranges)

    def _on_differences(self, message: RangeDifferenceArray) -> None:
        if self._anchors is not None:
            ns = nanoseconds(message.header.stamp)
            self._ranges[ns] = from_differences(message, self._anchors, self.drop)

    def _on_truth(self, message: PoseStamped) -> None:
        place = message.pose.position
        self._truth[nanoseconds(message.header.stamp)] = np.array([place.x, place.y, place.z])

    def _take(self, name: str, ns: int, message: Odometry | TrackerStatus) -> None:
        """Show a fix once both its odometry and its status have come, in whatever order."""
        other = self._halves[name].get(ns)
        if other is None or type(other) is type(message):
            self._halves[name][ns] = message
            return
        del self._halves[name][ns]
        one, two = (message, other) if isinstance(message, Odometry) else (other, message)
        if self._anchors is not None:
            self._show(name, ns, one, two)

    def _show(self, name: str, ns: int, odometry: Odometry, status: TrackerStatus) -> None:
        assert self._anchors is not None
        anchors = self._place(self._anchors, odometry.header.frame_id)
        if anchors is None:
            return
        height = odometry.pose.pose.position.z
        if self._view is None:
            self._view = self._open(anchors, height)
        elif not np.array_equal(anchors.positions, self._drawn):
            self._view.show_anchors(anchors)
        self._drawn = anchors.positions
        estimate, ranges = from_odometry(odometry), self._ranges.get(ns)
        known = [anchor for anchor in status.excluded if anchor in anchors.ids]
        first = name == self._names[0]
        self._view.show(
            Fix(
                name,
                estimate,
                ranges.anchor.tolist() if first and ranges is not None else None,
                None if ranges is None else self._heard(anchors, ranges, estimate, height),
                anchors.rows(known).tolist(),
                State(status.state) if status.state <= max(State) else None,
                self._truth.get(ns),
            )
        )
        self.counts["fixes"] += 1

    @staticmethod
    def _heard(anchors: Anchors, ranges: Ranges, estimate: Estimate, height: float) -> FloatArray:
        """Ranges (A,) m, those of a blink with the offset that fits the estimate; NaN: none."""
        used = ranges.usable()
        if used.differences:
            used = as_ranges(Site(anchors, estimate.dimensions, height), used, estimate)
        heard = np.full(len(anchors), np.nan)
        heard[used.anchor] = used.value
        return heard

    def _open(self, anchors: Anchors, height: float) -> LiveView:
        view = LiveView(anchors, self._names, height=height, file=self._file)
        if self.config.environment:
            from locdreamer_ros.simulation import make_world

            view.show_walls(make_world(self.config.environment, self.config.seed).walls)
        if self._map is not None:
            self._show_map(view)
        return view

    def _show_map(self, view: LiveView) -> None:
        assert self._map is not None
        about = self._map.info
        cells = np.array(self._map.data, dtype=np.int8).reshape(about.height, about.width)
        corner = about.origin.position
        view.show_map(cells, about.resolution, (corner.x, corner.y))

    def _send(self) -> None:
        if self._view is not None:
            self._view.send()

    def close(self) -> None:
        """Write what is still held."""
        view = getattr(self, "_view", None)
        if view is not None:
            view.close()
            self._view = None

    def health(self) -> tuple[str, dict[str, object]]:
        """What is waited for."""
        if self._anchors is None:
            return self.awaiting("the anchors", "uwb/anchors", "or see its own log"), {}
        if self._unplaced:
            return self._unplaced, {}
        if self._view is None:
            topic = f"{self._names[0]}/odometry"
            return self.awaiting("a first fix", topic, "or see its own log"), {}
        return "", {}


def main() -> int:
    """Run the node."""
    return run_node(ViewNode)


if __name__ == "__main__":
    raise SystemExit(main())
