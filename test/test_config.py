# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters: checked by their description, read from ROS 2 parameter files; files whole or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from locdreamer_ros import config
from locdreamer_ros.config import build, load_parameters, parameter
from locdreamer_ros.errors import InputError
from locdreamer_ros.files import open_text, read_yaml, replaced, write_atomically


@dataclass(frozen=True)
class Group:
    rate: float = parameter(10.0, "fixes per second", low=0.0, high=100.0)
    budget: int = parameter(3, "ranges per fix", low=1)
    frame: str = parameter("map", "frame", choices=("map", "odom"))
    on: bool = parameter(True, "whether")
    tag: str = parameter("", "id")
    dimensions: str = parameter("auto", "two or three", choices=("2", "3", "auto"))


def test_values_go_over_defaults_and_integers_may_stand_for_floats() -> None:
    assert build(Group, {"rate": 5, "frame": "odom"}, "x") == Group(5.0, 3, "odom", True)


def test_a_number_may_stand_for_a_choice_that_reads_as_one() -> None:
    assert build(Group, {"dimensions": 2}, "x").dimensions == "2"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rat": 1.0}, "x: unknown key 'rat'; expected one of budget, dimensions, frame, "),
        ({"rate": 101.0}, r"x: rate: expected a value in \[0, 100\], got 101.0"),
        ({"rate": float("nan")}, r"x: rate: expected a value in \[0, 100\], got nan"),
        ({"budget": 0}, r"x: budget: expected a value in \[1, inf\], got 0"),
        ({"budget": 2.5}, "x: budget: expected int, got 2.5"),
        ({"budget": True}, "x: budget: expected int, got True"),
        ({"frame": "world"}, "x: frame: expected one of map, odom, got 'world'"),
        ({"on": "yes"}, "x: on: expected bool, got 'yes'"),
        ({"rate": "5"}, "x: rate: expected float, got '5'"),
        ({"tag": 26}, r"""x: tag: expected str in quotes \(as "'7'"\), got 26"""),
        ({"tag": True}, r"x: tag: expected str in quotes .*, got True"),
        ({"dimensions": 4}, "x: dimensions: expected str in quotes .*, got 4"),
        ({"dimensions": ["2"]}, r"x: dimensions: expected str, got \['2'\]"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(Group, values, "x")


def test_a_node_s_own_parameters_go_over_those_of_all(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "/**:\n  ros__parameters: {rate: 1.0, budget: 4}\n"
        "tracker_node:\n  ros__parameters: {rate: 2.0}\n"
        "other_node:\n  ros__parameters: {rate: 3.0}\n"
    )
    assert load_parameters(path, "tracker_node") == {"rate": 2.0, "budget": 4}
    assert load_parameters(path, "tracker_node", "r1") == {"rate": 1.0, "budget": 4}


def test_powers_of_ten_are_numbers_as_ros_has_them(tmp_path: Path) -> None:
    """A launch refused what the node itself takes; in quotes it is text, as ids are."""
    path = tmp_path / "p.yaml"
    path.write_text(
        "/**: {ros__parameters: {a: 1e-3, b: -2E2, c: .5e+1, d: '1e3', e: 6E01x, f: 1.e1, g: e1}}"
    )
    assert load_parameters(path, "x") == {
        "a": 0.001, "b": -200.0, "c": 5.0, "d": "1e3", "e": "6E01x", "f": 10.0, "g": "e1"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not YAML"),
        ("- 1", "expected a ROS 2 parameter file"),
        ("tracker_node: {rate: 1.0}", "tracker_node: expected exactly one key, ros__parameters"),
        ("tracker_node: {ros__parameters: 3}", "expected keys and values"),
    ],
)
def test_a_file_that_is_no_parameter_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_parameters(path, "tracker_node")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")

    def half_way() -> None:
        with write_atomically(path) as stream:
            stream.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half_way()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.txt"]
    with replaced(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path) -> None:
    def read(path: Path) -> None:
        with open_text(path) as stream:
            stream.read()

    with pytest.raises(InputError, match=r"nowhere\.csv: cannot read: No such file"):
        read(tmp_path / "nowhere.csv")
    binary = tmp_path / "b.csv"
    binary.write_bytes(b"abc\xff\xfe")
    with pytest.raises(InputError, match="byte 3: expected UTF-8 text"):
        read(binary)


@pytest.mark.parametrize(
    ("key", "fits"),
    [
        ("/**", True),
        ("/**/tracker_node", True),
        ("/fleet/r1/tracker_node", True),
        ("fleet/r1/tracker_node", True),
        ("/fleet/*/tracker_node", True),
        ("/fleet/**", True),
        ("/**/**/r1/**/*/**", True),
        ("/**/r1/*/*/**", False),
        ("/**" * 300 + "/x", False),
        ("/*/tracker_node", False),
        ("tracker_node", False),
        ("/fleet/r1", False),
        ("/fleet/r2/tracker_node", False),
    ],
)
def test_sections_fit_full_names(tmp_path: Path, key: str, fits: bool) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"'{key}': {{ros__parameters: {{rate: 2.0}}}}", encoding="utf-8")
    found = load_parameters(path, "tracker_node", "/fleet/r1")
    assert found == ({"rate": 2.0} if fits else {})


def test_a_file_is_read_once_for_all_who_ask_and_again_when_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("/**: {ros__parameters: {rate: 2.0}}", encoding="utf-8")
    read = []
    monkeypatch.setattr(config, "read_yaml", lambda path: read.append(path) or read_yaml(path))
    for node in ("tracker_node", "source_node", "tracker_node"):
        assert load_parameters(path, node) == {"rate": 2.0}
    assert len(read) == 1
    path.write_text("/**: {ros__parameters: {rate: 3.25}}", encoding="utf-8")
    assert load_parameters(path, "tracker_node") == {"rate": 3.25}
