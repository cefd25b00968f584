# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a transport reads and writes: a serial port, or a bridge that is reached by a URL.

/dev/serial/by-id/usb-*           a port
socket://192.168.4.1:3333         raw TCP, as Wi-Fi and ESP32 bridges offer it
rfc2217://192.168.4.1:4000        TCP with the port's settings (RFC 2217), as ser2net does
udp://0.0.0.0:5005                datagrams that come to this port; answers go to their sender
udp://192.168.4.1:5005            the same port here, and answers to that address
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import termios
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import serial

BY_ID = Path("/dev/serial/by-id")
"""Where Linux keeps names that stay the same whichever number the kernel gives a port."""
BY_PATH = Path("/dev/serial/by-path")
"""And names of the sockets that ports are plugged into."""
WRITE_TIMEOUT_S = 0.2
CONNECT_TIMEOUT_S = 1.0
CHUNK = 4096
SCHEMES = ("socket", "rfc2217", "udp")

FAULTS = (serial.SerialException, OSError, termios.error)
"""All that pyserial lets out: `termios.error` is no OSError, and some paths raise bare OSErrors."""


class LostError(serial.SerialException):
    """Ready to read, and nothing there: what an unplugged port, or a closed connection, is."""


class Link(Protocol):
    """An open way to a device. All but `close` raise SerialException or OSError when it is lost."""

    def fileno(self) -> int:
        """What `select` waits on for bytes to read."""

    def read(self) -> bytes:
        """What is there; empty where it was lost."""

    def write(self, data: bytes) -> None:
        """All of it, waiting no longer than WRITE_TIMEOUT_S."""

    def tune(self, baud: int) -> None:
        """Go on at another baud rate, where that is ours to set."""

    def close(self) -> None:
        """Give it back."""


def is_url(port: str) -> bool:
    """Whether the port is reached by a URL."""
    return "://" in port


def sets_baud(port: str) -> bool:
    """Whether opening the port sets the baud rate at which the module is spoken to."""
    return not is_url(port) or port.lower().startswith("rfc2217:")


def open_link(port: str, baud: int) -> Link:
    """Open a path or URL. Raises SerialException, OSError, termios.error or ValueError."""
    if not is_url(port):
        return _Port(port, baud)
    scheme, host, number = _parts(port)
    return _OPENERS[scheme](port, host, number, baud)


def check_url(url: str) -> None:
    """Raises ValueError, saying what was expected, where it cannot be one of ours."""
    _parts(url)


def _parts(url: str) -> tuple[str, str, int]:
    """Scheme, host and port. Raises ValueError saying what was expected."""
    parts = urlsplit(url)
    try:
        number = parts.port
    except ValueError:
        number = None
    if parts.scheme not in SCHEMES or not parts.hostname or number is None:
        raise ValueError(f"expected {', '.join(f'{s}://HOST:PORT' for s in SCHEMES)}")
    return parts.scheme, parts.hostname, number


class _Port:
    def __init__(self, port: str, baud: int) -> None:
        self._serial = serial.Serial(
            port, baud, timeout=0, write_timeout=WRITE_TIMEOUT_S, exclusive=True
        )

    def fileno(self) -> int:
        return int(self._serial.fileno())

    def read(self) -> bytes:
        # Not Serial.read, which waits and looks at the clock once more.
        return os.read(self.fileno(), CHUNK)

    def write(self, data: bytes) -> None:
        # Not Serial.write at once, which asks and waits for room even where all went out.
        sent = _write_now(self.fileno(), data)
        if sent < len(data):
            self._serial.write(data[sent:])

    def tune(self, baud: int) -> None:
        self._serial.baudrate = baud

    def close(self) -> None:
        # Unsent bytes would keep close() waiting for a device that is gone.
        with contextlib.suppress(*FAULTS):
            self._serial.reset_output_buffer()
        self._serial.close()


class _Tcp:
    def __init__(self, url: str, host: str, number: int, baud: int) -> None:
        del url, baud
        self._socket = socket.create_connection((host, number), CONNECT_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(WRITE_TIMEOUT_S)

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> bytes:
        return self._socket.recv(CHUNK)

    def write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise serial.SerialTimeoutException("Write timeout") from None

    def tune(self, baud: int) -> None:
        pass

    def close(self) -> None:
        self._socket.close()


class _Udp:
    """Datagrams; where the URL names an address of this machine, the peer is whoever spoke last."""

    def __init__(self, url: str, host: str, number: int, baud: int) -> None:
        del url, baud
        family, *_, address = socket.getaddrinfo(host, number, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._peer: Any = None
        try:
            try:
                self._socket.bind(address)
            except OSError as reason:
                if reason.errno == errno.EADDRINUSE:
                    raise
                self._socket.bind(("", number))
                self._peer = address
        except OSError:
            self._socket.close()
            raise
        self._fixed = self._peer is not None
        self._socket.settimeout(WRITE_TIMEOUT_S)

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> bytes:
        data, sender = self._socket.recvfrom(65536)
        if self._fixed and self._peer is not None and sender[0] != self._peer[0]:
            raise BlockingIOError  # somebody else's
        if not self._fixed:
            self._peer = sender
        if not data:
            raise BlockingIOError  # an empty datagram is no end
        return data

    def write(self, data: bytes) -> None:
        if self._peer is not None:  # else nobody has spoken yet
            self._socket.sendto(data, self._peer)

    def tune(self, baud: int) -> None:
        pass

    def close(self) -> None:
        self._socket.close()


class _Rfc2217:
    """pyserial's own port, whose thread has no descriptor to wait on: a pump gives it one."""

    def __init__(self, url: str, host: str, number: int, baud: int) -> None:
        del host, number
        self._serial: Any = serial.serial_for_url(url, baudrate=baud, timeout=0.2)
        self._out, self._in = socket.socketpair()
        self._out.settimeout(WRITE_TIMEOUT_S)
        threading.Thread(target=self._pump, name="rfc2217", daemon=True).start()

    def _pump(self) -> None:
        with contextlib.suppress(*FAULTS):  # lost: the other end of the pair says so
            while True:
                if data := self._serial.read(max(1, self._serial.in_waiting)):
                    self._in.sendall(data)
        self._in.close()

    def fileno(self) -> int:
        return self._out.fileno()

    def read(self) -> bytes:
        return self._out.recv(CHUNK)

    def write(self, data: bytes) -> None:
        self._serial.write(data)

    def tune(self, baud: int) -> None:
        self._serial.baudrate = baud

    def close(self) -> None:
        self._serial.close()
        self._out.close()


_OPENERS: dict[str, Callable[[str, str, int, int], Link]] = {
    "socket": _Tcp,
    "rfc2217": _Rfc2217,
    "udp": _Udp,
}


def _write_now(descriptor: int, data: bytes) -> int:
    """How many of `data` went out without waiting."""
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        return 0
