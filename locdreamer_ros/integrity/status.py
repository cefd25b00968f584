# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a watched tracker says of itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

from locdreamer_ros.unchanging import unchanging


class State(IntEnum):
    """How far an estimate can be trusted. Same numbers as `TrackerStatus.msg`."""

    WAITING = 0
    """No first fix yet."""
    TRACKING = 1
    DOUBTFUL = 2
    """The ranges are not explained, or by two places alike: the covariance says so."""
    COASTING = 3
    """Nothing was heard for a while: the tag may stand, or walk anywhere."""
    LOST = 4
    """Nothing for so long that the next ranges are a new first fix."""


@unchanging
class Status:
    """What a watched tracker says of itself.

    excluded: rows of the anchors whose ranges are held back; restarts: new beginnings so far;
    mirror: two places explain the ranges alike; silence s: since a range was used; skew s: stamps
    less the tracker's time, where they are more than half a second apart, turn after turn; coarse:
    an anchor's ranges differ at one and the same time, turn after turn; far: rows of the anchors
    whose ranges alone are passed over for their stamps, and these less the tracker's time, s.
    """

    state: State = State.WAITING
    excluded: tuple[int, ...] = ()
    restarts: int = 0
    mirror: bool = False
    silence: float = 0.0
    skew: float = 0.0
    coarse: bool = False
    far: tuple[tuple[int, float], ...] = ()


def far_off(far: Iterable[tuple[int, float]], ids: Sequence[str]) -> str:
    """What `Status.far` says, in words; empty: nothing. ids: of the anchors."""
    said = [
        f"{ids[row]!r} are stamped {abs(off):.1f} s {'ahead' if off > 0.0 else 'behind'}"
        for row, off in far
    ]
    return f"ranges of {', of '.join(said)}, and passed over: do the clocks agree?" if said else ""
