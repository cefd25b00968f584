# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Walks drawn from a survey of points, and splits in which nothing leaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locdreamer_ros.datasets.point_survey import (
    PointSurvey,
    draw_walk,
    load_survey_file,
    save_survey,
    split_by_path,
)
from locdreamer_ros.errors import InputError
from locdreamer_ros.types import Anchors

ANCHORS = Anchors(("A1", "A2"), np.array([[0.0, 0.0, 2.0], [9.0, 0.0, 2.0]]))


def survey(points: int = 5) -> PointSurvey:
    """Ranges point.anchor-channel-number; A2 is not heard on ch5 at point 0."""
    path = np.array([[float(p), 1.0, 1.0] for p in range(points)])
    samples = [
        [p, a, c, 1 + p + 0.1 * a + 0.01 * c + 0.001 * n, a, -70.0 - p, -75.0 - c]
        for p in range(points)
        for a in range(2)
        for c in range(2)
        for n in range(4)
        if (p, a, c) != (0, 1, 1)
    ]
    rows = np.random.default_rng(1).permutation(np.array(samples))
    return PointSurvey.of("made", path, ANCHORS, ("ch1", "ch5"), rows)


def test_one_epoch_per_point_where_points_are_one_step_apart() -> None:
    made = survey()
    walk = draw_walk(made, seed=3)
    np.testing.assert_array_equal(walk.times, [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(walk.truth, made.path)
    assert walk.anchors.ids == ("A1", "A2")
    for epoch in range(5):
        for anchor in range(2):
            mine = (made.point == epoch) & (made.anchor == anchor)
            assert walk.ranges[epoch, anchor] in made.range[mine]
    np.testing.assert_array_equal(walk.nlos, [[0, 1]] * 5)
    np.testing.assert_array_equal(walk.rx_power, np.tile(-70.0 - np.arange(5), (2, 1)).T)


def test_a_channel_is_a_channel_and_what_was_not_heard_is_missing() -> None:
    walk = draw_walk(survey(), channel="ch5", rate=20.0)
    heard = ~np.isnan(walk.ranges)
    assert np.isnan(walk.ranges[:20, 1]).all()
    assert heard[:20, 0].all()
    assert heard[20:].all()
    hundredths = np.round(walk.ranges[heard] * 100) % 10
    assert (hundredths == 1).all()
    assert np.isnan(walk.nlos[:20, 1]).all()
    np.testing.assert_array_equal(walk.first_path_power[heard], -76.0)
    with pytest.raises(InputError, match="made: unknown channel 'ch9'; expected one of ch1, ch5"):
        draw_walk(survey(), channel="ch9")


def test_rate_and_speed_say_how_long_a_point_is_stood_on() -> None:
    walk = draw_walk(survey(), rate=10.0, speed=0.5)  # 1 m apart: 2 s, 20 epochs each
    assert len(walk) == 4 * 20 + 1  # the last point leads nowhere
    np.testing.assert_array_equal(walk.times, np.round(np.arange(81) * 0.1, 9))
    np.testing.assert_array_equal(walk.truth[:, 0], np.append(np.repeat(np.arange(4), 20), 4))
    assert len(draw_walk(survey(), rate=1.0, speed=50.0)) == 5  # never passed over
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="expected rate and speed above 0"):
            draw_walk(survey(), rate=bad)


def test_every_sample_is_drawn_about_as_often_and_a_seed_is_a_walk() -> None:
    made = survey()
    drawn = np.concatenate([draw_walk(made, seed=s).ranges[2] for s in range(400)])
    values, counts = np.unique(drawn, return_counts=True)
    # 8 samples of each of 2 anchors, 400 draws each: 50 expected, 5 sigma is 33.
    assert values.size == 16
    assert counts.min() > 50 - 33
    assert counts.max() < 50 + 33
    np.testing.assert_array_equal(draw_walk(made, seed=7).ranges, draw_walk(made, seed=7).ranges)
    assert (draw_walk(made, seed=7).ranges != draw_walk(made, seed=8).ranges).any()


@given(
    st.integers(3, 60),
    st.lists(st.integers(1, 10), min_size=1, max_size=4),
    st.integers(0, 100),
)
def test_a_split_cuts_the_path_into_pieces_with_nothing_lost_or_shared(
    points: int, weights: list[int], seed: int
) -> None:
    made = survey(points)
    fractions = np.array(weights) / sum(weights)
    try:
        pieces = split_by_path(made, fractions.tolist(), seed)
    except InputError:
        assert points * fractions.min() <= 1.0
        return
    xs = [piece.path[:, 0] for piece in pieces]
    for x, fraction in zip(xs, fractions, strict=True):
        np.testing.assert_array_equal(np.diff(x), 1.0)  # one piece, in walking order
        assert abs(x.size - points * fraction) <= 1.0
    assert sorted(np.concatenate(xs)) == list(range(points))
    assert sum(map(len, pieces)) == len(made)
    for piece in pieces:
        np.testing.assert_array_equal(np.floor(piece.range + 1e-9) - 1, piece.path[piece.point, 0])


def test_the_seed_moves_the_test_piece_and_bad_fractions_are_refused() -> None:
    made = survey(20)
    starts = {split_by_path(made, seed=s)[2].path[0, 0] for s in range(20)}
    assert len(starts) > 2
    for fractions in ((), (0.5, 0.6), (1.2, -0.2), (1.0, 0.0)):
        with pytest.raises(InputError, match="fractions that add up to 1"):
            split_by_path(made, fractions)
    with pytest.raises(InputError, match="3 points are too few to split"):
        split_by_path(survey(3), (0.9, 0.05, 0.05))


def test_a_file_gives_the_same_survey_and_knows_its_source(tmp_path: Path) -> None:
    made = survey()
    save_survey(tmp_path / "s.npz", made, (5, 7))
    again = load_survey_file(tmp_path / "s.npz", (5, 7))
    assert (again.name, again.channels, again.anchors.ids) == (
        made.name,
        made.channels,
        made.anchors.ids,
    )
    for name in ("path", "point", "anchor", "channel", "range", "nlos", "rss", "rss_fp"):
        np.testing.assert_array_equal(getattr(made, name), getattr(again, name))
        assert getattr(made, name).dtype == getattr(again, name).dtype
    with pytest.raises(InputError, match="made from another file"):
        load_survey_file(tmp_path / "s.npz", (5, 8))
    with pytest.raises(InputError, match=r"ends in \.npz"):
        save_survey(tmp_path / "s.zip", made)
    with pytest.raises(InputError, match="cannot read"):
        load_survey_file(tmp_path / "absent.npz")
    raw = (tmp_path / "s.npz").read_bytes()
    for part in (0.0, 0.1, 0.5, 0.95):
        (tmp_path / "s.npz").write_bytes(raw[: int(part * len(raw))])
        with pytest.raises(InputError, match="expected a cached point survey"):
            load_survey_file(tmp_path / "s.npz")
