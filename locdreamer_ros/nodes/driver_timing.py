# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the serial driver costs in the graph, measured with real messages; see docs/driver.md.

overhead: from the device's write of an answer's last byte to the message published. parts: from a
fix's stamp to its pose, three ranges asked at once (`gdop`) or one by one (`sequential`).
endurance: memory, descriptors and threads of a driver_node under 50 schedules a second, unplugged
once a minute. Devices run in processes of their own. `locdreamer benchmark driver` runs the first;
alone:

    python -m locdreamer_ros.nodes.driver_timing parts | endurance [SECONDS] [FILE]
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.executors import ExternalShutdownException
from tqdm import tqdm

from locdreamer_ros.datasets.range_table import save_anchors
from locdreamer_ros.driver.devices import get_device
from locdreamer_ros.driver.emulator import Emulator
from locdreamer_ros.msg import AnchorSchedule, RangeArray, TrackerStatus
from locdreamer_ros.nodes.conversions import to_schedule
from locdreamer_ros.nodes.driver_node import DriverNode
from locdreamer_ros.nodes.lifecycle import LOSSLESS
from locdreamer_ros.nodes.running import make_executor
from locdreamer_ros.stamps import nanoseconds
from locdreamer_ros.types import Anchors, RangeStatus

IDS = ("1", "2", "3")
PLACES = np.array([[0.0, 0.0, 2.0], [8.0, 0.0, 2.0], [0.0, 8.0, 2.0]])
SITE = Anchors(IDS, PLACES)
RATE_HZ = 50.0
DOMAIN = 63
Found = dict[str, Any]


def device(name: str, link: str, instant: bool, control: Connection, written: Any) -> None:
    """The module's process: its firmware with its timing, or a DECAR that answers at once.

    The latter leaves the time of each write in `written`, so that the radio does not count.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not instant:
        # Never the same twice: a DWM1001 that repeats a fix has no new one.
        record = get_device(name)
        firmware = record.firmware(record.ids(len(IDS)), lambda _: random.uniform(4.9, 5.1))
        emulator = Emulator(firmware, link=Path(link))
        control.send("up")
        while (word := control.recv()) != "close":
            getattr(emulator, word)()
            control.send(time.monotonic())
        emulator.close()
        return
    master, slave = os.openpty()
    tty.setraw(slave)
    Path(link).symlink_to(os.ttyname(slave))
    control.send("up")
    board = get_device("decar").firmware(IDS, lambda _: 5.0)
    buffer, count = b"", 0
    while True:
        *commands, buffer = (buffer + os.read(master, 4096)).split(b"\r")
        for command in commands:
            if command == b"C01":
                os.write(master, b"R01|4\r\n")
                continue
            ((_, answer),) = board.feed(command + b"\r")
            written[count % len(written)] = time.monotonic_ns()
            os.write(master, answer)
            count += 1


@contextmanager
def module(
    folder: Path, *, name: str = "decar", instant: bool = False
) -> Iterator[tuple[Path, Connection, Any]]:
    """A module in its own process: its port, its remote control, its times of writing."""
    link = folder / "usb-module"
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    written = context.Array("q", 1 << 16, lock=False)
    process = context.Process(target=device, args=(name, str(link), instant, theirs, written))
    process.start()
    ours.recv()
    try:
        yield link, ours, written
    finally:
        process.terminate()
        process.join()
        link.unlink(missing_ok=True)


def percentiles(values: np.ndarray, *which: float) -> list[float]:
    """Rounded percentiles."""
    return [round(float(p), 3) for p in np.percentile(values, which)]


def overhead(folder: Path, schedules: int) -> Found:
    """Milliseconds from the last byte written by the device to the message published.

    busy: the part of it that is the driver's own processor time, from the last read on; the rest
    is the machine's, until it wakes the thread.
    """
    save_anchors(folder / "site.csv", SITE)
    with module(folder, instant=True) as (port, _, written):
        given = {"port": port, "anchors_file": folder / "site.csv"}
        arguments = [f"{name}:={value}" for name, value in given.items()]
        rclpy.init(args=["--ros-args", *[w for a in arguments for w in ("-p", a)]])
        node = DriverNode()
        node.trigger_configure()
        node.trigger_activate()
        published: list[int] = []
        busy: list[int] = []  # ns of the ranging thread's processor time
        out = threading.Event()
        publisher, real = node._ranges, node._ranges.publish
        transport: Any = node._session.transport
        listened, heard_at = transport.read, [0]

        def read(wait: float) -> bytes:
            data = listened(wait)
            heard_at[0] = time.thread_time_ns()
            return data

        def publish(message: Any) -> None:
            real(message)
            if all(entry.status == RangeStatus.OK for entry in message.ranges):
                published.append(time.monotonic_ns())
                busy.append(time.thread_time_ns() - heard_at[0])
                out.set()

        publisher.publish, transport.read = publish, read
        executor, over = make_executor(), threading.Event()
        executor.add_node(node)

        def spin() -> None:
            while not over.is_set():
                executor.spin_once(timeout_sec=0.2)

        spinning = threading.Thread(target=spin)
        spinning.start()
        listener = subprocess.Popen(
            [sys.executable, "-m", "locdreamer_ros.nodes.driver_timing", "listen"]
        )
        while publisher.get_subscription_count() == 0:
            time.sleep(0.05)
        rows = np.arange(3)
        spent: list[float] = []
        for sequence in tqdm(range(schedules), desc="overhead", leave=False, disable=None):
            ns = time.time_ns()
            message = to_schedule(
                rows,
                SITE,
                ns=ns,
                deadline=ns + 10**9,
                sequence=sequence,
                tag="",
                frame="map",
            )
            before = len(published)
            node._on_schedule(message)
            out.wait(2.0)  # no polling: that would take the interpreter from the driver
            out.clear()
            if len(published) > before and sequence >= 50:  # the first warm up
                spent.append((published[-1] - max(written)) * 1e-6)
            time.sleep(max(0.0, 1.0 / RATE_HZ - (time.time_ns() - ns) * 1e-9))
        listener.terminate()
        over.set()
        spinning.join()
        node.close()
        node.destroy_node()
        rclpy.try_shutdown()
    p50, p99, most = percentiles(np.array(spent), 50, 99, 100)
    (busy_p50,) = percentiles(np.array(busy[50:]) * 1e-6, 50)
    return {
        "schedules": len(spent),
        "ms_p50": p50,
        "ms_p99": p99,
        "ms_max": most,
        "busy_ms_p50": busy_p50,
    }


def usage(process: int) -> tuple[float, int, int]:
    """Resident MB, open descriptors and threads of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    words = dict(line.split(":\t", 1) for line in status.splitlines())
    descriptors = sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())
    return int(words["VmRSS"].split()[0]) / 1024.0, descriptors, int(words["Threads"])


@contextmanager
def process(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A module of the package as a user runs it, ended with the block."""
    command = [sys.executable, "-m", f"locdreamer_ros.{module}", *arguments]
    running = subprocess.Popen(command, env={"OMP_NUM_THREADS": "1", **os.environ})
    try:
        yield running
        running.send_signal(signal.SIGINT)
        running.wait(timeout=10)
    finally:
        running.kill()


def given(**parameters: object) -> list[str]:
    """Arguments that set the parameters of a node."""
    pairs = [f"{name}:={value}" for name, value in parameters.items()]
    return ["--ros-args", *(word for pair in pairs for word in ("-p", pair))]


def node_process(port: Path, anchors: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """A driver_node."""
    return process("nodes.driver_node", *given(port=port, anchors_file=anchors))


def parts(folder: Path, rounds: int, seconds: float) -> Found:
    """Milliseconds from a fix's stamp to its pose, by turns to even out the load of the machine."""
    port, site = folder / "uwb", folder / "site.csv"
    spent: dict[str, list[float]] = {"gdop": [], "sequential": []}
    asked: dict[str, list[int]] = {"gdop": [], "sequential": []}
    rclpy.init()
    client = rclpy.create_node("parts")
    try:
        with process("cli", "emulate", "decar", "--link", str(port), "--anchors", str(site)):
            while not (port.exists() and site.exists()):
                time.sleep(0.1)
            with node_process(port, site):
                for scheduler in tqdm([*spent] * rounds, "parts", leave=False, disable=None):
                    times: list[float] = []
                    statuses: list[int] = []

                    def heard(pose: Any, times: list[float] = times) -> None:
                        times.append((time.time_ns() - nanoseconds(pose.header.stamp)) * 1e-6)

                    def told(status: Any, statuses: list[int] = statuses) -> None:
                        statuses.append(status.ranges_used)

                    node = "tracker_node"
                    listening = [
                        client.create_subscription(kind, f"{node}/{topic}", callback, LOSSLESS)
                        for kind, topic, callback in (
                            (PoseWithCovarianceStamped, "pose", heard),
                            (TrackerStatus, "status", told),
                        )
                    ]
                    parameters = given(scheduler=scheduler, rate=5.0, tag_height=1.2)
                    with process("nodes.tracker_node", *parameters):
                        begin = time.monotonic()
                        while time.monotonic() - begin < seconds or len(times) < 30:
                            rclpy.spin_once(client, timeout_sec=0.05)
                    for subscription in listening:
                        client.destroy_subscription(subscription)
                    spent[scheduler] += times[10:]  # the first warm up
                    asked[scheduler] += statuses[10:]
    finally:
        client.destroy_node()
        rclpy.try_shutdown()
    found: Found = {}
    for scheduler, times in spent.items():
        p50, p90, p99 = percentiles(np.array(times), 50, 90, 99)
        ranges = round(float(np.mean(asked[scheduler])), 2)
        found[scheduler] = {
            "fixes": len(times),
            "ranges_used": ranges,
            "p50_ms": p50,
            "p90_ms": p90,
            "p99_ms": p99,
        }
    return found


def endurance(folder: Path, seconds: float) -> Found:
    """A driver_node for `seconds`: what it used early and late, and what it answered."""
    save_anchors(folder / "site.csv", SITE)
    counts = {"answers": 0, "ranges": 0}

    def count(message: Any) -> None:
        counts["answers"] += 1
        counts["ranges"] += sum(entry.status == RangeStatus.OK for entry in message.ranges)

    samples: list[tuple[float, float, int, int]] = []
    asked, plugged = 0, True
    with module(folder) as (port, control, _), node_process(port, folder / "site.csv") as node:
        rclpy.init()
        client = rclpy.create_node("endurance")
        client.create_subscription(RangeArray, "uwb/ranges", count, LOSSLESS)
        schedule = client.create_publisher(AnchorSchedule, "uwb/schedule", LOSSLESS)
        while schedule.get_subscription_count() == 0 or client.count_publishers("uwb/ranges") == 0:
            rclpy.spin_once(client, timeout_sec=0.05)
        begin = time.monotonic()
        bar = tqdm(total=int(seconds), desc="endurance", leave=False, disable=None)
        while (now := time.monotonic() - begin) < seconds:
            if now * RATE_HZ >= asked:
                ns = time.time_ns()
                message = to_schedule(
                    np.arange(3),
                    SITE,
                    ns=ns,
                    deadline=ns + round(0.9e9 / RATE_HZ),
                    sequence=asked,
                    tag="",
                    frame="map",
                )
                schedule.publish(message)
                asked += 1
            # Once a minute half a second without the module: descriptors would leak here.
            away = 30.0 < now % 60.0 < 30.5
            if away == plugged:
                plugged = not away
                control.send("plug" if plugged else "unplug")
                control.recv()
            if now >= len(samples) * 2.0:
                samples.append((now, *usage(node.pid)))
                bar.update(int(now) - bar.n)
            rclpy.spin_once(client, timeout_sec=0.004)
        bar.close()
        client.destroy_node()
        rclpy.try_shutdown()
    # The first tenth warms up; growth is that of the rest, end against beginning.
    table = np.array(samples[len(samples) // 10 :])
    edge = max(len(table) // 10, 1)
    growth = np.median(table[-edge:], axis=0) - np.median(table[:edge], axis=0)
    return {
        "seconds": round(seconds),
        "schedules": asked,
        **counts,
        "exit_status": node.returncode,
        "rss_mb": round(float(np.median(table[:, 1])), 1),
        "rss_growth_mb": round(float(growth[1]), 2),
        "descriptors": int(np.median(table[:, 2])),
        "descriptor_growth": int(growth[2]),
        "threads": int(np.median(table[:, 3])),
        "thread_growth": int(growth[3]),
    }


def listen() -> None:
    """A process that takes in the ranges, so that publishing them is real work."""
    rclpy.init()
    node = rclpy.create_node("listener")
    node.create_subscription(RangeArray, "uwb/ranges", lambda _: None, LOSSLESS)
    with suppress(ExternalShutdownException):  # the benchmark ends it
        rclpy.spin(node)


def main() -> None:
    """Run one of them and print it, or write it, as JSON."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(DOMAIN))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    what, *rest = sys.argv[1:]
    if what == "listen":
        listen()
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if what == "endurance":
            found = endurance(folder, float(rest[0]) if rest else 60.0)
        elif what == "parts":
            found = parts(folder, 3, 16.0)
        else:
            found = overhead(folder, int(rest[0]))
    text = json.dumps({**found, "load": round(os.getloadavg()[0], 1)}, indent=2)
    if len(rest) > 1:
        Path(rest[1]).write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
