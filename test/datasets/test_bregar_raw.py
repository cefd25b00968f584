# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The raw tree and the five steps of its cleaning, against values worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bregar_files import CHANNELS, PATH, PLACES, folder, known, sample, tree, write_json, write_raw
from hypothesis import given
from hypothesis import strategies as st

from locdreamer_ros.datasets.bregar import load_survey
from locdreamer_ros.datasets.bregar_raw import calibrated, core_samples
from locdreamer_ros.errors import InputError


def true_range(point: int, anchor: str) -> float:
    return float(np.linalg.norm(np.subtract(PATH[point], PLACES[anchor])))


def biased(p: int, a: str, c: str) -> list[dict[str, Any]]:
    """Offset 0.15 m everywhere, 0.5 m more behind walls, one outlier of 30 m per file.

    A2 is never in line of sight, A5 only at points 1 and 3.
    """
    blocked = a == "A2" or (a == "A5" and p not in (1, 3))
    metres = true_range(p, a) + 0.15 + 0.5 * blocked
    wild = sample(a, c, PATH[p], range=metres + 30.0, nlos="NLOS" if blocked else "LOS")
    return [wild] + [
        # The tag's own position in the file is wrong on purpose: the folder's name counts.
        sample(a, c, (9.9, 9.9, 9.9), range=metres + d, nlos="NLOS" if blocked else "LOS")
        for d in (-0.02, -0.01, 0.0, 0.01, 0.02)
    ]


@pytest.mark.parametrize("version", ["v1.1", "# v1.1"])
def test_the_tree_is_read_and_cleaned(tmp_path: Path, version: str) -> None:
    source = write_raw(tmp_path / "raw_data" / "environment0", biased, version=version)
    for where in (tmp_path, tmp_path / "raw_data", source):
        survey = load_survey(where, 0)
        assert survey.name == "environment0"
        np.testing.assert_array_equal(survey.path, PATH)
        assert survey.anchors.ids == tuple(PLACES)
        assert survey.channels == CHANNELS
        assert len(survey) == 5 * 8 * 6 * 5  # the outliers are gone
    error = survey.range - survey.true_range()
    rows = survey.samples(2, 0, 0)
    np.testing.assert_allclose(error[rows], [-0.02, -0.01, 0.0, 0.01, 0.02], atol=0.006)
    # Behind walls the offset of the line of sight is taken off, the walls' stays.
    np.testing.assert_allclose(error[survey.samples(2, 4, 3)].mean(), 0.5, atol=0.006)
    assert survey.nlos[survey.samples(2, 4, 3)].all()
    # Never in line of sight: nothing to calibrate with.
    np.testing.assert_allclose(error[survey.samples(2, 1, 3)].mean(), 0.65, atol=0.006)
    np.testing.assert_array_equal(survey.range, np.round(survey.range, 2))


def test_environment_2_drops_a6_and_keeps_the_others(tmp_path: Path) -> None:
    for environment, expected in ((1, 8), (2, 7), (3, 8)):
        write_raw(tmp_path / f"environment{environment}", biased, channels=("ch5",))
        survey = load_survey(tmp_path, environment)
        assert len(survey.anchors) == expected
        assert ("A6" in survey.anchors.ids) == (environment != 2)
    old_name = write_raw(tmp_path / "old" / "location2", biased, channels=("ch5",))
    assert len(load_survey(old_name).anchors) == 7


def test_raw_and_json_of_the_same_clean_samples_agree(tmp_path: Path) -> None:
    def clean(p: int, a: str, c: str) -> list[dict[str, Any]]:
        metres = round(true_range(p, a), 2)
        nlos: Any = int(a == "A3")
        return [sample(a, c, PATH[p], range=metres, nlos=nlos, rss=-70.5 - n) for n in range(5)]

    def text(p: int, a: str, c: str) -> list[dict[str, Any]]:
        return [s | {"nlos": "NLOS" if s["nlos"] else "LOS"} for s in clean(p, a, c)]

    json_ = load_survey(write_json(tmp_path / "environment3" / "data.json", tree(clean)))
    raw = load_survey(write_raw(tmp_path / "raw" / "environment3", text))
    for name in ("path", "point", "anchor", "channel", "nlos", "rss", "rss_fp"):
        np.testing.assert_array_equal(getattr(json_, name), getattr(raw, name))
    np.testing.assert_allclose(json_.range, raw.range, atol=0.011)  # offsets of rounding
    np.testing.assert_array_equal(json_.anchors.positions, raw.anchors.positions)


def test_json_is_preferred_to_raw(tmp_path: Path) -> None:
    write_raw(tmp_path / "raw_data" / "environment0", biased, channels=("ch1",))
    write_json(tmp_path / "environment0" / "data.json", tree(known, channels=("ch1",)))
    assert len(load_survey(tmp_path, 0)) == 5 * 8 * 3


def test_core_samples_by_hand() -> None:
    ranges = np.array([1.0, 1.5, 2.0, 3.0, 3.0, 5.0, 9.0])
    # Neighbours within 2 m, itself included: 5, 5, 5, 6, 6, 3, 1.
    points = np.stack([np.full(7, 4.0), ranges], axis=1)
    assert core_samples(points).tolist() == [True, True, True, True, True, False, False]
    assert core_samples(np.empty((0, 2))).tolist() == []
    assert core_samples(points[:4]).tolist() == [False] * 4


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20)), max_size=40))
def test_core_samples_are_those_of_the_definition(points: list[tuple[float, float]]) -> None:
    array = np.array(points).reshape(-1, 2)
    distance = np.linalg.norm(array[:, None] - array[None], axis=2)
    near = np.abs(distance - 2.0) < 1e-9
    if near.any():  # on the edge, rounding decides
        return
    np.testing.assert_array_equal(core_samples(array), (distance <= 2.0).sum(axis=1) >= 5)


def test_calibration_by_hand() -> None:
    # One anchor and channel; points at true ranges 5, 2, 3 m; the nearest, point 1, is blocked.
    index = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [2, 0, 0]])
    true = np.array([5.0, 2.0, 3.0, 3.0])
    metres = np.array([5.4, 2.9, 3.2, 3.3])
    nlos = np.array([False, True, False, False])
    # Offset at point 2: mean(0.2, 0.3) = 0.25.
    np.testing.assert_allclose(calibrated(index, true, metres, nlos), [5.15, 2.65, 2.95, 3.05])
    np.testing.assert_allclose(calibrated(index, true, metres, ~np.zeros(4, bool)), metres)


def rewrite(tmp_path: Path, edit: Any, name: str = "ch5_A1.csv") -> Path:
    source = write_raw(tmp_path / "environment0", biased, channels=("ch5",))
    file = source / "data" / folder(PATH[0]) / name
    file.write_text(edit(file.read_text()))
    return file


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: t.replace("v1.1", "v2.0", 1), "row 1: expected v1.1, got 'v2.0'"),
        (lambda t: "", "row 1: expected v1.1, got ''"),
        (lambda t: t.replace("RANGE", "DISTANCE"), "row 2: missing column RANGE"),
        (lambda t: t + "4369,8738,0.5\n", "row 9: expected 27 columns, got 3"),
        (lambda t: t.replace(",LOS,", ",LOS,x", 1), "row 3, column RANGE: expected a number"),
        (lambda t: t.replace(",LOS,", ",LOS,nan,", 1), "row 3, column RANGE: expected a finite"),
        (lambda t: t.replace(",LOS,", ",LOS,12345,", 1), "RANGE: expected at most 1000 m"),
        (lambda t: t.replace("8.47", "oops", 1), "row 3, anchor position: expected a number"),
    ],
)
def test_a_bad_file_is_named_with_its_row(tmp_path: Path, edit: Any, message: str) -> None:
    file = rewrite(tmp_path, edit)
    with pytest.raises(InputError, match=message) as error:
        load_survey(tmp_path, 0)
    assert str(file) in str(error.value)


def test_an_anchor_at_two_places_is_refused(tmp_path: Path) -> None:
    rewrite(tmp_path, lambda text: text.replace("8.47", "3.33"))
    with pytest.raises(InputError, match="anchor A1 is at more than one place"):
        load_survey(tmp_path, 0)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_survey(tmp_path / "nowhere", 0)
    with pytest.raises(InputError, match=r"no data\.json and no raw data of environment 1"):
        load_survey(tmp_path, 1)
    with pytest.raises(InputError, match="say which environment"):
        load_survey(tmp_path)
    source = write_raw(tmp_path / "environment0", biased, channels=("ch5",))
    with pytest.raises(InputError, match="is not of environment 1"):
        load_survey(source, 1)
    with pytest.raises(InputError, match="which environment is it"):
        load_survey(source.rename(tmp_path / "unnamed"))
    path = tmp_path / "unnamed" / "walking_path.csv"
    good = path.read_text()
    path.write_text("x,y,z\n")
    with pytest.raises(InputError, match="no points below the header"):
        load_survey(tmp_path / "unnamed", 0)
    path.write_text("x,y,z\n1.0,2.0\n")
    with pytest.raises(InputError, match="row 2: expected x,y,z"):
        load_survey(tmp_path / "unnamed", 0)
    path.write_text(good + "7.0,7.0,7.0\n")
    with pytest.raises(InputError, match=r"7.00_7.00_7.00: no such folder"):
        load_survey(tmp_path / "unnamed", 0)
