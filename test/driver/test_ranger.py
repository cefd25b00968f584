# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ranger over real pseudo-terminals: one answer for each anchor asked, whatever happens."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from driver.fake_device import FakeCodec, FakeDevice, speaks

from locdreamer_ros.driver import ranger as module
from locdreamer_ros.driver.ranger import Ranger
from locdreamer_ros.driver.session import Session
from locdreamer_ros.driver.transport import Transport
from locdreamer_ros.driver.worker import Worker
from locdreamer_ros.types import Anchors, Ranges, RangeStatus

IDS = ("A", "B", "C", "D")
ALL = {"A": 1.0, "B": 2.0, "C": 3.0, "D": 4.0}
OK, TIMEOUT = RangeStatus.OK, RangeStatus.TIMEOUT
NOT_OFFERED, INVALID = RangeStatus.NOT_OFFERED, RangeStatus.INVALID
PATIENCE_S = 60.0
"""So long a busy machine may take."""


class Bench:
    def __init__(self, path: Path) -> None:
        self.link = path / "usb-fake"
        self.closing: list[Callable[[], None]] = []

    def device(self, reply: Callable[[bytes], bytes]) -> FakeDevice:
        device = FakeDevice(reply, self.link)
        self.closing.append(lambda: device.unplug() if device.plugged else None)
        return device

    def ranger(self, codec: FakeCodec | None = None, ids: tuple[str, ...] = IDS, **more) -> Ranger:
        session = Session(Transport(str(self.link), 115200), codec or FakeCodec())
        anchors = Anchors(ids, np.zeros((len(ids), 3)))
        self.closing.insert(0, session.close)
        return Ranger(anchors, session, **more)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for close in bench.closing:
        close()


def ask(ranger: Ranger, *rows: int, wait: float = module.LONGEST_WAIT_S) -> Ranges:
    return ranger.measure(np.array(rows, dtype=np.intp), time.time() + wait)


def until(done: Callable[[], object], what: str) -> None:
    """Again and again, until something is so."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, f"waited for {what}"


def track_again(ranger: Ranger, *rows: int) -> None:
    """Ask until all rows answer; there is time for that now."""
    ranger._limit = max(ranger._limit, 1.0)
    until(lambda: (ask(ranger, *rows, wait=0.1).status == OK).all(), "ranges")


def test_one_range_for_each_anchor_in_the_order_asked(bench: Bench) -> None:
    bench.device(speaks(ALL))
    ranger = bench.ranger(offsets={"B": 0.25})
    before = time.time()
    answer = ask(ranger, 2, 0, 1)
    assert answer.anchor.tolist() == [2, 0, 1]
    assert answer.value.tolist() == [3.0, 1.0, 1.75]
    assert answer.status.tolist() == [OK] * 3
    assert ((before < answer.stamp) & (answer.stamp < time.time())).all()
    assert (np.diff(answer.stamp) > 0).all()
    assert ranger.session.identity == "fake"
    assert ranger.spent == (3, 0, 0.0)
    assert np.isnan(answer.rx_power).all()


def test_a_silent_anchor_times_out_and_the_others_are_asked(bench: Bench) -> None:
    bench.device(speaks({"A": 1.0, "C": 3.0}))
    ranger = bench.ranger()
    answer = ask(ranger, 0, 1, 2)
    assert answer.status.tolist() == [OK, TIMEOUT, OK]
    assert np.isnan(answer.value[1])
    assert ranger.spent[:2] == (2, 1)
    assert ranger.spent.waited >= 2.0


def test_the_deadline_is_kept(bench: Bench) -> None:
    bench.device(speaks({"A": 1.0}))
    ranger = bench.ranger(FakeCodec(range_timeout=5.0))
    ask(ranger, 0)
    transport, waits = ranger.session.transport, []
    read = transport.read
    transport.read = lambda wait: waits.append(wait) or read(wait)  # type: ignore[method-assign]
    answer = ask(ranger, 1, 0, wait=0.1)
    assert max(waits) <= 0.1
    assert answer.status.tolist() == [TIMEOUT, TIMEOUT]
    assert ask(ranger, 0, wait=-1.0).status.tolist() == [TIMEOUT]


def test_where_the_time_is_too_short_for_all_each_gets_its_turn(bench: Bench) -> None:
    at_once = speaks(ALL)

    def slowly(request: bytes) -> bytes:
        time.sleep(0.03)
        return at_once(request)

    bench.device(slowly)
    ranger = bench.ranger()
    heard = lambda: all(each.ok for each in ranger.statistics[:3])  # noqa: E731
    until(lambda: len(ask(ranger, 0, 1, 2, wait=0.02)) and heard(), "each of them")


def test_two_dead_anchors_of_eight_do_not_eat_the_period(bench: Bench) -> None:
    ids = tuple("ABCDEFGH")
    bench.device(speaks(dict.fromkeys(ids[:6], 5.0)))
    ranger = bench.ranger(FakeCodec(range_timeout=0.3), ids)
    ask(ranger, 0)
    dead = ranger.statistics[6:]
    asked = []

    def rested() -> bool:
        before = [each.asked for each in dead]
        answer = ask(ranger, *range(8))
        assert answer.status[6:].tolist() == [TIMEOUT, TIMEOUT]
        asked.append(sum(each.asked for each in dead) - sum(before))
        return all(each.rested > 10 * each.asked for each in dead)

    until(rested, "rests")  # so most periods are the others' alone
    assert max(asked[2:]) <= 1  # one is tried at a time
    assert [each.strikes for each in ranger.statistics[:6]] == [0] * 6


def test_a_dead_anchor_that_returns_is_used_again(bench: Bench) -> None:
    there = dict(ALL)
    del there["B"]
    bench.device(speaks(there))
    ranger = bench.ranger(FakeCodec(range_timeout=0.04))
    until(
        lambda: len(ask(ranger, 0, 1, wait=0.1)) and ranger.statistics[1].strikes > module.STRIKES,
        "rests",
    )
    there["B"] = 2.0
    track_again(ranger, 0, 1)


def test_a_trial_is_not_kept_out_by_a_schedule_without_time_left(bench: Bench) -> None:
    def slow(line: bytes) -> bytes:
        time.sleep(0.02)
        return speaks(ALL)(line)

    bench.device(slow)
    ranger = bench.ranger()
    ask(ranger, 0)
    ranger.statistics[1].strikes = 5
    ranger.statistics[1].rest_until = time.monotonic()
    until(lambda: len(ask(ranger, 0, 1, wait=0.02)) and not ranger.statistics[1].strikes, "a trial")


@pytest.mark.parametrize(
    "extra",
    [b"RNG B 99.0\n", b"RNG Z 99.0\n", b"RNG A 1.0\nRNG A 99.0\n", b"ERR C\n", b"noise\xff\x00\n"],
    ids=["another anchor's", "unknown anchor's", "duplicate", "another's failure", "garbage"],
)
def test_what_was_not_asked_is_not_taken(bench: Bench, extra: bytes) -> None:
    reply = speaks(ALL)
    bench.device(lambda line: (extra if line.startswith(b"ASK") else b"") + reply(line))
    ranger = bench.ranger()
    for _ in range(5):
        answer = ask(ranger, 0, 1)
        if extra.startswith(b"RNG B"):  # B's own answer, should it come early, is for A's request
            answer = answer[np.array([0])]
            assert answer.value.tolist() == [1.0]
        else:
            assert answer.value.tolist() == [1.0, 2.0]
    assert ranger.unexpected + ranger.session.garbled > 0


def test_a_late_answer_is_not_taken_for_the_next(bench: Bench) -> None:
    reply = speaks(ALL)
    device = bench.device(lambda line: b"" if line == b"ASK A" else reply(line))
    ranger = bench.ranger(FakeCodec(range_timeout=0.05))
    ask(ranger, 1)
    assert ask(ranger, 0).status.tolist() == [TIMEOUT]
    device.say(b"RNG A 77.0\n")
    port = ranger.session.transport._link
    assert select.select([port.fileno()], [], [], PATIENCE_S)[0]
    device.reply, ranger._limit = reply, 2.0
    assert ask(ranger, 0).value.tolist() == [1.0]
    assert ranger.unexpected == 1


def test_impossible_ranges_are_invalid(bench: Bench) -> None:
    bench.device(speaks({"A": -1.0, "B": 0.0, "C": 167772.16, "D": float("nan")}))
    answer = ask(bench.ranger(), 0, 1, 2, 3)
    assert answer.status.tolist() == [INVALID] * 4
    assert len(answer.usable()) == 0


def test_nlos_is_indicated_only_where_both_powers_are_there(bench: Bench) -> None:
    powers = {"A": "-80 -85", "B": "-80 -88", "C": "-80 -91", "D": "-80 nan"}
    bench.device(speaks({anchor: f"5.0 {power}" for anchor, power in powers.items()}))
    answer = ask(bench.ranger(), 0, 1, 2, 3)
    assert answer.nlos_probability.tolist() == pytest.approx([0.0, 0.5, 1.0, np.nan], nan_ok=True)
    assert answer.rx_power.tolist() == [-80.0] * 4


def test_an_id_the_device_cannot_have_is_not_offered(bench: Bench) -> None:
    bench.device(speaks(ALL))
    ranger = bench.ranger(ids=("A", "NEVER"))
    assert ask(ranger, 1, 0).status.tolist() == [NOT_OFFERED, OK]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_answers_in_pieces(bench: Bench, size: int) -> None:
    reply = speaks(ALL)
    device = bench.device(lambda _: b"")

    def in_pieces(line: bytes) -> bytes:
        whole = reply(line)
        for i in range(0, len(whole), size):
            device.say(whole[i : i + size])
            time.sleep(0.001)
        return b""

    device.reply = in_pieces
    assert ask(bench.ranger(), 0, 1, 2).value.tolist() == [1.0, 2.0, 3.0]


def test_unplugged_in_mid_frame_and_replugged_under_another_name(bench: Bench) -> None:
    device = bench.device(speaks(ALL))
    ranger = bench.ranger()
    assert (ask(ranger, 0, 1).status == OK).all()
    device.reply = lambda _: b"RNG A 1"
    ask(ranger, 0, wait=0.02)
    old = device.path
    device.unplug()
    start = time.monotonic()
    answer = ask(ranger, 0, 1, wait=0.2)
    assert time.monotonic() - start > 0.15
    assert answer.status.tolist() == [TIMEOUT, TIMEOUT]
    assert ranger.session.problem
    device.reply = speaks(ALL)
    holder = FakeDevice(speaks({}))  # takes the old number
    device.plug()
    assert device.path != old
    track_again(ranger, 0, 1)
    assert ranger.session.problem == ""
    assert ranger.statistics[0].strikes == 0
    holder.unplug()


def test_a_device_that_reboots_is_opened_again(bench: Bench) -> None:
    reply = speaks(ALL)
    awake = True

    def forgetful(line: bytes) -> bytes:
        """After a reboot nothing works before the session is opened."""
        nonlocal awake
        awake = awake or line == b"?"
        return reply(line) if awake else b""

    device = bench.device(forgetful)
    ranger = bench.ranger()
    ask(ranger, 0)
    awake = False
    device.say(b"\n*** boot v1.2 ***\n")
    track_again(ranger, 0, 1)
    assert ranger.session.garbled > 0


def test_a_device_that_boots_slowly_is_not_given_up(bench: Bench) -> None:
    reply = speaks(ALL)
    device = bench.device(lambda _: b"")
    ranger = bench.ranger()
    until(lambda: len(ask(ranger, 0, wait=0.1)) and device.heard.count(b"?") > 2, "questions")
    device.reply = reply
    track_again(ranger, 0)


def test_oversize_lines_do_not_stop_it(bench: Bench) -> None:
    device = bench.device(speaks(ALL))
    ranger = bench.ranger()
    ask(ranger, 0)
    device.say(b"x" * 3000)
    ask(ranger, 0, wait=0.05)
    device.say(b"\n")
    track_again(ranger, 0, 1)


def test_a_device_that_does_not_drain_is_reopened(bench: Bench) -> None:
    device = bench.device(speaks(ALL))
    ranger = bench.ranger(FakeCodec(range_timeout=0.001))
    ask(ranger, 0)
    device.reading = False
    for _ in range(300):
        ranger.statistics[0].strikes = 0
        ask(ranger, 0, wait=0.01)
    device.reading = True
    track_again(ranger, 0, 1)


def test_senseless_bytes_are_called_a_wrong_baud_rate(bench: Bench) -> None:
    garbled = True
    reply = speaks(ALL)
    bench.device(lambda line: b"\xfe\x81\xfe\n" if garbled else reply(line))
    ranger = bench.ranger()
    ask(ranger, 0, wait=0.3)
    assert "wrong `device` or `baud`" in ranger.session.problem
    garbled = False
    track_again(ranger, 0)


def test_a_silent_device_is_said_to_be_silent(bench: Bench) -> None:
    bench.device(lambda _: b"")
    ranger = bench.ranger()
    ask(ranger, 0, wait=0.1)
    assert "says nothing" in ranger.session.problem


# Devices that choose by themselves.


def test_passive_cycles_are_filtered(bench: Bench) -> None:
    device = bench.device(speaks({}))
    ranger = bench.ranger(FakeCodec(schedulable=False))
    ask(ranger, 0, wait=0.1)
    device.say(b"CYC A=1.0 B=2.0 Z=9.0\n")
    answer = ask(ranger, 1, 3)
    assert answer.status.tolist() == [OK, NOT_OFFERED]
    assert answer.value[0] == 2.0
    assert ranger.foreign == 1
    assert ranger.spent == (3, 0, 0.0)  # no saving is claimed: the radio ranged with all
    start = time.monotonic()
    assert ask(ranger, 0, wait=0.1).status.tolist() == [TIMEOUT]  # each cycle is used once
    assert time.monotonic() - start > 0.09


def test_the_parts_of_a_fix_come_from_one_passive_cycle(bench: Bench) -> None:
    device = bench.device(speaks({}))
    ranger = bench.ranger(FakeCodec(schedulable=False))
    ask(ranger, 0, wait=0.1)
    device.say(b"CYC A=1.0 B=2.0\n")
    assert ask(ranger, 0).value.tolist() == [1.0]
    assert ranger.spent == (2, 0, 0.0)
    device.say(b"CYC A=1.5 B=2.5\n")
    answer = ranger.measure(np.array([1, 2]), time.time(), again=True)  # which needs no time
    assert answer.value[0] == 2.0
    assert answer.status.tolist() == [OK, NOT_OFFERED]
    assert ranger.spent == (0, 0, 0.0)
    assert ask(ranger, 0).value.tolist() == [1.5]  # the next fix has the next cycle
    assert ask(ranger, 0, wait=0.05).status.tolist() == [TIMEOUT]
    device.say(b"CYC A=1.0 B=3.0\n")  # too late for its first part, in time for its second
    assert ranger.measure(np.array([1]), time.time() + 5.0, again=True).value.tolist() == [3.0]


def test_the_newest_passive_cycle_is_used_and_an_old_one_is_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = bench.device(speaks({}))
    ranger = bench.ranger(FakeCodec(schedulable=False))
    ask(ranger, 0, wait=0.1)
    device.say(b"CYC A=1.0\nCYC A=1.5\n")
    until(lambda: ranger.idle(0.1) or ranger._complete, "a cycle")
    assert ask(ranger, 0).value.tolist() == [1.5]
    device.say(b"CYC A=2.0\n")
    until(lambda: ranger.idle(0.1) or ranger._complete, "a cycle")
    monkeypatch.setattr(module, "FRESH_S", 0.01)
    time.sleep(0.05)
    assert ask(ranger, 0, wait=0.05).status.tolist() == [TIMEOUT]


def test_a_passive_device_gone_silent_is_reopened(bench: Bench) -> None:
    device = bench.device(speaks({}))
    ranger = bench.ranger(FakeCodec(schedulable=False))
    ask(ranger, 0, wait=0.1)
    asked = device.heard.count(b"?")
    until(lambda: len(ask(ranger, 0)) and device.heard.count(b"?") > asked, "a new session")


def test_one_tag_of_several_is_followed_until_it_is_gone(bench: Bench) -> None:
    device = bench.device(speaks({}))
    ranger = bench.ranger(FakeCodec(schedulable=False))
    ask(ranger, 0, wait=0.1)
    device.say(b"CYC@3 A=1.0\nCYC@5 A=9.0\n")
    assert ask(ranger, 0).value.tolist() == [1.0]
    assert (ranger.tag, ranger.other_tags) == ("3", 1)
    for _ in range(module.STRANGERS - 1):
        device.say(b"CYC@5 A=9.0\n")
    assert ask(ranger, 0, wait=0.05).status.tolist() == [TIMEOUT]
    device.say(b"CYC@5 A=8.0\n")
    assert ask(ranger, 0).value.tolist() == [8.0]
    assert ranger.tag == "5"


def test_a_tag_that_was_named_is_not_left(bench: Bench) -> None:
    device = bench.device(speaks({}))
    ranger = bench.ranger(FakeCodec(schedulable=False), tag="3")
    ask(ranger, 0, wait=0.1)
    device.say(b"CYC@5 A=9.0\n" * 2 * module.STRANGERS)
    assert ask(ranger, 0, wait=0.1).status.tolist() == [TIMEOUT]
    device.say(b"CYC@3 A=1.0\n")
    assert ask(ranger, 0).value.tolist() == [1.0]


# Ranges that come late, and ids that are wrong.


def test_a_slow_answer_is_used_with_the_time_it_came(bench: Bench) -> None:
    """Its schedule is over, its exchange is not: the next schedule has it, honestly stamped."""

    device = bench.device(lambda line: b"HELLO\n" if line == b"?" else b"")
    ranger = bench.ranger(FakeCodec(range_timeout=10.0))
    until(lambda: ranger.idle(0.1) or ranger.session.ready, "the device")

    def late() -> float:
        """Its answer comes between schedules; when."""
        device.say(b"RNG A 1.0\n")
        until(lambda: ranger.idle(0.1) or ranger._late, "the answer")
        return time.time()

    assert ask(ranger, 0, wait=0.05).status.tolist() == [TIMEOUT]
    before = time.time()
    came = late()
    time.sleep(0.05)
    answer = ask(ranger, 0, wait=0.05)
    assert answer.value.tolist() == [1.0]
    assert before < answer.stamp[0] <= came
    assert ask(ranger, 0, wait=0.05).status.tolist() == [TIMEOUT]  # it is used once
    late()
    ranger._limit = 0.01
    time.sleep(0.02)
    assert ask(ranger, 0, wait=0.02).status.tolist() == [TIMEOUT]  # and not when it is old


def test_an_anchor_whose_old_answer_may_come_is_left_alone(bench: Bench) -> None:
    device = bench.device(speaks({"B": 2.0}))
    ranger = bench.ranger(FakeCodec(range_timeout=1.0, settle=60.0))
    assert ask(ranger, 0, 1).status.tolist() == [TIMEOUT, OK]
    device.heard.clear()
    assert ask(ranger, 0, 1).status.tolist() == [TIMEOUT, OK]
    assert device.heard == [b"ASK B"]
    ranger.statistics[0].rest_until = time.monotonic()
    ask(ranger, 0, 1)
    assert b"ASK A" in device.heard


def test_a_parameter_gives_slow_anchors_more_time(bench: Bench) -> None:
    answers = threading.Event()

    def slow(line: bytes) -> bytes:
        if line.startswith(b"ASK"):
            answers.wait(PATIENCE_S)
        return speaks(ALL)(line)

    bench.device(slow)
    impatient = bench.ranger(FakeCodec(range_timeout=0.03))
    assert ask(impatient, 0).status.tolist() == [TIMEOUT]
    answers.set()
    impatient.session.close()
    patient = bench.ranger(FakeCodec(range_timeout=0.03), range_timeout=4.0)
    ask(patient, wait=1.0)
    answers.clear()
    threading.Timer(0.1, answers.set).start()
    assert ask(patient, 0).status.tolist() == [OK]


def test_wrong_ids_are_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET_S", 0.2)
    device = bench.device(speaks({}))
    ranger = bench.ranger(FakeCodec(schedulable=False))
    assert ranger.problem == ""
    end = time.monotonic() + PATIENCE_S
    while "hears the anchors" not in ranger.problem and time.monotonic() < end:
        ask(ranger, 0, wait=0.05)
        device.say(b"CYC X1=1.0 X2=2.0\n")
    assert "hears the anchors X1, X2, none of which" in ranger.problem
    assert "A, B, C, D" in ranger.problem
    said, end = ranger.problem, time.monotonic() + PATIENCE_S
    while said and time.monotonic() < end:  # cycles of before may lie there still
        device.say(b"CYC A=1.0\n")
        ask(ranger, 0, wait=0.05)
        said = ranger.problem
    assert said == ""


def test_anchors_that_never_answer_are_said_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET_S", 0.2)
    bench.device(speaks({}))
    ranger = bench.ranger()
    end = time.monotonic() + PATIENCE_S
    while "are the anchors on" not in ranger.problem and time.monotonic() < end:
        ask(ranger, 0, 1, wait=0.05)
        ranger.idle(0.02)
    assert "are the anchors on" in ranger.problem


def test_nothing_is_said_of_ids_while_nobody_asks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET_S", 1.0)
    bench.device(speaks(ALL))
    ranger = bench.ranger()
    ask(ranger, 0)
    ranger.idle(0.5)
    time.sleep(1.1)
    assert ranger.problem == ""
    ask(ranger, 0, wait=0.0)  # asking has only begun again
    assert ranger.problem == ""


def test_anchors_are_asked_by_the_names_the_device_prints(bench: Bench) -> None:
    device = bench.device(speaks({"A": 1.0}))
    ranger = bench.ranger(ids=("DWA", "B"), names=("A", ""))
    assert ask(ranger, 0, 1).status.tolist() == [OK, NOT_OFFERED]
    assert b"ASK A" in device.heard


# The thread.


def test_the_worker_answers_the_newest_and_says_which_it_skipped(bench: Bench) -> None:
    bench.device(speaks({"A": 1.0}))
    ranger = bench.ranger()
    answers: dict[str, Ranges] = {}
    skipped: list[str] = []
    worker: Worker[str] = Worker(ranger, answers.__setitem__, skipped.append)
    deadline = time.time() + 0.3
    worker.ask("first", np.array([1]), deadline)
    time.sleep(0.1)
    worker.ask("second", np.array([0]), deadline)
    worker.ask("third", np.array([0]), deadline)
    until(lambda: time.sleep(0.01) or "third" in answers, "the newest")
    worker.stop()
    assert sorted([*answers, *skipped]) == ["first", "second", "third"]
    assert "third" in answers
    assert worker.faults == 0


def test_a_bug_in_the_thread_is_survived(bench: Bench) -> None:
    bench.device(speaks(ALL))
    codec = FakeCodec()
    ranger = bench.ranger(codec)
    answers: list[Ranges] = []
    worker: Worker[int] = Worker(ranger, lambda _, r: answers.append(r), lambda _: None)
    real, broken = codec.feed, True
    codec.feed = lambda data: 1 / 0 if broken else real(data)  # type: ignore[assignment, return-value]
    try:
        end = time.monotonic() + PATIENCE_S
        while not worker.faults:
            assert time.monotonic() < end
            worker.ask(0, np.array([0]), time.time() + 0.1)  # or nothing need come
            time.sleep(0.12)
        broken = False
        while not answers or not (answers[-1].status == OK).all():
            assert time.monotonic() < end
            worker.ask(0, np.array([0]), time.time() + 0.1)
            time.sleep(0.12)
    finally:
        worker.stop()  # left alone it would go on failing through the tests that follow
