# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What pip, colcon and the registry read must say the same thing, and match what is there."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import zipfile
from configparser import ConfigParser
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

import locdreamer_ros
from locdreamer_ros.errors import not_installed

ROOT = Path(__file__).resolve().parent.parent
NAME = "locdreamer_ros"
# `ros2 topic info --verbose /tf` on a ROS distribution: geometry2's own TFMessage.
TF_HASH = "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087"

SETUP = ConfigParser()
SETUP.read(ROOT / "setup.cfg")
CMAKE = (ROOT / "CMakeLists.txt").read_text()
PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()
SCRIPTS = [line for line in SETUP["options.entry_points"]["console_scripts"].split("\n") if line]
MESSAGES = sorted(path.stem for path in (ROOT / "msg").glob("*.msg"))

# Where the compiled messages are installed, by pip or colcon: PREFIX/lib/pythonX.Y/site-packages.
COMPILED = find_spec(f"{NAME}.msg")
PREFIX = Path(COMPILED.origin).parents[5] if COMPILED and COMPILED.origin else ROOT
compiled = pytest.mark.skipif(COMPILED is None, reason="only the ROS-free core is installed")


def type_hash(package: str, message: str) -> str:
    """The type hash the build has put down beside the installed message."""
    path = PREFIX / "share" / package / "msg" / f"{message}.json"
    hashes = json.loads(path.read_text())["type_hashes"]
    (found,) = {e["hash_string"] for e in hashes if e["type_name"] == f"{package}/msg/{message}"}
    return str(found)


def texts(tag: str) -> set[str]:
    return {element.text or "" for element in PACKAGE.iter(tag)}


def python_sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_one_version_everywhere() -> None:
    version = SETUP["metadata"]["version"]
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert cited is not None
    assert PACKAGE.findtext("version") == version
    assert cited[1] == version
    assert locdreamer_ros.__version__ == version


def test_the_changelog_is_what_catkin_pkg_reads() -> None:
    text = (ROOT / "CHANGELOG.rst").read_text()
    title, newest, *_ = re.findall(r"^(.+)\n([\^-]+)$", text, re.M)
    version = SETUP["metadata"]["version"]
    assert title[0] == f"Changelog for package {NAME}"
    assert re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", newest[0])
    assert len(newest[0]) == len(newest[1])
    changelog = pytest.importorskip("catkin_pkg.changelog", reason="needs catkin_pkg")
    read = changelog.get_changelog_from_path(str(ROOT / "CHANGELOG.rst"), NAME)
    assert [v for v, _, entries in read.foreach_version() if len(list(entries))] == [version]


def test_package_xml_is_in_the_order_and_form_of_the_linters() -> None:
    """As ament_xmllint and catkin_pkg have it."""
    order = ("name", "version", "description", "maintainer", "license", "url", "author")
    order += ("buildtool_depend", "depend", "exec_depend", "test_depend")
    order += ("member_of_group", "export")
    found = [order.index(child.tag) for child in PACKAGE]
    assert found == sorted(found)
    named = [child.text for child in PACKAGE if child.tag in ("depend", "exec_depend")]
    assert len(named) == len(set(named))
    package = pytest.importorskip("catkin_pkg.package", reason="needs catkin_pkg")
    warnings: list[str] = []
    package.parse_package(str(ROOT / "package.xml")).validate(warnings=warnings)
    assert warnings == []


def test_cmake_is_in_the_form_of_the_linters() -> None:
    """As ament_lint_cmake has it: small commands, no tabs, no trailing blanks, 120 columns."""
    for number, line in enumerate(CMAKE.splitlines(), start=1):
        assert line == line.rstrip(), number
        assert "\t" not in line, number
        assert len(line) <= 120, number
        command = re.match(r"\s*([A-Za-z_]+)\s*\(", line)
        assert command is None or command[1] == command[1].lower(), number
        assert not re.match(r"\s*[a-z_]+ \(", line), f"{number}: blank before ("


def test_one_name_and_licence_everywhere() -> None:
    assert PACKAGE.findtext("name") == SETUP["metadata"]["name"] == NAME
    assert PACKAGE.findtext("license") == SETUP["metadata"]["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()
    assert (ROOT / "resource" / NAME).is_file()


def test_cmake_builds_every_message() -> None:
    assert sorted(re.findall(r'"msg/(\w+)\.msg"', CMAKE)) == MESSAGES


def test_cmake_reads_every_console_script() -> None:
    pattern = re.search(r'REGEX "(.*)"\)', CMAKE)
    assert pattern is not None
    regex = re.compile(pattern[1].replace("${PROJECT_NAME}", NAME))
    lines = (ROOT / "setup.cfg").read_text().splitlines()
    assert [line.strip() for line in lines if regex.search(line)] == SCRIPTS
    tabs = [line.replace("    ", "\t") for line in lines]  # as setuptools writes it into an sdist
    assert [line.strip() for line in tabs if regex.search(line)] == SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
def test_console_script_names_a_function(script: str) -> None:
    module, function = script.split(" = ")[1].split(":")
    path = ROOT.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(source.read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {source.parent for source in python_sources(NAME)}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_what_nodes_and_launch_files_import_is_declared() -> None:
    imported = set()
    for source in python_sources(NAME, "launch"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    ros = {
        name
        for name in imported
        if name.endswith(("_msgs", "_interfaces"))
        or name in ("rclpy", "ament_index_python", "launch", "launch_ros")
    }
    assert ros <= texts("depend") | texts("exec_depend")
    wheels = SETUP["options.extras_require"]["ros"]
    on_no_registry = {"tf2_msgs", "launch", "launch_ros"}
    with_rclpy = {"builtin_interfaces", "rcl_interfaces", "ament_index_python"}
    for name in ros - on_no_registry - with_rclpy:
        assert f"ros-{name.replace('_', '-')}" in wheels


def test_cmake_finds_only_what_package_xml_declares() -> None:
    declared = texts("depend") | texts("buildtool_depend") | texts("test_depend")
    declared.add("Python3")  # CMake's own; the messages' generators bring its headers
    assert set(re.findall(r"find_package\((\w+)", CMAKE)) <= declared


ALLOWED = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
OPTIONAL = ("scipy", "matplotlib", "rosbags", "safetensors", "torch", "numba", "joblib")


def without(code: str) -> subprocess.CompletedProcess[str]:
    """Run code where only what package.xml names is installed."""
    code = ALLOWED.format(absent=set(OPTIONAL)) + code
    found = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": found.rstrip(os.pathsep)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )


def test_run_dependencies_are_what_the_tracking_nodes_need() -> None:
    declared = {name.removeprefix("python3-") for name in texts("exec_depend")}
    assert not declared & set(OPTIONAL)
    assert {"numpy", "serial", "transforms3d", "yaml"} <= declared
    assert "rviz2" not in texts("exec_depend")


def test_the_default_tracker_needs_no_more_than_package_xml_names() -> None:
    done = without("""
import numpy as np
from locdreamer_ros.methods import SCHEDULERS, NEED_A_MODEL, Method
from locdreamer_ros.types import Anchors
anchors = Anchors(tuple("abcd"), np.array([[0, 0, 2], [9, 0, 2], [9, 7, 2], [0, 7, 3.0]]))
for tracker in ("zero-shot", "ekf", "robust-ekf", "bias-ekf", "grid"):
    method = Method(tracker=tracker)
    method.make_tracker(method.site(anchors))
for scheduler in set(SCHEDULERS) - set(NEED_A_MODEL):
    method = Method(scheduler=scheduler)
    method.make_scheduler(method.site(anchors))
""")
    assert done.returncode == 0, done.stderr


@compiled
def test_the_tracking_nodes_need_no_more_than_package_xml_names() -> None:
    done = without("""
from locdreamer_ros.nodes import launching, driver_node, ekf_node, evaluator_node, source_node
from locdreamer_ros.nodes.tracker_node import TrackerNode
import rclpy
launching.plan({"scheduler": "foresight"})
rclpy.init()
node = TrackerNode()
assert node.trigger_configure().name == "SUCCESS", node.problem
rclpy.shutdown()
""")
    assert done.returncode == 0, done.stderr


def test_what_is_missing_is_called_by_its_name_on_pypi() -> None:
    # "serial" is another package there.
    said = not_installed(ModuleNotFoundError("no", name="serial.tools"))
    assert "apt install python3-serial, or pip install pyserial (" in said
    assert "this needs rerun: pip install rerun-sdk (" in not_installed(
        ModuleNotFoundError("no", name="rerun")
    )


@compiled
def test_what_is_not_installed_is_one_line() -> None:
    done = without("""
from locdreamer_ros import start
sys.argv += ["--ros-args", "-p", "source:=simulator"]
sys.exit(start.source_node())
""")
    assert done.returncode == 2, done.stderr
    assert "this needs scipy: apt install python3-scipy, or pip install scipy" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_node_that_is_told_to_end_while_it_imports_ends(number: signal.Signals) -> None:
    code = f"""
import os, sys
from locdreamer_ros import start
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "locdreamer_ros.nodes":
            os.kill(os.getpid(), {int(number)})
sys.meta_path.insert(0, Slow())
sys.exit(start.tracker_node())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_node_ends_with_the_launch_that_started_it() -> None:
    """However that ends; what `ros2 run` or a shell has started lives on."""
    node = """
import os, sys, time
from locdreamer_ros import start
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "locdreamer_ros.nodes":
            print(os.getpid(), flush=True)
            time.sleep(10)
            print("outlived it", flush=True)
            os._exit(1)
sys.meta_path.insert(0, Slow())
start.tracker_node()
"""
    launch = "import os, subprocess, sys; os.environ['LOCDREAMER_LAUNCHED_BY'] = str(os.getpid()); "
    launch += "subprocess.call([sys.executable, '-c', sys.argv[1]])"
    with subprocess.Popen(
        [sys.executable, "-c", launch, node],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert int(running.stdout.readline()) != running.pid
        running.kill()
        assert running.stdout.read() == ""  # the node has let go of it


def test_ros_requirements_leave_other_machines_alone() -> None:
    marker = 'platform_machine == "x86_64" and sys_platform == "linux"'
    requires = re.findall(r"'(ros-.*)'", (ROOT / "pyproject.toml").read_text())
    extra = [line for line in SETUP["options.extras_require"]["ros"].split("\n") if line]
    assert requires
    assert all(line.endswith(f"; {marker}") for line in requires + extra)


def named(line: str) -> str:
    return re.split(r"[^\w.-]", line)[0].lower().replace(".", "-").replace("_", "-")


def test_what_it_needs_is_locked_in_the_pinned_versions() -> None:
    """After a change: make lock."""
    folder = ROOT / "requirements"
    pins = re.findall(r"(?m)^[\w.-]+==[^\s;]+", (folder / "constraints.txt").read_text())
    text = (folder / "locked.txt").read_text()
    locked = re.findall(r"(?m)^([\w.-]+==[^\s;]+).*\n    --hash=sha256:[0-9a-f]{64}", text)
    assert len(locked) == len(re.findall("(?m)^[a-z]", text))
    versions = {(named(pin), pin.partition("==")[2]) for pin in pins}
    assert {(named(lock), lock.partition("==")[2]) for lock in locked} <= versions
    done = subprocess.run(
        [sys.executable, folder / "needed.py"], capture_output=True, text=True, check=False
    )
    if "tomllib" in done.stderr:
        pytest.skip("needs Python 3.11")
    assert {named(line) for line in done.stdout.splitlines()} <= {named(lock) for lock in locked}


def test_every_source_has_the_licence_header() -> None:
    sources = python_sources(NAME, "test", "docs", "launch")
    sources += [ROOT / name for name in ("setup.py", "setup.cfg", "CMakeLists.txt", "Makefile")]
    for folder in ("cmake", "config", ".ci"):
        sources += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    bare = [
        str(source.relative_to(ROOT))
        for source in sources
        # A message's text is hashed and shipped as it is, JSON has no comments.
        if source.suffix not in (".msg", ".json")
        and source.name != "COLCON_IGNORE"
        and "SPDX-License-Identifier: Apache-2.0" not in "".join(source.open().readlines()[:5])
    ]
    assert not bare


@compiled
def test_installed_messages_are_those_of_the_tree() -> None:
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS2_KILTED)
    types = {}
    for message in MESSAGES:
        text = (ROOT / "msg" / f"{message}.msg").read_text()
        types |= get_types_from_msg(text, f"{NAME}/msg/{message}")
    store.register(types)
    for message in MESSAGES:
        assert type_hash(NAME, message) == store.hash_rihs01(f"{NAME}/msg/{message}"), message


@compiled
@pytest.mark.skipif(
    not (PREFIX / "share" / "tf2_msgs").exists(), reason="tf2_msgs is the distribution's own"
)
def test_tf_message_is_the_one_of_geometry2() -> None:
    assert type_hash("tf2_msgs", "TFMessage") == TF_HASH


@compiled
def test_executables_are_where_launch_looks_for_them() -> None:
    folder = PREFIX / "lib" / NAME
    installed = {path.name for path in folder.iterdir() if os.access(path, os.X_OK)}
    assert installed == {script.split(" = ")[0] for script in SCRIPTS}


@pytest.mark.parametrize("compiler", ["c++", "no-such-compiler"])
def test_core_installs_without_ros(tmp_path: Path, compiler: str) -> None:
    pytest.importorskip("setuptools", minversion="70.1")
    tree = tmp_path / "tree"
    ignored = shutil.ignore_patterns(".*", "build", "install", "log", "*_output", "*.egg-info")
    shutil.copytree(ROOT, tree, ignore=ignored)
    build = "import setuptools.build_meta as b, sys; print(b.build_wheel(sys.argv[1]))"
    quick = tmp_path / compiler
    if shutil.which(compiler):  # the last option counts: a third of the time
        quick.write_text(f'#!/bin/sh\nexec {shutil.which(compiler)} "$@" -O0\n')
        quick.chmod(0o755)
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)],
        cwd=tree,
        env={**os.environ, "LOCDREAMER_NO_ROS": "1", "CXX": str(quick)},
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    # Without a compiler numpy answers, and the wheel is everybody's.
    headers = Path(sysconfig.get_path("include"), "Python.h").is_file()
    compiles = bool(shutil.which(compiler)) and headers
    assert wheel.name.endswith("-py3-none-any.whl") is not bool(shutil.which(compiler))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    data = f"{wheel.name.rsplit('-', 3)[0]}.data/data/share"
    assert f"{NAME}/loop.py" in names
    assert f"{NAME}/zero_shot/zero_shot.safetensors" in names  # pip's way; CMake takes all files
    assert f"{data}/{NAME}/msg/RangeArray.msg" in names  # for reading and writing bags
    assert f"{data}/ament_index/resource_index/packages/{NAME}" in names
    built = [name for name in names if name.endswith(".so")]
    assert [name.split(".")[0] for name in built] == [f"{NAME}/_compiled"] * compiles
    assert not [name for name in names if "tf2_msgs" in name]
