# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Node processes that never outlive the block that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from types import TracebackType

import locdreamer_ros
from locdreamer_ros.errors import InputError
from locdreamer_ros.start import BAD_INPUT, end_with_parent

PATIENCE_S = 8.0
QUIET = ("--disable-external-lib-logs",)
"""No second log in ~/.ros: what a node prints is kept."""


def node_environment(domain: int, logs: Path) -> dict[str, str]:
    """Environment of a node: its own domain on this machine only, and our code, not a copy."""
    code = str(Path(locdreamer_ros.__file__).parents[1])
    inherited = os.environ.get("PYTHONPATH", "")
    return {
        # Segments of killed processes would pile up in /dev/shm, as small port files do.
        "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
        "HOME": str(logs),
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(part for part in (code, inherited) if part),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": str(domain),
    }


def _end_with_parent() -> None:
    """In the child, before exec: end when the parent is killed (Linux), heed SIGINT when ready.

    By SIGKILL: a node that is still starting its middleware can miss a SIGINT and live on. A shell
    starts what it runs in the background deaf to SIGINT, which would be inherited. Blocked until
    `run_node` can answer: told while it imports, Python would end with a traceback.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    end_with_parent(signal.SIGKILL)


class NodeProcesses:
    """Started node processes by name; a context manager that ends them all."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self._environment = environment
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, parameters: Path) -> int:
        """Start `locdreamer_ros.nodes.<name>`; what it prints goes to `<name>.log`. Its id."""
        module = f"locdreamer_ros.nodes.{name}"
        with (self._logs / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    module,
                    "--ros-args",
                    *QUIET,
                    "--params-file",
                    str(parameters),
                ],
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C reaches the parent alone, which then ends the nodes in order.
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        return self._running[name].pid

    def check(self) -> None:
        """Raises InputError (bad parameters) or RuntimeError where a node has ended."""
        for name, process in self._running.items():
            status = process.poll()
            if status is None:
                continue
            log = self._logs / f"{name}.log"
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = lines[-1] if lines else "it said nothing"
            if status == BAD_INPUT:
                raise InputError(last)
            raise RuntimeError(f"{name} ended with status {status}: {last} (see {log})")

    def __enter__(self) -> NodeProcesses:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self, but: str = "") -> None:
        """Ask each to end, then make it; `but`: one that goes on."""
        ending = [process for name, process in self._running.items() if name != but]
        for process in ending:
            process.send_signal(signal.SIGINT)
        deadline = monotonic() + PATIENCE_S
        try:
            for process in ending:
                process.wait(max(deadline - monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            pass
        finally:  # also where a second Ctrl-C came while waiting
            for process in ending:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        self._running = {name: left for name, left in self._running.items() if name == but}
