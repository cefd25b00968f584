# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Codec and simulated firmware wired together in memory, on a clock of their own."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from locdreamer_ros.driver.codec import Event, FailEvent, RangeEvent, ReadyEvent, SendEvent
from locdreamer_ros.driver.devices import make_codec, make_firmware

STEP_S = 0.005
"""Longest step between two looks at the firmware; it wants one every 10 ms."""


@dataclass
class Wire:
    """A codec and a firmware; time goes on from event to event while `run` waits for something."""

    device: str
    anchors: Sequence[str]
    measure: Callable[[str], float | None]
    now: float = 0.0
    heard: bytes = b""
    """All the device has said."""
    to_host: list[tuple[float, int, bytes]] = field(default_factory=list)
    to_device: list[tuple[float, int, bytes]] = field(default_factory=list)
    order: itertools.count[int] = field(default_factory=itertools.count)
    out_at: float = 0.0

    def __post_init__(self) -> None:
        self.codec = make_codec(self.device)
        self.codec.choose(self.anchors)
        self.firmware = make_firmware(self.device, self.anchors, self.measure)

    def write(self, data: bytes, delay: float = 0.0) -> None:
        if data:
            heapq.heappush(self.to_device, (self.now + delay, next(self.order), data))

    def run(self, seconds: float, until: Callable[[Event], bool]) -> list[Event]:
        """Events up to and with the first that `until` accepts, or until the time is over."""
        end, seen = self.now + seconds, list[Event]()
        while self.now < end:
            queues = [queue[0][0] for queue in (self.to_host, self.to_device) if queue]
            self.now = max(self.now + 1e-6, min([self.now + STEP_S, *queues]))
            replies = self.firmware.tick(self.now)
            while self.to_device and self.to_device[0][0] <= self.now:
                replies += self.firmware.feed(heapq.heappop(self.to_device)[2])
            for delay, data in replies:
                self.out_at = max(self.out_at, self.now) + delay
                heapq.heappush(self.to_host, (self.out_at, next(self.order), data))
            found = False
            while self.to_host and self.to_host[0][0] <= self.now:
                data = heapq.heappop(self.to_host)[2]
                self.heard += data
                for event in self.codec.feed(data):
                    seen.append(event)
                    found = found or until(event)
                    if isinstance(event, SendEvent):
                        self.write(event.data, event.delay)
                if found:
                    return seen
        return seen

    def open(self) -> ReadyEvent:
        """Start, again after each 1.1 s of silence, as a session does."""
        for _ in range(4):
            self.write(self.codec.start())
            for event in self.run(1.1, lambda event: isinstance(event, ReadyEvent)):
                if isinstance(event, ReadyEvent):
                    return event
        pytest.fail(f"{self.device} was never ready")

    def ask(self, anchor: str) -> tuple[Event | None, float]:
        """The answer, and s it took; cancels where none comes in time."""
        begin = self.now
        self.write(self.codec.request(anchor))
        timeout = self.codec.capabilities.range_timeout
        answers = (RangeEvent, FailEvent)
        for event in self.run(timeout, lambda event: isinstance(event, answers)):
            if isinstance(event, answers):
                return event, self.now - begin
        self.codec.cancel()
        return None, self.now - begin
