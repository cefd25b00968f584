# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tracker and a scheduler that go together, and whose the model file is that a user names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from locdreamer_ros.roles import Scheduler, Tracker
from locdreamer_ros.schedulers import LEARNED, make_scheduler
from locdreamer_ros.trackers import make_tracker
from locdreamer_ros.types import Site


def make_method(
    site: Site,
    *,
    tracker: str,
    scheduler: str,
    preset: str = "",
    parameters: Mapping[str, object] | None = None,
    seed: int = 0,
    model: Path | None = None,
    accuracy: float = 0.0,
    price: float = 0.0,
) -> tuple[Tracker, Scheduler]:
    """Both by name. Beside a scheduler that needs a model file, zero-shot tracks with its own.

    Raises InputError as `make_tracker` and `make_scheduler` do.
    """
    schedulers_own = tracker == "zero-shot" and scheduler in LEARNED
    return (
        make_tracker(
            tracker,
            site,
            preset=preset,
            parameters=parameters,
            seed=seed,
            model=None if schedulers_own else model,
        ),
        make_scheduler(scheduler, site, seed=seed, model=model, accuracy=accuracy, price=price),
    )
