# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`tracker_node` in the graph, timed from outside with real messages; see docs/performance.md.

This process is the source of ranges: it answers at once, so what takes time is the tracker's and
the middleware's. Beside the tracker runs an echo, a node that publishes a pose for each RangeArray
it hears and does nothing else: what it takes is the middleware's alone. `locdreamer benchmark
graph` runs this; alone:

    python -m locdreamer_ros.nodes.graph_timing FILE [SECONDS]
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter, time_ns
from typing import Any

import numpy as np
import rclpy
import yaml
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.executors import ExternalShutdownException
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from tqdm import tqdm

from locdreamer_ros.msg import AnchorArray, AnchorSchedule, RangeArray
from locdreamer_ros.nodes.conversions import to_anchors, to_ranges, to_stamp
from locdreamer_ros.nodes.domain import own_domain
from locdreamer_ros.nodes.driver_timing import percentiles, usage
from locdreamer_ros.nodes.lifecycle import LATCHED, LOSSLESS
from locdreamer_ros.nodes.processes import QUIET, NodeProcesses, node_environment
from locdreamer_ros.nodes.running import make_executor
from locdreamer_ros.stamps import nanoseconds
from locdreamer_ros.types import Anchors, Ranges, Site

SIDE_M, SIGMA_M = 10.0, 0.05
HEIGHTS = (2.0, 2.5)
SITE = Site.of(
    Anchors(
        tuple(f"A{number}" for number in range(8)),
        np.array(
            [
                [SIDE_M * x / 2.0, SIDE_M * y / 2.0, HEIGHTS[(x + y) % 2]]
                for x in range(3)
                for y in range(3)
                if (x, y) != (1, 1)
            ]
        ),
    ),
    "2",
    1.0,
)
"""Eight anchors around a square room."""
PACE_HZ, OFFERED_HZ = 50.0, 500.0
PART_S = 2.0
"""Closed loop and overload take turns of about so long: both meet the same neighbours."""
LEAST_TURNS, WARM = 10, 5
"""Turns at least; one in so many, at the beginning, is not counted."""
START_S, ANSWER_S, SETTLING_S = 30.0, 2.0, 0.2
ECHO, TRACKER = "graph_timing", "tracker_node"
Found = dict[str, Any]


def echo() -> None:
    """The node that does nothing: a pose for each RangeArray, until it is ended."""
    rclpy.init()
    node = rclpy.create_node("echo")
    publisher = node.create_publisher(PoseWithCovarianceStamped, "echo/pose", LOSSLESS)

    def heard(message: RangeArray) -> None:
        publisher.publish(PoseWithCovarianceStamped(header=message.header))

    node.create_subscription(RangeArray, "echo/ranges", heard, LOSSLESS)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
    with suppress(KeyboardInterrupt, ExternalShutdownException):  # it is told to end
        rclpy.spin(node)


class Source:
    """Ticks, answers, and when the poses came."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("timing")
        self._executor = make_executor()
        self._executor.add_node(self.node)
        self._parameters = AsyncParameterClient(self.node, TRACKER)
        self._rng = np.random.default_rng(0)
        make = self.node.create_publisher
        self._tick = make(Clock, "uwb/tick", LOSSLESS)
        self._ranges = make(RangeArray, "uwb/ranges", LOSSLESS)
        self._to_echo = make(RangeArray, "echo/ranges", LOSSLESS)
        self._anchors = make(AnchorArray, "uwb/anchors", LATCHED)
        self._anchors.publish(to_anchors(SITE.anchors, 0, "map"))
        self.answers = 0
        self.answered = 0.0
        """When the last answer was sent."""
        self.poses: list[tuple[int, float]] = []
        """Stamp, and when it came."""
        self.echoes: list[float] = []
        self.last: RangeArray | None = None
        listen = self.node.create_subscription
        listen(AnchorSchedule, "uwb/schedule", self._answer, LOSSLESS)
        listen(PoseWithCovarianceStamped, f"{TRACKER}/pose", self._on_pose, LOSSLESS)
        listen(PoseWithCovarianceStamped, "echo/pose", self._on_echo, LOSSLESS)

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        self.poses.append((nanoseconds(message.header.stamp), perf_counter()))

    def _on_echo(self, message: PoseWithCovarianceStamped) -> None:
        self.echoes.append(perf_counter())

    def _answer(self, schedule: AnchorSchedule) -> None:
        """The ranges asked for, to a tag that walks a circle, with errors of `SIGMA_M`."""
        rows = SITE.anchors.rows(schedule.anchors)
        time = nanoseconds(schedule.header.stamp) * 1e-9
        turn = 0.3 * (time % (2.0 * math.pi / 0.3))
        place = SIDE_M * (0.5 + 0.3 * np.array([math.cos(turn), math.sin(turn)]))
        values = SITE.expected(place, rows) + self._rng.normal(0.0, SIGMA_M, rows.size)
        answer = RangeArray(
            header=schedule.header,
            session=schedule.session,
            sequence=schedule.sequence,
            ranges=to_ranges(Ranges.of(rows, values, time), SITE.anchors),
            more=schedule.more,
        )
        self.last, self.answered = answer, perf_counter()
        self.answers += 1
        self._ranges.publish(answer)

    def until(self, reached: Callable[[], Any], patience: float) -> bool:
        """Spin until something is so, or for `patience` s; whether it is."""
        end = perf_counter() + patience
        while not reached():
            left = end - perf_counter()
            if left <= 0.0:
                return False
            self._executor.spin_once(timeout_sec=min(left, 0.05))
        return True

    def rest(self, seconds: float) -> None:
        """Spin for a while."""
        self.until(lambda: False, seconds)

    def ready(self) -> bool:
        """Whether tracker and echo are there, and hear and are heard."""
        publishers = (self._tick, self._ranges, self._to_echo)
        heard = all(each.get_subscription_count() for each in publishers)
        topics = (f"{TRACKER}/pose", "echo/pose", "uwb/schedule")
        return heard and all(self.node.count_publishers(topic) for topic in topics)

    def tick(self) -> int:
        """Offer a time for a fix: now, in ns."""
        ns = time_ns()
        self._tick.publish(Clock(clock=to_stamp(ns)))
        return ns

    def fix(self) -> float | None:
        """One fix in closed loop; seconds from range to pose, None where none came."""
        count = len(self.poses)
        self.tick()
        if not self.until(lambda: len(self.poses) > count, ANSWER_S):
            return None
        return self.poses[-1][1] - self.answered

    def echoed(self) -> float | None:
        """Seconds from a RangeArray to the echo's pose."""
        count, begin = len(self.echoes), perf_counter()
        self._to_echo.publish(self.last)
        if not self.until(lambda: len(self.echoes) > count, ANSWER_S):
            return None
        return self.echoes[-1] - begin

    def set_rate(self, rate: float) -> None:
        """Set the tracker's own pace. Raises RuntimeError where it does not take it."""
        if not self.until(self._parameters.services_are_ready, START_S):
            raise RuntimeError("tracker_node has no parameters")
        answer = self._parameters.set_parameters([Parameter("rate", value=rate)])
        if not self.until(answer.done, START_S) or not answer.result().results[0].successful:
            raise RuntimeError("tracker_node does not take its rate")


def latencies(source: Source, seconds: float) -> tuple[list[float], list[float]]:
    """Milliseconds from range to pose, of tracker and echo, by turns at a steady pace."""
    spent: tuple[list[float], list[float]] = ([], [])
    begin, turns = perf_counter(), max(round(seconds * PACE_HZ), LEAST_TURNS)
    for turn in range(turns):
        for kind, ask in enumerate((source.fix, source.echoed)):
            due = begin + (turn + 0.5 * kind) / PACE_HZ
            source.rest(due - perf_counter())
            took = ask()
            if took is not None and turn * WARM >= turns:
                spent[kind].append(took * 1e3)
    return spent


def closed_loop(source: Source, seconds: float) -> float:
    """Fixes a second, each asked for when the last has come."""
    begin, count = perf_counter(), 0
    while perf_counter() - begin < seconds:
        count += source.fix() is not None
    return count / (perf_counter() - begin)


def offered(source: Source, seconds: float, *, own: bool) -> float:
    """Fixes a second at `OFFERED_HZ` ticks a second, or with the tracker's own timer at it."""
    if own:
        source.set_rate(OFFERED_HZ)
    source.rest(SETTLING_S)
    begin, ticks, before = perf_counter(), 0, len(source.poses)
    while (now := perf_counter() - begin) < seconds:
        if not own and now * OFFERED_HZ >= ticks:
            source.tick()
            ticks += 1
        else:
            source.rest(0.05 if own else ticks / OFFERED_HZ - now)
    stamps = {stamp for stamp, _ in source.poses[before:]}
    if own:
        source.set_rate(0.0)
    source.rest(SETTLING_S)  # what was on its way
    return len(stamps) / seconds


def measure(seconds: float) -> Found:
    """Everything, `seconds` for each of its parts."""
    with own_domain() as domain, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = node_environment(domain, folder)
        os.environ.update(environment)
        parameters = folder / "parameters.yaml"
        given = {TRACKER: {"ros__parameters": {"dimensions": "2", "tag_height": SITE.tag_height}}}
        parameters.write_text(yaml.safe_dump(given), encoding="utf-8")
        rclpy.init(
            args=["--ros-args", *QUIET],
            domain_id=domain,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        try:
            with NodeProcesses(environment, folder) as nodes:
                pids = {each: nodes.start(each, parameters) for each in (TRACKER, ECHO)}
                source = Source()
                if not source.until(source.ready, START_S):
                    nodes.check()
                    raise RuntimeError("the nodes did not come up")
                turns = max(round(seconds / PART_S), 1)
                part = seconds / turns
                fix_ms, echo_ms = latencies(source, seconds)
                rates = np.array(
                    [
                        (
                            closed_loop(source, part),
                            offered(source, part, own=False),
                            offered(source, part, own=True),
                        )
                        for _ in tqdm(range(turns), "graph", leave=False, disable=None)
                    ]
                )
                nodes.check()
                sizes = {each: round(usage(pid)[0], 1) for each, pid in pids.items()}
                source.node.destroy_node()
        finally:
            rclpy.try_shutdown()
    (fix_p50, fix_p99), (echo_p50, echo_p99) = (
        percentiles(np.array(spent), 50, 99) for spent in (fix_ms, echo_ms)
    )
    return {
        "fixes": len(fix_ms),
        "fix_ms_p50": fix_p50,
        "fix_ms_p99": fix_p99,
        "echo_ms_p50": echo_p50,
        "echo_ms_p99": echo_p99,
        **dict(zip(("closed_per_s", "ticked_per_s", "timed_per_s"), rates.mean(0), strict=True)),
        "offered_per_s": OFFERED_HZ,
        "rss_mb": sizes[TRACKER],
        "echo_rss_mb": sizes[ECHO],
    }


def main() -> int:
    """Measure into a file; without one, be the echo."""
    words = [word for word in sys.argv[1:2] if not word.startswith("-")]
    if not words:
        echo()
        return 0
    found = measure(float(sys.argv[2]) if len(sys.argv) > 2 else 5.0)
    text = json.dumps({**found, "load": round(os.getloadavg()[0], 1)}, indent=2)
    Path(words[0]).write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
