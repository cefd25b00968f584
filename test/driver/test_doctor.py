# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`doctor` and `emulate` as a user runs them; each device and mode is recognised."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
import tty
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driver.fake_device import refused
from fuzz.codecs import Source, damage

from locdreamer_ros.cli import main
from locdreamer_ros.cli.doctor import describe
from locdreamer_ros.config import build, load_parameters
from locdreamer_ros.driver import detect
from locdreamer_ros.driver.detect import Port, examine, find_ports
from locdreamer_ros.driver.devices import NAMES, all_devices, get_device
from locdreamer_ros.driver.emulator import FAULTS, SPEEDS, emulate
from locdreamer_ros.driver.transport import holders

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("device", NAMES)
def test_every_device_is_recognised(tmp_path: Path, device: str) -> None:
    module, _ = emulate(device, link=tmp_path / "port", walk_s=30.0)
    port = Port(str(tmp_path / "port"), str(tmp_path / "port"), "test")
    examine(port)
    module.close()
    assert port.usable
    assert port.device is not None
    # One module, two modes: at power-on it is in the binary one.
    assert port.device.device == device.removesuffix("-shell")
    assert port.device.baud == get_device(device).capabilities.baud
    schedulable = get_device(device).capabilities.schedulable
    assert port.device.schedulable == schedulable
    assert any("saves no energy" in advice for advice in port.advice) != schedulable
    speaks = not get_device(device).question and not device.startswith("dwm1001")
    if speaks:
        # What a busy machine hands on in heaps seems to come faster, or slower.
        assert 0.3 < port.device.rate / get_device(device).capabilities.max_rate < 3.0
    elif device != "sketch":  # which greets, on a busy machine while one listens
        assert port.device.reply_ms > 0.0


def test_reports_are_counted_of_one_tag_and_not_by_their_lines() -> None:
    three = b"".join(
        b"SESSION_INFO_NTF: {session_handle=1, sequence_number=%d, block_index=1, "
        b"n_measurements=2\r\n"
        b' [mac_address=0x0001, status="SUCCESS", distance[cm]=210];\r\n'
        b' [mac_address=0x0002, status="SUCCESS", distance[cm]=310]}\r\n' % number
        for number in range(3)
    )
    assert detect._cycles("dwm3001cdk", three) == 3
    lines = [
        b"mc 01 000004b0 00000000 00000000 00000000 %04x 15 00af89a4 t%d:0\r\n" % (number, tag)
        for number in range(4)
        for tag in range(2)
    ]
    assert detect._cycles("trek1000", b"".join(lines)) == 4


def test_every_match_of_a_pattern_is_looked_at(tmp_path: Path) -> None:
    for name in ("usb-gps", "usb-module"):
        (tmp_path / name).touch()
    found = find_ports(str(tmp_path / "usb-*"))
    assert [port.path for port in found] == [str(tmp_path / n) for n in ("usb-gps", "usb-module")]
    assert find_ports(str(tmp_path / "none-*"))[0].path.endswith("none-*")


def test_looking_at_a_port_takes_less_than_ten_seconds() -> None:
    """Where nothing answers; what answers is found before."""
    asked = sum(len(detect._questions(baud)) for baud in detect.BAUDS)
    assert asked >= len([device for device in all_devices() if device.question])
    assert len(detect.BAUDS) * detect.LISTEN_S + asked * detect.ANSWER_S < 10.0


def test_an_answer_is_waited_for_by_waits_and_not_by_the_clock() -> None:
    """On a busy machine every wait takes longer, and so does the answer."""

    class Slow:
        up, waits = True, 0

        def read(self, timeout: float) -> bytes:
            time.sleep(2.0 * timeout)
            self.waits += 1
            return b"late" if self.waits == 24 else b""

    slow: Any = Slow()
    assert detect._listen(slow, 0.25, np.inf)[0] == b"late"
    assert detect._listen(slow, np.inf, time.monotonic() + 0.05)[0] == b""  # nor for ever


@pytest.mark.parametrize(
    ("line", "mode"),
    [
        (b"1151[5.00,8.00,2.25]=6.48 0CA8[0.00,8.00,2.25]=6.51 \r\n", "les"),
        (b"DIST,1,AN0,1151,5.00,8.00,2.25,6.44\r\n", "lec"),
        (b"POS,2.57,2.00,1.67,97\r\n", "lep"),
        (b"dwm> ", "waiting"),
    ],
)
def test_the_modes_of_the_shell_are_told_apart(line: bytes, mode: str) -> None:
    found = detect._match(line)
    assert found is not None
    assert found[0] == "dwm1001-shell"
    assert mode in found[1]


@pytest.mark.promise("`doctor` takes no damaged stream for another module.")
@pytest.mark.parametrize("device", NAMES)
def test_a_damaged_stream_is_never_taken_for_another_device(device: str) -> None:
    rng = np.random.default_rng(5)
    source = Source(device, rng)
    other = source.exchange(source.ids[0])[0]
    told = 0
    for _ in range(80):  # with all devices over a thousand
        pieces = []
        for _ in range(int(rng.integers(1, 6))):
            piece = source.exchange(source.ids[int(rng.integers(len(source.ids)))])[0]
            piece, other = damage(rng, piece, other), piece
            pieces.append(piece)
        found = detect._match(b"".join(pieces))
        told += found is not None
        # The DWM1001's two modes are one module.
        assert found is None or found[0].removesuffix("-shell") == device.removesuffix("-shell")
    if not get_device(device).question:  # it is told by what it says by itself
        assert told > 8


def test_a_board_that_boots_late_is_told_its_own_baud_rate(tmp_path: Path) -> None:
    """Silent through the first two rates; over USB any rate works, so 9600 would be a guess."""
    module, _ = emulate("decar", link=tmp_path / "port", walk_s=30.0)
    module.deafen(True)
    hear = threading.Timer(2.5, module.deafen, [False])
    hear.start()
    port = Port(str(tmp_path / "port"), str(tmp_path / "port"), "test")
    examine(port)
    module.close()
    hear.cancel()
    assert port.device is not None
    assert (port.device.device, port.device.baud) == ("decar", 115200)


def test_a_port_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A board that restarts when it is opened would be booting at every baud rate."""
    master, slave = pty.openpty()
    tried = []

    def recognise(transport: detect.Transport, until: float) -> tuple[None, int]:
        tried.append((transport.baud, transport.counters.opened, termios.tcgetattr(slave)[5]))
        return None, 0

    monkeypatch.setattr(detect, "recognise", recognise)
    examine(Port(os.ttyname(slave), "", "test"))
    assert [(baud, opened) for baud, opened, _ in tried] == [(baud, 1) for baud in detect.BAUDS]
    assert [SPEEDS[speed] for *_, speed in tried] == list(detect.BAUDS)
    os.close(master)
    os.close(slave)


def test_a_baud_rate_that_is_not_the_devices_own_is_part_of_how_to_use_it() -> None:
    port = Port("/dev/ttyUSB0", "/dev/ttyUSB0", "test", usable=True)
    for baud, shown in ((57600, True), (115200, False)):
        port.device = detect.Found("ryuw122", "ready", baud, True, 15.0)
        (use,) = [line for line in describe(port).splitlines() if "use it" in line]
        assert (f"baud: {baud}" in use) == shown


def test_over_usb_the_devices_own_baud_rate_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever it was found at."""
    monkeypatch.setattr(detect, "BAUDS", (9600,))
    module, _ = emulate("trek1000", link=tmp_path / "port", walk_s=30.0)
    port = Port(str(tmp_path / "port"), str(tmp_path / "port"), "test")
    examine(port)
    module.close()
    assert port.device is not None
    assert (port.device.device, port.device.baud) == ("trek1000", 115200)


def test_ports_of_a_boards_header_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "serial0").touch()
    monkeypatch.setattr(detect, "BOARD_PORTS", (str(tmp_path / "serial0"), "/dev/none"))
    monkeypatch.setattr(detect.list_ports, "comports", list)
    assert [port.path for port in find_ports()] == [str(tmp_path / "serial0")]


def test_a_silent_port_and_a_chattering_one_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "LISTEN_S", 0.1)
    monkeypatch.setattr(detect, "ANSWER_S", 0.02)
    master, slave = pty.openpty()
    tty.setraw(slave)
    silent = Port(os.ttyname(slave), "", "test")
    examine(silent)
    assert silent.device is None
    assert "No supported device answered" in silent.advice[-1]
    monkeypatch.setattr(detect.Transport, "read", lambda *_: b"$GPGGA,1,2*33\r\n")
    chatter = Port(os.ttyname(slave), "", "test")
    monkeypatch.setattr(detect, "_listen", lambda *_: (b"$GPGGA,1,2*33\r\n", 0.0, 0.1))
    examine(chatter)
    assert sum("fit no supported device" in advice for advice in chatter.advice) == 1
    os.close(master)
    os.close(slave)


def test_a_slow_adapter_and_modem_manager_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "latency_timer", lambda _: (16, tmp_path / "latency_timer"))
    monkeypatch.setattr(detect, "modem_manager_runs", lambda: True)
    port = Port("/dev/does-not-exist", "", "test")
    examine(port)
    assert "no such port" in port.advice[0]
    assert any("16 ms" in advice and "echo 1" in advice for advice in port.advice)
    assert any("ModemManager" in advice for advice in port.advice)


def test_a_port_that_may_not_be_used_says_who_may(capsys: pytest.CaptureFixture[str]) -> None:
    module, _ = emulate("decar", walk_s=30.0)
    with refused(module.path):
        assert main(["doctor", module.path]) == 1
    said = capsys.readouterr().out
    assert "cannot be opened" in said
    assert "permission denied" in said
    assert "install the udev rule" in said
    assert main(["doctor", module.path]) == 0
    said = capsys.readouterr().out
    assert re.search("permission +ok", said)
    assert re.search("rate +at most 250 ranges/s", said)
    module.close()


def test_doctor_without_modules_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "find_ports", lambda _: [])
    assert main(["doctor"]) == 1
    assert "locdreamer emulate" in capsys.readouterr().out


def test_another_program_at_the_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Locked or not: without a lock it takes bytes away, which nothing else tells."""
    module, _ = emulate("trek1000", walk_s=30.0)
    for lock, rc in (("", 0), ("fcntl.flock(port, fcntl.LOCK_EX);", 1)):
        code = f"import fcntl,sys,time; port = open(sys.argv[1], 'wb', 0); {lock} print()"
        command = [sys.executable, "-uc", f"{code}; time.sleep(60)", module.path]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            other.stdout.readline()
            assert main(["doctor", module.path]) == rc
            other.kill()
        said = re.sub(r"\s+", " ", capsys.readouterr().out)
        assert f"(process {other.pid})" in said
        assert ("Bytes go to" in said) == (rc == 0)
        assert ("in use by" in said) == (rc == 1)
    module.close()


def test_the_program_behind_an_emulated_module_is_no_other_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "locdreamer_ros.cli", "emulate", "trek1000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "--link", str(tmp_path / "uwb")], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert holders(str(tmp_path / "uwb")) == ""
        process.terminate()


def test_ports_are_listed_without_opening_them() -> None:
    assert all(port.usb or "header" in port.description for port in find_ports())
    assert find_ports("/dev/x")[0].path == "/dev/x"


def test_emulate_then_doctor_as_a_user_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link, anchors = tmp_path / "uwb", tmp_path / "site.csv"
    command = [sys.executable, "-m", "locdreamer_ros.cli", "emulate", "decar"]
    command += ["--link", str(link), "--anchors", str(anchors), "--fault", "split"]
    command += ["--fault", "dead=1,2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    said = process.stdout.readline() + process.stdout.readline()
    assert str(link) in said
    assert "anchors_file:=" in said
    assert anchors.read_text().startswith("id,x,y,z\n1,")
    report = tmp_path / "doctor.json"
    assert main(["doctor", str(link), "--json", str(report)]) == 0
    assert "decar" in capsys.readouterr().out
    assert json.loads(report.read_text())[0]["device"]["schedulable"] is True
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert not link.is_symlink()


@pytest.mark.parametrize(
    "wrong",
    [
        ["gps"],
        ["decar", "--fault", "fire"],
        ["decar", "--fault", "dead="],
        ["decar", "--fault", "dead=77"],
        ["decar", "--environment", "moon"],
        ["decar", "--seed", "-1"],
    ],
)
def test_bad_input_is_one_line(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", *wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_help_names_every_device_and_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["emulate", "--help"])
    text = re.sub(r"\s+", " ", capsys.readouterr().out).replace("- ", "-")
    for word in (*NAMES, *FAULTS, "dead="):
        assert word in text


@pytest.mark.parametrize("file", ["driver.yaml", *(f"driver/{name}.yaml" for name in NAMES)])
def test_the_presets_are_parameters_of_the_node(file: str) -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2")
    from locdreamer_ros.nodes.driver_node import DriverConfig

    path = ROOT / "config" / file
    values = load_parameters(path, "driver_node")
    config = build(DriverConfig, values, str(path))
    if file == "driver.yaml":
        assert config == DriverConfig()
        assert set(values) == set(DriverConfig.__dataclass_fields__)
    else:
        assert config.device == path.stem


def test_the_udev_rule_jumps_only_to_labels_it_has() -> None:
    text = (ROOT / "config" / "99-locdreamer-uwb.rules").read_text()
    assert "udevadm trigger --action=add" in text
    for adapter in ("55d3", "55d4", "ea70", "2303"):
        assert adapter in text
    jumps = set(re.findall(r'GOTO="(\w+)"', text))
    assert jumps == set(re.findall(r'LABEL="(\w+)"', text))
    assert 'ENV{ID_MM_DEVICE_IGNORE}="1"' in text
    assert 'ATTR{latency_timer}="1"' in text
