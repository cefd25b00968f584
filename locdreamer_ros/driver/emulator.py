# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated module on a pseudo-terminal: the real protocol, the real timing, and faults at will.

What the device says comes from `driver.firmware`; what it measures from a walk through a simulated
place; here are the wire between, the clock, and everything that goes wrong on a wire.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import pty
import select
import termios
import threading
import time
import tty
from collections.abc import Collection
from pathlib import Path

import numpy as np

from locdreamer_ros.driver.devices import get_device
from locdreamer_ros.driver.faults import FAULTS
from locdreamer_ros.driver.firmware import Firmware
from locdreamer_ros.errors import InputError
from locdreamer_ros.simulation import make_world, simulate_in
from locdreamer_ros.simulation.world import World
from locdreamer_ros.types import Anchors, FloatArray, IntArray

PERIODIC = ("unplug", "reboot", "deaf")
PERIOD_S = 10.0
AWAY_S = 2.0
PROBABILITY = 0.1
FRAME_LOSS = 1e-3
LATE_S = 0.2
OVERSIZE = b"A" * 5000
TICK_S = 0.002
WALK_S = 600.0
WALK_RATE = 20.0
SPEEDS = {
    getattr(termios, name): int(name[1:])
    for name in ("B9600", "B19200", "B38400", "B57600", "B115200", "B230400", "B460800", "B921600")
}


class SimulatedTag:
    """A tag that walks through a simulated place for ever, there and back again.

    anchors: the place's, under ids that the device can have.
    """

    def __init__(self, device: str, environment: str, seed: int, *, walk_s: float = WALK_S) -> None:
        world = make_world(environment, seed)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
        self._walk = simulate_in(world, duration=walk_s, rate=WALK_RATE, rng=rng)
        self.anchors, self._columns = device_anchors(device, world)
        self._row = {anchor: i for i, anchor in enumerate(self.anchors.ids)}
        self._begin = time.monotonic()

    def _epoch(self, now: float) -> int:
        last = len(self._walk) - 1
        there_and_back = int((now - self._begin) * WALK_RATE) % (2 * last)
        return min(there_and_back, 2 * last - there_and_back)

    def measure(self, anchor: str) -> float | None:
        """The range now, m; None where there is no such anchor or it is not heard."""
        row = self._row.get(anchor)
        if row is None:
            return None
        value = float(self._walk.ranges[self._epoch(time.monotonic()), self._columns[row]])
        return None if np.isnan(value) else value

    def truth(self, now: float) -> FloatArray:
        """Where the tag is at monotonic `now` s: (3,) m."""
        assert self._walk.truth is not None
        return np.asarray(self._walk.truth[self._epoch(now)])


def device_anchors(device: str, world: World) -> tuple[Anchors, IntArray]:
    """The place's anchors under ids such as the device's have, and their rows (A,) in the place.

    As many as the device can have. Raises InputError for an unknown device.
    """
    record = get_device(device)
    most = record.capabilities.max_anchors
    # Those the place deploys come first: a device with few anchors needs well-placed ones.
    ids = sorted(world.anchors.ids, key=lambda anchor: anchor not in world.deploy)[:most]
    rows = world.anchors.rows(ids)
    return Anchors(record.ids(len(ids)), world.anchors.positions[rows]), rows


class Emulator:
    """A firmware on a pseudo-terminal, run by a thread of its own until `close`.

    link: a name that always points to the terminal, as /dev/serial/by-id does. baud: of the
    device's UART (a host at another gets noise); None where the speed does not matter (USB).
    faults: of `FAULTS`; the set may be changed at any time. in_turn: what is late holds back what
    follows, as on a real wire; else it is overtaken, which is worse.
    """

    def __init__(
        self,
        firmware: Firmware,
        *,
        link: Path | None = None,
        baud: int | None = None,
        faults: Collection[str] = (),
        seed: int = 0,
        in_turn: bool = False,
    ) -> None:
        self.firmware = firmware
        self._in_turn = in_turn
        self.faults = set(faults)
        self.plugged = False
        self.path = ""
        self._link = link
        self._baud = baud
        self._rng = np.random.default_rng(seed)
        self._commands: list[str] = []
        self._queue: list[tuple[float, int, bytes]] = []
        self._order = itertools.count()
        self._last_out = 0.0
        self._last_reply = b""
        self._deaf = False
        self._back_at = self._hears_at = float("inf")
        self._trouble_at = time.monotonic() + PERIOD_S
        self._wake_out, self._wake_in = os.pipe()
        self._done = threading.Event()
        self._plug()
        self._thread = threading.Thread(target=self._run, name="emulator", daemon=True)
        self._thread.start()

    def plug(self) -> None:
        """Plug in again, under another name."""
        self._command("plug")

    def unplug(self) -> None:
        """Unplug: to the host the terminal vanishes, in mid-frame where one is going out."""
        self._command("unplug")

    def reboot(self) -> None:
        """Switch off and on without losing the terminal; some devices print a banner."""
        self._command("reboot")

    def deafen(self, deaf: bool) -> None:
        """Stop taking what the host writes, until told otherwise."""
        self._command("deaf" if deaf else "hear")

    def close(self) -> None:
        """End, and take the link away."""
        self._command("close")
        self._thread.join(timeout=5.0)
        for descriptor in (self._wake_out, self._wake_in):
            os.close(descriptor)

    # The rest runs in the thread, except `_plug` for the first time.

    def _command(self, word: str) -> None:
        """Have the thread do it, and wait until it is done."""
        self._done.clear()
        self._commands.append(word)
        os.write(self._wake_in, b"c")
        self._done.wait(timeout=5.0)

    def _plug(self) -> None:
        before = self.path
        self._master, self._slave = pty.openpty()
        if os.ttyname(self._slave) == before:
            # The kernel hands out the lowest free number; a replug is to get another one.
            old = (self._master, self._slave)
            self._master, self._slave = pty.openpty()
            for descriptor in old:
                os.close(descriptor)
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        if self._link is not None:
            try:
                if self._link.is_symlink():
                    self._link.unlink()
                self._link.symlink_to(self.path)
            except OSError as reason:
                os.close(self._slave)
                os.close(self._master)
                raise InputError(f"{self._link}: cannot make a link: {reason.strerror}") from None
        self.plugged = True
        self._queue.clear()
        self._write_soon(self.firmware.reboot(), time.monotonic())

    def _unplug(self) -> None:
        if not self.plugged:
            return
        self.plugged = False
        if self._link is not None:
            with contextlib.suppress(OSError):
                self._link.unlink()
        os.close(self._slave)
        os.close(self._master)

    def _run(self) -> None:
        while True:
            now = time.monotonic()
            wait = min(TICK_S, self._queue[0][0] - now) if self._queue else TICK_S
            watched = [self._wake_out]
            if self.plugged and not self._deaf:
                watched.append(self._master)
            ready, _, _ = select.select(watched, [], [], max(wait, 0.0))
            if self._wake_out in ready:
                os.read(self._wake_out, 64)
                while self._commands:
                    word = self._commands.pop(0)
                    if word == "close":
                        self._unplug()
                        self._done.set()
                        return
                    self._do(word)
                self._done.set()
            self._cause_trouble()
            if not self.plugged:
                continue
            for delay, data in self.firmware.tick(time.monotonic()):
                self._reply(delay, data)
            if len(ready) > (self._wake_out in ready) and not self._deaf:
                self._hear()
            self._speak()

    def _do(self, word: str) -> None:
        if word == "plug" and not self.plugged:
            self._plug()
        elif word == "unplug":
            self._unplug()
        elif word == "reboot":
            self._queue.clear()
            self._write_soon(self.firmware.reboot(), time.monotonic())
        else:
            self._deaf = word == "deaf"

    def _cause_trouble(self) -> None:
        now = time.monotonic()
        if now >= self._back_at:
            self._back_at = float("inf")
            self._do("plug")
        if now >= self._hears_at:
            self._hears_at = float("inf")
            self._do("hear")
        periodic = [fault for fault in PERIODIC if fault in self.faults]
        if not periodic or now < self._trouble_at:
            return
        self._trouble_at = now + PERIOD_S
        fault = periodic[int(self._rng.integers(len(periodic)))]
        self._do(fault)
        if fault == "unplug":
            self._back_at = now + AWAY_S
        elif fault == "deaf":
            self._hears_at = now + AWAY_S

    def _hear(self) -> None:
        with contextlib.suppress(OSError):
            data = self._carried(os.read(self._master, 4096))
            if self._wrong_baud():
                data = self._rng.bytes(len(data))
            for delay, reply in self.firmware.feed(data):
                self._reply(delay, reply)

    def _reply(self, delay: float, data: bytes) -> None:
        """Queue a reply, with whatever faults are on."""
        now = time.monotonic()
        out = max(self._last_out, now) + delay
        self._last_out = out
        if self._strikes("wrong-id") and self._last_reply not in (b"", data):
            self._write_soon(self._last_reply, out)
        if self._strikes("oversize"):
            self._write_soon(OVERSIZE, out)
        self._last_reply = reply = data
        if self._strikes("garbage"):
            at = int(self._rng.integers(len(data) + 1))
            reply = data[:at] + self._rng.bytes(int(self._rng.integers(1, 40))) + data[at:]
        late = LATE_S if self._strikes("late") else 0.0
        self._last_out += late if self._in_turn else 0.0
        self._write_soon(reply, out + late)
        if self._strikes("duplicate"):
            self._write_soon(reply, out)

    def _strikes(self, fault: str) -> bool:
        return fault in self.faults and float(self._rng.random()) < PROBABILITY

    def _write_soon(self, data: bytes, at: float) -> None:
        if "split" not in self.faults:
            heapq.heappush(self._queue, (at, next(self._order), data))
            return
        while data:
            size = int(self._rng.integers(1, 8))
            heapq.heappush(self._queue, (at, next(self._order), data[:size]))
            data, at = data[size:], at + 0.0003

    def _speak(self) -> None:
        """Write what is due; like a UART, lose what nobody takes."""
        while self._queue and self._queue[0][0] <= time.monotonic():
            data = self._carried(heapq.heappop(self._queue)[2])
            if self._wrong_baud():
                data = self._rng.bytes(len(data))
            with contextlib.suppress(OSError):
                os.write(self._master, data)

    def _carried(self, data: bytes) -> bytes:
        """What of the bytes crosses the wire."""
        if "loss" not in self.faults:
            return data
        kept = self._rng.random(len(data)) >= FRAME_LOSS
        return bytes(byte for byte, there in zip(data, kept, strict=True) if there)

    def _wrong_baud(self) -> bool:
        if self._baud is None:
            return False
        with contextlib.suppress(termios.error):
            return SPEEDS.get(termios.tcgetattr(self._slave)[5]) != self._baud
        return False


def emulate(
    device: str,
    *,
    environment: str = "house",
    seed: int = 0,
    faults: Collection[str] = (),
    dead: Collection[str] = (),
    link: Path | None = None,
    walk_s: float = WALK_S,
) -> tuple[Emulator, SimulatedTag]:
    """A running device in a simulated place; `dead`: ids of anchors that never answer.

    walk_s: the walk goes there and back again in twice this time.

    Raises InputError for an unknown device, environment, fault or anchor.
    """
    for fault in faults:
        if fault not in FAULTS:
            raise InputError(f"fault: expected one of {', '.join(FAULTS)}, got {fault!r}")
    tag = SimulatedTag(device, environment, seed, walk_s=walk_s)
    tag.anchors.rows(dead)

    def measure(anchor: str) -> float | None:
        return None if anchor in dead else tag.measure(anchor)

    record = get_device(device)
    firmware = record.firmware(tag.anchors.ids, measure)
    baud = record.capabilities.baud if record.uart else None
    in_turn = not record.capabilities.names_anchor
    emulator = Emulator(firmware, link=link, baud=baud, faults=faults, seed=seed, in_turn=in_turn)
    return emulator, tag
