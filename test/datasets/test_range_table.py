# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Range tables: exact round trips, and each kind of bad input named with its row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from bregar_files import tree, write_json
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.bag import write_bag
from locdreamer_ros.datasets.range_cells import NO_ANSWER, NO_ANSWER_M
from locdreamer_ros.datasets.range_table import (
    load_anchors,
    load_range_table,
    save_anchors,
    save_range_table,
    save_recording,
)
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import EpochSource, Recording, RecordingSource
from locdreamer_ros.scales import TICKS_PER_S
from locdreamer_ros.stamps import to_seconds
from locdreamer_ros.types import Anchors, FloatArray
from locdreamer_ros.units import LEAST_M

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
    assert load_range_table(tmp_path / "x.csv", anchors).times.tolist() == [0.3, 0.3]


ranges = st.floats(1e-9, 1000.0).filter(lambda m: m not in NO_ANSWER + NO_ANSWER_M)
identity = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
coordinate = st.floats(-1e9, 1e9)
near = st.floats(-50.0, 50.0)
"""Of anchors from each other: one far from all others is refused."""


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
        Anchors(tuple(ids), 0.9 * grid(coordinate, 1, 3) + grid(near, len(ids), 3)),
        np.array(times),
        grid(ranges | missing, len(times), len(ids)),
        grid(coordinate | missing, len(times), 3) if draw(st.booleans()) else None,
        odometry=grid(coordinate | missing, len(times), 3) if draw(st.booleans()) else None,
        turn_rate=grid(coordinate | missing, 1, len(times))[0] if draw(st.booleans()) else None,
    )


@pytest.mark.parametrize("name", [";;", "a;b;c", "a\t\t.", 'x";";', "a b"])
def test_ids_may_hold_what_parts_cells(tmp_path: Path, name: str) -> None:
    site = Anchors((name, "B"), np.array([[0.0, 0, 2], [5, 0, 2]]))
    recording = Recording("x", site, np.array([1.5]), np.array([[1.0, 2.0]]))
    save_recording(tmp_path / "x.csv", recording)
    again = load_recording(tmp_path / "x.csv")
    assert again.anchors.ids == site.ids
    np.testing.assert_array_equal(again.ranges, recording.ranges)


@settings(max_examples=40)
@given(tables())
def test_round_trip_is_exact(tmp_path_factory: pytest.TempPathFactory, table: Recording) -> None:
    spread = np.ptp(table.anchors.positions, axis=0).max()
    assume(not 0.0 < spread < LEAST_M)  # that is refused: degrees
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
        ("t_s,r_1,r_2,r_1\n0,1,1,1\n", "column r_1 appears twice"),
        ("t_s,gt_x,r_1,r_2\n0,1,1,1\n", "ground truth needs all of"),
        ("t_s,odom_x,odom_y,r_1,r_2\n0,1,1,1,1\n", "row 1: odometry needs all of odom_x"),
        ("t_s,gyro_z,r_1,r_2\n0,fast,1,1\n", "row 2, column gyro_z: expected a number"),
        ("t_s,r_1,r_2\n0,1,1\n0.1,1\n", "row 3: expected 3 columns, got 2"),
        ("t_s,r_1,r_2\n0,1,1\n\n0.1,1,far\n", "row 4, column r_2: expected a number, got 'far'"),
        ("t_s,r_1,r_2\n0,1,1\nnan,1,1\n", "row 3, column t_s: expected a finite number"),
        ("t_s,r_1,r_2\n,1,1\n", "row 2, column t_s: expected a number"),
        ("t_s,r_1,r_2\n0,1,4500\n", "row 2, column r_2: expected a range .* call it r_<id>_mm"),
        ("t_s,r_1_mm,r_2\n0,1,4\n", "row 1: columns r_1_mm and r_2: expected one unit"),
        ("0,1,4\n1,1,4\n", "row 1: expected a header: t_s and r_<id>"),
        ("t_s,gt_x,gt_y,r_1,r_2\n0,1e300,0,1,4\n", "row 2, column gt_x: expected a number within"),
        ("t_s,anchor,range,nlos\n0,1,2,7\n", "row 2, column nlos: expected a number within 1"),
        ("t_s,anchor,range,nlos\n0,1,2,-.5\n", "row 2, column nlos: expected a number from 0"),
        ("t_s,anchor,range,gt_x,gt_y\n0,,,1,2\n", "no ranges below the header"),
        ("t_s,r_1,r_2\n0,1,0,2,5\n", "row 2: .* got 5; decimal commas need ; between cells"),
        ("t_s,r_1,r_2\n1e300,1,1\n", "column t_s: no time in seconds: 1e\\+300"),
        ("t_s,r_1,r_2\n" + "9" * 100_000 + ",1,1\n", "column t_s: expected a finite number"),
        ("t_s,r_1,r_2\n0,1," + "1" * 2_000_000, "not CSV: a row of over"),
        ("t_s,r_1,r_2,R_1\n0,1,1,1\nx\n", "row 3: expected 4 columns"),
        ("t_s,tag,r_1,r_2\n0,7,1,1\n1,8,1,1\n", "row 3, column tag: expected ranges of one tag"),
        ("t_s,r_1,r_2,x_mm,y\n0,1,1,1,1\n", "expected gt_x, gt_y, gt_z in one unit"),
        ("# t_s r_1\n# only comments", "empty file"),
        ("t_s,r_1,r_2,r_01\n0,1,1,1\n", "columns r_1 and r_01 are both of anchor '1'"),
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
        ("id,x,z\n1,0,2\n", "row 1: expected the header id,x,y,z"),
        ("id,x,y,z\n1,0,1e300,2\n", "anchor '1': expected metres, got y = 1e\\+300"),
        ("id,x,y,z\n", "no anchors below the header"),
        ("id,x,y,z\n1,0,0\n", "row 2: expected 4 columns, got 3"),
        ("id,x,y,z\n\n1,0,up,2\n", "row 3, column y: expected a number, got 'up'"),
        ("id,x,y,z\n1,0,nan,2\n", "row 2, column y: expected a finite number"),
        ("id,x,y,z\n,0,0,2\n", "row 2, column id: expected an anchor id"),
        ("id,x,y,z\n1,0,0,2\n1,1,0,2\n", "id '1' appears twice"),
        ("id,x,y,z\n" + "A" * 101 + ",0,0,2\n", "expected ids of at most 100 letters"),
    ],
)
def test_bad_anchors_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        load_anchors(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "text", ["Anchor ID,X (m),Y (m),Z (m)\n1,0,5,2\n", "id  x y z\n 1 0 5  2\n"]
)
def test_anchors_as_others_write_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / "anchors.csv"
    path.write_text(text)
    np.testing.assert_array_equal(load_anchors(path).positions, [[0.0, 5.0, 2.0]])


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
    for name, mend in (
        ("x.csv.gz", "it is packed: unpack it"),
        ("x.xlsx", "save it as CSV"),
        ("x.bag", "it is a bag of ROS 1: rosbags-convert --src"),
        ("x.jsonl", "write a table t_s,anchor,range"),
    ):
        (tmp_path / name).write_text("...")
        with pytest.raises(InputError, match=f"expected a range table.*{mend}"):
            load_recording(tmp_path / name, columns={"time": "t"})
    (tmp_path / "x.json").write_text("[1]")
    with pytest.raises(InputError, match="not JSON of a point survey"):
        load_recording(tmp_path / "x.json")
    (tmp_path / "x.doc").write_text("...")
    with pytest.raises(InputError, match="expected a range table"):
        load_recording(tmp_path / "x.doc")
    (tmp_path / "x.npz").write_bytes(b"no zip")
    with pytest.raises(InputError, match="expected a cached point survey"):
        load_recording(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", version=1)
    with pytest.raises(InputError, match="expected a cached point survey"):
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


def test_what_says_no_answer_is_counted_and_said_once(
    tmp_path: Path, anchors: Anchors, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(
        "t_s,r_1,r_2\n0,1.5,0\n1,-1,65.535\n2,65535,inf\n3,NULL,-999\n4,2.5,0.0\n5,-0.02,3\n"
    )
    ranges = load_range_table(path, anchors).ranges
    np.testing.assert_array_equal(ranges[[0, 4, 5]], [[1.5, np.nan], [2.5, np.nan], [np.nan, 3]])
    assert np.isnan(ranges[1:4]).all()
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: 8 values are no range and count as no answer: < 0 (3), 0 (2), 65.535 (1), "
        "65535 (1), inf (1)"
    ]


def test_times_that_step_back_are_kept_in_order(
    tmp_path: Path, anchors: Anchors, caplog: pytest.LogCaptureFixture
) -> None:
    """A bag in a loop, and equal stamps of a device that stamps each range 0."""
    path = tmp_path / "x.csv"
    times = [*np.arange(40) / 10, *np.arange(40) / 10]
    path.write_text(
        "t_s,r_1,r_2\n" + "".join(f"{t},{1 + i / 100},1\n" for i, t in enumerate(times))
    )
    recording = load_range_table(path, anchors)
    np.testing.assert_array_equal(recording.times, times)
    np.testing.assert_array_equal(recording.ranges[:, 0], [1 + i / 100 for i in range(80)])
    assert "the clock goes back 1 times" in caplog.text
    source = RecordingSource(recording)
    both = np.arange(2)
    for epoch in (3, 43):
        assert source.answer(epoch, both).value[0] == pytest.approx(1 + epoch / 100)
        assert EpochSource(source, epoch).measure(both, 0.3).value[0] == pytest.approx(
            1 + epoch / 100
        )
    path.write_text("t_s,r_1,r_2\n" + "0,1,1\n0,2,1\n0,3,1\n")
    still = load_range_table(path, anchors)
    assert still.times.tolist() == [0.0, 0.0, 0.0]
    assert [RecordingSource(still).answer(e, both).value[0] for e in range(3)] == [1.0, 2.0, 3.0]


def test_rows_a_little_late_are_put_in_order(
    tmp_path: Path, anchors: Anchors, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("t_s,r_1,r_2\n" + "".join(f"{t},{t},1\n" for t in (1, 1.2, 1.1, 5, 3, 6)))
    recording = load_range_table(path, anchors)
    assert recording.times.tolist() == [1.0, 1.1, 1.2, 3.0, 5.0, 6.0]
    np.testing.assert_array_equal(recording.ranges[:, 0], recording.times)
    assert "2 rows are late" in caplog.text


@pytest.mark.parametrize("start", [0, 1_755_612_349])
@pytest.mark.parametrize(("factor", "name"), [(1e3, "milli"), (1e6, "micro"), (1e9, "nano")])
@pytest.mark.parametrize("step", [0.01, 0.1, 1.0])
def test_units_of_time_are_recognised(
    tmp_path: Path,
    anchors: Anchors,
    caplog: pytest.LogCaptureFixture,
    factor: float,
    name: str,
    start: int,
    step: float,
) -> None:
    path = tmp_path / "x.csv"
    if name == "milli" and step == 0.01 and start == 0:
        step = 0.1  # steps of 10 could be 10 s
    times = start + np.arange(30) * step
    path.write_text("t_s,r_1,r_2\n" + "".join(f"{round(t * factor)},1,1\n" for t in times))
    np.testing.assert_allclose(load_range_table(path, anchors).times, times, rtol=0, atol=1e-6)
    assert f"column t_s is in {name}seconds" in caplog.text


def test_time_in_minutes_and_in_ticks(tmp_path: Path, anchors: Anchors) -> None:
    """Minutes by their name; ticks of a DW1000 by that, or by how they step and begin anew."""
    seconds = 0.1 * np.arange(400)
    ticks = (np.round(seconds * TICKS_PER_S).astype(np.int64) + 2**38) % 2**40
    ids = ",".join(f"r_{anchor}" for anchor in anchors.ids)

    def times(name: str, stamps: Sequence[object]) -> FloatArray:
        cells = ",".join("1.5" for _ in anchors.ids)
        rows = "".join(f"{stamp},{cells}\n" for stamp in stamps)
        (tmp_path / "x.csv").write_text(f"{name},{ids}\n{rows}")
        return load_range_table(tmp_path / "x.csv", anchors).times

    for name in ("t_min", "time [minutes]"):
        np.testing.assert_allclose(times(name, list(seconds / 60.0)), seconds, atol=1e-6)
    for name, stamps in (("time", ticks), ("t_ticks", ticks), ("time", ticks[:50])):
        found = times(name, stamps.tolist())
        np.testing.assert_allclose(found - found[0], seconds[: len(found)], atol=1e-6)
    # Others' ticks, and nanoseconds, are what they were.
    np.testing.assert_allclose(times("t_ticks", (1e3 * seconds).astype(int)), seconds)
    np.testing.assert_allclose(times("time", (1e9 * seconds).astype(int)), seconds)
    np.testing.assert_allclose(times("time", (1e10 * seconds).astype(int)), 10.0 * seconds)


def test_a_clock_without_battery_is_no_unit(tmp_path: Path, anchors: Anchors) -> None:
    """3 s near 1970, then the time of day: case of a board that finds its time by NTP."""
    path = tmp_path / "x.csv"
    times = [*np.arange(30) / 10, *(1755612349.0 + np.arange(90) / 10)]
    path.write_text("t_s,r_1,r_2\n" + "".join(f"{t:.4f},1,1\n" for t in times))
    np.testing.assert_allclose(load_range_table(path, anchors).times, times, atol=1e-6)


def test_our_own_tables_of_slow_recordings_stay_in_seconds(
    tmp_path: Path, anchors: Anchors
) -> None:
    slow = Recording("x", anchors, np.arange(5) * 60.0, np.full((5, 2), 2.0))
    save_range_table(tmp_path / "x.csv", slow)
    np.testing.assert_array_equal(load_range_table(tmp_path / "x.csv", anchors).times, slow.times)


def test_names_of_columns_by_a_mapping(
    tmp_path: Path, anchors: Anchors, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("when;left;R;px;py;battery\n0.5;1.5;2.5;3;4;99\n")
    columns = {"time": "when", "r_1": "left", "r_2": "R", "gt_x": "px", "gt_y": "py"}
    recording = load_range_table(path, anchors, columns)
    np.testing.assert_array_equal(recording.ranges, [[1.5, 2.5]])
    np.testing.assert_array_equal(recording.truth, [[3, 4, np.nan]])
    assert caplog.messages == [f"{path}: columns not used: battery"]
    for wrong, words in (
        ({"time": "clock"}, "row 1: no column 'clock' for t_s; it has when, left"),
        ({**columns, "r_9": "R"}, "columns r_9: no anchor '9'"),
        ({**columns, "speed": "R"}, "columns: unknown 'speed'; expected one of time, anchor"),
    ):
        with pytest.raises(InputError, match=words):
            load_range_table(path, anchors, wrong)


@pytest.mark.parametrize(
    ("header", "row", "columns"),
    [
        ("2.0,1", "4.5,2.5", None),
        ("r_1_mm,r_2_mm", "2500,4500", None),
        ("R_1,R_2", "2.5,4.5", None),
        ("2 (cm),1 [cm]", "450,250", None),
        ("left,right", "2500,4500", {"r_1_mm": "left", "r_2_mm": "right"}),
        ("left_cm,right_cm", "250,450", {"r_1": "left_cm", "r_2": "right_cm"}),
        ("dist_2,dist_1", "4.5,2.5", None),
        ("range to 1 [cm],range to 2 [cm]", "250,450", None),
        ("d1,d2", "2.5,4.5", None),
        ("Anchor 1 distance,Anchor 2 distance", "2.5,4.5", None),
        ("r_1_ft,r_2_ft", "8.202099737532809,14.763779527559056", None),
    ],
)
def test_wide_columns_by_bare_ids_and_with_their_unit(
    tmp_path: Path, anchors: Anchors, header: str, row: str, columns: dict[str, str] | None
) -> None:
    (tmp_path / "x.csv").write_text(f"t_s,{header}\n0,{row}\n")
    found = load_range_table(tmp_path / "x.csv", anchors, columns).ranges
    np.testing.assert_allclose(found, [[2.5, 4.5]])


def test_anchors_without_height(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.csv"
    path.write_text("y,anchor,x,kind\n1,A 1,0,dw\n2,A 2,5,dw\n")
    anchors = load_anchors(path, height=1.2)
    assert anchors.ids == ("A 1", "A 2")
    np.testing.assert_array_equal(anchors.positions, [[0, 1, 1.2], [5, 2, 1.2]])
    assert "2 anchors without z: taken as 1.2 m" in caplog.text


@pytest.mark.parametrize(
    ("table", "site"),
    [
        (("0x6E01", "0x6E02"), ("6e01", "6e02")),
        (("DW6E01", "DW6E02"), ("0x6E01", "0x6E02")),
        (("Anchor 1", "Anchor 2"), ("A1", "A2")),
        (("1e2", "100"), ("1E2", "100")),  # not the number
    ],
)
def test_ids_as_modules_and_people_write_them(
    tmp_path: Path, table: tuple[str, str], site: tuple[str, str]
) -> None:
    anchors = Anchors(site, np.array([[0.0, 0, 2], [5, 0, 2]]))
    (tmp_path / "x.csv").write_text(f"t_s,r_{table[0]},r_{table[1]}\n0,1,2\n")
    assert load_range_table(tmp_path / "x.csv", anchors).ranges.tolist() == [[1.0, 2.0]]


def test_an_id_that_could_be_two_anchors_is_none(tmp_path: Path) -> None:
    anchors = Anchors(("01", "anchor 1"), np.array([[0.0, 0, 2], [5, 0, 2]]))
    (tmp_path / "x.csv").write_text("t_s,r_01,r_anchor 1,A1\n0,1,2,3\n")
    assert load_range_table(tmp_path / "x.csv", anchors).ranges.tolist() == [[1.0, 2.0]]
    (tmp_path / "x.csv").write_text("t_s,r_A1\n0,1\n")
    with pytest.raises(InputError, match="no anchor 'A1'"):
        load_range_table(tmp_path / "x.csv", anchors)


def test_places_with_their_unit_and_a_separator_too_many(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for header, x in (
        ("id,x_mm,y_mm,z_mm", 5000),
        ("ID,X [cm],Y [cm],Z [cm]", 500),
        ("id,x,y,z", 5),
    ):
        path.write_text(f"{header}\n1,0,0,0,\n2,{x},0,0,\n")
        assert load_anchors(path).positions[:, 0].tolist() == [0.0, 5.0]
    path.write_text("id,x_mm,y\n1,0,0\n")
    with pytest.raises(InputError, match="row 1: expected x, y, z in one unit"):
        load_anchors(path)
    path.write_text("id,px,py\n1,0,0\n")
    with pytest.raises(InputError, match="expected the header id,x,y,z; it has id, px, py"):
        load_anchors(path)


@pytest.mark.parametrize("name", ["WALK.CSV", "WALK.txt", "WALK.tsv"])
def test_a_table_by_another_name(tmp_path: Path, anchors: Anchors, name: str) -> None:
    save_anchors(tmp_path / "WALK_anchors.csv", anchors)
    (tmp_path / name).write_text("t_s\tr_1\tr_2\n0,5\t1,5\t2\n")
    assert load_recording(tmp_path / name).ranges.tolist() == [[1.5, 2.0]]
