# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from locdreamer_ros.alignment import Aligner, Alignment, turned

OFFSET, YAW = np.array([3.0, -1.0]), 2.5
LEVER = np.array([0.4, 0.1])


def way(sigma: float, length: float, seed: int = 0) -> tuple[Alignment | None, np.ndarray]:
    """What is known after a bent way of `length` m, and the robot's true last place."""
    rng = np.random.default_rng(seed)
    aligner, known = Aligner(), None
    for s in np.arange(0.0, length, 0.1):
        pose = np.array([s, 0.3 * np.sin(s), 0.3 * np.cos(s)])
        tag = OFFSET + turned(pose[:2] + turned(LEVER, pose[2]), YAW)
        known = aligner.add(tag + rng.normal(0.0, sigma, 2), max(sigma, 1e-3), pose, LEVER)
    return known, OFFSET + turned(pose[:2], YAW)


def test_a_perfect_way_gives_the_frame_and_the_robot() -> None:
    known, place = way(0.0, 6.0)
    assert known is not None
    assert known.yaw == pytest.approx(YAW, abs=1e-9)
    np.testing.assert_allclose(known.offset, OFFSET, atol=1e-9)
    pose = np.array([5.9, 0.3 * np.sin(5.9)])
    np.testing.assert_allclose(known.placed(pose), place, atol=1e-9)


def test_a_short_way_says_nothing() -> None:
    assert way(0.0, 2.0)[0] is None
    assert way(2.0, 6.0)[0] is None  # as good as short, so uncertain are its places


def test_the_heading_is_within_what_it_claims() -> None:
    errors = []
    for seed in range(50):
        known, _ = way(0.2, 8.0, seed)
        assert known is not None
        errors.append((known.yaw - YAW) / known.sigma)
    assert np.abs(errors).max() < 3.0


def test_standing_still_adds_nothing() -> None:
    aligner = Aligner()
    for _ in range(1000):
        assert aligner.add(np.zeros(2), 0.01, np.zeros(3), LEVER) is None
    assert len(aligner._ways) == 1
