# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `benchmark latency` times is what the roles do one by one."""

from __future__ import annotations

import numpy as np
import pytest

from locdreamer_ros import compiled
from locdreamer_ros.benchmarks.latency import BUDGET, house
from locdreamer_ros.benchmarks.turns import Turns, answer, first_fix
from locdreamer_ros.methods import Method


@pytest.mark.parametrize("scheduler", ["foresight", "nearest"])
def test_its_turns_are_the_turns_by_parts(scheduler: str) -> None:
    recording, site = house(20.0, 1)
    method = Method(scheduler=scheduler, budget=BUDGET)
    one, other = method.make_tracker(site), method.make_tracker(site)
    turns = Turns(one, method.make_scheduler(site), site.anchors, BUDGET)
    chooses = method.make_scheduler(site)
    for tracker in (one, other):
        tracker.start(first_fix(recording, site))
    seated = 0
    for row in range(1, len(recording)):
        dt = float(recording.times[row] - recording.times[row - 1])
        prior, asked = turns.plan(dt)
        expected = other.predict(dt)
        np.testing.assert_array_equal(prior.mean, expected.mean)
        np.testing.assert_array_equal(asked, chooses.select(expected, site.anchors, BUDGET))
        ranges = answer(recording, row, asked)
        turns.absorb(prior, ranges)
        posterior = other.update(ranges)
        assert one.estimate is not None
        np.testing.assert_array_equal(one.estimate.mean, posterior.mean)
        np.testing.assert_array_equal(one.estimate.covariance, posterior.covariance)
        seated += turns._seat is not None
    if compiled.kernel and scheduler == "foresight":
        assert seated > 150, "the kernel made them"
