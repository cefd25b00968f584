# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kernel ends a look for other places that finds none: the same as where Python looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kernels import KERNEL

from locdreamer_ros import compiled
from locdreamer_ros import loop as in_loop
from locdreamer_ros.benchmarks.trust import ATTACKS, broken
from locdreamer_ros.evaluation.run import Run, run_offline
from locdreamer_ros.integrity import watch
from locdreamer_ros.integrity.doubt import Doubt
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import make_world, simulate_in
from locdreamer_ros.simulation.random_world import random_world
from locdreamer_ros.types import Site

pytestmark = pytest.mark.skipif(
    not hasattr(KERNEL, "seat"), reason="the kernel is not built: make install"
)
DURATION_S, SEEDS = 90.0, 3


def walks() -> Iterator[tuple[str, Recording, Site]]:
    """In houses, halls and random buildings, one of each in space.

    And with a broken anchor, and with all ranges too short: an offset that is known, or nearly.
    """
    for place in ("house", "hall", "random"):
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            world = random_world(rng) if place == "random" else make_world(place, seed)
            whole = simulate_in(world, duration=DURATION_S, rate=(10.0, 5.0, 2.0)[seed], rng=rng)
            some = np.sort(rng.permutation(len(whole.anchors))[:8])  # few may be anywhere
            whole = whole.only(tuple(whole.anchors.ids[row] for row in some))
            site = Site.of(whole.anchors, "auto" if seed == 0 else "2")
            yield f"{place} {seed}", whole, site
            row = int(rng.integers(len(some)))
            yield f"{place} {seed} short", replace(whole, ranges=whole.ranges - 0.9), site
            yield f"{place} {seed} broken", broken(whole, row, ATTACKS[seed], rng), site
            yield f"{place} {seed} drifting", broken(whole, row, "drift", rng), site


def followed(recording: Recording, site: Site) -> Run:
    method = Method()
    tracker, scheduler = method.make_tracker(site), method.make_scheduler(site)
    return run_offline(recording, site, tracker, scheduler, budget=method.budget)


def test_nothing_hangs_on_who_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimates, covariances, states and names to the last bit."""
    monkeypatch.setattr(compiled, "kernel", KERNEL)
    counts: Counter[str] = Counter()
    alternatives, compare = watch.find_alternatives, Doubt.compare

    def looked(*given: Any) -> Any:
        counts["looks"] += 1
        return alternatives(*given)

    def compared(self: Doubt, *given: Any) -> None:
        before = self.covariance
        compare(self, *given)
        counts["rivals"] += self.covariance is not before

    monkeypatch.setattr(watch, "find_alternatives", looked)
    monkeypatch.setattr(Doubt, "compare", compared)
    spared = 0
    for name, recording, site in walks():
        counts["looks"] = 0
        by_kernel = followed(recording, site)
        spared -= counts["looks"]
        with monkeypatch.context() as patch:
            patch.setattr(in_loop, "plan_all", lambda asked, **_: [None] * len(asked))
            patch.setattr(in_loop, "absorb_all", lambda asked: [None] * len(asked))
            counts["looks"] = 0
            by_parts = followed(recording, site)
        spared += counts["looks"]
        one, other = by_kernel.tracks[0], by_parts.tracks[0]
        for what in ("mean", "covariance", "states"):
            np.testing.assert_array_equal(getattr(one, what), getattr(other, what), name)
        assert one.asking is not None
        assert other.asking is not None
        np.testing.assert_array_equal(one.asking.excluded, other.asking.excluded, name)
    assert spared > 50, "the kernel itself looked"
    assert counts["rivals"] > 50, "and there were rivals"
