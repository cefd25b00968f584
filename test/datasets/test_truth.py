# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ground truth as people bring it: under other names, in mm, with gaps, in a file of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.range_table import load_range_table, save_anchors
from locdreamer_ros.errors import InputError
from locdreamer_ros.types import Anchors, FloatArray

SITE = Anchors(("1", "2"), np.array([[0, 0, 2.0], [5, 0, 2]]))
NAN = np.nan


def truth(tmp_path: Path, text: str, **columns: str) -> FloatArray:
    path = tmp_path / "x.csv"
    path.write_text(text)
    save_anchors(tmp_path / "x_anchors.csv", SITE)
    found = load_recording(path, columns=columns).truth
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("gt_x,gt_y,gt_z", "1,2,.5"),
        ("GT_X,GT_Y,GT_Z", "1,2,.5"),
        ("x,y,z", "1,2,.5"),
        ("X [m],Y [m],Z [m]", "1,2,.5"),
        ("x_mm,y_mm,z_mm", "1000,2000,500"),
        ("gt_x_cm,gt_y_cm,gt_z_cm", "100,200,50"),
        ("true_x,true_y,true_z", "1,2,.5"),
        ("ground_truth.position.x,ground_truth.position.y,ground_truth.position.z", "1,2,.5"),
    ],
)
@pytest.mark.parametrize("ranges", ["r_1,r_2", "anchor,range"])
def test_names_and_units(tmp_path: Path, header: str, row: str, ranges: str) -> None:
    cells = "1,2.5"
    found = truth(tmp_path, f"t_s,{ranges},{header}\n0,{cells},{row}\n")
    np.testing.assert_allclose(found, [[1, 2, 0.5]])


def test_the_estimate_of_a_module_is_not_the_truth(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = truth(tmp_path, "t_s,r_1,r_2,x,y,true_x,true_y\n0,1,2,9,9,1,2\n")
    np.testing.assert_array_equal(found, [[1, 2, NAN]])
    assert "columns true_x, true_y are taken for the truth" in caplog.text
    found = truth(
        tmp_path, "t_s,r_1,r_2,x,y,px_mm,py_mm\n0,1,2,9,9,1,2\n", gt_x="px_mm", gt_y="py_mm"
    )
    np.testing.assert_array_equal(found, [[0.001, 0.002, NAN]])


def test_anchors_may_be_called_x_and_y(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("t_s,x,y\n0,1,2\n")
    recording = load_range_table(path, Anchors(("x", "y"), SITE.positions))
    assert recording.truth is None
    assert recording.ranges.tolist() == [[1.0, 2.0]]


def test_where_the_capture_lost_the_tag(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    head = "t_s,r_1,r_2,gt_x,gt_y\n"
    rows = ["0,0"] + ["2,3"] * 9 + ["0,0", "2,3", "0.1,0", "0,0", "0.1,0", "2,3", "0,0", "0,0"]
    found = truth(tmp_path, head + "".join(f"{i},1,2,{row}\n" for i, row in enumerate(rows)))
    assert np.flatnonzero(np.isnan(found[:, 0])).tolist() == [10, 16, 17]
    assert "the truth jumps to 0, 0 in 3 rows: taken as unknown there" in caplog.text
    still = truth(tmp_path, head + "".join(f"{i},1,2,0,0\n" for i in range(20)))
    assert np.isfinite(still[:, :2]).all()


def test_a_table_joined_from_two_streams(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cells = [",1,2,,", ",,,{i},{j}"]
    rows = [str(i / 10) + cells[i % 2 == 0].format(i=i, j=2 * i) + "\n" for i in range(24)]
    rows.append("9.0,1,2,,\n")
    found = truth(tmp_path, "t_s,r_1,r_2,gt_x,gt_y\n" + "".join(rows))
    np.testing.assert_allclose(found[:11, :2], [[i, 2 * i] for i in range(1, 23, 2)])
    assert np.isnan(found[11:]).all()
    assert len(found) == 13
    assert "12 rows without a range: their truth is interpolated" in caplog.text


def test_a_file_of_its_own(tmp_path: Path) -> None:
    """At another rate, in mm and ms, with an orientation that is not needed."""
    table = "t_s,anchor,range\n" + "".join(f"{100 + i / 10},1,2\n" for i in range(20))
    (tmp_path / "x_truth.csv").write_text(
        "stamp_ms,x_mm,y_mm,qw\n" + "".join(f"{100_000 + 40 * i},{40 * i},7,1\n" for i in range(40))
    )
    found = truth(tmp_path, table)
    np.testing.assert_allclose(found[:16, 0], np.arange(16) / 10, atol=1e-9)
    assert np.isnan(found[16:]).all()
    (tmp_path / "x_truth.csv").write_text(
        "# timestamp tx ty tz\n100 1 2 3\n"
    )  # of evo, with a header
    np.testing.assert_array_equal(truth(tmp_path, "t_s,r_1,r_2\n100,1,2\n"), [[1, 2, 3]])
    own = truth(tmp_path, "t_s,r_1,r_2,gt_x,gt_y\n100,1,2,5,6\n")
    np.testing.assert_array_equal(own, [[5, 6, NAN]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t_s,x,y\n0,1,2\n1,1,2\n", "its times, 0.000 to 1.000 s, are not those of the ranges"),
        ("t_s,x\n100,1\n", "row 1: expected the header t_s,x,y,z; it has t_s, x"),
        ("100 1 2 0 0 0 0 1\n", "row 1: expected the header t_s,x,y,z; it has 100, 1, 2, 0"),
        ("t_s,x,y\n", "no rows below the header"),
        ("x,y\n1,2\n", "row 1: expected the header t_s,x,y,z; it has x, y"),
        ("t_s,x,y\n100,1,far\n", "row 2, column y: expected a number, got 'far'"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x_truth.csv").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        truth(tmp_path, "t_s,r_1,r_2\n100,1,2\n")
    assert str(error.value).startswith(str(tmp_path / "x_truth.csv"))
