# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is said where no ranges come: the words a new user has to go by."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from locdreamer_ros.driver import ranger as module
from locdreamer_ros.driver.devices import get_device
from locdreamer_ros.driver.emulator import Emulator
from locdreamer_ros.driver.ranger import Ranger
from locdreamer_ros.driver.session import Session
from locdreamer_ros.driver.transport import Transport, candidates
from locdreamer_ros.types import Anchors, RangeStatus

PATIENCE_S = 20.0
Plugged = Callable[..., Ranger]


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugged]:
    """Makes a ranger for one device on an emulated other (or the same, of silent anchors)."""
    monkeypatch.setattr(module, "QUIET_S", 0.3)
    closing: list[Callable[[], None]] = []

    def plug(
        device: str, other: str, *, heard: bool = True, times: float = 1.0, **more: Any
    ) -> Ranger:
        told, real = get_device(device), get_device(other)
        rng = np.random.default_rng(0)
        firmware = real.firmware(
            real.ids(3), lambda _: times * rng.uniform(4.0, 9.0) if heard else None
        )
        emulator = Emulator(firmware, link=tmp_path / "uwb")
        session = Session(Transport(str(tmp_path / "uwb"), told.capabilities.baud), told.codec())
        closing.extend((session.close, emulator.close))
        return Ranger(Anchors(told.ids(3), np.zeros((3, 3))), session, **more)

    yield plug
    for close in closing:
        close()


def says(ranger: Ranger, words: str) -> bool:
    """Whether the words are among what is said within some time."""
    end, said = time.monotonic() + PATIENCE_S, ""
    while words not in said and time.monotonic() < end:
        ranger.measure(np.arange(3), time.time() + 0.1)
        said = ranger.session.problem or ranger.problem
    return words in said


@pytest.mark.parametrize(
    ("device", "other"),
    [("decar", "dwm1001"), ("dwm3001cdk", "mauwb"), ("dwm3001cdk", "linktrack")],
)
def test_bytes_without_an_end_are_bytes(plugged: Plugged, device: str, other: str) -> None:
    assert says(plugged(device, other), "bytes arrive that make no sense")


def test_a_silent_device_is_one_for_doctor(plugged: Plugged) -> None:
    ranger = plugged("mauwb", "decar")
    assert says(ranger, "says nothing")
    assert says(ranger, "`locdreamer doctor` finds out")


def test_a_shell_without_ranges_is_no_wrong_device(plugged: Plugged) -> None:
    assert says(plugged("dwm1001-shell", "dwm1001-shell", heard=False), "prints no ranges: is it")


def test_a_session_that_does_not_begin_is_said(plugged: Plugged) -> None:
    ranger = plugged("dwm3001cdk", "dwm3001cdk")
    ranger.session.codec.feed(b"\r\n")
    ranger.session.codec.start()
    ranger.session.codec.feed(b"ok\r\n")  # and no notification
    assert "begins no session" in ranger.session.codec.lacks
    assert says(plugged("dwm3001cdk", "dwm3001cdk", heard=False), "are the anchors on")


@pytest.mark.parametrize(
    ("device", "slow", "most"), [("ryuw122", 0.5, 0.7), ("sketch", 0.2, 0.4), ("ryuw122", 1.5, 2.0)]
)
def test_a_module_that_answers_late_is_given_more_time(
    plugged: Plugged, monkeypatch: pytest.MonkeyPatch, device: str, slow: float, most: float
) -> None:
    """And it is said that it needs it: its anchors are on, and it is the right module."""
    firmware = f"locdreamer_ros.driver.devices.{device}.firmware.RANGING_S"
    monkeypatch.setattr(firmware, slow)
    if slow < 1.0:
        assert says(plugged(device, device), "give `range_timeout` more")
    patient = plugged(device, device, range_timeout=most)
    end, good = time.monotonic() + PATIENCE_S, 0
    while good < 3 and time.monotonic() < end:
        answer = patient.measure(np.arange(3), time.time() + 0.3)
        good += int((answer.status == RangeStatus.OK).sum())
    assert good >= 3
    assert patient.session.sessions == 1


@pytest.mark.parametrize("device", ["sketch", "uwb650", "trek1000", "mauwb"])
def test_answers_that_are_no_ranges_are_said_to_come(plugged: Plugged, device: str) -> None:
    """In centimetres, say: neither are the anchors off, nor their ids wrong."""
    ranger = plugged(device, device, times=100.0)
    assert says(ranger, "anchors answer, but with no range that can be used (the last: impossible")


def test_a_tag_that_the_module_does_not_report_is_named(plugged: Plugged) -> None:
    ranger = plugged("trek1000", "trek1000", tag="5")
    assert says(ranger, "reports the tags 0, not '5', which `module_tag` names")


@pytest.mark.parametrize("port", ["192.168.4.1:3333", "COM3", "", "socket:127.0.0.1:1"])
def test_what_is_no_path_is_told_what_one_is(port: str) -> None:
    transport = Transport(port, 115200)
    assert not transport.open()
    assert "expected a path as /dev/ttyUSB0, or a URL as socket://" in transport.problem
    transport.close()


def test_blanks_and_the_home_folder_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "uwb").touch()
    assert candidates("~/uwb ") == [str(tmp_path / "uwb")]
    assert candidates(" socket://x:1") == ["socket://x:1"]


def test_a_taken_udp_port_is_said_and_ipv6_is_spoken() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        transport = Transport(f"udp://127.0.0.1:{other.getsockname()[1]}", 115200)
        assert not transport.open()
        assert "another program of this machine listens" in transport.problem
        transport.close()
    if socket.has_ipv6:
        transport = Transport("udp://[::1]:0", 115200)
        assert transport.open()
        transport.close()


def test_a_bridge_without_rfc_2217_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as raw:
        url = f"rfc2217://127.0.0.1:{raw.getsockname()[1]}"
        transport = Transport(url, 115200)
        assert not transport.open()
        assert "if it is raw TCP, write socket://" in transport.problem
        transport.close()


def test_a_bridge_has_a_baud_rate_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        transport = Transport(f"socket://127.0.0.1:{silent.getsockname()[1]}", 115200)
        session = Session(transport, get_device("decar").codec())
        session.events(time.monotonic() + 0.05)
        assert "does the bridge speak to it at 115200 baud" in session.problem
        session.close()


def test_nobody_is_asked_by_udp_before_he_spoke() -> None:
    session = Session(Transport("udp://127.0.0.1:0", 115200), get_device("decar").codec())
    session.events(time.monotonic() + 0.05)
    assert "nothing has come: does the module or its bridge send" in session.problem
    session.close()
