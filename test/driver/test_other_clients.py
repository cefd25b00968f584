# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The emulated firmware as other people's client libraries see it: they share nothing with ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import serial

from locdreamer_ros.driver.devices import make_firmware
from locdreamer_ros.driver.emulator import Emulator

PLACES = {0x6E01: (0, 0, 2000), 0x6E02: (8000, 0, 2500), 0x6E03: (8000, 6000, 1000)}
PLACES |= {0x6E04: (0, 6000, 300), 0x6E05: (4000, 3000, 2800)}
HERE = np.array([3000.0, 2000.0, 1200.0])


def measure(anchor: str) -> float | None:
    place = PLACES.get(int(anchor, 16))
    return None if place is None else float(np.linalg.norm(np.subtract(place, HERE))) / 1000.0


@pytest.fixture
def pozyx(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    library = pytest.importorskip("pypozyx", reason="needs pypozyx (extra `test`)")
    # It waits a tenth of a second for an answer, which a busy machine does not always keep.
    monkeypatch.setattr(library.PozyxConstants, "DELAY_INTERRUPT", 10.0)
    emulator = Emulator(make_firmware("pozyx", [], measure))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = library.PozyxSerial(emulator.path, suppress_warnings=True)
        yield client
    client.ser.close()
    emulator.close()


def test_pypozyx_reads_identity_and_settings(pozyx) -> None:  # type: ignore[no-untyped-def]
    import pypozyx

    network, settings = pypozyx.NetworkID(), pypozyx.UWBSettings()
    assert pozyx.getNetworkId(network) == pypozyx.POZYX_SUCCESS
    assert network.id == 0x6E10
    assert pozyx.getUWBSettings(settings) == pypozyx.POZYX_SUCCESS
    assert (settings.channel, settings.parse_bitrate()) == (5, "110 kbit/s")


def test_pypozyx_ranges(pozyx) -> None:  # type: ignore[no-untyped-def]
    import pypozyx

    found = pypozyx.DeviceRange()
    assert pozyx.doRanging(0x6E02, found) == pypozyx.POZYX_SUCCESS
    assert found.distance == pytest.approx(1000.0 * measure("6E02"), abs=1.0)
    assert found.RSS == -81
    assert pozyx.doRanging(0x7777, found) == pypozyx.POZYX_FAILURE


def test_pypozyx_positions(pozyx) -> None:  # type: ignore[no-untyped-def]
    import pypozyx

    pozyx.clearDevices()
    for anchor, place in PLACES.items():
        device = pypozyx.DeviceCoordinates(anchor, 1, pypozyx.Coordinates(*place))
        assert pozyx.addDevice(device) == pypozyx.POZYX_SUCCESS
    size = pypozyx.SingleRegister()
    pozyx.getDeviceListSize(size)
    assert size[0] == len(PLACES)
    here = pypozyx.Coordinates()
    # 3D by name: pypozyx 1.3 writes no algorithm unless it is told one.
    status = pozyx.doPositioning(here, pypozyx.PozyxConstants.DIMENSION_3D, timeout=1.0)
    assert status == pypozyx.POZYX_SUCCESS
    assert [here.x, here.y, here.z] == pytest.approx(HERE, abs=30.0)


def test_pydwm1001_reads_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("dwm1001", reason="needs pydwm1001 (extra `test`)")
    # It takes what comes after a second for the answer to its first command.
    monkeypatch.setattr(library.UartDwm1001, "SHELL_STARTUP_DELAY_PERIOD", 3.0)
    emulator = Emulator(make_firmware("dwm1001", ["1151", "0CA8"], lambda _: 3.0), baud=115200)
    with serial.Serial(emulator.path, 115200, timeout=30.0) as port:
        tag = library.ActiveTag(port)
        about = tag.system_info
        assert (about.uwb_address, about.label) == ("0xDECA0DB5E6021151", "DW1151")
        tag.start_position_reporting()
        assert tag.position == library.TagPosition(0.0, 0.0, 0.0, 0)
    emulator.close()


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (b"C02\r", b"R02\r\n"),
        (b"C03|7|text|1|1.5000|data\r", b"R03|0|7|text|1|1.5000|data\r\n"),
        (b"C04|1\r", b"R04\r\n"),
        (b"C06|hello\r", b"R06\r\n"),
    ],
)
def test_decar_answers_what_its_own_interface_asks(asked: bytes, answer: bytes) -> None:
    firmware = make_firmware("decar", [], lambda _: 1.0)
    assert [data for _, data in firmware.feed(asked)] == [answer]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (b"\x02\x00", b"\x40\x01\x00\x41\x0d" + bytes(13)),
        (b"\x08\x00", b"\x40\x01\x00\x46\x02\xd2\x00"),
        (b"\x30\x00", b"\x40\x01\x00\x4e\x08\x51\x11\x02\xe6\xb5\x0d\xca\xde"),
        (b"\x77\x00", b"\x40\x01\x01"),
    ],
)
def test_dwm1001_answers_what_other_clients_ask(asked: bytes, answer: bytes) -> None:
    firmware = make_firmware("dwm1001", ["1151"], lambda _: 1.0)
    assert [data for _, data in firmware.feed(asked)] == [answer]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize(("asked", "words"), [(b"nmg", b"mode: tn"), (b"apg", b"qf:0")])
def test_the_shell_takes_any_line_end(asked: bytes, words: bytes, end: bytes) -> None:
    firmware = make_firmware("dwm1001", ["1151"], lambda _: 1.0)
    firmware.feed(b"\r\r")
    assert words in b"".join(data for _, data in firmware.feed(asked + end))
