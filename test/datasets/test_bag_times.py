# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of drivers whose stamps are none, or in another unit; live: test/nodes/test_clocks.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets.test_bag import copy_as

from locdreamer_ros.datasets.bag import read_bag, write_bag
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import simulate


def stamped(change: Callable[[int, int], int], *, own: bool = True, header: bool = True) -> Any:
    """An edit of the stamps of RangeArrays: `change` is given their number and stamp, ns."""
    numbers = count()

    def edit(topic: str, body: Any) -> Any:
        if topic == "/uwb/ranges":
            number = next(numbers)
            held = [*([body.header] if header else []), *(body.ranges if own else [])]
            for each in held:
                ns = change(number, each.stamp.sec * 10**9 + each.stamp.nanosec)
                each.stamp.sec, each.stamp.nanosec = divmod(ns, 10**9)
        return body

    return edit


def day(seconds: float = 60.0) -> Recording:
    """A walk at a time of day."""
    walk = simulate("lab", duration=seconds, seed=1)
    return dataclasses.replace(walk, times=1_700_000_000.0 + walk.times, truth=None)


@pytest.mark.parametrize(
    ("edit", "note"),
    [
        ({"change": lambda number, ns: 0}, "600 messages have no stamp"),
        ({"change": lambda number, ns: 0, "own": False}, "600 messages have no stamp"),
        ({"change": lambda number, ns: ns * (number % 3 > 0)}, "200 messages have no stamp"),
        ({"change": lambda number, ns: 0, "header": False}, ""),
    ],
)
def test_stamps_of_0_are_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, edit: dict[str, Any], note: str
) -> None:
    """A message has that of its last range or of its arrival, a range that of its message."""
    recording = day()
    write_bag(tmp_path / "bag", recording)
    read = read_bag(copy_as(tmp_path / "bag", tmp_path / "x", edit=stamped(**edit)))
    np.testing.assert_array_equal(read.times, recording.times)
    assert read.stamps is None
    assert note in caplog.text
    assert bool(note) == bool(caplog.text)


def test_a_bag_that_begins_at_0_does_so_each_time_it_is_played(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_bag(tmp_path / "bag", day())
    looped = stamped(lambda number, ns: number % 100 * 100_000_000)
    read = read_bag(copy_as(tmp_path / "bag", tmp_path / "x", edit=looped))
    np.testing.assert_allclose(read.times[[0, 1, 99, 100, 101]], [0.0, 0.1, 9.9, 0.0, 0.1])
    assert "no stamp" not in caplog.text


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (1000.0, "stamps go on by 1e+03 s in a second of the bag"),
        (0.001, "stamps go on by 0.001 s in a second of the bag"),
        (0.2, ""),
        (5.0, ""),
    ],
)
def test_stamps_in_another_unit_than_seconds_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, times: float, said: str
) -> None:
    write_bag(tmp_path / "bag", day(10.0))
    begin = 1_700_000_000 * 10**9
    edit = stamped(lambda number, ns: 5 * 10**9 + round((ns - begin) * times))
    read_bag(copy_as(tmp_path / "bag", tmp_path / "x", edit=edit))
    assert said in caplog.text
    assert ("another unit" in caplog.text) == bool(said)


def test_stamps_that_count_by_steps_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_bag(tmp_path / "bag", day(10.0))
    whole = stamped(lambda number, ns: ns // 10**9 * 10**9)
    read = read_bag(copy_as(tmp_path / "bag", tmp_path / "x", edit=whole))
    assert len(read) == 100
    assert "90 rows have the stamp of the row before" in caplog.text
    caplog.clear()
    alone = count()

    def a_message_for_each(topic: str, body: Any) -> Any:
        if topic == "/uwb/ranges":
            number = next(alone)
            body.ranges = [body.ranges[number % 4]]
            body.header.stamp.sec, body.header.stamp.nanosec = number // 4, 0
            body.ranges[0].stamp = body.header.stamp
        return body

    assert len(read_bag(copy_as(tmp_path / "bag", tmp_path / "y", edit=a_message_for_each))) == 100
    assert caplog.text == ""
