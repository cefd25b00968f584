# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the launch files start for which arguments, and what they refuse before they start it."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import textwrap
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2: pip install 'locdreamer_ros[ros]'")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.bag import write_bag
from locdreamer_ros.driver.devices import get_device
from locdreamer_ros.errors import InputError
from locdreamer_ros.nodes import catalogue, fleet_launching, launch_arguments, launching
from locdreamer_ros.nodes.domain import PROFILE_OF, find_soon
from locdreamer_ros.nodes.launch_description import Plan, Started
from locdreamer_ros.nodes.launching import plan

ROOT = Path(__file__).resolve().parents[2]
HERE = str(Path(__file__))
TAG = "{http://www.eprosima.com}leaseAnnouncement"


def site_in(folder: Path, device: str = "decar") -> str:
    """Three anchors with ids that the device has."""
    file = folder / "site.csv"
    rows = "".join(f"{name},{n},0,2\n" for n, name in enumerate(get_device(device).ids(3)))
    file.write_text(f"id,x,y,z\n{rows}", encoding="utf-8")
    return str(file)


def table_in(folder: Path, kind: str = "r") -> str:
    """A recording of two anchors: of ranges, or of time differences (`d`)."""
    walk = folder / "walk.csv"
    walk.write_text(f"t_s,{kind}_a,{kind}_b\n0.0,0.0,1.0\n", encoding="utf-8")
    (folder / "walk_anchors.csv").write_text("id,x,y,z\na,0,0,2\nb,5,0,2\n", encoding="utf-8")
    return str(walk)


def by_name(planned: Plan) -> dict[str, Started]:
    return {each.executable: each for each in planned.started}


def parameters(planned: Plan, node: str) -> dict[str, Any]:
    """What the node will be given, files and all."""
    each = by_name(planned)[node]
    values: dict[str, Any] = {}
    for path in each.files:
        values |= catalogue.load(path, node)
    return values | each.parameters


def test_by_default_the_simulator_is_tracked_and_scored() -> None:
    planned = plan({})
    assert list(by_name(planned)) == ["source_node", "tracker_node", "ekf_node", "evaluator_node"]
    assert parameters(planned, "tracker_node")["rate"] == 0.0
    assert parameters(planned, "source_node")["listeners"] == 3
    assert planned.remarks == ()
    recorded = plan({"record": "bag"})
    assert parameters(recorded, "source_node")["listeners"] == 4


def test_a_serial_source_is_asked_by_the_clock_and_has_nothing_to_score(tmp_path: Path) -> None:
    site = site_in(tmp_path, "pozyx")
    planned = plan({"source": "serial", "anchors": site, "device": "pozyx"})
    assert list(by_name(planned)) == ["driver_node", "tracker_node", "ekf_node"]
    assert parameters(planned, "tracker_node")["rate"] == 10.0
    assert parameters(planned, "driver_node")["device"] == "pozyx"
    assert by_name(planned)["driver_node"].respawn


def test_a_robot_carries_driver_and_tracker_and_starts_them_again(tmp_path: Path) -> None:
    planned = plan({"anchors": site_in(tmp_path), "odometry": "/odom"}, robot=True)
    assert list(by_name(planned)) == ["driver_node", "tracker_node"]
    assert all(each.respawn for each in planned.started)
    assert parameters(planned, "tracker_node")["broadcast"] == "none"
    assert by_name(planned)["tracker_node"].remapped == (("odometry", "/odom"),)
    alone = plan({"device": "none", "passive": "true"}, robot=True)
    assert list(by_name(alone)) == ["tracker_node"]


def test_a_recorder_is_told_what_else_the_tracker_lives_on(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    text = "tracker_node: {ros__parameters: {passive: true, ranges_from: '%s'}}"
    mapping = "topic=/d type=sensor_msgs/msg/Range"
    mine.write_text(text % mapping, encoding="utf-8")
    site = site_in(tmp_path)
    given = {"device": "none", "anchors": site, "record": "bag"}
    for ways in ({"params_file": str(mine)}, {"passive": "true", "ranges_from": mapping}):
        found = parameters(plan({**given, **ways}, robot=True), "recorder_node")
        assert (found["ranges_from"], found["anchors_file"]) == (mapping, site)
    driven = parameters(plan({"anchors": site, "record": "bag"}, robot=True), "recorder_node")
    assert (driven["ranges_from"], driven["anchors_file"]) == ("", "")  # the driver tells them


def test_two_robots_differ_in_frames_and_only_the_root_has_the_clock() -> None:
    first, second = plan({"namespace": "robot1"}), plan({}, inherited="/robot2")
    assert first.namespace == "robot1"
    assert second.namespace == ""  # pushed already
    third = plan({"namespace": "uwb"}, inherited="/robot3")
    away = plan({"namespace": "/uwb"}, inherited="/robot3")
    assert parameters(third, "tracker_node")["tag_frame"] == "robot3/uwb/tag"
    assert parameters(away, "tracker_node")["tag_frame"] == "uwb/tag"
    frames = [parameters(planned, "tracker_node")["tag_frame"] for planned in (first, second)]
    assert frames == ["robot1/tag", "robot2/tag"]
    assert not parameters(first, "source_node")["clock"]
    assert parameters(plan({}), "source_node")["clock"]


def test_arguments_go_over_the_users_file_and_that_over_ours(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    text = "/**: {ros__parameters: {budget: 5, rate: 4.0, seed: 7, tag_frame: t}}"
    mine.write_text(text, encoding="utf-8")
    given = {"params_file": str(mine), "seed": "9", "namespace": "r"}
    found = parameters(plan(given), "tracker_node")
    assert (found["budget"], found["rate"], found["seed"]) == (5, 4.0, 9)
    assert found["tag_frame"] == "t"
    assert found["scheduler"] == catalogue.fields_of("tracker_node")["scheduler"].default
    robot = plan({"params_file": str(mine), "anchors": site_in(tmp_path)}, robot=True)
    assert parameters(robot, "tracker_node")["rate"] == 4.0


def test_where_the_learned_parts_compute_is_said_to_the_tracker(tmp_path: Path) -> None:
    for given, robot in (({}, False), ({"anchors": site_in(tmp_path)}, True)):
        assert parameters(plan(given, robot=robot), "tracker_node")["compute"] == "auto"
        told = parameters(plan({**given, "compute": "cpu"}, robot=robot), "tracker_node")
        assert told["compute"] == "cpu"
    (fleet,) = fleet_launching.plan({"compute": "cuda"}).started
    assert fleet.parameters["compute"] == "cuda"


def test_what_ros_dumps_of_a_node_is_read_again(tmp_path: Path) -> None:
    """`ros2 param dump` has the parameters of rclpy, too."""
    dump = tmp_path / "dump.yaml"
    text = "/tracker_node: {ros__parameters: {budget: 5, start_type_description_service: true, \
qos_overrides: {/clock: {subscription: {depth: 1}}}, use_sim_time: false}}"
    dump.write_text(text, encoding="utf-8")
    assert parameters(plan({"params_file": str(dump)}), "tracker_node")["budget"] == 5


def test_a_file_speaks_to_full_names_and_what_it_says_to_nobody_is_named(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"

    def planned(text: str, space: str) -> Plan:
        mine.write_text(text, encoding="utf-8")
        return plan({"params_file": str(mine), "namespace": space}, robot=True)

    anchors = f"driver_node: {{ros__parameters: {{anchors_file: '{site_in(tmp_path)}'}}}}"
    nested = f"fleet: {{r1: {{{anchors}}}}}"
    assert not planned(nested, "fleet/r1").remarks  # and the anchors are known
    assert not planned(f"/fleet/r1/{anchors}", "/fleet/r1").remarks
    rate = "tracker_node: {ros__parameters: {rate: 4.0}}"
    theirs = planned(f"{{'/**/{anchors[:11]}'{anchors[11:]}, {rate}}}", "r1")
    (remark,) = theirs.remarks
    assert "tracker_node: not used, no node here has that name; write /** or /r1/" in remark
    # What ROS does not give it is ours to give.
    assert parameters(theirs, "tracker_node")["rate"] == 10.0
    mine.write_text("my_tracker: {ros__parameters: {budget: 4}}", encoding="utf-8")
    (remark,) = plan({"params_file": str(mine)}).remarks
    assert "my_tracker: not used" in remark
    mine.write_text("amcl: {ros__parameters: {a: 4}}\n" + rate, encoding="utf-8")
    assert not plan({"params_file": str(mine)}).remarks  # others have their sections, too


def test_any_tracker_or_none_may_be_the_baseline() -> None:
    assert "ekf_node" not in by_name(plan({"baseline": "none"}))
    assert parameters(plan({"baseline": "none"}), "source_node")["listeners"] == 2
    assert parameters(plan({"baseline": "none"}), "evaluator_node")["trackers"] == "tracker_node"
    assert parameters(plan({}), "ekf_node")["preset"] == "paper"
    other = parameters(plan({"baseline": "grid"}), "ekf_node")
    assert (other["tracker"], other["preset"]) == ("grid", "")  # the preset is the ekf's


def test_a_recorder_and_simulated_time_on_request() -> None:
    planned = plan({"record": "bag", "use_sim_time": "true"})
    assert parameters(planned, "recorder_node")["output"] == "bag"
    assert all(each.parameters["use_sim_time"] for each in planned.started)


def test_the_live_view_is_a_listener_more_or_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(file: Path | None) -> None:
        raise InputError("the live view needs rerun")

    monkeypatch.setattr(launching, "check_view", missing)
    planned = plan({"view": "true"})
    assert planned.remarks == ("the live view needs rerun; going on without",)
    assert "view_node" not in by_name(planned)
    without = by_name(planned)["source_node"].parameters["listeners"]
    monkeypatch.setattr(launching, "check_view", lambda file: None)
    started = by_name(plan({"view": "true", "environment": "hall", "seed": "4"}))
    assert started["source_node"].parameters["listeners"] == without + 1
    shown = started["view_node"].parameters
    assert (shown["environment"], shown["seed"]) == ("hall", 4)
    assert shown["trackers"] == "tracker_node,ekf_node"


def test_rviz_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching.shutil, "which", lambda name: None)
    planned = plan({"rviz": "true"})
    assert "rviz2 is not installed" in planned.remarks[0]
    assert "rviz2" not in by_name(planned)
    monkeypatch.setattr(launching.shutil, "which", lambda name: "/usr/bin/rviz2")
    assert by_name(plan({"rviz": "true"}))["rviz2"].arguments[0] == "-d"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"source": "radio"}, "source: expected one of"),
        ({"budget": "many"}, "budget: expected int, got 'many'"),
        ({"budget": "0"}, "budget: expected a value"),
        ({"rate": "nan"}, "rate: expected a value"),
        ({"rviz": "yes"}, "rviz: expected true or false"),
        ({"tracker": "ukf"}, "tracker: expected one of"),
        ({"compute": "gpu"}, "compute: expected one of auto, cpu, cuda, got 'gpu'"),
        ({"baseline": "ukf"}, "baseline: expected one of"),
        ({"tracker": "grid", "preset": "paper"}, "unknown preset"),
        ({"scheduler": "juno"}, "needs a trained model"),
        ({"model": "absent.npz"}, "absent.npz: cannot read"),
        (
            {"tracker": "ekf", "model": "absent.npz"},
            "absent.npz: neither tracker ekf nor scheduler foresight reads a model",
        ),
        ({"lever_arm": "1, 2"}, "lever_arm: expected"),
        ({"source": "replay"}, "needs recording:=FILE"),
        ({"source": "replay", "recording": "absent.csv"}, "absent.csv: cannot read"),
        ({"source": "replay", "recording": HERE}, "expected a range table"),
        ({"source": "serial"}, "needs anchors:=FILE"),
        ({"source": "serial", "anchors": HERE, "device": "morse"}, "device: expected one of"),
        ({"params_file": "absent.yaml"}, "absent.yaml: cannot read"),
        ({"accuracy": "0.1"}, "for sequential"),
        ({"ranges_from": "topic=/a"}, "needs topic, type, anchor and range"),
        (
            {"ranges_from": "topic=/a- type=sensor_msgs/msg/Range"},
            "ranges_from: '/a-': Invalid topic",
        ),
        ({"odometry": "/odom/"}, "odometry: '/odom/': Invalid topic name"),
        ({"imu": "my imu"}, "imu: 'my imu': Invalid topic name"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_starts(
    given: dict[str, str], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        plan(given)
    assert "\n" not in str(caught.value)


def test_a_recording_is_looked_at_before_anything_starts(tmp_path: Path) -> None:
    walk = table_in(tmp_path)
    given = {"source": "replay", "recording": walk}
    assert not parameters(plan(given), "tracker_node")["passive"]
    with pytest.raises(InputError, match="is the recording; choose another"):
        plan({**given, "record": walk})
    # Nobody asks for time differences: a tracker that did would wait for ever.
    table_in(tmp_path, "d")
    with pytest.raises(
        InputError, match=r"walk\.csv: holds time differences: measurement must be tdoa"
    ):
        plan(given)
    assert parameters(plan({**given, "measurement": "tdoa"}), "tracker_node")["passive"]
    mine = tmp_path / "mine.yaml"
    mine.write_text("source_node: {ros__parameters: {measurement: tdoa}}", encoding="utf-8")
    assert parameters(plan({**given, "params_file": str(mine)}), "tracker_node")["passive"]
    blinks = load_recording(tmp_path / "walk.csv", differences=True)
    write_bag(tmp_path / "bag", blinks)
    with pytest.raises(InputError, match="bag: holds time differences"):
        plan({**given, "recording": str(tmp_path / "bag")})
    (tmp_path / "walk_anchors.csv").unlink()
    with pytest.raises(InputError, match="needs an anchors file"):
        plan(given)


def test_what_a_node_would_refuse_is_refused_before_it_is_started(tmp_path: Path) -> None:
    """By the nodes' own checks: what they name is looked at."""
    site = site_in(tmp_path)
    twice = tmp_path / "twice.csv"
    twice.write_text("id,x,y,z\n1,0,0,2\n1,5,0,2\n", encoding="utf-8")
    file = str(tmp_path / "site.csv" / "within")
    for given, complaint in (
        ({"anchors": str(twice)}, "id '1' appears twice"),
        ({"anchors": str(tmp_path)}, "cannot read"),
        ({"anchors": site, "device": "dwm1001"}, "none is an id of a dwm1001"),
        ({"anchors": site, "tag_frame": "/tag", "broadcast": "tag"}, "tag_frame: expected a frame"),
        (
            {"anchors": site, "tag_frame": "map", "broadcast": "tag"},
            "is the frame of the positions",
        ),
        ({"anchors": site, "frame": "/map"}, "frame: expected a frame's name"),
        ({"anchors": site, "lever_arm": "1,2"}, "lever_arm: expected"),
        ({"anchors": site, "record": file}, "is not a folder"),
        ({"anchors": site, "record": "x.mcap"}, "a rosbag2 is a folder"),
        ({"device": "none", "anchors": str(twice)}, "id '1' appears twice"),
    ):
        with pytest.raises(InputError, match=complaint):
            plan(given, robot=True)
    with pytest.raises(InputError, match="is not a folder"):
        plan({"output": file})
    for given, complaint in (
        ({"passive": "false"}, "tags must say whom to ask"),
        ({"anchors": str(twice)}, "id '1' appears twice"),
        ({"frame": "/map"}, "frame: expected a frame's name"),
        ({"record": file}, "is not a folder"),
        ({"air_time": "100.0"}, "air_time is of tags that are asked"),
    ):
        with pytest.raises(InputError, match=complaint):
            fleet_launching.plan(given)


def test_a_misspelt_argument_is_pointed_out() -> None:
    assert plan({"trackr": "ekf"}).remarks == ("no argument 'trackr': do you mean 'tracker'?",)
    assert plan({"robot_description": "x"}).remarks == ()


def test_a_fleet_with_simulated_tags() -> None:
    given = {"simulated": "2", "environment": "house", "tags": "tag1", "record": "bag"}
    planned = fleet_launching.plan({**given, "most_tags": "5", "tag_height": "1.0"})
    fleet, *walks, recorder = planned.started
    assert fleet.parameters == {"tags": "tag1", "most_tags": 5, "tag_height": 1.0}
    assert [each.name for each in walks] == ["source_1", "source_2"]
    assert [each.parameters["tag"] for each in walks] == ["tag1", "tag2"]
    for each in walks:
        assert each.parameters.keys() <= catalogue.fields_of("source_node").keys()
    assert (recorder.executable, recorder.parameters["output"]) == ("recorder_node", "bag")
    for given, complaint in (
        ({"simulated": "many"}, "simulated: expected a whole number"),
        ({"simulated": "1", "environment": "random"}, "environment: expected one of"),
        ({"passive": "perhaps"}, "passive: expected bool"),
        ({"scheduler": "juno"}, "needs a trained model"),
        ({"anchors": "absent.csv"}, "absent.csv: cannot read"),
    ):
        with pytest.raises(InputError, match=complaint):
            fleet_launching.plan(given)


@pytest.mark.parametrize("robot", [False, True])
def test_every_argument_is_described_and_every_parameter_exists(robot: bool) -> None:
    for name, (default, text) in launching.arguments(robot).items():
        assert text, name
        if name in launch_arguments.NODE_ARGUMENTS:
            assert default == ""
            key, nodes = launch_arguments.NODE_ARGUMENTS[name]
            assert all(key in catalogue.fields_of(node) for node in nodes), name


def test_launched_executables_are_console_scripts() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    scripts = dict(line.replace(" ", "").split("=") for line in lines)
    for node in catalogue.FILES:
        assert scripts[node] == f"locdreamer_ros.start:{node}"


PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LAUNCHED = [
    pytest.param(name, words, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, (name, words) in enumerate(
        re.findall(
            r"ros2 launch locdreamer_ros (\w+)\.launch\.py ?([^\n`]*:=[^\n`]*)",
            re.sub(r"\s*\\\n\s*", " ", page.read_text(encoding="utf-8")),
        )
    )
]


@pytest.mark.parametrize(("name", "words"), LAUNCHED)
def test_launch_lines_of_the_pages_start_something(name: str, words: str, tmp_path: Path) -> None:
    """Every argument is known and right; files that the user has stand for this one."""
    if "FILE" in words or "|" in words:
        pytest.skip("a form, not a line")
    given = dict(word.split(":=", 1) for word in shlex.split(words) if ":=" in word)
    if "recording" in given:
        given["recording"] = table_in(tmp_path)
    if "anchors" in given:
        device = given.get("device", "decar")
        given["anchors"] = site_in(tmp_path, "decar" if device == "none" else device)
    given.pop("params_file", None)
    if name == "fleet":
        assert set(given) <= set(fleet_launching.arguments())
        assert "fleet_node" in by_name(fleet_launching.plan(given))
        return
    planned = plan(given, robot=name == "robot")
    assert not [remark for remark in planned.remarks if "do you mean" in remark]
    assert set(given) <= set(launching.arguments(name == "robot"))
    source = {"driver_node", "source_node"} & set(by_name(planned))
    told = by_name(planned)["tracker_node"].parameters.get("anchors_file")
    assert bool(source) is (told is None), "somebody says where the anchors are"


def test_the_filter_of_robot_localization_is_fed_topics_that_there_are() -> None:
    for page in ("with_robot_localization.md", "nodes.md"):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        (block,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
        ((_, node),) = yaml.safe_load(textwrap.dedent(block)).items()
        values = node["ros__parameters"]
        topics = [value for key, value in values.items() if re.fullmatch(r"(odom|pose)\d", key)]
        assert any(topic.endswith("/tracker_node/base_pose") for topic in topics)
        for key, flags in values.items():
            if key.endswith("_config"):  # x y z, roll pitch yaw, and their rates and accelerations
                assert len(flags) == 15, key
        assert [i for i, flag in enumerate(values["pose0_config"]) if flag] == [0, 1, 5]


@pytest.mark.parametrize(
    ("environment", "taken", "profile"),
    [
        ({}, "FASTDDS_DEFAULT_PROFILES_FILE", "discovery_fast_dds_3.xml"),
        (
            {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"},
            "FASTDDS_DEFAULT_PROFILES_FILE",
            "discovery_localhost.xml",
        ),
        ({"ROS_DISTRO": "jazzy"}, "FASTRTPS_DEFAULT_PROFILES_FILE", "discovery.xml"),
        ({"FASTDDS_DEFAULT_PROFILES_FILE": "mine.xml"}, "", ""),
        ({"FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml"}, "", ""),
    ],
)
def test_nodes_announce_themselves_often_unless_somebody_says_how(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], taken: str, profile: str
) -> None:
    monkeypatch.setattr(os, "environ", dict(environment))
    find_soon()
    new = os.environ.keys() & PROFILE_OF - environment.keys()
    assert new == ({taken} if taken else set())
    assert os.environ.get("FASTDDS_BUILTIN_TRANSPORTS") == ("UDPv4" if taken else None)
    for name in new:
        assert Path(os.environ[name]).name == profile
        (period,) = ElementTree.parse(os.environ[name]).getroot().iter(TAG)
        assert [int(str(part.text)) for part in period] == [0, 500_000_000]


def test_the_two_profiles_of_fast_dds_3_differ_in_how_messages_go_alone() -> None:
    said = []
    for name in ("discovery_fast_dds_3", "discovery_localhost"):
        root = ElementTree.parse(catalogue.shared_file(f"config/{name}.xml")).getroot()
        (rtps,) = (each for each in root.iter() if each.tag.endswith("}rtps"))
        for each in [each for each in rtps if each.tag.endswith("}defaultUnicastLocatorList")]:
            rtps.remove(each)
        said.append([(each.tag, (each.text or "").strip()) for each in root.iter()])
    assert said[0] == said[1]


def test_a_transport_that_somebody_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"FASTDDS_BUILTIN_TRANSPORTS": "DEFAULT"})
    find_soon()
    assert os.environ["FASTDDS_BUILTIN_TRANSPORTS"] == "DEFAULT"
