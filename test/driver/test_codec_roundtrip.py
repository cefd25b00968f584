# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Codec and simulated firmware wired together in memory, on a clock of their own."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from locdreamer_ros.driver.codec import (
    CycleEvent,
    Event,
    FailEvent,
    RangeEvent,
    ReadyEvent,
    SendEvent,
)
from locdreamer_ros.driver.devices import CODECS, FIRMWARES, make_codec, make_firmware
from locdreamer_ros.errors import InputError

ANCHORS = {
    "decar": ["1", "2", "3", "250"],
    "pozyx": ["6E01", "6E02", "A003", "0D0A"],
    "dwm1001": ["1151", "0CA8", "111C", "1150"],
    "dwm1001-shell": ["1151", "0CA8", "111C", "1150"],
    "trek1000": ["A0", "A1", "A2", "A3"],
    "ryuw122": ["TAG00001", "T", "A1", "B+2"],
}
RESOLUTION = {"decar": 1e-4, "ryuw122": 0.005, "dwm1001-shell": 0.005}
STEP_S = 0.0005


@dataclass
class Wire:
    """A codec and a firmware; time goes on in steps while `run` waits for something."""

    device: str
    measure: Callable[[str], float | None]
    now: float = 0.0
    to_host: list[tuple[float, int, bytes]] = field(default_factory=list)
    to_device: list[tuple[float, int, bytes]] = field(default_factory=list)
    order: int = 0
    out_at: float = 0.0

    def __post_init__(self) -> None:
        self.codec = make_codec(self.device)
        self.firmware = make_firmware(self.device, ANCHORS[self.device], self.measure)

    def write(self, data: bytes, delay: float = 0.0) -> None:
        self.order += 1
        if data:
            heapq.heappush(self.to_device, (self.now + delay, self.order, data))

    def run(self, seconds: float, until: Callable[[Event], bool]) -> list[Event]:
        """Events up to and with the first that `until` accepts, or until the time is over."""
        end, seen = self.now + seconds, list[Event]()
        while self.now < end:
            self.now += STEP_S
            replies = self.firmware.tick(self.now)
            while self.to_device and self.to_device[0][0] <= self.now:
                replies += self.firmware.feed(heapq.heappop(self.to_device)[2])
            for delay, data in replies:
                self.order += 1
                self.out_at = max(self.out_at, self.now) + delay
                heapq.heappush(self.to_host, (self.out_at, self.order, data))
            while self.to_host and self.to_host[0][0] <= self.now:
                for event in self.codec.feed(heapq.heappop(self.to_host)[2]):
                    seen.append(event)
                    if isinstance(event, SendEvent):
                        self.write(event.data, event.delay)
                if any(until(event) for event in seen):
                    return seen
        return seen

    def open(self) -> ReadyEvent:
        """Start, again after each 0.7 s of silence, as a session does."""
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


SCHEDULABLE = [name for name in CODECS if make_codec(name).capabilities.schedulable]
PASSIVE = [name for name in CODECS if name not in SCHEDULABLE]


def world(device: str, silent: str = "") -> Callable[[str], float | None]:
    truth = {anchor: 1.2345 + 7.1 * i for i, anchor in enumerate(ANCHORS[device])}
    return lambda anchor: None if anchor == silent else truth.get(anchor)


@pytest.mark.parametrize("device", SCHEDULABLE)
def test_every_anchor_asked_is_measured(device: str) -> None:
    wire = Wire(device, world(device))
    wire.open()
    spent = 0.0
    for anchor in ANCHORS[device] * 3:
        event, took = wire.ask(anchor)
        assert isinstance(event, RangeEvent)
        assert event.anchor == anchor
        truth = world(device)(anchor)
        assert event.range == pytest.approx(truth, abs=RESOLUTION.get(device, 0.0005) + 1e-9)
        spent += took
    rate = 3 * len(ANCHORS[device]) / spent
    most = wire.codec.capabilities.max_rate
    assert 0.85 * most <= rate <= 1.05 * most


@pytest.mark.parametrize("device", SCHEDULABLE)
def test_a_silent_anchor_fails_and_the_next_is_measured(device: str) -> None:
    silent, other = ANCHORS[device][:2]
    wire = Wire(device, world(device, silent))
    wire.open()
    for _ in range(3):
        event, took = wire.ask(silent)
        assert event is None or isinstance(event, FailEvent)
        if device == "decar":
            assert took == pytest.approx(0.039, abs=0.002)
        event, _ = wire.ask(other)
        assert isinstance(event, RangeEvent)
        assert event.anchor == other


@pytest.mark.parametrize("device", SCHEDULABLE)
def test_an_exchange_given_up_at_any_time_spoils_no_other(device: str) -> None:
    first, second = ANCHORS[device][:2]
    for tenth in range(1, 10):
        wire = Wire(device, world(device))
        wire.open()
        _, full = wire.ask(first)
        wire.write(wire.codec.request(first))
        wire.run(full * tenth / 10.0, lambda event: isinstance(event, RangeEvent))
        wire.codec.cancel()
        wire.to_device.clear()
        outcomes = [wire.ask(second)[0] for _ in range(3)]
        measured = [event for event in outcomes if isinstance(event, RangeEvent)]
        assert measured, "the next exchanges all failed"
        for event in measured:
            assert event.anchor == second
            assert event.range == pytest.approx(world(device)(second), abs=0.006)


@pytest.mark.parametrize("device", PASSIVE)
def test_a_passive_device_reports_its_cycles(device: str) -> None:
    clock = [0.0]
    truth = world(device, silent=ANCHORS[device][1])

    def walking(anchor: str) -> float | None:
        metres = truth(anchor)
        return None if metres is None else metres + 0.1 * clock[0]

    wire = Wire(device, walking)
    wire.open()
    begin, cycles = wire.now, 0
    while wire.now < begin + 2.0:
        clock[0] = wire.now
        events = wire.run(0.3, lambda event: isinstance(event, CycleEvent))
        ranges = [event for event in events if isinstance(event, RangeEvent)]
        assert {event.anchor for event in ranges} == set(ANCHORS[device]) - {ANCHORS[device][1]}
        for event in ranges:
            assert event.range == pytest.approx(walking(event.anchor), abs=0.06)
        cycles += 1
    assert cycles == pytest.approx(2.0 * wire.codec.capabilities.max_rate, abs=2)


@pytest.mark.parametrize("device", CODECS)
def test_after_a_reboot_it_is_opened_anew(device: str) -> None:
    wire = Wire(device, world(device))
    assert wire.open().identity == wire.open().identity
    banner = wire.firmware.reboot()
    wire.codec.feed(banner)
    wire.to_host.clear()
    begin = wire.now
    wire.open()
    assert wire.now - begin < 2.0


def test_the_tag_of_a_shell_left_open_is_found_by_both_modes() -> None:
    for device in ("dwm1001", "dwm1001-shell"):
        wire = Wire(device, world(device))
        wire.firmware.feed(b"\r\r")
        assert "DWM1001" in wire.open().identity
    wire.firmware.feed(b"\r\r")
    wire = Wire("dwm1001-shell", world("dwm1001-shell"))
    wire.firmware.feed(b"\r\r")
    wire.firmware.feed(b"lec\r")  # streaming already, in the other form
    wire.open()


def test_impossible_anchors_and_devices_are_refused() -> None:
    with pytest.raises(InputError, match="expected one of decar"):
        make_firmware("toaster", [], lambda anchor: 1.0)
    with pytest.raises(InputError, match="four hexadecimal digits, got 'A1'"):
        make_firmware("dwm1001", ["A1"], lambda anchor: 1.0)
    with pytest.raises(InputError, match="A0 to A7, got 'B'"):
        make_firmware("trek1000", ["B"], lambda anchor: 1.0)
    assert set(FIRMWARES) == set(CODECS)


def test_eight_anchors_of_a_clone() -> None:
    names = [f"A{i}" for i in range(8)]
    firmware = make_firmware("trek1000", names, lambda anchor: 1.0 + int(anchor[1]))
    codec = make_codec("trek1000")
    ((_, line),) = firmware.tick(0.0)
    found = {e.anchor: e.range for e in codec.feed(line) if isinstance(e, RangeEvent)}
    assert found == {f"A{i}": 1.0 + i for i in range(8)}
