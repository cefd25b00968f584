# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Table 2 of the LocDreamer paper where it was made: Bregar's data set, which the user brings.

`--data` is the folder of the unpacked data set (or one environment of it). Each seed cuts the path
of an environment into three pieces, to train, to validate and to test on: the bias of a range
belongs to its place, so nothing leaks from one into another. In each piece the tag walks to and
fro, one fix a second, with ranges drawn anew for each lap.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from locdreamer_ros.benchmarks import table2
from locdreamer_ros.benchmarks.learned import Place, configs
from locdreamer_ros.benchmarks.result import Result, Row, Settings
from locdreamer_ros.benchmarks.spreading import spread
from locdreamer_ros.datasets.bregar import ENVIRONMENTS, load_survey
from locdreamer_ros.datasets.point_survey import PointSurvey, draw_walk, split_by_path
from locdreamer_ros.errors import InputError
from locdreamer_ros.recording import Recording
from locdreamer_ros.types import Anchors, Site

TRAIN_EPOCHS, VALIDATE_EPOCHS, TEST_EPOCHS = 1200, 300, 300
"""Of the walks to and fro, at least: what the house gives, and half a test walk."""
BOOTSTRAP = ("A3", "A6", "A8")
"""The paper does not name its three: these stand apart. Where one is missing, `A7` steps in."""


def surveys(folder: Path) -> dict[str, PointSurvey]:
    """The environments in the folder of an unpacked data set, by name.

    Raises InputError where there is none, or where one that is there cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the folder of the unpacked data set")
    found: dict[str, PointSurvey] = {}
    for environment in ENVIRONMENTS:
        for root in ("", "data_set", "raw_data", "data_set/raw_data"):
            names = (f"environment{environment}", f"location{environment}")
            if any((folder / root / name).is_dir() for name in names):
                survey = load_survey(folder, environment)
                found[survey.name] = survey
                break
    if not found:
        raise InputError(f"{folder}: found none of environment0 to environment3 (data.json)")
    return found


def to_and_fro(survey: PointSurvey, epochs: int, seed: int) -> Recording:
    """Laps along the path and back until there are at least `epochs`, each with ranges anew."""
    laps: list[Recording] = []
    total = 0
    while total < epochs:
        lap = draw_walk(survey, rate=1.0, seed=1000 * seed + len(laps))
        total += len(lap)
        laps.append(lap)
    truths = [lap.truth for lap in laps if lap.truth is not None]
    turned = [(lap.ranges, truth) for lap, truth in zip(laps, truths, strict=True)]
    rows = [(r[::-1], t[::-1]) if k % 2 else (r, t) for k, (r, t) in enumerate(turned)]
    return Recording(
        survey.name,
        survey.anchors,
        np.arange(float(total)),
        np.concatenate([ranges for ranges, _ in rows]),
        np.concatenate([truth for _, truth in rows]),
    )


def roles(anchors: Anchors, settings: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who has real ranges, and who is imagined. Raises InputError for an unknown anchor."""
    usual = (*(i for i in BOOTSTRAP if i in anchors.ids), "A7")[:3]
    bootstrap = settings.bootstrap or usual
    deploy = settings.deploy or tuple(i for i in anchors.ids if i not in bootstrap)
    anchors.rows((*bootstrap, *deploy))
    return bootstrap, deploy


def place_in(survey: PointSurvey, seed: int, settings: Settings) -> Place:
    """One seed's pieces of an environment. Raises InputError where the path is too short."""
    from locdreamer_ros.locdreamer.learning.data import Walks, area_of
    from locdreamer_ros.locdreamer.learning.train import Task

    bootstrap, deploy = roles(survey.anchors, settings)
    pieces = split_by_path(survey, seed=seed)
    lengths = (TRAIN_EPOCHS, VALIDATE_EPOCHS, TEST_EPOCHS)
    train, validation, test = (
        to_and_fro(piece, length, seed) for piece, length in zip(pieces, lengths, strict=True)
    )
    height = float(survey.path[:, 2].mean())
    steps = configs({})[1].steps

    def task(real: tuple[str, ...]) -> Task:
        def walks(recording: Recording) -> Walks:
            blind = replace(recording.only(real), truth=None)
            return Walks([blind], tag_height=height, steps=steps)

        return Task(
            walks(train),
            walks(validation),
            survey.anchors.subset(deploy),
            height,
            area_of(survey.anchors.subset(real), survey.anchors.subset(deploy)),
        )

    test = test.only(deploy)
    site = Site.of(test.anchors, "2", height)
    return Place(seed, test, site, task(bootstrap), task(deploy), noise=settings.noise)


def _one(job: tuple[str, int], found: dict[str, PointSurvey], settings: Settings) -> dict[str, Any]:
    name, seed = job
    where = place_in(found[name], seed, settings)
    return table2.rows_in(where, *table2.models_of([where]))


def run(settings: Settings) -> Result:
    """Table 2 in each environment that is there. Raises InputError without the data."""
    if settings.data is None:
        raise InputError("benchmark bregar: --data DIR: the folder of the unpacked data set")
    found = surveys(settings.data)
    for survey in found.values():
        roles(survey.anchors, settings)
    jobs = [(name, seed) for name in found for seed in settings.seeds]
    reports = spread(
        partial(_one, found=found, settings=settings),
        jobs,
        settings,
        label="environments",
    )
    rows: list[Row] = []
    claims: dict[str, float] = {}
    notes: list[str] = []
    tables: list[Result] = []
    for name in found:
        mine = [r for (which, _), r in zip(jobs, reports, strict=True) if which == name]
        tables.append(table2.summary(mine))
        rows += [{"environment": name, **row} for row in tables[-1].rows]
        claims |= {f"{name}_{key}": value for key, value in tables[-1].claims.items()}
        notes += [f"{name}: {note}" for note in tables[-1].notes]
    return Result(
        rows=rows,
        claims=claims,
        columns={"environment": "environment", **table2.COLUMNS},
        draw=tables[0].draw,
        notes=notes,
    )
