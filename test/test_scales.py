# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ranges in feet in a small site are told from metres, with an offset or without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from locdreamer_ros.errors import InputError
from locdreamer_ros.evaluation.fit import doubts
from locdreamer_ros.evaluation.run import evaluate, site_of
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.scales import CLEARLY, LIKELY, held_of, in_feet
from locdreamer_ros.simulation import simulate
from locdreamer_ros.types import Anchors
from locdreamer_ros.units import check_units

FOOT_M = 0.3048


def small(count: int, ceiling: float, seed: int = 0) -> Recording:
    """A minute in 4 x 3 m beneath so many anchors, a tenth of the ranges behind something."""
    rng = np.random.default_rng(seed)
    corners = np.array([[0, 0], [4, 0], [4, 3], [0, 3], [2, 0], [2, 3.0]])[:count]
    places = np.column_stack([corners, ceiling + rng.uniform(-0.1, 0.1, count)])
    times = np.arange(600) / 10.0
    truth = np.column_stack([2 + 1.4 * np.cos(0.5 * times), 1.5 + np.sin(0.37 * times), 0 * times])
    truth[:, 2] = 1.0
    ranges = np.linalg.norm(truth[:, None] - places, axis=2)
    ranges += rng.normal(0.1, 0.1, count) + 0.05 * rng.standard_normal(ranges.shape)
    ranges += np.where(rng.random(ranges.shape) < 0.1, rng.exponential(0.4, ranges.shape), 0.0)
    return Recording("small", Anchors(tuple("abcdef"[:count]), places), times, ranges)


def noted(recording: Recording) -> list[str]:
    method = Method(dimensions="2", tag_height=1.0)
    site = site_of(recording, method)
    track, _ = evaluate(recording, method, site=site)
    return doubts(recording, track, site.tag_height)


@pytest.mark.parametrize("ceiling", [1.0, 2.0, 2.5, 3.0])
@pytest.mark.parametrize("count", [3, 4, 6])
def test_feet_in_a_small_room_are_told(count: int, ceiling: float) -> None:
    walk = small(count, ceiling)
    fits = in_feet(walk.anchors, held_of(walk.times, walk.ranges / FOOT_M), LIKELY)
    assert fits is not None
    assert fits.in_feet < 0.3
    assert in_feet(walk.anchors, held_of(walk.times, walk.ranges), LIKELY) is None
    if ceiling == 1.0:
        with pytest.raises(InputError, match=r"t.csv: the ranges are not in metres but.* in feet"):
            check_units(walk.anchors, walk.times, walk.ranges / FOOT_M, "a.csv", "t.csv")


@pytest.mark.parametrize("offset", [1.0, 3.0, 5.0, 8.0])
@pytest.mark.parametrize("count", [3, 4, 6])
def test_metres_with_an_offset_are_no_feet(count: int, offset: float) -> None:
    """Modules whose antennas nobody calibrated: times .3048 they fit some place, too."""
    for ceiling in (1.0, 2.5):
        walk = small(count, ceiling)
        assert in_feet(walk.anchors, held_of(walk.times, walk.ranges + offset), LIKELY) is None
        check_units(walk.anchors, walk.times, walk.ranges + offset, "a.csv", "t.csv")


def test_what_is_less_clear_is_said() -> None:
    walk = small(4, 3.0)
    feet = replace(walk, ranges=walk.ranges / FOOT_M)
    assert in_feet(feet.anchors, held_of(feet.times, feet.ranges), CLEARLY) is None
    check_units(feet.anchors, feet.times, feet.ranges, "a.csv", "t.csv")
    assert any("are they in feet? then call them r_<id>_ft" in line for line in noted(feet))
    assert noted(walk) == []


@pytest.mark.parametrize("name", ["house", "hall", "lab", "random"])
def test_walks_in_metres_are_not_in_feet(name: str) -> None:
    walk = simulate(name, duration=30.0, seed=2)
    assert in_feet(walk.anchors, held_of(walk.times, walk.ranges), 1.0) is None
