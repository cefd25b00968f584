# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finding modules: what ports there are, what stands in the way, and which device answers.

Probing is read-only: it listens first, then sends questions that change nothing in any of the
devices (no mode is switched, nothing is written to flash).
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from serial.tools import list_ports

from locdreamer_ros.driver.codec import CycleEvent
from locdreamer_ros.driver.devices import all_devices, get_device
from locdreamer_ros.driver.links import is_url, sets_baud
from locdreamer_ros.driver.transport import Transport, candidates, holders, stable_name

BAUDS = (115200, 921600, 57600, 9600, 115200)
"""115200 is what most devices are delivered with; once more at the end for a board that boots
meanwhile."""
LISTEN_S = 0.7
"""Seven cycles of a tag that streams at its fastest."""
ANSWER_S = 0.25
WAIT_S = 0.01
LONGEST_S = 9.5
"""A port is given up after so long, however busy the machine is."""
BOARD_PORTS = ("/dev/serial0", "/dev/serial1")
"""A Raspberry Pi's UARTs on its header, where modules are wired to without USB."""
SLOW_LATENCY_MS = 4
"""FTDI adapters hold received bytes back this long or (by default 16 ms) longer."""
RULES = "99-locdreamer-uwb.rules"


@dataclass(frozen=True)
class Found:
    """What answered on a port. rate: reports per second of one that streams, else NaN.

    max_rate: ranges per second of one that is asked (schedulable), else reports; at most.
    """

    device: str
    mode: str
    baud: int
    schedulable: bool
    max_rate: float
    rate: float = float("nan")
    reply_ms: float = float("nan")


@dataclass
class Port:
    """A serial port. `advice`: what to do about it, one sentence each, most urgent first."""

    path: str
    stable: str
    description: str
    usb: str = ""
    usable: bool = False
    latency_ms: int | None = None
    device: Found | None = None
    advice: list[str] = field(default_factory=list)


def find_ports(named: str | None = None) -> list[Port]:
    """USB and header serial ports of this machine, or only those named (path, pattern, URL)."""
    if named is not None:
        paths = candidates(named) or [named]
        return [Port(path, stable_name(path) or path, "as given") for path in paths]
    found: list[Port] = []
    for name in BOARD_PORTS:
        if Path(name).exists():
            found.append(Port(name, name, "UART of this board's header"))
    for port in sorted(list_ports.comports(), key=lambda port: str(port.device)):
        if port.vid is None:  # another port of the board itself: no module hangs there
            continue
        usb = f"{port.vid:04x}:{port.pid:04x}"
        stable = stable_name(port.device) or port.device
        found.append(Port(port.device, stable, port.description or "", usb))
    return found


def latency_timer(path: str) -> tuple[int, Path] | None:
    """Milliseconds an FTDI adapter holds bytes back, and the file that sets it; None for others."""
    file = Path("/sys/bus/usb-serial/devices") / Path(path).resolve().name / "latency_timer"
    try:
        return int(file.read_text()), file
    except (OSError, ValueError):
        return None


def examine(port: Port) -> None:
    """Fill in what can be learned of the port and the device behind it; takes up to 10 s."""
    if (latency := latency_timer(port.path)) is not None:
        port.latency_ms, file = latency
        if port.latency_ms > SLOW_LATENCY_MS:
            port.advice.append(
                f"The adapter holds bytes back for {port.latency_ms} ms. Run "
                f"`echo 1 | sudo tee {file}`, or install the udev rule {RULES} for good."
            )
    if modem_manager_runs() and not is_ignored_by_modem_manager(port.path):
        port.advice.append(
            "ModemManager runs and writes to new ports for some seconds. "
            f"Install the udev rule {RULES}, which makes it leave UWB modules alone."
        )
    until = time.monotonic() + LONGEST_S
    most_heard = ""
    transport = Transport(port.path, BAUDS[0])
    try:
        # What bridge sets no baud rate says the same at any.
        for baud in BAUDS if sets_baud(port.path) else BAUDS[:1] * 2:
            transport.tune(baud)
            if not transport.up and not _open(transport):
                port.advice.insert(0, transport.problem)
                return
            if not port.usable and (others := holders(port.path)):
                port.advice.append(f"Bytes go to {others} as well: close it, or ranges are lost.")
            port.usable = True
            device, heard = recognise(transport, until)
            if device is not None:
                own = get_device(device.device)
                if not own.uart or not sets_baud(port.path):  # any baud rate does
                    device = replace(device, baud=own.capabilities.baud)
                port.device = device
                _advise(port, device)
                return
            if heard and baud == BAUDS[0]:
                most_heard = f"{heard} bytes came at {baud} baud that fit no supported device."
    finally:
        transport.close()
    port.advice += [most_heard] if most_heard else []
    port.advice.append(
        "No supported device answered. Is the module powered, is this its data port (not a charger "
        "or debugger port), and does it run one of the firmwares in docs/devices?"
    )


def _open(transport: Transport) -> bool:
    """Open it, after its pause where it was lost on the way."""
    time.sleep(max(transport.retry_at - time.monotonic(), 0.0))
    return transport.open()


def recognise(transport: Transport, until: float) -> tuple[Found | None, int]:
    """The device at the other end of an open port, and how many bytes were heard from it.

    until: when to give up, s of `time.monotonic`.
    """
    received, first, last = _listen(transport, LISTEN_S, until)
    found = _match(received)
    if found is not None:
        rate = (_cycles(found[0], received) - 1) / (last - first) if last > first else 0.0
        return _device(*found, transport.baud, rate=rate or float("nan")), len(received)
    for question in _questions(transport.baud):
        asked = time.monotonic()
        if not transport.write(question):
            break
        answer, first, _ = _listen(transport, ANSWER_S, until)
        received = received[-256:] + answer
        found = _match(received)
        if found is not None:
            return _device(*found, transport.baud, reply_ms=(first - asked) * 1e3), len(received)
    return None, len(received)


def _questions(baud: int) -> list[bytes]:
    """What to ask at this baud rate: over USB any will do, so those are asked at the first only."""
    able = [
        device
        for device in all_devices()
        if baud in (device.capabilities.baud, *device.bauds) and (device.uart or baud == BAUDS[0])
    ]
    return [device.question for device in able if device.question]


def _device(
    name: str, mode: str, baud: int, *, rate: float = float("nan"), reply_ms: float = float("nan")
) -> Found:
    able = get_device(name).capabilities
    return Found(name, mode, baud, able.schedulable, able.max_rate, rate, reply_ms)


def _cycles(device: str, received: bytes) -> int:
    """How often the device reported of one tag in what was received, at least once."""
    codec = get_device(device).codec()
    codec.start()
    tags = Counter(e.tag for e in codec.feed(received) if isinstance(e, CycleEvent))
    return max(tags.values(), default=1)


def _listen(transport: Transport, seconds: float, until: float) -> tuple[bytes, float, float]:
    """What comes within the time, and when its first and last bytes came (NaN without any).

    Silence is counted in waits, and ends at `until`: on a busy machine each takes longer, as the
    answer may.
    """
    data, first, last = b"", float("nan"), float("nan")
    left = seconds
    while left > 0.0 and transport.up and time.monotonic() < until:
        begin = time.monotonic()
        chunk = transport.read(WAIT_S)
        if chunk:
            last = time.monotonic()
            first = first if data else last
            data += chunk
            left -= min(last - begin, WAIT_S) + 1e-3  # a stream without a pause ends too
        else:
            left -= WAIT_S
    return data, first, last


def _match(data: bytes) -> tuple[str, str] | None:
    for device in all_devices():
        for sign in device.signs:
            if sign.shows_in(data):
                return device.name, sign.mode
    return None


def _advise(port: Port, device: Found) -> None:
    if not device.schedulable:
        port.advice.append(
            "This device chooses its anchors by itself: tracking works, but choosing anchors saves "
            "no energy, because the radio ranges with the others all the same."
        )
    if device.device == "dwm1001":
        port.advice.append(
            "A tag at rest reports rarely unless told otherwise: in its shell, `aurs 1 1` makes it "
            "range every 0.1 s also at rest."
        )
    if port.stable == port.path and port.usb:
        port.advice.append(
            f"{port.path} may get another number at the next plugging; there is no name for it "
            f"under /dev/serial, so name it with a pattern, {port.path.rstrip('0123456789')}*."
        )
    if "/by-path/" in port.stable:
        port.advice.append(
            "Its adapter has no name of its own, or that of another: the port is named by its "
            "socket. Plug it into the same one again."
        )


def modem_manager_runs() -> bool:
    """Whether ModemManager is among the processes."""
    for name in Path("/proc").glob("[0-9]*/comm"):
        try:
            if name.read_text().strip() == "ModemManager":
                return True
        except OSError:
            continue
    return False


def is_ignored_by_modem_manager(path: str) -> bool:
    """Whether a udev rule keeps ModemManager off the port, or it is none of this machine."""
    if is_url(path):
        return True
    try:
        device = Path(path).stat().st_rdev
        text = Path(f"/run/udev/data/c{os.major(device)}:{os.minor(device)}").read_text()
    except OSError:
        return False
    return "ID_MM_DEVICE_IGNORE=1" in text
