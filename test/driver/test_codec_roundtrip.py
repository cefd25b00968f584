# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Codec and simulated firmware wired together in memory, on a clock of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from driver.wire import Wire

from locdreamer_ros.driver.codec import CycleEvent, FailEvent, RangeEvent
from locdreamer_ros.driver.devices import NAMES, get_device, make_codec, make_firmware
from locdreamer_ros.errors import InputError

ANCHORS = {name: list(get_device(name).ids(4)) for name in NAMES}
ANCHORS["ryuw122"] = ["TAG00001", "T", "A1", "B+2"]
RESOLUTION = {
    "decar": 0.0048,
    "uwb650": 0.005,
    "mauwb": 0.005,
    "dwm3001cdk": 0.005,
    "sketch-stream": 0.005,
    "ryuw122": 0.005,
    "dwm1001-shell": 0.005,
}


SCHEDULABLE = [name for name in NAMES if make_codec(name).capabilities.schedulable]
PASSIVE = [name for name in NAMES if name not in SCHEDULABLE]


def world(device: str, silent: str = "") -> Callable[[str], float | None]:
    truth = {anchor: 1.2345 + 7.1 * i for i, anchor in enumerate(ANCHORS[device])}
    return lambda anchor: None if anchor == silent else truth.get(anchor)


@pytest.mark.parametrize("device", SCHEDULABLE)
def test_every_anchor_asked_is_measured(device: str) -> None:
    wire = Wire(device, ANCHORS[device], world(device))
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
    wire = Wire(device, ANCHORS[device], world(device, silent))
    wire.open()
    for _ in range(3):
        event, took = wire.ask(silent)
        assert event is None or isinstance(event, FailEvent)
        if device == "decar":
            assert took == pytest.approx(0.039, abs=0.002)
        event, _ = wire.ask(other)
        assert isinstance(event, RangeEvent)
        assert event.anchor == other


@pytest.mark.promise("No late answer is taken for that of a later request, on any module.")
@pytest.mark.parametrize("device", SCHEDULABLE)
def test_an_exchange_given_up_at_any_time_spoils_no_other(device: str) -> None:
    first, second = ANCHORS[device][:2]
    for tenth in range(1, 10):
        wire = Wire(device, ANCHORS[device], world(device))
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

    wire = Wire(device, ANCHORS[device], walking)
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


@pytest.mark.parametrize("device", NAMES)
def test_after_a_reboot_it_is_opened_anew(device: str) -> None:
    wire = Wire(device, ANCHORS[device], world(device))
    assert wire.open().identity == wire.open().identity
    banner = wire.firmware.reboot()
    wire.codec.feed(banner)
    wire.to_host.clear()
    begin = wire.now
    wire.open()
    assert wire.now - begin < 2.0


def test_the_tag_of_a_shell_left_open_is_found_by_both_modes() -> None:
    for device in ("dwm1001", "dwm1001-shell"):
        wire = Wire(device, ANCHORS[device], world(device))
        wire.firmware.feed(b"\r\r")
        assert "DWM1001" in wire.open().identity
    wire.firmware.feed(b"\r\r")
    wire = Wire("dwm1001-shell", ANCHORS["dwm1001-shell"], world("dwm1001-shell"))
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


def test_eight_anchors_of_a_clone() -> None:
    names = [f"A{i}" for i in range(8)]
    firmware = make_firmware("trek1000", names, lambda anchor: 1.0 + int(anchor[1]))
    codec = make_codec("trek1000")
    ((_, line),) = firmware.tick(0.0)
    found = {e.anchor: e.range for e in codec.feed(line) if isinstance(e, RangeEvent)}
    assert found == {f"A{i}": 1.0 + i for i in range(8)}
