# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trackers by name. To add one: a config dataclass, a class with the role's methods, a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from locdreamer_ros.config import build
from locdreamer_ros.errors import InputError
from locdreamer_ros.roles import Tracker
from locdreamer_ros.trackers.bias_ekf import BiasEkf, BiasEkfConfig
from locdreamer_ros.trackers.ekf import EkfConfig, RobustEkfConfig, ekf, robust_ekf
from locdreamer_ros.trackers.grid import GridConfig, GridTracker
from locdreamer_ros.trackers.particle import ParticleConfig, ParticleTracker
from locdreamer_ros.types import Site

Make = Callable[[Site, Any, int], Tracker]

_TRACKERS: dict[str, tuple[type, Make]] = {
    "ekf": (EkfConfig, lambda site, config, seed: ekf(site, config)),
    "robust-ekf": (RobustEkfConfig, lambda site, config, seed: robust_ekf(site, config)),
    "bias-ekf": (BiasEkfConfig, lambda site, config, seed: BiasEkf(site, config)),
    "grid": (GridConfig, lambda site, config, seed: GridTracker(site, config)),
    "particle": (
        ParticleConfig,
        lambda site, config, seed: ParticleTracker(site, config, seed=seed),
    ),
}

NAMES: tuple[str, ...] = tuple(_TRACKERS)

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
    if name not in _TRACKERS:
        raise InputError(f"unknown tracker {name!r}; expected one of {', '.join(NAMES)}")
    return _TRACKERS[name][0]


def make_tracker(
    name: str,
    site: Site,
    *,
    preset: str = "",
    parameters: Mapping[str, object] | None = None,
    seed: int = 0,
) -> Tracker:
    """A tracker for the site: its defaults, then the preset, then `parameters` over them.

    Raises InputError for an unknown name, preset or parameter, or a value out of range.
    """
    config = config_of(name)
    presets = PRESETS.get(name, {})
    if preset and preset not in presets:
        known = ", ".join(presets) or "none"
        raise InputError(f"tracker {name}: unknown preset {preset!r}; it has: {known}")
    values = {**presets.get(preset, {}), **(parameters or {})}
    return _TRACKERS[name][1](site, build(config, values, f"tracker {name}"), seed)
