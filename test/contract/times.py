# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drivers whose stamps are wrong: what `tracker_node`, `ekf_node` and `fleet_node` make of them.

`python test/contract/times.py RATE SEED [FAULT ...]`, with the repository and its test folder on
PYTHONPATH, prints a line of JSON for each fault and node. The nodes are real and listen (`passive`)
over real DDS; a peer sends them a simulated walk, message by message, with the stamps that the
fault makes of it. A fix is wrong where it is over .5 m and three of its sigmas off, and over .3 m
more than in the same walk without a fault; `unsaid` are those that neither state nor diagnostics
doubt.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import rclpy
from contract.time_faults import FAULTS, LIVE_S, NOW_S, Fault, Sent, Walk, restamped, walk_of
from geometry_msgs.msg import PoseWithCovarianceStamped
from locdreamer_ros.msg import AnchorArray, RangeArray, TrackerStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from locdreamer_ros.integrity.status import State
from locdreamer_ros.nodes import conversions as c
from locdreamer_ros.nodes.domain import own_domain
from locdreamer_ros.nodes.ekf_node import EkfNode
from locdreamer_ros.nodes.fleet_node import FleetNode
from locdreamer_ros.nodes.lifecycle import LATCHED, LOSSLESS
from locdreamer_ros.nodes.saying import trouble
from locdreamer_ros.nodes.tracker_node import TrackerNode
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import simulate
from locdreamer_ros.stamps import to_nanoseconds
from locdreamer_ros.types import Ranges

RIGHT_M, MORE_M, SOON_S = 0.5, 0.3, 1.0
PATIENCE_S = 5.0
"""Longer a message is not waited for."""


class Nodes:
    """The nodes in this process, and the peer that speaks to them."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.nodes: dict[str, Any] = {
            "tracker_node": TrackerNode(),
            "ekf_node": EkfNode(),
            "fleet_node": FleetNode(),
        }
        self.peer = Node("peer", use_global_arguments=False)
        self.executor = SingleThreadedExecutor()
        for node in (*self.nodes.values(), self.peer):
            self.executor.add_node(node)
        for node in self.nodes.values():
            node.trigger_configure()
            assert node.trigger_activate().name == "SUCCESS", node.problem
        self.poses: dict[str, list[Any]] = {name: [] for name in self.nodes}
        self.statuses: dict[str, list[Any]] = {name: [] for name in self.nodes}
        listen = self.peer.create_subscription
        for name in self.nodes:
            topic = f"{name}/{'robin/' if name == 'fleet_node' else ''}pose"
            listen(PoseWithCovarianceStamped, topic, self.poses[name].append, LOSSLESS)
            if name != "fleet_node":
                listen(TrackerStatus, f"{name}/status", self.statuses[name].append, LOSSLESS)
        anchors = self.peer.create_publisher(AnchorArray, "uwb/anchors", LATCHED)
        anchors.publish(c.to_anchors(recording.anchors, 0, "map"))
        self._out = self.peer.create_publisher(RangeArray, "uwb/ranges", LOSSLESS)
        self.until(lambda: self._out.get_subscription_count() == 3, 30.0)

    def until(self, reached: Callable[[], Any], patience: float) -> bool:
        """Spin until something is so; whether it is."""
        end = time.monotonic() + patience
        while not reached():
            if time.monotonic() > end:
                return False
            self.executor.spin_once(timeout_sec=0.01)
        return True

    def taken(self) -> list[float]:
        """What changes in each node with each message that it has taken in."""
        fleet = self.nodes["fleet_node"]
        member = fleet._members.by_tag.get("robin")
        dropped = [node.counts["messages_dropped"] for node in self.nodes.values()]
        waits = member is not None and bool(member.waiting)
        heard = 0.0 if member is None else member.heard
        return [
            len(self.statuses["tracker_node"]) + dropped[0],
            len(self.statuses["ekf_node"]) + dropped[1],
            -1.0 if waits else heard + dropped[2],
        ]

    def send(self, each: Sent) -> bool:
        """Send a message; whether all have taken it in."""
        anchors = self.recording.anchors
        stamps = np.maximum(each.own, 0.0)
        ranges = replace(Ranges.of(each.anchor, each.value, each.stamp), stamp=stamps)
        message = RangeArray(
            header=c.header(to_nanoseconds(max(each.stamp, 0.0)), "map"),
            tag="robin",
            ranges=c.to_ranges(ranges, anchors),
        )
        before = self.taken()
        self._out.publish(message)

        def took() -> bool:
            now = self.taken()
            return now[2] >= 0.0 and all(x != y for x, y in zip(now, before, strict=True))

        done = self.until(took, PATIENCE_S)
        for _ in range(4):
            self.executor.spin_once(timeout_sec=0.0)
        return done

    def close(self) -> None:
        """They end."""
        for node in self.nodes.values():
            node.close()
            node.destroy_node()
        self.peer.destroy_node()


@dataclass
class Heard:
    """What one node said of one message."""

    sent: float
    measured: float
    error: float
    sigma: float
    said: str
    """What it doubts; empty: nothing."""


def loop_of(node: Any) -> Any:
    """The loop of the one tag."""
    return node.fleet.loop("robin") if isinstance(node, FleetNode) else node.loop


def followed(recording: Recording, walk: Walk, *, live: bool = False) -> dict[str, Any]:
    """What each node says of each message of a walk, and what it counts in the end."""
    nodes = Nodes(recording)
    begin = time.time()
    if live:
        walk = [restamped(x, begin - NOW_S) if x.stamp > NOW_S / 2.0 else x for x in walk]
    heard: dict[str, list[Heard]] = {name: [] for name in nodes.nodes}
    places: dict[int, Sent] = {}
    words: dict[str, dict[str, None]] = {name: {} for name in nodes.nodes}
    stuck, reported = 0, -1.0
    for each in walk:
        places[to_nanoseconds(max(each.stamp, 0.0))] = each
        counts = {name: len(poses) for name, poses in nodes.poses.items()}
        if live:
            nodes.until(lambda due=begin + each.sent: time.time() >= due, PATIENCE_S)
        stuck += not nodes.send(each)
        for name, node in nodes.nodes.items():
            status = loop_of(node).status()
            health = node.health()[0]
            words[name][health] = None
            said = "" if status.state == State.TRACKING else status.state.name
            said = said or trouble(status, recording.anchors.ids) or (health if live else "")
            for pose in nodes.poses[name][counts[name] :]:
                at = pose.pose.pose.position
                ns = pose.header.stamp.sec * 10**9 + pose.header.stamp.nanosec
                meant = places.get(ns, each)
                off = float(np.hypot(*(np.array([at.x, at.y]) - meant.place)))
                spread = pose.pose.covariance
                sigma = float((spread[0] + spread[7]) ** 0.5)
                heard[name].append(Heard(each.sent, meant.measured, off, sigma, said))
        if each.sent >= reported + 1.0:
            reported = each.sent
            for node in nodes.nodes.values():
                node.report()
    found: dict[str, Any] = {}
    for name, node in nodes.nodes.items():
        gate = loop_of(node).watch.gate.times
        found[name] = {
            "heard": heard[name],
            "late": gate.late,
            "duplicates": gate.duplicates,
            "dropped": node.counts["messages_dropped"],
            "restarts": loop_of(node).restarts,
            "used": sum(x.ranges_used for x in nodes.statuses[name]),
            "stuck": stuck,
            "words": [word for word in words[name] if word],
            "problem": node.problem,
        }
    nodes.close()
    return found


def judged(fault: Fault, walk: Walk, found: dict[str, Any], clean: dict[str, Any]) -> dict:
    """The line of one node."""
    reference = {x.measured: x.error for x in clean["heard"]}
    known = np.array(sorted(reference))

    def wrong(x: Heard) -> bool:
        at = known[np.argmin(np.abs(known - x.measured))]
        honest = reference[float(at)]
        return x.error > max(RIGHT_M, 3.0 * x.sigma, honest + MORE_M)

    heard = found.pop("heard")
    after = [x for x in heard if x.sent >= fault.ends + SOON_S]
    messages = [x for x in walk if x.sent >= fault.ends + SOON_S]
    back = next((x.sent - fault.ends for x in heard if x.sent > fault.ends), None)
    distinct = {(a, s, v) for x in walk for a, s, v in zip(x.anchor, x.own, x.value, strict=True)}
    return {
        "poses": round(len(after) / max(len(messages), 1), 3),
        "back_s": None if back is None else round(back, 2),
        "wrong": sum(map(wrong, after)),
        "unsaid": sum(wrong(x) and not x.said for x in after),
        "unsaid_during": sum(wrong(x) and not x.said for x in heard) if after != heard else 0,
        "mean": round(float(np.mean([x.error for x in after])), 3) if after else None,
        "worst": round(max((x.error for x in after), default=0.0), 2),
        "doubted": round(float(np.mean([bool(x.said) for x in after])), 3) if after else None,
        "sent": len(distinct),
        **found,
    }


def main(rate: float, seed: int, names: list[str]) -> None:
    """Each fault in a context of its own."""
    in_turn = rate < 0.0
    duration = 60.0 if abs(rate) < 30.0 else 40.0
    place = "house" if seed % 2 == 0 else "lab"
    clean = None
    for name in ["none", *(names or [name for name in FAULTS if name != "none"])]:
        fault = FAULTS[name]
        longer = 60.0 if name == "silence 60 s" else 0.0
        recording = simulate(place, duration=duration + longer, rate=abs(rate), seed=seed)
        walk = fault.make(walk_of(recording, in_turn=in_turn), np.random.default_rng(seed))
        walk = [x for x in walk if x.sent < LIVE_S] if fault.live else walk
        with own_domain() as domain:
            given = ["-p", "dimensions:='2'", "-p", "passive:=true"]
            rclpy.init(domain_id=domain, args=["--ros-args", "--log-level", "fatal", *given])
            try:
                found = followed(recording, walk, live=fault.live)
            finally:
                rclpy.try_shutdown()
        clean = found if clean is None else clean
        clean = {k: {**v, "heard": list(v["heard"])} for k, v in clean.items()}
        for node, each in found.items():
            line = judged(fault, walk, dict(each), clean[node])
            print(json.dumps({"fault": name, "rate": rate, "place": place, "node": node, **line}))
        sys.stdout.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
