# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The serial driver over every emulated device: does it range, come back, bear a bad wire.

Each range tells when it was measured, as the emulated tag's distance grows by a metre a second: a
range that is older than its own exchange is `stale`. Nothing is timed on more than one device at
once, whatever `jobs` says. Without ROS 2 the overhead is left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tqdm import tqdm

from locdreamer_ros.benchmarks.result import Result, Row, Settings
from locdreamer_ros.driver.device import Device
from locdreamer_ros.driver.devices import all_devices
from locdreamer_ros.driver.emulator import Emulator
from locdreamer_ros.driver.ranger import Ranger
from locdreamer_ros.driver.session import Session
from locdreamer_ros.driver.transport import Transport
from locdreamer_ros.types import Anchors, RangeStatus

ANCHORS = 3
EPOCH_S = 0.3
"""Time for three ranges of the slowest device."""
START_S = 8.0
BAD_WIRE_S = 15.0
"""Of each trial with a fault, and of the same without."""
NEAREST_M, SPAN_M, SPEED = 1.0, 90.0, 1.0
"""Ranges grow by SPEED m/s from NEAREST_M over SPAN_M, then begin again."""
OVERHEAD_SCHEDULES = 1000
LATE = ("late", "duplicate", "wrong-id")
MARGIN_S = 0.05
"""Of a busy machine, and of a range's resolution in cm."""


def measured(anchor: str) -> float:
    """A range that tells the time."""
    del anchor
    return NEAREST_M + (time.monotonic() * SPEED) % SPAN_M


def age(metres: float) -> float:
    """Seconds since a range was measured, modulo 90 s."""
    age_s = (measured("") - metres) / SPEED % SPAN_M
    return age_s - SPAN_M if age_s > SPAN_M - 1.0 else age_s


class Bench:
    """One emulated device and a ranger on it."""

    def __init__(self, device: Device, folder: Path, seed: int) -> None:
        ids = device.ids(min(ANCHORS, device.capabilities.max_anchors))
        able = device.capabilities
        self.device = device
        self.emulator = Emulator(
            device.firmware(ids, measured),
            link=folder / device.name,
            baud=able.baud if device.uart else None,
            seed=seed,
        )
        session = Session(Transport(str(folder / device.name), able.baud), device.codec())
        self.ranger = Ranger(Anchors(ids, np.zeros((len(ids), 3))), session)
        self.rows = np.arange(len(ids))
        self.stale = 0

    def epoch(self) -> int:
        """Ask all anchors; how many gave a range."""
        answer = self.ranger.measure(self.rows, time.time() + EPOCH_S)
        good = answer.value[answer.status == RangeStatus.OK]
        ages = [age(float(metres)) for metres in good]
        self.stale += sum(old > self.oldest for old in ages)
        return len(ages)

    @property
    def oldest(self) -> float:
        """S that an honest range may be old when it is handed out: its exchange and an epoch."""
        able = self.device.capabilities
        period = able.range_timeout if able.schedulable else 2.0 / able.max_rate
        return EPOCH_S + period + MARGIN_S

    def wait(self) -> float:
        """Seconds until a range comes; infinite where none does in START_S."""
        begin = time.monotonic()
        while time.monotonic() - begin < START_S:
            if self.epoch():
                return time.monotonic() - begin
        return float("inf")

    def epochs(self, seconds: float) -> float:
        """Share of epochs with a range."""
        begin, good, asked = time.monotonic(), 0, 0
        while time.monotonic() - begin < seconds:
            good += self.epoch() > 0
            asked += 1
        return good / asked

    def close(self) -> None:
        """Unplug it."""
        self.ranger.session.close()
        self.emulator.close()


def examine(device: Device, folder: Path, times: int) -> Row:
    """One row: what the device does on a good wire and on bad ones."""
    bench = Bench(device, folder, seed=times)
    try:
        first = bench.wait()
        waits: dict[str, list[float]] = {"replug": [], "reboot": []}
        for number in range(times):
            bench.emulator.unplug()
            away = time.monotonic() + 0.3 + 0.37 * number % 3.0
            while time.monotonic() < away:
                bench.epoch()
            bench.emulator.plug()
            waits["replug"].append(bench.wait())
            bench.emulator.reboot()
            bench.ranger.measure(bench.rows, 0.0)  # what it had reported before does not count
            waits["reboot"].append(bench.wait())
        whole = bench.epochs(BAD_WIRE_S / 3.0)
        bench.emulator.faults = {"loss"}
        kept = bench.epochs(BAD_WIRE_S) / whole if whole else 0.0
        bench.emulator.faults = set(LATE)
        bench.stale = 0  # a lost digit is another range, not an old one
        bench.epochs(BAD_WIRE_S / 3.0)
    finally:
        bench.close()
    return {
        "device": device.name,
        "first_range_s": first,
        "replug_s_max": max(waits["replug"]),
        "reboot_s_max": max(waits["reboot"]),
        "epochs_with_a_range": whole,
        "epochs_kept_at_1e-3": min(kept, 1.0),
        "stale": bench.stale,
    }


def overhead(folder: Path) -> dict[str, float]:
    """Milliseconds that the driver node adds to an answer; empty without ROS 2."""
    if find_spec("rclpy") is None or find_spec("locdreamer_ros.msg") is None:
        return {}
    file = folder / "overhead.json"
    command = [sys.executable, "-m", "locdreamer_ros.nodes.driver_timing", "overhead"]
    subprocess.run(
        [*command, str(OVERHEAD_SCHEDULES), str(file)], check=True, stdout=subprocess.DEVNULL
    )
    found = json.loads(file.read_text(encoding="utf-8"))
    return {f"overhead_{key}": float(found[key]) for key in ("ms_p50", "ms_p99", "busy_ms_p50")}


def run(settings: Settings) -> Result:
    """Every device, each unplugged and rebooted once for each seed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [
            examine(device, folder, len(settings.seeds))
            for device in tqdm(all_devices(), desc="devices", delay=1.0, leave=False)
        ]
        spent = overhead(folder)
    return Result(
        rows=rows,
        claims={
            "families": sum(bool(np.isfinite(row["first_range_s"])) for row in rows),
            "recovery_s_max": max(max(r["replug_s_max"], r["reboot_s_max"]) for r in rows),
            **spent,
            "epochs_kept_at_1e-3": min(row["epochs_kept_at_1e-3"] for row in rows),
            "stale_accepted": sum(row["stale"] for row in rows),
        },
        columns={
            "device": "device",
            "first_range_s": "first range s",
            "replug_s_max": "after a replug s",
            "reboot_s_max": "after a reboot s",
            "epochs_with_a_range": "epochs with a range",
            "epochs_kept_at_1e-3": "kept at 1e-3 of bytes lost",
            "stale": "stale ranges",
        },
        draw=lambda path: _draw(path, rows),
        notes=[
            f"Three anchors, {EPOCH_S:g} s for each epoch; each device unplugged and rebooted "
            f"{len(settings.seeds)} times."
        ],
    )


def _draw(path: Path, rows: list[Row]) -> None:
    from locdreamer_ros.evaluation.plots import plot_bars

    series = {
        heading: [(row[key], 0.0) for row in rows]
        for key, heading in (("replug_s_max", "replug"), ("reboot_s_max", "reboot"))
    }
    names = [row["device"] for row in rows]
    plot_bars(path, names, series, ylabel="time to the next range, at most [s]", title="Recovery")
