# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the nodes' executables begin: what they import takes a second, in which much can happen.

A node that is told to end while it is still importing ends at once, and a module that is not
installed is one line.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from types import FrameType

from locdreamer_ros.errors import InputError, not_installed

BAD_INPUT = 2


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(0)  # there is nothing yet to be tidied up


def _run(node: str) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)  # until the node takes them over
    try:
        status: int = import_module(f"locdreamer_ros.nodes.{node}").main()
        return status
    except ModuleNotFoundError as missing:
        print(f"{node}: {not_installed(missing)}", file=sys.stderr)
    except InputError as reason:
        print(f"{node}: {reason}", file=sys.stderr)
    return BAD_INPUT


def tracker_node() -> int:
    """Run `tracker_node`."""
    return _run("tracker_node")


def ekf_node() -> int:
    """Run `ekf_node`."""
    return _run("ekf_node")


def source_node() -> int:
    """Run `source_node`."""
    return _run("source_node")


def evaluator_node() -> int:
    """Run `evaluator_node`."""
    return _run("evaluator_node")


def recorder_node() -> int:
    """Run `recorder_node`."""
    return _run("recorder_node")


def driver_node() -> int:
    """Run `driver_node`."""
    return _run("driver_node")


def emulator_node() -> int:
    """Run `emulator_node`."""
    return _run("emulator_node")


def view_node() -> int:
    """Run `view_node`."""
    return _run("view_node")
