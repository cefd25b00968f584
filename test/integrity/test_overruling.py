# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long another place has to explain the ranges better before a track begins anew from it."""

from __future__ import annotations

import numpy as np
import pytest

from locdreamer_ros.integrity.overruling import FOR_S, TEST_S, UNCLEAR_S, Overruling
from locdreamer_ros.integrity.snapshot import Snapshot
from locdreamer_ros.integrity.window import Gathered
from locdreamer_ros.types import Anchors, Estimate, Site

SITE = Site(Anchors(tuple("abcdef"), np.eye(6)[:, :3]), 2, 1.0)
TRACK = Estimate(0.0, np.zeros(4), 0.04 * np.eye(4))


def place(time: float, cost: float, good: int) -> Snapshot:
    """Four metres from the track; `good` of six anchors agree."""
    anchor = np.arange(6)
    window = Gathered(np.zeros(6), anchor, np.zeros(6), np.ones(6), 6)
    residuals = np.where(anchor < good, 0.0, 2.0)
    at = np.array([4.0, 0.0])
    return Snapshot(time, at, np.zeros(2), 0.01 * np.eye(2), 0.0, cost, residuals, window)


@pytest.mark.parametrize(
    ("spent", "cost", "good", "wait"),
    [
        (6.0, 2.0, 4, FOR_S),
        (6.0, 4.0, 4, UNCLEAR_S),  # what is left unexplained may as well be walls
        (6.0, 3.1, 4, UNCLEAR_S),
        (9.0, 5.0, 6, TEST_S),  # six anchors agree, and the track costs four more
        (6.0, 4.6, 4, np.inf),  # hardly better
        (6.0, 2.0, 2, np.inf),  # two agree: anywhere
    ],
)
def test_who_explains_less_than_half_waits_longer(
    spent: float, cost: float, good: int, wait: float
) -> None:
    overruling = Overruling(SITE)
    begun = None
    for time in np.arange(0.0, 5.0, 0.1).tolist():
        if begun is None and overruling.persists(place(time, cost, good), spent, TRACK, time):
            begun = time
    assert begun == (pytest.approx(wait) if np.isfinite(wait) else None)


def test_a_second_of_being_worse_begins_the_wait_again() -> None:
    overruling = Overruling(SITE)
    lasted = [
        overruling.persists(place(time, 4.0, 4), 5.0 if time == 1.0 else 6.0, TRACK, time)
        for time in np.arange(0.0, 6.0)
    ]
    assert lasted == [False, False, False, False, True, True]
