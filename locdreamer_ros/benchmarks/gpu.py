# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A step of the world model on the processor and on CUDA: for one tag, and for a fleet in a batch.

How long a step takes does not depend on what the model has learned, so nothing is trained here.
Each seed repeats all of it; the methods take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from locdreamer_ros.benchmarks.result import Result, Row, Settings, with_interval
from locdreamer_ros.evaluation.intervals import mean_interval
from locdreamer_ros.types import Anchors, Estimate, FloatArray, Ranges, Site

if TYPE_CHECKING:
    from torch import Tensor

    from locdreamer_ros.locdreamer.model_file import Trained

FLEET = 10_000
"""Tags in one batch."""
BUDGET = 3
ANCHORS = 8
DT_S = 0.1
STEPS = 200
"""Steps timed for one tag; a fleet makes a tenth of them."""
GRAPH = "cuda, graph"
DEVICES = ("cpu", "cuda", GRAPH)
COLUMNS = {
    "name": "where",
    "tags": "tags",
    "step_us_p50": "step p50 us",
    "step_us_p99": "step p99 us",
    "tag_steps_per_s": "tag-steps/s",
}


def run(settings: Settings) -> Result:
    """Time every row over the seeds; without CUDA the processor's alone."""
    import torch

    torch.set_num_threads(1)
    there = DEVICES if torch.cuda.is_available() else DEVICES[:1]
    cases: list[tuple[str, int]] = [(where, tags) for tags in (1, FLEET) for where in there]
    tracked = {f"tracker, {where}": where for where in there if where != "cuda"}
    times: dict[tuple[str, int], list[FloatArray]] = {}
    for seed in settings.seeds:
        for where, tags in cases:
            times.setdefault((where, tags), []).append(batch_times(where, tags, seed))
        for name, where in tracked.items():
            times.setdefault((name, 1), []).append(tracker_times(where, seed))
    rows = [_row(name, tags, found) for (name, tags), found in times.items()]
    of = {(str(row["name"]), int(row["tags"])): row for row in rows}
    claims = {f"step_us_{_key(w)}": float(of[w, 1]["step_us_p50"]) for w in there}
    claims |= {f"tag_steps_per_s_{_key(w)}": float(of[w, FLEET]["tag_steps_per_s"]) for w in there}
    notes = [
        f"{ANCHORS} anchors, {BUDGET} ranges a step of {DT_S} s; predict, update and the answer "
        "back on the processor. Rows called tracker: the tracker `locdreamer` whole, with its "
        "stand-by. One thread."
    ]
    if torch.cuda.is_available():
        notes.append(f"CUDA: {torch.cuda.get_device_name()}, torch {torch.__version__}.")
    draw = partial(_draw, rows=rows)
    return Result(rows=rows, claims=claims, columns=COLUMNS, draw=draw, notes=notes)


def _key(where: str) -> str:
    return where.replace(", ", "_")


def _row(name: str, tags: int, seconds: Sequence[FloatArray]) -> Row:
    row: Row = {"name": name, "tags": tags}
    for key, percent in (("step_us_p50", 50), ("step_us_p99", 99)):
        with_interval(row, key, mean_interval([1e6 * np.percentile(s, percent) for s in seconds]))
    rate = mean_interval([tags / float(np.median(s)) for s in seconds])
    with_interval(row, "tag_steps_per_s", rate)
    return row


def untrained(anchors: Anchors, budget: int, step_s: float) -> Trained:
    """A model for anchors and steps of that length that has learned nothing."""
    import torch

    from locdreamer_ros.locdreamer.learning.actor import Actor, head_for
    from locdreamer_ros.locdreamer.learning.hyperparameters import TrainConfig
    from locdreamer_ros.locdreamer.model_file import Trained, places
    from locdreamer_ros.locdreamer.world_model.model import Area, ModelConfig, WorldModel

    low, high = (
        [float(v) for v in edge[:2]]
        for edge in (anchors.positions.min(axis=0) - 0.5, anchors.positions.max(axis=0) + 0.5)
    )
    config = ModelConfig()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        area = Area((low[0], low[1]), (high[0], high[1]))
        model = WorldModel(config, area).requires_grad_(False)
        head = head_for(len(anchors), budget)
        actor = Actor(hidden=config.hidden, width=config.width, head=head).requires_grad_(False)
    where = places(anchors)
    return Trained(model, actor, TrainConfig(), where, where, (step_s, step_s), 1.0, "", 0)


def _model(device: str) -> tuple[Site, Trained]:
    """A site of anchors on a circle, and a model for it."""
    angle = np.linspace(0.0, 2.0 * np.pi, ANCHORS, endpoint=False)
    spots = np.stack([5.0 * np.cos(angle), 5.0 * np.sin(angle), np.full(ANCHORS, 2.0)], axis=1)
    anchors = Anchors(tuple(f"A{i}" for i in range(ANCHORS)), spots)
    return Site(anchors, 2, 1.0), untrained(anchors, BUDGET, DT_S).to(device)


def _timed(step: Callable[[int], Any], count: int) -> FloatArray:
    """Seconds (count,) of each step, whose answer is on the processor; a tenth goes before."""
    seconds = []
    for number in range(-max(3, count // 10), count):
        begin = perf_counter()
        step(number)
        if number >= 0:
            seconds.append(perf_counter() - begin)
    return np.array(seconds)


def batch_times(where: str, tags: int, seed: int) -> FloatArray:
    """Seconds of steps of `tags` tags in one batch: predict, update, positions back."""
    import torch

    from locdreamer_ros.locdreamer.batch import steps
    from locdreamer_ros.locdreamer.learning.data import anchor_rows
    from locdreamer_ros.locdreamer.world_model.step import Carried, begin

    device = "cpu" if where == "cpu" else "cuda"
    site, trained = _model(device)
    anchor = anchor_rows(site.anchors, site.tag_height).to(device)
    move, take = steps(trained.model, anchor, captured=where == GRAPH)
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-3.0, 3.0, (tags, 2))
    rows = rng.random((tags, ANCHORS)).argsort(axis=1)[:, :BUDGET]
    away = np.linalg.norm(truth[:, None] - site.anchors.positions[rows][..., :2], axis=-1)
    noise = 0.1 * rng.standard_normal(rows.shape)
    fresh = [
        torch.tensor(rows),
        torch.tensor(np.hypot(away, 1.0) + noise, dtype=torch.float32),
        torch.zeros(rows.shape),
        torch.full((tags,), DT_S),
    ]
    mean = torch.tensor(np.concatenate([truth, np.zeros((tags, 2))], axis=1), dtype=torch.float32)
    spread = torch.eye(4).expand(tags, 4, 4)
    tags_now: list[Sequence[Tensor]] = [
        begin(trained.model, mean.to(device), spread.to(device), ANCHORS)
    ]

    def step(number: int) -> Any:
        mean, covariance, hidden, memory = tags_now.pop()
        mean, covariance = move(mean, covariance, hidden, fresh[3])
        tags_now.append(take(mean, covariance, hidden, memory, *fresh))
        return Carried(*tags_now[0]).mean.cpu()

    return _timed(step, STEPS if tags == 1 else STEPS // 10)


def tracker_times(where: str, seed: int) -> FloatArray:
    """Seconds of steps of the tracker as the loop and the nodes run it."""
    from locdreamer_ros.locdreamer.tracker import LocDreamerTracker

    site, trained = _model("cpu" if where == "cpu" else "cuda")
    tracker = LocDreamerTracker(site, trained)
    here = np.zeros(4)
    tracker.start(Estimate(0.0, here, np.eye(4)))
    rng = np.random.default_rng(seed)
    now = [0.0]

    def step(number: int) -> Any:
        now[0] += DT_S
        tracker.predict(DT_S)
        rows = np.sort(rng.permutation(ANCHORS)[:BUDGET])
        return tracker.update(Ranges.of(rows, site.expected(here[None, :2], rows), now[0]))

    with closing(tracker):
        found = _timed(step, STEPS)
        assert not tracker.fallback, tracker.fallback
    return found


def _draw(path: Path, rows: Sequence[Row]) -> None:
    from locdreamer_ros.evaluation.plots import plot_bars

    one = [row for row in rows if row["tags"] == 1]
    plot_bars(
        path,
        [str(row["name"]) for row in one],
        {"p50": [(row["step_us_p50"], row["step_us_p50_ci"]) for row in one]},
        ylabel="median time of a step [us]",
        title=f"One tag, {ANCHORS} anchors, {BUDGET} ranges",
    )
