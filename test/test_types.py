# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Anchors, ranges and the site: shapes, checks and the two readings of a slant range."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import square_anchors

from locdreamer_ros.errors import InputError
from locdreamer_ros.types import Anchors, Ranges, Site


def test_anchors_are_checked() -> None:
    with pytest.raises(InputError, match="'A1' appears twice"):
        Anchors(("A1", "A1"), np.zeros((2, 3)))
    with pytest.raises(InputError, match="position of 'B' is not finite"):
        Anchors(("A", "B"), np.array([[0.0, 0.0, 0.0], [0.0, np.nan, 0.0]]))
    with pytest.raises(InputError, match=r"shape \(2, 3\)"):
        Anchors(("A", "B"), np.zeros((2, 2)))


def test_rows_and_subsets_follow_the_order_asked() -> None:
    anchors = square_anchors()
    assert anchors.rows(["A3", "A1"]).tolist() == [2, 0]
    np.testing.assert_array_equal(anchors.subset(["A3", "A1"]).positions, anchors.positions[[2, 0]])
    with pytest.raises(InputError, match="unknown anchor 'X'; the site has A1"):
        anchors.rows(["A1", "X"])


def test_a_known_tag_height_is_the_slant_range_of_three_dimensions() -> None:
    anchors, rows = square_anchors(), np.arange(8)
    flat, full = Site(anchors, 2, 1.3), Site(anchors, 3)
    at = np.array([[3.0, 2.0, 1.3]])
    np.testing.assert_allclose(flat.expected(at[:, :2], rows), full.expected(at, rows))


def test_dimensions_are_chosen_by_the_anchors_heights() -> None:
    anchors = square_anchors()
    assert Site.of(anchors).dimensions == 3
    assert Site.of(anchors, tag_height=1.0).dimensions == 2
    level = Anchors(anchors.ids, anchors.positions * [1.0, 1.0, 0.0] + [0.0, 0.0, 2.0])
    assert Site.of(level).dimensions == 2
    assert Site.of(level).tag_height == 1.0
    assert Site.of(level, "3").dimensions == 3
    over_the_sea = Anchors(level.ids, level.positions + np.array([0.0, 0.0, 500.0]))
    assert Site.of(over_the_sea).tag_height == 502.0
    assert Site.of(over_the_sea, "3").bounds[0][2] == 499.0
    with pytest.raises(InputError, match="expected 2, 3 or auto, got '4'"):
        Site.of(level, "4")
    with pytest.raises(InputError, match="3-D tracking needs at least 4 anchors, the site has 3"):
        Site.of(level.subset(level.ids[:3]), "3")


def test_usable_keeps_only_positive_finite_ok_ranges() -> None:
    status = np.array([0, 2, 0, 0, 0], dtype=np.uint8)
    ranges = Ranges.of(np.arange(5), np.array([1.0, 2.0, np.nan, 0.0, np.inf]), 0.0, status=status)
    assert ranges.usable().anchor.tolist() == [0]
    assert Ranges.of([1, 2], [np.nan, 3.0], 1.0).status.tolist() == [1, 0]
    assert len(Ranges.of([], [], 0.0)) == 0
