# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What may happen to frames on a wire: pieces, garbage, repeats, lateness, noise without end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from fuzz.codecs import fuzz
from fuzz.oracles import ORACLES
from hypothesis import example, given, settings
from hypothesis import strategies as st

from locdreamer_ros.driver.codec import (
    Codec,
    DroppedEvent,
    Event,
    FailEvent,
    RangeEvent,
)
from locdreamer_ros.driver.devices import NAMES, make_codec, make_firmware
from locdreamer_ros.driver.lines import checksum
from locdreamer_ros.errors import InputError

TLV = bytes.fromhex(
    "4001 00 41 0d 4b0a0000 1f040000 9c0e0000 64 49 29 02"
    "5111 28190000 64 88130000 401f0000 ca080000 64"
    "a80c 64190000 64 00000000 401f0000 ca080000 64"
)


BU04 = make_firmware("bu0x", ["0", "1"], lambda anchor: 1.5 + int(anchor)).tick(0.0)[0][1]
LINKTRACK = make_firmware("linktrack", ["0", "1"], lambda a: 1.5 + int(a)).tick(0.0)[0][1]


@dataclass(frozen=True)
class Case:
    """All a device sends in one exchange or cycle, and the ranges in it."""

    device: str
    anchor: str
    frame: bytes
    ranges: tuple[tuple[str, float], ...]
    noise: bytes
    """Garbage that may stand between frames."""
    opened: bytes = b""
    """What the device says first to a request after one that was given up."""

    def asked(self) -> Codec:
        codec = make_codec(self.device)
        if not self.anchor:
            codec.start()
        elif not codec.request(self.anchor):
            pytest.fail("the anchor should be possible")
        return codec


CASES = [
    Case(
        "decar",
        "1",
        b"R05|1|2.7180|4294967000|123457072|174575152|51118943|270421552|146965343|-72.8850|-72.4850|0.5000|-0.4800\r\n",
        (("1", 2.718),),
        b"\xff\x00R05|xx\r\n",
    ),
    Case(
        "pozyx",
        "6E10",
        b"D,00\r\nD,01\r\nD,0186d61200800d0000afff\r\nD,00\r\nD,10\r\nD,0187d61200800d0000afff\r\n",
        (("6E10", 3.456),),
        b"\xff\x00D,0\r\n",
        opened=b"D,4311\r\n",
    ),
    Case("dwm1001", "", TLV, (("1151", 6.44), ("0CA8", 6.5)), b"\xff\x40\x40\x01\x00\x41\xff"),
    Case(
        "dwm1001-shell",
        "",
        b"1151[5.00,8.00,2.25]=6.48 0CA8[0.00,8.00,2.25]=6.51 le_us=25 est[2.57,1.98,1.68,99]\r\n",
        (("1151", 6.48), ("0CA8", 6.51)),
        b"\xff\x0011[5.00,8.0\r\n",
    ),
    Case(
        "dwm1001-shell",
        "",
        b"DIST,2,AN0,1151,5.00,8.00,2.25,6.44,AN1,0CA8,0.00,8.00,2.25,6.50\r\n",
        (("1151", 6.44), ("0CA8", 6.5)),
        b"\xff\x00DIST,2,AN0\r\n",
    ),
    Case(
        "trek1000",
        "",
        b"mc 05 000004b0 000008e5 00000854 00000000 2cef 15 00af89a4 t0:0\r\n",
        (("A0", 1.2), ("A2", 2.132)),
        b"\xff\x00mc 07 00\r\n",
    ),
    Case(
        "uwb650",
        "0002",
        b"\r\n+RANGING=(3.46),(-67.50)\r\nOK\r\n",
        (("0002", 3.46),),
        b"\xff\x00UWBR\r\n",
        opened=b"V1.2\r\n",
    ),
    Case(
        "mauwb",
        "",
        b"AT+RANGE=tid:0,mask:05,seq:79,range:(522,0,122,0,0,0,0,0),ancid:(0,-1,2,-1,-1,-1,-1,-1)\r\n",
        (("0", 5.22), ("2", 1.22)),
        b"\xff\x00AT+RANGE=tid:\r\n",
    ),
    Case("bu0x", "", BU04, (("0", 1.5), ("1", 2.5)), b"\xffCmdM:4\r\n" + bytes(101)),
    Case("linktrack", "", LINKTRACK, (("0", 1.5), ("1", 2.5)), b"\xff\x55\x02\x00"),
    Case(
        "dwm3001cdk",
        "",
        b"SESSION_INFO_NTF: {session_handle=1, sequence_number=3, block_index=3, "
        b"n_measurements=2\n\r"
        b' [mac_address=0x0001, status="SUCCESS", distance[cm]=210, RSSI[dBm]=-78.0];\n\r'
        b' [mac_address=0x0002, status="SUCCESS", distance[cm]=75]}\r\n',
        (("0001", 2.1), ("0002", 0.75)),
        b"\xff\x00SESSION_IN\r\n",
    ),
    Case(
        "sketch",
        "7",
        b"RANGE 7 2.345 -79.5 -80.5 #1 *72\r\n",
        (("7", 2.345),),
        b"\xff\x00RANGE 7 1.0\r\n",
    ),
    Case(
        "sketch-stream",
        "",
        b'{"links":[{"A":"1782","R":"1.02"},{"A":"84","R":"2.40"}]}\r\n',
        (("1782", 1.02), ("84", 2.4)),
        b'\xff\x00{"links":[{\r\n',
    ),
    Case(
        "ryuw122",
        "TAG00001",
        b"+OK\r\n+ANCHOR_RCV=TAG00001,3,a,b,040 cm,-72\r\n",
        (("TAG00001", 0.4),),
        b"\xff\x00+ANCHOR_RCV=TA\r\n",
        opened=b"+MODE=1\r\n",
    ),
]
by_device = pytest.mark.parametrize("case", CASES, ids=lambda case: case.device)
asked_only = pytest.mark.parametrize(
    "case", [case for case in CASES if case.anchor], ids=lambda case: case.device
)


def ranges(events: list[Event]) -> tuple[tuple[str, float], ...]:
    return tuple((e.anchor, e.range) for e in events if isinstance(e, RangeEvent))


def merged(events: list[Event]) -> list[str]:
    """Events to compare (NaN is unlike itself); bytes dropped one after another are added up."""
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        if (
            isinstance(event, DroppedEvent)
            and isinstance(last, DroppedEvent)
            and event.reason == last.reason
        ):
            out[-1] = DroppedEvent(last.count + event.count, event.reason)
            continue
        out.append(event)
    return [repr(event) for event in out]


def newer(frame: bytes, device: str = "") -> bytes:
    """The same ranges measured again; devices that hand out old ones are caught by their stamps."""
    changed = [
        (b"0187d6", b"0188d6"),
        (b"0186d6", b"0187d6"),
        (b"\x4b\x0a", b"\x4c\x0a"),
        (b" 2cef 15 ", b" 2cf0 16 "),
    ]
    for old, new in changed:
        frame = frame.replace(old, new)
    if device == "sketch":  # the answer to the second request
        body = frame.rpartition(b" *")[0].replace(b"#1", b"#2")
        frame = b"%b *%02X\r\n" % (body, checksum(body))
    return frame


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if newer(case.frame) != case.frame],  # others say nothing to tell it by
    ids=lambda case: case.device,
)
def test_repeats_of_old_ranges_are_told(case: Case) -> None:
    codec = case.asked()
    assert ranges(codec.feed(case.frame)) == case.ranges
    codec.request(case.anchor)
    assert ranges(codec.feed(case.frame)) == ()
    codec.cancel()
    codec.request(case.anchor)
    assert ranges(codec.feed(case.opened + newer(case.frame))) == case.ranges


@by_device
def test_an_intact_frame(case: Case) -> None:
    assert ranges(case.asked().feed(case.frame)) == case.ranges


@by_device
def test_every_split_point_gives_the_same_events(case: Case) -> None:
    stream = case.noise + case.frame + case.noise + case.frame
    whole = merged(case.asked().feed(stream))
    for cut in range(len(stream) + 1):
        codec = case.asked()
        assert merged(codec.feed(stream[:cut]) + codec.feed(stream[cut:])) == whole
    codec = case.asked()
    assert merged([e for i in range(len(stream)) for e in codec.feed(stream[i : i + 1])]) == whole


@by_device
def test_garbage_before_and_after(case: Case) -> None:
    codec = case.asked()
    before = codec.feed(case.noise)
    assert not ranges(before)
    assert ranges(codec.feed(case.frame + case.noise)) == case.ranges


@by_device
def test_garbage_before_without_an_end_of_its_own(case: Case) -> None:
    assert ranges(case.asked().feed(b"\xfe\x81 #\x03" + case.frame)) == case.ranges


@by_device
def test_garbage_at_every_place_inside(case: Case) -> None:
    """No range may come out that the frame does not carry, and the next frame is whole again."""
    for cut in range(1, len(case.frame) - 1):
        codec = case.asked()
        events = codec.feed(case.frame[:cut] + b"\xfe\xb0\x9d" + case.frame[cut:])
        assert set(ranges(events)) <= set(case.ranges)
        # What the damage swallowed is over when the session is opened anew.
        codec.start()
        codec.request(case.anchor)
        assert ranges(codec.feed(case.opened + newer(case.frame, case.device))) == case.ranges


@by_device
def test_every_lost_byte(case: Case) -> None:
    for cut in range(len(case.frame)):
        codec = case.asked()
        events = codec.feed(case.frame[:cut] + case.frame[cut + 1 :])
        assert {anchor for anchor, _ in ranges(events)} <= {
            anchor for anchor, _ in case.ranges
        } | _without_one_character(case)


def _without_one_character(case: Case) -> set[str]:
    """Anchors that a lost byte can make, there being no checksum."""
    if case.device == "sketch-stream":
        return {a[:i] + a[i + 1 :] for a, _ in case.ranges for i in range(len(a))}
    if case.device != "dwm1001":
        return set()
    frames = (case.frame[:i] + case.frame[i + 1 :] + b"\x40" for i in range(len(case.frame)))
    return {frame[i : i + 2][::-1].hex().upper() for frame in frames for i in (21, 41)}


@asked_only
def test_duplicate_reply(case: Case) -> None:
    codec = case.asked()
    assert ranges(codec.feed(case.frame)) == case.ranges
    again = codec.feed(case.frame)
    assert not ranges(again)
    assert any(isinstance(event, DroppedEvent) for event in again)


@asked_only
def test_late_reply(case: Case) -> None:
    codec = case.asked()
    codec.cancel()
    events = codec.feed(case.frame)
    assert not [event for event in events if isinstance(event, RangeEvent | FailEvent)]


@pytest.mark.parametrize(
    ("case", "other"),
    [(CASES[0], "2"), (CASES[-1], "TAG00002")],
    ids=["decar", "ryuw122"],
)
def test_wrong_id(case: Case, other: str) -> None:
    codec = case.asked()
    codec.request(other)
    assert not ranges(codec.feed(case.frame))
    right = case.frame.replace(b"R05|1", b"R05|2").replace(b"TAG00001", b"TAG00002")
    assert ranges(codec.feed(right)) == ((other, case.ranges[0][1]),)


@pytest.mark.parametrize(
    "case",
    [
        case for case in CASES if case.device not in ("dwm1001", "bu0x", "linktrack")
    ],  # have no lines
    ids=lambda case: case.device,
)
def test_an_oversize_line_without_an_end(case: Case) -> None:
    codec = case.asked()
    events = codec.feed(b"A" * 100_000)
    dropped = sum(event.count for event in events if isinstance(event, DroppedEvent))
    assert 100_000 - 8192 <= dropped <= 100_000
    end = codec.feed(b"R05|1" + case.frame)  # still in the long line
    # Those whose frames have more lines are well again after the first.
    assert not ranges(end) or case.device in ("pozyx", "ryuw122", "uwb650")
    codec = case.asked()
    codec.feed(b"A" * 100_000 + b"\n")
    assert ranges(codec.feed(case.frame)) == case.ranges


@by_device
def test_impossible_ranges_fail(case: Case) -> None:
    replaced = {
        "decar": [(b"2.7180", value) for value in (b"0.0000", b"-0.1000", b"300.0100", b"nan")],
        "pozyx": [(b"800d0000", b"00000000"), (b"800d0000", b"0000000a"), (b"afff", b"0020")],
        "dwm1001": [(b"\x28\x19\x00\x00", b"\0\0\0\0"), (b"\x28\x19\x00\x00", b"\xff\xff\xff\xff")],
        "dwm1001-shell": [(b"6.48", b"0.00"), (b"6.48", b"300.01"), (b"6.44", b"0.00")],
        "trek1000": [(b"000004b0", b"00000000"), (b"000004b0", b"ffffffff")],
        "ryuw122": [(b"040 cm", b"000 cm"), (b"040 cm", b"30001 cm")],
        "uwb650": [(b"(3.46)", value) for value in (b"(0.00)", b"(-0.50)", b"(300.01)")],
        "mauwb": [(b"(522", b"(0"), (b"(522", b"(30001"), (b"(522", b"(-7")],
        "bu0x": [(b"\xdc\x05\x00\x00", bytes(4))],
        "dwm3001cdk": [(b"=210", b"=-75"), (b"=210", b"=0"), (b"=210", b"=30001")],
        "sketch-stream": [(b"1.02", b"0.00"), (b"1.02", b"300.01"), (b"1.02", b"-1.00")],
    }
    there = [each for each in replaced.get(case.device, []) if each[0] in case.frame]
    assert there or case.device not in replaced  # the others have checksums
    for old, new in there:
        events = case.asked().feed(case.frame.replace(old, new))
        assert ranges(events) == case.ranges[1:]
        assert [e.anchor for e in events if isinstance(e, FailEvent)] == [case.ranges[0][0]]


@by_device
@settings(max_examples=60)
@given(pieces=st.lists(st.binary(max_size=60) | st.integers(0, 3), max_size=12))
@example(pieces=[b"\r\n> \r\n", 3])
def test_anything_may_come(case: Case, pieces: list[bytes | int]) -> None:
    codec = case.asked()
    size = dropped = 0
    for piece in pieces:
        # A number stands for a part of a true frame.
        data = piece if isinstance(piece, bytes) else case.frame[: len(case.frame) * piece // 3]
        size += len(data)
        for event in codec.feed(data):
            if isinstance(event, RangeEvent):
                assert math.isfinite(event.range)
                assert 0.0 < event.range <= 300.0
            if isinstance(event, DroppedEvent):
                assert event.count > 0
                dropped += event.count
    assert dropped <= size


@pytest.mark.parametrize("device", NAMES)
def test_fuzz(device: str) -> None:
    """A small form of test/fuzz/codecs.py."""
    tally = fuzz(device, 50_000, seed=1)
    assert tally.wrong == 0
    assert tally.accepted > 100


def test_the_registry_names_what_it_has() -> None:
    assert set(NAMES) == set(ORACLES)
    with pytest.raises(InputError, match="expected one of decar, pozyx"):
        make_codec("toaster")
