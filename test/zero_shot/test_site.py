# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is read off real ranges of a site, and the dreams that are made of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import make_world, simulate_in, stream
from locdreamer_ros.types import Anchors, Site
from locdreamer_ros.zero_shot.dreams import waves
from locdreamer_ros.zero_shot.judge import gain
from locdreamer_ros.zero_shot.model_file import Weights, load_weights, shipped
from locdreamer_ros.zero_shot.reading import LEVELS, Reading, Walk, alike, place_bound, read
from locdreamer_ros.zero_shot.site_dreams import SCALE, SiteDreams, dream_site

HEIGHT = 1.0


@pytest.fixture(scope="module")
def house() -> list[Recording]:
    """Two walks with ranges of all anchors, without and with truth."""
    world = make_world("house", 7)
    return [simulate_in(world, duration=300.0, rate=1.0, rng=stream(7, 1000 + i)) for i in range(2)]


@pytest.fixture(scope="module")
def reading(house: list[Recording]) -> Reading:
    blind = [replace(recording, truth=None) for recording in house]
    return read(blind, shipped(), tag_height=make_world("house", 7).tag_height)


def test_walks_and_errors_are_read_without_truth(house: list[Recording], reading: Reading) -> None:
    errors = []
    for walk, recording in zip(reading.walks, house, strict=True):
        assert recording.truth is not None
        truth = recording.truth[-len(walk.position) :]
        assert np.linalg.norm(walk.position - truth[:, :2], axis=1).mean() < 0.2
        distance = np.linalg.norm(truth[:, None] - recording.anchors.positions, axis=2)
        errors.append(recording.ranges[-len(walk.position) :] - distance)
    error = np.concatenate(errors)
    np.testing.assert_allclose(reading.own, np.nanmedian(error, axis=0), atol=0.1)
    for level in (0.1, 0.5, 0.9):
        true = np.nanquantile(error - np.nanmedian(error, axis=0), level)
        assert np.interp(level, LEVELS, reading.quantiles) == pytest.approx(true, abs=0.15)
    assert reading.lost == pytest.approx(np.isnan(error).mean(), abs=0.01)


@pytest.mark.parametrize(("share", "length"), [(0.8, 1.0), (0.3, 2.0)])
def test_place_bound_errors_are_told_from_fresh_ones(share: float, length: float) -> None:
    rng = np.random.default_rng(0)
    steps = 0.4 * rng.standard_normal((40, 400, 2)).cumsum(axis=1) / 2
    walks = [Walk(np.arange(400.0), position, np.empty((400, 0))) for position in steps]
    field = waves(steps, 4, np.full(40, length), rng)
    error = np.sqrt(share) * field + np.sqrt(1 - share) * rng.standard_normal(field.shape)
    found = place_bound(walks, list(error), np.sort(error.ravel()))
    assert found[0] == pytest.approx(share, abs=0.1)
    assert found[1] == pytest.approx(length, rel=0.35)


def test_waves_correlate_as_is_said() -> None:
    rng = np.random.default_rng(0)
    way = np.array([0.0, 0.5, 1.0, 2.0])
    truth = np.stack([way * 2.0, 0 * way], axis=-1)[None].repeat(4000, axis=0)
    field = waves(truth, 2, np.full(4000, 2.0), rng)
    correlation = (field[:, :1] * field).mean(axis=(0, 2))
    np.testing.assert_allclose(correlation, alike(way), atol=0.04)


def anchors() -> Anchors:
    return Anchors(("A", "B", "new"), np.array([[0.0, 0.0, 2.0], [6.0, 0.0, 2.0], [3.0, 5.0, 2.5]]))


def known() -> Reading:
    around = np.linspace(0.0, 6.0, 100)
    position = np.column_stack([3 + 2 * np.sin(around), 2 + np.cos(around)])
    quantiles = np.interp(LEVELS, [0.0, 0.5, 1.0], [-0.1, 0.0, 0.4])
    ranges = np.column_stack([np.arange(100.0), np.full(100, np.nan)])
    walk = Walk(0.5 * np.arange(100), position, ranges)
    return Reading((walk,), ("A", "B"), np.array([0.3, 0.1]), quantiles, 0.6, 1.0, 0.05)


def test_dreams_follow_the_walk_and_err_as_was_read() -> None:
    dreams = dream_site(known(), anchors(), HEIGHT, 200, 60, np.random.default_rng(0))
    assert dreams.distance.shape == (200, 60, 3)
    walk = known().walks[0].position
    apart = np.linalg.norm(dreams.truth[:, :, None] - walk, axis=-1).min(axis=-1)
    assert apart.max() < 1e-5
    speed = np.linalg.norm(np.diff(dreams.truth, axis=1), axis=-1) / dreams.dt[:, 1:]
    np.testing.assert_allclose(np.linalg.norm(dreams.velocity[:, 1:], axis=-1), speed, atol=1e-4)
    delta = dreams.truth[:, :, None] - dreams.anchor[:, None, :, :2]
    error = dreams.distance - np.sqrt((delta**2).sum(-1) + dreams.anchor[:, None, :, 2] ** 2)
    nearest = np.linalg.norm(dreams.truth[:, :, None] - walk, axis=-1).argmin(axis=-1)
    np.testing.assert_array_equal(dreams.distance[..., 0], nearest)  # heard: as it was measured
    assert np.isnan(dreams.distance[..., 1]).all()  # heard, but lost
    imagined = error[..., 2]
    assert np.nanmedian(imagined) == pytest.approx(0.2, abs=0.1)
    assert np.isnan(imagined).mean() == pytest.approx(0.05, abs=0.01)
    assert np.nanmax(imagined) < 0.4 * SCALE[1] + 1.5
    assert np.isnan(dreams.blocked).all()


def test_pools_depend_on_their_number_and_seed_alone() -> None:
    make = [SiteDreams(known(), anchors(), HEIGHT, seed, 4, 12) for seed in (0, 0, 1)]
    for number in (0, 1):
        a, b, c = (dreams(number).distance for dreams in make)
        np.testing.assert_array_equal(a, b)
        assert a.shape != c.shape or not np.array_equal(a, c, equal_nan=True)
    assert make[0](0).anchor.shape[1] == 3
    assert make[0].about["anchors"] == ["A", "B", "new"]


def test_too_short_a_walk_is_one_line(house: list[Recording]) -> None:
    short = replace(
        house[0],
        times=house[0].times[:30],
        ranges=house[0].ranges[:30],
        **dict.fromkeys(("truth", "stamps", "nlos", "rx_power", "first_path_power")),
    )
    with pytest.raises(InputError, match="29 epochs with a fix, expected at least 60"):
        read([short], shipped(), tag_height=Site.of(short.anchors, "2").tag_height)


def test_a_worse_model_is_told_from_the_shipped_one(house: list[Recording]) -> None:
    blind = [replace(recording, truth=None) for recording in house]
    height = make_world("house", 7).tag_height
    assert gain(blind, shipped(), shipped(), tag_height=height) == (0.0, 0.0)
    # Ranges believed without end: the head that gives them their noise, turned down.
    bias = shipped()["range_head.bias"] - [2.0, 0.0, 0.0]
    worse = Weights({**shipped().arrays, "range_head.bias": bias})
    better, error = gain(blind, worse, shipped(), tag_height=height)
    assert better < -2.0 * error < 0.0


def test_the_command_tunes_the_shipped_model_to_a_recording(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    from locdreamer_ros.cli import main
    from locdreamer_ros.zero_shot import limits, train

    monkeypatch.setattr(train, "STEPS", 32)
    monkeypatch.setattr(limits, "STEPS", 14)
    monkeypatch.setattr(SiteDreams.__init__, "__defaults__", (8, 32))  # pool, steps
    recording = simulate_in(make_world("house", 7), duration=320.0, rate=1.0, rng=stream(7, 1000))
    save_range_table(tmp_path / "walk.csv", recording)
    save_anchors(tmp_path / "walk_anchors.csv", recording.anchors)
    save_anchors(tmp_path / "new.csv", Anchors(("new",), np.array([[1.0, 1.0, 2.0]])))
    model = tmp_path / "site.safetensors"
    command = ["train", "--preset", "zero-shot", "--recording", str(tmp_path / "walk.csv")]
    command += ["--unheard", str(tmp_path / "new.csv"), "--updates", "1", "--output", str(model)]
    assert main(command) == 0
    tuned = load_weights(model)
    assert tuned.header["site"]["anchors"][-1] == "new"
    assert tuned.header["site"]["heard"] == list(recording.anchors.ids)
    assert tuned.header["updates"] == 1
    said = capsys.readouterr().out
    same = all(np.array_equal(tuned[name], shipped()[name]) for name in tuned.arrays)
    assert tuned.header["site"]["kept"] is not same
    assert ("the shipped model stays" in said) is same
    track = ["track", str(tmp_path / "walk.csv"), "--model", str(model)]
    assert main(track) == 0
    capsys.readouterr()
    save_range_table(tmp_path / "short.csv", recording.rows(slice(0, 200)))
    short = [str(tmp_path / "short.csv") if "walk.csv" in part else part for part in command]
    assert main([*short, "--anchors", str(tmp_path / "walk_anchors.csv")]) == 2
    assert "200 epochs are too few: a fifth is kept aside" in capsys.readouterr().err
    assert main([*command[:3], "--deploy", "A1,A2", "--output", str(model)]) == 2
    assert "--deploy does not belong without --recording" in capsys.readouterr().err
