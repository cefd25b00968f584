# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The JUNO paper's evidence in rooms of our own: its Figures 2 to 4 and RMSE (14).

Each seed is another room, another related one and another walk; methods share the walk and its
arrival times. First-100 claims compare agents that explore alike (epsilon .02 throughout); rows
named `decaying` have the paper's epsilon, from 1 down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from locdreamer_ros.benchmarks import juno_plan as plan
from locdreamer_ros.benchmarks.juno_figures import draw_all
from locdreamer_ros.benchmarks.result import Result, Row, Settings, with_interval
from locdreamer_ros.benchmarks.spreading import spread
from locdreamer_ros.errors import require
from locdreamer_ros.evaluation.intervals import Interval, mean_interval, paired_reduction
from locdreamer_ros.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from locdreamer_ros.juno.paper.learning import Learnt
    from locdreamer_ros.juno.paper.room import Room


def blocks(values: FloatArray) -> FloatArray:
    """Means over every `EPOCHS_OF_A_POINT` epochs."""
    return np.asarray(
        values[: len(values) // plan.EPOCHS_OF_A_POINT * plan.EPOCHS_OF_A_POINT]
        .reshape(-1, plan.EPOCHS_OF_A_POINT)
        .mean(axis=1)
    )


def measures(errors: FloatArray, found: BoolArray | None) -> dict[str, float]:
    """Scores of errors (T,) m of fixes, and which had a root (T,)."""
    from locdreamer_ros.juno.paper.learning import THRESHOLD_M

    return {
        "mean_error": float(errors.mean()),
        "rmse": float(np.sqrt((errors**2).mean())),  # (14)
        "p90": float(np.percentile(errors, 90)),
        "success": float((errors <= THRESHOLD_M).mean()),
        "no_root": float("nan") if found is None else float(1.0 - found.mean()),
        "first100": float("nan"),
    }


def one_seed(seed: int) -> plan.Seed:
    """Everything in the rooms of one seed."""
    from locdreamer_ros.juno.paper.room import draw_room, draw_room_with_walls

    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)]
    answer = plan.Seed()
    room = draw_room(streams[0])
    _true_zone(answer, plan.IID, room, streams[1], seed)
    _sweeps(answer, room, streams[3])
    _tracked(answer, plan.IID, room, streams[2])
    _readings(answer, room, np.random.default_rng([seed, 1]))
    walled = draw_room_with_walls(streams[0])
    _true_zone(answer, plan.WALLS, walled, streams[1], seed)
    _tracked(answer, plan.WALLS, walled, streams[2])
    return answer


def _true_zone(
    answer: plan.Seed, setting: str, room: Room, rng: np.random.Generator, seed: int
) -> None:
    """Agents and baselines where the state is the true zone."""
    from locdreamer_ros.juno.paper import baselines, dqn
    from locdreamer_ros.juno.paper.guides import gdop_table, scheduler_table
    from locdreamer_ros.juno.paper.walk import (
        draw_walk,
        fix_errors,
        follow,
        measure_walk,
        rectangle,
    )
    from locdreamer_ros.schedulers.simple import Nearest

    walk = draw_walk(room, plan.STEPS, rng)

    def score(method: str, fixes: FloatArray, found: BoolArray | None = None) -> dict[str, float]:
        errors = fix_errors(room, walk, fixes)
        answer.scores[setting, method] = measures(errors, found)
        if setting == plan.IID:
            answer.errors[method] = errors
        return answer.scores[setting, method]

    gdop, nearest = gdop_table(room), scheduler_table(room, Nearest())
    agents, teacher = _learned(room, rng, gdop)
    for method, learnt in agents.items():
        fixes, found = follow(room, walk, learnt.table[walk.zones])
        score(method, fixes, found)["first100"] = float(learnt.errors[: plan.FIRST_EPOCHS].mean())
        if setting == plan.IID:
            answer.curves[method] = blocks(learnt.errors)
    tables = {
        "GDOP": gdop,
        "nearest (NN-NS)": nearest,
        "related policy, not learning": teacher.table,
        "DQN": np.argmax(dqn.learn_deep(room, rng), axis=1),
    }
    for method, table in tables.items():
        score(method, *follow(room, walk, table[walk.zones]))
    anything = rng.integers(len(room.actions), size=plan.STEPS)
    score("random (RNS)", *follow(room, walk, anything))
    score("WLS", baselines.locate_by_wls(room, walk))
    score("all beacons", baselines.locate_by_all(room, walk, robust=False)[0])
    score("all beacons, robust", baselines.locate_by_all(room, walk, robust=True)[0])
    if setting == plan.IID and find_spec("torch") is not None:
        import torch

        from locdreamer_ros.juno.paper.regressors import locate_by_net

        torch.set_num_threads(1)
        training = draw_walk(room, 2 * plan.STEPS, rng)
        for kind in ("cnn", "lstm"):
            score(kind.upper(), locate_by_net(kind, room, training, walk, seed=seed))
    if setting == plan.IID:
        around = measure_walk(room, rectangle(room), rng)
        answer.beacons = room.beacons
        answer.paths["ground truth"] = room.centres[around.zones]
        for name, table in (
            ("JUNO", agents[plan.JUNO].table),
            ("GDOP", gdop),
            ("nearest", nearest),
        ):
            answer.paths[name] = follow(room, around, table[around.zones])[0]


def _learned(
    room: Room, rng: np.random.Generator, gdop: IntArray
) -> tuple[dict[str, Learnt], Learnt]:
    """Agents by name, learned in the room; and the teacher, learned in a related one.

    gdop (Z,): GDOP's action in each zone.
    """
    from locdreamer_ros.juno.paper.guides import random_table
    from locdreamer_ros.juno.paper.learning import Learning, learn
    from locdreamer_ros.juno.paper.room import draw_room, redraw_links

    plain = Learning(epochs=plan.EPOCHS)
    related = redraw_links(room, plan.REDRAWN, rng)
    # The teacher took its time to try everything: what it knows of second choices counts, too.
    study = Learning(epochs=plan.EPOCHS, alpha=0.1, epsilon=1.0, epsilon_fall=0.9995)
    teacher = learn(related, rng, study)
    stranger = learn(draw_room(rng), rng, plain)
    decaying = Learning(epochs=plan.EPOCHS, **plan.DECAYING)
    agents = {
        plan.PLAIN: learn(room, rng, plain),
        plan.JUNO: learn(room, rng, plain, guide=teacher.table),
        plan.WARM: learn(room, rng, plain, start=teacher.q),
        plan.GDOP_GUIDE: learn(room, rng, plain, guide=gdop),
        plan.RANDOM_GUIDE: learn(room, rng, plain, guide=random_table(room, rng)),
        plan.UNRELATED: learn(room, rng, plain, guide=stranger.table),
        f"{plan.PLAIN}, decaying": learn(room, rng, decaying),
        f"{plan.JUNO}, decaying": learn(room, rng, decaying, guide=teacher.table),
        f"{plan.PLAIN}, gamma .9": learn(room, rng, Learning(epochs=plan.EPOCHS, gamma=0.9)),
    }
    return agents, teacher


def _readings(answer: plan.Seed, room: Room, rng: np.random.Generator) -> None:
    """The same room where the reference is blocked like any beacon, and where two circles locate.

    The reference in sight of every zone is an assumption of ours; the paper's text has none.
    """
    from locdreamer_ros.juno.paper.guides import gdop_table, scheduler_table
    from locdreamer_ros.juno.paper.learning import Learning, learn
    from locdreamer_ros.juno.paper.room import block_reference, redraw_links
    from locdreamer_ros.juno.paper.walk import draw_walk, fix_errors, follow
    from locdreamer_ros.schedulers.simple import Nearest

    settings = (
        (plan.HIDDEN, block_reference(room, rng), "reference"),
        (plan.CIRCLES, room, "circles"),
    )
    for setting, place, reading in settings:
        walk = draw_walk(place, plan.STEPS, rng)
        how = Learning(epochs=plan.EPOCHS, reading=reading)
        related = redraw_links(place, plan.REDRAWN, rng)
        guide = learn(related, rng, how).table
        tables = {
            plan.JUNO: learn(place, rng, how, guide=guide).table,
            plan.PLAIN: learn(place, rng, how).table,
            "GDOP": gdop_table(place, reading),
            "nearest (NN-NS)": scheduler_table(place, Nearest()),
        }
        actions = {method: table[walk.zones] for method, table in tables.items()}
        actions["random (RNS)"] = rng.integers(len(place.actions), size=plan.STEPS)
        for method, chosen in actions.items():
            fixes, found = follow(place, walk, chosen, reading)
            answer.scores[setting, method] = measures(fix_errors(place, walk, fixes), found)


def _sweeps(answer: plan.Seed, room: Room, rng: np.random.Generator) -> None:
    """Learning rates, epsilon schedules and guide horizons."""
    from locdreamer_ros.juno.paper.guides import random_table
    from locdreamer_ros.juno.paper.learning import Learning, learn
    from locdreamer_ros.juno.paper.room import redraw_links

    teacher = learn(redraw_links(room, plan.REDRAWN, rng), rng, Learning(epochs=plan.EPOCHS)).table
    by_chance = random_table(room, rng)
    for alpha in plan.ALPHAS:
        learnt = learn(room, rng, Learning(epochs=plan.SWEEP_EPOCHS, alpha=alpha), guide=teacher)
        answer.curves[f"alpha {alpha:g}"] = blocks(learnt.errors)
        answer.rewards[f"alpha {alpha:g}"] = blocks(learnt.rewards)
    for name, schedule in plan.EPSILONS.items():
        learnt = learn(room, rng, Learning(epochs=plan.SWEEP_EPOCHS, **schedule))
        answer.curves[f"epsilon {name}"] = blocks(learnt.errors)
    for horizon in plan.HORIZONS:
        how = Learning(epochs=plan.SWEEP_EPOCHS, guide_horizon=horizon)
        for name, guide in (("random", by_chance), ("related", teacher)):
            learnt = learn(room, rng, how, guide=guide)
            answer.curves[f"H {horizon} {name}"] = blocks(learnt.errors)


def _tracked(answer: plan.Seed, setting: str, room: Room, rng: np.random.Generator) -> None:
    """Agent and baselines that must track the user; all share the belief filter."""
    from locdreamer_ros.juno.paper.guides import gdop_table, scheduler_table
    from locdreamer_ros.juno.paper.tracked import as_values, track
    from locdreamer_ros.juno.paper.walk import draw_walk, fix_errors
    from locdreamer_ros.schedulers.simple import Nearest

    count = len(room.actions)
    training, walk = draw_walk(room, plan.TRACKED_STEPS, rng), draw_walk(room, plan.STEPS, rng)
    q = np.zeros((len(room.centres), count))
    epsilon = np.maximum(0.02, 0.998 ** (np.arange(plan.TRACKED_STEPS) // 100))
    track(room, training, q, average=True, alpha=0.2, epsilon=epsilon, rng=rng)
    policies = {
        "JUNO (belief)": (q, True),
        "GDOP": (as_values(gdop_table(room), count), False),
        "nearest (NN-NS)": (as_values(scheduler_table(room, Nearest()), count), False),
    }
    for method, (values, average) in policies.items():
        tracked = track(room, walk, values, average=average)
        errors = fix_errors(room, walk, tracked.fixes)
        answer.scores[f"{setting}, {plan.TRACKED}", method] = measures(errors, None)
        errors = fix_errors(room, walk, tracked.estimates)
        answer.scores[f"{setting}, {plan.TRACKED} (filtered)", method] = measures(errors, None)


def steps_per_second() -> float:
    """Training steps per second of one core, compiled already: the best of some runs."""
    from locdreamer_ros.juno.paper.learning import Learning, learn
    from locdreamer_ros.juno.paper.room import draw_room

    room = draw_room(np.random.default_rng(0))
    how = Learning(epochs=5000)
    learn(room, np.random.default_rng(1), Learning(epochs=2))
    fastest = np.inf
    for repeat in range(5):
        begin = perf_counter()
        learn(room, np.random.default_rng(repeat), how)
        fastest = min(fastest, perf_counter() - begin)
    return how.epochs * how.horizon / fastest


def _ranges_per_fix(setting: str, method: str) -> int:
    """Beacons heard for a fix, the reference among them; two circles have none."""
    if setting == plan.CIRCLES:
        return 2
    everything = ("WLS", "all", "CNN", "LSTM")
    return 9 if method.startswith(everything) else 3


def tabulate(seeds: Sequence[plan.Seed]) -> list[Row]:
    """One row per setting and method."""
    rows: list[Row] = []
    for setting, method in seeds[0].scores:
        found = [seed.scores[setting, method] for seed in seeds]
        base = [seed.scores[setting, "GDOP"]["mean_error"] for seed in seeds]
        row: Row = {"setting": setting, "method": method}
        row["beacons"] = _ranges_per_fix(setting, method)
        for name in plan.MEASURES:
            values = [scores[name] for scores in found]
            known = not np.isnan(values).any()
            row[name] = row[f"{name}_ci"] = None
            if known:
                with_interval(row, name, mean_interval(values))
        reduction = paired_reduction([scores["mean_error"] for scores in found], base)
        with_interval(row, "below_gdop", reduction)
        rows.append(row)
    return rows


def claimed(seeds: Sequence[plan.Seed]) -> dict[str, float]:
    """The claims, each with the half width of its interval as `<claim>_ci`."""

    def of(setting: str, method: str, name: str) -> list[float]:
        return [seed.scores[setting, method][name] for seed in seeds]

    def less(setting: str, method: str, other: str, name: str = "mean_error") -> Interval:
        return paired_reduction(of(setting, method, name), of(setting, other, name))

    def below_best(setting: str) -> Interval:
        rivals = ("GDOP", "nearest (NN-NS)")
        best = min(rivals, key=lambda rival: float(np.mean(of(setting, rival, "mean_error"))))
        return less(setting, "JUNO (belief)", best)

    intervals: Mapping[str, Interval] = {
        "mean_error": mean_interval(of(plan.IID, plan.JUNO, "mean_error")),
        "success": mean_interval(of(plan.IID, plan.JUNO, "success")),
        "rmse": mean_interval(of(plan.IID, plan.JUNO, "rmse")),
        "below_gdop": less(plan.IID, plan.JUNO, "GDOP"),
        "below_gdop_reference_blocked": less(plan.HIDDEN, plan.JUNO, "GDOP"),
        "below_gdop_circles": less(plan.CIRCLES, plan.JUNO, "GDOP"),
        "first100_guide": less(plan.IID, plan.JUNO, plan.PLAIN, "first100"),
        "first100_warm": less(plan.IID, plan.WARM, plan.PLAIN, "first100"),
        "final_guide": less(plan.IID, plan.JUNO, plan.PLAIN),
        "final_warm": less(plan.IID, plan.WARM, plan.PLAIN),
        "first100_random_guide": less(plan.IID, plan.RANDOM_GUIDE, plan.PLAIN, "first100"),
        "final_random_guide": less(plan.IID, plan.RANDOM_GUIDE, plan.PLAIN),
        "first100_guide_decaying": less(
            plan.IID, f"{plan.JUNO}, decaying", f"{plan.PLAIN}, decaying", "first100"
        ),
        "tracked_below_best": below_best(f"{plan.WALLS}, {plan.TRACKED}"),
        "tracked_filtered_below_best": below_best(f"{plan.WALLS}, {plan.TRACKED} (filtered)"),
        "tracked_iid_below_best": below_best(f"{plan.IID}, {plan.TRACKED}"),
    }
    claims: dict[str, float] = {}
    for name, interval in intervals.items():
        claims[name], claims[f"{name}_ci"] = interval.mean, interval.half_width
    return claims


def run(settings: Settings) -> Result:
    """Run every seed; writes Figures 2 to 4 beside the picture. Raises InputError without numba."""
    require("numba", "benchmark juno")
    speed = steps_per_second()
    seeds = spread(one_seed, settings.seeds, settings, label="rooms")
    from locdreamer_ros.juno.paper.learning import THRESHOLD_M

    packages = [p for p in ("numba", "torch") if find_spec(p) is not None]
    notes = [
        f"10 x 10 m, zones of .5 m, 8 beacons and a reference; success: within {THRESHOLD_M:g} m. "
        f"{plan.EPOCHS} epochs of 100 steps; scored on {plan.STEPS} steps that all methods share.",
        "first-100 claims, %: less error over the first 100 epochs than plain Q-learning with the "
        "same epsilon; final_*, %: less final error (negative: more).",
        ", ".join(f"{package} {version(package)}" for package in packages),
    ]
    if "torch" not in packages:
        notes.append("CNN and LSTM left out: torch is not installed.")
    rows = tabulate(seeds)
    return Result(
        rows=rows,
        claims={**claimed(seeds), "steps_per_s": speed},
        columns={
            "setting": "setting",
            "method": "method",
            "beacons": "beacons/fix",
            "mean_error": "mean m",
            "rmse": "RMSE m",
            "p90": "p90 m",
            "success": "success",
            "no_root": "no root",
            "first100": "first 100 epochs m",
            "below_gdop": "below GDOP %",
        },
        draw=lambda path: draw_all(path, rows, seeds),
        notes=notes,
    )
