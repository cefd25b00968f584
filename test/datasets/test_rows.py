# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What stands in people's tables beside rows: comments, headers again, a row that was cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.datasets.range_table import load_anchors, load_range_table
from locdreamer_ros.errors import InputError
from locdreamer_ros.types import Anchors

SITE = Anchors(("1", "2"), np.array([[0, 0, 2.0], [5, 0, 2]]))


@pytest.mark.parametrize(
    "text",
    [
        "// by hand\nt_s,r_1,r_2\n0,1,2\n# the battery was changed\n1,3,4\n",
        "sep=;\nt_s;r_1;r_2\n0;1,0;2\n1;3;4\n",
        "# of numpy.savetxt\n# t_s r_1 r_2\n0 1 2\n1 3 4\n",
        "#t_s,r_1,r_2\r\n0,1,2\r\n1,3,4\r\n",
        "t_s,r_1,r_2\n0,1,2\nt_s,r_1,r_2\n1,3,4\n",
        "t_s,r_1,r_2\n0,1,2\n0,1,2\n1,3,4\n",
        "t_s,r_1,r_2\n0,1,2\n1,3,4\n2,5",
    ],
)
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_is_no_row_is_left_out(tmp_path: Path, text: str, coding: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode(coding))
    recording = load_range_table(path, SITE)
    assert recording.times.tolist() == [0.0, 1.0]
    assert recording.ranges.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_what_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.csv"
    head = "t_s,r_1,r_2\n"
    path.write_text(head + "0,1,2\n0,1,2\n" + head + head + "1,3,4\n2,5")
    load_range_table(path, SITE)
    assert caplog.messages == [
        f"{path}: row 7: the last row is cut short: left out",
        f"{path}: the header is there 2 times more: left out",
        f"{path}: 1 rows are there twice and count once",
    ]


def test_rows_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("# a\n# t_s r_1 r_2\n0 1 2\n# b\n1 far 4\n")
    with pytest.raises(InputError, match="row 5, column r_1: expected a number, got 'far'"):
        load_range_table(path, SITE)


def test_an_anchor_whose_row_is_short_is_not_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,x,y,z\n1,0,0,2\n2,5")
    with pytest.raises(InputError, match="row 3: expected 4 columns, got 2"):
        load_anchors(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("id,x,y,z\n#1,0,0,2\n#2,5,0,2\n")  # ids, not comments
    assert load_anchors(tmp_path / "a.csv").ids == ("#1", "#2")


def test_times_of_day_go_on_after_midnight(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("time,r_1,r_2\n23:59:59.5,1,2\n0:00:00,3,4\n0:00:00.5,5,6\n")
    np.testing.assert_array_equal(load_range_table(path, SITE).times, [86399.5, 86400, 86400.5])


def test_two_ranges_of_one_stamp_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.csv"
    path.write_text("t_s,r_1,r_2\n" + "".join(f"{i // 5},{1 + i},2\n" for i in range(20)))
    load_range_table(path, SITE)
    assert "16 rows have the stamp of the row before: two tags in one file, or" in caplog.text
    caplog.clear()
    path.write_text("t_s,anchor,range\n" + "".join(f"{i // 2},1,{1 + i}\n" for i in range(20)))
    load_range_table(path, SITE)
    assert "10 rows have the stamp of another range of their anchor" in caplog.text


@pytest.mark.parametrize(
    ("start", "mend"),
    [(b"\x1f\x8b\x08\x00", "packed: unpack it"), (b"PK\x03\x04\xff", "a zip or an Excel file")],
)
def test_what_is_no_text_is_named(tmp_path: Path, start: bytes, mend: str) -> None:
    (tmp_path / "x.csv").write_bytes(start)
    with pytest.raises(InputError, match=f"expected UTF-8 text; it is {mend}"):
        load_range_table(tmp_path / "x.csv", SITE)
    (tmp_path / "x.csv").write_bytes("t_s,Länge".encode("latin-1"))
    with pytest.raises(InputError, match="byte 5: expected UTF-8 text; save it as UTF-8"):
        load_range_table(tmp_path / "x.csv", SITE)
