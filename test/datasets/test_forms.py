# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forms in which people bring recordings: read right, or refused in a line that names the row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.datasets import load_recording
from locdreamer_ros.datasets.range_table import load_anchors, load_range_table
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Anchors

SITE = Anchors(("A1", "A2"), np.array([[0, 0, 2.0], [5, 0, 2]]))


def load(tmp_path: Path, text: str) -> Recording:
    path = tmp_path / "x.csv"
    path.write_text(text)
    return load_range_table(path, SITE)


@pytest.mark.parametrize(
    "text",
    [
        "t_s|r_A1|r_A2\n0|1|2\n1|3|4\n",
        "t_s | r_A1 | r_A2\n0 | 1,0 | 2\n1 | 3,0 | 4,0\n",
        "% of MATLAB\nt_s,r_A1,r_A2\n0,1,2\n% a break\n1,3,4\n",
        "%time,r_A1,r_A2\n0,1,2\n1,3,4\n",
        "% t_s r_A1 r_A2\n0 1 2\n1 3 4\n",
    ],
)
def test_cells_parted_otherwise(tmp_path: Path, text: str) -> None:
    recording = load(tmp_path, text)
    assert recording.times.tolist() == [0.0, 1.0]
    assert recording.ranges.tolist() == [[1.0, 2.0], [3.0, 4.0]]


WORDS = ["NaT", "n.a.", "\\N", "?", ".", "*", "nil", "missing", "(null)", "-nan", "#VALUE!", "[]"]
OF_WINDOWS = ["#DIV/0!", "1.#QNAN", "-1.#IND", "nan(ind)", "-nan(ind)"]


@pytest.mark.parametrize("word", WORDS + OF_WINDOWS)
def test_words_for_an_empty_cell(tmp_path: Path, word: str) -> None:
    recording = load(tmp_path, f"t_s,r_A1,r_A2,gt_x,gt_y\n0,1,{word},1,{word}\n1,3,4,1,1\n")
    assert np.isnan(recording.ranges[0, 1])
    assert recording.truth is not None
    assert np.isnan(recording.truth[0, 1])


@pytest.mark.parametrize("word", ["timeout", "ERR", "failed", "lost", "x", "no", "1.#INF", "∞"])
def test_no_answer_in_words_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, word: str
) -> None:
    recording = load(tmp_path, f"t_s,r_A1,r_A2\n0,1,{word}\n1,3,4\n")
    assert np.isnan(recording.ranges[0, 1])
    assert f"1 values are no range and count as no answer: {word} (1)" in caplog.text
    with pytest.raises(InputError, match="row 2, column t_s: expected a number"):
        load(tmp_path, f"t_s,r_A1,r_A2\n{word},1,2\n1,3,4\n")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("t_s,r_A1,r_A2\n0,1,2_5\n", "row 2, column r_A2"),
        ("t_s,r_A1,r_A2\n1_0,1,2\n", "row 2, column t_s"),
        ("t_s,anchor,range\n0,A1,1_0\n", "row 2, column range"),
        ("t_s,r_A1,r_A2,gt_x,gt_y\n0,1,2,1_0,1\n", "row 2, column gt_x"),
    ],
)
def test_digits_with_a_line_between_are_no_number(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(InputError, match=f"x.csv: {where}: expected a number, got '._.'"):
        load(tmp_path, text)
    (tmp_path / "a.csv").write_text("id,x,y,z\nA1,1_0,0,2\n")
    with pytest.raises(InputError, match=r"a.csv: row 2, column x: expected a number, got .1_0."):
        load_anchors(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "form", ["2025/11/29 12:00:{}", "2025/11/29T12:00:{}z", "2025-11-29 14:00:{}+02"]
)
def test_dates(tmp_path: Path, form: str) -> None:
    rows = "".join(f"{form.format(s)},1,2\n" for s in ("00.5", "01.5"))
    assert load(tmp_path, f"time,r_A1,r_A2\n{rows}").times.tolist() == [1764417600.5, 1764417601.5]
    with pytest.raises(InputError, match="row 2, column time: expected a number"):
        load(tmp_path, "time,r_A1,r_A2\n2025/11-29 12:00:00,1,2\n")


@pytest.mark.parametrize(
    ("name", "per_second", "bits", "whole"),
    [
        ("time_us", 1e6, 32, True),
        ("time", 1e6, 32, True),
        ("time_ms", 1e3, 32, True),
        ("time_ms", 1e3, 16, True),
        ("t_s", 1e6, 32, False),  # micros() / 1e6
        ("t_s", 1e3, 32, False),
    ],
)
def test_a_counter_that_ran_over_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, per_second: float, bits: int,
    whole: bool,
) -> None:  # fmt: skip
    counts = (2**bits - int(1.5 * per_second) + np.arange(60) * int(0.1 * per_second)) % 2**bits
    stamps = counts if whole else counts / per_second
    ranges = 2.0 + np.sin(np.arange(60) / 5.0)
    rows = "".join(f"{t},{r},3\n" for t, r in zip(stamps.tolist(), ranges.tolist(), strict=True))
    recording = load(tmp_path, f"{name},r_A1,r_A2\n{rows}")
    times = recording.times - recording.times[0]
    np.testing.assert_allclose(times, np.arange(60) / 10.0, atol=2e-6)
    np.testing.assert_array_equal(recording.ranges[:, 0], ranges)
    assert "is of a counter that ran over: it is counted on" in caplog.text
    rows = "".join(f"{t},A{a},{a}\n" for t in stamps.tolist() for a in (1, 2))
    long = load(tmp_path, f"{name},anchor,range\n{rows}")
    np.testing.assert_allclose(np.ptp(long.times), 5.9, atol=2e-6)


@pytest.mark.parametrize("stop", [60_000, 55_000])
def test_a_clock_set_back_did_not_run_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, stop: int
) -> None:
    """A bag in a loop of a minute: 16 bits of milliseconds would be 65.536 s."""
    stamps = [*range(0, stop, 100)] * 2
    rows = "".join(f"{t},1,{1 + i / 1000}\n" for i, t in enumerate(stamps))
    recording = load(tmp_path, f"time_ms,r_A1,r_A2\n{rows}")
    assert recording.times.max() < 60.0
    assert "the clock goes back 1 times" in caplog.text
    assert "ran over" not in caplog.text


@pytest.mark.parametrize("value", ["-1", "-999", "9999", "99999", "0"])
@pytest.mark.parametrize("height", ["", "0", "same"])
def test_truth_that_leaps_to_nowhere_is_unknown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, value: str, height: str
) -> None:
    x = 2.0 + np.arange(40) / 50.0
    known = np.arange(40) % 7 != 3
    z = value if height == "same" else height
    rows = [
        f"{i / 10},1,{1 + i / 100},{f'{x[i]},1.5,1' if known[i] else f'{value},{value},{z}'}\n"
        for i in range(40)
    ]
    recording = load(tmp_path, "t_s,r_A1,r_A2,gt_x,gt_y,gt_z\n" + "".join(rows))
    assert recording.truth is not None
    np.testing.assert_array_equal(np.isfinite(recording.truth[:, 0]), known)
    assert f"the truth jumps to {value}, {value} in {(~known).sum()} rows" in caplog.text


def test_truth_on_a_grid_of_points_is_known(tmp_path: Path) -> None:
    """A tag put from metre to metre, by way of -1, -1 and 0, 0."""
    points = [(x, y) for y in range(-3, 4) for x in range(-3, 4)]
    rows = "".join(f"{i},1,{1 + i / 100},{x},{y}\n" for i, (x, y) in enumerate(points))
    recording = load(tmp_path, f"t_s,r_A1,r_A2,gt_x,gt_y\n{rows}")
    assert recording.truth is not None
    assert np.isfinite(recording.truth[:, 0]).all()


@pytest.mark.parametrize("names", ["x_gt,y_gt,z_gt", "x_true [m],y_true [m],z_true [m]",
                                   "mocap_pose_position_x,mocap_pose_position_y,"
                                   "mocap_pose_position_z"])  # fmt: skip
def test_other_names_of_the_truth(tmp_path: Path, names: str) -> None:
    recording = load(tmp_path, f"t_s,r_A1,r_A2,{names}\n0,1,2,3,4,5\n1,1,2,3,4,5\n")
    np.testing.assert_array_equal(recording.truth, [[3, 4, 5]] * 2)


@pytest.mark.parametrize("name", ["tid", "from", "node", "robot", "robot_id", "sender", "drone"])
def test_a_second_tag_is_refused_whatever_its_column_is_called(tmp_path: Path, name: str) -> None:
    rows = "".join(f"{i / 10},A{a},{1 + i + a},{i % 2}\n" for i in range(4) for a in (1, 2))
    with pytest.raises(InputError, match=f"column {name}: expected ranges of one tag, got 0 and 1"):
        load(tmp_path, f"t_s,anchor,range,{name}\n{rows}")
    rows = "".join(f"{i / 10},A{a},{1 + i + a},{a}\n" for i in range(4) for a in (1, 2))
    assert len(load(tmp_path, f"t_s,anchor,range,{name}\n{rows}")) == 4  # the anchor's own


@pytest.mark.parametrize("name", ["height", "H", "elevation", "height_mm"])
def test_heights_of_anchors_by_other_names(tmp_path: Path, name: str) -> None:
    unit = 1000 if name.endswith("_mm") else 1
    end = "_mm" if unit == 1000 else ""
    path = tmp_path / "x_anchors.csv"
    path.write_text(f"id,x{end},y{end},{name}\nA1,0,0,{2 * unit}\nA2,{5 * unit},0,{2 * unit}\n")
    np.testing.assert_array_equal(load_anchors(path).positions, SITE.positions)
    (tmp_path / "x.csv").write_text("t_s,r_A1,r_A2\n0,1,2\n")
    assert load_recording(tmp_path / "x.csv").anchors.positions[0, 2] == 2.0
    path.write_text("id,x,y,z,height\nA1,0,0,2,9\n")
    assert load_anchors(path).positions[0, 2] == 2.0
