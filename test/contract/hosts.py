# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Source, tracker and evaluator on three hosts, joined by a network that is not good.

Run as a program it measures what weather costs, and prints it as JSON. It needs a network namespace
of its own: start it by `ALONE`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
ALONE = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
"""Before a command: what it makes of networks is gone with it."""
HOSTS = ("source", "tracker", "evaluator")
START_S = 60.0
RATE_HZ = 10.0
CUT_S = 5.0
PROFILE = ROOT / "config" / "lossy_network.xml"
WEATHERS: dict[str, dict[str, float]] = {
    "clean": {},
    "5 % lost": {"loss": 0.05},
    "30 % lost": {"loss": 0.3},
    "bad line": {"loss": 0.01, "delay": 0.005, "jitter": 0.02, "duplicate": 0.05, "reorder": 0.1},
}
"""Of each frame between two hosts, as fields of `switch.Weather`."""


class Network:
    """Hosts, by name, and the switch between them; ended with the block."""

    def __init__(self, folder: Path, *, profile: Path | None = PROFILE) -> None:
        self._folder = folder
        self.environments: dict[str, dict[str, str]] = {}
        """Of single processes, by their names, besides what all have."""
        self._running: list[subprocess.Popen[str]] = []
        holders = [self._run(["unshare", "--net", "sleep", "infinity"]) for _ in HOSTS]
        self._pids = {name: each.pid for name, each in zip(HOSTS, holders, strict=True)}
        for pid in self._pids.values():
            until(lambda: namespace_of(pid) != namespace_of("self"), "a namespace")  # noqa: B023
        command = [sys.executable, str(HERE / "switch.py"), *map(str, self._pids.values())]
        self._switch = self._run(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._switch.stdout is not None
        assert self._switch.stdout.readline() == "ready\n"
        self._environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
            "OMP_NUM_THREADS": "1",
            "HOME": str(folder),
        }
        if profile is not None:
            self._environment["FASTDDS_DEFAULT_PROFILES_FILE"] = str(profile)

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        for running in reversed(self._running):
            running.terminate()
        for running in self._running:
            try:
                running.wait(10.0)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()

    def _run(self, command: list[str], **options: Any) -> subprocess.Popen[str]:
        self._running.append(subprocess.Popen(command, text=True, **options))
        return self._running[-1]

    def weather(self, **fields: Any) -> None:
        """From now on: fields of `switch.Weather`."""
        assert self._switch.stdin is not None
        self._switch.stdin.write(json.dumps(fields) + "\n")
        self._switch.stdin.flush()

    def start(self, host: str, name: str, command: list[str]) -> subprocess.Popen[str]:
        """A Python program on a host; what it says goes to NAME.log."""
        inside = ["nsenter", f"--net=/proc/{self._pids[host]}/ns/net", sys.executable, *command]
        with (self._folder / f"{name}.log").open("w") as log:
            env = {**self._environment, **self.environments.get(name, {})}
            return self._run(inside, env=env, stdout=log, stderr=subprocess.STDOUT)

    def node(self, host: str, name: str, **parameters: Any) -> subprocess.Popen[str]:
        """A node of the package on a host."""
        path = self._folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
        module = ["-m", f"locdreamer_ros.nodes.{name}", "--ros-args", "--params-file", str(path)]
        return self.start(host, name, module)


def namespace_of(process: int | str) -> Path:
    """The network namespace of a process."""
    return Path(f"/proc/{process}/ns/net").readlink()


def fixes(path: Path) -> list[tuple[float, ...]]:
    """What the probe has written: monotonic s, stamp s, x, y m."""
    if not path.exists():
        return []
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return [tuple(map(float, line.split())) for line in whole.splitlines()]


def until(reached: Any, what: str, patience: float = START_S) -> None:
    """Wait for something."""
    end = time.monotonic() + patience
    while not reached():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {patience} s for {what}")
        time.sleep(0.02)


def graph(
    network: Network, folder: Path, *, mode: str, seconds: float, speed: float
) -> dict[str, subprocess.Popen[str]]:
    """Start a source (`ticks`) or a `driver`, a tracker and an evaluator; the driver, by name."""
    started: dict[str, subprocess.Popen[str]] = {}
    shared = {"rate": 0.0 if mode == "ticks" else RATE_HZ}
    if mode == "ticks":
        network.node(
            "source",
            "source_node",
            duration=seconds,
            sample_rate=RATE_HZ,
            speed=speed,
            listeners=2,
            clock=False,
        )
    else:
        from locdreamer_ros.datasets.range_table import save_anchors
        from locdreamer_ros.driver.emulator import device_anchors
        from locdreamer_ros.simulation import make_world

        save_anchors(folder / "site.csv", device_anchors("decar", make_world("house", 0))[0])
        link, epochs = str(folder / "uwb"), round(seconds * RATE_HZ)
        network.node("source", "emulator_node", device="decar", link=link, epochs=epochs)
        anchors = str(folder / "site.csv")
        started["driver_node"] = network.node(
            "source", "driver_node", device="decar", port=link, anchors_file=anchors
        )
    network.node("tracker", "tracker_node", **shared)
    paced_by = "source_node" if mode == "ticks" else "emulator_node"
    network.node(
        "evaluator", "evaluator_node", trackers="tracker_node", source=paced_by, output=str(folder)
    )
    return started


def during(path: Path, seconds: float) -> list[tuple[float, ...]]:
    """The fixes of the next seconds."""
    begin = time.monotonic()
    time.sleep(seconds)
    return [fix for fix in fixes(path) if fix[0] >= begin]


def recorded(loss: float, *, profile: Path | None = PROFILE) -> dict[str, int]:
    """The evaluator's accounts of a recording of 60 epochs, played as fast as it is answered.

    Frames are lost from the very start.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Network(folder, profile=profile) as network:
            network.weather(loss=loss)
            graph(network, folder, mode="ticks", seconds=5.95, speed=0.0)
            result = folder / "metrics.json"
            until(result.exists, "the end of the recording")
            accounts: dict[str, int] = json.loads(result.read_text())["accounts"]
            return accounts


def measured(mode: str, seconds: float, *, profile: Path | None = PROFILE) -> dict[str, Any]:
    """What each weather leaves of the fixes (share), the longest gap and the healing (s)."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, Network(Path(name), profile=profile) as network:
        graph(network, Path(name), mode=mode, seconds=86_000.0, speed=1.0)
        path = Path(name) / "fixes"
        network.start("tracker", "probe", [str(HERE / "probe.py"), str(path)])
        until(lambda: fixes(path), "a first fix")
        for label, weather in WEATHERS.items():
            time.sleep(5.0)  # what the last one has held up
            network.weather(**weather)
            times = [fix[0] for fix in during(path, seconds)]
            gaps = [later - sooner for sooner, later in pairwise(times)]
            kept = min(len(times) / (RATE_HZ * seconds), 1.0)
            found[label] = {"kept": kept, "gap_s": max(gaps, default=seconds)}
            network.weather()
        for host in ("source", "tracker"):
            time.sleep(5.0)
            network.weather(apart=[HOSTS.index(host)])
            time.sleep(CUT_S)
            network.weather()
            healed = time.monotonic()
            until(lambda: fixes(path)[-1][0] > healed, "a fix after the partition")  # noqa: B023
            first = next(fix[0] for fix in fixes(path) if fix[0] > healed)
            found[f"{host} cut off"] = {"healed_s": first - healed}
    return found


def main(what: str, number: float, *more: str) -> None:
    """`recorded LOSS`, `ticks SECONDS` or `driver SECONDS`; `default`: without our profile."""
    profile = None if "default" in more else PROFILE
    if what == "recorded":
        print(json.dumps(recorded(number, profile=profile)))
    else:
        print(json.dumps(measured(what, number, profile=profile)))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *sys.argv[3:])
