# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trackers by name. To add one: a config dataclass, a class with the role's methods, a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locdreamer_ros.config import build
from locdreamer_ros.errors import InputError
from locdreamer_ros.learning import require_model
from locdreamer_ros.roles import Tracker
from locdreamer_ros.trackers.bias_ekf import BiasEkf, BiasEkfConfig
from locdreamer_ros.trackers.ekf import EkfConfig, RobustEkfConfig, ekf, robust_ekf
from locdreamer_ros.trackers.grid import GridConfig, GridTracker
from locdreamer_ros.trackers.guard import zero_shot
from locdreamer_ros.trackers.particle import ParticleConfig, ParticleTracker
from locdreamer_ros.trackers.zero_shot import ZeroShotConfig
from locdreamer_ros.types import Site

Make = Callable[[Site, Any, int, Path | None], Tracker]


@dataclass(frozen=True)
class NoConfig:
    """What a tracker without parameters takes."""


_TRACKERS: dict[str, tuple[type, Make]] = {
    "ekf": (EkfConfig, lambda site, config, seed, model: ekf(site, config)),
    "robust-ekf": (RobustEkfConfig, lambda site, config, seed, model: robust_ekf(site, config)),
    "bias-ekf": (BiasEkfConfig, lambda site, config, seed, model: BiasEkf(site, config)),
    "grid": (GridConfig, lambda site, config, seed, model: GridTracker(site, config)),
    "particle": (
        ParticleConfig,
        lambda site, config, seed, model: ParticleTracker(site, config, seed=seed),
    ),
    "zero-shot": (
        ZeroShotConfig,
        lambda site, config, seed, model: zero_shot(site, model, config),
    ),
}

NAMES: tuple[str, ...] = tuple(_TRACKERS)
LEARNED: tuple[str, ...] = ("locdreamer",)
"""Trackers that need torch and a model file, and have no parameters."""

PRESETS: dict[str, dict[str, dict[str, float]]] = {
    "ekf": {
        # Section "Experiment Setup" of the LocDreamer paper, for one fix a second in a house.
        "paper": {"sigma_acc": 0.2, "sigma_n": 1.0},
        # A calibrated room at about ten fixes a second.
        "calibrated": {"sigma_acc": 1.0, "sigma_n": 0.15},
    },
}
"""Named parameter sets of a tracker; without one, the defaults of its config hold."""


def config_of(name: str) -> type:
    """The config dataclass of a tracker. Raises InputError for an unknown name."""
    if name in LEARNED:
        return NoConfig
    if name not in _TRACKERS:
        known = ", ".join((*NAMES, *LEARNED))
        raise InputError(f"unknown tracker {name!r}; expected one of {known}")
    return _TRACKERS[name][0]


def make_tracker(
    name: str,
    site: Site,
    *,
    preset: str = "",
    parameters: Mapping[str, object] | None = None,
    seed: int = 0,
    model: Path | None = None,
) -> Tracker:
    """A tracker for the site: its defaults, then the preset, then `parameters` over them.

    model: the file of a learned tracker (zero-shot has one of its own); others ignore it. Raises
    InputError for an unknown name, preset or parameter, a value out of range, and a model that is
    missing or does not fit.
    """
    config = config_of(name)
    presets = PRESETS.get(name, {})
    if preset and preset not in presets:
        known = ", ".join(presets) or "none"
        raise InputError(f"tracker {name}: unknown preset {preset!r}; it has: {known}")
    values = {**presets.get(preset, {}), **(parameters or {})}
    if name in LEARNED:
        build(config, values, f"tracker {name}")
        return _learned(name, site, model)
    return _TRACKERS[name][1](site, build(config, values, f"tracker {name}"), seed, model)


def _learned(name: str, site: Site, model: Path | None) -> Tracker:
    """Imported here only: the others do without torch."""
    path = require_model(f"tracker {name}", model)
    from locdreamer_ros.trackers.locdreamer import LocDreamerTracker

    return LocDreamerTracker.load(site, path)
