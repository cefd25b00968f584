# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Five questions become files that the nodes read and lines that run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.cli import main
from locdreamer_ros.config import load_parameters
from locdreamer_ros.datasets.range_table import load_anchors, save_anchors
from locdreamer_ros.survey.files import load_places
from locdreamer_ros.types import Anchors

SAID = ["--device", "decar", "--port", "/dev/ttyACM*", "--tag-height", "0.4", "--ros", "yes"]


def test_options_say_it_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = tmp_path / "r.json"
    argv = ["init", "--output", str(tmp_path), *SAID, "--anchors", "5", "--json", str(result)]
    assert main(argv) == 0
    site = tmp_path / "site.yaml"
    driver, tracker = (load_parameters(site, node) for node in ("driver_node", "tracker_node"))
    table = (tmp_path / "anchors.csv").resolve()
    assert driver == {"device": "decar", "port": "/dev/ttyACM*", "anchors_file": str(table)}
    assert tracker["dimensions"] == "2"
    assert tracker["tag_height"] == 0.4
    assert 0.5 < tracker["rate"] <= 10.0
    rows = table.read_text(encoding="utf-8").splitlines()
    assert len(rows) == 6
    # As it is, it says that nothing is known yet.
    places = load_places(table, tuple(row.split(",")[0] for row in rows[1:]))
    assert places.shape == (5, 3)
    printed = capsys.readouterr().out
    assert f"robot.launch.py device:=decar params_file:={site}" in printed
    assert "locdreamer survey walk.csv --anchors" in printed
    assert "survey:=walk.csv" in printed
    ids = load_anchors(tmp_path / "survey_ids.csv").ids
    assert list(ids) == [row.split(",")[0] for row in rows[1:]]
    assert json.loads(result.read_text(encoding="utf-8"))["next"]
    assert main(argv) == 2
    assert "site.yaml: is there already" in capsys.readouterr().err


def test_questions_are_asked_until_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    anchors = tmp_path / "hall.csv"
    save_anchors(anchors, Anchors(("A0", "A1", "B"), np.diag([5.0, 5.0, 2.0])))
    typed = iter(["nonsense", "MaUWB", "", str(anchors), "up", "free", "no"])
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return next(typed)

    monkeypatch.setattr("builtins.input", answer)
    assert main(["init", "--output", str(tmp_path / "new")]) == 0
    assert [question[0] for question in asked] == list("1123445")
    printed = capsys.readouterr().out
    assert "got 'nonsense'" in printed
    assert printed.count("REYAX RYUW122") == 1  # the list of modules comes once, before all
    assert "'B' is no id of a mauwb" in printed
    assert "driver_node --ros-args --params-file" in printed
    assert "survey" not in printed
    site = tmp_path / "new" / "site.yaml"
    driver = load_parameters(site, "driver_node")
    assert driver["anchors_file"] == str(anchors.resolve())
    preset = Path(__file__).parents[2] / "config" / "driver" / "mauwb.yaml"
    assert driver["port"] == load_parameters(preset, "driver_node")["port"]
    assert load_parameters(site, "tracker_node")["dimensions"] == "auto"
    assert not (tmp_path / "new" / "anchors.csv").exists()


def test_nobody_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    assert main(["init", "--output", str(tmp_path)]) == 2
    assert "nobody answers" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("--device", "abacus", "device: expected one of"),
        ("--anchors", "2", "expected 3 to 200 of them with a decar"),
        ("--anchors", "nowhere.csv", "nowhere.csv: cannot read"),
        ("--tag-height", "-3", "expected metres from 0"),
        ("--port", 'a"b', "port: expected a path"),
        ("--port", "192.168.4.1:3333", "a URL as socket://"),
        ("--port", "tcp://192.168.4.1:3333", "port: expected socket://HOST:PORT"),
    ],
)
def test_bad_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: str, complaint: str
) -> None:
    argv = ["init", "--output", str(tmp_path), *SAID, "--anchors", "4", f"{name}={value}"]
    assert main(argv) == 2
    assert complaint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_the_module_cannot_have_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The driver would refuse it, or not ask, when all is mounted."""
    site = tmp_path / "site.csv"
    save_anchors(site, Anchors(("1", "2", "3"), np.diag([5.0, 5.0, 2.0]) * 1000.0))
    assert main(["init", "--output", str(tmp_path), *SAID, "--anchors", str(site)]) == 2
    assert "are they in millimetres?" in capsys.readouterr().err
    save_anchors(site, Anchors(("1", "2", "3"), np.diag([5.0, 5.0, 2.0])))
    for device, anchors, complaint in (
        ("trek1000", "9", "expected 3 to 8 of them with a trek1000"),
        ("linktrack", "41", "expected 3 to 40 of them"),
        ("pozyx", str(site), "none is an id of a pozyx, whose ids are as '6E01'"),
    ):
        argv = ["init", "--output", str(tmp_path / "new"), *SAID, "--device", device]
        assert main([*argv, "--anchors", anchors]) == 2
        assert complaint in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_launch_takes_the_site(tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
    from locdreamer_ros.nodes.launching import plan

    assert main(["init", "--output", str(tmp_path), *SAID, "--anchors", "4"]) == 0
    (tmp_path / "anchors.csv").write_text(
        "id,x,y,z\n1,0,0,2\n2,5,0,2\n3,5,5,2\n4,0,5,2\n", encoding="utf-8"
    )
    given = {"device": "decar", "params_file": str(tmp_path / "site.yaml")}
    started = plan(given, robot=True).started
    assert [each.executable for each in started] == ["driver_node", "tracker_node"]


def test_a_folder_of_any_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / 'the "new" site, mine'
    folder.mkdir()
    given = folder / "anchors.csv"
    save_anchors(given, Anchors(("1", "2", "3"), np.diag([1.0, 2.0, 3.0])))
    said = [*SAID[:-1], "no", "--anchors", str(given)]
    assert main(["init", "--output", str(folder), *said]) == 0
    found = load_parameters(folder / "site.yaml", "driver_node")["anchors_file"]
    assert found == str(given.resolve())
    lines = capsys.readouterr().out.splitlines()
    assert shlex.split(lines[-1])[-1] == str(folder / "site.yaml")
