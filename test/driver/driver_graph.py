# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A driver node over an emulated module, and a client that asks it; imports ROS."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from locdreamer_ros.msg import AnchorArray, AnchorSchedule, RangeArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from locdreamer_ros.datasets.range_table import save_anchors
from locdreamer_ros.driver.emulator import Emulator, SimulatedTag, emulate
from locdreamer_ros.nodes.conversions import to_stamp
from locdreamer_ros.nodes.driver_node import DriverNode
from locdreamer_ros.nodes.lifecycle import LATCHED, LOSSLESS
from locdreamer_ros.types import RangeStatus

OK, TIMEOUT = RangeStatus.OK, RangeStatus.TIMEOUT
INVALID, NOT_OFFERED = RangeStatus.INVALID, RangeStatus.NOT_OFFERED
SUCCESS = TransitionCallbackReturn.SUCCESS
PATIENCE_S = 60.0
"""So long a busy machine may take; two seconds on a quiet one are `benchmark driver`'s to say."""


class Graph:
    """A driver node and a client in one executor, over one emulated module."""

    def __init__(self, folder: Path, domain: int) -> None:
        self.folder = folder
        self.domain = domain
        self.link = folder / "usb-emulated"
        self.emulator: Emulator | None = None
        self.node: DriverNode | None = None
        self.sequence = 0

    def emulate(self, device: str = "decar", **more) -> SimulatedTag:
        self.emulator, self.tag = emulate(device, **{"link": self.link, "walk_s": 60.0, **more})
        self.device = device
        return self.tag

    def start(self, *more: str, **parameters) -> TransitionCallbackReturn:
        save_anchors(self.folder / "site.csv", self.tag.anchors)
        given = {
            "device": self.device,
            "port": str(self.folder / "usb-*"),
            "anchors_file": str(self.folder / "site.csv"),
            **parameters,
        }
        arguments = ["--ros-args"]
        for name, value in given.items():
            arguments += ["-p", f"driver_node:{name}:={value}"]
        self.arguments = [*arguments, *more]
        rclpy.init(args=self.arguments, domain_id=self.domain)
        self.node = DriverNode()
        self.client = rclpy.create_node("client", use_global_arguments=False)
        self.answers: dict[int, RangeArray] = {}
        self.anchors: list[AnchorArray] = []
        self.reports: list[DiagnosticArray] = []
        listen = self.client.create_subscription
        listen(RangeArray, "uwb/ranges", lambda m: self.answers.update({m.sequence: m}), LOSSLESS)
        listen(AnchorArray, "uwb/anchors", self.anchors.append, LATCHED)
        listen(DiagnosticArray, "/diagnostics", self.reports.append, 10)
        self.schedule = self.client.create_publisher(AnchorSchedule, "uwb/schedule", LOSSLESS)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.client)
        if self.node.trigger_configure() != SUCCESS:
            return TransitionCallbackReturn.FAILURE
        result = self.node.trigger_activate()
        self.spin(lambda: self.schedule.get_subscription_count() > 0 and bool(self.anchors))
        return result

    def spin(self, done: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)
        return done()

    def publish(
        self, *anchors: str, wait: float = 0.15, more: bool = False, at: int | None = None
    ) -> int:
        """Ask; `at` ns: for the fix of that stamp, else for a new one."""
        self.sequence += 1
        now = time.time_ns() if at is None else at
        message = AnchorSchedule(sequence=self.sequence, anchors=list(anchors), more=more)
        message.header.stamp = to_stamp(now)
        message.deadline = to_stamp(now + round(wait * 1e9))
        self.schedule.publish(message)
        return self.sequence

    def ask(self, *anchors: str, wait: float = 0.15, **more) -> RangeArray:
        sequence = self.publish(*anchors, wait=wait, **more)
        assert self.spin(lambda: sequence in self.answers), "no answer"
        return self.answers[sequence]

    def until(
        self,
        wanted: Callable[[RangeArray], bool],
        *anchors: str,
        wait: float = 0.15,
    ) -> RangeArray:
        """The first answer that is as wanted: any single one may fall into a machine's pause."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            answer = self.ask(*anchors, wait=wait)
            if wanted(answer):
                return answer
        raise AssertionError(f"not within {PATIENCE_S} s: {self.node._session.problem}")

    def track_again(self) -> None:
        """Ask until three ranges of three come."""
        all_three = self.tag.anchors.ids[:3]  # .3 s: of the slowest device
        self.until(lambda a: statuses(a) == [OK] * 3, *all_three, wait=0.3)

    def close(self) -> None:
        if self.node is not None:
            self.node.close()
            self.executor.shutdown()
            self.node.destroy_node()
            self.client.destroy_node()
            rclpy.try_shutdown()
        if self.emulator is not None:
            self.emulator.close()


def statuses(answer: RangeArray) -> list[int]:
    return [entry.status for entry in answer.ranges]
