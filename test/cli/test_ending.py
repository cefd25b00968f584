# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every command ends tidily when it is told to, at whatever moment: one line, nothing half done."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from locdreamer_ros.cli import main
from locdreamer_ros.cli.ending import SIGNALS, heeding_signals
from locdreamer_ros.simulation import simulate

ROOT = Path(__file__).parents[2]
MOMENTS = int(os.environ.get("LOCDREAMER_MOMENTS", "1"))
"""Random moments for each command; 100 are 200 in all."""
COMMANDS = {
    "simulate": ["simulate", "--duration", "10", "--output", "{}/walk.csv", "--json", "{}/a.json"],
    "demo": ["demo", "--offline", "--duration", "6", "--output", "{}"],
}
COMMANDS["graph"] = ["demo", "--duration", "20", "--output", "{}"]


@pytest.fixture
def heard():
    """A shell that runs the tests in the background, or nohup, has made them deaf to it."""
    usual = {signal.SIGINT: signal.default_int_handler}
    before = {each: signal.signal(each, usual.get(each, signal.SIG_DFL)) for each in SIGNALS}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize(
    ("number", "status", "line"),
    [
        (signal.SIGINT, 130, "locdreamer: interrupted\n"),
        (signal.SIGTERM, 143, "locdreamer: ended by SIGTERM\n"),
        (signal.SIGHUP, 129, "locdreamer: ended by SIGHUP\n"),
    ],
)
def test_a_signal_is_one_line_and_a_status(tmp_path, capsys, monkeypatch, number, status, line):
    def told(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)
        sleep(10.0)

    monkeypatch.setattr("locdreamer_ros.simulation.simulate", told)
    before = [signal.getsignal(each) for each in SIGNALS]
    code = main(["simulate", "--duration", "5", "--output", str(tmp_path / "x.csv")])
    assert code == status
    assert capsys.readouterr().err == line
    assert list(tmp_path.iterdir()) == []
    assert [signal.getsignal(each) for each in SIGNALS] == before


class Fragile:
    """Told while it is taken away: the exception cannot leave a destructor."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        sleep(0.1)


@pytest.mark.usefixtures("heard")
def test_a_signal_in_a_destructor_is_not_lost(tmp_path, capsys, monkeypatch):
    def told(*_: object, **__: object) -> None:
        Fragile()
        sleep(10.0)

    monkeypatch.setattr("locdreamer_ros.simulation.simulate", told)
    assert main(["simulate", "--duration", "5", "--output", str(tmp_path / "x.csv")]) == 143
    assert capsys.readouterr().err == "locdreamer: ended by SIGTERM\n"


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("then", ["goes on", "another exception"])
def test_a_signal_that_was_caught_still_decides_the_status(tmp_path, monkeypatch, then):
    def told(*_: object, **__: object) -> object:
        with contextlib.suppress(BaseException):  # as some libraries do
            os.kill(os.getpid(), signal.SIGTERM)
        if then != "goes on":
            raise ImportError("cannot be imported")  # numpy, interrupted in its own import
        return simulate("house", duration=5.0)

    monkeypatch.setattr("locdreamer_ros.simulation.simulate", told)
    assert main(["simulate", "--duration", "5", "--output", str(tmp_path / "x.csv")]) == 143


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with heeding_signals(last=False):
            os.kill(os.getpid(), signal.SIGHUP)
            sleep(0.01)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_an_emulated_module_ends_when_it_is_told_to(tmp_path, number):
    link = tmp_path / "uwb"
    process = subprocess.Popen(
        [sys.executable, "-m", "locdreamer_ros.cli", "emulate", "decar", "--link", str(link)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in SIGNALS],
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("decar on ")
        process.send_signal(number)
        _, complaint = process.communicate(timeout=500.0)
    finally:
        process.kill()
    assert (process.returncode, complaint) == (0, "")
    assert not link.is_symlink()


def started(name: str, folder: Path) -> subprocess.Popen[str]:
    """The command in a process of its own, deaf until it can answer: Python itself cannot."""
    arguments = [part.format(folder) for part in COMMANDS[name]]
    return subprocess.Popen(
        [sys.executable, "-m", "locdreamer_ros.cli", *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS),
    )


def living(folder: Path) -> list[str]:
    """Processes that were started with something below `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def whole(folder: Path) -> None:
    """Whatever a command has left there can be read to its end, and there is nothing else."""
    for path in folder.rglob("*"):
        assert not path.name.startswith("."), path
        if path.suffix == ".json":
            json.loads(path.read_text())
        if path.name == "metadata.yaml":
            from locdreamer_ros.datasets.rosbag2 import open_bag

            open_bag(path.parent)
    walk = folder / "walk.csv"
    assert not walk.exists() or walk.read_text().endswith("\n")


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("name", ["simulate", "demo"])
@pytest.mark.promise(
    "Every command ends on SIGINT, SIGTERM and SIGHUP, at any moment: exit status 130, 143 or 129, "
    "no traceback, nothing half-written."
)
def test_at_a_random_moment(tmp_path, name):
    rng = random.Random(name)
    begin = monotonic()
    process = started(name, tmp_path / "whole")
    assert process.communicate()[1].count("Traceback") == 0
    assert process.returncode == 0
    duration = monotonic() - begin
    for moment in range(MOMENTS):
        number = SIGNALS[(moment + len(name)) % len(SIGNALS)]
        folder = tmp_path / str(moment)
        process = started(name, folder)
        sleep(rng.uniform(0.0, duration))
        process.send_signal(number)
        error = process.communicate()[1]
        assert process.returncode in (0, 128 + number), error
        assert "Traceback" not in error
        whole(folder)


@pytest.mark.promise("No node outlives an interrupted graph.")
def test_the_graph_ends_with_the_demo(tmp_path):
    """SIGTERM to the demo, as docker and systemd send it: no node is left, the bag is whole."""
    pytest.importorskip("rclpy", reason="needs ROS 2")
    folder = tmp_path / "out"
    process = started("graph", folder)
    while not (folder / "log" / "recorder_node.log").exists() and process.poll() is None:
        sleep(0.05)
    sleep(1.0)
    process.send_signal(signal.SIGTERM)
    error = process.communicate()[1]
    assert process.returncode in (0, 143), error
    assert "Traceback" not in error
    assert not living(folder)
    for log in (folder / "log").glob("*.log"):
        assert "Traceback" not in log.read_text(), log.read_text()
