# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A disk that takes no more: one line, nothing half-written, what was there before is still there.

A limit on the size of a file stands for the full disk of a robot.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from worlds import circle_recording

from locdreamer_ros.datasets.bag import write_bag
from locdreamer_ros.datasets.range_table import save_recording

ROOT = Path(__file__).resolve().parents[2]
LIMITED = """
import resource, sys
from locdreamer_ros.cli import main
room = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    recording = circle_recording(duration=20.0)
    save_recording(tmp_path / "in" / "walk.csv", recording)
    write_bag(tmp_path / "in" / "bag", recording)
    (tmp_path / "out").mkdir()
    return tmp_path


def limited(place: Path, room: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(room), *arguments],
        cwd=place,
        env={
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
            "MPLCONFIGDIR": str(place),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
    )


COMMANDS = {
    "simulate": ["simulate", "--duration", "20", "--output", "out/x.csv"],
    "csv": ["convert", "csv", "in/walk.csv", "--output", "out/bag"],
    "bag": ["convert", "bag", "in/bag", "--output", "out/x.csv"],
    "track": ["track", "in/walk.csv", "--tracker", "ekf", "--output", "out/x.csv"],
}


@pytest.mark.promise("A full disk is one line, and nothing half-written is left.")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_line_and_leaves_nothing(place: Path, name: str) -> None:
    done = limited(place, 4000, *COMMANDS[name])
    assert done.returncode == 2, done.stderr
    assert "cannot write: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("locdreamer:")]) == 1
    assert sorted((place / "out").iterdir()) == []


def test_what_was_there_before_is_kept(place: Path) -> None:
    walk = circle_recording(duration=1.0)
    save_recording(place / "out" / "x.csv", walk)
    write_bag(place / "out" / "bag", walk)
    before = {p: p.read_bytes() for p in place.glob("out/**/*") if p.is_file()}
    for name in ("simulate", "csv", "bag"):
        assert limited(place, 4000, *COMMANDS[name]).returncode == 2
    assert {p: p.read_bytes() for p in place.glob("out/**/*") if p.is_file()} == before


def test_a_report_that_goes_to_a_full_disk(place: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "locdreamer_ros.cli", *COMMANDS["track"]],
            cwd=place,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "locdreamer: cannot write: No space left on device"
    assert "Traceback" not in done.stderr
