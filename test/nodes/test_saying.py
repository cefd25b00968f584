# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a log says, and how often."""

from __future__ import annotations

import pytest

from locdreamer_ros.nodes import saying


class Log(list[str]):
    """A logger and the clock that it is read by."""

    now = 100.0

    def warning(self, text: str) -> None:
        self.append(text)

    def info(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()
    monkeypatch.setattr(saying, "monotonic", lambda: made.now)
    return made


def test_each_reason_of_drops_is_said_whatever_else_comes_and_not_all_the_time(log: Log) -> None:
    sayer = saying.Sayer(log)
    for tick in range(600):  # a minute of a flood, the second reason always behind the first
        log.now = 100.0 + tick / 10
        sayer.dropped(f"unknown anchor 'x'; stamp is {tick / 7:.3f} s off, sequence {tick}")
        sayer.dropped("unknown anchor '7'")
        sayer.dropped("unknown anchor '8'")
    first = "dropped: unknown anchor 'x'; stamp is 0.000 s off, sequence 0"
    assert log[:3] == [first, "dropped: unknown anchor '7'", "dropped: unknown anchor '8'"]
    assert len(log) == 6  # and each again after half a minute


def test_reasons_that_never_repeat_fill_neither_log_nor_memory(log: Log) -> None:
    sayer = saying.Sayer(log)
    for tick in range(2000):
        log.now = 100.0 + tick / 10
        sayer.dropped(f"unknown anchor 'x{tick}'")
    assert len(log) == 200
    assert len(sayer._reasons) <= saying.MOST_REASONS
