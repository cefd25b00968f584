# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""At run time nobody outside this machine is spoken to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HAS_ROS = find_spec("rclpy") is not None and find_spec("locdreamer_ros.msg") is not None
PROMISE = (
    "At run time nobody but this machine is spoken to: no address beyond loopback, no look-up."
)
WATCHED = """
import sys

LOOPBACK = ("127.", "::1", "localhost")

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.bind"):
        address = arguments[1]
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            sys.exit(f"{event}: {address}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        if not str(arguments[0]).startswith(LOOPBACK):
            sys.exit(f"{event}: {arguments[0]}")

sys.addaudithook(watch)
"""
RUN = "from locdreamer_ros.cli import main\nsys.exit(main(sys.argv[1:]))\n"
# A namespace of its own has a loopback that is down.
UP = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    request = struct.pack("16sh14x", b"lo", 0)
    flags = struct.unpack("16sh14x", fcntl.ioctl(s, 0x8913, request))[1]
    fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))
"""
ALONE = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]


def may_be_alone() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*ALONE, "true"], capture_output=True).returncode == 0


@pytest.mark.promise(PROMISE)
@pytest.mark.parametrize(
    "command",
    [
        ["demo", "--offline", "--duration", "5", "--output", "{}/out"],
        ["simulate", "--duration", "5", "--output", "{}/walk.csv"],
        ["doctor"],
    ],
)
def test_no_socket_leaves_the_machine(tmp_path, command):
    done = subprocess.run(
        [sys.executable, "-c", WATCHED + RUN, *(part.format(tmp_path) for part in command)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert "socket." not in done.stderr
    assert done.returncode in (0, 1), done.stderr  # doctor: no module here


def test_the_watch_can_see():
    for line in (
        "import socket; socket.socket().connect(('192.0.2.1', 9))",
        "import socket; socket.getaddrinfo('example.org', 80)",
    ):
        done = subprocess.run(
            [sys.executable, "-c", WATCHED + line], capture_output=True, text=True
        )
        assert done.returncode == 1
        assert done.stderr.startswith("socket.")


@pytest.mark.skipif(not HAS_ROS, reason="needs rclpy and the compiled messages")
@pytest.mark.skipif(not may_be_alone(), reason="may not make a network namespace here")
@pytest.mark.promise(PROMISE)
def test_the_graph_runs_where_there_is_no_network(tmp_path):
    command = ["demo", "--duration", "5", "--output", str(tmp_path / "out")]
    done = subprocess.run(
        [*ALONE, sys.executable, "-c", f"import sys\n{UP}\n{RUN}", *command],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "metrics.json").is_file()
