# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An Ethernet switch in user space between network namespaces, which loses and delays frames.

Kernels without `netem` can do without: each port is a TAP device moved into a namespace. Runs as
`python test/contract/switch.py PID...`, a port for the namespace of each process, and reads what to
do from stdin, a JSON object a line with fields of `Weather`; says `ready` once it carries.
"""

from __future__ import annotations

import dataclasses
import fcntl
import heapq
import json
import os
import random
import selectors
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
FRAME = 65536
MOST_WAITING = 20_000
"""Frames under way; what exceeds it is dropped, as a switch does."""


@dataclass(frozen=True)
class Weather:
    """What happens to a frame on its way from one port to another.

    loss, duplicate, reorder: probabilities; delay s, and up to `jitter` s more; a reordered frame
    waits `held` s longer. apart: ports that are cut off from the others.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    held: float = 0.02
    apart: tuple[int, ...] = ()


def tap(name: str) -> int:
    """A new TAP device, by its descriptor."""
    port = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(port, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return port


def plug(name: str, process: int, address: str) -> None:
    """Move a device into the namespace of a process and bring it up there."""
    inside = ["nsenter", f"--net=/proc/{process}/ns/net", "ip"]
    for command in (
        ["ip", "link", "set", name, "netns", str(process)],
        [*inside, "link", "set", "lo", "up"],
        [*inside, "addr", "add", f"{address}/24", "dev", name],
        [*inside, "link", "set", name, "up"],
        [*inside, "route", "add", "224.0.0.0/4", "dev", name],
    ):
        subprocess.run(command, check=True)


def run(processes: list[int], seed: int = 0) -> None:
    """Carry frames until stdin ends."""
    names = [f"uwb{number}" for number in range(len(processes))]
    ports = [tap(name) for name in names]
    for number, (name, process) in enumerate(zip(names, processes, strict=True)):
        plug(name, process, f"10.77.0.{number + 1}")
    rng, weather = random.Random(seed), Weather()
    known: dict[bytes, int] = {}
    waiting: list[tuple[float, int, int, bytes]] = []
    sent = 0
    watch = selectors.DefaultSelector()
    for number, port in enumerate(ports):
        watch.register(port, selectors.EVENT_READ, number)
    os.set_blocking(0, False)
    watch.register(0, selectors.EVENT_READ, None)
    told = b""
    print("ready", flush=True)
    while True:
        patience = max(waiting[0][0] - time.monotonic(), 0.0) if waiting else None
        for key, _ in watch.select(patience):
            if key.data is None:
                said = os.read(0, FRAME)
                if not said:
                    return
                *lines, told = (told + said).split(b"\n")
                for line in lines:
                    weather = dataclasses.replace(Weather(), **json.loads(line))
                continue
            frame = os.read(ports[key.data], FRAME)
            known[frame[6:12]] = key.data
            there = known.get(frame[:6])  # None: to all
            others = [p for p in range(len(ports)) if p != key.data and there in (None, p)]
            for other in others:
                if (key.data in weather.apart) != (other in weather.apart):
                    continue
                for _ in range(2 if rng.random() < weather.duplicate else 1):
                    if rng.random() < weather.loss or len(waiting) > MOST_WAITING:
                        continue
                    late = weather.delay + rng.uniform(0.0, weather.jitter)
                    late += weather.held * (rng.random() < weather.reorder)
                    sent += 1
                    heapq.heappush(waiting, (time.monotonic() + late, sent, other, frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, other, frame = heapq.heappop(waiting)
            with suppress(BlockingIOError):  # its queue is full
                os.write(ports[other], frame)


if __name__ == "__main__":
    run([int(word) for word in sys.argv[1:]])
