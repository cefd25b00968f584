# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the nodes' executables begin: what they import takes a second, in which much can happen.

A node that is told to end while it is still importing ends at once, and a module that is not
installed is one line.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType

from locdreamer_ros.errors import InputError, not_installed

BAD_INPUT = 2
LAUNCHED_BY = "LOCDREAMER_LAUNCHED_BY"
"""Environment: the process of `ros2 launch`, with which a node ends, however that ends."""
SETTLES = "LOCDREAMER_SETTLES"
"""Environment: s that a node which is told to end waits for who has not heard all it published."""
PR_SET_PDEATHSIG = 1
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What tells a node to end."""


def end_with_parent(number: int) -> None:
    """Have the kernel (Linux) send a signal to this process when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def _end_with_launch() -> None:
    """`ros2 launch` that is killed, or told to end as it starts, ends none of its nodes."""
    if launch := os.environ.get(LAUNCHED_BY):
        end_with_parent(signal.SIGTERM)
        if not _runs(launch):  # it ended before we asked
            os.kill(os.getpid(), signal.SIGTERM)


def _runs(process: str) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return not state.rpartition(")")[2].startswith(" Z")


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(0)  # there is nothing yet to be tidied up


def _run(node: str) -> int:
    for number in ENDING_SIGNALS:
        signal.signal(number, _leave)  # until the node takes them over
    _end_with_launch()
    try:
        status: int = import_module(f"locdreamer_ros.nodes.{node}").main()
        return status
    except ModuleNotFoundError as missing:
        print(f"{node}: {not_installed(missing)}", file=sys.stderr)
    except InputError as reason:
        print(f"{node}: {reason}", file=sys.stderr)
    finally:
        # `ros2 launch` tells its nodes to end that Ctrl-C has told already: while Python ends, that
        # would kill it.
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    return BAD_INPUT


def tracker_node() -> int:
    """Run `tracker_node`."""
    return _run("tracker_node")


def ekf_node() -> int:
    """Run `ekf_node`."""
    return _run("ekf_node")


def fleet_node() -> int:
    """Run `fleet_node`."""
    return _run("fleet_node")


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
