# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The accuracy of the default method, held to figures that were written down.

Both ways: a model that is better than its record is another model than the one the pages speak of.
After a change that is meant to change results, look at the new figures, then write them down:

    PYTHONPATH=.:test python test/zero_shot/test_accuracy.py
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from locdreamer_ros.datasets import load_recording
from locdreamer_ros.evaluation.run import evaluate
from locdreamer_ros.methods import Method
from locdreamer_ros.recording import Recording
from locdreamer_ros.simulation import make_world, simulate
from locdreamer_ros.types import Site
from locdreamer_ros.zero_shot.model_file import Weights, save_weights, shipped

RECORD = Path(__file__).with_name("accuracy.json")
LIAS = Path(__file__).parents[3] / "shared" / "data" / "lias"
LIAS_S = 30.0
"""Of each recording: enough to tell models apart."""
SIMULATED = {"house": (150.0, 1.0), "hall": (60.0, 2.0), "lab": (15.0, 10.0)}
"""Duration s and rate Hz; seeds from 200 on, which no claim is measured with."""
SEEDS = (200, 201)
MAE_WITHIN = 0.03
"""Relative. Another processor's arithmetic moves it by far less; other weights by more."""
SCORE_WITHIN = 0.05
"""Nats of the mean log score: it tells a covariance that is wrong, too."""
WORST_SCORE = 8.0
"""A lost estimate counts as this: its own score would hide all others."""

needs_lias = pytest.mark.skipif(
    not LIAS.is_dir(), reason="the LIAS recordings are not beside the repository"
)


@cache
def walks(place: str) -> list[tuple[Recording, Site]]:
    """Recordings of a place."""
    found = []
    if place == "LIAS":
        for name in ("fast", "mid"):
            whole = load_recording(LIAS / f"lias_{name}_tag0.csv")
            part = whole.rows(whole.times < whole.times[0] + LIAS_S)
            found.append((part, Site.of(part.anchors, "2")))
        return found
    duration, rate = SIMULATED[place]
    for seed in SEEDS:
        recording = simulate(place, duration=duration, rate=rate, seed=seed)
        height = make_world(place, seed).tag_height
        found.append((recording, Site.of(recording.anchors, "2", height)))
    return found


def figures(place: str, model: str = "") -> tuple[float, float]:
    """MAE m, and the mean negative log density of the errors under the covariance, nats."""
    errors, scores = [], []
    for recording, site in walks(place):
        track, row = evaluate(recording, Method(model=model), site=site)
        errors.append(row["mae"])
        scored = track.scored()
        error = (track.mean[:, :2] - track.truth[:, :2])[scored]
        covariance = track.covariance[scored][:, :2, :2]
        square = np.einsum("ni,nij,nj->n", error, np.linalg.inv(covariance), error)
        score = 0.5 * (square + np.log(np.linalg.det(covariance))) + np.log(2.0 * np.pi)
        scores.append(np.minimum(score, WORST_SCORE).mean())
    return float(np.mean(errors)), float(np.mean(scores))


def off(place: str, found: tuple[float, float]) -> bool:
    """Whether figures are not those of the record."""
    known = json.loads(RECORD.read_text())[place]
    mae, score = found
    return abs(mae / known["mae"] - 1.0) > MAE_WITHIN or abs(score - known["score"]) > SCORE_WITHIN


@pytest.mark.promise(
    "The default method is as accurate as its record, within 3 %, in the simulated house, hall and "
    "laboratory and on LIAS."
)
@pytest.mark.parametrize("place", [*SIMULATED, pytest.param("LIAS", marks=needs_lias)])
def test_the_default_is_as_accurate_as_its_record(place: str) -> None:
    found = figures(place)
    assert not off(place, found), f"{place}: MAE and score {found}, {RECORD.name} has others"


def worse(folder: Path, seed: int) -> str:
    """A model file with all weights multiplied by 1 + .3 N(0, 1)."""
    rng = np.random.default_rng(seed)
    model = shipped()
    arrays = {k: v * (1.0 + 0.3 * rng.standard_normal(v.shape)) for k, v in model.arrays.items()}
    path = folder / f"{seed}.safetensors"
    save_weights(path, Weights(arrays, model.header))
    return str(path)


@pytest.mark.parametrize("seed", [0, 1])
def test_worse_weights_are_noticed_in_simulation(tmp_path: Path, seed: int) -> None:
    model = worse(tmp_path, seed)
    assert any(off(place, figures(place, model)) for place in SIMULATED)


@needs_lias
@pytest.mark.parametrize("seed", [0, 1])
def test_worse_weights_are_noticed_on_lias(tmp_path: Path, seed: int) -> None:
    assert off("LIAS", figures("LIAS", worse(tmp_path, seed)))


if __name__ == "__main__":
    record = json.loads(RECORD.read_text())
    for place in [*SIMULATED, *(["LIAS"] if LIAS.is_dir() else [])]:
        mae, score = figures(place)
        record[place] = {"mae": round(mae, 4), "score": round(score, 4)}
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    sys.stdout.write(RECORD.read_text())
