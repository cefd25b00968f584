# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A device of our own on a real pseudo-terminal, and its codec: the smallest that can go wrong.

`?` -> `HELLO`; `ASK id` -> `RNG id metres [rx dBm, first path dBm]`; a failure -> `ERR id`.
Passive: `CYC id=metres ...`, or `CYC@tag id=metres ...`.
"""

from __future__ import annotations

import os
import pty
import select
import subprocess
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from locdreamer_ros.driver.codec import (
    Capabilities,
    CycleEvent,
    DroppedEvent,
    Event,
    FailEvent,
    RangeEvent,
    ReadyEvent,
)


class FakeCodec:
    lacks = ""

    def __init__(
        self, *, schedulable: bool = True, range_timeout: float = 2.0, settle: float = 0.0
    ) -> None:
        self.capabilities = Capabilities(
            schedulable, 8, 100.0, 115200, range_timeout, settle=settle
        )
        self._buffer = b""

    def start(self) -> bytes:
        self._buffer = b""
        return b"?\n"

    def request(self, anchor: str) -> bytes:
        return b"" if anchor == "NEVER" else f"ASK {anchor}\n".encode()

    def cancel(self) -> None:
        pass

    def again(self) -> bytes:
        return b""

    def feed(self, data: bytes) -> list[Event]:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        events: list[Event] = []
        if len(self._buffer) > 200:
            events.append(DroppedEvent(len(self._buffer), "oversize"))
            self._buffer = b""
        for line in lines:
            try:
                events += self._line(line.decode("ascii"))
            except ValueError:
                events.append(DroppedEvent(len(line), "garbage"))
        return events

    def _line(self, line: str) -> list[Event]:
        words = line.split()
        if words == ["HELLO"]:
            return [ReadyEvent("fake")]
        if len(words) in (3, 5) and words[0] == "RNG":
            return [RangeEvent(words[1], *map(float, words[2:]))]
        if len(words) == 2 and words[0] == "ERR":
            return [FailEvent(words[1], "no answer")]
        if words and words[0].startswith("CYC"):
            tag = words[0].partition("@")[2]
            pairs = [word.split("=") for word in words[1:]]
            return [*(RangeEvent(a, float(m), tag=tag) for a, m in pairs), CycleEvent(tag)]
        raise ValueError(line)


def speaks(ranges: dict[str, float]) -> Callable[[bytes], bytes]:
    """The firmware: silent for anchors that are not in `ranges`."""

    def reply(line: bytes) -> bytes:
        words = line.decode("ascii", "replace").split()
        if words == ["?"]:
            return b"HELLO\n"
        if len(words) == 2 and words[1] in ranges:
            return f"RNG {words[1]} {ranges[words[1]]}\n".encode()
        return b""

    return reply


class FakeDevice:
    """Answers on a pseudo-terminal; `link` is a name that can point elsewhere after a replug."""

    def __init__(self, reply: Callable[[bytes], bytes], link: Path | None = None) -> None:
        self.reply = reply
        self.link = link
        self.heard: list[bytes] = []
        self.plugged = False
        self.reading = True
        self.plug()

    def plug(self) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)
        if self.link is not None:
            self.link.unlink(missing_ok=True)
            self.link.symlink_to(self.path)
        self.plugged = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        self.plugged = False
        self._thread.join()
        if self.link is not None:
            self.link.unlink()
        os.close(self.slave)
        os.close(self.master)

    def say(self, data: bytes) -> None:
        os.write(self.master, data)

    def _run(self) -> None:
        buffer = b""
        while self.plugged:
            if not self.reading:
                time.sleep(0.01)
                continue
            if not select.select([self.master], [], [], 0.01)[0]:
                continue
            *lines, buffer = (buffer + os.read(self.master, 4096)).split(b"\n")
            for line in lines:
                self.heard.append(line)
                os.write(self.master, self.reply(line))


NOBODY = 65534


@contextmanager
def refused(path: str) -> Iterator[Callable[[], None]]:
    """A port that the kernel refuses to this process; what is given allows it again.

    A superuser is refused nothing, so there the whole process is `nobody` meanwhile. Another
    process, which keeps the rights, allows it: at no time could this one open the port otherwise.
    """
    mode = Path(path).stat().st_mode & 0o777
    Path(path).chmod(0)
    keeper = subprocess.Popen(["sh", "-c", f"read go && chmod 666 {path}"], stdin=subprocess.PIPE)
    superuser = os.geteuid() == 0
    if superuser:
        os.seteuid(NOBODY)

    def allow() -> None:
        keeper.communicate(b"go\n", timeout=5)
        assert keeper.returncode == 0

    try:
        yield allow
    finally:
        if superuser:
            os.seteuid(0)
        keeper.kill()
        keeper.wait()
        if Path(path).exists():
            Path(path).chmod(mode)
