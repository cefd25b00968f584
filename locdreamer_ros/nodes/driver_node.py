# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Answers schedules from a UWB module on a serial port.

The ranging waits in a thread of its own (`driver.worker`); the executor only passes schedules in.
A lost module is looked for until it is back: the node goes on, answering TIMEOUT meanwhile. With
`free_rate` it ranges without schedules too: round-robin, as long as nobody sends any. With `survey`
it does so with all anchors, and writes the ranges for `locdreamer survey`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from builtin_interfaces.msg import Time

from locdreamer_ros.config import names_in, parameter
from locdreamer_ros.datasets.range_table import load_anchors
from locdreamer_ros.driver.answers import Spent
from locdreamer_ros.driver.calibration import load_offsets, offsets_path
from locdreamer_ros.driver.devices import NAMES, get_device
from locdreamer_ros.driver.energy import RATES, Cost, fix_cost
from locdreamer_ros.driver.ranger import Ranger
from locdreamer_ros.driver.session import Session
from locdreamer_ros.driver.transport import Transport
from locdreamer_ros.driver.worker import Worker
from locdreamer_ros.errors import InputError
from locdreamer_ros.msg import AnchorArray, AnchorSchedule, RangeArray
from locdreamer_ros.nodes.conversions import (
    check_schedule,
    header,
    not_offered,
    to_anchors,
    to_ranges,
    to_stamp,
)
from locdreamer_ros.nodes.lifecycle import LATCHED, NodeConfig, UwbNode
from locdreamer_ros.nodes.listening import hear
from locdreamer_ros.nodes.running import run_node
from locdreamer_ros.nodes.survey_log import SurveyLog
from locdreamer_ros.stamps import nanoseconds
from locdreamer_ros.types import Anchors, Ranges, RangeStatus

NO_RANGES = Ranges.of([], [], 0.0)
SURVEY_HZ, SURVEY_S = 4.0, 2.0
"""Rounds of a survey, where `free_rate` says nothing; s between writing what anchors ranged."""
TRACKER_ASKS = "survey: a tracker asks on uwb/schedule, and only what it asks is surveyed: end it"
SCHEDULED_S = 1.0
"""So long after a schedule nothing is asked freely."""


@dataclass(frozen=True)
class _Asked:
    """A schedule, and its answer but for the ranges: made before there is haste.

    free: our own, which nobody sent, so that its answer has sequence 0.
    """

    message: AnchorSchedule
    answer: RangeArray
    free: bool = False


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
    range_timeout: float = parameter(
        0.0, "s after which a silent anchor has failed; 0: the device's own", low=0.0, high=5.0
    )
    radio: str = parameter(
        "", "data rate on air, for the energy model; empty: as delivered", choices=("", *RATES)
    )
    ranging: str = parameter(
        "",
        "single- or double-sided, for the energy model; empty: the device's own",
        choices=("", "ss", "ds"),
    )
    free_rate: float = parameter(
        0.0, "rounds/s of ranging without schedules; 0: only when asked", low=0.0, high=100.0
    )
    free_count: int = parameter(3, "anchors asked in such a round", low=1, high=255)
    free_anchors: str = parameter(
        "", "ids to range with in such rounds, in turn, comma between; empty: all"
    )
    survey: str = parameter(
        "", "CSV that the ranges of all anchors go to, for `locdreamer survey`; empty: no survey"
    )
    module_tag: str = parameter(
        "", "which tag to follow where the module reports several; empty: the first heard"
    )
    tag: str = parameter("", "id of the tag, repeated in the answers")
    frame: str = parameter("map", "frame of the anchors (REP-105)")

    def check_values(self) -> None:
        """The anchors with the ids that the device has, their offsets, a survey."""
        if not self.anchors_file:
            raise InputError("driver_node: the parameter anchors_file is needed (CSV id,x,y,z)")
        file = Path(self.anchors_file)
        site = load_anchors(file)
        get_device(self.device).names(site.ids, str(file))
        if self.survey and self.offsets_file:
            raise InputError("driver_node: survey: finds the offsets; leave offsets_file empty")
        if self.survey and Path(self.survey).resolve() == file.resolve():
            raise InputError(f"driver_node: survey: {file} is the anchors file; choose another")
        self.offsets(site)

    def offsets(self, site: Anchors) -> dict[str, float]:
        """What is taken off each anchor's ranges, m. Raises InputError."""
        file = Path(self.offsets_file or offsets_path(Path(self.anchors_file)))
        used = not self.survey and (self.offsets_file or file.exists())
        return load_offsets(file, site) if used else {}


class DriverNode(UwbNode):
    """A serial device that answers on demand."""

    def __init__(self) -> None:
        self._worker: Worker[_Asked] | None = None
        self._survey: SurveyLog | None = None
        self._old_s = 0.0
        """How old the last schedule was, where its deadline had passed; else 0."""
        super().__init__("driver_node", DriverConfig)

    def configure(self) -> None:
        """Load the anchors, make publishers and the subscription, look for the device."""
        file = Path(self.config.anchors_file)
        self.site = load_anchors(file)
        self._ranges = self.advertise(RangeArray, "uwb/ranges")
        self._anchors = self.advertise(AnchorArray, "uwb/anchors", LATCHED)
        hear(self, AnchorSchedule, "uwb/schedule", self._on_schedule)
        self._device = get_device(self.config.device)
        self._codec = self._device.codec()
        baud = self.config.baud or self._codec.capabilities.baud
        names = self._device.names(self.site.ids, str(file))
        for anchor, name in zip(self.site.ids, names, strict=True):
            if not name:
                self.get_logger().warning(
                    f"{file}: {anchor!r} is no id of a {self._device.name}, whose ids are as "
                    f"{self._device.ids(1)[0]!r}: it is not asked"
                )
        self._free = self._free_rows()
        self._free_count, self._free_rate = self.config.free_count, self.config.free_rate
        if self.config.survey:
            self._free_count, self._free_rate = len(self._free), self._free_rate or SURVEY_HZ
            self._survey = SurveyLog(Path(self.config.survey), self.site)
        self._session = Session(Transport(self.config.port, baud), self._codec)
        self._ranger = Ranger(
            self.site,
            self._session,
            names=names,
            tag=self.config.module_tag,
            range_timeout=self.config.range_timeout,
            offsets=self.config.offsets(self.site),
        )
        radio = self._device.radio.at(self.config.radio or self._device.radio.rate)
        if self.config.ranging == "ss":
            radio = replace(radio, sent=1.0, received=1.0, listen_ms=0.0)
        self._radio = radio
        self._cost = Cost()
        self._fix_at = self._since = 0.0  # monotonic: of the last fix, and s from the one before
        self._greeted = 0  # the session whose device was named in the log
        self._scheduled_at = float("-inf")
        self._spent = Spent()
        self._costed: Time | None = None  # stamp of the fix that has been counted so far
        self._fix: Time | None = None  # and of the last schedule
        self._reported = (time.monotonic(), 0)
        for name in ("schedules", "answers", "superseded", "expired", "free"):
            self.counts[name] = 0
        self._worker = Worker(self._ranger, self._answer, self._superseded)

    def activate(self) -> None:
        """Tell where the anchors are."""
        now = self.get_clock().now().nanoseconds
        self._anchors.publish(to_anchors(self.site, now, self.config.frame))
        self.get_logger().info(f"looking for a {self._device.name} at {self.config.port}")
        if self._free_rate:
            self.every(1.0 / self._free_rate, self._range_freely)
        if self._survey is not None:
            self.every(SURVEY_S, self._write_between)

    def close(self) -> None:
        """End the thread, close the port."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
        if self._survey is not None:
            self._write_between()
            self._survey.close()
            self._survey = None

    def _on_schedule(self, message: AnchorSchedule) -> None:
        if message.tag != self.config.tag:
            self.other_tag = message.tag
        if message.tag != self.config.tag or self._worker is None:
            return
        check_schedule(message)
        self.counts["schedules"] += 1
        self._scheduled_at = time.monotonic()
        again, self._fix = message.header.stamp == self._fix, message.header.stamp
        asked = self._asked(message)
        if not message.anchors:  # the tracker knows enough for this fix
            self._publish(asked, NO_RANGES)
            return
        deadline, now = nanoseconds(message.deadline) * 1e-9, time.time()
        stamp = nanoseconds(message.header.stamp) * 1e-9
        self._old_s = 0.0
        if deadline <= stamp:
            deadline = now + (self.config.answer_time or self._device.answer_time)
        elif deadline < now:  # many of them: the tracker's clock and ours differ
            self.counts["expired"] += 1
            self._old_s = now - stamp
            deadline = now + deadline - stamp
        known = [anchor for anchor in message.anchors if anchor in self.site.ids]
        self._worker.ask(asked, self.site.rows(known), deadline, again=again)

    def _answer(self, asked: _Asked, ranges: Ranges) -> None:
        """Publish, then see to the rest; called in the ranging thread."""
        self._publish(asked, ranges)
        message = asked.message
        if self._survey is not None and self.active:
            self._survey.add(ranges)
        same = message.header.stamp == self._costed
        if not same:
            now = time.monotonic()
            self._since = now - self._fix_at if self._fix_at else 0.0
            self._fix_at = now
        self._costed = message.header.stamp
        self._spent = (self._spent if same else Spent()).plus(self._ranger.spent)
        good, failed, waited = self._spent
        self._cost = fix_cost(
            self._radio, good, failed, waited_ms=waited * 1e3, since_ms=self._since * 1e3
        )

    def _superseded(self, asked: _Asked) -> None:
        """Answer a schedule that another has overtaken: nobody was asked."""
        if asked.free:
            return
        known = [anchor for anchor in asked.message.anchors if anchor in self.site.ids]
        rows = self.site.rows(known)
        self.counts["superseded"] += 1
        self._publish(asked, Ranges.of(rows, np.full(rows.size, np.nan), time.time()))

    def _write_between(self) -> None:
        if self._survey is not None:
            self._survey.add_between({p: [*m] for p, m in [*self._ranger.between.items()]})

    def _free_rows(self) -> list[int]:
        """Whom to range with freely, in turn. Raises InputError for an unknown id."""
        ids = names_in(self.config.free_anchors)
        for anchor in ids:
            if anchor not in self.site.ids:
                raise InputError(
                    f"driver_node: free_anchors: no anchor {anchor!r} in the anchors file; it has "
                    f"{', '.join(self.site.ids)}"
                )
        return [int(row) for row in self.site.rows(ids or self.site.ids)]

    def _range_freely(self) -> None:
        """One round: the next few anchors, as if a schedule had come; a passive device, all."""
        if self._worker is None or time.monotonic() - self._scheduled_at < SCHEDULED_S:
            return
        schedulable = self._device.capabilities.schedulable
        count = min(self._free_count, len(self._free)) if schedulable else len(self._free)
        rows = self._free[:count]
        self._free = self._free[count:] + rows
        now = time.time()
        message = AnchorSchedule(anchors=[self.site.ids[row] for row in rows], tag=self.config.tag)
        message.header.stamp = to_stamp(round(now * 1e9))
        self.counts["free"] += 1
        wait = max(1.0 / self._free_rate, self._device.answer_time)
        self._worker.ask(self._asked(message, free=True), np.array(rows, dtype=np.intp), now + wait)

    def _asked(self, message: AnchorSchedule, *, free: bool = False) -> _Asked:
        answer = RangeArray(
            header=header(nanoseconds(message.header.stamp), self.config.frame),
            tag=message.tag,
            session=message.session,
            sequence=message.sequence,
            more=message.more,
        )
        return _Asked(message, answer, free)

    def _publish(self, asked: _Asked, ranges: Ranges) -> None:
        wanted = asked.message.anchors
        entries = to_ranges(ranges, self.site)
        if len(entries) != len(wanted):  # some are not of this site
            ns = nanoseconds(asked.message.header.stamp)
            given = {entry.anchor: entry for entry in entries}
            entries = [given.get(a) or not_offered(a, ns) for a in wanted]
        if asked.free:  # nobody waits for an answer of each
            entries = [entry for entry in entries if entry.status == RangeStatus.OK]
            if not entries:
                return
        if not self.active:
            return
        asked.answer.ranges = entries
        self._ranges.publish(asked.answer)
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
            "energy_mj_idle_listening": f"{self._cost.idle:.3f}",
            "radio_on_ms_per_fix": f"{self._cost.radio_on:.3f}",
            "air_time_ms_per_fix": f"{self._cost.air_time:.3f}",
            "reconnects": max(counters.opened - 1, 0),
            "bytes_in": counters.bytes_in,
            "bytes_out": counters.bytes_out,
            "bytes_dropped": session.garbled,
            "answers_ignored": ranger.unexpected,
            "foreign_ranges": ranger.foreign,
            "foreign_anchors": ", ".join(ranger.heard),
            "module_tag": ranger.tag,
            "other_tags_cycles": ranger.other_tags,
            "faults": 0 if self._worker is None else self._worker.faults,
        }
        for anchor, mine in zip(self.site.ids, ranger.statistics, strict=True):
            values[f"anchor {anchor}"] = (
                f"{mine.ok} ok, {mine.timeouts} {RangeStatus.TIMEOUT.name.lower()}, "
                f"{mine.invalid} invalid, {mine.rested} rested"
            )
        if session.ready and session.sessions != self._greeted:
            self._greeted = session.sessions
            self.get_logger().info(f"{session.identity} answers on {session.transport.name}")
        problem = session.problem or ranger.problem
        if self._old_s and not problem:
            problem = (
                f"schedules are {self._old_s:.1f} s old when they come: keep the clocks of this "
                "machine and the tracker's together (chrony)"
            )
        if self.other_tag is not None and not self.counts["schedules"] and not problem:
            problem = (
                f"schedules ask for tag {self.other_tag[:20]!r}, and none for this driver's, "
                f"{self.config.tag!r} (parameter tag)"
            )
        if self._survey is not None:
            values["survey"] = f"{self._survey.path}: {self._survey.counts.total()} ranges"
            asked = time.monotonic() - self._scheduled_at < SCHEDULED_S
            problem = (
                self._survey.problem
                or problem
                or (TRACKER_ASKS if asked else self._survey.lacking())
            )
        return problem, values


def main() -> int:
    """Run the node."""
    return run_node(DriverNode)


if __name__ == "__main__":
    raise SystemExit(main())
