# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Long tables, one row per range: what most recordings are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.datasets.long_table import save_long_table
from locdreamer_ros.datasets.range_table import load_range_table
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording, RecordingSource
from locdreamer_ros.types import Anchors

SITE = Anchors(("A1", "2", "hall 3"), np.array([[0, 0, 2.0], [5, 0, 2], [0, 5, 2]]))
NAN = np.nan


def load(tmp_path: Path, text: str, **columns: str) -> Recording:
    path = tmp_path / "x.csv"
    path.write_text(text)
    return load_range_table(path, SITE, columns)


def test_rows_of_one_stamp_are_an_epoch(tmp_path: Path) -> None:
    recording = load(
        tmp_path,
        "t_s,anchor,range,gt_x,gt_y,rx_power,variance\n"
        "0.0,A1,1.5,1,2,-80,.25\n0.0,2,2.5,1,2,-81,.5\n0.0,hall 3,3.5,1,2,,\n"
        "0.1,hall 3,3.6,1.1,2,-79,1\n0.1,A1,-1,1.1,2,-78,2\n",
    )
    np.testing.assert_array_equal(recording.times, [0.0, 0.1])
    np.testing.assert_array_equal(recording.ranges, [[1.5, 2.5, 3.5], [NAN, NAN, 3.6]])
    np.testing.assert_array_equal(recording.truth, [[1, 2, NAN], [1.1, 2, NAN]])
    np.testing.assert_array_equal(recording.rx_power, [[-80, -81, NAN], [-78, NAN, -79]])
    np.testing.assert_array_equal(recording.variance, [[0.25, 0.5, NAN], [2, NAN, 1]])
    save_long_table(tmp_path / "y.csv", recording)
    again = load_range_table(tmp_path / "y.csv", SITE)
    np.testing.assert_array_equal(again.variance, [[0.25, 0.5, NAN], [NAN, NAN, 1]])
    (answer,) = RecordingSource(again).answer(0, np.array([1])).variance
    assert answer == 0.5
    assert recording.stamps is None
    assert recording.anchors.ids == SITE.ids


def test_ranges_in_turn_are_a_sweep_with_their_own_stamps(tmp_path: Path) -> None:
    rows = [(0.00, "A1", 1), (0.05, "2", 2), (0.10, "hall 3", 3), (0.15, "A1", 4), (0.5, "2", 5)]
    recording = load(tmp_path, "t_s,anchor,range\n" + "".join(f"{t},{a},{r}\n" for t, a, r in rows))
    np.testing.assert_array_equal(recording.times, [0.1, 0.15, 0.5])
    np.testing.assert_array_equal(recording.ranges, [[1, 2, 3], [4, NAN, NAN], [NAN, 5, NAN]])
    assert recording.stamps is not None
    np.testing.assert_array_equal(recording.stamps[0], [0.0, 0.05, 0.1])
    np.testing.assert_array_equal(recording.stamps[1], [0.15, 0.15, 0.15])


def test_truth_at_a_rate_of_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Rows without an anchor; not across a gap of more than half a second."""
    recording = load(
        tmp_path,
        "t_s,anchor,range,gt_x,gt_y\n0.0,,,0,0\n0.1,A1,1,,\n0.1,2,2,,\n0.1,hall 3,3,,\n"
        "0.2,,nan,2,4\n0.3,A1,1,7,7\n0.3,2,2,7,7\n0.4,,,4,8\n0.9,A1,1,,\n1.0,,,9,9\n",
    )
    np.testing.assert_array_equal(recording.times, [0.1, 0.3, 0.9])
    assert recording.truth is not None
    np.testing.assert_allclose(recording.truth[:, :2], [[1, 2], [7, 7], [NAN, NAN]])
    assert "4 rows without an anchor: their truth is interpolated" in caplog.text


def walk(rate: float = 10.0, epochs: int = 60) -> list[tuple[float, int, float]]:
    return [(round(e / rate, 6), a, 1.0 + 0.01 * e + a) for e in range(epochs) for a in range(3)]


def table(rows: list[tuple[float, int, float]], ids: tuple[str, ...] = SITE.ids) -> str:
    return "t_s,anchor,range\n" + "".join(f"{t},{ids[a]},{r}\n" for t, a, r in rows)


def test_order_of_rows_and_style_of_ids_do_not_matter(tmp_path: Path) -> None:
    rows = walk()
    expected = load(tmp_path, table(rows))
    assert expected.ranges.shape == (60, 3)
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    by_anchor = sorted(rows, key=lambda row: row[1])
    swapped = [rows[i ^ 1] for i in range(len(rows))]
    for other in (shuffled, by_anchor, swapped):
        again = load(tmp_path, table(other))
        np.testing.assert_array_equal(again.times, expected.times)
        np.testing.assert_array_equal(again.ranges, expected.ranges)
    for ids in (("a1", "2.0", "Hall_3"), (" A1 ", "02", "hall  3")):
        np.testing.assert_array_equal(load(tmp_path, table(rows, ids)).ranges, expected.ranges)


def test_a_loop_keeps_its_rows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recording = load(tmp_path, table([*walk(), *walk()]))
    assert len(recording) == 120
    np.testing.assert_array_equal(recording.times[:60], recording.times[60:])
    assert "the clock goes back 1 times" in caplog.text


def test_a_row_that_is_there_twice_counts_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [(0.0, 0, 1.0), (0.0, 1, 2.0), (0.0, 0, 1.0), (0.1, 0, 1.0), (0.1, 1, 2), (0.1, 1, 3)]
    recording = load(tmp_path, table(rows))
    # The last is another range at the same stamp: an epoch of its own.
    np.testing.assert_array_equal(recording.times, [0.0, 0.1, 0.1])
    np.testing.assert_array_equal(recording.ranges, [[1, 2], [1, 2], [NAN, 3]])
    assert "1 rows are there twice and count once" in caplog.text
    assert "no range of hall 3: left out" in caplog.text


def test_places_of_anchors_are_not_the_truth(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    head = "t_s,anchor,x,y,z,range\n"
    anchors = load(tmp_path, head + "0,A1,0,0,2,1\n0,2,5,0,2,2\n1,A1,0,0,2,1\n1,2,5,0,2,3\n")
    assert anchors.truth is None
    assert "x, y, z are the anchors' places" in caplog.text
    tag = load(tmp_path, head + "0,A1,1,1,1,1\n0,2,1,1,1,2\n1,A1,1,2,1,1\n1,2,1,2,1,3\n")
    np.testing.assert_array_equal(tag.truth, [[1, 1, 1], [1, 2, 1]])


@pytest.mark.parametrize(
    "text",
    [
        "# by hand, 2026\n# in the hall\nt_s,anchor,range\n0.5,A1,1.25\n",
        "T_S,Anchor,RANGE\n0.5,A1,1.25\n",
        "t_s;anchor;range\n0,5;A1;1,25\n",
        "t_s\tanchor\trange\n,5\tA1\t12,5e-1\n",
    ],
)
def test_comments_capitals_and_decimal_commas(tmp_path: Path, text: str) -> None:
    recording = load(tmp_path, text)
    assert recording.times.tolist() == [0.5]
    assert recording.ranges.tolist() == [[1.25]]


def test_a_mapping_comes_before_capitals(tmp_path: Path) -> None:
    text = "t_s,Range,dist,ID\n0,7,1.25,A1\n"
    assert load(tmp_path, text, anchor="ID", range="Range").ranges.tolist() == [[7.0]]


@pytest.mark.parametrize(
    "text",
    [
        "timestamp,anchor_id,distance\n5,A1,1.5\n5,2,2.5\n",
        "time,AnchorID,range_m\n5,A1,1.5\n5,2,2.5\n",
        "t_ms,anchor name,dist [mm]\n5000,A1,1500\n5000,2,2500\n",
        "Time [ms],anchor,Distance (MM)\n5000,A1,1500\n5000,2,2500\n",
        "Timestamp (usec),anchor,range\n5000000,A1,1.5\n5000000,2,2.5\n",
        "%time,anchor,range\n5,A1,1.5\n5,2,2.5\n",
        "stamp.sec,stamp.nanosec,anchor,range\n4,999999999,A1,1.5\n5,0,A1,1.5\n5,0,2,2.5\n",
        "time,anchor,range\n0:00:05,A1,1.5\n00:00:05.0,2,2.5\n",
        "time,anchor,range\n1970-1-1 0:00:05 UTC,A1,1.5\n1970-01-01 0:00:05,2,2.5\n",
        "time,anchor,range_ft\n5,A1,4.921259842519685\n5,2,8.202099737532809\n",
        "Time;anchor;range_cm\n1970-01-01T00:00:05Z;A1;150\n1970-01-01T00:00:05Z;2;250\n",
        "time anchor_id  range\n5.0 A1 1,5 \n  5.0 2   2.5\n",
        "t_s,anchor,range\n1970-01-01 02:00:05.000+02:00,A1,1.5\n1970-01-01 00:00:05,2,2.5\n",
    ],
)
def test_what_others_call_the_columns(tmp_path: Path, text: str) -> None:
    recording = load(tmp_path, text)
    assert recording.times[-1] == 5.0
    np.testing.assert_allclose(recording.ranges[-1], [1.5, 2.5], rtol=1e-12)


def test_dates_to_a_fraction_of_a_second(tmp_path: Path) -> None:
    day = "2026-11-28T10:00:"
    recording = load(tmp_path, f"t_s,anchor,range\n{day}00,A1,1\n{day}00.12345678,A1,1\n")
    np.testing.assert_allclose(recording.times - 1795860000.0, [0.0, 0.12345678], atol=3e-7)


def test_a_mapped_column_keeps_the_unit_of_its_name(tmp_path: Path) -> None:
    text = "t_s,anchor,slant_mm,range_of_view\n5,A1,1500,9\n"
    assert load(tmp_path, text, range="slant_mm").ranges[0, 0] == 1.5


def test_columns_by_a_mapping_and_milliseconds(tmp_path: Path) -> None:
    text = "stamp,id,dist\n" + "".join(f"{1000 + 100 * i},A1,{1 + i}\n" for i in range(4))
    recording = load(tmp_path, text, time="stamp", anchor="id", range="dist")
    np.testing.assert_array_equal(recording.times, [1.0, 1.1, 1.2, 1.3])
    assert recording.anchors.ids == ("A1",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t_s,anchor,range\n", "no ranges below the header"),
        ("stamp,beacon,dist\n0,A1,2\n", "no ranges: expected columns r_<id> of the anchors A1, 2,"),
        (
            "t_s,anchor\n0,A1\n",
            "missing column range; it has t_s, anchor; --columns range=NAME says",
        ),
        (
            "anchor,range\nA1,1\n",
            "missing column t_s; it has anchor, range; --columns time=NAME says",
        ),
        ("t_s,anchor,range\n0,A9,1\n", "row 2, column anchor: no anchor 'A9' in the anchors file"),
        ("t_s,anchor,range\n0,A1,1\n0.1,A1\n", "row 3: expected 3 columns, got 2"),
        ("t_s,anchor,range\nnow,A1,1\n", "row 2, column t_s: expected a number, got 'now'"),
        (
            "t_s,anchor,range\n2026-11-28T10:00:00,A1,1\n5,A1,1\n",
            "row 3, column t_s: expected a date as in the rows above, got '5'",
        ),
        ("t_s,anchor,range\n2026-13-28 10:00:00,A1,1\n", "expected a number, got '2026-13-28"),
        ("t,time,anchor,range\n0,0,A1,1\n", "missing column t_s; it has t, time, anchor, range"),
        ("0.0,A1,1\n0.1,A1,1\n", "row 1: expected a header: t_s and r_<id>, or anchor, range"),
        ("t_s,anchor,range\n0,A1,far\n", "row 2, column range: expected a number, got 'far'"),
        ("t_s,anchor,range,gt_x\n0,A1,1,1\n", "ground truth needs all of gt_x, gt_y"),
        (
            "t_s,tag,anchor,range\n0,7,A1,1\n0,8,2,1\n",
            "row 3, column tag: expected ranges of one tag, got 7 and 8; --columns tag=7 reads one",
        ),
        ("t_s,Source ID,anchor,range\n0,7,A1,1\n0,7,2,1\n0,8,A1,1\n", "row 4, column Source ID"),
        ("t_s,anchor,range,nlos\n0,A1,2,perhaps\n", "row 2, column nlos: expected a number"),
        ("time,anchor,range\n11/28/2026 10:00:00,A1,1\n", "or a date like 2026-11-28 10:00:00.5"),
        ("time,anchor,range\n10:00:00,A1,1\n5,A1,1\n", "expected a time of day as in the rows"),
    ],
)
def test_bad_tables_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        load(tmp_path, text)
    assert "\n" not in str(error.value)


def test_one_of_several_tags(tmp_path: Path) -> None:
    text = "t_s,device,anchor,range,gt_x,gt_y\n0,7,A1,1,,\n0,8,A1,2,,\n0,,,,5,6\n0,7,2,3,,\n"
    one = load(tmp_path, text, tag="7")
    assert one.ranges.tolist() == [[1.0, 3.0]]
    np.testing.assert_array_equal(one.truth, [[5, 6, NAN]])
    assert (
        load(tmp_path, "t_s,tag,r_A1,r_2,r_hall 3\n0,7,1,2,3\n0,8,4,5,6\n", tag="8").ranges[0, 0]
        == 4
    )
    with pytest.raises(InputError, match="no row of tag '9'; it has 7, 8"):
        load(tmp_path, text, tag="9")
    with pytest.raises(InputError, match="row 1: no column says whose tag's a row is; it has t_s"):
        load(tmp_path, "t_s,anchor,range\n0,A1,1\n", tag="7")
