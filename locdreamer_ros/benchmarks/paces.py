# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The shipped model at several paces, in the simulator and in dreams of the held-out family.

Part of `benchmark zero-shot`. At each pace the model with three ranges by foresight stands against
the better of grid and particle filter, each with the better of its gdop and random runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from locdreamer_ros.benchmarks.methods import BUDGET
from locdreamer_ros.benchmarks.real import RIVAL_SCHEDULERS
from locdreamer_ros.benchmarks.result import Row, summarise
from locdreamer_ros.evaluation.intervals import paired_reduction
from locdreamer_ros.evaluation.run import Report, evaluate
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Anchors, Site
from locdreamer_ros.zero_shot.training.dreams import HELD_OUT, dream

ZERO_SHOT = "zero-shot"
STRONGEST_RIVALS = ("grid", "particle")
FORESIGHT, ALL = "foresight", "all"
DREAMT = f"dreams of {HELD_OUT}"
"""What rows call them."""
WALK_S: Mapping[str, float] = {"house": 240.0, "hall": 150.0, "random": 120.0, DREAMT: 90.0}
RATES = (1.0, 3.0, 10.0)
METHODS = (
    *((ZERO_SHOT, scheduler) for scheduler in (FORESIGHT, "gdop", ALL)),
    *((tracker, scheduler) for tracker in STRONGEST_RIVALS for scheduler in RIVAL_SCHEDULERS),
)
Pace = tuple[str, float, str, str]
"""Place, rate Hz, tracker, scheduler."""


def dreamt(rate: float, seed: int) -> tuple[Recording, Site]:
    """A walk in a dream of the held-out family: it is in the plane where the height is known."""
    rng = np.random.default_rng([seed, round(rate)])
    count = int(rng.integers(5, 9))
    steps = round(WALK_S[DREAMT] * rate)
    found = dream(1, steps, count, rng, families=(HELD_OUT,), rate=rate)
    anchors = Anchors(tuple(f"A{i}" for i in range(count)), found.anchor[0].astype(np.float64))
    recording = Recording(
        DREAMT,
        anchors,
        np.cumsum(found.dt[0].astype(np.float64)),
        found.distance[0].astype(np.float64),
        found.truth[0].astype(np.float64),
    )
    known = bool(found.known[0])
    return recording, Site(anchors, 2 if known else 3, float(found.height[0]))


def walked(place: str, rate: float, seed: int) -> tuple[Recording, Site]:
    """A walk in a place, without what a device guesses of blocked links."""
    if place == DREAMT:
        return dreamt(rate, seed)
    recording = simulate(place, duration=WALK_S[place], rate=rate, seed=seed).blind()
    return recording, Site.of(recording.anchors, "2", make_world(place, seed).tag_height)


def pace_reports(seed: int) -> dict[Pace, Report]:
    """The report of every method in every place at every rate."""
    found = {}
    for place in WALK_S:
        for rate in RATES:
            recording, site = walked(place, rate, seed)
            for tracker, scheduler in METHODS:
                method = Method(tracker=tracker, scheduler=scheduler, budget=BUDGET, seed=seed)
                found[place, rate, tracker, scheduler] = evaluate(recording, method, site=site)[1]
    return found


def pace_rows(reports: Sequence[Mapping[Pace, Report]]) -> list[Row]:
    """One row per place, rate and method."""
    rows = []
    for place, rate, tracker, scheduler in reports[0]:
        row: Row = {"place": f"{place}, {rate:g} Hz", "tracker": tracker, "scheduler": scheduler}
        row["budget"] = BUDGET
        key = place, rate, tracker, scheduler
        rows.append(summarise(row, [each[key] for each in reports]))
    return rows


def _mae(reports: Sequence[Mapping[Pace, Report]], key: Pace) -> list[float]:
    return [float(each[key]["mae"]) for each in reports]


def below(reports: Sequence[Mapping[Pace, Report]], ours: Pace, reference: Pace) -> float:
    """How far the MAE of a method lies below the reference's, as a fraction, paired by seed."""
    return paired_reduction(_mae(reports, ours), _mae(reports, reference)).mean / 100.0


def below_best(reports: Sequence[Mapping[Pace, Report]], place: str, rate: float) -> float:
    """Foresight against the best of the rivals there."""
    rivals = [(place, rate, t, s) for t in STRONGEST_RIVALS for s in RIVAL_SCHEDULERS]
    best = min(rivals, key=lambda key: sum(_mae(reports, key)))
    return below(reports, (place, rate, ZERO_SHOT, FORESIGHT), best)


def pace_claims(reports: Sequence[Mapping[Pace, Report]]) -> dict[str, float]:
    """The least gain over the best rival at each rate; what foresight saves, and what it costs."""
    claims = {
        f"below_best_classical_{rate:g}hz": min(
            below_best(reports, place, rate) for place in WALK_S
        )
        for rate in RATES
    }
    gains = {
        (place, rate): below(
            reports, (place, rate, ZERO_SHOT, FORESIGHT), (place, rate, ZERO_SHOT, "gdop")
        )
        for place in WALK_S
        for rate in RATES
    }
    claims["foresight_below_gdop"] = float(np.mean(list(gains.values())))
    claims["foresight_below_gdop_min"] = min(gains.values())
    claims["foresight_vs_all_10hz"] = float(
        np.mean(
            [
                sum(_mae(reports, (place, 10.0, ZERO_SHOT, FORESIGHT)))
                / sum(_mae(reports, (place, 10.0, ZERO_SHOT, ALL)))
                for place in WALK_S
            ]
        )
    )
    return claims
