# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The schedulers by name. To add one: a class with `select`, and a row here."""

from __future__ import annotations

from collections.abc import Callable

from locdreamer_ros.errors import InputError
from locdreamer_ros.roles import Scheduler
from locdreamer_ros.schedulers.gdop import Gdop, Wls
from locdreamer_ros.schedulers.simple import All, Nearest, Random, RoundRobin
from locdreamer_ros.types import Site

_SCHEDULERS: dict[str, Callable[[Site, int], Scheduler]] = {
    "all": lambda site, seed: All(),
    "random": lambda site, seed: Random(seed),
    "round-robin": lambda site, seed: RoundRobin(),
    "nearest": lambda site, seed: Nearest(),
    "gdop": lambda site, seed: Gdop(site),
    "gdop-memory": lambda site, seed: Gdop(site, memory=True),
    "wls": lambda site, seed: Wls(site),
}

NAMES: tuple[str, ...] = tuple(_SCHEDULERS)


def make_scheduler(name: str, site: Site, *, seed: int = 0) -> Scheduler:
    """A scheduler for the site. Raises InputError for an unknown name."""
    if name not in _SCHEDULERS:
        raise InputError(f"unknown scheduler {name!r}; expected one of {', '.join(NAMES)}")
    return _SCHEDULERS[name](site, seed)
