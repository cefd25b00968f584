# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The policy as a scheduler, and GDOP standing by."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rooms import trained  # noqa: E402
from worlds import circle_recording, follow, square_anchors  # noqa: E402

from locdreamer_ros.locdreamer.scheduler import ActorScheduler  # noqa: E402
from locdreamer_ros.locdreamer.tracker import LocDreamerTracker  # noqa: E402
from locdreamer_ros.methods import make_tracker  # noqa: E402
from locdreamer_ros.types import Estimate, Ranges, Site  # noqa: E402


@pytest.mark.parametrize("budget", [1, 3, 8, 20])
def test_actor_asks_as_many_as_it_may(budget):
    recording = circle_recording(duration=5.0, rate=2.0)
    site = Site(recording.anchors, 2, 1.0)
    scheduler = ActorScheduler(site, trained())
    steps, _ = follow(recording, LocDreamerTracker(site, trained()), scheduler, site, budget=budget)
    for step in steps[1:]:
        assert len(set(step.plan.anchor.tolist())) == min(budget, 8)
    assert scheduler.fallback == ""


def test_actor_goes_with_any_tracker():
    recording = circle_recording(duration=15.0, rate=2.0)
    site = Site(recording.anchors, 2, 1.0)
    _, errors = follow(
        recording, make_tracker("robust-ekf", site), ActorScheduler(site, trained()), site, budget=3
    )
    assert np.mean(errors[10:]) < 0.2


def test_actor_falls_back_to_gdop():
    site = Site(square_anchors(30), 2, 1.0)
    scheduler = ActorScheduler(site, trained())
    prediction = Estimate(0.0, np.array([4.0, 4.0, 0.0, 0.0]), np.eye(4))
    rows = scheduler.select(prediction, site.anchors, 10)
    assert len(rows) == 10
    assert "too many" in scheduler.fallback
    model = trained()
    with torch.no_grad():
        model.actor.sharpness.fill_(torch.nan)
    scheduler = ActorScheduler(Site(square_anchors(), 2, 1.0), model)
    rows = scheduler.select(prediction, square_anchors(), 3)
    assert len(rows) == 3
    assert scheduler.fallback == "policy not finite"


def test_actor_remembers_how_far_off_ranges_were_at_the_posterior():
    site = Site(square_anchors(), 2, 1.0)
    scheduler = ActorScheduler(site, trained())
    prior = Estimate(1.0, np.array([4.0, 4.0, 0.0, 0.0]), np.eye(4))
    posterior = Estimate(1.0, np.array([4.6, 3.2, 0.5, 0.5]), 0.1 * np.eye(4))
    rows = np.array([1, 6])
    off = site.expected(posterior.position[None], rows) + np.array([0.4, -0.2])
    scheduler.observe(prior, Ranges.of(rows, off, 1.0), posterior)
    memory = scheduler._memory[0].numpy()
    np.testing.assert_allclose(memory[rows, 0], [0.2, -0.1], atol=1e-5)  # half of the newest
    np.testing.assert_allclose(memory[rows, 1], [0.2, 0.1], atol=1e-5)
    assert (memory[[0, 2, 3, 4, 5, 7], 2] == 1.0).all()  # not asked: one step older
    expected = scheduler._model.sequence(
        torch.tensor(posterior.mean[None], dtype=torch.float32),
        scheduler._model.sequence.initial(1),
    )
    torch.testing.assert_close(scheduler._hidden, expected)
