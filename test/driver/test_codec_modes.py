# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What each protocol does besides ranging: set-up, modes, errors, old answers."""

from __future__ import annotations

import pytest

from locdreamer_ros.driver.codec import (
    Codec,
    CycleEvent,
    DroppedEvent,
    Event,
    FailEvent,
    Failure,
    RangeEvent,
    ReadyEvent,
    SendEvent,
)
from locdreamer_ros.driver.devices import make_codec
from locdreamer_ros.driver.lines import checksum

LES = b"1151[5.00,8.00,2.25]=6.48 \r\n"
MC = b"mc 01 %08x 00000000 00000000 00000000 2cef 15 %08x %c%d:0\r\n"


def sent(events: list[Event]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, SendEvent)]


def anchors(events: list[Event]) -> list[str]:
    return [event.anchor for event in events if isinstance(event, RangeEvent)]


def failures(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.anchor, event.reason) for event in events if isinstance(event, FailEvent)]


@pytest.mark.parametrize("anchor", ["", "A1", "256", "01", "-1", "1|1", "1\r"])
def test_decar_cannot_ask_for_what_is_no_board(anchor: str) -> None:
    assert make_codec("decar").request(anchor) == b""


def test_decar_routes_away_what_other_boards_cause() -> None:
    codec = make_codec("decar")
    codec.request("1")
    for line in (
        b"S05|1|2.7180|1|2|3|4|0|0|-80.1200|-79.9000|0.5000|-0.4800",
        b"S01|1|2|3|2.7180",
        b"S06|hello R05|1|2.7180|1|2|3|4|0|0|-80.1200|-79.9000|0.5000|-0.4800",
        b"S10|1|" + b"12,-7|" * 1016,
        b"R08",
    ):
        assert codec.feed(line + b"\r\n") == []
    (event,) = codec.feed(b"R05|1|2.7180|1|2|3|4|0|0|-80.1200|-79.9000|0.5000|-0.4800\r\n")
    assert isinstance(event, RangeEvent)


DS = b"R05|1|%b|%b|-72.8850|-72.4850|0.5000|-0.4800\r\n"
STAMPS = b"4294967000|123457072|174575152|51118943|270421552|146965343"
"""Of 2.718 m, by the firmware's formula; the first clock wraps."""


@pytest.mark.parametrize(
    ("metres", "stamps"),
    [
        (b"2.7480", STAMPS),  # one digit of the range
        (b"12.7180", STAMPS),
        (b"2.7180", STAMPS.replace(b"174575152", b"174575193")),
        (b"2.7180", STAMPS.replace(b"4294967000", b"4294967296")),  # more than 32 bits
        (b"2.7180", b"1|2|3|4|5|5"),
    ],
)
def test_decar_stamps_that_contradict_the_range(metres: bytes, stamps: bytes) -> None:
    codec = make_codec("decar")
    codec.request("1")
    assert anchors(codec.feed(DS % (b"2.7180", STAMPS))) == ["1"]
    codec.request("1")
    (event,) = codec.feed(DS % (metres, stamps))
    assert isinstance(event, FailEvent)
    assert event.kind is Failure.UNUSABLE


def test_decar_numbers_have_four_decimals() -> None:
    codec = make_codec("decar")
    codec.request("1")
    assert failures(codec.feed(DS % (b"2.718", STAMPS))) == [("1", "malformed answer")]


def test_decar_ends_the_exchange_where_the_answer_is_broken() -> None:
    codec = make_codec("decar")
    codec.request("1")
    assert failures(codec.feed(b"R05|1|2.7\r\n")) == [("1", "malformed answer")]
    codec.request("1")
    line = b"TWR FAIL: The target ID is the same as the initiator's ID.\r\n"
    assert failures(codec.feed(line)) == [("1", "this anchor is the module itself")]
    assert isinstance(codec.feed(line)[0], DroppedEvent)


def pozyx_up_to(codec: Codec, *replies: bytes) -> list[Event]:
    events: list[Event] = []
    for reply in replies:
        events = codec.feed(b"D,%b\r\n" % reply)
    return events


def test_pozyx_clears_the_flags_before_it_ranges() -> None:
    codec = make_codec("pozyx")
    assert codec.request("6E10") == b"R,05,1\r"
    # An old "done" flag comes out here, and not in the poll.
    assert sent(pozyx_up_to(codec, b"10")) == [b"F,b5,106e,1\r"]
    # What the tag has stored is looked at once, to be told from the new range.
    assert sent(pozyx_up_to(codec, b"01")) == [b"F,c7,106e,11\r"]
    assert sent(pozyx_up_to(codec, b"00")) == [b"R,05,1\r"]
    (poll,) = pozyx_up_to(codec, b"00")
    assert isinstance(poll, SendEvent)
    assert poll.delay > 0.0


def test_pozyx_stale_garbage_fails() -> None:
    codec = make_codec("pozyx")
    codec.request("704B")
    # pypozyx issue 47: 657409 ms, 167772160 mm, 8192 dBm, reported as success
    stale = (657409).to_bytes(4, "little") + (167772160).to_bytes(4, "little") + b"\x00\x20"
    events = pozyx_up_to(codec, b"00", b"01", b"00", b"10", b"01" + stale.hex().encode())
    assert failures(events) == [("704B", "impossible range 167772.16 m, 8192 dBm")]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (b"11", "ranging failed"),
        (b"12", "timeout"),
        (b"13", "timeout"),
        (b"17", "no ack"),
        (b"42", "error 0x42"),
    ],
)
def test_pozyx_errors_by_name(code: bytes, reason: str) -> None:
    codec = make_codec("pozyx")
    codec.request("6E10")
    assert sent(pozyx_up_to(codec, b"00", b"01", b"00", b"01")) == [b"R,04,1\r"]
    assert failures(pozyx_up_to(codec, code)) == [("6E10", reason)]
    codec.request("6E10")
    assert sent(pozyx_up_to(codec, b"00", b"00")) == [b"R,04,1\r"]
    assert failures(pozyx_up_to(codec, code)) == [("6E10", reason)]


def test_pozyx_that_is_busy_is_asked_again() -> None:
    codec = make_codec("pozyx")
    codec.request("6E10")
    (again,) = pozyx_up_to(codec, b"00", b"00", b"15")
    assert again == SendEvent(b"R,05,1\r", 0.005)
    replies = (b"10", b"01", b"00", b"10", b"0187d61200800d0000afff")
    assert anchors(pozyx_up_to(codec, *replies)) == ["6E10"]


@pytest.mark.parametrize("step", range(1, 6))
def test_pozyx_after_a_late_reply_of_any_step(step: int) -> None:
    exchange = (b"00", b"01", b"00", b"10", b"0187d61200800d0000afff")
    codec = make_codec("pozyx")
    codec.request("6E10")
    pozyx_up_to(codec, *exchange[: step - 1])
    codec.cancel()
    assert codec.request("6E11") == b"R,00,2\r"
    late = pozyx_up_to(codec, exchange[step - 1])
    assert isinstance(late[0], DroppedEvent)
    assert sent(pozyx_up_to(codec, b"4311")) == [b"R,05,1\r"]
    replies = (b"00", b"01", b"00", b"10", b"0188d61200800d0000afff")
    assert anchors(pozyx_up_to(codec, *replies)) == ["6E11"]


def test_pozyx_is_told_from_another_device() -> None:
    codec = make_codec("pozyx")
    codec.start()
    assert [type(event) for event in pozyx_up_to(codec, b"44")] == [DroppedEvent]


def test_binary_mode_leaves_the_shell_where_nothing_answers() -> None:
    codec = make_codec("dwm1001")
    assert [codec.start() for _ in range(3)] == [b"\x0c\x00", b"\rquit\r", b"\x0c\x00"]


@pytest.mark.parametrize("error", range(1, 6))
def test_binary_mode_asks_again_after_an_error(error: int) -> None:
    codec = make_codec("dwm1001")
    codec.start()
    assert sent(codec.feed(bytes([0x40, 0x01, error]))) == [b"\x0c\x00"]
    assert not sent(codec.feed(b"\x40\x01\x06"))


def location(*records: tuple[int, int], kind: int = 0x49) -> bytes:
    frame = b"\x40\x01\x00\x41\x0d" + bytes(13)
    size = 1 + (20 if kind == 0x49 else 13) * len(records)
    frame += bytes([kind, size, len(records)])
    for address, millimetres in records:
        wide = 2 if kind == 0x49 else 8
        frame += address.to_bytes(wide, "little") + millimetres.to_bytes(4, "little") + b"\x64"
        frame += (bytes(12) + b"\x64") if kind == 0x49 else b""
    return frame


def test_binary_mode_with_no_anchors_and_with_one_twice() -> None:
    codec = make_codec("dwm1001")
    codec.start()
    events = codec.feed(location())
    assert CycleEvent() in events
    assert anchors(events) == []
    events = codec.feed(location((0x1151, 1000), (0x0CA8, 2000), (0x1151, 3000)))
    assert anchors(events) == ["0CA8"]
    assert failures(events) == [("1151", "reported twice")]


def test_an_anchor_is_told_to_become_a_tag() -> None:
    codec = make_codec("dwm1001")
    codec.start()
    events = codec.feed(location((0x1151, 1000), kind=0x48))
    assert any(isinstance(event, ReadyEvent) for event in events)
    assert "make it a tag" in codec.lacks
    assert anchors(events) == []
    codec.feed(location((0x1151, 1000)))
    assert codec.lacks == ""


def test_shell_opens_from_binary_mode() -> None:
    codec = make_codec("dwm1001-shell")
    assert codec.start() == b"si\r"
    assert codec.feed(b"\x40\x01") == []
    assert codec.feed(b"\x01") == [SendEvent(b"\r\r")]
    assert codec.start() == b""  # the shell takes its time
    assert codec.feed(b"\r\n\r\n DWM1001 TWR Real Time Location System\r\n\r\ndwm>")[-1:] != [
        SendEvent(b"les\r")
    ]
    assert codec.feed(b" ")[-1:] == [SendEvent(b"les\r")]
    assert codec.feed(b"les\r\ndwm> ") == []
    events = codec.feed(LES)
    assert isinstance(events[0], ReadyEvent)
    assert anchors(events) == ["1151"]


def test_shell_that_streams_already_is_not_switched_off() -> None:
    codec = make_codec("dwm1001-shell")
    codec.start()
    events = codec.feed(LES + b"si\r\n[000541.890 INF] mode: tn (act,twr,np,le)\r\ndwm> " + LES)
    assert anchors(events) == ["1151", "1151"]
    assert sent(events) == []


def test_open_shell_is_switched_on_only_when_it_stays_silent() -> None:
    codec = make_codec("dwm1001-shell")
    codec.start()
    assert codec.feed(b"si\r\n[000541.890 INF] mode: tn (act,twr,np,le)\r\ndwm> ") == []
    assert codec.start() == b"les\r"
    assert anchors(codec.feed(b"les\r\ndwm> " + LES)) == ["1151"]


def test_shell_wakes_a_device_that_says_nothing_at_all() -> None:
    codec = make_codec("dwm1001-shell")
    assert [codec.start() for _ in range(4)] == [b"si\r", b"\r\r", b"", b"si\r"]


def test_positions_without_ranges_are_turned_into_ranges_once() -> None:
    codec = make_codec("dwm1001-shell")
    codec.start()
    assert sent(codec.feed(b"POS,2.57,2.00,1.67,97\r\nPOS,2.57,2.00,1.67,97\r\n")) == [b"les\r"]


@pytest.mark.parametrize("glued", [b"les", b"lec", b"le", b"dwm> ", b"dwm> les", b"\x00", b"\xfe"])
def test_echo_glued_to_ranges(glued: bytes) -> None:
    codec = make_codec("dwm1001-shell")
    codec.start()
    assert anchors(codec.feed(glued + LES)) == ["1151"]


@pytest.mark.parametrize(
    "line",
    [
        b"1151[5.00,8.00,2.25]=6.480CA8[0.00,8.00,2.25]=6.51",
        b"1151[5.00,8.00,2.25]=6.4",
        b"1151[5.00,8.00,2.25]=6.48le_us=2576",
        b"2.801151[5.00,8.00,2.25]=6.48",
        b"DIST,2,AN0,1151,5.00,8.00,2.25,6.44",
        b"DIST,2,AN0,1151,5.00,8.00,2.25,6.44,AN2,0CA8,0.00,8.00,2.25,6.50",
    ],
)
def test_lines_that_lost_characters(line: bytes) -> None:
    codec = make_codec("dwm1001-shell")
    codec.start()
    assert [type(event) for event in codec.feed(line + b"\r\n")] == [DroppedEvent]


def test_an_anchor_reported_twice_in_one_line() -> None:
    codec = make_codec("dwm1001-shell")
    codec.start()
    events = codec.feed(
        b"DIST,3,AN0,0090,0.00,0.00,0.00,3.25,AN1,15BA,0.00,0.00,0.00,2.00"
        b",AN2,15BA,0.00,0.00,0.00,0.00\r\n"
    )
    assert anchors(events) == ["0090"]
    assert failures(events) == [("15BA", "reported twice")]


def test_trek_says_whose_range_it_is() -> None:
    codec = make_codec("trek1000")
    codec.start()
    events = codec.feed(MC % (1000, 1, ord("a"), 3) + MC % (2000, 2, ord("a"), 5))
    assert [e.tag for e in events if isinstance(e, RangeEvent | CycleEvent)] == ["3", "3", "5", "5"]


def test_a_report_that_comes_late_is_dropped_and_a_restart_is_not() -> None:
    codec = make_codec("mauwb")
    line = b"AT+RANGE=tid:0,mask:01,seq:%d,range:(%d,0,0,0,0,0,0,0)\r\n"
    said = [(254, 100), (255, 110), (0, 120), (255, 111), (1, 130), (250, 99)]
    heard = [anchors(codec.feed(line % numbers)) for numbers in said]
    assert [bool(one) for one in heard] == [True, True, True, False, True, False]
    for number in range(240, 243):
        codec.feed(line % (number, 100 + number))
    assert anchors(codec.feed(line % (243, 500))) == ["0"]


def test_trek_line_that_lost_a_digit() -> None:
    codec = make_codec("trek1000")
    line = MC % (1000, 1, ord("t"), 0)
    assert [type(e) for e in codec.feed(line.replace(b"000003e8", b"00003e8"))] == [DroppedEvent]


def test_ryuw_sets_itself_up() -> None:
    codec = make_codec("ryuw122")
    assert codec.start() == b"AT+MODE?\r\n"
    assert sent(codec.feed(b"+MODE=0\r\n")) == [b"AT+MODE=1\r\n"]
    assert sent(codec.feed(b"+OK\r\n")) == [b"AT+RSSI=1\r\n"]
    assert [type(event) for event in codec.feed(b"+ERR=5\r\n")] == [ReadyEvent]
    # In mode 1 already: flash is not written.
    codec.start()
    assert sent(codec.feed(b"+MODE=1\r\n")) == [b"AT+RSSI=1\r\n"]
    assert [type(event) for event in codec.feed(b"+OK\r\n")] == [ReadyEvent]


def test_ryuw_answers_that_come_late_are_not_taken_for_new_ones() -> None:
    codec = make_codec("ryuw122")
    codec.request("TAG00001")
    codec.cancel()
    assert codec.request("TAG00001") == b"AT+MODE?\r\n"
    late = codec.feed(b"+OK\r\n+ANCHOR_RCV=TAG00001,0,,40 cm\r\n")
    assert anchors(late) == []
    assert sent(codec.feed(b"+MODE=1\r\n")) == [b"AT+ANCHOR_SEND=TAG00001,1,P\r\n"]
    assert anchors(codec.feed(b"+OK\r\n+ANCHOR_RCV=TAG00001,0,,50 cm\r\n")) == ["TAG00001"]
    codec.request("TAG00001")  # an answer that comes before the request was accepted is older
    events = codec.feed(b"+ANCHOR_RCV=TAG00001,0,,60 cm\r\n")
    assert failures(events) == [("TAG00001", "an answer before its request was accepted")]
    assert codec.request("TAG00001") == b"AT+MODE?\r\n"


def test_pozyx_range_that_was_finished_after_it_was_given_up_is_not_taken() -> None:
    """Its flag may come out in the next poll, and its range has a stamp not seen before."""
    codec = make_codec("pozyx")
    codec.request("6E10")
    pozyx_up_to(codec, b"00", b"01", b"00", b"00")
    codec.cancel()
    codec.request("6E10")
    old = b"0187d61200800d0000afff"
    # Accepted: so the old one is over, and what is stored now is its range.
    assert sent(pozyx_up_to(codec, b"4311", b"00", b"01")) == [b"F,c7,106e,11\r"]
    pozyx_up_to(codec, old)
    (poll,) = pozyx_up_to(codec, b"10", old)  # its flag came late
    assert poll == SendEvent(b"R,05,1\r", 0.002)
    assert anchors(pozyx_up_to(codec, b"10", b"0199d61200800d0000afff")) == ["6E10"]


def test_pozyx_asks_again_for_what_was_lost() -> None:
    codec = make_codec("pozyx")
    assert codec.again() == b""
    codec.request("6E10")
    assert codec.again() == b"R,05,1\r"
    pozyx_up_to(codec, b"00")
    assert codec.again() == b"F,b5,106e,1\r"
    pozyx_up_to(codec, b"01", b"00")
    # The flag that was read may be lost with the reply: the range itself is looked at.
    assert codec.again() == b"F,c7,106e,11\r"
    assert sent(pozyx_up_to(codec, b"00")) == [b"R,05,1\r"]
    codec.again()
    assert anchors(pozyx_up_to(codec, b"0187d61200800d0000afff")) == ["6E10"]


def test_a_command_that_was_lost_is_said_again_and_one_answer_counts() -> None:
    codec = make_codec("uwb650")
    asked = codec.request("0002")
    assert codec.again() == asked
    answer = b"+RANGING=(3.46),(-67.50)\r\n"
    assert anchors(codec.feed(answer)) == ["0002"]
    assert codec.request("0003") == b"UWBRFAT+VERSION?\r\n"  # the second answer may come
    assert anchors(codec.feed(answer)) == []
    assert sent(codec.feed(b"V1.2\r\n")) == [b"UWBRFAT+RANGING=1,0003\r\n"]
    codec = make_codec("ryuw122")
    asked = codec.request("TAG00001")
    assert codec.again() == asked
    codec.feed(b"+OK\r\n")
    assert codec.again() == b""  # it was taken: the anchor may be slow


def test_binary_mode_asks_again_after_a_lost_byte() -> None:
    codec = make_codec("dwm1001")
    codec.start()
    codec.feed(location((0x1151, 1000))[:-1])
    assert codec.again() == b"\x0c\x00"
    assert anchors(codec.feed(location((0x1151, 2000)))) == ["1151"]


def test_whole_words_of_a_broken_line_are_taken() -> None:
    codec = make_codec("dwm1001-shell")
    codec.start()
    line = b"1151[5.00,8.00,2.25]=6.48 0CA8[0.00,8.0,2.25]=6.51 111C[5.00,0.00,2.25]=3.18 \r\n"
    assert anchors(codec.feed(line)) == ["1151", "111C"]


def test_ryuw_that_restarts() -> None:
    codec = make_codec("ryuw122")
    codec.request("TAG00001")
    events = codec.feed(b"+READY\r\n")
    assert failures(events) == [("TAG00001", "the module restarted")]
    assert sent(events) == [b"AT+MODE?\r\n"]


@pytest.mark.parametrize("anchor", ["", "TAG000001", "A,B", "A B", "A\r", "\u00c4"])
def test_ryuw_cannot_ask_for_what_is_no_address(anchor: str) -> None:
    assert make_codec("ryuw122").request(anchor) == b""


@pytest.mark.parametrize("anchor", ["", "6E1", "0x6E10", "6E1G", "6E10\r"])
def test_pozyx_cannot_ask_for_what_is_no_id(anchor: str) -> None:
    assert make_codec("pozyx").request(anchor) == b""


@pytest.mark.parametrize("end", [b" *%02X", b" *%02x", b" *%X", b" *%x"])
def test_sketch_sums_as_people_print_them(end: bytes) -> None:
    codec = make_codec("sketch")
    small = 0
    for number in range(1, 100):
        anchor = f"A{number}"
        assert codec.request(anchor)
        text = f"RANGE {anchor} 3.46 #{number}".encode()
        right = checksum(text)
        small += right < 16
        assert anchors(codec.feed(text + end % (right ^ 1) + b"\r\n")) == []
        assert anchors(codec.feed(text + end % right + b"\r\n")) == [anchor]
    assert small


def test_sketch_that_prints_no_number_ends_the_exchange() -> None:
    codec = make_codec("sketch")
    codec.start()
    assert codec.request("A1") == b"ASK A1 1\r\n"
    text = b"RANGE A1 nan #1"
    events = codec.feed(text + b" *%02X\r\n" % checksum(text))
    assert failures(events) == [("A1", "no range in the answer")]
