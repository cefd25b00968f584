# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the driver itself costs, how fast it comes back, and whether it grows; see docs/driver.md.

    python benchmarks/driver.py [overhead rate recovery parts endurance] [--endurance 60]

overhead: from the device's write of an answer's last byte to the message published. rate: fixes/s
of three ranges against a bare loop that writes and reads the same bytes. recovery: from the
device's return to the first answer with a range, of every device. parts: from a fix's stamp to its
pose, three ranges asked at once (`gdop`) or one by one (`sequential`). endurance: memory,
descriptors and threads of a driver_node under 50 schedules a second, unplugged once a minute.
Devices run in processes of their own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
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
from tqdm import tqdm

from locdreamer_ros.datasets.range_table import save_anchors
from locdreamer_ros.driver.devices import CODECS, make_codec, make_firmware
from locdreamer_ros.driver.emulator import Emulator, device_ids
from locdreamer_ros.driver.ranger import Ranger
from locdreamer_ros.driver.session import Session
from locdreamer_ros.driver.transport import Transport
from locdreamer_ros.types import Anchors, RangeStatus

IDS = ("1", "2", "3")
PLACES = np.array([[0.0, 0.0, 2.0], [8.0, 0.0, 2.0], [0.0, 8.0, 2.0]])
SITE = Anchors(IDS, PLACES)
ANSWER = (
    b"R05|%b|5.0000|0|4029487283|51121000|4080610000|146000000|4175000000|-82.1|-81.7|0.5|-0.4\r\n"
)
SLOWEST_S = 0.3
"""Time for three ranges of the slowest device."""
RATE_HZ = 50.0
DOMAIN = 63
Result = dict[str, Any]


def device(name: str, link: str, instant: bool, control: Connection, written: Any) -> None:
    """The module's process: its firmware with its timing, or a DECAR that answers at once.

    The latter leaves the time of each write in `written`, so that the radio does not count.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not instant:
        # Never the same twice: a DWM1001 that repeats a fix has no new one.
        firmware = make_firmware(
            name, device_ids(name, len(IDS)), lambda _: random.uniform(4.9, 5.1)
        )
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
    buffer, count = b"", 0
    while True:
        *commands, buffer = (buffer + os.read(master, 4096)).split(b"\r")
        for command in commands:
            if command == b"C01":
                os.write(master, b"R01|4\r\n")
                continue
            answer = ANSWER % command.split(b"|")[1]
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


def make_ranger(port: Path, name: str = "decar") -> Ranger:
    """A ranger on the module."""
    site = Anchors(device_ids(name, len(IDS)), PLACES)
    return Ranger(site, Session(Transport(str(port), 115200), make_codec(name)))


def percentiles(values: np.ndarray, *which: float) -> list[float]:
    """Rounded percentiles."""
    return [round(float(p), 3) for p in np.percentile(values, which)]


def overhead(folder: Path, schedules: int) -> Result:
    """Milliseconds from the last byte written by the device to the message published."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    from locdreamer_ros.nodes.conversions import to_schedule
    from locdreamer_ros.nodes.driver_node import DriverNode

    save_anchors(folder / "site.csv", SITE)
    with module(folder, instant=True) as (port, _, written):
        given = {"port": port, "anchors_file": folder / "site.csv"}
        arguments = [f"{name}:={value}" for name, value in given.items()]
        rclpy.init(args=["--ros-args", *[w for a in arguments for w in ("-p", a)]])
        node = DriverNode()
        node.trigger_configure()
        node.trigger_activate()
        published: list[int] = []
        publisher, real = node._ranges, node._ranges.publish

        def publish(message: Any) -> None:
            real(message)
            if all(entry.status == RangeStatus.OK for entry in message.ranges):
                published.append(time.monotonic_ns())

        publisher.publish = publish
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        threading.Thread(target=executor.spin, daemon=True).start()
        listener = subprocess.Popen([sys.executable, __file__, "--listen"])
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
            end = time.monotonic() + 2.0
            while len(published) == before and time.monotonic() < end:
                time.sleep(0.0005)
            if len(published) > before and sequence >= 50:  # the first warm up
                spent.append((published[-1] - max(written)) * 1e-6)
            time.sleep(max(0.0, 1.0 / RATE_HZ - (time.time_ns() - ns) * 1e-9))
        listener.terminate()
        executor.shutdown()
        node.close()
        node.destroy_node()
        rclpy.try_shutdown()
    p50, p99, most = percentiles(np.array(spent), 50, 99, 100)
    return {"schedules": len(spent), "p50_ms": p50, "p99_ms": p99, "max_ms": most}


def bare_loop(port: Path, seconds: float) -> float:
    """Fixes/s of three ranges with nothing but write and read."""
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(descriptor)
    begin, fixes = time.monotonic(), 0
    while time.monotonic() - begin < seconds:
        for anchor in IDS:
            os.write(descriptor, b"C05|%b|0|1|0\r" % anchor.encode())
            answer = b""
            while not answer.endswith(b"\n"):
                answer += os.read(descriptor, 4096)
        fixes += 1
    rate = fixes / (time.monotonic() - begin)
    os.close(descriptor)
    return rate


def rate(folder: Path, rounds: int, seconds: float) -> Result:
    """Share of the radio's own maximum rate, by turns to even out the load of the machine."""
    bare, ours, lost = [], [], 0
    with module(folder) as (port, _, _):
        for _ in tqdm(range(rounds), desc="rate", leave=False, disable=None):
            bare.append(bare_loop(port, seconds))
            ranger = make_ranger(port)
            ranger.measure(np.arange(3), time.time() + 2.0)
            begin, fixes = time.monotonic(), 0
            while time.monotonic() - begin < seconds:
                answer = ranger.measure(np.arange(3), time.time() + 1.0)
                lost += int((answer.status != RangeStatus.OK).sum())
                fixes += 1
            ours.append(fixes / (time.monotonic() - begin))
            ranger.session.close()
    share = np.array(ours) / np.array(bare)
    return {
        "rounds": rounds,
        "radio_fixes_per_s": round(float(np.median(bare)), 2),
        "driver_fixes_per_s": round(float(np.median(ours)), 2),
        "share_median": round(float(np.median(share)), 4),
        "share_min": round(float(share.min()), 4),
        "ranges_lost": lost,
    }


def recovery(folder: Path, times: int) -> Result:
    """Seconds from the device's return to the first answer with a range, of every device."""
    return {name: recovery_of(name, folder, times) for name in CODECS}


def recovery_of(name: str, folder: Path, times: int) -> Result:
    """Of one device."""
    waits: dict[str, list[float]] = {"replug": [], "reboot": []}
    with module(folder, name=name) as (port, control, _):
        ranger = make_ranger(port, name)
        ranger.measure(np.arange(3), time.time() + 4.0)
        for i in tqdm(range(2 * times), desc=name, leave=False, disable=None):
            event = ("replug", "reboot")[i % 2]
            if event == "replug":
                control.send("unplug")
                control.recv()
                away = time.monotonic() + 0.3 + 0.37 * i % 3.0
                while time.monotonic() < away:
                    ranger.measure(np.arange(3), time.time() + 0.05)
                control.send("plug")
            else:
                control.send("reboot")
            back = control.recv()
            ranger.measure(np.arange(3), 0.0)  # what a device had reported before does not count
            while not (ranger.measure(np.arange(3), time.time() + SLOWEST_S).status == 0).any():
                pass
            waits[event].append(time.monotonic() - back)
        ranger.session.close()
    return {
        event: dict(zip(("median_s", "max_s"), percentiles(np.array(found), 50, 100), strict=True))
        for event, found in waits.items()
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


def parts(folder: Path, rounds: int, seconds: float) -> Result:
    """Milliseconds from a fix's stamp to its pose, by turns to even out the load of the machine."""
    import rclpy
    from geometry_msgs.msg import PoseWithCovarianceStamped
    from locdreamer_ros.msg import TrackerStatus

    from locdreamer_ros.nodes.conversions import nanoseconds
    from locdreamer_ros.nodes.lifecycle import LOSSLESS

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
    found: Result = {}
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


def endurance(folder: Path, seconds: float) -> Result:
    """A driver_node for `seconds`: what it used early and late, and what it answered."""
    import rclpy
    from locdreamer_ros.msg import AnchorSchedule, RangeArray

    from locdreamer_ros.nodes.conversions import to_schedule
    from locdreamer_ros.nodes.lifecycle import LOSSLESS

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
    import rclpy
    from locdreamer_ros.msg import RangeArray
    from rclpy.executors import ExternalShutdownException

    from locdreamer_ros.nodes.lifecycle import LOSSLESS

    rclpy.init()
    node = rclpy.create_node("listener")
    node.create_subscription(RangeArray, "uwb/ranges", lambda _: None, LOSSLESS)
    with suppress(ExternalShutdownException):  # the benchmark ends it
        rclpy.spin(node)


def main() -> None:
    """Run what was asked for and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ("overhead", "rate", "recovery", "parts", "endurance")
    parser.add_argument("parts", nargs="*", choices=[*names, []], help="which measurements (all)")
    parser.add_argument("--endurance", type=float, default=60.0, metavar="S", help="length (60)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--listen", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("ROS_DOMAIN_ID", str(DOMAIN))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    if options.listen:
        listen()
        return
    result: Result = {"machine": platform.platform(), "cpus": os.cpu_count()}
    measure = {
        "overhead": lambda folder: overhead(folder, 3000),
        "rate": lambda folder: rate(folder, 6, 4.0),
        "recovery": lambda folder: recovery(folder, 6),
        "parts": lambda folder: parts(folder, 3, 16.0),
        "endurance": lambda folder: endurance(folder, options.endurance),
    }
    for part in options.parts or names:
        load = round(os.getloadavg()[0], 1)
        with tempfile.TemporaryDirectory() as folder:
            result[part] = {**measure[part](Path(folder)), "load_before": load}
        print(part, json.dumps(result[part]), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
