# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`config/sros2_policy.xml` lets each node do what it does: held against the running nodes."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from nodes.hosted import ANCHORS, hosting

from locdreamer_ros.datasets.range_table import save_anchors

ROOT = Path(__file__).parents[2]
CLASSES = {
    "driver_node": "DriverNode",
    "source_node": "SourceNode",
    "tracker_node": "TrackerNode",
    "ekf_node": "EkfNode",
    "evaluator_node": "EvaluatorNode",
    "recorder_node": "RecorderNode",
}
OF_ROS = {"/clock", "/parameter_events", "/rosout", "/tf", "/tf_static", "/diagnostics"}


def full_name(expression: str, node: str) -> str:
    """As `ros2 security` reads it in the namespace /."""
    if expression.startswith("~"):
        return f"/{node}/{expression[1:]}"
    return expression if expression.startswith("/") else f"/{expression}"


def allowed(node: str) -> dict[str, set[str]]:
    """Full names by what the node may do with them."""
    policy = ElementTree.parse(ROOT / "config" / "sros2_policy.xml")
    (profile,) = policy.findall(f"enclaves/enclave[@path='/{node}']/profiles/profile")
    assert profile.get("node") == node
    found: dict[str, set[str]] = {}
    for group in profile:
        ((way, rule),) = group.attrib.items()
        assert rule == "ALLOW"
        found[way] = {full_name(str(entry.text), node) for entry in group}
    return found


def test_there_is_a_policy_for_each_of_these_nodes() -> None:
    policy = ElementTree.parse(ROOT / "config" / "sros2_policy.xml")
    paths = [enclave.get("path") for enclave in policy.findall("enclaves/enclave")]
    assert sorted(map(str, paths)) == sorted(f"/{node}" for node in CLASSES)


@pytest.mark.parametrize("node", CLASSES)
def test_a_node_makes_nothing_that_its_policy_does_not_allow(tmp_path: Path, node: str) -> None:
    save_anchors(tmp_path / "site.csv", replace(ANCHORS, ids=("1", "2", "3", "4")))
    parameters = {
        "driver_node": {"anchors_file": tmp_path / "site.csv", "port": "/dev/null"},
        "recorder_node": {"output": tmp_path / "bag"},
        "tracker_node": {"base_frame": "base_link", "tag_frame": "tag"},
        "ekf_node": {"base_frame": "base_link", "tag_frame": "tag"},
        "source_node": {"odometry_drift": 0.02},
    }.get(node, {})
    may = allowed(node)
    made = getattr(import_module(f"locdreamer_ros.nodes.{node}"), CLASSES[node])
    with hosting(made, **parameters) as hosted:
        if node in ("tracker_node", "ekf_node", "evaluator_node"):
            hosted.place()
            hosted.rest(0.1)
        running = hosted.node
        assert {p.topic_name for p in running.publishers} <= may["publish"]
        assert {s.topic_name for s in running.subscriptions} <= may["subscribe"]
        assert {s.service_name for s in running.services} <= may["reply"]
        assert not list(running.clients)


def test_the_policy_names_no_topic_that_is_not_there() -> None:
    known = (ROOT / "docs" / "reference.md").read_text()
    for node in CLASSES:
        may = allowed(node)
        for name in (may["publish"] | may["subscribe"]) - OF_ROS:
            below = name.removeprefix("/")
            private = f"~/{name.rsplit('/', 1)[1]}"
            assert f"`{below}`" in known or f"`{private}`" in known or "transition" in name, name
