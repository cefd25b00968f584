# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a first user runs speaks to nobody outside this machine, and needs no torch.

The graph where there is no network: test_demo_graph.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from locdreamer_ros.zero_shot.model_file import SHIPPED_NAME

ROOT = Path(__file__).parents[2]
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


@pytest.mark.promise(PROMISE)
@pytest.mark.parametrize(
    "command",
    [
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


@pytest.mark.promise(PROMISE)
@pytest.mark.promise("The default runs without torch.")
def test_the_demo_needs_neither_network_nor_torch(tmp_path):
    command = ["demo", "--offline", "--duration", "15", "--output", str(tmp_path / "out")]
    without = WATCHED + "sys.modules['torch'] = None\n" + RUN  # importing it raises ImportError
    done = subprocess.run(
        [sys.executable, "-c", without, *command], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["tracker"] == "zero-shot"
    assert metrics["model"] == SHIPPED_NAME
    assert metrics["mae"] < metrics["baseline"]["mae"]


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
