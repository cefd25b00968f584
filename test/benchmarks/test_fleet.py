# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer benchmark fleet`: who collides, who keeps to the time, and a run of moments."""

from __future__ import annotations

import numpy as np
import pytest

from locdreamer_ros.benchmarks import airtime, fleet
from locdreamer_ros.benchmarks.result import Settings


def test_what_overlaps_collides() -> None:
    starts = np.array([5.0, 0.0, 1.0, 7.0, 3.0, 9.0])
    ends = np.array([6.0, 4.0, 2.0, 8.0, 3.5, 9.5])
    assert airtime.collided(starts, ends).tolist() == [False, True, True, False, True, False]
    assert not airtime.collided(np.array([0.0, 1.0]), np.array([1.0, 2.0])).any()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TAGS": 20, "DURATION_S": 3.0, "SKIP_S": 1.0, "PATH_S": 20.0}.items():
        monkeypatch.setattr(airtime, name, value)


def test_the_channel_is_asked_for_no_longer_than_there_is_time(few: None) -> None:
    tags = airtime.populate(0)
    assert len(tags.kinds) == len(tags.walks) == 20
    moved = {
        kind: np.mean(
            [
                np.ptp(tags.walks[t].truth[:, :2], axis=0).max()
                for t, k in tags.kinds.items()
                if k == kind
            ]
        )
        for kind in airtime.KINDS
    }
    assert moved["trucks"] > moved["people"] > moved["things"]
    for how in ("in turn", "by information"):
        assert 0.5 < airtime.share(tags, how, 0).busy <= 1.0
    assert airtime.share(tags, "at random", 0, load=0.2).busy < 0.5


def test_a_run_of_moments(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "TAGS", 3)
    monkeypatch.setattr(fleet, "SPEED_S", 1.0)
    monkeypatch.setattr(fleet, "WARM_S", 0.2)
    found = fleet.run(Settings(seeds=(0,)))
    assert found.claims.keys() == {
        "tag_steps_per_s",
        "fleet_steps_per_s",
        "tags_half_core",
        "airtime_gain",
    }
    assert found.claims["fleet_steps_per_s"] > 0.0
    errors = {row["what"]: row["mae"] for row in found.rows if "mae" in row}
    assert len(errors) == 4
    gained = 1.0 - errors["air time by information"] / errors["air time in turn"]
    assert found.claims["airtime_gain"] == pytest.approx(gained)
