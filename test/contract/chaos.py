# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kills nodes of a running graph at random, and looks at what is left.

`python test/contract/chaos.py KILLS SEED`, with the repository and its test folder on PYTHONPATH,
prints JSON. The graph is a robot's: driver (of an emulated module), tracker, baseline, recorder,
evaluator, each started again after the delay of the launch files.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from cli.test_ending import living
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from locdreamer_ros.msg import RangeArray
from nodes.ros_graph import Graph, graph

from locdreamer_ros.datasets.range_table import save_anchors
from locdreamer_ros.datasets.rosbag2 import read_messages
from locdreamer_ros.driver.emulator import device_anchors
from locdreamer_ros.errors import InputError
from locdreamer_ros.nodes.launch_description import RESPAWN_DELAY_S
from locdreamer_ros.nodes.lifecycle import KEPT_QOS
from locdreamer_ros.simulation import make_world
from locdreamer_ros.stamps import nanoseconds

RATE_HZ = 10.0
VICTIMS = ("driver_node", "tracker_node", "ekf_node", "recorder_node", "evaluator_node")
WAYS = (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM)
RIGHT_M = 1.0
"""A fix this near the truth is right, or one within three of its own standard deviations."""
SOON_S, PATIENCE_S = 3.0, 60.0
REST_S = 5.0
"""Until an evaluator that was just started has heard what there is to hear."""
DRIVE_S = 1.0
"""At most so long between a recovery and the next kill."""


class Chaos:
    """The graph, what is heard of it, and who is to be started again."""

    def __init__(self, nodes: Graph, seed: int) -> None:
        self.nodes, self.seed = nodes, seed
        self.rng = random.Random(seed)
        self.parameters: dict[str, dict[str, Any]] = {}
        self.due: dict[str, float] = {}
        self.truth: dict[int, np.ndarray] = {}
        self.fixes: dict[str, list[tuple[int, np.ndarray, float]]] = {}
        self.answers: set[tuple[int, int]] = set()
        self.tracebacks = 0
        node = nodes.probe.node
        node.create_subscription(PoseStamped, "ground_truth/pose", self._on_truth, KEPT_QOS)
        node.create_subscription(RangeArray, "uwb/ranges", self._on_ranges, KEPT_QOS)
        for name in ("tracker_node", "ekf_node"):
            self.fixes[name] = []
            node.create_subscription(
                PoseWithCovarianceStamped, f"{name}/pose", self._heard(name), KEPT_QOS
            )

    def _on_truth(self, message: PoseStamped) -> None:
        place = message.pose.position
        self.truth[nanoseconds(message.header.stamp)] = np.array([place.x, place.y])

    def _on_ranges(self, message: RangeArray) -> None:
        self.answers.add((message.session, message.sequence))

    def _heard(self, name: str) -> Any:
        def heard(message: PoseWithCovarianceStamped) -> None:
            place, spread = message.pose.pose.position, message.pose.covariance
            deviation = float(np.sqrt(spread[0] + spread[7]))
            fix = (nanoseconds(message.header.stamp), np.array([place.x, place.y]), deviation)
            self.fixes[name].append(fix)

        return heard

    def start(self, name: str, **parameters: Any) -> None:
        """Start a node, and know how to start it again."""
        self.parameters[name] = parameters
        self.nodes.start(name, **parameters)

    def pid(self, name: str) -> int:
        """Its process of now."""
        return self.nodes.processes._running[name].pid

    def turn(self) -> None:
        """Listen a moment, and start again what has ended, as the launch files do."""
        self.nodes.probe.executor.spin_once(timeout_sec=0.01)
        now = time.monotonic()
        for name in VICTIMS:
            if self.nodes.processes._running[name].poll() is None:
                continue
            if now >= self.due.setdefault(name, now + RESPAWN_DELAY_S):
                self.look_at_log(name)
                self.start(name, **self.parameters[name])
                del self.due[name]

    def look_at_log(self, name: str) -> None:
        """Count what should not be in it."""
        self.tracebacks += (self.nodes.folder / f"{name}.log").read_text().count("Traceback")

    def until(self, reached: Any, patience: float = PATIENCE_S) -> float:
        """Seconds until something was so; infinite where it was not."""
        begin = time.monotonic()
        while time.monotonic() - begin < patience:
            if reached():
                return time.monotonic() - begin
            self.turn()
        return float("inf")

    def right(self, name: str, since: int) -> bool:
        """Whether it has given a right fix for a time after `since` ns."""
        for stamp, place, deviation in reversed(self.fixes[name]):
            if stamp < since:
                return False
            if stamp in self.truth:
                off = float(np.linalg.norm(place - self.truth[stamp]))
                if off < max(RIGHT_M, 3.0 * deviation):
                    return True
        return False

    def strike(self) -> dict[str, Any]:
        """One kill, and how long until all is well."""
        self.until(lambda: False, self.rng.uniform(0.0, DRIVE_S))
        victim, way = self.rng.choice(VICTIMS), self.rng.choice(WAYS)
        process = self.nodes.processes._running[victim]
        process.send_signal(way)
        ending = 0.0
        if way == signal.SIGSTOP:
            self.until(lambda: False, self.rng.uniform(0.2, 2.0))
            process.send_signal(signal.SIGCONT)
        else:  # what the node still does until it has ended is no recovery
            ending = self.until(lambda: process.poll() is not None)
        since = time.time_ns()
        trackers = ["tracker_node", *(["ekf_node"] if victim == "ekf_node" else [])]
        took = ending + self.until(lambda: all(self.right(name, since) for name in trackers))
        back = True
        if way != signal.SIGSTOP:
            self.nodes.probe.diagnostics.pop(f"/{victim}", None)
            there = self.until(lambda: f"/{victim}" in self.nodes.probe.diagnostics)
            back = there < PATIENCE_S and self.nodes.processes._running[victim] is not process
        return {"victim": victim, "signal": way.name, "recovery_s": took, "back": back}

    def complete(self) -> None:
        """Tell the evaluator, in the place of a source, that it is over."""
        values = {"session": "1", "epochs": str(len(self.truth)), "complete": "True"}
        pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
        out = self.nodes.probe.node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.until(lambda: False, 1.0)
        out.publish(DiagnosticArray(status=[DiagnosticStatus(name="/chaos", values=pairs)]))


def bags(folder: Path) -> tuple[int, int]:
    """Ranges in all pieces of the bag, and pieces that cannot be read."""
    kept, unreadable = 0, 0
    for place in sorted(folder.glob("bag*/")):
        try:
            kept += sum(1 for _ in read_messages(place, "/uwb/ranges", RANGES))
        except InputError as reason:
            unreadable += "before its first whole chunk" not in str(reason)
    return kept, unreadable


RANGES = "locdreamer_ros/msg/RangeArray"


def descriptors(pid: int) -> int:
    """Open ones of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


REUSED = ("fastdds_port", "sem.fastdds_port", "lttng-ust-wait")
"""As many as a domain has had participants at a time; the next one takes them over."""


def shared_memory() -> set[str]:
    """Segments of shared memory."""
    names = {path.name for path in Path("/dev/shm").iterdir()}
    return {name for name in names if not name.startswith(REUSED)}


def rampage(kills: int, seed: int) -> dict[str, Any]:
    """Kill so often; what came of each, and what was left at the end."""
    before = shared_memory()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = make_world("house", seed)
        save_anchors(folder / "site.csv", device_anchors("decar", world)[0])
        with graph(folder) as nodes:
            chaos = Chaos(nodes, seed)
            port = str(folder / "uwb")
            nodes.start("emulator_node", device="decar", link=port, seed=seed, epochs=10**9)
            chaos.start(
                "driver_node", device="decar", port=port, anchors_file=str(folder / "site.csv")
            )
            chaos.start("tracker_node", rate=RATE_HZ, seed=seed)
            chaos.start("ekf_node", tracker="ekf")
            chaos.start("recorder_node", output=str(folder / "bag"))
            chaos.start("evaluator_node", source="chaos", output=str(folder))
            if chaos.until(lambda: all(chaos.right(each, 0) for each in chaos.fixes)) > PATIENCE_S:
                raise TimeoutError("no first fix")
            emulator = nodes.processes._running["emulator_node"].pid
            open_before = descriptors(emulator)
            strikes = [chaos.strike() for _ in range(kills)]
            chaos.until(lambda: False, REST_S)
            open_after = descriptors(emulator)
            chaos.complete()
            result = folder / "metrics.json"
            chaos.until(result.exists)
            metrics = json.loads(result.read_text()) if result.exists() else {"problem": "none"}
            for each in VICTIMS:
                chaos.look_at_log(each)
        kept, unreadable = bags(folder)
        left = living(folder)
        hidden = [path.name for path in folder.rglob(".*")]
    found = metrics.get("accounts", {})
    honest = (
        not metrics["problem"]
        and found["duplicated"] == found["not_as_asked"] == 0
        and 0 <= found["answers"] <= len(chaos.answers)
        and 0 <= found["unanswered"] <= len(chaos.truth)
    )
    return {
        "strikes": strikes,
        "accounts_true": honest,
        "accounts": {**found, "problem": metrics["problem"], "heard": len(chaos.answers)},
        "bag_kept": kept / max(len(chaos.answers), 1),
        "bags_unreadable": unreadable,
        "tracebacks": chaos.tracebacks,
        "processes_left": len(left),
        "files_left": len(hidden),
        "descriptors_grown": open_after - open_before,
        "segments_left": len(shared_memory() - before),
    }


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        print(json.dumps(rampage(int(sys.argv[1]), int(sys.argv[2]))))
