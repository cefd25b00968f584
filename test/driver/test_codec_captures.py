# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every captured line against values read off it by hand. `captures/` says where each is from."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from locdreamer_ros.driver.codec import (
    BetweenEvent,
    CycleEvent,
    DroppedEvent,
    Event,
    FailEvent,
    RangeEvent,
    ReadyEvent,
    SendEvent,
)
from locdreamer_ros.driver.devices import make_codec, make_firmware

ROOT = Path(__file__).parents[2]
CAPTURES = Path(__file__).parent / "captures"


def lines(name: str) -> list[bytes]:
    text = (CAPTURES / name).read_bytes()
    return [line for line in text.split(b"\n") if line and not line.startswith(b"#")]


WHOLE = Path(__file__).parents[3] / "shared" / "captures" / "seamk_les_full.txt"


@pytest.mark.skipif(not WHOLE.exists(), reason="the whole capture is not beside this repository")
def test_every_line_of_the_whole_les_capture() -> None:
    """The excerpt's values were read by hand; here the same reading is done by a pattern."""
    codec = make_codec("dwm1001-shell")
    codec.start()
    pattern = re.compile(r"([0-9A-F]{4})\[[^]]*\]=([0-9.]+)")
    captured = [line for line in WHOLE.read_text().splitlines() if "le_us" in line]
    assert len(captured) == 70
    for line in captured:
        expected = {anchor: float(value) for anchor, value in pattern.findall(line)}
        assert len(expected) == 4
        assert ranges(codec.feed(line.encode() + b"\r\n")) == expected


def ranges(events: list[Event]) -> dict[str, float]:
    found = [event for event in events if isinstance(event, RangeEvent)]
    assert len({event.anchor for event in found}) == len(found)
    return {event.anchor: event.range for event in found}


def test_decar() -> None:
    identity, measured, failed, set_delay = lines("decar.txt")
    codec = make_codec("decar")
    assert codec.start() == b"C01\r"
    assert codec.feed(identity + b"\r\n") == [ReadyEvent("DECAR/MRASL firmware, board 4")]
    assert codec.request("1") == b"C05|1|0|1|0\r"
    (event,) = codec.feed(measured + b"\r\n")
    assert isinstance(event, RangeEvent)
    assert (event.anchor, event.range) == ("1", 2.718)
    assert event.first_path_power == pytest.approx((-72.8850 - 72.4850) / 2)
    assert math.isnan(event.rx_power)
    codec.request("9")
    (event,) = codec.feed(failed + b"\r\n")
    assert isinstance(event, FailEvent)
    assert event.anchor == "9"
    assert codec.feed(set_delay + b"\r\n") == []


def test_pozyx_says_and_hears_what_was_on_the_wire() -> None:
    trace = lines("pozyx.txt")
    codec = make_codec("pozyx")
    said = [codec.start()]
    heard: list[Event] = []
    for number, line in enumerate(trace):
        if line.startswith(b"> "):
            assert said.pop(0) == line[2:] + b"\r"
            continue
        events = codec.feed(line[2:] + b"\r\n")
        said += [event.data for event in events if isinstance(event, SendEvent)]
        heard += [event for event in events if not isinstance(event, SendEvent)]
        if number == 1:
            # The trace begins with a tag whose stored range is known: as after one exchange.
            codec.request("6e10")
            for reply in (b"00", b"01", b"00", b"10", b"0186d61200700d0000afff"):
                codec.feed(b"D," + reply + b"\r\n")
            said.append(codec.request("6e10"))
    ready, measured = heard
    assert ready == ReadyEvent("Pozyx tag")
    assert isinstance(measured, RangeEvent)
    assert (measured.anchor, measured.range, measured.rx_power) == ("6E10", 3.456, -81.0)


def test_dwm1001_binary() -> None:
    location, broken = (bytes.fromhex(line.decode()) for line in lines("dwm1001.hex"))
    codec = make_codec("dwm1001")
    assert codec.start() == b"\x0c\x00"
    events = codec.feed(location)
    assert isinstance(events[0], ReadyEvent)
    assert ranges(events) == {"1151": 6.44, "0CA8": 6.5, "111C": 3.24, "1150": 3.19}
    assert isinstance(events[-2], CycleEvent)
    assert events[-1] == SendEvent(b"\x0c\x00", 0.03)
    dropped, again = codec.feed(broken)
    assert isinstance(dropped, DroppedEvent)
    assert again == SendEvent(b"\x0c\x00", 0.1)


SHELL: list[dict[str, float] | None] = [
    {"CD37": 2.80, "1495": 2.74, "592F": 3.60, "5B01": 3.70},
    {"CD37": 2.76, "1495": 2.75, "592F": 3.61, "5B01": 3.73},  # without le_us and est
    {"1495": 2.68, "CD37": 2.82, "5B01": 3.71, "592F": 3.65},
    {"CD37": 2.82, "1495": 2.73, "592F": 3.67, "5B01": 3.69},
    {"022E": 3.38, "9280": 5.49, "DCAE": 7.73, "5431": 9.01},
    None,
    {"022E": 3.44, "9280": 5.68, "DCAE": 7.76, "5431": 8.73},
    None,  # AN3 begins again: nothing of a broken line is trusted
    None,
    {"2F2F": 2.21, "2C9D": 2.39, "2ED0": 2.19, "2BA2": 2.56},
    {"2F2F": 2.20, "2ED0": 2.23, "2BA2": 3.13},
    {"582A": 0.46, "5AA5": 0.77, "95A7": 0.92},
    {"0E15": 1.61, "1516": 2.15, "41B1": 4.23, "089F": 4.37},
    {"0C2E": 2.03, "47A7": 5.32, "5B39": 6.91, "5B26": 8.38},
    {"0F9C": 0.20, "0D10": 0.41},
    None,
    None,
    None,
    {"1151": 6.48, "0CA8": 6.51, "111C": 3.18, "1150": 3.16},
    {"1151": 6.44, "0CA8": 6.50, "111C": 3.24, "1150": 3.19},
    None,
]


@pytest.mark.parametrize(
    ("line", "expected"), list(zip(lines("dwm1001_shell.txt"), SHELL, strict=True))
)
def test_dwm1001_shell(line: bytes, expected: dict[str, float] | None) -> None:
    codec = make_codec("dwm1001-shell")
    codec.start()
    events = codec.feed(line + b"\r\n")
    assert ranges(events) == (expected or {})
    assert any(isinstance(e, CycleEvent) for e in events) == (expected is not None)


TREK: list[dict[str, float] | None] = [
    None,
    None,
    {"A0": 1.260, "A1": 2.286, "A2": 2.174},
    None,
    {"A0": 1.200, "A1": 2.277, "A2": 2.132},
    None,
    None,
    {"A0": 3.896, "A1": 3.291, "A2": 3.666},
    None,
    {"A0": 3.858, "A1": 3.301, "A2": 3.680, "A3": 0.422},
    {"A0": 5.924, "A1": 5.161, "A2": 8.000, "A3": 7.709},
    {"A0": 1.635, "A1": 1.443, "A2": 1.298, "A3": 1.227},
    {"A0": 1.635, "A1": 1.443, "A2": 1.298, "A3": 1.227},
]


@pytest.mark.parametrize(("line", "expected"), list(zip(lines("trek1000.txt"), TREK, strict=True)))
def test_trek1000(line: bytes, expected: dict[str, float] | None) -> None:
    codec = make_codec("trek1000")
    assert codec.start() == b""
    events = codec.feed(line + b"\r\n")
    assert ranges(events) == (expected or {})
    assert any(isinstance(e, CycleEvent) for e in events) == (expected is not None)
    whole = line.startswith(b"ma") and line.endswith(b"a0:0")
    between = {(e.anchor, e.other): e.range for e in events if isinstance(e, BetweenEvent)}
    words = [int(word, 16) / 1000.0 for word in line.split()[3:6]] if whole else []
    assert list(between.values()) == words
    assert list(between) == [("A0", "A1"), ("A0", "A2"), ("A1", "A2")][: len(words)]


RYUW: list[tuple[str, float, float] | None] = [
    None,
    ("DAVID123", 0.40, -72.0),
    ("ANCHOR01", 0.70, math.nan),
    ("TAG1", 0.26, math.nan),
    ("TAG00001", 0.40, math.nan),
    ("ANCH0001", 0.40, -71.0),
    ("TAG", 0.16, -52.0),
]


@pytest.mark.parametrize(
    ("line", "expected"), list(zip(lines("ryuw122.txt")[:-1], RYUW, strict=True))
)
def test_ryuw122(line: bytes, expected: tuple[str, float, float] | None) -> None:
    codec = make_codec("ryuw122")
    codec.start()
    anchor = expected[0] if expected else "TAG00001"
    assert codec.request(anchor) == f"AT+ANCHOR_SEND={anchor},1,P\r\n".encode()
    accepted = b"+OK\r\n" if expected else b""
    events = codec.feed(accepted + line + b"\r\n")
    found = [event for event in events if isinstance(event, RangeEvent)]
    if expected is None:
        assert not found
    else:
        (event,) = found
        assert (event.anchor, event.range) == expected[:2]
        assert event.rx_power == pytest.approx(expected[2], nan_ok=True)


def test_ryuw122_error() -> None:
    codec = make_codec("ryuw122")
    codec.request("TAG00001")
    assert codec.feed(lines("ryuw122.txt")[-1] + b"\r\n") == [FailEvent("TAG00001", "not executed")]


def test_uwb650() -> None:
    near, far, silent, refused = lines("uwb650.txt")
    codec = make_codec("uwb650")
    assert codec.request("0002") == b"UWBRFAT+RANGING=1,0002\r\n"
    (event,) = codec.feed(b"\r\n" + near + b"\r\nOK\r\n")
    assert event == RangeEvent("0002", 3.46, -67.5, event.first_path_power)
    codec.request("0001")
    assert ranges(codec.feed(far + b"\r\n")) == {"0001": 12.34}
    codec.request("0003")
    assert codec.feed(silent + b"\r\n") == [FailEvent("0003", "no answer")]
    codec.request("0003")
    assert codec.feed(refused + b"\r\n") == [FailEvent("0003", "the module refuses the command")]


def test_uwb650_an_answer_that_comes_twice_is_not_the_next_anchors() -> None:
    """It names no anchor; one that asks itself again may well be as far as before."""
    near, far, *_ = lines("uwb650.txt")
    codec = make_codec("uwb650")
    codec.request("0002")
    assert ranges(codec.feed(near + b"\r\n")) == {"0002": 3.46}
    codec.request("0001")
    assert not ranges(codec.feed(near + b"\r\n"))
    assert ranges(codec.feed(far + b"\r\n")) == {"0001": 12.34}
    codec.request("0001")
    assert ranges(codec.feed(far + b"\r\n")) == {"0001": 12.34}


def test_mauwb() -> None:
    one, bad, four = lines("mauwb.txt")
    codec = make_codec("mauwb")
    events = codec.feed(one + b"\r\n")
    assert ranges(events) == {"2": 0.30}
    assert [e.tag for e in events if isinstance(e, RangeEvent)] == ["1"]
    assert [e.rx_power for e in events if isinstance(e, RangeEvent)] == [-77.93]
    events = codec.feed(bad + b"\r\n")
    assert [e.anchor for e in events if isinstance(e, FailEvent)] == ["7"]
    codec = make_codec("mauwb")
    assert ranges(codec.feed(four + b"\r\n")) == {"0": 5.22, "1": 3.60, "2": 1.22, "3": 3.43}
    contradiction = four.replace(b"mask:0F,seq:79", b"mask:07,seq:80")
    assert not ranges(codec.feed(contradiction + b"\r\n"))
    cut = four[: four.index(b",ancid")].replace(b"seq:79", b"seq:81")
    assert not ranges(codec.feed(cut + b"\r\n"))  # whose they are is lost


CDK: list[dict[str, float]] = [{}, {"0001": 2.10}, {}, {}, {}]
CDK += [{"0001": 2.45, "0002": 3.12, "0003": 1.89, "0004": 4.03}]


@pytest.mark.parametrize(("line", "expected"), list(zip(lines("dwm3001cdk.txt"), CDK, strict=True)))
def test_dwm3001cdk(line: bytes, expected: dict[str, float]) -> None:
    codec = make_codec("dwm3001cdk")
    codec.start()
    wire = line.replace(b"\\n", b"\n").replace(b"\\r", b"\r")
    assert ranges(codec.feed(wire + b"\r\n")) == expected


def test_dwm3001cdk_says_who_did_not_answer() -> None:
    codec = make_codec("dwm3001cdk")
    wire = lines("dwm3001cdk.txt")[2].replace(b"\\n", b"\n").replace(b"\\r", b"\r")
    failed = [e for e in codec.feed(wire + b"\r\n") if isinstance(e, FailEvent)]
    assert failed == [FailEvent("0001", "rx_timeout")]


def test_dwm3001cdk_begins_a_session_with_the_chosen_anchors() -> None:
    codec = make_codec("dwm3001cdk")
    assert codec.start() == b""  # nothing chosen: it listens
    assert codec.choose(["0001", "000A"])
    assert not codec.choose(["000A", "0001"])
    assert codec.start() == b"\r\nSTOP\r\n"
    (begin,) = codec.feed(b"ok\r\n")
    assert begin == SendEvent(b"INITF -MULTI -ADDR=0 -PADDR=[1,10] -BLOCK=100\r\n", 0.2)
    assert codec.feed(b"ok\r\n") == []


def test_bu03() -> None:
    codec = make_codec("bu0x")
    first, second = (bytes.fromhex(line.decode()) for line in lines("bu0x.hex"))
    assert ranges(codec.feed(first)) == {"0": 2.030, "1": 1.240}
    assert ranges(codec.feed(second)) == {"0": 1.970, "1": 1.240}


def test_bu04_check_is_enforced_once_it_is_known() -> None:
    firmware = make_firmware("bu0x", ["0", "1"], float)
    frames = [firmware.tick(0.1 * number)[0][1] for number in range(8)]
    broken = [frame[:98] + bytes([frame[98] ^ 1]) + frame[99:] for frame in frames]
    unknown, known = make_codec("bu0x"), make_codec("bu0x")
    assert sum(len(ranges(unknown.feed(frame))) for frame in broken) > 0
    for frame in frames[:3]:
        known.feed(frame)
    assert not ranges(known.feed(broken[5]))
    assert ranges(known.feed(frames[6]))


def test_linktrack_nodes_and_tag_frames() -> None:
    firmware = make_firmware("linktrack", ["0", "5", "39"], lambda anchor: 1.0 + int(anchor))
    frame = firmware.tick(0.0)[0][1]
    assert frame.startswith(b"\x55\x04")
    events = make_codec("linktrack").feed(frame)
    assert ranges(events) == {"0": 1.0, "5": 6.0, "39": 40.0}
    powers = [(e.rx_power, e.first_path_power) for e in events if isinstance(e, RangeEvent)]
    assert powers[0] == (-79.0, -80.0)
    tag = bytearray(128)
    tag[:4] = 0x55, 0x01, 3, 2
    tag[22:25] = (1234).to_bytes(3, "little")
    tag[31:34] = (5678).to_bytes(3, "little")
    tag[127] = sum(tag) % 256
    events = make_codec("linktrack").feed(bytes(tag))
    assert ranges(events) == {"0": 1.234, "3": 5.678}
    assert {e.tag for e in events if isinstance(e, RangeEvent)} == {"3"}
    tag[50] ^= 1
    assert not ranges(make_codec("linktrack").feed(bytes(tag)))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"from: 1782\t Range: 1.02 m\t RX power: -77.12 dBm", {"1782": 1.02}),
        (b'{"links":[{"A":"1782","R":"1.0"},{"A":"84","R":"2.4"}]}', {"1782": 1.0, "84": 2.4}),
        (b'{"links":[{"A":"17ac","R":"1.0"}]}', {"17AC": 1.0}),  # String(address, HEX)
        (b"from: 17ac\t Range: 1.02 m", {"17AC": 1.02}),
        (b'{"links":[]}', {}),
        (b"from: 1782\t Range: 1.0 m", {}),
    ],
)
def test_sketches_that_print_by_themselves(line: bytes, expected: dict[str, float]) -> None:
    assert ranges(make_codec("sketch-stream").feed(line + b"\r\n")) == expected


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_the_example_sketch_speaks_the_protocol(tmp_path: Path) -> None:
    """Its own lines, compiled for this machine with a Serial over standard input and output."""
    sketch = (ROOT / "docs" / "devices" / "sketch" / "sketch.ino").read_text()
    measured = "return {false, 0.0f, 0.0f, 0.0f};"
    assert measured in sketch
    known = 'return {strcmp(anchor, "7") == 0, 2.345f, -79.5f, -80.5f};'
    (tmp_path / "sketch.cpp").write_text(SERIAL + sketch.replace(measured, known) + LOOP)
    program = tmp_path / "sketch"
    command = ["g++", "-std=c++17", "-o", program, tmp_path / "sketch.cpp"]
    subprocess.run(command, check=True)
    codec = make_codec("sketch")
    asked = codec.start() + codec.request("7")
    said = subprocess.run([program], input=asked, stdout=subprocess.PIPE, check=True).stdout
    events = codec.feed(said)
    assert ReadyEvent("sketch esp32-1") in events
    assert events[-1] == RangeEvent("7", 2.345, -79.5, -80.5)
    asked = codec.request("8")
    said = subprocess.run([program], input=asked, stdout=subprocess.PIPE, check=True).stdout
    assert codec.feed(said)[-1] == FailEvent("8", "no answer")


SERIAL = """
#include <stdio.h>
struct Port {
  void begin(int) {}
  int available() { int c = getchar(); if (c == EOF) return 0; ungetc(c, stdin); return 1; }
  int read() { return getchar(); }
  void print(const char *text) { fputs(text, stdout); }
} Serial;
"""
LOOP = "int main() { setup(); loop(); return 0; }"


@pytest.mark.parametrize(
    "line",
    [
        # Other devices' lines, real: no codec may read a range into them.
        b"AT+RANGE=tid:1,mask:04,seq:63,range:(0,0,30,0,0,0,0,0),rssi:(0.00,0.00,-77.93,0.00)",
        b"an0:0.57m",
        b"0x704b :  657409ms, 167772160mm, 8192dBm",
        b'{"utime": 9484254696807, "twr": {"rng": "1.071","uid": "d22d"},"uid": "55a6"}',
        b'[mac_address=0x0001, status="SUCCESS", distance[cm]=210, RSSI[dBm]=-78.0]}',
    ],
)
def test_lines_of_other_devices(line: bytes) -> None:
    for name, anchor in [("decar", "1"), ("pozyx", "704B"), ("ryuw122", "0"), ("dwm1001", "")]:
        codec = make_codec(name)
        codec.start()
        codec.request(anchor)
        assert not ranges(codec.feed(line + b"\r\n"))
    for name in ("dwm1001-shell", "trek1000"):
        codec = make_codec(name)
        codec.start()
        assert not ranges(codec.feed(line + b"\r\n"))
