# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two sites on two hosts: network namespaces joined by a cable, ROS namespaces and domains."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")

from locdreamer_ros.nodes.processes import node_environment

pytestmark = pytest.mark.skipif(shutil.which("ip") is None, reason="needs ip of iproute2")
SITES = ("hall_1", "hall_2")
HEARD = """
import sys
from time import monotonic
import rclpy
from nav_msgs.msg import Odometry
rclpy.init()
node, counts = rclpy.create_node("gateway"), {}
for site in sys.argv[1:3]:
    def hear(message, site=site):
        counts[site] = counts.get(site, 0) + 1
    node.create_subscription(Odometry, f"/{site}/tracker_node/odometry", hear, 10)
deadline = monotonic() + float(sys.argv[3])
while monotonic() < deadline and any(counts.get(s, 0) < 5 for s in sys.argv[1:3]):
    rclpy.spin_once(node, timeout_sec=0.1)
print(*(s for s in sys.argv[1:3] if counts.get(s, 0) >= 5))
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture(name="hosts")
def two_hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces that see each other and nobody else."""
    hosts = tuple(f"uwb{os.getpid()}{end}" for end in "ab")
    try:
        for host in hosts:
            ip("netns", "add", host)
        ends = ("eth0", "netns", hosts[0], "type", "veth", "peer", "eth0", "netns", hosts[1])
        ip("link", "add", *ends)
        for number, host in enumerate(hosts, 1):
            ip("-n", host, "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", host, "link", "set", device, "up", "multicast", "on")
            ip("-n", host, "route", "add", "default", "dev", "eth0")
    except subprocess.CalledProcessError as error:
        for host in hosts:
            subprocess.run(["ip", "netns", "delete", host], check=False, capture_output=True)
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    yield hosts
    for host in hosts:
        ip("netns", "delete", host)


class Apart:
    """Processes on hosts, which end with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []

    def command(self, host: str, *words: str) -> list[str]:
        return ["ip", "netns", "exec", host, sys.executable, *words]

    def environment(self, domain: int) -> dict[str, str]:
        return {
            **node_environment(domain, self.folder),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        }

    def site(self, host: str, name: str, domain: int) -> None:
        """A source and a tracker in the site's own ROS namespace."""
        given = {"tracker_node": [], "source_node": ["-p", "clock:=false", "-p", "duration:=600.0"]}
        for node, parameters in given.items():
            words = ["-m", f"locdreamer_ros.nodes.{node}", "--ros-args", "-r", f"__ns:=/{name}"]
            with (self.folder / f"{name}_{node}_{domain}.log").open("wb") as log:
                self.running.append(
                    subprocess.Popen(
                        self.command(host, *words, *parameters),
                        env=self.environment(domain),
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )

    def heard(self, host: str, domain: int, seconds: float) -> list[str]:
        """The sites whose poses somebody on a host hears."""
        ran = subprocess.run(
            self.command(host, "-c", HEARD, *SITES, str(seconds)),
            env=self.environment(domain),
            capture_output=True,
            text=True,
            timeout=500.0,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.split()

    def end(self) -> None:
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(20.0)


@pytest.fixture(name="apart")
def processes_apart(tmp_path: Path) -> Iterator[Apart]:
    apart = Apart(tmp_path)
    yield apart
    apart.end()


@pytest.mark.slow
def test_two_sites_on_two_hosts(hosts: tuple[str, str], apart: Apart) -> None:
    """In one domain each hears both, by their namespaces; in another domain one hears its own."""
    for host, site in zip(hosts, SITES, strict=True):
        apart.site(host, site, 17)
    for host in hosts:
        assert apart.heard(host, 17, 60.0) == list(SITES)
    assert apart.heard(hosts[1], 18, 5.0) == []
    apart.site(hosts[0], SITES[0], 18)
    assert apart.heard(hosts[1], 18, 20.0) == [SITES[0]], "the other site is in domain 17"
