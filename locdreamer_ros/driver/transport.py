# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The serial port: opened for us alone, lost and found again for ever, never waited on for ever.

Nothing here raises because of a device: a port that cannot be opened or is lost is `down`, with
`problem` in words a user can act on, and is tried again with a growing pause.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import select
import stat
import time
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import serial
from serial.tools import list_ports

from locdreamer_ros.driver.links import BY_ID, BY_PATH, FAULTS, Link, LostError, is_url, open_link

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 0.5
"""Pauses between attempts to open; short enough that a returning device is missed for < 1 s."""
CHUNK = 4096
TAKEN_ERRORS = (errno.EBUSY, errno.EAGAIN)
"""Numbers of the fault where somebody else has the port."""
PTMX = os.makedev(5, 2)
"""What the other ends of pseudo-terminals are opened by."""


@dataclass
class Counters:
    """Since the start: bytes read and written, and how often the port was opened and lost."""

    bytes_in: int = 0
    bytes_out: int = 0
    opened: int = 0
    lost: int = 0


def group_of(port: str) -> str:
    """The group that may use the port; `dialout` where the port cannot be asked.

    Empty: none may, or that of root, which nobody should join for a port.
    """
    try:
        found = Path(port).stat()
        if found.st_gid == 0 or not found.st_mode & stat.S_IWGRP:
            return ""
        return grp.getgrgid(found.st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"


def holders(port: str) -> str:
    """Other processes that have the port open, by name and number; empty where none is seen.

    Who is not root sees his own only. The program behind a pseudo-terminal does not count.
    """
    found = []
    try:
        device = Path(port).stat().st_rdev
    except (OSError, ValueError):
        return ""
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError):  # gone, or not ours to look into
            opened = {entry.stat().st_rdev for entry in (process / "fd").iterdir()}
            if device in opened and PTMX not in opened and int(process.name) != os.getpid():
                found.append(f"{(process / 'comm').read_text().strip()} (process {process.name})")
    return " and ".join(found) if device else ""


def explain(fault: Exception, port: str) -> str:
    """What happened to `port`, and what to do about it, in one line."""
    number = _number(fault)
    if isinstance(fault, serial.SerialTimeoutException):
        return (
            f"{port}: the device takes no more bytes: it hangs; if this lasts, unplug it and plug "
            "it in again"
        )
    if is_url(port):
        return _explain_bridge(fault, port)
    if isinstance(fault, LostError):
        return f"{port}: the module was unplugged or switched off"
    if number == errno.ENOENT and "/" not in port:
        return (
            f"{port or 'port'}: no such port: expected a path as /dev/ttyUSB0, or a URL as "
            "socket://192.168.4.1:3333"
        )
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO):
        return f"{port}: no such port: is the module plugged in and powered?"
    if number in (errno.EACCES, errno.EPERM):
        group = group_of(port)
        join = f"run `sudo usermod -aG {group} $USER` and log in again, or " if group else ""
        return f"{port}: permission denied: {join}install the udev rule 99-locdreamer-uwb.rules"
    if number in TAKEN_ERRORS:
        if others := holders(port):
            return f"{port}: in use by {others}: close it"
        return (
            f"{port}: in use by another program (a terminal, ModemManager, another driver): close "
            f"it; `sudo fuser -v {port}` names it"
        )
    if number in (errno.ENOTTY, errno.EINVAL, errno.EISDIR):
        return f"{port}: not a serial port"
    return f"{port}: {fault}"


def _number(fault: BaseException) -> int | None:
    """The system's number of the fault, or of what it was raised for: pyserial hands on text."""
    number = getattr(fault, "errno", None) or next(iter(fault.args), None)
    if isinstance(number, int):
        return number
    return None if fault.__context__ is None else _number(fault.__context__)


def _explain_bridge(fault: Exception, url: str) -> str:
    """The same of a bridge that is reached by a URL."""
    if isinstance(fault, ValueError):
        return f"{url}: {fault}"
    if isinstance(fault, LostError):
        return f"{url}: the bridge closed the connection: is it on, and has it another client?"
    words = " ".join(str(fault).split())
    if _number(fault) == errno.EADDRINUSE:
        return f"{url}: another program of this machine listens at this port: close it"
    if "RFC2217" in words:
        return f"{url}: the bridge does not speak RFC 2217: if it is raw TCP, write socket://"
    return f"{url}: no connection ({words}): is the bridge on, and is this its address and port?"


def candidates(port: str) -> list[str]:
    """The paths meant by `port`: a path, a pattern as `/dev/serial/by-id/usb-*`, or a URL."""
    port = os.path.expanduser(port.strip())  # noqa: PTH111
    if is_url(port):
        return [port]
    # os.path.exists and glob, because those of pathlib raise where a folder may not be read.
    return [port] if os.path.exists(port) else sorted(glob(port))  # noqa: PTH110, PTH207


def stable_name(port: str) -> str | None:
    """The name of the port that survives a replug; None without one.

    That under `/dev/serial/by-id`; where it has none there, or shares it with another adapter of
    the same make (many have no serial number), that of its socket, under `/dev/serial/by-path`.
    """
    if is_url(port):
        return None
    with contextlib.suppress(OSError):
        device = Path(port).resolve(strict=True)
        for folder in (BY_PATH,) if _has_twin(device) else (BY_ID, BY_PATH):
            with contextlib.suppress(OSError):
                for name in sorted(folder.iterdir()):
                    if name.resolve() == device:
                        return str(name)
    return None


def _has_twin(device: Path) -> bool:
    """Whether another adapter says the same of itself, so that both have one name by id."""
    said = {str(p.device): (p.vid, p.pid, p.serial_number) for p in list_ports.comports()}
    mine = said.pop(str(device), (None,))
    return mine[0] is not None and mine in said.values()


class Transport:
    """One serial port, named by a path, a pattern (the first match that opens is taken) or a URL.

    After the first success the port's stable name is remembered: a module that comes back under
    another number is found again even where `port` was a bare `/dev/ttyACM0`.
    """

    def __init__(self, port: str, baud: int) -> None:
        self.port = port
        self.baud = baud
        self.counters = Counters()
        self.problem = f"{port}: not opened yet"
        """Why it is down; empty while it is up."""
        self.name = port
        """The path in use, or tried last."""
        self._link: Link | None = None
        self._stable: str | None = None
        self._pause = FIRST_PAUSE_S
        self._retry_at = 0.0
        self._turn = 0
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_out, False)
        os.set_blocking(self._wake_in, False)

    @property
    def up(self) -> bool:
        """Whether the port is open."""
        return self._link is not None

    @property
    def retry_at(self) -> float:
        """Monotonic time of the next attempt to open while down."""
        return self._retry_at

    def open(self) -> bool:
        """Try to open, at most once per pause; returns whether the port is up."""
        if self._link is not None:
            return True
        if time.monotonic() < self._retry_at:
            return False
        paths = candidates(self.port)
        if self._stable is not None and self._stable not in paths:
            paths += candidates(self._stable)
        if not paths:
            self.problem = explain(FileNotFoundError(errno.ENOENT, "no port"), self.port)
        # Each failure, also one found out later (a port that opens but is another device), moves
        # the turn on, so that every match of a pattern is tried.
        for i in range(len(paths)):
            path = paths[(self._turn + i) % len(paths)]
            try:
                self._link = open_link(path, self.baud)
            except (*FAULTS, ValueError) as fault:
                # Who has it is looked for once: that goes through all processes.
                if _number(fault) not in TAKEN_ERRORS or f"{path}: in use" not in self.problem:
                    self.problem = explain(fault, path)
                continue
            self._turn += i
            self.name, self.problem = path, ""
            self._stable = stable_name(path)
            self.counters.opened += 1
            return True
        self._back_off()
        return False

    def tune(self, baud: int) -> None:
        """Go on at another baud rate without closing: many a board restarts when it is opened."""
        self.baud = baud
        if self._link is not None:
            try:
                self._link.tune(baud)
            except (*FAULTS, ValueError) as fault:
                self.drop(explain(fault, self.name))

    def settled(self) -> None:
        """Say that the device behind the port is the right one: the next loss is retried fast."""
        self._pause = FIRST_PAUSE_S

    def drop(self, problem: str) -> None:
        """Close the port because of `problem`; it will be opened again after a pause."""
        if self._link is None:
            return
        port, self._link = self._link, None
        with contextlib.suppress(*FAULTS):
            port.close()
        self.problem = problem
        self.counters.lost += 1
        self._turn += 1
        self._back_off()

    def read(self, wait: float) -> bytes:
        """What has arrived, waiting up to `wait` s for the first byte; empty on time-out or `wake`.

        Where the port is lost it is dropped and nothing is returned. While it is down this waits.
        """
        port = self._link
        watched = [self._wake_out] if port is None else [self._wake_out, port.fileno()]
        try:
            ready, _, _ = select.select(watched, [], [], max(wait, 0.0))
            if self._wake_out in ready:
                os.read(self._wake_out, CHUNK)
            if port is None or len(ready) == (self._wake_out in ready):
                return b""
            data = port.read()
            if not data:
                raise LostError
        except BlockingIOError:
            return b""
        except FAULTS as fault:
            self.drop(explain(fault, self.name))
            return b""
        self.counters.bytes_in += len(data)
        return data

    def write(self, data: bytes) -> bool:
        """Write all of `data` in one go; False where the port is down or was lost over it."""
        port = self._link
        if port is None:
            return False
        try:
            port.write(data)
        except FAULTS as fault:
            self.drop(explain(fault, self.name))
            return False
        self.counters.bytes_out += len(data)
        return True

    def wake(self) -> None:
        """Make a `read` in another thread return now."""
        with contextlib.suppress(OSError):
            os.write(self._wake_in, b"w")

    def close(self) -> None:
        """Close for good."""
        lost = self.counters.lost
        self.drop("closed")
        self.counters.lost = lost
        for descriptor in (self._wake_out, self._wake_in):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._wake_out = self._wake_in = -1  # a late `wake` must not write to somebody else's file

    def _back_off(self) -> None:
        self._retry_at = time.monotonic() + self._pause
        self._pause = min(2.0 * self._pause, LONGEST_PAUSE_S)
