# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/first_hour.md: its commands run in their order and print what it says, but for numbers."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_anchors
from locdreamer_ros.driver.emulator import device_anchors
from locdreamer_ros.simulation import make_world

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "first_hour.md"
ELSEWHERE = {
    "demo --source serial": "test/cli/test_demo_graph.py",
    "demo --offline": "test/cli/test_demo.py",
    "plan": "test/survey/test_placement.py",
    "emulate decar": "test/driver/test_doctor.py",
    "doctor site": "test/cli/test_chain.py",
    "doctor": "test/driver/test_doctor.py",
}
"""Run by another test already: they take seconds."""


def transcript(text: str) -> list[tuple[str, str]]:
    """Commands of the page, and what they print."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.S)
    found = [part.partition("\n") for block in blocks for part in block.split("$ ")[1:]]
    return [(command, printed) for command, _, printed in found]


def shape(printed: str) -> str:
    """What is printed, without numbers and widths of columns."""
    return " ".join(re.sub(r"-?\d+(\.\d+)?", "0", re.sub(r"-{2,}", "--", printed)).split())


def test_the_first_hour_goes_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = transcript(PAGE.read_text(encoding="utf-8"))
    assert len(steps) >= 9
    for command, expected in steps:
        words = shlex.split(command)
        if words[0] == "cat":
            Path(words[1]).write_text(expected, encoding="utf-8")
            continue
        assert words[0] == "locdreamer", command
        if any(" ".join(words[1:]).startswith(known) for known in ELSEWHERE):
            if words[1] == "emulate":  # leaves an anchors file
                place = device_anchors(words[2], make_world("house", 0))[0]
                save_anchors(Path(words[words.index("--anchors") + 1]), place)
            continue
        assert main(words[1:]) == 0, capsys.readouterr().err
        assert shape(capsys.readouterr().out) == shape(expected), command


def test_what_is_run_elsewhere_is() -> None:
    for words, path in ELSEWHERE.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        assert all(f'"{word}"' in text for word in words.split()), path
