# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The memory of places: what it learns, forgets, takes out, and which files it reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.errors import InputError
from locdreamer_ros.place_memory import LIMITS_M, MOST_NODES, PlaceMemory, remembered
from locdreamer_ros.types import Anchors, Site

PLACES = np.array([[0.0, 0.0, 2.0], [8.0, 0.0, 2.0], [8.0, 6.0, 2.0], [0.0, 6.0, 2.0]])
SITE = Site(Anchors(("a", "b", "c", "d"), PLACES))
ALL = np.arange(4)


def walked(memory: PlaceMemory, bias: np.ndarray, rng: np.random.Generator, n: int = 400) -> None:
    for _ in range(n):
        place = rng.uniform([2.0, 2.0], [4.0, 4.0])
        memory.fold(place, ALL, bias + 0.05 * rng.standard_normal(4), np.ones(4))


def test_a_constant_bias_is_learned_where_one_was_and_nowhere_else() -> None:
    memory, bias = PlaceMemory(SITE), np.array([0.3, -0.1, 0.6, 0.0])
    walked(memory, bias, np.random.default_rng(0))
    mean, confidence = memory.read(np.array([3.0, 3.0]))
    assert (confidence[[0, 2]] > 0.85).all()
    np.testing.assert_allclose(mean[:3], (confidence * bias)[:3], atol=0.03)
    mean, confidence = memory.read(np.array([7.0, 5.0]))
    np.testing.assert_array_equal(mean, 0.0)
    np.testing.assert_array_equal(confidence, 0.0)


def test_wild_residuals_hardly_move_it_and_no_value_leaves_the_limits() -> None:
    memory, place = PlaceMemory(SITE), np.array([3.0, 3.0])
    for _ in range(60):
        memory.fold(place, ALL, np.full(4, 0.1), np.ones(4))
    assert (memory.read(place)[0] > 0.05).all()
    before = memory.read(place)[0]
    memory.fold(place, ALL, np.full(4, 9.0), np.ones(4))
    assert (np.abs(memory.read(place)[0] - before) < 0.05).all()
    for _ in range(500):
        memory.fold(place, ALL, np.full(4, 9.0), np.ones(4))
    assert memory.mean.max() <= LIMITS_M[1]


def test_relaxation_takes_a_pure_shift_out_and_keeps_what_no_shift_explains() -> None:
    memory = PlaceMemory(SITE)
    memory.weight[:] = 20.0
    shift = np.array([0.2, -0.1])
    memory.mean[:] = memory._direction @ shift + 0.15
    left = np.abs(memory.mean).mean()
    for _ in range(20):
        memory.relax()
    assert np.abs(memory.mean[4:12, 4:10]).mean() < 0.05 * left
    # Perpendicular to two shifts and a common bias: alternating around the middle of the room.
    kept = PlaceMemory(SITE)
    kept.weight[:] = 20.0
    x, y = np.round((np.array([4.0, 3.0]) - kept._low) / kept.cell).astype(int)
    pattern = np.array([0.3, -0.3, 0.3, -0.3])
    kept.mean[:] = pattern
    kept.relax()
    np.testing.assert_allclose(kept.mean[x, y], pattern, atol=0.02)


def test_a_map_that_is_wrong_now_is_not_believed_and_then_learned_anew() -> None:
    memory, rng = PlaceMemory(SITE), np.random.default_rng(1)
    walked(memory, np.array([0.6, 0.6, 0.0, 0.0]), rng)
    assert (memory.trust[:2] == 1.0).all()
    place, now = np.array([3.0, 3.0]), np.array([-0.2, -0.2, 0.0, 0.0])
    walked(memory, now, rng, 150)
    mean, _ = memory.read(place)
    assert (np.abs(mean - now) < 0.15).all()
    assert (mean[:2] < 0.05).all()


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    memory, file = PlaceMemory(SITE), tmp_path / "deep" / "memory.npz"
    walked(memory, np.array([0.3, -0.1, 0.6, 0.0]), np.random.default_rng(0))
    memory.save(file)
    again = remembered(SITE, str(file))
    place = np.array([3.1, 2.7])
    np.testing.assert_allclose(memory.mean, again.mean, atol=1e-6)
    np.testing.assert_allclose(memory.weight, again.weight, atol=1e-5)
    assert memory.read(place)[1].max() > 0.5
    assert again.read(place)[1].max() == 0.0  # until it has proven itself again
    for _ in range(20):
        again.fold(place, ALL, np.array([0.3, -0.1, 0.6, 0.0]), np.ones(4))
    assert again.read(place)[1].max() > 0.5
    assert [p.name for p in file.parent.iterdir()] == ["memory.npz"]
    assert remembered(SITE, str(tmp_path / "none.npz")).weight.sum() == 0.0


def test_other_anchors_and_broken_files_are_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "memory.npz"
    PlaceMemory(SITE).save(file)
    moved = PLACES.copy()
    moved[1, 0] += 0.5
    for anchors in (Anchors(("a", "b", "c", "e"), PLACES), Anchors(("a", "b", "c", "d"), moved)):
        with pytest.raises(InputError, match="other anchors"):
            PlaceMemory(Site(anchors)).load(file)
    whole = file.read_bytes()
    for broken in (b"", b"nonsense", whole[: len(whole) // 2]):
        file.write_bytes(broken)
        with pytest.raises(InputError, match=r"memory\.npz: ") as told:
            PlaceMemory(SITE).load(file)
        assert "\n" not in str(told.value)
    np.savez(file, ids=np.array([object()], dtype=object))
    with pytest.raises(InputError, match="not a memory"):
        PlaceMemory(SITE).load(file)


def test_a_huge_floor_gets_wider_cells() -> None:
    far = Site(Anchors(("a", "b", "c", "d"), PLACES * np.array([100.0, 100.0, 1.0])))
    memory = PlaceMemory(far)
    assert memory.mean.shape[0] * memory.mean.shape[1] < 1.1 * MOST_NODES
    memory.fold(np.array([1e6, -1e6]), ALL, np.ones(4), np.ones(4))
    assert np.isfinite(memory.read(np.array([-1e6, 1e6]))[0]).all()
