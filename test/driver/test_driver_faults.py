# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every fault on the driver node over emulated modules; after each it answers again by itself."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("locdreamer_ros.msg", reason="needs the compiled messages")

from driver.driver_graph import INVALID, NOT_OFFERED, OK, SUCCESS, TIMEOUT, Graph, statuses
from driver.fake_device import refused
from locdreamer_ros.msg import RangeArray

from locdreamer_ros.driver.devices.decar.codec import TICK_M


@pytest.mark.promise("A module that was unplugged is found again, under whatever name.")
def test_unplug_and_replug_under_another_name(graph: Graph) -> None:
    graph.emulate()
    graph.start()
    graph.track_again()
    before = graph.emulator.path
    graph.publish("1", "2", "3")
    graph.emulator.unplug()
    answer = graph.ask("1", "2", "3")
    assert statuses(answer) == [TIMEOUT] * 3
    assert graph.node.health()[0]
    time.sleep(1.0)
    graph.emulator.plug()
    assert graph.emulator.path != before
    graph.track_again()
    assert graph.node.health()[0] == ""
    assert graph.node.health()[1]["reconnects"] == 1


@pytest.mark.parametrize("device", ["decar", "ryuw122"])
def test_reboot(graph: Graph, device: str) -> None:
    """With a banner (+READY) and without."""
    graph.emulate(device)
    graph.start()
    graph.track_again()
    graph.emulator.reboot()
    graph.track_again()


def test_stale_flags_of_a_pozyx_give_no_range(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Done at once, and what lay in its memory handed out as a success: pypozyx issue 47."""
    graph.emulate("pozyx")
    graph.start()
    graph.track_again()
    firmware = graph.emulator.firmware
    real = firmware._answer
    stale = struct.pack("<BIIh", 1, 657409, 167772160, 8192)
    faults = {b"F,c7": stale, b"R,05": b"\x10"}
    monkeypatch.setattr(firmware, "_answer", lambda line: faults.get(line[:4]) or real(line))
    two = graph.tag.anchors.ids[:2]

    def invalid(answer: RangeArray) -> bool:
        assert not set(statuses(answer)) & {OK, NOT_OFFERED}
        return INVALID in statuses(answer)

    for _ in range(5):
        invalid(graph.ask(*two))
    graph.until(invalid, *two)
    monkeypatch.undo()
    graph.track_again()


def test_a_malformed_line_of_pans_gives_no_range(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AN3 twice, as captured at a high rate: it must not be salvaged to 0.00 m."""
    capture = (Path(__file__).parent / "captures" / "dwm1001_shell.txt").read_bytes()
    line = next(line for line in capture.splitlines() if line.count(b",AN3,") == 2)
    graph.emulate("dwm1001-shell")
    graph.start()
    graph.track_again()
    monkeypatch.setattr(graph.emulator.firmware, "_les", lambda: line + b"\r\n")
    before = graph.node._session.garbled
    # What was said before it may be heard after it, by a busy machine.
    graph.until(lambda _: graph.node._session.garbled > before + 1, *graph.tag.anchors.ids)
    for _ in range(5):
        assert OK not in statuses(graph.ask(*graph.tag.anchors.ids))
    assert graph.node._session.garbled > before
    monkeypatch.undo()
    graph.track_again()


def test_a_wrong_baud_rate_until_it_is_right(graph: Graph) -> None:
    graph.emulate("dwm1001")
    graph.emulator._baud = 9600
    graph.start()

    def said(answer: RangeArray) -> bool:
        assert OK not in statuses(answer)
        return "115200 baud" in graph.node.health()[0]

    graph.until(said, *graph.tag.anchors.ids[:3])
    graph.emulator._baud = 115200
    graph.track_again()


@pytest.mark.parametrize("fault", ["garbage", "split", "duplicate", "late", "wrong-id", "oversize"])
def test_a_bad_wire_gives_no_wrong_range_and_is_survived(graph: Graph, fault: str) -> None:
    tag = graph.emulate(faults=[fault])
    graph.start()
    graph.track_again()
    good = 0

    def many(answer: RangeArray) -> bool:
        nonlocal good
        good += statuses(answer).count(OK)
        for entry in answer.ranges:
            if entry.status == OK:
                row = tag.anchors.rows([entry.anchor])[0]
                column = tag._walk.ranges[:, tag._columns[row]]
                assert np.nanmin(np.abs(column - entry.range)) <= TICK_M
        return good > 60

    graph.until(many, "1", "2", "4")
    graph.emulator.faults.clear()
    graph.track_again()


def test_a_device_that_does_not_drain(graph: Graph) -> None:
    graph.emulate()
    graph.start()
    graph.track_again()
    graph.emulator.deafen(True)
    for _ in range(10):
        assert len(graph.ask("1", "2", "3", wait=0.05).ranges) == 3
    graph.emulator.deafen(False)
    graph.track_again()


def test_port_busy_then_free(graph: Graph) -> None:
    import serial

    graph.emulate()
    other = serial.Serial(graph.emulator.path, exclusive=True)
    graph.start()
    assert statuses(graph.ask("1", "2", "3")) == [TIMEOUT] * 3
    assert "in use" in graph.node.health()[0]
    other.close()
    graph.track_again()


def test_permission_denied_then_granted(graph: Graph) -> None:
    graph.emulate(link=None)
    # Where pytest keeps its folders, others may not go; the one who is refused must get this far.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        graph.start(port=f"{folder}/usb-*")
        with refused(graph.emulator.path) as allow:
            (Path(folder) / "usb-emulated").symlink_to(graph.emulator.path)
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                assert statuses(graph.ask("1", "2", "3")) == [TIMEOUT] * 3
            assert "permission denied" in graph.node.health()[0]
            allow()
            graph.track_again()


def test_port_absent_at_start_then_there(graph: Graph) -> None:
    graph.emulate()
    graph.emulator.unplug()
    assert graph.start() == SUCCESS
    assert statuses(graph.ask("1")) == [TIMEOUT]
    assert "no such port" in graph.node.health()[0]
    graph.emulator.plug()
    graph.track_again()


def test_schedules_faster_than_the_radio_are_all_answered(graph: Graph) -> None:
    graph.emulate()
    graph.start()
    graph.track_again()
    asked = []
    for _ in range(60):
        asked.append(graph.publish(*graph.tag.anchors.ids))
        graph.spin(lambda: False, 0.005)
    assert graph.spin(lambda: all(sequence in graph.answers for sequence in asked))
    assert all(len(graph.answers[sequence].ranges) == 8 for sequence in asked)
    assert graph.node.counts["superseded"] > 0
    graph.track_again()


def test_two_of_eight_anchors_dead(graph: Graph) -> None:
    tag = graph.emulate(dead=("2", "6"))
    graph.start()

    def rested(_: RangeArray) -> bool:
        dead = graph.node._ranger.statistics[1]
        return dead.rested > max(2 * dead.asked, 10)

    graph.until(rested, *tag.anchors.ids, wait=0.1)

    def others_answer(answer: RangeArray) -> bool:
        assert [statuses(answer)[i] for i in (1, 5)] == [TIMEOUT] * 2
        return statuses(answer).count(OK) >= 4

    graph.until(others_answer, *tag.anchors.ids, wait=0.1)
