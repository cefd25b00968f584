# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every device end to end without ROS: firmware, wire with faults, transport, codec, ranger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.driver.devices import NAMES, make_codec
from locdreamer_ros.driver.devices.dwm1001 import firmware as dwm1001
from locdreamer_ros.driver.devices.dwm1001_shell.codec import LOOK
from locdreamer_ros.driver.emulator import FAULTS, Emulator, SimulatedTag, emulate
from locdreamer_ros.driver.ranger import Ranger
from locdreamer_ros.driver.session import Session
from locdreamer_ros.driver.transport import Transport
from locdreamer_ros.errors import InputError
from locdreamer_ros.types import Ranges, RangeStatus

DEVICES = NAMES
OK, NOT_OFFERED = RangeStatus.OK, RangeStatus.NOT_OFFERED
UNCHECKED = ("dwm1001-shell", "dwm3001cdk", "mauwb", "ryuw122", "sketch-stream", "uwb650")
"""Lines of digits without any check: of 12.34 without its 1 nobody can tell. See test/fuzz."""
PATIENCE_S = 60.0
"""So long a busy machine may take."""


class Bench:
    def __init__(self, folder: Path) -> None:
        self.link = folder / "usb-emulated"
        self.closing: list[Callable[[], None]] = []

    def __call__(
        self, device: str, *, baud: int | None = None, **more
    ) -> tuple[Emulator, SimulatedTag, Ranger]:
        emulator, tag = emulate(device, link=self.link, walk_s=30.0, **more)
        codec = make_codec(device)
        rate = baud or codec.capabilities.baud
        ranger = Ranger(tag.anchors, Session(Transport(str(self.link), rate), codec))
        self.closing += [ranger.session.close, emulator.close]
        return emulator, tag, ranger


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for close in bench.closing:
        close()


def ask(ranger: Ranger, wait: float = 0.6) -> Ranges:
    return ranger.measure(np.arange(len(ranger.anchors)), time.time() + wait)


def track_again(ranger: Ranger) -> Ranges:
    """The first answer with three ranges."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        answer = ask(ranger, 0.3)
        if (answer.status == OK).sum() >= 3:
            return answer
    raise AssertionError(f"no fix within {PATIENCE_S} s: {ranger.session.problem}")


def assert_measured(tag: SimulatedTag, ranges: Ranges) -> None:
    """Every OK range is one that the radio did measure on this walk, to the device's centimetre."""
    for row, value in zip(ranges.anchor, ranges.value, strict=True):
        if np.isfinite(value):
            column = tag._walk.ranges[:, tag._columns[row]]
            assert np.nanmin(np.abs(column - value)) < 0.0051, (row, value)


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_ranges(bench: Bench, device: str) -> None:
    _, tag, ranger = bench(device)
    answer = track_again(ranger)
    assert_measured(tag, answer)
    if not make_codec(device).capabilities.schedulable:
        chosen = min(4, len(tag.anchors)) if device.startswith("dwm1001") else len(tag.anchors)
        assert (answer.status != NOT_OFFERED).sum() <= chosen
    places = tag.anchors.positions[answer.anchor[answer.status == OK]]
    distance = np.linalg.norm(places - tag.truth(time.monotonic()), axis=1)
    error = answer.value[answer.status == OK] - distance
    assert np.median(np.abs(error)) < 2.0


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_comes_back(bench: Bench, device: str) -> None:
    emulator, _, ranger = bench(device)
    track_again(ranger)
    emulator.unplug()
    ask(ranger, 0.3)
    emulator.plug()
    track_again(ranger)
    emulator.reboot()
    ask(ranger, 0.0)  # what a device that chooses had reported before does not count
    track_again(ranger)


def test_a_tag_that_reports_rarely_is_left_to_stream(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked in each silence whether it restarted, which must not switch its lines off."""
    monkeypatch.setattr(dwm1001, "PERIOD_S", 1.2)
    _, _, ranger = bench("dwm1001-shell")
    track_again(ranger)
    before = ranger.session.sessions, ranger.session.transport.counters.bytes_out
    end, cycles = time.monotonic() + 5.0, 0
    while time.monotonic() < end:
        cycles += (ask(ranger, 0.1).status == OK).sum() >= 3
    assert cycles >= 3
    assert ranger.session.sessions == before[0]
    asked = ranger.session.transport.counters.bytes_out - before[1]
    assert 0 < asked <= 6 * len(LOOK), "once in each silence"


@pytest.mark.parametrize("device", DEVICES)
def test_a_wire_with_every_fault_gives_no_range_that_was_not_measured(
    bench: Bench, device: str
) -> None:
    left_out = {"unplug", "reboot", "deaf", *(["loss"] if device in UNCHECKED else [])}
    faults = [fault for fault in FAULTS if fault not in left_out]
    emulator, tag, ranger = bench(device, faults=faults)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert_measured(tag, ask(ranger, 0.2))
    emulator.faults.clear()
    track_again(ranger)


@pytest.mark.parametrize("device", ["dwm1001", "pozyx"])
def test_a_lost_byte_costs_an_exchange_and_not_a_second(bench: Bench, device: str) -> None:
    """One byte in a thousand: three or more a second. The benchmark does it for every device."""
    emulator, _, ranger = bench(device)
    track_again(ranger)
    emulator.faults.add("loss")
    # Longer than a busy machine takes: what waits for a new session waits for five asks.
    ranger._limit, ranger.session.silence = 1.0, 10.0
    kept = [(ask(ranger, 2.0).status == OK).any() for _ in range(30)]
    assert np.mean(kept) >= 0.9
    assert ranger.session.sessions <= 2


@pytest.mark.parametrize("device", ["dwm1001", "ryuw122"])
def test_a_wrong_baud_rate_is_named(bench: Bench, device: str) -> None:
    _, _, ranger = bench(device, baud=9600)
    answer = ask(ranger, 1.0)
    assert not (answer.status == OK).any()
    assert "baud" in ranger.session.problem


def test_dead_anchors_never_answer(bench: Bench) -> None:
    _, _, ranger = bench("decar", dead=("1", "2"))
    track_again(ranger)
    assert not (ask(ranger).status[:2] == OK).any()


def test_the_same_seed_gives_the_same_place_and_walk() -> None:
    one, two = (SimulatedTag("decar", "house", 5, walk_s=30.0) for _ in range(2))
    assert np.array_equal(one._walk.ranges, two._walk.ranges, equal_nan=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"device": "gps"},
        {"device": "decar", "environment": "moon"},
        {"device": "decar", "faults": ["fire"]},
        {"device": "decar", "dead": ["99"]},
    ],
)
def test_what_is_unknown_is_named(wrong: dict) -> None:
    with pytest.raises(InputError, match=r"expected one of|unknown"):
        emulate(**wrong)


def test_a_link_that_is_a_file_is_not_overwritten(tmp_path: Path) -> None:
    link = tmp_path / "file"
    link.write_text("mine")
    with pytest.raises(InputError, match="cannot make a link"):
        emulate("decar", link=link)
    assert link.read_text() == "mine"
