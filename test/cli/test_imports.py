# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Importing stays light: torch is for learned parts, rclpy for nodes, matplotlib for pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from locdreamer_ros.cli import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "rclpy", "matplotlib", "pandas")
LIGHT = (
    "locdreamer_ros",
    "locdreamer_ros.cli",
    "locdreamer_ros.loop",
    "locdreamer_ros.trackers",
    "locdreamer_ros.schedulers",
    "locdreamer_ros.datasets.range_table",
    "locdreamer_ros.simulation",
    "locdreamer_ros.evaluation.run",
    "locdreamer_ros.evaluation.plots",
    "locdreamer_ros.benchmarks",
)


def printed_by(code: str) -> str:
    """The last line that a fresh Python prints."""
    answer = subprocess.run(
        [sys.executable, "-c", f"import sys, json\n{code}"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return answer.stdout.splitlines()[-1]


def loaded_after(code: str) -> set[str]:
    """Names in sys.modules of a fresh Python after running `code`."""
    return set(json.loads(printed_by(f"{code}\nprint(json.dumps(list(sys.modules)))")))


def loaded_by(modules: Iterable[str], unwanted: Iterable[str]) -> dict[str, list[str]]:
    """Of the unwanted names, which are there once each module is, imported one after the other."""
    code = (
        "from importlib import import_module\n"
        f"unwanted, found = {set(unwanted)!r}, {{}}\n"
        f"for module in {list(modules)!r}:\n"
        "    import_module(module)\n"
        "    found[module] = sorted(unwanted & set(sys.modules))\n"
        "print(json.dumps(found))"
    )
    return json.loads(printed_by(code))


def test_imports_are_light():
    assert not any(loaded_by(LIGHT, HEAVY).values())


def test_the_test_can_fail():
    assert loaded_by(["json", "matplotlib"], HEAVY) == {"json": [], "matplotlib": ["matplotlib"]}


def test_making_every_tracker_but_the_dreamer_is_light():
    code = (
        "from worlds import square_anchors\n"
        "from locdreamer_ros.methods import make_scheduler, make_tracker\n"
        "from locdreamer_ros.types import Site\n"
        "site = Site(square_anchors())\n"
        "light = ('ekf', 'robust-ekf', 'bias-ekf', 'grid', 'particle', 'zero-shot')\n"
        "[make_tracker(n, site) for n in light]\n"
        "[make_scheduler(n, site) for n in ('all', 'random', 'gdop', 'wls')]\n"
    )
    assert not loaded_after(f"sys.path.insert(0, 'test')\n{code}") & set(HEAVY)


def test_the_command_line_needs_not_even_numpy_for_help():
    code = "from locdreamer_ros.cli import parser\nparser().format_help()"
    assert not loaded_after(code) & {*HEAVY, "numpy", "scipy", "tqdm", "yaml"}


def test_command_modules_are_light():
    commands = [f"locdreamer_ros.cli.{command}" for command in COMMANDS]
    assert not any(loaded_by(commands, (*HEAVY, "numpy")).values())
