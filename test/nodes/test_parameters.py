# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters as people type them: whole numbers, text without quotes, by file, argument and set."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from nodes.hosted import hosting
from rclpy.parameter import Parameter

from locdreamer_ros.nodes.domain import own_domain
from locdreamer_ros.nodes.ekf_node import EkfNode
from locdreamer_ros.nodes.last_said import last_said
from locdreamer_ros.nodes.processes import node_environment
from locdreamer_ros.nodes.tracker_node import TrackerNode


def test_whole_numbers_do_for_floats_and_for_choices(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "/**: {ros__parameters: {max_silence: 5, tag_height: 1, tracker: ekf, ekf: {sigma_n: 1}}}"
    )
    with hosting(TrackerNode, "--params-file", str(path), rate=10, dimensions=2) as hosted:
        config = hosted.node.config
        assert (config.rate, config.max_silence, config.tag_height) == (10.0, 5.0, 1.0)
        assert all(type(v) is float for v in (config.rate, config.max_silence, config.tag_height))
        assert config.dimensions == "2"
        assert hosted.node.method.parameters == {"sigma_n": 1.0}
        assert type(hosted.node.method.parameters["sigma_n"]) is float
        # And while it runs, or is not configured yet.
        assert hosted.set("rate", 5).successful
        assert (hosted.node.config.rate, type(hosted.node.config.rate)) == (5.0, float)
        refused = hosted.set("rate", "fast")
        assert refused.reason == "tracker_node: rate: expected float, got 'fast'"
        refused = hosted.node.set_parameters([Parameter("rate", Parameter.Type.NOT_SET)])[0]
        assert refused.reason == "tracker_node: rate: expected float, got None"
        assert hosted.set("rate", 1001).reason.endswith("in [0, 1000], got 1001.0")
        hosted.node.trigger_deactivate()
        hosted.node.trigger_cleanup()
        assert hosted.set("ekf.sigma_n", 2).successful
        assert hosted.set("dimensions", 3).successful
        hosted.node.trigger_configure()
        assert hosted.node.method.parameters == {"sigma_n": 2.0}
        assert hosted.node.config.dimensions == "3"


def test_what_was_given_is_there_in_its_own_type() -> None:
    """Tools read it: `ros2 param get` and `dump`."""
    with hosting(EkfNode, max_silence=5, dimensions=2) as hosted:
        found = {n: hosted.node.get_parameter(n).value for n in ("max_silence", "dimensions")}
        assert found == {"max_silence": 5.0, "dimensions": "2"}
        assert type(found["max_silence"]) is float


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("rate:=fast", "tracker_node: rate: expected float, got 'fast'"),
        ("budget:=3.0", "tracker_node: budget: expected int, got 3.0"),
        ("budget:=0", "tracker_node: budget: expected a value in [1, 255], got 0"),
        ("passive:=1", "tracker_node: passive: expected bool, got 1"),
        ("tag:=0x1A", """tracker_node: tag: expected str in quotes (as "'7'"), got 26"""),
        ("rate:=[1, 2]", "tracker_node: rate: expected float, got [1, 2]"),
    ],
)
def test_a_wrong_type_is_said_in_one_line_that_names_it(
    tmp_path: Path, given: str, said: str
) -> None:
    with own_domain() as domain:
        done = subprocess.run(
            [sys.executable, "-m", "locdreamer_ros.nodes.tracker_node", "--ros-args", "-p", given],
            env=node_environment(domain, tmp_path),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (2, f"{said}\n")


def test_the_last_word_counts_whatever_number_came_before(tmp_path: Path) -> None:
    """Of two types rclpy takes the whole number: a file's went over the command line's."""
    mine, more = tmp_path / "mine.yaml", tmp_path / "more.yaml"
    mine.write_text("/**: {ros__parameters: {rate: 10, dimensions: 2, price: 0, accuracy: 1}}")
    more.write_text("/**: {ros__parameters: {max_silence: 7, price: 1e-1, ekf: {sigma_n: 1}}}")
    given = ["--params-file", str(mine), "-p", "rate:=5.5", "-p", "max_silence:=4.5"]
    given += ["--params-file", str(more), "-p", "dimensions:=auto", "-p", "ekf.sigma_n:=1e-1"]
    given += ["-p", "other_node:accuracy:=2.5", "-p", "tracker_node:tag_height:=3.5"]
    given += ["-p", "accuracy:=2", "-p", "scheduler:=sequential"]
    names = ["rate", "dimensions", "price", "max_silence", "ekf.sigma_n", "accuracy", "tag_height"]
    show = (
        "import rclpy, sys; rclpy.init(); "
        "from locdreamer_ros.nodes.tracker_node import TrackerNode; node = TrackerNode(); "
        f"print([node.get_parameter(name).value for name in {names}])"
    )
    with own_domain() as domain:
        done = subprocess.run(
            [sys.executable, "-c", show, "--ros-args", *given],
            env=node_environment(domain, tmp_path),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.stdout == "[5.5, 'auto', 0.1, 7.0, 0.1, 2.0, 3.5]\n", done.stderr


@pytest.mark.parametrize("arguments", [["-p"], ["-p", "rate"], ["-p", "a:=[1"]])
def test_what_cannot_be_read_is_left_to_rcl(arguments: list[str]) -> None:
    assert last_said(["--params-file", "absent.yaml", *arguments], "node", "/") == {}
