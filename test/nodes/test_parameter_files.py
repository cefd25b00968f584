# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The YAML, the launch file and the RViz view say what the nodes really have."""

from __future__ import annotations

import configparser
import dataclasses
import runpy
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from locdreamer_ros.config import build, load_parameters
from locdreamer_ros.driver.devices import NAMES
from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import TRACKERS
from locdreamer_ros.nodes import catalogue
from locdreamer_ros.nodes.driver_node import DriverConfig
from locdreamer_ros.nodes.recorder_node import OF_TRACKER, SHARED

ROOT = Path(__file__).resolve().parents[2]
YAML = ROOT / "config" / "tracking.yaml"
ON_PURPOSE = {
    ("source_node", "listeners"): 3,
    ("ekf_node", "tag_frame"): "",
    ("ekf_node", "preset"): "paper",
}
"""Values of the YAML that are not the node's own defaults."""


@pytest.mark.parametrize("node", catalogue.GROUPS)
def test_the_yaml_has_exactly_the_parameters_of_the_node(node: str) -> None:
    declared = set(catalogue.fields_of(node))
    if node == "ekf_node":  # those of other trackers are shown once, under tracker_node
        declared = {key for key in declared if key.partition(".")[0] not in set(TRACKERS) - {"ekf"}}
    assert set(catalogue.load(YAML, node)) == declared


@pytest.mark.parametrize("node", catalogue.GROUPS)
def test_the_yaml_shows_the_defaults(node: str) -> None:
    fields = catalogue.fields_of(node)
    shown = {(node, key): value for key, value in catalogue.load(YAML, node).items()}
    expected = {(node, key): fields[key].default for _, key in shown}
    expected |= {key: value for key, value in ON_PURPOSE.items() if key in shown}
    assert shown == expected


def test_the_yaml_names_no_other_node() -> None:
    assert set(yaml.safe_load(YAML.read_text(encoding="utf-8"))) == set(catalogue.GROUPS)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("bugdet: 3", "unknown key 'bugdet'"),
        ("budget: 0", r"budget: expected a value in \[1, 255\], got 0"),
        ("budget: many", "budget: expected int"),
        ("tracker: ukf", "tracker: expected one of"),
        ("grid: {sigma: -1.0}", "grid.sigma: expected a value"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, body: str, complaint: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"tracker_node: {{ros__parameters: {{{body}}}}}", encoding="utf-8")
    with pytest.raises(InputError, match=complaint) as caught:
        catalogue.load(path, "tracker_node")
    assert str(caught.value).startswith(f"{path}: tracker_node: ")
    assert "\n" not in str(caught.value)


class Recorded:
    """Stands for any class of the launch stack, which is on no registry: keeps its arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    """What generate_launch_description() of the launch file makes."""

    def module(name: str, *classes: str) -> None:
        made = types.ModuleType(name)
        for each in classes:
            setattr(made, each, type(each, (Recorded,), {}))
        monkeypatch.setitem(sys.modules, name, made)

    module("launch", "LaunchDescription")
    module("launch.actions", "DeclareLaunchArgument")
    module("launch.conditions", "IfCondition", "UnlessCondition")
    module(
        "launch.substitutions", "LaunchConfiguration", "PathJoinSubstitution", "PythonExpression"
    )
    module("launch_ros")
    module("launch_ros.actions", "Node")
    module("launch_ros.parameter_descriptions", "ParameterValue")
    module("launch_ros.substitutions", "FindPackageShare")
    described = runpy.run_path(str(ROOT / "launch" / "tracking.launch.py"))
    entities: list[Recorded] = described["generate_launch_description"]().args[0]
    return entities


def evaluate(expression: Recorded, values: dict[str, str]) -> Any:
    """What a PythonExpression gives where the launch arguments have these values."""
    parts = expression.args[0]
    return eval("".join(p if isinstance(p, str) else values[p.args[0]] for p in parts))


def fields_of(node: str) -> dict[str, Any]:
    if node == "driver_node":
        return {field.name: field for field in dataclasses.fields(DriverConfig)}
    return catalogue.fields_of(node)


def shown_for(node: str) -> dict[str, Any]:
    if node == "driver_node":
        return load_parameters(ROOT / "config" / "driver.yaml", node)
    return catalogue.load(YAML, node)


def nodes_of(launched: list[Recorded]) -> dict[str, Recorded]:
    nodes = [e for e in launched if type(e).__name__ == "Node"]
    return {e.kwargs["executable"]: e for e in nodes if e.kwargs["package"] == "locdreamer_ros"}


def test_launched_executables_are_console_scripts(launched: list[Recorded]) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    scripts = dict(line.replace(" ", "").split("=") for line in lines)
    expected = {"source_node", "driver_node", "tracker_node", "ekf_node", "evaluator_node"}
    assert expected == set(nodes_of(launched))
    for executable in nodes_of(launched):
        assert scripts[executable] == f"locdreamer_ros.nodes.{executable}:main"


def test_launch_sets_parameters_that_exist_from_arguments_that_exist(
    launched: list[Recorded],
) -> None:
    arguments = {e.args[0] for e in launched if type(e).__name__ == "DeclareLaunchArgument"}
    used = set()
    for executable, node in nodes_of(launched).items():
        fields = fields_of(executable)
        assert node.kwargs["name"] == executable  # the key in the YAML
        for key, value in node.kwargs["parameters"][-1].items():
            assert value.kwargs["value_type"] is type(fields[key].default), key
            used.add(value.args[0].args[0])
    assert used | {"rviz"} == arguments


def test_launch_defaults_are_those_of_the_yaml(launched: list[Recorded]) -> None:
    default = {
        e.args[0]: e.kwargs["default_value"]
        for e in launched
        if type(e).__name__ == "DeclareLaunchArgument"
    }
    for executable, node in nodes_of(launched).items():
        shown = shown_for(executable)
        for key, value in node.kwargs["parameters"][-1].items():
            given = default[value.args[0].args[0]]
            if isinstance(given, Recorded):  # an expression: as for a recording
                given = evaluate(given, {"source": default["source"]})
            assert str(shown[key]) == given, (executable, key)


def test_a_serial_source_is_asked_by_the_wall_clock(launched: list[Recorded]) -> None:
    nodes = nodes_of(launched)
    for source, present in (("serial", {"driver_node"}), ("replay", {"source_node"})):
        started = set()
        for executable, node in nodes.items():
            condition = node.kwargs["condition"]
            if condition is None:
                continue
            wanted = type(condition).__name__ == "IfCondition"
            if evaluate(condition.args[0], {"source": source}) is wanted:
                started.add(executable)
        assert started - {"evaluator_node"} == present
        assert ("evaluator_node" in started) is (source != "serial"), "no truth, nothing to score"
    rate = next(
        e.kwargs["default_value"]
        for e in launched
        if type(e).__name__ == "DeclareLaunchArgument" and e.args[0] == "rate"
    )
    assert evaluate(rate, {"source": "serial"}) == "10.0"
    assert evaluate(rate, {"source": "simulator"}) == "0.0"


def test_each_device_has_its_file(launched: list[Recorded]) -> None:
    _, device = nodes_of(launched)["driver_node"].kwargs["parameters"][:2]
    for codec in NAMES:
        name = evaluate(device.args[0][1], {"device": codec})
        values = load_parameters(ROOT / "config" / name, "driver_node")
        assert build(DriverConfig, values, name).device == codec  # type: ignore[arg-type]


def test_rviz_shows_topics_that_are_published() -> None:
    text = (ROOT / "config" / "tracking.rviz").read_text(encoding="utf-8")
    displays = yaml.safe_load(text)["Visualization Manager"]["Displays"]
    shown = {d["Topic"]["Value"] for d in displays if "Topic" in d}
    trackers = {f"/{node}/{topic}" for node in ("tracker_node", "ekf_node") for topic in OF_TRACKER}
    assert shown <= trackers | {f"/{topic}" for topic in SHARED}
    assert {"/tracker_node/markers", "/tracker_node/path", "/ekf_node/path"} < shown


def test_the_documentation_lists_every_parameter() -> None:
    text = (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")
    sections = {part.splitlines()[0]: part for part in text.split("\n## ")[1:]}
    for node in set(catalogue.GROUPS) - {"ekf_node"}:  # whose section refers to tracker_node's
        rows = {line.split("`")[1] for line in sections[node].splitlines() if line[:3] == "| `"}
        declared = {key for key in catalogue.fields_of(node) if "." not in key}
        assert declared <= rows, node
