# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Offsets: found where they were put in, kept in a file, refused where they cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.cli import main
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.driver.calibration import (
    calibrate,
    centre,
    load_offsets,
    offsets_path,
    save_offsets,
)
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Anchors

OFFSETS = np.array([0.30, -0.12, 0.05, 0.0])


def record(epochs: int = 300, *, blocked: float = 0.3) -> Recording:
    """A walk in a room whose anchors have OFFSETS, with that share of ranges reflected."""
    rng = np.random.default_rng(1)
    places = np.array([[0.0, 0, 2], [8, 0, 2], [8, 8, 2], [0, 8, 2]])
    anchors = Anchors(("1", "2", "3", "4"), places)
    truth = np.column_stack([rng.uniform(1, 7, (epochs, 2)), np.full(epochs, 1.0)])
    ranges = np.linalg.norm(truth[:, None] - anchors.positions, axis=-1) + OFFSETS
    ranges += 0.04 * rng.standard_normal(ranges.shape)
    ranges += (rng.random(ranges.shape) < blocked) * rng.exponential(0.5, ranges.shape)
    return Recording("walk", anchors, np.arange(epochs) * 0.1, ranges, truth)


@pytest.mark.parametrize("blocked", [0.0, 0.3])
def test_offsets_are_found_despite_reflections(blocked: float) -> None:
    found = calibrate(record(blocked=blocked))
    assert found.offset == pytest.approx(OFFSETS, abs=0.015)
    assert (found.error < 0.01).all()
    assert found.doubts == ()
    assert found.common == pytest.approx(OFFSETS.mean(), abs=0.01)
    assert found.antenna_delay == pytest.approx(2 * found.common / 299702547.0 / 15.65e-12, abs=1)


def test_the_centre_beats_the_mean_and_the_median_under_reflections() -> None:
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(200):
        values = 0.05 * rng.standard_normal(100)
        values = np.sort(values + (rng.random(100) < 0.4) * rng.exponential(0.5, 100))
        errors.append([centre(values)[0], np.median(values), values.mean()])
    rms = np.sqrt(np.mean(np.square(errors), axis=0))
    assert rms[0] < 0.5 * rms[1]
    assert rms[0] < 0.5 * rms[2]


def test_an_anchor_with_few_ranges_is_left_out(tmp_path: Path) -> None:
    recording = record()
    recording.ranges[5:, 1] = np.nan
    found = calibrate(recording)
    assert np.isnan(found.offset[1])
    save_offsets(tmp_path / "offsets.csv", found)
    loaded = load_offsets(tmp_path / "offsets.csv", recording.anchors)
    assert set(loaded) == {"1", "3", "4"}
    assert loaded["1"] == pytest.approx(0.30, abs=0.015)


def test_what_cannot_be_calibrated_says_why() -> None:
    recording = record()
    no_truth = Recording("walk", recording.anchors, recording.times, recording.ranges)
    with pytest.raises(InputError, match="true places"):
        calibrate(no_truth)
    flat = record()
    assert flat.truth is not None
    flat.truth[:, 2] = np.nan
    with pytest.raises(InputError, match="gt_z"):
        calibrate(flat)
    with pytest.raises(InputError, match="no anchor has 20 ranges"):
        calibrate(record(10))
    recording.ranges[:, 2] += 30.0
    with pytest.raises(InputError, match="'3' is off by 30"):
        calibrate(recording)


def test_what_is_no_antenna_delay_is_doubted() -> None:
    swapped = record()
    swapped.ranges[:, [0, 1]] = swapped.ranges[:, [1, 0]]
    doubts = calibrate(swapped).doubts
    assert doubts[0].startswith("the ranges of anchor 1 scatter by ")
    assert sum("swapped" in doubt for doubt in doubts) == 2
    moved = record()
    moved.ranges[:, 3] += 2.0
    (doubt,) = calibrate(moved).doubts
    assert "anchor 4 is off by 2.0 m, the others by 0.2 m" in doubt
    still = record()
    assert still.truth is not None
    ranges = still.ranges - np.linalg.norm(still.truth[:, None] - still.anchors.positions, axis=-1)
    here = np.full_like(still.truth, 3.0)
    ranges += np.linalg.norm(here[:, None] - still.anchors.positions, axis=-1)
    (doubt,) = calibrate(Recording("still", still.anchors, still.times, ranges, here)).doubts
    assert "from one place" in doubt


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("id,x\n", "row 1: expected the header id,offset"),
        ("id,offset\n9,0.1\n", "row 2: no anchor '9'"),
        ("id,offset\n1,0.1\n1,0.1\n", "row 3: anchor '1' appears twice"),
        ("id,offset\n1,far\n", "row 2: expected a number"),
        ("id,offset\n1,nan\n", "row 2: expected an offset within"),
        ("id,offset\n1\n", "row 2: expected id,offset"),
    ],
)
def test_a_bad_offsets_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "offsets.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=complaint):
        load_offsets(path, record().anchors)


def test_the_command_writes_beside_the_anchors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = record()
    save_range_table(tmp_path / "walk.csv", recording)
    save_anchors(tmp_path / "site.csv", recording.anchors)
    arguments = ["calibrate", str(tmp_path / "walk.csv"), "--anchors", str(tmp_path / "site.csv")]
    assert main(arguments) == 0
    written = load_offsets(offsets_path(tmp_path / "site.csv"), recording.anchors)
    assert written["2"] == pytest.approx(-0.12, abs=0.015)
    said = capsys.readouterr().out
    assert "ticks" in said
    assert "TX and RX together" in said
