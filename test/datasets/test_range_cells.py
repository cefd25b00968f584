# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Values that say that there was no range, where they can be none of their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.range_cells import RangeCells
from locdreamer_ros.datasets.range_table import load_range_table
from locdreamer_ros.errors import InputError
from locdreamer_ros.types import Anchors, FloatArray

SITE = Anchors(("1", "2"), np.array([[0, 0, 2.0], [5, 0, 2]]))
EPOCHS = 40
WALK = np.round(3.0 + 2.0 * np.sin(np.arange(2 * EPOCHS).reshape(EPOCHS, 2) / 7.0), 3)
"""Ranges of 1 to 5 m (40, 2), all different."""
COUNTERS = (
    *("8191", "32767", "65534", "2147483647", "4294967295", "9999", "9999.99", "99999", "999999"),
    *("1e9", "1e6", "819.1", "81.91", "327.67", "32.767", "655.34", "65.534", "99.99", "999.9"),
    *("2147483.647", "4294967.295", "3.4028235e38", "1.7976931348623157e308", "Infinity"),
    *("18446744073709551615", "655.3400268554688"),
)


def wide(cells: FloatArray | list[list[str]], unit: str = "") -> str:
    rows = "".join(f"{i / 10},{','.join(map(str, row))}\n" for i, row in enumerate(cells))
    return f"t_s,r_1{unit},r_2{unit}\n{rows}"


def long(cells: list[list[str]]) -> str:
    rows = [
        f"{i / 10},{a + 1},{cell}\n" for i, row in enumerate(cells) for a, cell in enumerate(row)
    ]
    return "t_s,anchor,range\n" + "".join(rows)


def spoiled(cell: str, ranges: FloatArray = WALK, every: int = 8) -> list[list[str]]:
    """Each so many ranges of the second anchor are this instead."""
    return [
        [str(one), cell if i % every == 0 else str(other)]
        for i, (one, other) in enumerate(ranges.tolist())
    ]


@pytest.mark.parametrize("form", [wide, long])
@pytest.mark.parametrize("cell", COUNTERS)
def test_a_counter_that_ran_full_is_no_range(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, cell: str, form: object
) -> None:
    assert callable(form)
    path = tmp_path / "x.csv"
    path.write_text(form(spoiled(cell)))
    expected = WALK.copy()
    expected[::8, 1] = np.nan
    np.testing.assert_array_equal(load_range_table(path, SITE).ranges, expected)
    (said,) = (r.getMessage() for r in caplog.records if "no answer" in r.getMessage())
    assert f"{path}: 5 values are no range and count as no answer: " in said
    assert said.endswith("(5)")


def test_one_cell_beyond_all_ranges_is_enough_where_it_is_no_range_of_anything(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(wide(spoiled("8191", every=EPOCHS)))
    assert np.isnan(load_range_table(path, SITE).ranges[0, 1])
    path.write_text(wide(spoiled("8190.5", every=EPOCHS)))
    with pytest.raises(InputError, match=r"x.csv: row 2, column r_2: expected a range of at most"):
        load_range_table(path, SITE)


@pytest.mark.parametrize("metres", [8.191, 32.767, 65.534, 81.91, 99.99, 327.67, 999.9])
def test_a_range_among_ranges_stays_one(tmp_path: Path, metres: float) -> None:
    """The tag comes by; or it stands so far from an anchor; or that is one wild range of all."""
    path = tmp_path / "x.csv"
    for ranges in (
        np.minimum(WALK * metres / 4.0, 990.0),  # a walk as far as that, which comes by
        np.array([3.0, metres]) + 0.01 * np.round(WALK - 3.0),  # it stands there
    ):
        ranges = np.round(ranges, 3)
        ranges[::8, 1] = metres
        path.write_text(wide(ranges))
        np.testing.assert_array_equal(load_range_table(path, SITE).ranges, ranges)
    for cells in (spoiled(str(metres), every=25), spoiled(str(metres), np.full((EPOCHS, 2), 3.0))):
        path.write_text(wide(cells))
        kept = load_range_table(path, SITE).ranges
        np.testing.assert_array_equal(kept, np.array(cells, dtype=float))


@pytest.mark.parametrize("cell", ["8191", "32767", "9999"])
def test_millimetres_under_no_name_are_refused_as_before(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "x.csv"
    for ranges in (1000.0 * WALK, np.full((EPOCHS, 2), float(cell)) + WALK):
        path.write_text(wide(spoiled(cell, np.round(ranges))))
        with pytest.raises(InputError, match=r"expected a range of at most 1000 m.*millimetres"):
            load_range_table(path, SITE)
    path.write_text(wide(spoiled("8191", np.round(2000.0 * WALK)), unit="_mm"))
    assert (load_range_table(path, SITE).ranges == 8191 * 0.001).sum() == 5


def test_millimetres_that_are_short_do_not_hide_a_long_one(tmp_path: Path) -> None:
    """A desk: its one range of over a metre is refused with its row, sentinel or not."""
    path = tmp_path / "x.csv"
    near = np.round(150.0 * WALK)  # 150 to 750 mm
    near[20:30, 0] = np.arange(4500.0, 5000.0, 50.0)
    path.write_text(wide(spoiled("8191", near)))
    with pytest.raises(InputError, match=r"row 22, column r_1: expected a range of at most 1000 m"):
        load_range_table(path, SITE)


def test_what_is_too_far_for_a_range_and_no_answer_names_its_first_row() -> None:
    cells = RangeCells()
    values = np.array([cells.metres("8191", "x: row 7"), *([5000.0] * 10)])
    with pytest.raises(
        InputError, match="x: row 7: expected a range of at most 1000 m, got '8191'"
    ):
        cells.settled(values)


def test_differences_keep_what_a_difference_may_be() -> None:
    cells = RangeCells(signed=True)
    values = np.array(
        [cells.metres(v, "x") for v in [*np.arange(30.0), *[-819.1] * 5, *[8191] * 5]]
    )
    kept = cells.settled(values)
    assert np.isnan(kept[35:]).all()
    np.testing.assert_array_equal(kept[:35], values[:35])
    assert cells.note() == "5 values are no range and count as no answer: 8191 (5)"


def test_a_recording_with_full_counters_is_tracked(tmp_path: Path) -> None:
    """Through the loader that all commands use, with what it checks of units."""
    site = Anchors(("1", "2", "3"), np.array([[0, 0, 2.0], [8, 0, 2], [0, 6, 2]]))
    at = np.column_stack([np.linspace(1, 6, 60), np.linspace(1, 4, 60), np.ones(60)])
    ranges = np.linalg.norm(at[:, None] - site.positions, axis=2).round(3)
    cells = ranges.astype(str).tolist()
    for row in range(0, 60, 3):
        cells[row][row % 2] = "4294967.295"
    rows = "".join(f"{i / 10},{','.join(row)}\n" for i, row in enumerate(cells))
    (tmp_path / "x.csv").write_text(f"t_s,r_1,r_2,r_3\n{rows}")
    (tmp_path / "x_anchors.csv").write_text("id,x,y,z\n1,0,0,2\n2,8,0,2\n3,0,6,2\n")
    recording = load_recording(tmp_path / "x.csv")
    assert np.isnan(recording.ranges).sum() == 20
