# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The front door: recordings by name, seed and anchors."""

from __future__ import annotations

import numpy as np
import pytest

from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import (
    ENVIRONMENTS,
    HOUSE_DEPLOY,
    RUN_STREAM,
    make_world,
    simulate,
    simulate_in,
    stream,
)


def same(one: Recording, other: Recording) -> bool:
    return one.truth is not None and all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
        for name in ("times", "ranges", "truth", "nlos", "rx_power", "first_path_power")
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_same_seed_gives_the_same_recording(environment: str) -> None:
    one, again, other = (simulate(environment, duration=20.0, seed=s) for s in (7, 7, 8))
    assert same(one, again)
    assert one.ranges.shape == (200, len(one.anchors))
    assert np.allclose(np.diff(one.times), 0.1)
    assert not np.array_equal(one.truth, other.truth)  # type: ignore[arg-type]


def test_worlds_and_runs_have_streams_of_their_own() -> None:
    world = make_world("house", 3)
    run = simulate_in(world, duration=20.0, rate=5.0, rng=stream(3, RUN_STREAM))
    assert same(run.only(HOUSE_DEPLOY), simulate("house", duration=20.0, rate=5.0, seed=3))
    other = simulate_in(world, duration=20.0, rate=5.0, rng=stream(4, RUN_STREAM))
    assert not np.array_equal(run.truth, other.truth)  # type: ignore[arg-type]


def test_deploying_other_anchors_changes_nothing_else() -> None:
    all_eight = make_world("house").anchors.ids
    default = simulate("house", duration=10.0)
    everything = simulate("house", duration=10.0, deploy=all_eight)
    assert default.anchors.ids == HOUSE_DEPLOY
    assert everything.anchors.ids == all_eight
    assert same(everything.only(HOUSE_DEPLOY), default)
    pair = simulate("house", duration=10.0, deploy=("A7", "A3"))
    assert pair.anchors.ids == ("A7", "A3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"environment": "attic"}, "unknown environment 'attic'; expected one of house"),
        ({"deploy": ("A1", "B2")}, "unknown anchor 'B2'"),
        ({"duration": 0.0}, "duration: expected a number > 0, got 0"),
        ({"duration": float("nan")}, "duration: expected"),
        ({"duration": 1e9}, "more than 1000000 epochs"),
        ({"rate": -1.0}, "rate: expected a number > 0, got -1"),
        ({"rate": float("inf")}, "rate: expected"),
        ({"seed": -5}, "seed: expected a whole number >= 0, got -5"),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    full: dict[str, object] = {"environment": "house", "duration": 5.0, **arguments}
    with pytest.raises(InputError, match=message):
        simulate(full.pop("environment"), **full)  # type: ignore[arg-type]
