# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A fair reward for LocDreamer's policy, against GDOP, foresight and random subsets.

The trackers are trained as in `table2` and then held fixed. The policy learns in dreams whose
errors belong to places, every subset tried, from minus the error (now, and half of that a step
later) or minus the expected error; beginning at GDOP, or from scratch. What it learned is kept,
whatever it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import pi
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locdreamer_ros.benchmarks.learned import (
    Place,
    as_trained,
    configs,
    in_groups,
    learn,
    learned,
    place,
    run_test,
)
from locdreamer_ros.benchmarks.result import Result, Row, Settings, summarise, with_interval
from locdreamer_ros.evaluation.intervals import paired_reduction
from locdreamer_ros.evaluation.run import Report
from locdreamer_ros.methods import make_scheduler

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from locdreamer_ros.locdreamer.learning.actor import Actor
    from locdreamer_ros.locdreamer.learning.imagination import Ground
    from locdreamer_ros.locdreamer.model_file import Trained
    from locdreamer_ros.locdreamer.world_model.gaussian import Gaussian

UPDATES, SEQUENCES = 120, 24
GAMMA = 0.5
REACH_M, OF_PLACES = 1.5, 0.8
"""How far an error of a place reaches, and its share of the variance."""
WAVES = 64
"""Of which the field of errors of a place is made."""
RIVALS = ("random", "gdop", "foresight")
POLICIES = {
    "error, beginning at gdop": (False, False),
    "error, from scratch": (False, True),
    "expected error, beginning at gdop": (True, False),
    "expected error, from scratch": (True, True),
}
"""Whether the reward is expected, and whether the policy begins from scratch."""
COLUMNS = {
    "name": "who chooses",
    "mae": "MAE m",
    "rmse": "RMSE m",
    "p90": "p90 m",
    "below_random": "below random, %",
    "below_foresight": "below foresight, %",
}


def place_scores(truth: Tensor, rows: int, generator: Generator) -> Tensor:
    """Standard normal scores (B, T, A) along states (B, T, S): `OF_PLACES` of them a smooth field.

    Each anchor of each dream has a field of its own: a sum of waves, alike within `REACH_M`.
    """
    import torch

    size, steps = truth.shape[:2]
    wave = torch.randn(size, rows, WAVES, 2, generator=generator) / REACH_M
    phase = 2.0 * pi * torch.rand(size, 1, rows, WAVES, generator=generator)
    along = torch.einsum("btc,bawc->btaw", truth[..., :2].cpu(), wave)
    field = (along + phase).cos().sum(-1) * (2.0 / WAVES) ** 0.5
    fresh = torch.randn(size, steps, rows, generator=generator)
    return OF_PLACES**0.5 * field + (1.0 - OF_PLACES) ** 0.5 * fresh


def minus_expected_error(belief: Gaussian, truth: Tensor, dt: Tensor, gamma: float) -> Tensor:
    """Minus the root (M,) m of the position variance, and gamma times that after dt (M,) s."""
    from locdreamer_ros.locdreamer.world_model.dynamics import transition

    ahead = transition(dt)
    later = ahead @ belief.covariance @ ahead.transpose(1, 2)
    now, then = (
        c[:, :2, :2].diagonal(dim1=1, dim2=2).sum(-1).clamp(min=0.0).sqrt()
        for c in (belief.covariance, later)
    )
    return -now - gamma * then


def taught(ground: Ground, where: Place, model: Trained, *, expected: bool, scratch: bool) -> Actor:
    """A policy that learned in dreams on this ground, the tracker (`Trained`) held fixed."""
    import torch

    from locdreamer_ros.locdreamer.learning.actor import Actor
    from locdreamer_ros.locdreamer.learning.algorithm1 import dream_loss, minus_error
    from locdreamer_ros.locdreamer.learning.critic import Critic
    from locdreamer_ros.locdreamer.learning.data import anchor_rows

    task, config = where.task, replace(model.config, gamma=GAMMA)
    shape = {"hidden": model.model.config.hidden, "width": model.model.config.width}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(where.seed)
        actor = Actor(**shape, head="categorical", literal=scratch, residual=1.0)
        critic = Critic(**shape)
    adam = torch.optim.Adam(actor.parameters(), lr=config.learning_rate)
    generator = torch.Generator().manual_seed(where.seed)
    anchor = anchor_rows(task.deploy, task.tag_height)
    reward_of = minus_expected_error if expected else minus_error
    for _ in range(UPDATES):
        dream = ground.draw(SEQUENCES, anchor, generator)
        found = dream_loss(
            model.model, actor, critic, dream, config, generator, reward_of=reward_of
        )
        adam.zero_grad()
        found.actor.sum().backward()
        adam.step()
    actor.requires_grad_(False)
    return actor


def reports_in(where: Place, first: Trained, dreamer: Trained) -> dict[str, Report]:
    """Every row's report; first (stage 1) and dreamer (both stages) are `Trained`."""
    from locdreamer_ros.locdreamer.learning.imagination import Ground

    class Placed(Ground):
        """Dreams whose errors belong to places."""

        def scores(self, truth: Tensor, rows: int, generator: Generator) -> Tensor:
            return place_scores(truth, rows, generator)

    tracker, _ = learned(dreamer, where.site)
    found = {
        name: run_test(where, name, tracker(), make_scheduler(name, where.site, seed=where.seed))[1]
        for name in RIVALS
    }
    ground = Placed(first.model, where.task.train, area=where.task.area, steps=configs({})[1].steps)
    for name, (expected, scratch) in POLICIES.items():
        actor = taught(ground, where, dreamer, expected=expected, scratch=scratch)
        _, policy = learned(replace(dreamer, actor=actor), where.site)
        found[name] = run_test(where, name, tracker(), policy())[1]
    return found


def reports_of(seeds: Sequence[int], settings: Settings) -> list[dict[str, Report]]:
    """Of each seed, whose trackers are trained side by side."""
    places = [place(seed, settings) for seed in seeds]
    tasks, noise = [where.task for where in places], settings.noise
    first = learn(tasks, seeds, noise=noise, imagine_epochs=0)
    models = [learner.model for learner in first]
    dreamers = learn(tasks, seeds, noise=noise, pretrained=models)
    return [
        reports_in(where, as_trained(one, where.task), as_trained(other, where.task))
        for where, one, other in zip(places, first, dreamers, strict=True)
    ]


def run(settings: Settings) -> Result:
    """Train trackers and policies for every seed."""
    found = in_groups(partial(reports_of, settings=settings), settings)
    return summary(found)


def summary(by_seed: Sequence[Mapping[str, Report]]) -> Result:
    """Rows, and how far each policy is below random subsets and foresight, paired by seed."""
    rows: list[Row] = []
    claims: dict[str, Any] = {}
    mae = {name: [float(found[name]["mae"]) for found in by_seed] for name in by_seed[0]}
    for name in mae:
        row = summarise({"name": name}, [found[name] for found in by_seed])
        for rival in ("random", "foresight"):
            with_interval(row, f"below_{rival}", paired_reduction(mae[name], mae[rival]))
        rows.append(row)
        if name in POLICIES:
            key = name.replace(", ", "_").replace(" ", "_")
            for part in ("below_random", "below_foresight"):
                for end in ("", "_ci"):
                    claims[f"{part}_{key}{end}"] = row[f"{part}{end}"] / 100.0
    return Result(
        rows=rows,
        claims=claims,
        columns=COLUMNS,
        draw=lambda path: _draw(path, rows),
        notes=[
            f"{UPDATES} updates of {SEQUENCES} dreams for each policy; the same tracker for all."
        ],
    )


def _draw(path: Path, rows: Sequence[Row]) -> None:
    """Bars of the MAE."""
    from locdreamer_ros.evaluation.plots import plot_bars

    plot_bars(
        path,
        [str(row["name"]).replace(", ", ",\n") for row in rows],
        {"same tracker": [(row["mae"], row["mae_ci"]) for row in rows]},
        ylabel="MAE [m]",
        title="Who chooses three anchors",
    )
