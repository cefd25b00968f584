# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The schedulers by name. To add one: a class with `select`, and a row here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from locdreamer_ros.errors import InputError
from locdreamer_ros.learning import require_model
from locdreamer_ros.roles import Scheduler
from locdreamer_ros.schedulers.gdop import Gdop, Wls
from locdreamer_ros.schedulers.sequential import Sequential
from locdreamer_ros.schedulers.simple import All, Nearest, Random, RoundRobin
from locdreamer_ros.types import Site

_SCHEDULERS: dict[str, Callable[[Site, int], Scheduler]] = {
    "all": lambda site, seed: All(),
    "random": lambda site, seed: Random(seed),
    "round-robin": lambda site, seed: RoundRobin(),
    "nearest": lambda site, seed: Nearest(),
    "gdop": lambda site, seed: Gdop(site),
    "gdop-memory": lambda site, seed: Gdop(site, memory=True),
    "sequential": lambda site, seed: Sequential(site),
    "wls": lambda site, seed: Wls(site),
}

NAMES: tuple[str, ...] = tuple(_SCHEDULERS)
LEARNED: tuple[str, ...] = ("actor", "juno")
"""Schedulers that need a model file; `actor` needs torch besides."""


def check_stops(name: str, accuracy: float, price: float) -> None:
    """Raises InputError where a scheduler is to stop early that chooses all anchors beforehand."""
    if name != "sequential" and (accuracy or price):
        raise InputError(
            f"scheduler {name} chooses its anchors beforehand: accuracy and price are for "
            "sequential"
        )


def make_scheduler(
    name: str,
    site: Site,
    *,
    seed: int = 0,
    model: Path | None = None,
    accuracy: float = 0.0,
    price: float = 0.0,
) -> Scheduler:
    """A scheduler for the site; model: the file of a learned one, others ignore it.

    accuracy, price m: when `sequential` asks no more for a fix (0: at the budget).
    Raises InputError for an unknown name, a model that is missing or does not fit, or an accuracy
    or price given to another.
    """
    check_stops(name, accuracy, price)
    if accuracy or price:
        return Sequential(site, accuracy=accuracy, price=price)
    if name == "juno":
        if model is None:
            raise InputError(
                "scheduler juno needs a trained model: --model FILE (locdreamer juno train makes "
                "one)"
            )
        from locdreamer_ros.schedulers.juno import JunoScheduler

        return JunoScheduler.load(site, model)
    if name in LEARNED:
        path = require_model(f"scheduler {name}", model)
        from locdreamer_ros.schedulers.actor import ActorScheduler

        return ActorScheduler.load(site, path)
    if name not in _SCHEDULERS:
        known = ", ".join((*NAMES, *LEARNED))
        raise InputError(f"unknown scheduler {name!r}; expected one of {known}")
    return _SCHEDULERS[name](site, seed)
