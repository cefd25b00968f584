# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whom the track alone may name."""

from __future__ import annotations

import pytest
from worlds import square_anchors

from locdreamer_ros.integrity.naming import Naming
from locdreamer_ros.types import Site


def lingering(anchors: int, off: float, seconds: float) -> tuple[Naming, bool]:
    """A naming after anchor 0 has been `off` m long for so long, the others right; what it said."""
    naming, stuck = Naming(Site(square_anchors(anchors), 2, 1.0)), False
    for step in range(round(seconds / 0.25) + 1):
        residual = dict.fromkeys(range(anchors), 0.1) | {0: off}
        stuck = naming.name_long(residual, dict.fromkeys(residual, 0.25 * step))
    return naming, stuck


def test_an_anchor_that_stays_long_is_named() -> None:
    assert lingering(5, 5.0, 2.0)[0].named == {0}


@pytest.mark.parametrize(("off", "seconds"), [(5.0, 1.5), (3.0, 10.0), (-5.0, 1.5)])
def test_what_a_wall_does_is_not(off: float, seconds: float) -> None:
    assert not lingering(5, off, seconds)[0].named


def test_of_four_none_is_named_but_it_is_said() -> None:
    naming, stuck = lingering(4, 5.0, 2.0)
    assert not naming.named
    assert stuck


def shrinking(
    others: float = 0.1, *, common: float = 0.0, short: tuple[int, ...] = (0,), times: int = 3
) -> frozenset[int]:
    """Whom a naming names after anchors were .4 m short at so many tests, the last one `others`."""
    naming = Naming(Site(square_anchors(5), 2, 1.0))
    for step in range(times):
        residual = dict.fromkeys(range(5), 0.1) | {4: others} | dict.fromkeys(short, -0.4)
        naming.name_short(residual, dict.fromkeys(residual, 0.3 * step), common)
    return naming.named


def test_the_one_that_stays_short_is_named() -> None:
    assert shrinking() == {0}
    assert not shrinking(times=2)


def test_beside_one_that_drags_the_track_nobody_is() -> None:
    assert shrinking(0.55) == {0}
    assert not shrinking(0.65)


def test_beside_ranges_that_are_all_long_nobody_is() -> None:
    assert shrinking(common=-0.5) == {0}
    assert not shrinking(common=0.15)


def test_of_two_that_are_short_neither_is() -> None:
    assert not shrinking(short=(0, 1))


def test_the_same_ranges_count_once() -> None:
    naming = Naming(Site(square_anchors(5), 2, 1.0))
    residual = {0: -0.4} | dict.fromkeys(range(1, 5), 0.1)
    for _ in range(9):
        naming.name_short(residual, dict.fromkeys(residual, 1.0), 0.0)
    assert not naming.named
