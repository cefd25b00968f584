# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`locdreamer train --preset zero-shot`: the model of the package anew, in random places."""

from __future__ import annotations

import argparse
import os
from typing import Any

from locdreamer_ros.errors import InputError

PRESET = "zero-shot"
WORKERS = 8
"""Processes that draw dreams, at most."""
POOLS = {"cpu": 96, "cuda": 512}
"""Dreams at once: on a GPU many cost as much as few."""
FOREIGN: dict[str, Any] = {
    "recording": None,
    "environment": None,
    "anchors": None,
    "unheard": None,
    "bootstrap": None,
    "deploy": None,
    "rate": 1.0,
    "tag_height": None,
    "mode": "grounded",
    "noise": None,
    "epochs": None,
    "minibatches": None,
    "imagine_epochs": None,
    "budget": 3,
    "curves": None,
}
"""Options of the other presets, with their defaults: this model belongs to no site."""


def refuse_foreign(options: argparse.Namespace) -> None:
    """Raises InputError for an option that has no use."""
    for name, default in FOREIGN.items():
        if getattr(options, name, default) != default:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"train --preset {PRESET}: {option} does not belong")


def run_zero_shot(options: argparse.Namespace, checkpoint_suffix: str) -> None:
    """Train, save, print. Raises InputError."""
    refuse_foreign(options)
    from time import perf_counter

    from tqdm import tqdm

    from locdreamer_ros import __version__
    from locdreamer_ros.evaluation.tables import save_json
    from locdreamer_ros.locdreamer.device import device_of
    from locdreamer_ros.zero_shot.model_file import Weights, save_weights
    from locdreamer_ros.zero_shot.training.dreams import FAMILIES, HELD_OUT, without
    from locdreamer_ros.zero_shot.training.pools import LESSONS, shortened
    from locdreamer_ros.zero_shot.training.train import train
    from locdreamer_ros.zero_shot.training.trust import DREAMS, with_fitted_covariance

    begin = perf_counter()
    lessons = shortened(options.updates)
    updates = sum(lesson.updates for lesson in lessons)
    held_out = options.held_out or HELD_OUT
    if held_out not in FAMILIES:
        raise InputError(
            f"train: --held-out: expected one of {', '.join(FAMILIES)}, got {held_out!r}"
        )
    device = device_of(options.device)
    pool = POOLS[device]
    checkpoint = options.output.with_suffix(checkpoint_suffix)
    if not options.resume:
        checkpoint.unlink(missing_ok=True)
    how: dict[str, Any] = {
        "seed": options.seed,
        "pool": pool,
        "held_out": held_out,
        "workers": min(WORKERS, os.cpu_count() or 1),
        "device": device,
    }
    curve: list[list[float]] = []
    with tqdm(total=updates, desc="dreaming", unit="update", mininterval=1.0, leave=False) as bar:

        def shown(update: int, loss: float, error: float) -> None:
            curve.append([update, loss, error])
            bar.set_postfix(error_m=f"{error:.3f}", refresh=False)
            bar.update(update + 1 - bar.n)

        model = train(lessons, curve=shown, checkpoint=checkpoint, **how)
    weighed = -(-DREAMS * updates // sum(lesson.updates for lesson in LESSONS))
    with tqdm(total=weighed, desc="weighing its errors", unit="dream", leave=False) as bar:
        model = with_fitted_covariance(model, dreams=weighed, curve=bar.update, **how)
    header = {
        "version": __version__,
        "seed": options.seed,
        "updates": updates,
        "lessons": [lesson.updates for lesson in lessons],
        "families": list(without(held_out)),
        "device": device,
        "pool": pool,
        "weighed": weighed,
    }
    seconds = perf_counter() - begin
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    save_weights(options.output, Weights(arrays, header))
    checkpoint.unlink(missing_ok=True)
    error = curve[-1][2] if curve else float("nan")
    if options.json is not None:
        save_json(
            options.json,
            {**header, "model": str(options.output), "duration_s": seconds, "curve": curve},
        )
    print(f"{options.output}: {updates} updates in {seconds:.0f} s, last error {error:.3f} m")
