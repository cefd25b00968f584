# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The registry of trackers and schedulers, and `Method`: which of them, with what, for which site.

Command-line options, node parameters and report rows are derived from the fields of `Method`: a new
field is a new option, a new parameter and, where `report` names it, a new column.

To add a tracker: a config dataclass, a class of the role, a row in `_TRACKERS`. A scheduler: a
class and a row in `_SCHEDULERS`. Modules are imported when something is made of them, so that
`--help` needs no numpy and nobody who does not use it needs torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from locdreamer_ros.config import build, parameter
from locdreamer_ros.errors import InputError, require

if TYPE_CHECKING:
    from locdreamer_ros.roles import Scheduler, Tracker
    from locdreamer_ros.types import Anchors, Site

UNKNOWN_HEIGHT = -1.0


@dataclass(frozen=True)
class NoConfig:
    """What a tracker without parameters takes."""


@dataclass(frozen=True)
class _Entry:
    """A tracker: its module, and there its config and its maker (site, config, seed, model)."""

    module: str
    config: str
    maker: str
    presets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


_TRACKERS: dict[str, _Entry] = {
    "zero-shot": _Entry("zero_shot.far_field", "NoConfig", "make"),
    "ekf": _Entry(
        "trackers.ekf",
        "EkfConfig",
        "make_ekf",
        {
            # Section "Experiment Setup" of the LocDreamer paper, for one fix a second in a house.
            "paper": {"sigma_acc": 0.2, "sigma_n": 1.0},
            # A calibrated room at about ten fixes a second.
            "calibrated": {"sigma_acc": 1.0, "sigma_n": 0.15},
        },
    ),
    "robust-ekf": _Entry("trackers.ekf", "RobustEkfConfig", "make_robust_ekf"),
    "bias-ekf": _Entry("trackers.bias_ekf", "BiasEkfConfig", "make"),
    "grid": _Entry("trackers.grid", "GridConfig", "make"),
    "particle": _Entry("trackers.particle", "ParticleConfig", "make"),
    "locdreamer": _Entry("locdreamer.tracker", "NoConfig", "make"),
}
TRACKERS: tuple[str, ...] = tuple(_TRACKERS)
CLASSICAL: tuple[str, ...] = ("ekf", "robust-ekf", "bias-ekf", "grid", "particle")
PRESETS: tuple[str, ...] = tuple(p for entry in _TRACKERS.values() for p in entry.presets)

_SCHEDULERS: dict[str, str] = {
    "foresight": "schedulers.foresight",
    "gdop": "schedulers.gdop",
    "sequential": "schedulers.sequential",
    "all": "schedulers.simple",
    "random": "schedulers.simple",
    "round-robin": "schedulers.simple",
    "nearest": "schedulers.simple",
    "wls": "schedulers.gdop",
    "actor": "locdreamer.scheduler",
    "juno": "juno.scheduler",
}
"""Each module has `make(name, site, *, seed, model, accuracy, price)`, and `device` with torch."""
SCHEDULERS: tuple[str, ...] = tuple(_SCHEDULERS)
NEED_A_MODEL: tuple[str, ...] = ("locdreamer", "actor", "juno")
"""Trackers and schedulers that are nothing without a model file, trained for the site."""
NEED_TORCH: tuple[str, ...] = ("locdreamer", "actor")
LISTENS = "(listens)"
"""Scheduler of a tracker that asks nobody: it is given the ranges that another one asked for."""


@dataclass(frozen=True)
class TrackerChoice:
    """Which tracker: what a node that only listens has to know."""

    tracker: str = parameter("zero-shot", "which tracker", choices=TRACKERS, symbol="T")
    preset: str = parameter(
        "", "named parameters of the tracker; ekf: paper, calibrated", symbol="P"
    )
    model: str = parameter(
        "", "model file of a learned tracker or scheduler; none: zero-shot's own", symbol="FILE"
    )
    compute: str = parameter(
        "auto",
        "where locdreamer and actor compute; auto: where a step is quicker",
        choices=("auto", "cpu", "cuda"),
        symbol="D",
    )
    seed: int = parameter(0, "random seed", low=0, high=2**31 - 1, symbol="N")
    dimensions: str = parameter(
        "auto",
        "of the state: x, y or x, y, z; auto: by the anchors",
        choices=("2", "3", "auto"),
        symbol="D",
    )
    tag_height: float = parameter(
        UNKNOWN_HEIGHT, "known height of the tag, m; -1: unknown", low=-1.0, high=1e4, symbol="Z"
    )


@dataclass(frozen=True)
class Method(TrackerChoice):
    """How a tag is tracked. Immutable; `dataclasses.replace` makes another."""

    scheduler: str = parameter(
        "foresight", "who chooses whom to ask", choices=SCHEDULERS, symbol="S"
    )
    budget: int = parameter(3, "anchors asked for a fix", low=1, high=255, symbol="K")
    accuracy: float = parameter(
        0.0, "sequential: enough at this expected error, m; 0: never", low=0.0, high=1e3, symbol="M"
    )
    price: float = parameter(
        0.0,
        "sequential: what one more range must improve, m; 0: nothing",
        low=0.0,
        high=1e3,
        symbol="M",
    )
    parameters: Mapping[str, Any] = field(default_factory=dict, metadata={"derived": True})
    """The tracker's own, over its preset."""

    def check(self) -> None:
        """All that can be checked without a site. Raises InputError with one clear line."""
        self.check_names()
        self.check_model()

    def check_names(self) -> None:
        """Names and values. Raises InputError."""
        config = config_of(self.tracker)
        presets = _TRACKERS[self.tracker].presets
        if self.preset and self.preset not in presets:
            known = ", ".join(presets) or "none"
            raise InputError(
                f"tracker {self.tracker}: unknown preset {self.preset!r}; it has: {known}"
            )
        build(config, self.parameters, f"tracker {self.tracker}")
        if self.scheduler not in (*_SCHEDULERS, LISTENS):
            known = ", ".join(_SCHEDULERS)
            raise InputError(f"unknown scheduler {self.scheduler!r}; expected one of {known}")
        if self.scheduler != "sequential" and (self.accuracy or self.price):
            raise InputError(
                f"scheduler {self.scheduler} chooses its anchors beforehand: accuracy and price "
                "are for sequential"
            )

    def check_model(self) -> None:
        """Whether the model file that the names need is there. Raises InputError."""
        for role, name in (("tracker", self.tracker), ("scheduler", self.scheduler)):
            if name in NEED_TORCH:
                require("torch", f"{role} {name}")
            if name in NEED_A_MODEL and not self.model:
                command = "juno train" if name == "juno" else "train"
                raise InputError(
                    f"{role} {name} needs a trained model: --model FILE, of a node the parameter "
                    f"model (locdreamer {command} makes one)"
                )
        if self.model and not {self.tracker, self.scheduler} & {"zero-shot", *NEED_A_MODEL}:
            raise InputError(
                f"{self.model}: neither tracker {self.tracker} nor scheduler {self.scheduler} "
                "reads a model"
            )
        if self.model_file is not None and not self.model_file.exists():
            raise InputError(f"{self.model}: cannot read: No such file or directory")

    def site(self, anchors: Anchors) -> Site:
        """The site as this method reads it. Raises InputError for too few anchors."""
        from locdreamer_ros.types import Site

        known = None if self.tag_height == UNKNOWN_HEIGHT else self.tag_height
        return Site.of(anchors, self.dimensions, known)

    @property
    def model_file(self) -> Path | None:
        """The model file, where one is named."""
        return Path(self.model) if self.model else None

    @property
    def label(self) -> str:
        """The tracker as reports and legends call it."""
        return f"{self.tracker} ({self.preset})" if self.preset else self.tracker

    def beside(self, tracker: str, preset: str = "") -> Method:
        """The method of a tracker that lives on the ranges this one asks for."""
        return dataclasses.replace(
            self,
            tracker=tracker,
            preset=preset,
            parameters={},
            scheduler=LISTENS,
            accuracy=0.0,
            price=0.0,
            model=self.model if tracker in NEED_A_MODEL else "",
        )

    def make_tracker(self, site: Site) -> Tracker:
        """A tracker for the site: its defaults, then the preset, then `parameters` over them.

        Raises InputError for an unknown name, preset or parameter, a value out of range, and a
        model that is missing or does not fit.
        """
        self.check()
        entry = _TRACKERS[self.tracker]
        values = {**entry.presets.get(self.preset, {}), **self.parameters}
        config: object = build(config_of(self.tracker), values, f"tracker {self.tracker}")
        maker: Callable[..., Tracker] = getattr(_module(entry.module), entry.maker)
        # Beside a scheduler that needs a model file, zero-shot tracks with its own.
        theirs = self.tracker == "zero-shot" and self.scheduler in NEED_A_MODEL
        where = {"device": self.compute} if self.tracker in NEED_TORCH else {}
        return maker(site, config, self.seed, None if theirs else self.model_file, **where)

    def make_scheduler(self, site: Site) -> Scheduler:
        """A scheduler for the site; one that only listens asks for everything it is given.

        Raises InputError for an unknown name, a model that is missing or does not fit, or an
        accuracy or price given to one that chooses beforehand.
        """
        self.check()
        name = "all" if self.scheduler == LISTENS else self.scheduler
        maker: Callable[..., Scheduler] = _module(_SCHEDULERS[name]).make
        return maker(
            name,
            site,
            seed=self.seed,
            model=self.model_file,
            accuracy=self.accuracy,
            price=self.price,
            **({"device": self.compute} if name in NEED_TORCH else {}),
        )


def _module(name: str) -> ModuleType:
    return import_module(f"locdreamer_ros.{name}")


def config_of(tracker: str) -> type:
    """The config dataclass of a tracker. Raises InputError for an unknown name."""
    if tracker not in _TRACKERS:
        raise InputError(f"unknown tracker {tracker!r}; expected one of {', '.join(_TRACKERS)}")
    entry = _TRACKERS[tracker]
    if entry.config == "NoConfig":
        return NoConfig
    found: type = getattr(_module(entry.module), entry.config)
    return found


def presets_of(tracker: str) -> tuple[str, ...]:
    """Names of the tracker's presets. Raises InputError for an unknown name."""
    config_of(tracker)
    return tuple(_TRACKERS[tracker].presets)


def make_tracker(name: str, site: Site, **options: Any) -> Tracker:
    """`Method.make_tracker` for a name and fields of `Method`."""
    return Method(tracker=name, **options).make_tracker(site)


def make_scheduler(name: str, site: Site, **options: Any) -> Scheduler:
    """`Method.make_scheduler` for a name and fields of `Method`."""
    return Method(scheduler=name, **options).make_scheduler(site)
