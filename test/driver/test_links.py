# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bridges reached by a URL: a module behind TCP, RFC 2217 and UDP, lost and found again."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import serial
from serial import rfc2217

from locdreamer_ros.driver import detect
from locdreamer_ros.driver.detect import Port, examine
from locdreamer_ros.driver.devices import make_codec, make_firmware
from locdreamer_ros.driver.emulator import Emulator
from locdreamer_ros.driver.ranger import Ranger
from locdreamer_ros.driver.session import Session
from locdreamer_ros.driver.transport import Transport
from locdreamer_ros.types import Anchors, RangeStatus

SITE = Anchors(("1", "2"), np.zeros((2, 3)))


@pytest.fixture
def module() -> Iterator[Emulator]:
    firmware = make_firmware("decar", SITE.ids, lambda anchor: float(anchor))
    emulator = Emulator(firmware)
    yield emulator
    emulator.close()


class Pty(serial.Serial):
    """A pseudo-terminal has no modem lines."""

    cts = dsr = ri = cd = property(lambda _: False)

    def _update_dtr_state(self) -> None:
        pass

    def _update_rts_state(self) -> None:
        pass


class Bridge:
    """Passes bytes between a port and one client after another of a TCP server."""

    def __init__(self, path: str, manage: bool = False) -> None:
        self._serial = Pty(path, timeout=0.02)
        self._manage = manage
        self._server = socket.create_server(("127.0.0.1", 0))
        self.number = self._server.getsockname()[1]
        self._client: socket.socket | None = None
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while self._open:
            with contextlib.suppress(OSError):
                self._client, _ = self._server.accept()
                self._client.settimeout(0.005)
                manager = None
                if self._manage:
                    manager = rfc2217.PortManager(self._serial, self)
                while True:
                    with contextlib.suppress(TimeoutError):
                        data = self._client.recv(4096)
                        if not data:
                            break
                        if manager is not None:
                            data = b"".join(manager.filter(data))
                        self._serial.write(data)
                    data = self._serial.read(self._serial.in_waiting)
                    if manager is not None:
                        data = b"".join(manager.escape(data))
                    if data:
                        self.write(data)

    def write(self, data: bytes) -> None:
        assert self._client is not None
        self._client.sendall(data)

    def cut(self) -> None:
        if self._client is not None:
            self._client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._open = False
        with contextlib.suppress(OSError):
            self.cut()
        self._server.close()
        self._thread.join(timeout=2.0)
        self._serial.close()


def ranger_at(url: str) -> Ranger:
    """With time for an answer on a busy machine, through a bridge that is a thread of this one."""
    session = Session(Transport(url, 115200), make_codec("decar"))
    return Ranger(SITE, session, range_timeout=1.0)


def until(done: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.01)
    return done()


def answers(ranger: Ranger) -> bool:
    ranges = ranger.measure(np.arange(2), time.time() + 2.0)
    if not (ranges.status == RangeStatus.OK).all():
        return False
    assert ranges.value == pytest.approx([1.0, 2.0], abs=0.005)
    return True


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_a_bridge_is_ranged_through_and_found_again(module: Emulator, scheme: str) -> None:
    bridge = Bridge(module.path, manage=scheme == "rfc2217")
    ranger = ranger_at(f"{scheme}://127.0.0.1:{bridge.number}")
    assert until(lambda: answers(ranger))
    bridge.cut()
    counters = ranger.session.transport.counters
    assert until(lambda: answers(ranger) and counters.opened >= 2)
    ranger.session.close()
    bridge.close()


def test_doctor_finds_a_module_behind_a_bridge(module: Emulator) -> None:
    bridge = Bridge(module.path)
    url = f"socket://127.0.0.1:{bridge.number}"
    port = Port(url, url, "as given")
    examine(port)
    assert port.device is not None
    assert port.device.device == "decar"
    bridge.close()


def test_a_bridge_that_sets_no_baud_rate_is_not_asked_at_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is behind it is spoken to as the bridge is set."""
    monkeypatch.setattr(detect, "LISTEN_S", 0.05)
    monkeypatch.setattr(detect, "ANSWER_S", 0.01)
    tried: list[int] = []
    monkeypatch.setattr(
        detect, "recognise", lambda transport, _: (tried.append(transport.baud), (None, 0))[1]
    )
    server = socket.create_server(("127.0.0.1", 0))
    examine(Port(f"socket://127.0.0.1:{server.getsockname()[1]}", "", "as given"))
    server.close()
    assert tried == [115200, 115200]


def test_datagrams_are_ranged_through(module: Emulator) -> None:
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind(("127.0.0.1", 0))
    peer.settimeout(0.005)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    port = serial.Serial(module.path, timeout=0)
    going = True

    def carry() -> None:
        while going:
            peer.sendto(b"\r\n", ("127.0.0.1", number))  # who it is, before it is asked
            for _ in range(20):
                with contextlib.suppress(TimeoutError, ConnectionError):
                    port.write(peer.recvfrom(4096)[0])
                if data := port.read(4096):
                    peer.sendto(data, ("127.0.0.1", number))

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    ranger = ranger_at(f"udp://127.0.0.1:{number}")
    assert until(lambda: answers(ranger))
    ranger.session.close()
    going = False
    thread.join()
    port.close()
    peer.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("socket://127.0.0.1:1", "is the bridge on"),
        ("ftp://127.0.0.1:1", "expected socket://HOST:PORT"),
        ("socket://127.0.0.1", "expected socket://HOST:PORT"),
        ("udp://no.such.host.invalid:5", "is the bridge on"),
    ],
)
def test_what_cannot_be_reached_says_why(url: str, words: str) -> None:
    transport = Transport(url, 115200)
    assert not transport.open()
    assert transport.problem.startswith(f"{url}: ")
    assert words in transport.problem
    assert "\n" not in transport.problem
    transport.close()


def test_no_descriptor_is_left_behind(module: Emulator) -> None:
    bridge = Bridge(module.path)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(5):
        transport = Transport(f"socket://127.0.0.1:{bridge.number}", 115200)
        assert transport.open()
        transport.close()
    assert until(lambda: len(os.listdir("/proc/self/fd")) <= before + 1)  # noqa: PTH208
    bridge.close()
