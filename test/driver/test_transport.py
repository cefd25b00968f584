# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every fault of a port, on real pseudo-terminals."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pty
import stat
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import serial
from driver.fake_device import refused

from locdreamer_ros.driver import transport as module
from locdreamer_ros.driver.links import LostError
from locdreamer_ros.driver.transport import Transport, explain


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    for descriptor in (master, slave):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def until(done: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.005)
    return done()


def test_bytes_go_both_ways_and_are_counted(terminal: tuple[int, str]) -> None:
    master, path = terminal
    port = Transport(path, 115200)
    assert port.open()
    assert port.write(b"ping")
    assert os.read(master, 10) == b"ping"
    os.write(master, b"pong!")
    assert port.read(1.0) == b"pong!"
    assert (port.counters.bytes_out, port.counters.bytes_in) == (4, 5)
    port.close()


def test_read_times_out_and_can_be_woken(terminal: tuple[int, str]) -> None:
    port = Transport(terminal[1], 115200)
    port.open()
    start = time.monotonic()
    assert port.read(0.05) == b""
    assert time.monotonic() - start > 0.04
    threading.Timer(0.05, port.wake).start()
    assert port.read(3600.0) == b""  # or the test would never end
    port.close()


def test_the_port_is_ours_alone(terminal: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Transport(terminal[1], 115200), Transport(terminal[1], 115200)
    assert first.open()
    assert not second.open()
    assert "in use by another program" in second.problem  # it is this one
    monkeypatch.setattr(module, "holders", lambda _: pytest.fail("looked for again"))
    time.sleep(module.FIRST_PAUSE_S)
    assert not second.open()
    assert "in use by another program" in second.problem
    first.close()
    assert until(second.open)
    second.close()


def test_unplugged_while_reading_then_replugged_under_another_name(tmp_path: Path) -> None:
    link = tmp_path / "usb-Maker_Module_1-if00"
    master, slave = pty.openpty()
    link.symlink_to(os.ttyname(slave))
    port = Transport(str(tmp_path / "usb-Maker_*"), 115200)
    assert port.open()
    os.close(slave)
    os.close(master)
    link.unlink()
    assert port.read(1.0) == b""
    assert not port.up
    assert "unplugged" in port.problem or "plugged in" in port.problem
    assert not port.write(b"x")
    keep = pty.openpty()  # takes the old number, so that the new name really is another
    master, slave = pty.openpty()
    link.symlink_to(os.ttyname(slave))
    assert until(port.open)
    assert port.counters.opened == 2
    assert port.counters.lost == 1
    os.write(master, b"back")
    assert port.read(1.0) == b"back"
    port.close()
    for descriptor in (*keep, master, slave):
        os.close(descriptor)


def test_a_bare_name_is_found_again_by_its_stable_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BY_ID", tmp_path)
    master, slave = pty.openpty()
    bare = tmp_path.parent / f"{tmp_path.name}-ttyACM0"
    bare.symlink_to(os.ttyname(slave))
    (tmp_path / "usb-module").symlink_to(os.ttyname(slave))
    port = Transport(str(bare), 115200)
    assert port.open()
    os.close(slave)
    os.close(master)
    bare.unlink()
    (tmp_path / "usb-module").unlink()
    port.read(1.0)
    master, slave = pty.openpty()
    (tmp_path / "usb-module").symlink_to(os.ttyname(slave))
    assert until(port.open)
    assert port.name == str(tmp_path / "usb-module")
    port.close()
    os.close(master)
    os.close(slave)


def test_adapters_that_say_the_same_of_themselves_are_named_by_their_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have one name by id, which leads to one of them: after a replug to the other module."""
    for folder in ("BY_ID", "BY_PATH"):
        (tmp_path / folder).mkdir()
        monkeypatch.setattr(module, folder, tmp_path / folder)
    ports = [tmp_path / "ttyUSB0", tmp_path / "ttyUSB1"]
    for number, port in enumerate(ports):
        port.touch()
        (tmp_path / "BY_PATH" / f"socket{number}").symlink_to(port)
    (tmp_path / "BY_ID" / "usb-1a86").symlink_to(ports[1])
    found = [
        SimpleNamespace(device=str(port), vid=0x1A86, pid=0x7523, serial_number=None)
        for port in ports
    ]
    monkeypatch.setattr(module.list_ports, "comports", lambda: found)
    names = [module.stable_name(str(port)) for port in ports]
    assert names == [str(tmp_path / "BY_PATH" / f"socket{number}") for number in range(2)]
    found.pop(0)
    assert module.stable_name(str(ports[1])) == str(tmp_path / "BY_ID" / "usb-1a86")
    assert str(module.stable_name(str(ports[0]))).endswith("socket0")  # has none by id


def test_every_match_of_a_pattern_is_tried(tmp_path: Path) -> None:
    ends = [pty.openpty() for _ in range(2)]
    for name, (_, slave) in zip("ab", ends, strict=True):
        (tmp_path / f"usb-{name}").symlink_to(os.ttyname(slave))
    port = Transport(str(tmp_path / "usb-*"), 115200)
    port.open()
    assert port.name.endswith("usb-a")
    port.drop("another device")
    assert until(port.open)
    assert port.name.endswith("usb-b")
    port.close()
    for pair in ends:
        for descriptor in pair:
            os.close(descriptor)


def test_a_peer_that_does_not_drain_is_dropped(terminal: tuple[int, str]) -> None:
    port = Transport(terminal[1], 115200)
    port.open()
    while port.write(b"x" * 1000):
        assert port.counters.bytes_out < 10_000_000
    assert "takes no more bytes" in port.problem
    assert not port.up
    port.close()


def test_what_is_no_port_is_said_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no port")
    for path, words in (
        (file, "not a serial port"),
        (tmp_path, "not a serial port"),
        (tmp_path / "absent", "no such port"),
        (tmp_path / "usb-*", "no such port"),
    ):
        port = Transport(str(path), 115200)
        assert not port.open()
        assert words in port.problem
        assert str(path) in port.problem
        port.close()


def test_attempts_are_paced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of its own: on a busy machine every pause is longer."""
    now, tried = [0.0], []
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(module, "candidates", lambda _: tried.append(now[0]) or [])
    port = Transport(str(tmp_path / "absent"), 115200)
    for _ in range(8):
        port.open()
        assert not port.open(), "too early to try again"
        now[0] = port.retry_at
    pauses = np.diff(tried)
    assert len(tried) == 8
    assert pauses[:3] == pytest.approx(module.FIRST_PAUSE_S * np.array([1.0, 2.0, 4.0]))
    assert pauses[-1] == pytest.approx(module.LONGEST_PAUSE_S)
    port.close()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (serial.SerialException(errno.EACCES, "could not open port"), "permission denied: run"),
        (serial.SerialException(errno.EBUSY, "could not open port"), "in use"),
        (LostError(), "unplugged"),
        (serial.SerialTimeoutException("Write timeout"), "takes no more bytes"),
        (OSError(errno.EIO, "Input/output error"), "plugged in"),
        (termios.error(errno.EIO, "Input/output error"), "plugged in"),
        (termios.error(errno.ENOTTY, "Inappropriate ioctl"), "not a serial port"),
    ],
)
def test_every_fault_says_what_to_do(fault: Exception, words: str) -> None:
    message = explain(fault, "/dev/ttyX")
    assert message.startswith("/dev/ttyX: ")
    assert words in message
    assert "\n" not in message


def test_nobody_is_told_to_join_a_group_that_does_not_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = tmp_path / "ttyX"
    port.touch()
    denied = PermissionError(errno.EACCES, "Permission denied")

    def told(group: int, mode: int) -> str:
        found = os.stat_result((stat.S_IFCHR | mode, 0, 0, 1, 0, group, 0, 0, 0, 0))
        monkeypatch.setattr(Path, "stat", lambda path: found)
        return explain(denied, str(port))

    monkeypatch.setattr(grp, "getgrgid", lambda number: SimpleNamespace(gr_name="dialout"))
    assert "sudo usermod -aG dialout $USER" in told(20, 0o660)
    for group, mode in ((0, 0o660), (20, 0o600)):
        said = told(group, mode)
        assert "usermod" not in said
        assert "install the udev rule" in said


def test_permission_denied_is_survived_and_named(terminal: tuple[int, str]) -> None:
    """Refused by the kernel, again and again, until the user has the right."""
    port = Transport(terminal[1], 115200)
    with refused(terminal[1]) as allow:
        assert not until(port.open, 1.0)
        assert "permission denied" in port.problem
        assert "install the udev rule" in port.problem
        allow()
        assert until(port.open)
        assert port.problem == ""
        os.write(terminal[0], b"hello")
        assert port.read(1.0) == b"hello"
    port.close()


def test_no_descriptor_is_left_behind(terminal: tuple[int, str]) -> None:
    rounds, before = 20, descriptors()
    for _ in range(rounds):
        port = Transport(terminal[1], 115200)
        port.open()
        port.drop("again")
        port.close()
    # What other tests left to threads of theirs may come and go meanwhile.
    assert descriptors() - before < rounds / 2
