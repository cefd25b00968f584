# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Streams that are closed or speak no UTF-8, names that the system refuses: never a traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from worlds import circle_recording

from locdreamer_ros.cli import main
from locdreamer_ros.datasets.bag import write_bag
from locdreamer_ros.datasets.range_table import save_recording
from locdreamer_ros.recording import Recording

ROOT = Path(__file__).resolve().parents[2]
LONG = "n" * 300


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save_recording(tmp_path / "walk.csv", circle_recording(duration=10.0))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A line with `locdreamer` in it, in the present folder."""
    line = line.replace("locdreamer", f"'{sys.executable}' -m locdreamer_ros.cli")
    given = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(["sh", "-c", line], env=given, capture_output=True, timeout=500)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_matter(place: Path, closed: str) -> None:
    ended = shell(f"locdreamer track walk.csv --tracker ekf --json result.json {closed}")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert (place / "result.json").exists()


def test_nobody_answers_where_stdin_is_closed(place: Path) -> None:
    ended = shell("locdreamer init <&-")
    assert ended.returncode == 2
    assert ended.stderr == b"locdreamer: init: nobody answers; give all options (see --help)\n"


def test_an_answer_that_is_no_text_is_one_line(place: Path) -> None:
    ended = shell("printf 'decar\\n/dev/tty\\303\\n4\\n1\\nno\\n' | locdreamer init --output site")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(b"locdreamer: expected UTF-8 text, got ")


def test_names_are_shown_as_far_as_the_terminal_can(place: Path) -> None:
    walk = circle_recording(duration=20.0)
    ids = ("\u65e5\u672c", *walk.anchors.ids[1:])
    save_recording(place / "walk.csv", renamed(walk, ids))
    ended = shell("locdreamer survey walk.csv", PYTHONIOENCODING="latin-1")
    assert b"Traceback" not in ended.stderr
    assert b"\\u65e5\\u672c" in ended.stdout


def renamed(walk: Recording, ids: tuple[str, ...]) -> Recording:
    """The recording with other names of its anchors."""
    return replace(walk, anchors=replace(walk.anchors, ids=ids))


@pytest.mark.parametrize(
    "command",
    [
        ["track", f"{LONG}.csv"],
        ["track", "walk.csv", "--output", LONG],
        ["track", "walk.csv", "--json", f"{LONG}.json"],
        ["track", "walk.csv", "--model", LONG],
        ["convert", "bag", LONG, "--output", "out.csv"],
        ["convert", "csv", f"{LONG}.csv", "--output", "out"],
        ["survey", f"{LONG}.csv"],
        ["calibrate", LONG],
        ["demo", "--output", LONG],
        ["demo", "--source", "replay", "--recording", LONG],
    ],
)
def test_a_name_that_no_file_can_have_is_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("locdreamer: ")
    assert "File name too long" in line


def test_a_folder_that_is_not_ours_to_look_into_is_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = os.stat

    def refuse(path: object, **options: object) -> os.stat_result:  # root may look everywhere
        if "secret" in str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return look(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", refuse)
    assert main(["track", "secret/walk.csv"]) == 2
    assert capsys.readouterr().err == "locdreamer: secret/walk.csv: Permission denied\n"


def test_a_folder_may_be_the_present_one(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bag(place / "bag", circle_recording(duration=20.0))
    monkeypatch.chdir(place / "bag")
    assert main(["track", ".", "--tracker", "ekf"]) == 0
    monkeypatch.chdir(place)
    (place / "bag" / "inner").mkdir()
    monkeypatch.chdir(place / "bag" / "inner")
    assert main(["survey", ".."]) == 0
    assert (place / "bag_survey.csv").exists()
    capsys.readouterr()
    assert main(["track", "/"]) == 2
    assert "/: expected a file or folder with a name" in capsys.readouterr().err
