# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from worlds import circle_recording

from locdreamer_ros.evaluation.plots import draw_names, figure_of, plot_bars, plot_track
from locdreamer_ros.evaluation.run import evaluate
from locdreamer_ros.methods import Method
from locdreamer_ros.types import Site

WALLS = np.array([[[0.0, 0.0], [8.0, 0.0]], [[8.0, 0.0], [8.0, 8.0]]])


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_track_with_walls_and_baseline(tmp_path, suffix):
    recording = circle_recording(duration=5.0)
    site = Site(recording.anchors)
    tracks = {
        name: evaluate(recording, Method(tracker=name), site=site)[0] for name in ("grid", "ekf")
    }
    path = tmp_path / f"track.{suffix}"
    plot_track(path, recording.anchors, tracks, title="a walk", walls=WALLS)
    assert path.stat().st_size > 5000
    assert list(tmp_path.iterdir()) == [path]


def test_track_without_truth_and_with_a_late_fix(tmp_path):
    recording = dataclasses.replace(circle_recording(duration=5.0), truth=None)
    recording.ranges[:7] = np.nan
    track, _ = evaluate(recording, Method(), site=Site(recording.anchors))
    plot_track(tmp_path / "track.png", recording.anchors, {"grid": track})
    assert (tmp_path / "track.png").stat().st_size > 5000


def test_names_are_no_formulas(tmp_path):
    recording = circle_recording(duration=5.0)
    ids = (r"$\foo$", *recording.anchors.ids[1:])
    anchors = dataclasses.replace(recording.anchors, ids=ids)
    recording = dataclasses.replace(recording, anchors=anchors)
    track, _ = evaluate(recording, Method(), site=Site(anchors))
    plot_track(tmp_path / "track.svg", anchors, {r"$\bar$": track}, title=r"of $\walk$")
    drawn = (tmp_path / "track.svg").read_text(encoding="utf-8")
    for text in (r"$\foo$", r"of $\walk$"):
        assert f"<!-- {text} -->" in drawn


def test_bars_take_a_missing_interval(tmp_path):
    values = {"ekf": [(1.0, 0.1), (0.9, float("nan"))], "grid": [(0.4, 0.02), (0.3, 0.01)]}
    plot_bars(tmp_path / "b.png", ["random", "gdop"], values, ylabel="MAE [m]", title="house")
    assert (tmp_path / "b.png").stat().st_size > 5000


def test_names_of_near_anchors_hide_nothing():
    figure = figure_of(7.0, 6.0)
    axes = figure.subplots()
    places = np.array([[0.0, 0.0], [0.1, 0.3], [8.0, 0.0], [8.0, 8.0]])
    axes.plot(*places.T, "^")
    draw_names(axes, ["A1, z 0.13", "A2, z 2.01", "A3", "A4"], places)
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 4
    marks = axes.transData.transform(places)
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number])
        assert not any(box.contains(*mark) for mark in marks)


def test_long_names_below_bars_are_broken(tmp_path):
    path = tmp_path / "bars.svg"
    words = "at random, the same time asked for"
    plot_bars(path, [words, "in turn"], {"MAE": [(1.0, 0.2), (1.0, 0.2)]}, ylabel="m")
    assert f"<!-- {words} -->" not in path.read_text(encoding="utf-8")
