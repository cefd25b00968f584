# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A time keeps its nanoseconds on the way through seconds and stamps."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from locdreamer_ros.stamps import nanoseconds, to_nanoseconds, to_seconds


@given(st.integers(0, (2**31 - 1) * 10**9))
def test_nanoseconds_survive_seconds(stamp: int) -> None:
    # A float holds single nanoseconds up to 2^53 ns (104 days), then multiples of its spacing.
    error = abs(to_nanoseconds(to_seconds(stamp)) - stamp)
    assert error == 0 if stamp < 2**52 else error <= 120


@given(st.floats(0, 2.0**31 - 1))
def test_late_seconds_survive_nanoseconds(seconds: float) -> None:
    again = to_seconds(to_nanoseconds(seconds))
    assert abs(again - seconds) <= 0.5e-9
    if seconds > 2.0**24:
        assert again == seconds


def test_a_stamp_is_one_exact_integer() -> None:
    assert nanoseconds(SimpleNamespace(sec=1_700_000_000, nanosec=1)) == 1_700_000_000_000_000_001
