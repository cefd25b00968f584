# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers schedules from a UWB module on a serial port.

The ranging waits in a thread of its own (`driver.worker`); the executor only passes schedules in.
A lost module is looked for until it is back: the node goes on, answering TIMEOUT meanwhile.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Time

from locdreamer_ros.config import parameter
from locdreamer_ros.datasets.range_table import load_anchors
from locdreamer_ros.driver.calibration import load_offsets, offsets_path
from locdreamer_ros.driver.devices import NAMES, get_device
from locdreamer_ros.driver.energy import MESSAGES, RADIOS, Cost, fix_cost
from locdreamer_ros.driver.ranger import Ranger, Spent
from locdreamer_ros.driver.session import Session
from locdreamer_ros.driver.transport import Transport
from locdreamer_ros.driver.worker import Worker
from locdreamer_ros.errors import InputError
from locdreamer_ros.msg import AnchorArray, AnchorSchedule, RangeArray
from locdreamer_ros.nodes.conversions import header, not_offered, to_anchors, to_ranges
from locdreamer_ros.nodes.lifecycle import LATCHED, NodeConfig, UwbNode, run_node
from locdreamer_ros.nodes.parameters import read
from locdreamer_ros.stamps import nanoseconds
from locdreamer_ros.types import Ranges, RangeStatus

NOTHING = Ranges.of([], [], 0.0)


@dataclass(frozen=True)
class DriverConfig(NodeConfig):
    """Parameters of `driver_node`."""

    device: str = parameter("decar", "which module and protocol", choices=NAMES)
    port: str = parameter(
        "/dev/serial/by-id/*", "serial port, or a pattern: the first match that answers is taken"
    )
    baud: int = parameter(0, "baud rate; 0: the device's own", low=0, high=4_000_000)
    anchors_file: str = parameter("", "anchors CSV (id,x,y,z), ids as the device prints them")
    offsets_file: str = parameter(
        "", "offsets CSV (id,offset) of `locdreamer calibrate`; empty: <anchors>_offsets.csv if any"
    )
    answer_time: float = parameter(
        0.0,
        "time for a schedule that brings no deadline of its own, s; 0: the device's own",
        low=0.0,
        high=5.0,
    )
    radio: str = parameter(
        "", "data rate on air, for the energy model; empty: as delivered", choices=("", *RADIOS)
    )
    ranging: str = parameter(
        "",
        "single- or double-sided, for the energy model; empty: the device's own",
        choices=("", *MESSAGES),
    )
    tag: str = parameter("", "id of the tag, repeated in the answers")
    frame: str = parameter("map", "frame of the anchors (REP-105)")


class DriverNode(UwbNode):
    """A serial device that answers on demand."""

    def __init__(self) -> None:
        self._worker: Worker[AnchorSchedule] | None = None
        super().__init__("driver_node", DriverConfig)

    def configure(self) -> None:
        """Load the anchors, make publishers and the subscription, look for the device."""
        self.config = read(self, DriverConfig)
        if not self.config.anchors_file:
            raise InputError("driver_node: the parameter anchors_file is needed (CSV id,x,y,z)")
        file = Path(self.config.anchors_file)
        self.site = load_anchors(file)
        offsets_file = Path(self.config.offsets_file or offsets_path(file))
        offsets: dict[str, float] = {}
        if self.config.offsets_file or offsets_file.exists():
            offsets = load_offsets(offsets_file, self.site)
        self._ranges = self.advertise(RangeArray, "uwb/ranges")
        self._anchors = self.advertise(AnchorArray, "uwb/anchors", LATCHED)
        self.listen(AnchorSchedule, "uwb/schedule", self._on_schedule)
        self._device = get_device(self.config.device)
        self._codec = self._device.codec()
        baud = self.config.baud or self._codec.capabilities.baud
        self._session = Session(Transport(self.config.port, baud), self._codec)
        self._ranger = Ranger(self.site, self._session, offsets=offsets)
        self._cost = Cost(0.0, 0.0)
        self._spent = Spent()
        self._costed: Time | None = None  # stamp of the fix that has been counted so far
        self._fix: Time | None = None  # and of the last schedule
        self._reported = (time.monotonic(), 0)
        for name in ("schedules", "answers", "superseded", "expired"):
            self.counts[name] = 0
        self._worker = Worker(self._ranger, self._answer, self._superseded)

    def activate(self) -> None:
        """Tell where the anchors are."""
        now = self.get_clock().now().nanoseconds
        self._anchors.publish(to_anchors(self.site, now, self.config.frame))

    def close(self) -> None:
        """End the thread, close the port."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _on_schedule(self, message: AnchorSchedule) -> None:
        if message.tag != self.config.tag or self._worker is None:
            return
        if len(set(message.anchors)) != len(message.anchors):
            raise InputError(f"uwb/schedule: sequence {message.sequence}: an anchor is asked twice")
        self.counts["schedules"] += 1
        again, self._fix = message.header.stamp == self._fix, message.header.stamp
        if not message.anchors:  # the tracker knows enough for this fix
            self._publish(message, NOTHING)
            return
        deadline, now = nanoseconds(message.deadline) * 1e-9, time.time()
        if deadline <= nanoseconds(message.header.stamp) * 1e-9:
            deadline = now + (self.config.answer_time or self._device.answer_time)
        elif deadline < now:  # many of them: the tracker's clock and ours differ
            self.counts["expired"] += 1
        known = [anchor for anchor in message.anchors if anchor in self.site.ids]
        self._worker.ask(message, self.site.rows(known), deadline, again=again)

    def _answer(self, message: AnchorSchedule, ranges: Ranges) -> None:
        """Publish, then see to the rest; called in the ranging thread."""
        self._publish(message, ranges)
        before = self._spent if message.header.stamp == self._costed else Spent()
        self._costed = message.header.stamp
        self._spent = before.plus(self._ranger.spent)
        good, failed, waited = self._spent
        self._cost = fix_cost(
            good,
            failed,
            radio=self.config.radio or self._device.radio.rate,
            ranging=self.config.ranging or self._device.radio.ranging,
            timeout_ms=waited / max(failed, 1) * 1e3,
        )

    def _superseded(self, message: AnchorSchedule) -> None:
        """Answer a schedule that another has overtaken: nobody was asked."""
        known = [anchor for anchor in message.anchors if anchor in self.site.ids]
        rows = self.site.rows(known)
        self.counts["superseded"] += 1
        self._publish(message, Ranges.of(rows, np.full(rows.size, np.nan), time.time()))

    def _publish(self, message: AnchorSchedule, ranges: Ranges) -> None:
        ns = nanoseconds(message.header.stamp)
        entries = to_ranges(ranges, self.site)
        if len(entries) != len(message.anchors):  # some are not of this site
            given = {entry.anchor: entry for entry in entries}
            entries = [given.get(a) or not_offered(a, ns) for a in message.anchors]
        if not self.active:
            return
        self._ranges.publish(
            RangeArray(
                header=header(ns, self.config.frame),
                tag=message.tag,
                session=message.session,
                sequence=message.sequence,
                ranges=entries,
                more=message.more,
            )
        )
        self.counts["answers"] += 1

    def health(self) -> tuple[str, dict[str, object]]:
        """State of the device, rate, what each anchor did, what a fix costs."""
        session, ranger = self._session, self._ranger
        counters = session.transport.counters
        before, answers = self._reported
        now = time.monotonic()
        self._reported = (now, self.counts["answers"])
        rate = (self.counts["answers"] - answers) / max(now - before, 1e-3)
        values: dict[str, object] = {
            "device": session.identity or self.config.device,
            "port": session.transport.name,
            "schedulable": self._codec.capabilities.schedulable,
            "rate_hz": f"{rate:.1f}",
            "energy_mj_per_fix": f"{self._cost.energy:.3f}",
            "air_time_ms_per_fix": f"{self._cost.air_time:.3f}",
            "reconnects": max(counters.opened - 1, 0),
            "bytes_in": counters.bytes_in,
            "bytes_out": counters.bytes_out,
            "bytes_dropped": session.garbled,
            "answers_ignored": ranger.unexpected,
            "foreign_ranges": ranger.foreign,
            "faults": 0 if self._worker is None else self._worker.faults,
        }
        for anchor, mine in zip(self.site.ids, ranger.statistics, strict=True):
            values[f"anchor {anchor}"] = (
                f"{mine.ok} ok, {mine.timeouts} {RangeStatus.TIMEOUT.name.lower()}, "
                f"{mine.invalid} invalid, {mine.rested} rested"
            )
        return session.problem, values


def main() -> int:
    """Run the node."""
    return run_node(DriverNode)


if __name__ == "__main__":
    raise SystemExit(main())
