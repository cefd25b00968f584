# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchors in mm, cm and feet are refused; metres never are, whatever the ranges suffer from."""

from __future__ import annotations

import numpy as np
import pytest

from locdreamer_ros.errors import InputError
from locdreamer_ros.scales import TICK_M
from locdreamer_ros.types import Anchors, FloatArray, Site
from locdreamer_ros.units import (
    check_places,
    check_site,
    check_time,
    check_truth,
    check_units,
    out_of_reach,
)

RNG = np.random.default_rng(0)
TIMES = np.arange(200) / 10


def site(size: float, count: int = 4) -> Anchors:
    corners = np.array([[0, 0, 2], [1, 0, 2], [1, 1, 2], [0, 1, 2], [0.5, 0, 2], [0.5, 1, 2]])
    places = corners[:count] * [size, size, 1.0] + [5e5, 4.6e6, 0.0]
    return Anchors(tuple(f"A{i}" for i in range(count)), places)


def ranges(anchors: Anchors, *, outside: float = 0.0, about: float = 0.35) -> FloatArray:
    middle, reach = anchors.positions.mean(axis=0), np.ptp(anchors.positions[:, 0])
    angle = TIMES[:, None] * 0.3
    tag = middle + about * reach * np.hstack([np.cos(angle), np.sin(angle), 0 * angle])
    tag[:, 0] += outside
    return np.linalg.norm(tag[:, None] - anchors.positions, axis=2) + RNG.normal(0, 0.1, (200, 1))


@pytest.mark.parametrize("size", [4.0, 10.0, 60.0])
@pytest.mark.parametrize(
    ("factor", "unit"), [(1000, "millimetres"), (100, "centimetres"), (1 / 0.3048, "feet")]
)
def test_anchors_in_other_units(size: float, factor: float, unit: str) -> None:
    true = site(size)
    wrong = Anchors(true.ids, true.positions * factor)
    with pytest.raises(InputError, match=f"^a.csv: the anchors are not in metres .* in {unit}"):
        check_units(wrong, TIMES, ranges(true), "a.csv", "t.csv")
    one_a_row = np.where(np.arange(4) == np.arange(200)[:, None] % 4, ranges(true), np.nan)
    with pytest.raises(InputError, match=f"in {unit}"):
        check_units(wrong, TIMES, one_a_row, "a.csv", "t.csv")


@pytest.mark.parametrize(("outside", "about"), [(0.5, 0.35), (0.1, 0.05)])
@pytest.mark.parametrize(
    ("size", "factor", "unit"),
    [
        (6.0, 100, "centimetres"),
        (6.0, 1000, "millimetres"),
        (6.0, 1 / TICK_M, "ticks of a DW1000"),
        (40.0, 100, "centimetres"),
        (40.0, 1 / 0.3048, "feet"),
    ],
)
def test_ranges_in_other_units(
    size: float, factor: float, unit: str, outside: float, about: float
) -> None:
    anchors = site(size)
    found = factor * ranges(anchors, outside=outside * size, about=about)
    complaint = f"^t.csv: the ranges are not in metres but.* in {unit}"
    with pytest.raises(InputError, match=complaint):
        check_units(anchors, TIMES, found, "x.csv", "t.csv")


@pytest.mark.parametrize("size", [1.0, 2.4, 10.0, 70.0])
@pytest.mark.parametrize("count", [3, 4, 6])
def test_metres_are_never_refused(size: float, count: int) -> None:
    """With an anchor that is 5 m off or writes garbage, an offset of all, and far outside."""
    anchors = site(size, count)
    clean = ranges(anchors)
    bad = clean.copy()
    bad[:, 1] += 5.0
    garbage = clean.copy()
    garbage[:, 1] = RNG.uniform(0.1, 100.0, 200)
    short = np.maximum(clean - 0.8, 0.05)
    for found in (clean, bad, garbage, short, ranges(anchors, outside=20.0)):
        check_units(anchors, TIMES, found, "x.csv", "t.csv")


def test_cells_of_a_large_site_are_not_compared_across_time() -> None:
    """10 s here, 10 s at the other end of a hall of 300 m: no pair of ranges is of one place."""
    anchors = site(300.0)
    found = np.full((200, 4), np.nan)
    found[:90, 0] = 3.0
    found[110:, 1] = 3.0
    check_units(anchors, TIMES, found, "x.csv", "t.csv")


def test_places_beyond_any_map() -> None:
    with pytest.raises(InputError, match=r"a.csv: anchor 'A': expected metres, got z = 1e\+300"):
        check_places(Anchors(("A",), np.array([[0, 0, 1e300]])), "a.csv")


def test_latitude_and_longitude_are_no_metres() -> None:
    degrees = np.array([[48.1, 11.5, 2], [48.1001, 11.5, 2], [48.1001, 11.5001, 2]])
    found = np.full((200, 3), 4.0)
    with pytest.raises(InputError, match=r"a.csv: the anchors are all within 0\.0001 m"):
        check_units(Anchors(("A", "B", "C"), degrees), TIMES, found, "a.csv", "t.csv")
    check_units(Anchors(("A", "B", "C"), 0.0 * degrees), TIMES, found, "a", "t")  # of a survey


@pytest.mark.parametrize("size", [5.0, 12.0, 60.0])
@pytest.mark.parametrize("count", [3, 4, 6])
def test_ranges_in_feet_among_the_anchors(size: float, count: int) -> None:
    with pytest.raises(InputError, match=r"^t.csv: the ranges are not in metres but.* in feet"):
        check_units(site(size, count), TIMES, ranges(site(size, count)) / 0.3048, "x.csv", "t.csv")


def test_a_site_without_ranges() -> None:
    check_site(site(60.0), "a.csv")
    check_site(Anchors(("A", "B", "C"), np.zeros((3, 3))), "a.csv")  # of a survey
    with pytest.raises(InputError, match=r"^a.csv: the anchors are 6000 m from the next: .* x_mm"):
        check_site(Anchors(site(6.0).ids, site(6.0).positions * 1000.0), "a.csv")
    with pytest.raises(InputError, match=r"^a.csv: the anchors are all within"):
        check_site(Anchors(site(6.0).ids, site(6.0).positions * 0.001), "a.csv")


@pytest.mark.parametrize("factor", [0.01, 0.001])
def test_metres_under_a_name_that_says_less(factor: float) -> None:
    """Metres in a column `x_cm` or `r_1_mm`: the anchors, the ranges, or both."""
    true, found = site(12.0), ranges(site(12.0))
    small = Anchors(true.ids, true.positions * factor)
    with pytest.raises(InputError, match=r"^a.csv: the anchors are all within .* cm or mm"):
        check_units(small, TIMES, found, "a.csv", "t.csv")
    with pytest.raises(InputError, match=r"^a.csv: the anchors are all within .* cm or mm"):
        check_units(small, TIMES, found * factor, "a.csv", "t.csv")
    with pytest.raises(InputError, match=r"^t.csv: expected ranges in metres, got .* cm or mm"):
        check_units(true, TIMES, found * factor, "a.csv", "t.csv")


@pytest.mark.parametrize(
    ("factor", "unit"), [(1000, "millimetres"), (100, "centimetres"), (1 / 0.3048, "feet")]
)
@pytest.mark.parametrize("size", [5.0, 60.0])
def test_truth_in_other_units(factor: float, unit: str, size: float) -> None:
    anchors = Anchors(("A", "B", "C"), np.array([[0, 0, 2], [size, 0, 2], [0, size, 2.0]]))
    tag = size * np.column_stack(
        [0.5 + 0.3 * np.sin(TIMES), 0.5 + 0.3 * np.cos(TIMES), 1.0 / size + 0 * TIMES]
    )
    found = np.linalg.norm(tag[:, None] - anchors.positions, axis=2) + RNG.normal(0, 0.1, (200, 3))
    check_truth(anchors, found, tag, "t.csv")
    check_truth(anchors, found, tag[:, [1, 0, 2]] + [4.0, 9.0, 0.0], "t.csv")  # another frame
    flat = factor * np.where([True, True, False], tag, np.nan)
    with pytest.raises(InputError, match=f"^t.csv: the truth is not in metres but.* in {unit}"):
        check_truth(anchors, found, flat, "t.csv")


def test_anchors_and_ranges_both_in_centimetres() -> None:
    anchors = site(600.0)
    with pytest.raises(InputError, match=r"t.csv: ranges of .* both in centimetres, it seems"):
        check_units(anchors, TIMES, ranges(anchors), "x.csv", "t.csv")


@pytest.mark.parametrize("height", [-3.0, 0.0, 1.0, 2.0, 3.0])
def test_heights_that_can_be_are_in_reach(height: float) -> None:
    """Right beneath one of four anchors all the time, .4 m short everywhere."""
    anchors = site(8.0)
    tag = np.array([*anchors.positions[0, :2], height])
    found = np.tile(np.linalg.norm(tag - anchors.positions, axis=1), (200, 1)) - 0.4
    assert not out_of_reach(Site(anchors, 2, height), found)
    assert out_of_reach(Site(anchors, 2, 16.0), found)
    assert out_of_reach(Site(anchors, 2, -12.0), found)


def test_a_clock_that_stood_still_is_refused() -> None:
    with pytest.raises(InputError, match=r"^w\.csv: all 200 epochs are of the time 5 s"):
        check_time(np.full(200, 5.0), "w.csv")
    check_time(np.full(5, 5.0), "w.csv")  # a spot check
    check_time(TIMES, "w.csv")
    with pytest.raises(InputError, match=r"^w\.csv: 200 epochs within 0.00023 s: .* are they days"):
        check_time(46000.4 + TIMES / 86400.0, "w.csv")


@pytest.mark.parametrize("count", [3, 4, 6])
@pytest.mark.parametrize(
    ("axis", "value"),
    [(2, -999.0), (2, 9999.0), (2, 1000.0), (2, 65535.0), (0, -1e6), (0, 0.0), (1, 99999.0)],
)
def test_an_anchor_at_what_stands_for_unknown_is_named(count: int, axis: int, value: float) -> None:
    places = site(20.0, count).positions
    places[1, axis] = value
    wrong = Anchors(tuple(f"A{i}" for i in range(count)), places)
    with pytest.raises(InputError, match=f"^a.csv: anchor 'A1': {'xyz'[axis]} = .* from all other"):
        check_places(wrong, "a.csv")


def test_some_at_what_stands_for_unknown_are_refused_too() -> None:
    places = site(20.0, 6).positions
    places[2:4, 2] = -999.0
    with pytest.raises(InputError, match="anchor 'A2': z = -999"):
        check_places(Anchors(site(20.0, 6).ids, places), "a.csv")
    places = site(20.0, 6).positions
    places[2:4] = -1.0
    with pytest.raises(InputError, match="anchor 'A2': x = -1"):
        check_places(Anchors(site(20.0, 6).ids, places), "a.csv")


@pytest.mark.parametrize(
    "places",
    [
        [[0, 0, 2], [200, 0, 2], [200, 200, 3], [0, 200, 2]],  # a field
        [[0, 0, 2], [5, 0, 2], [5, 5, 2], [0, 5, 60]],  # a tower
        [[0, 0, 2], [5, 0, 2], [5, 5, 2], [400, 0, 2]],  # one far outside
        [[0, 0, 2], [9, 0, 2], [9, 9, 2], [700, 0, 2], [709, 5, 2]],  # two buildings
        [[0, 0, 0], [800, 0, 2], [1600, 0, 2], [2400, 0, 2]],  # a tunnel
        [[0, 0, 351], [5, 0, 352], [5, 5, 353], [0, 5, 351]],  # over the sea
        [[0, 0, 2], [8000, 0, 2]],
        [[0, 0, 300], [5000, 0, 2100], [5000, 4000, 2100]],  # in millimetres: said otherwise
    ],
)
def test_anchors_of_real_sites_are_not(places: list[list[float]]) -> None:
    ids = tuple(f"A{i}" for i in range(len(places)))
    check_places(Anchors(ids, np.array(places, dtype=np.float64)), "a.csv")
