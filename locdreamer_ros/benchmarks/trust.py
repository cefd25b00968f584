# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the tracker is right or says that it is not: broken anchors, clean runs, silence.

Each seed is another house and hall and another walk, at 10 Hz with 3 anchors a fix by default. From
`ONSET_S` on one anchor breaks, in each of the ways of `ATTACKS`, and the run is compared with the
same one without that anchor. Clean runs count false names; silences of several lengths ask how long
the way back takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from locdreamer_ros.benchmarks.result import Result, Row, Settings, with_interval
from locdreamer_ros.benchmarks.spreading import spread
from locdreamer_ros.benchmarks.turns import Turns, first_fix
from locdreamer_ros.evaluation.intervals import mean_interval
from locdreamer_ros.evaluation.metrics import silently_lost
from locdreamer_ros.evaluation.run import run_offline
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import RUN_STREAM, World, make_world, simulate_in, stream
from locdreamer_ros.types import Anchors, BoolArray, FloatArray, Ranges, Site

RATE_HZ, DURATION_S, ONSET_S = 10.0, 90.0, 30.0
PLACES = ("house", "hall")
COUNTS = (5, 8)
FAST = ("5 m short", "5 m long", "garbage")
SLOW = ("2 m short", "drift", "drift short")
"""Named within 5 s and within 20 s."""
MISPLACED_M = 2.0
ATTACKS = (*FAST, *SLOW, "replay", "misplaced", "swapped")
CLEAN_PLACES = (*PLACES, "lab", "random")
CLEAN_RATES_HZ = (1.0, 3.0, 10.0)
BEGUN = 10
"""Fixes of a clean run that are not compared: the filter alone begins at the truth."""
SILENCES_S = (1.0, 5.0, 20.0, 60.0, 300.0, 600.0)
BACK_M = 1.0
"""A track nearer than this is back after a silence."""
HOUR_S = 3600.0


@dataclass(frozen=True, eq=False)
class Watched:
    """One run: error (T,) m at times (T,) s, NaN without estimate; named (T, A), whom it accuses.

    lost: off for long while it said that all is well.
    """

    times: FloatArray
    error: FloatArray
    named: BoolArray
    lost: bool


def watched(recording: Recording, site: Site, method: Method) -> Watched:
    """Run a method on a recording."""
    tracker, scheduler = method.make_tracker(site), method.make_scheduler(site)
    track = run_offline(recording, site, tracker, scheduler, budget=method.budget).tracks[0]
    assert track.asking is not None
    error = np.hypot(*(track.mean[:, :2] - track.truth[:, :2]).T)
    return Watched(track.times, error, track.asking.excluded, silently_lost(track))


def broken(recording: Recording, row: int, attack: str, rng: np.random.Generator) -> Recording:
    """The recording with the anchor `row` broken from `ONSET_S` on."""
    ranges = recording.ranges.copy()
    late = recording.times >= ONSET_S
    since = recording.times[late] - ONSET_S
    if attack == "swapped":
        other = (row + 1) % ranges.shape[1]
        ranges[late, row], ranges[late, other] = ranges[late, other], ranges[late, row].copy()
    elif attack == "garbage":
        ranges[late, row] = rng.uniform(0.3, 200.0, int(late.sum()))
    elif attack == "replay":
        heard = ranges[~late, row]
        ranges[late, row] = heard[np.isfinite(heard)][-1]
    elif attack == "misplaced":
        return replace(recording, anchors=_misplaced(recording.anchors, row, rng))
    else:
        moved = {"5 m short": -5.0, "5 m long": 5.0, "2 m short": -2.0}
        slope = {"drift": 0.1, "drift short": -0.1}
        off = slope[attack] * since if attack in slope else np.full(since.size, moved[attack])
        ranges[late, row] = np.maximum(ranges[late, row] + off, 0.05)
    return replace(recording, ranges=ranges)


def _misplaced(anchors: Anchors, row: int, rng: np.random.Generator) -> Anchors:
    """The anchors with one of them `MISPLACED_M` off in the file, from the beginning."""
    places, way = anchors.positions.copy(), rng.uniform(0.0, 2.0 * np.pi)
    places[row, :2] += MISPLACED_M * np.array([np.cos(way), np.sin(way)])
    return replace(anchors, positions=places)


def walk(world: World, seed: int, duration: float, rate: float) -> Recording:
    """A walk in the world with all its anchors; what a device guesses of links is left out."""
    rng = stream(seed, RUN_STREAM)
    drawn = simulate_in(world, duration=duration, rate=rate, rng=rng)
    return replace(drawn, nlos=None, rx_power=None, first_path_power=None)


def chosen(world: World, count: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Ids of `count` anchors: those the place deploys, or drawn far from each other."""
    if count == len(world.deploy):
        return world.deploy
    places = world.anchors.positions[:, :2]
    rows = [int(rng.integers(len(places)))]
    while len(rows) < min(count, len(places)):
        away = np.linalg.norm(places[:, None] - places[rows], axis=-1).min(axis=1)
        rows.append(int(np.argmax(away)))
    return tuple(world.anchors.ids[row] for row in sorted(rows))


@dataclass(frozen=True)
class Attack:
    """What came of one broken anchor.

    delay s until it was named (inf: never); ratio of the MAE to that of the run without it; silent:
    lost without saying so.
    """

    kind: str
    place: str
    count: int
    delay: float
    ratio: float
    mae: float
    silent: bool


@dataclass(frozen=True)
class Seed:
    """All that one seed found out."""

    attacks: list[Attack]
    clean_hours: float
    false_names: int
    clean_lost: int
    farthest: float
    ratios: dict[tuple[str, float], float]
    returns: dict[float, float]


def attacked(place: str, count: int, seed: int) -> list[Attack]:
    """Each attack on one anchor of a place, drawn by the seed."""
    rng = np.random.default_rng([seed, count])
    world = make_world(place, seed)
    whole = walk(world, seed, DURATION_S, RATE_HZ).only(chosen(world, count, rng))
    site = Site.of(whole.anchors, "2", world.tag_height)
    method = Method(seed=seed)
    row = int(rng.integers(count))
    late = whole.times >= ONSET_S
    ids = whole.anchors.ids
    found = []
    for attack in ATTACKS:
        hurt = {row, (row + 1) % count} if attack == "swapped" else {row}
        rest = whole.only(tuple(i for r, i in enumerate(ids) if r not in hurt))
        without = watched(rest, replace(site, anchors=rest.anchors), method)
        bad = broken(whole, row, attack, rng)
        run = watched(bad, replace(site, anchors=bad.anchors), method)
        named = run.times[late & run.named[:, sorted(hurt)].any(axis=1)]
        mae = float(np.nanmean(run.error[late]))
        found.append(
            Attack(
                attack,
                place,
                count,
                float(named[0]) - ONSET_S if named.size else np.inf,
                mae / float(np.nanmean(without.error[late])),
                mae,
                run.lost,
            )
        )
    return found


def cleaned(seed: int) -> tuple[float, int, int, float, dict[tuple[str, float], float]]:
    """Hours of clean runs, false names in them, runs lost, largest error m, ratios to the filter.

    The ratio is of a run's MAE to that of the filter alone, without its watch, by place and rate.
    """
    hours, names, lost, farthest, ratios = 0.0, 0, 0, 0.0, {}
    for place in CLEAN_PLACES:
        world = make_world(place, seed)
        for rate in CLEAN_RATES_HZ:
            recording = walk(world, seed + 1000, 300.0, rate).only(world.deploy)
            site = Site.of(recording.anchors, "2", world.tag_height)
            run = watched(recording, site, Method(seed=seed))
            hours += float(recording.times[-1]) / HOUR_S
            names += int((run.named[1:] & ~run.named[:-1]).sum() + run.named[0].sum())
            lost += run.lost
            farthest = max(farthest, float(np.nanmax(run.error)))
            plain = alone(recording, site, Method(seed=seed))[BEGUN:]
            ratios[place, rate] = float(np.nanmean(run.error[BEGUN:]) / plain.mean())
    return hours, names, lost, farthest, ratios


def alone(recording: Recording, site: Site, method: Method) -> FloatArray:
    """Errors (T,) m of a method's filter without a watch, begun at the truth."""
    tracker = method.make_tracker(site)
    tracker.start(first_fix(recording, site))
    turns = Turns(tracker, method.make_scheduler(site), site.anchors, method.budget)
    assert recording.truth is not None, "a simulated walk"
    error = np.zeros(len(recording))
    for row in range(1, len(recording)):
        time = float(recording.times[row])
        prior, asked = turns.plan(time - float(recording.times[row - 1]))
        estimate = turns.absorb(prior, Ranges.of(asked, recording.ranges[row, asked], time))
        error[row] = np.hypot(*(estimate.position[:2] - recording.truth[row, :2]))
    tracker.close()
    return error


def returned(seed: int) -> dict[float, float]:
    """Seconds from the first range after a silence until the estimate is right, and stays so.

    Walls make any track err by more than `BACK_M` now and then. What the same run without the
    silence gets wrong at that moment too is no fault of the return.
    """
    world = make_world("house", seed)
    found = {}
    for silence in SILENCES_S:
        whole = walk(world, seed + 2000, 40.0 + silence, RATE_HZ).only(world.deploy)
        site = Site.of(whole.anchors, "2", world.tag_height)
        gap = (whole.times >= 20.0) & (whole.times < 20.0 + silence)
        right = {}
        for name, recording in (("whole", whole), ("returned", whole.rows(~gap))):
            run = watched(recording, site, Method(seed=seed))
            right[name] = run.error[run.times >= 20.0 + silence - 1e-9] < BACK_M
        wrong = np.flatnonzero(~right["returned"] & right["whole"])
        early = wrong[wrong < 5.0 * RATE_HZ]
        found[silence] = (float(early[-1]) + 1.0) / RATE_HZ if early.size else 0.0
    return found


def one_seed(seed: int) -> Seed:
    """Everything for one seed."""
    attacks = [a for place in PLACES for count in COUNTS for a in attacked(place, count, seed)]
    return Seed(attacks, *cleaned(seed), returned(seed))


def run(settings: Settings) -> Result:
    """Run everything over all seeds."""
    found = spread(one_seed, settings.seeds, settings, label="seeds")
    attacks = [attack for seed in found for attack in seed.attacks]
    rows: list[Row] = []
    for place in PLACES:
        for count in COUNTS:
            for kind in ATTACKS:
                group = [a for a in attacks if (a.place, a.count, a.kind) == (place, count, kind)]
                rows.append(_row(place, count, kind, group))
    hours = sum(seed.clean_hours for seed in found)
    returns = [delay for seed in found for delay in seed.returns.values()]

    def named(kinds: Sequence[str], within: float) -> float:
        return float(np.mean([a.delay <= within for a in attacks if a.kind in kinds]))

    clean = {
        group: float(np.exp(np.mean(np.log([seed.ratios[group] for seed in found]))))
        for group in found[0].ratios
    }
    single = [a.ratio for a in attacks if a.kind in (*FAST, *SLOW)]
    claims = {
        "named_in_5s": named(FAST, 5.0),
        "named_in_20s": named(SLOW, 20.0),
        "false_alarms_per_hour": sum(seed.false_names for seed in found) / hours,
        "bad_anchor_ratio": float(np.mean(single)),
        "bad_anchor_ratio_median": float(np.median(single)),
        "clean_ratio_max": max(clean.values()),
        "clean_max_m": max(seed.farthest for seed in found),
        "return_s_p95": float(np.percentile(returns, 95)),
        "lost_silently": sum(a.silent for a in attacks) + sum(seed.clean_lost for seed in found),
    }
    return Result(
        rows=rows,
        claims=claims,
        columns={
            "place": "place",
            "anchors": "anchors",
            "attack": "attack",
            "named": "named",
            "delay_p50": "after s",
            "mae": "MAE m",
            "ratio": "to without it",
            "silent": "lost silently",
        },
        draw=partial(_draw, rows=rows),
        notes=[
            f"{len(found)} seeds, {RATE_HZ:g} Hz, simulator; ratio: to the same run without the "
            f"broken anchor. Clean: {hours:.1f} h, MAE to that of the filter alone: "
            + ", ".join(f"{p} {rate:g} Hz {ratio:.3f}" for (p, rate), ratio in clean.items()),
        ],
    )


def _row(place: str, count: int, kind: str, group: Sequence[Attack]) -> Row:
    row: Row = {"place": place, "anchors": count, "attack": kind}
    row["named"] = float(np.mean([np.isfinite(a.delay) for a in group]))
    row["delay_p50"] = float(np.median([a.delay for a in group]))
    with_interval(row, "mae", mean_interval([a.mae for a in group]))
    with_interval(row, "ratio", mean_interval([a.ratio for a in group]))
    row["silent"] = sum(a.silent for a in group)
    return row


def _draw(path: Path, *, rows: Sequence[Row]) -> None:
    """Bars of the ratio to the run without the broken anchor."""
    from locdreamer_ros.evaluation.plots import plot_bars

    places = [(place, count) for place in PLACES for count in COUNTS]
    plot_bars(
        path,
        list(ATTACKS),
        {
            f"{place}, {count} anchors": [
                (row["ratio"], row["ratio_ci"])
                for row in rows
                if (row["place"], row["anchors"]) == (place, count)
            ]
            for place, count in places
        },
        ylabel="MAE over that without the broken anchor",
        title="One broken anchor",
    )
