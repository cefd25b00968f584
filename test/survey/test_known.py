# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is said to be known counts where it can be right, and is named where it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import load_anchors, save_range_table
from locdreamer_ros.recording import Recording
from locdreamer_ros.scales import TICK_M
from locdreamer_ros.survey.advice import advice
from locdreamer_ros.survey.problem import Known
from locdreamer_ros.survey.solve import survey
from locdreamer_ros.types import Anchors, FloatArray

PLACES = np.array(
    [[0.0, 0.0, 2.4], [8.0, 0.3, 2.2], [8.2, 6.0, 2.5], [0.2, 6.2, 2.3], [4.0, 7.0, 1.4]]
)
IDS = tuple(f"A{i}" for i in range(5))


def walk(across: float) -> Recording:
    """A minute, 1 m high; across: how far the walk strays from its middle line."""
    times = 0.1 * np.arange(600)
    x, y = 4.0 + 3.0 * np.sin(0.31 * times), 3.0 + across * np.sin(0.47 * times + 0.4)
    tag = np.stack([x, y, np.ones(600)], axis=1)
    noise = 0.05 * np.random.default_rng(1).standard_normal((600, 5))
    ranges = np.linalg.norm(tag[:, None] - PLACES, axis=2) + 0.2 + noise
    return Recording("walk", Anchors(IDS, PLACES), times, ranges)


def known(places: FloatArray) -> Known:
    """The first three of these."""
    some = places.copy()
    some[3:] = np.nan
    return Known(some, tag_height=1.0)


def test_known_places_beside_a_walk_on_a_line_are_believed() -> None:
    """Ranges alone fit many shapes then; the offsets were metres where another was held to them."""
    found = survey(walk(0.0), known(PLACES), 2)
    assert np.abs(found.offset - 0.2).max() < 0.1
    said = " ".join(advice(found, known(PLACES)))
    assert "the walk is nearly a line" in said
    assert "do not fit" not in said


def test_swapped_places_are_what_does_not_fit() -> None:
    swapped = known(PLACES[[2, 1, 0, 3, 4]])
    (line,) = advice(survey(walk(2.3), swapped, 2), swapped)
    assert line.startswith("the known places do not fit the ranges: they are")
    assert "Check ids, units" in line
    assert advice(survey(walk(2.3), known(PLACES), 2), known(PLACES)) == []


def test_a_wall_gives_its_direction(tmp_path: Path) -> None:
    """Of each anchor one coordinate: on two walls along x, on two along y."""
    save_range_table(tmp_path / "w.csv", walk(2.3))
    hints = tmp_path / "known.csv"
    hints.write_text(
        "id,x,y,z\nA0,0,,2.4\nA1,,0.3,2.2\nA2,8.2,,2.5\nA3,0.2,,2.3\nA4,,7,1.4\n", encoding="utf-8"
    )
    argv = ["survey", str(tmp_path / "w.csv"), "--anchors", str(hints), "--tag-height", "1"]
    assert main(argv) == 0
    found = load_anchors(tmp_path / "w_survey.csv")
    np.testing.assert_allclose(found.positions, PLACES, atol=0.12)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (80.0, "known.csv: A0 and A1 are 80.0006 m apart there, and ranges of both together"),
        (8.0, ""),
    ],
)
def test_one_place_out_of_reach_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: float, said: str
) -> None:
    """A slip in one place is no unit of all."""
    save_range_table(tmp_path / "w.csv", walk(2.3))
    hints = tmp_path / "known.csv"
    hints.write_text(f"id,x,y\nA0,0,0\nA1,{wrong},0.3\nA2,8.2,6\n", encoding="utf-8")
    done = main(["survey", str(tmp_path / "w.csv"), "--anchors", str(hints)])
    assert done == (2 if said else 0)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metres", "said"),
    [
        (0.3048, "the ranges are not in metres but, by the anchors, in feet"),
        (TICK_M, "or ticks (15.65 ps)? then call it r_<id>_mm"),
    ],
)
def test_ranges_in_another_unit_than_the_known_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], metres: float, said: str
) -> None:
    """Three known places are as good as an anchors file to tell by."""
    right = walk(2.3)
    save_range_table(tmp_path / "w.csv", right)
    hints = tmp_path / "known.csv"
    hints.write_text("id,x,y,z\nA0,0,0,2.4\nA1,8,0.3,2.2\nA2,8.2,6,2.5\n", encoding="utf-8")
    argv = ["survey", str(tmp_path / "w.csv"), "--anchors", str(hints)]
    assert main(argv) == 0
    save_range_table(tmp_path / "w.csv", replace(right, ranges=right.ranges / metres))
    assert main(argv) == 2
    assert said in capsys.readouterr().err
