# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Range tables: exact round trips, and each kind of bad input named with its row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bregar_files import tree, write_json
from hypothesis import given, settings
from hypothesis import strategies as st

from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.bag import write_bag
from locdreamer_ros.datasets.range_table import (
    load_anchors,
    load_range_table,
    save_anchors,
    save_range_table,
)
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.stamps import to_seconds
from locdreamer_ros.types import Anchors

SITE = "id,x,y,z\n1,0,0,2\n2,5,0,2\n"
TABLE = "t_s,gt_x,gt_y,gt_z,r_1,r_2\n0.0,1,2,1,2.5,\n0.1,,nan,,2.6,4.5\n"


@pytest.fixture
def anchors(tmp_path: Path) -> Anchors:
    (tmp_path / "a.csv").write_text(SITE)
    return load_anchors(tmp_path / "a.csv")


def test_a_table_by_hand(tmp_path: Path, anchors: Anchors) -> None:
    (tmp_path / "x.csv").write_text("\ufeff" + TABLE.replace("\n", "\r\n") + "\r\n")
    recording = load_range_table(tmp_path / "x.csv", anchors)
    assert recording.name == "x"
    np.testing.assert_array_equal(recording.times, [0.0, 0.1])
    np.testing.assert_array_equal(recording.ranges, [[2.5, np.nan], [2.6, 4.5]])
    np.testing.assert_array_equal(recording.truth, [[1, 2, 1], [np.nan] * 3])
    np.testing.assert_array_equal(recording.anchors.positions, [[0, 0, 2], [5, 0, 2]])


def test_columns_may_come_in_any_order_and_without_truth(tmp_path: Path, anchors: Anchors) -> None:
    (tmp_path / "x.csv").write_text("r_2,t_s,r_1\n4.5,7,2.5\n")
    recording = load_range_table(tmp_path / "x.csv", anchors)
    np.testing.assert_array_equal(recording.ranges, [[2.5, 4.5]])
    assert recording.truth is None


def test_times_are_whole_nanoseconds(tmp_path: Path, anchors: Anchors) -> None:
    """0.1 + 0.2 s and the stamp of 300,000,000 ns must be the same epoch."""
    (tmp_path / "x.csv").write_text("t_s,r_1,r_2\n0.30000000000000004,1,1\n0.4,1,1\n")
    assert load_range_table(tmp_path / "x.csv", anchors).times.tolist() == [0.3, 0.4]
    (tmp_path / "x.csv").write_text("t_s,r_1,r_2\n0.3,1,1\n0.3000000001,1,1\n")
    with pytest.raises(InputError, match="row 3, column t_s: times must increase"):
        load_range_table(tmp_path / "x.csv", anchors)


identity = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
coordinate = st.floats(-1e9, 1e9)


@st.composite
def tables(draw: st.DrawFn) -> Recording:
    ids = draw(st.lists(identity, min_size=1, max_size=4, unique=True))
    stamps = draw(st.sets(st.integers(-(10**16), 10**19), min_size=1, max_size=5))
    times = sorted({to_seconds(stamp) for stamp in stamps})

    def grid(values: st.SearchStrategy[float], rows: int, columns: int) -> np.ndarray:
        cells = st.lists(values, min_size=rows * columns, max_size=rows * columns)
        return np.array(draw(cells)).reshape(rows, columns)

    missing = st.just(float("nan"))
    return Recording(
        "x",
        Anchors(tuple(ids), grid(coordinate, len(ids), 3)),
        np.array(times),
        grid(st.floats(1e-9, 1000.0) | missing, len(times), len(ids)),
        grid(coordinate | missing, len(times), 3) if draw(st.booleans()) else None,
        odometry=grid(coordinate | missing, len(times), 3) if draw(st.booleans()) else None,
        turn_rate=grid(coordinate | missing, 1, len(times))[0] if draw(st.booleans()) else None,
    )


@settings(max_examples=40, deadline=None)
@given(tables())
def test_round_trip_is_exact(tmp_path_factory: pytest.TempPathFactory, table: Recording) -> None:
    folder = tmp_path_factory.mktemp("tables")
    save_anchors(folder / "x_anchors.csv", table.anchors)
    save_range_table(folder / "x.csv", table)
    again = load_recording(folder / "x.csv")
    assert again.anchors.ids == table.anchors.ids
    np.testing.assert_array_equal(again.anchors.positions, table.anchors.positions)
    np.testing.assert_array_equal(again.times, table.times)
    np.testing.assert_array_equal(again.ranges, table.ranges)
    for name in ("truth", "odometry", "turn_rate"):
        mine, other = getattr(table, name), getattr(again, name)
        assert (mine is None) == (other is None), name
        if mine is not None:
            np.testing.assert_array_equal(mine, other, err_msg=name)


def test_odometry_and_gyro_have_columns(tmp_path: Path, anchors: Anchors) -> None:
    path = tmp_path / "x.csv"
    path.write_text("t_s,gyro_z,odom_yaw,odom_x,r_1,odom_y,r_2\n0,.5,3,1,1,2,1\n1,,nan,4,1,5,1\n")
    recording = load_range_table(path, anchors)
    nan = np.nan
    np.testing.assert_array_equal(recording.odometry, [[1.0, 2.0, 3.0], [4.0, 5.0, nan]])
    np.testing.assert_array_equal(recording.turn_rate, [0.5, nan])
    assert recording.truth is None
    save_range_table(path, recording)
    header = path.read_text().splitlines()[0]
    assert header == "t_s,odom_x,odom_y,odom_yaw,gyro_z,r_1,r_2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("\n\n", "empty file"),
        ("t_s,r_1,r_2\n", "no epochs"),
        ("r_1,r_2\n1,2\n", "row 1: missing column t_s"),
        ("t_s,r_1\n0,1\n", "row 1: missing column r_2"),
        ("t_s,r_1,r_2,r_9\n0,1,1,1\n", "column r_9: no anchor '9'"),
        ("t_s,r_1,r_2,speed\n0,1,1,1\n", "unknown column 'speed'"),
        ("t_s,r_1,r_2,r_1\n0,1,1,1\n", "column r_1 appears twice"),
        ("t_s,gt_x,r_1,r_2\n0,1,1,1\n", "ground truth needs all of"),
        ("t_s,odom_x,odom_y,r_1,r_2\n0,1,1,1,1\n", "row 1: odometry needs all of odom_x"),
        ("t_s,gyro_z,r_1,r_2\n0,fast,1,1\n", "row 2, column gyro_z: expected a number"),
        ("t_s,r_1,r_2\n0,1,1\n0.1,1\n", "row 3: expected 3 columns, got 2"),
        ("t_s,r_1,r_2\n0,1,1\n\n0.1,1,far\n", "row 4, column r_2: expected a number, got 'far'"),
        ("t_s,r_1,r_2\n0,1,1\nnan,1,1\n", "row 3, column t_s: expected a finite number"),
        ("t_s,r_1,r_2\n,1,1\n", "row 2, column t_s: expected a number"),
        ("t_s,r_1,r_2\n0,1,-1\n", r"row 2, column r_2: expected a range in \(0, 1000\] m"),
        ("t_s,r_1,r_2\n0,1,0\n", "row 2, column r_2: expected a range"),
        ("t_s,r_1,r_2\n0,1,4500\n", "row 2, column r_2: expected a range"),
        ("t_s,r_1,r_2\n0,1,inf\n", "row 2, column r_2: expected a finite number"),
        ("t_s,r_1,r_2\n0,1,1\n0,1,1\n", "row 3, column t_s: times must increase"),
        ("t_s,r_1,r_2\n1,1,1\n0.5,1,1\n", "times must increase, got 0.5 after 1.0"),
        ('t_s,r_1,r_2\n0,1,"1\n', "not CSV"),
    ],
)
def test_bad_tables_are_one_line(tmp_path: Path, anchors: Anchors, text: str, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        load_range_table(path, anchors)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("1,0,0,2\n", "row 1: expected the header id,x,y,z"),
        ("id,x,y,z\n", "no anchors below the header"),
        ("id,x,y,z\n1,0,0\n", "row 2: expected id,x,y,z, got 3 columns"),
        ("id,x,y,z\n\n1,0,up,2\n", "row 3, column y: expected a number, got 'up'"),
        ("id,x,y,z\n1,0,nan,2\n", "row 2, column y: expected a finite number"),
        ("id,x,y,z\n,0,0,2\n", "row 2, column id: expected an anchor id"),
        ("id,x,y,z\n1,0,0,2\n1,1,0,2\n", "id '1' appears twice"),
    ],
)
def test_bad_anchors_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        load_anchors(tmp_path / "a.csv")


def test_a_failed_save_leaves_the_old_table(tmp_path: Path, anchors: Anchors) -> None:
    recording = Recording("x", anchors, np.array([0.0]), np.array([[1.0, 2.0]]))
    save_range_table(tmp_path / "x.csv", recording)
    before = (tmp_path / "x.csv").read_text()
    object.__setattr__(recording, "truth", np.array([["a", "b", "c"]]))
    with pytest.raises(ValueError, match=r"could not convert|float"):
        save_range_table(tmp_path / "x.csv", recording)
    assert (tmp_path / "x.csv").read_text() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "x.csv"]


def test_load_recording_takes_the_file_for_what_it_is(tmp_path: Path, anchors: Anchors) -> None:
    table = tmp_path / "x.csv"
    table.write_text(TABLE)
    assert len(load_recording(table, tmp_path / "a.csv")) == 2
    with pytest.raises(InputError, match=r"needs an anchors file .* there is no x_anchors.csv"):
        load_recording(table)
    (tmp_path / "x_anchors.csv").write_text(SITE)
    recording = load_recording(table)

    write_bag(tmp_path / "bag", recording)
    for bag in (tmp_path / "bag", tmp_path / "bag" / "bag.mcap"):
        np.testing.assert_array_equal(load_recording(bag).ranges, recording.ranges)
    (tmp_path / "moved.csv").write_text("id,x,y,z\n2,5.5,0,2\n")
    corrected = load_recording(tmp_path / "bag", tmp_path / "moved.csv")
    assert corrected.anchors.ids == ("2",)
    np.testing.assert_array_equal(corrected.anchors.positions, [[5.5, 0, 2]])
    np.testing.assert_array_equal(corrected.ranges, recording.ranges[:, 1:])
    (tmp_path / "other.csv").write_text("id,x,y,z\n9,5.5,0,2\n")
    with pytest.raises(InputError, match="unknown anchor '9'"):
        load_recording(tmp_path / "bag", tmp_path / "other.csv")

    survey = write_json(tmp_path / "environment0" / "data.json", tree())
    walk = load_recording(survey)
    assert walk.ranges.shape[1] == 8
    np.testing.assert_array_equal(
        load_recording(survey.with_suffix(".cache.npz")).ranges, walk.ranges
    )


def test_load_recording_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        load_recording(tmp_path / "x.csv")
    (tmp_path / "x.txt").write_text("...")
    with pytest.raises(InputError, match="expected a range table"):
        load_recording(tmp_path / "x.txt")
    (tmp_path / "x.npz").write_bytes(b"no zip")
    with pytest.raises(InputError, match="not a cached point survey"):
        load_recording(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", version=1)
    with pytest.raises(InputError, match="not a cached point survey"):
        load_recording(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", version=99)
    with pytest.raises(InputError, match="layout 99"):
        load_recording(tmp_path / "x.npz")


def test_real_recording_survives_the_way_through_a_bag(tmp_path: Path) -> None:
    lias = Path(__file__).resolve().parents[3] / "shared" / "data" / "lias"
    if not lias.is_dir():
        pytest.skip("the LIAS recordings are not beside this repository")
    recording = load_recording(lias / "lias_fast_tag0.csv")
    write_bag(tmp_path / "bag", recording)
    again = load_recording(tmp_path / "bag")
    for name in ("times", "ranges", "truth"):
        np.testing.assert_array_equal(getattr(again, name), getattr(recording, name))
    assert again.stamps is None
