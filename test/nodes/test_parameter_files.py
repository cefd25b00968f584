# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The YAML files, the RViz view and the documentation say what the nodes really have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from locdreamer_ros import simulation
from locdreamer_ros.errors import InputError
from locdreamer_ros.methods import TRACKERS
from locdreamer_ros.nodes import catalogue, source_node
from locdreamer_ros.nodes.recorder_node import OF_TRACKER, SHARED

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
TRACKING = sorted(set(catalogue.FILES) - {"driver_node"})
OWN: dict[str, set[str]] = {"ekf_node": {"ekf"}, "fleet_node": set()}
"""Trackers whose parameters a node's file shows."""
TRACKERS_SHOWN = ("tracker_node", "ekf_node")
ON_PURPOSE = {
    ("source_node", "listeners"): 3,
    ("ekf_node", "preset"): "paper",
}
"""Values of the YAML that are not the node's own defaults."""


def shown_for(node: str) -> dict[str, Any]:
    return catalogue.load(CONFIG / catalogue.FILES[node], node)


@pytest.mark.parametrize("node", TRACKING)
def test_the_yaml_has_exactly_the_parameters_of_the_node(node: str) -> None:
    declared = set(catalogue.fields_of(node))
    if node in OWN:  # those of other trackers are shown once, for tracker_node
        declared -= {key for key in declared if key.partition(".")[0] in set(TRACKERS) - OWN[node]}
    assert set(shown_for(node)) == declared


@pytest.mark.parametrize("node", TRACKING)
def test_the_yaml_shows_the_defaults(node: str) -> None:
    fields = catalogue.fields_of(node)
    shown = {(node, key): value for key, value in shown_for(node).items()}
    expected = {(node, key): fields[key].default for _, key in shown}
    expected |= {key: value for key, value in ON_PURPOSE.items() if key in shown}
    assert shown == expected


@pytest.mark.parametrize("path", sorted(CONFIG.rglob("*.yaml")), ids=lambda path: path.name)
def test_the_yaml_is_for_any_namespace_and_name(path: Path) -> None:
    assert set(yaml.safe_load(path.read_text(encoding="utf-8"))) == {"/**"}


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
@pytest.mark.parametrize("key", ["tracker_node", "/**", "/**/tracker_node"])
def test_a_bad_file_is_refused_in_one_line(
    tmp_path: Path, key: str, body: str, complaint: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"{key}: {{ros__parameters: {{{body}}}}}", encoding="utf-8")
    with pytest.raises(InputError, match=complaint) as caught:
        catalogue.load(path, "tracker_node")
    assert str(caught.value).startswith(f"{path}: tracker_node: ")
    assert "\n" not in str(caught.value)


def test_a_file_may_be_meant_for_several_nodes(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text("/**: {ros__parameters: {budget: 4, speed: 2.0}}", encoding="utf-8")
    assert catalogue.load(path, "tracker_node") == {"budget": 4}
    assert catalogue.load(path, "source_node") == {"speed": 2.0}


@pytest.mark.parametrize("device", catalogue.fields_of("driver_node")["device"].metadata["choices"])
def test_each_device_has_its_file(device: str) -> None:
    assert catalogue.load(CONFIG / "driver" / f"{device}.yaml", "driver_node")["device"] == device


def test_the_simulated_places_are_those_of_the_simulation() -> None:
    assert source_node.ENVIRONMENTS == simulation.ENVIRONMENTS


def test_rviz_shows_topics_that_are_published() -> None:
    text = (ROOT / "config" / "tracking.rviz").read_text(encoding="utf-8")
    displays = yaml.safe_load(text)["Visualization Manager"]["Displays"]
    shown = {d["Topic"]["Value"] for d in displays if "Topic" in d}
    # Without a slash: they follow the namespace that RViz is started in.
    trackers = {f"{node}/{topic}" for node in TRACKERS_SHOWN for topic in OF_TRACKER}
    assert shown <= trackers | set(SHARED)
    assert {"tracker_node/markers", "tracker_node/path", "ekf_node/path"} < shown
    # A display takes one type of message, and of who publishes reliably also reliably.
    kinds = {f"{node}/{t}": kind for node in TRACKERS_SHOWN for t, kind in OF_TRACKER.items()}
    kinds |= {topic.lstrip("/"): kind for topic, kind in SHARED.items()}
    of_display = {"PoseWithCovariance": "PoseWithCovarianceStamped", "Pose": "PoseStamped"}
    for display in (each for each in displays if "Topic" in each):
        package, kind = display["Class"].split("/")
        assert package == "rviz_default_plugins"
        assert kinds[display["Topic"]["Value"]].__name__ == of_display.get(kind, kind)
        assert display["Topic"]["Reliability Policy"] in ("Reliable", "Best Effort")


def test_the_documentation_lists_every_parameter() -> None:
    text = (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")
    sections = {part.splitlines()[0]: part for part in text.split("\n## ")[1:]}
    # ekf_node's section refers to tracker_node's, driver_node's page to its file.
    for node in set(catalogue.GROUPS) - {"ekf_node", "driver_node"}:
        lines = (line for line in sections[node].splitlines() if line[:3] == "| `")
        rows = {name for line in lines for name in line.split(" | ")[0].split("`")[1::2]}
        declared = {key for key in catalogue.fields_of(node) if "." not in key}
        assert declared <= rows, node


def test_the_documentation_has_the_defaults_and_ranges_of_parameters() -> None:
    text = (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")
    sections = {part.splitlines()[0]: part for part in text.split("\n## ")[1:]}
    seen = 0
    for node in set(catalogue.GROUPS) - {"ekf_node", "driver_node"}:
        fields = catalogue.fields_of(node)
        _, _, rows = sections[node].partition("| parameter |")
        for name, default, ends in re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*)\|", rows, re.M):
            about, value = fields[name].metadata, str(fields[name].default)
            value = value.lower() if isinstance(fields[name].default, bool) else value
            assert default.strip("`").startswith(value or "empty"), (node, name)
            low, dots, high = ends.strip().replace("10^", "1e").partition(" .. ")
            if dots:
                assert about["low"] == float(low), (node, name)
                assert not high or about["high"] == float(high), (node, name)
            seen += bool(dots)
    assert seen > 20


def test_foxglove_shows_topics_and_fields_that_are_published() -> None:
    layout = json.loads((CONFIG / "foxglove.json").read_text(encoding="utf-8"))
    panels = layout["configById"]
    shown = list(panels["3D!floor"]["topics"])
    shown += [path["value"] for panel in panels.values() for path in panel.get("paths", ())]
    kinds = {f"/{node}/{t}": kind for node in TRACKERS_SHOWN for t, kind in OF_TRACKER.items()}
    kinds |= {f"/{topic.lstrip('/')}": kind for topic, kind in SHARED.items()}
    for value in shown:
        topic, *fields = value.split(".")
        message = kinds[topic]()
        for field in fields:
            message = getattr(message, field)
    placed = re.findall(r'"(\w+!\w+)"', json.dumps(layout["layout"]))
    assert sorted(placed) == sorted(panels)
