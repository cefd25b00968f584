# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from locdreamer_ros.airtime import divide, grant, slot_ms
from locdreamer_ros.driver.devices import all_devices
from locdreamer_ros.loop import Plan
from locdreamer_ros.types import Anchors, Estimate, Foreseen, Foresight


def unsure(sigma: float) -> Foresight:
    """A tag unsure by sigma m in x and y, with two anchors along each axis."""
    direction = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    position = sigma**2 * np.eye(2)
    return Foresight(position, direction @ position, direction @ position @ direction.T)


def test_the_unsure_and_the_quick_come_first() -> None:
    tags = {"sure": unsure(0.1), "unsure": unsure(1.0), "slow": unsure(1.0)}
    slots = {"sure": 1.0, "unsure": 1.0, "slow": 50.0}
    given = divide(tags, slots, 2.0, most=3)
    assert list(given) == ["unsure"]
    assert sorted(given["unsure"] % 2) == [0, 1], "both axes, not one twice"
    assert divide(tags, slots, 0.5, most=3) == {}


def test_it_keeps_to_the_time_and_to_the_budget() -> None:
    tags = {str(number): unsure(0.2 + 0.1 * number) for number in range(6)}
    slots = {tag: 1.0 + int(tag) % 2 for tag in tags}
    given = divide(tags, slots, 9.0, most=2)
    assert 7.0 < sum(slots[tag] * rows.size for tag, rows in given.items()) <= 9.0
    assert max(rows.size for rows in given.values()) <= 2
    assert sum(rows.size for rows in divide(tags, slots, 1e3, most=2).values()) == 12


def test_who_has_no_fix_asks_first_and_the_others_wait_for_it() -> None:
    places = np.array([[0.0, 0.0, 2.0], [8.0, 0.0, 2.0], [8.0, 6.0, 2.0], [0.0, 6.0, 2.0]])
    anchors = Anchors(("a", "b", "c", "d"), places)
    prior = Estimate(0.0, np.zeros(4), np.eye(4), Foreseen(lambda rows: unsure(1.0)))
    known = Plan(0.0, prior, np.arange(3))
    plans = {
        "known": known,
        "new": Plan(0.0, None, np.arange(4)),
        "new too": Plan(0.0, None, np.arange(4)),
    }
    slots = dict.fromkeys(plans, 1.0)
    given, left = grant(plans, slots, 3.0, anchors, most=2, blind={"new"})
    assert given.keys() == {"new"}
    assert left == -1.0
    given, left = grant(plans, slots, left + 3.0, anchors, most=2, blind=())
    assert {tag: plan.anchor.size for tag, plan in given.items()} == {"known": 2}
    assert left == 0.0
    assert grant(plans, slots, 0.5, anchors, most=2, blind=()) == ({}, 0.5)


def test_who_does_not_answer_gets_no_slot() -> None:
    anchors = Anchors(("a", "b", "c", "d"), np.arange(12.0).reshape(4, 3))
    whole = unsure(1.0)
    of = Foreseen(lambda r: Foresight(whole.position, whole.cross[r], whole.ranges[np.ix_(r, r)]))
    plans = {"tag": Plan(0.0, Estimate(0.0, np.zeros(4), np.eye(4), of), np.arange(3))}
    answering = {"tag": np.array([1, 3])}
    given, _ = grant(plans, {"tag": 1.0}, 9.0, anchors, most=3, blind=(), answering=answering)
    assert given["tag"].anchor.tolist() == [1, 3]


@pytest.mark.parametrize("device", all_devices(), ids=lambda device: device.name)
def test_a_slot_lasts_as_long_as_the_frames(device) -> None:
    assert 0.3 < slot_ms(device) < 30.0
