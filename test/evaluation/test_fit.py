# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What does not belong together is said: swapped ids, another frame, a late clock; nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from locdreamer_ros.evaluation.fit import doubts
from locdreamer_ros.evaluation.run import evaluate, site_of
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import simulate
from locdreamer_ros.types import Anchors

METHOD = Method(dimensions="2")


@pytest.fixture(scope="module")
def walk() -> Recording:
    return simulate("lab", duration=40.0, seed=3)


def said(recording: Recording) -> list[str]:
    site = site_of(recording, METHOD)
    track, _ = evaluate(recording, METHOD, site=site)
    return doubts(recording, track, site.tag_height)


@pytest.mark.parametrize("name", ["house", "hall", "lab"])
def test_what_fits_is_not_doubted(name: str) -> None:
    assert said(simulate(name, duration=40.0, seed=1)) == []
    blinks = simulate(name, duration=40.0, seed=1).as_differences()
    assert said(blinks) == []


def test_ids_that_are_swapped(walk: Recording) -> None:
    ids = walk.anchors.ids
    turned = replace(walk, anchors=Anchors(ids, np.roll(walk.anchors.positions, 1, axis=0)))
    assert any(
        line.startswith("the ranges do not fit the anchors: they are") for line in said(turned)
    )


@pytest.mark.parametrize(("factor", "halved"), [(0.5, "twice"), (2.0, "never")])
@pytest.mark.parametrize("name", ["hall", "lab"])
def test_ranges_that_are_half_or_twice(name: str, factor: float, halved: str) -> None:
    walk = simulate(name, duration=40.0, seed=1)
    scaled = replace(walk, ranges=factor * walk.ranges, truth=None)
    assert any(f"there and back {halved} halved?" in line for line in said(scaled))


@pytest.mark.parametrize("fault", ["frame", "clock"])
def test_truth_of_another_frame_or_clock(walk: Recording, fault: str) -> None:
    assert walk.truth is not None
    truth = np.roll(walk.truth, 30, axis=0) if fault == "clock" else walk.truth[:, [1, 0, 2]]
    (line,) = said(replace(walk, truth=truth))
    assert line.startswith("the truth does not fit the ranges: they are")
    assert said(replace(walk, truth=None)) == []
